//! `GET /healthz`: the process lives. `GET /readyz`: what it can do, and 503 while draining.
//!
//! A degraded service (static fallback, no database, no upstream) still answers 200: a balancer
//! that took it out would turn a worse service into none.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use router_core::{Catalog, Router};
use serde::Serialize;

use crate::app::App;
use crate::champion::Serving;
use crate::routing::STATIC;

/// How long the database may take to answer.
const WAIT: Duration = Duration::from_secs(1);

#[derive(Serialize)]
pub(super) struct Readiness {
    /// `ok`, `degraded` or `draining`.
    status: &'static str,
    /// `ok`, `fallback: why`, or `ok, reload failed: why`.
    router: String,
    policy: String,
    /// `ok` or `error: why`.
    database: String,
    upstreams: Vec<String>,
    n_models: usize,
    n_dropped_decisions: u64,
}

pub(super) async fn alive() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "status": "ok" }))
}

pub(super) async fn ready(State(app): State<Arc<App>>) -> (StatusCode, Json<Readiness>) {
    let serving = app.champion.serving();
    let router = router_state(&serving);
    let database = match tokio::time::timeout(WAIT, app.db.ping()).await {
        Ok(Ok(())) => "ok".to_owned(),
        Ok(Err(error)) => format!("error: {error:#}"),
        Err(_) => format!("error: no answer within {} ms", WAIT.as_millis()),
    };
    let is_draining = app.draining.is_cancelled();
    let is_whole = router == "ok" && database == "ok" && !app.upstreams.is_empty();
    let status = match (is_draining, is_whole) {
        (true, _) => "draining",
        (false, true) => "ok",
        (false, false) => "degraded",
    };
    let code = if is_draining { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let policy = serving.router.as_deref().map_or(STATIC, Router::version).to_owned();
    let readiness = Readiness {
        status,
        router,
        policy,
        database,
        upstreams: app.upstreams.keys().cloned().collect(),
        n_models: serving.catalog.as_ref().map_or(0, |catalog: &Catalog| catalog.models().len()),
        n_dropped_decisions: app.log.n_dropped(),
    };
    (code, Json(readiness))
}

fn router_state(serving: &Serving) -> String {
    match (&serving.router, &serving.trouble) {
        (Some(_), None) => "ok".to_owned(),
        (Some(_), Some(trouble)) => format!("ok, {trouble}"),
        (None, Some(trouble)) => format!("fallback: {trouble}"),
        (None, None) => "fallback".to_owned(),
    }
}
