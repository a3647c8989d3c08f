//! Decisions: written in batches, read for export.

use anyhow::Context as _;
use router_core::ModelId;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row, SqlitePool};

use crate::decision_log::DecisionRow;

const INSERT: &str = "
    INSERT OR IGNORE INTO decisions (
        id, decided_at_us, requested_model, tier, drawn_model, answered_model, propensity, pmf,
        policy, prompt, n_tools, tool_schemas, n_messages, streamed, prompt_tokens, cached_tokens,
        completion_tokens, usage_source, cost_nanos, latency_ms, first_content_ms, status,
        finish_reason, fault, attempts, predicted_quality, predicted_cost_usd
    ) VALUES (
        ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
    )";

/// The last word of the source that counts most, for each routed decision in order of time.
const SELECT_ROUTED: &str = "
    SELECT d.rowid AS position, d.*, f.quality, f.source
    FROM decisions d LEFT JOIN feedback f ON f.seq = (
        SELECT seq FROM feedback WHERE decision_id = d.id
        ORDER BY CASE source WHEN 'label' THEN 0 WHEN 'feedback' THEN 1 WHEN 'judge' THEN 2
                             WHEN 'check' THEN 3 ELSE 4 END, seq DESC
        LIMIT 1
    )
    WHERE d.propensity IS NOT NULL AND d.rowid > ?
    ORDER BY d.rowid LIMIT ?";

/// A routed decision with what was said of it.
#[derive(Debug)]
pub(crate) struct StoredDecision {
    /// Where it stands in the table; pass it on to read what follows.
    pub(crate) position: i64,
    pub(crate) id: String,
    pub(crate) decided_at_us: i64,
    pub(crate) tier: Option<String>,
    pub(crate) drawn_model: String,
    pub(crate) answered_model: Option<String>,
    pub(crate) propensity: f64,
    pub(crate) pmf: Vec<(ModelId, f64)>,
    pub(crate) policy: String,
    pub(crate) prompt: Option<String>,
    pub(crate) n_tools: u32,
    pub(crate) tool_schemas: Option<String>,
    pub(crate) n_messages: u32,
    pub(crate) prompt_tokens: Option<i64>,
    pub(crate) completion_tokens: Option<i64>,
    pub(crate) cost_nanos: Option<i64>,
    pub(crate) latency_ms: f64,
    pub(crate) status: String,
    pub(crate) fault: Option<String>,
    pub(crate) quality: Option<f64>,
    pub(crate) quality_source: Option<String>,
}

/// Writes a batch in one transaction; how many rows the schema refused.
///
/// # Errors
///
/// If the database is down; nothing is written then.
pub(crate) async fn insert(pool: &SqlitePool, rows: &[DecisionRow]) -> anyhow::Result<u64> {
    let mut transaction = pool.begin().await.context("cannot begin")?;
    let mut n_refused = 0;
    for row in rows {
        let done = bind(row).execute(&mut *transaction).await.context("cannot insert")?;
        n_refused += 1 - done.rows_affected().min(1);
    }
    transaction.commit().await.context("cannot commit")?;
    Ok(n_refused)
}

fn bind(row: &DecisionRow) -> sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments> {
    let tokens = |tokens: router_core::Tokens| i64::try_from(tokens.0).unwrap_or(i64::MAX);
    let usage_source = if row.usage_is_estimated { "estimated" } else { "provider" };
    sqlx::query(INSERT)
        .bind(&row.id)
        .bind(row.decided_at_us)
        .bind(&row.requested_model)
        .bind(row.tier.map(router_core::Tier::as_str))
        .bind(row.drawn_model.as_str())
        .bind(row.answered_model.as_ref().map(ModelId::as_str))
        .bind(row.propensity.map(f64::from))
        .bind(row.propensity.map(|_| json(&row.pmf)))
        .bind(&row.policy)
        .bind(&row.prompt)
        .bind(row.n_tools)
        .bind(&row.tool_schemas)
        .bind(row.n_messages)
        .bind(row.streamed)
        .bind(row.usage.map(|usage| tokens(usage.prompt)))
        .bind(row.usage.map(|usage| tokens(usage.cached)))
        .bind(row.usage.map(|usage| tokens(usage.completion)))
        .bind(row.usage.map(|_| usage_source))
        .bind(row.cost.map(router_core::Usd::nanos))
        .bind(row.latency_ms)
        .bind(row.first_content_ms)
        .bind(row.ended.as_str())
        .bind(&row.finish_reason)
        .bind(&row.fault)
        .bind(json(&row.attempts))
        .bind(row.predicted_quality)
        .bind(row.predicted_cost_usd)
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("lists of names and finite numbers are JSON")
}

/// Up to `limit` routed decisions after a position.
///
/// # Errors
///
/// If the database is down, or a row cannot be read.
pub(crate) async fn routed_after(
    pool: &SqlitePool,
    position: i64,
    limit: i64,
) -> anyhow::Result<Vec<StoredDecision>> {
    sqlx::query_as(SELECT_ROUTED)
        .bind(position)
        .bind(limit)
        .fetch_all(pool)
        .await
        .context("cannot read decisions")
}

impl<'r> FromRow<'r, SqliteRow> for StoredDecision {
    fn from_row(row: &'r SqliteRow) -> sqlx::Result<Self> {
        let pmf: Option<String> = row.try_get("pmf")?;
        let pmf = serde_json::from_str(pmf.as_deref().unwrap_or("[]"))
            .map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(Self {
            position: row.try_get("position")?,
            id: row.try_get("id")?,
            decided_at_us: row.try_get("decided_at_us")?,
            tier: row.try_get("tier")?,
            drawn_model: row.try_get("drawn_model")?,
            answered_model: row.try_get("answered_model")?,
            propensity: row.try_get("propensity")?,
            pmf,
            policy: row.try_get("policy")?,
            prompt: row.try_get("prompt")?,
            n_tools: row.try_get("n_tools")?,
            tool_schemas: row.try_get("tool_schemas")?,
            n_messages: row.try_get("n_messages")?,
            prompt_tokens: row.try_get("prompt_tokens")?,
            completion_tokens: row.try_get("completion_tokens")?,
            cost_nanos: row.try_get("cost_nanos")?,
            latency_ms: row.try_get("latency_ms")?,
            status: row.try_get("status")?,
            fault: row.try_get("fault")?,
            quality: row.try_get("quality")?,
            quality_source: row.try_get("source")?,
        })
    }
}

/// Every decision as it stands, in order of writing.
#[cfg(test)]
pub(crate) async fn all(pool: &SqlitePool) -> Vec<SqliteRow> {
    sqlx::query("SELECT * FROM decisions ORDER BY rowid").fetch_all(pool).await.unwrap()
}
