//! Around every request: its id, its log line, and the end of its connection while draining.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::app::App;
use crate::clock;

/// The id of a request: the client's, else a new one.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub(super) String);

/// On an answer: the request writes its own log line when its stream has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogsItself;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken over from a client.
const MAX_ID_BYTES: usize = 128;

pub(super) async fn observe(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = clock::instant();
    let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let id = match given {
        Some(id) if !id.is_empty() && id.len() <= MAX_ID_BYTES => id.to_owned(),
        _ => app.new_id(),
    };
    request.extensions_mut().insert(RequestId(id.clone()));
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    if response.extensions().get::<LogsItself>().is_none() {
        let status = response.status().as_u16();
        let latency_ms = clock::millis_since(started);
        tracing::info!(request_id = id, %method, path, status, latency_ms, "request");
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, id);
    }
    if app.draining.is_cancelled() {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
