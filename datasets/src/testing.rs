//! Small tables, logs and files for the tests of this crate.

use std::path::{Path, PathBuf};

use polars::prelude::*;
use router_core::{
    LoggedDecision, ModelId, Outcome, OutcomeTable, Propensity, Quality, RequestRow, Status,
    Tokens, Usd,
};
use tempfile::TempDir;

/// A folder and the path of a file in it.
pub(crate) fn place(name: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    (folder, path)
}

/// Two requests answered by two models: the columns that every file needs.
pub(crate) fn good_frame() -> DataFrame {
    df!(
        "request_id" => ["r1", "r1", "r2", "r2"],
        "prompt" => ["one", "one", "two", "two"],
        "model" => ["small", "large", "small", "large"],
        "quality" => [0.0, 1.0, 1.0, 0.5],
    )
    .unwrap()
}

/// The same with one more column, or one replaced.
pub(crate) fn with<T, P: ?Sized>(name: &str, values: T) -> DataFrame
where
    Series: NamedFrom<T, P>,
{
    let mut frame = good_frame();
    frame.with_column(Series::new(name.into(), values).into_column()).unwrap();
    frame
}

pub(crate) fn save(frame: &DataFrame, path: &Path) {
    let file = std::fs::File::create(path).unwrap();
    ParquetWriter::new(file).finish(&mut frame.clone()).unwrap();
}

pub(crate) fn outcome(quality: f64) -> Outcome {
    Outcome {
        quality: Some(Quality::try_from(quality).unwrap()),
        cost: Some(Usd::from_nanos(1_234_567)),
        prompt_tokens: Some(Tokens(10)),
        completion_tokens: Some(Tokens(20)),
        latency_ms: Some(12.5),
        status: Status::Ok,
    }
}

pub(crate) fn request(id: &str) -> RequestRow {
    RequestRow {
        request_id: id.to_owned(),
        prompt: format!("the text of {id}"),
        n_tools: 2,
        tool_schemas: "[]".to_owned(),
        n_messages: 3,
        task: Some("math".to_owned()),
        domain: None,
        difficulty: Some("hard".to_owned()),
        group: format!("group of {id}"),
        fold: Some(4),
        tier: Some("cost".to_owned()),
        tenant: Some("acme".to_owned()),
    }
}

pub(crate) fn id(name: &str) -> ModelId {
    ModelId::new(name).unwrap()
}

/// Two requests and two models, one cell unknown and one without any measure.
pub(crate) fn table() -> OutcomeTable {
    let failed = Outcome { status: Status::Timeout, ..Outcome::default() };
    OutcomeTable {
        models: vec![id("large"), id("small")],
        requests: vec![request("r1"), request("r2")],
        outcomes: vec![Some(outcome(1.0)), Some(outcome(0.25)), Some(failed), None],
    }
}

pub(crate) fn decision(request_id: &str, model: &str, propensity: f64) -> LoggedDecision {
    let other = if model == "small" { "large" } else { "small" };
    LoggedDecision {
        request: request(request_id),
        model: id(model),
        propensity: Propensity::try_from(propensity).unwrap(),
        policy: "v1".to_owned(),
        pmf: vec![(id(model), propensity), (id(other), 1.0 - propensity)],
        outcome: outcome(0.5),
        timestamp_us: Some(1_700_000_000_123_456),
        quality_source: Some("feedback".to_owned()),
    }
}
