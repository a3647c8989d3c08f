//! `POST /v1/feedback`: how good the answer of a decision was. The last word of a source counts.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use bytes::Bytes;
use router_core::Quality;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ApiError;
use crate::app::App;
use crate::clock;
use crate::db::feedback::{self, FeedbackRow, Source};
use crate::request::RequestError;

/// How long the decision may take to reach the database.
const WAIT: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Feedback {
    decision_id: String,
    quality: Option<f64>,
    thumbs: Option<Thumbs>,
    #[serde(default)]
    source: Source,
    comment: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Thumbs {
    Up,
    Down,
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let row = read(&ApiError::bytes(body, &app)?)?;
    let stored = tokio::time::timeout(WAIT, store(&app, &row)).await;
    let is_known = stored
        .context("no answer in time")
        .and_then(|stored| stored)
        .map_err(ApiError::Database)?;
    if !is_known {
        return Err(ApiError::UnknownDecision(row.decision_id));
    }
    Ok(Json(json!({
        "decision_id": row.decision_id,
        "quality": row.quality,
        "source": row.source.as_str(),
    })))
}

/// The decision may still be in the queue, so the queue is emptied first.
async fn store(app: &App, row: &FeedbackRow) -> anyhow::Result<bool> {
    anyhow::ensure!(app.log.flush().await, "the decision log has stopped");
    feedback::insert(app.db.pool().await?, row).await
}

fn read(body: &[u8]) -> Result<FeedbackRow, ApiError> {
    let refuse = |param, message: String| ApiError::BadRequest(RequestError { message, param });
    let feedback: Feedback = serde_json::from_slice(body)
        .map_err(|error| refuse(None, format!("the body is no feedback: {error}")))?;
    let quality = match (feedback.quality, feedback.thumbs) {
        (Some(quality), None) => quality,
        (None, Some(Thumbs::Up)) => 1.0,
        (None, Some(Thumbs::Down)) => 0.0,
        (Some(_), Some(_)) | (None, None) => {
            let message = "give either quality in [0, 1] or thumbs up or down";
            return Err(refuse(Some("quality"), message.to_owned()));
        }
    };
    let quality =
        Quality::try_from(quality).map_err(|error| refuse(Some("quality"), error.to_string()))?;
    Ok(FeedbackRow {
        decision_id: feedback.decision_id,
        source: feedback.source,
        quality,
        comment: feedback.comment,
        received_at_us: clock::now_us(),
    })
}
