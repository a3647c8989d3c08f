//! `POST /v1/route`: the decision and its reasons, without calling a model and without a log row.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use bytes::Bytes;
use serde_json::Value;

use super::error::ApiError;
use crate::app::App;
use crate::request::ChatRequest;
use crate::routing::choose;

pub(super) async fn decide(
    State(app): State<Arc<App>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let request = ChatRequest::parse(ApiError::bytes(body, &app)?)?;
    let choice = choose(&app, &request)?;
    let mut explanation = choice.explanation(&request);
    explanation["reason"] = choice.reason().into();
    Ok(Json(explanation))
}
