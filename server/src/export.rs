//! `server export`: routed decisions and what was said of them, as `logs.parquet` version 1.

use std::path::Path;

use anyhow::Context as _;
use router_core::{
    LoggedDecision, ModelId, Outcome, Propensity, Quality, RequestRow, Status, Tokens, Usd,
};

use crate::config::Config;
use crate::db::Db;
use crate::db::decisions::{StoredDecision, routed_after};
use crate::fault::FaultClass;

/// Decisions read at once.
const PAGE: i64 = 4096;

/// What was exported, and what was left out and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Rows written.
    pub n_rows: usize,
    /// Rows with a quality.
    pub n_judged: usize,
    /// Decisions whose client went away: censored, neither good nor bad.
    pub n_canceled: usize,
    /// Decisions that failed by the client's fault or ours, which says nothing of a model.
    pub n_not_outcomes: usize,
    /// Decisions whose prompt was not stored.
    pub n_without_prompt: usize,
}

/// Writes the routed decisions of a database; explicit requests made no decision and stay out.
///
/// # Errors
///
/// If there is no database, nothing to write, or the file cannot be written.
pub async fn export(config: &Config, out: &Path) -> anyhow::Result<Exported> {
    anyhow::ensure!(
        config.database.exists(),
        "there is no database {}: database.path must name one that a server has written",
        config.database.display()
    );
    let db = Db::existing(&config.database);
    let (log, exported) = read(&db).await?;
    anyhow::ensure!(
        exported.n_rows > 0 || exported.n_without_prompt == 0,
        "the {} routed decisions have no prompt, and a router can be fitted only on prompts; \
         set log.store_prompts = true and serve again",
        exported.n_without_prompt
    );
    anyhow::ensure!(
        exported.n_rows > 0,
        "there is nothing to export: 0 routed decisions with an outcome, {} canceled, \
         {} failed by the client's fault or ours",
        exported.n_canceled,
        exported.n_not_outcomes
    );
    let path = out.to_owned();
    tokio::task::spawn_blocking(move || datasets::write::write_log(&log, &path))
        .await?
        .with_context(|| format!("cannot write {}", out.display()))?;
    db.close().await;
    Ok(exported)
}

async fn read(db: &Db) -> anyhow::Result<(Vec<LoggedDecision>, Exported)> {
    let pool = db.pool().await?;
    let (mut log, mut exported, mut position) = (Vec::new(), Exported::default(), 0);
    loop {
        let page = routed_after(pool, position, PAGE).await?;
        let Some(last) = page.last() else { break };
        position = last.position;
        for stored in page {
            let id = stored.id.clone();
            match row_of(stored).with_context(|| format!("decision {id}"))? {
                Kept::Row(row) => log.push(*row),
                Kept::Canceled => exported.n_canceled += 1,
                Kept::NotOutcome => exported.n_not_outcomes += 1,
                Kept::WithoutPrompt => exported.n_without_prompt += 1,
            }
        }
    }
    exported.n_rows = log.len();
    exported.n_judged = log.iter().filter(|row| row.outcome.quality.is_some()).count();
    Ok((log, exported))
}

enum Kept {
    Row(Box<LoggedDecision>),
    Canceled,
    NotOutcome,
    WithoutPrompt,
}

/// A row under the *drawn* model. Its quality counts only if that model answered, completely:
/// an outage is availability, never quality (`spec/gateway.md`, 4.12).
fn row_of(stored: StoredDecision) -> anyhow::Result<Kept> {
    if stored.status == "canceled" {
        return Ok(Kept::Canceled);
    }
    let fault = stored.fault.as_deref().unwrap_or_default();
    let is_fault_of = |class: FaultClass| fault.starts_with(&format!("{}:", class.as_str()));
    if is_fault_of(FaultClass::Client) || is_fault_of(FaultClass::Stopping) {
        return Ok(Kept::NotOutcome);
    }
    let timed_out = stored.status == "timeout" || is_fault_of(FaultClass::Timeout);
    let Some(prompt) = stored.prompt else { return Ok(Kept::WithoutPrompt) };
    let is_own = stored.answered_model.as_deref() == Some(stored.drawn_model.as_str())
        && stored.status == "ok";
    let quality = stored.quality.filter(|_| is_own).map(Quality::try_from).transpose()?;
    let tokens = |count: Option<i64>| count.and_then(|n| u64::try_from(n).ok()).map(Tokens);
    let outcome = Outcome {
        quality,
        cost: stored.cost_nanos.filter(|_| is_own).map(Usd::from_nanos),
        prompt_tokens: tokens(stored.prompt_tokens).filter(|_| is_own),
        completion_tokens: tokens(stored.completion_tokens).filter(|_| is_own),
        latency_ms: is_own.then_some(stored.latency_ms),
        status: match (is_own, timed_out) {
            (true, _) => Status::Ok,
            (false, true) => Status::Timeout,
            (false, false) => Status::Error,
        },
    };
    let request = RequestRow {
        request_id: stored.id,
        group: datasets::split::default_group(&prompt),
        prompt,
        n_tools: stored.n_tools,
        tool_schemas: stored.tool_schemas.unwrap_or_default(),
        n_messages: stored.n_messages,
        tier: stored.tier,
        ..RequestRow::default()
    };
    Ok(Kept::Row(Box::new(LoggedDecision {
        request,
        model: ModelId::new(stored.drawn_model)?,
        propensity: Propensity::try_from(stored.propensity)?,
        policy: stored.policy,
        pmf: stored.pmf,
        outcome,
        timestamp_us: Some(stored.decided_at_us),
        quality_source: quality.and(stored.quality_source),
    })))
}
