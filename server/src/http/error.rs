//! Errors in OpenAI's shape, always with `message`, `type`, `param` and `code`.

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::app::App;
use crate::fault::{Fault, FaultClass};
use crate::request::RequestError;

/// Why a request failed, by what the client can do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The request is wrong: change it.
    #[error(transparent)]
    BadRequest(#[from] RequestError),
    /// The body is too large or was cut: send a smaller one, or all of it.
    #[error("{message}")]
    Body {
        /// 413 or 400.
        status: StatusCode,
        /// What is wrong with it.
        message: String,
    },
    /// The model is not in the catalog: name another.
    #[error("the model {0:?} does not exist; GET /v1/models lists those that do, and auto routes")]
    UnknownModel(String),
    /// No model can serve the request: ask for less, or configure more.
    #[error("{0}")]
    NoEligible(String),
    /// No model answered.
    #[error("no model answered: {0}")]
    Upstream(Fault),
    /// The decision is not in the log: check its id.
    #[error("there is no decision {0:?}; use the x-sextant-decision-id of an answer")]
    UnknownDecision(String),
    /// The database is down: try again.
    #[error("the database is not available")]
    Database(#[source] anyhow::Error),
}

/// An error body of OpenAI's shape.
pub(crate) fn error_body(message: &str, kind: &str, param: Option<&str>, code: &str) -> Value {
    json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
}

impl ApiError {
    /// The bytes of a request, or what is wrong with them.
    ///
    /// # Errors
    ///
    /// If they are too many or could not be read.
    pub(super) fn bytes(body: Result<Bytes, BytesRejection>, app: &App) -> Result<Bytes, Self> {
        body.map_err(|rejection| Self::of_body(&rejection, app.config.max_body_bytes))
    }

    /// A body that could not be read, of which at most `max_bytes` are allowed.
    fn of_body(rejection: &BytesRejection, max_bytes: usize) -> Self {
        let status = rejection.status();
        let message = match status {
            StatusCode::PAYLOAD_TOO_LARGE => {
                format!("the body must have at most {max_bytes} bytes, got more")
            }
            _ => rejection.body_text(),
        };
        Self::Body { status, message }
    }

    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "router_bad_request"),
            Self::Body { status, .. } => (*status, "router_bad_body"),
            Self::UnknownModel(_) => (StatusCode::NOT_FOUND, "model_not_found"),
            Self::NoEligible(_) => (StatusCode::SERVICE_UNAVAILABLE, "router_no_eligible_model"),
            Self::Upstream(fault) => of_fault(fault),
            Self::UnknownDecision(_) => (StatusCode::NOT_FOUND, "router_decision_not_found"),
            Self::Database(_) => (StatusCode::SERVICE_UNAVAILABLE, "router_database_unavailable"),
        }
    }

    fn param(&self) -> Option<&'static str> {
        match self {
            Self::BadRequest(error) => error.param,
            Self::UnknownModel(_) => Some("model"),
            Self::UnknownDecision(_) => Some("decision_id"),
            Self::Body { .. } | Self::NoEligible(_) | Self::Upstream(_) | Self::Database(_) => None,
        }
    }

    fn body(&self, status: StatusCode, code: &str) -> Value {
        if let Self::Upstream(fault) = self
            && let Some(body) = of_upstream(fault)
        {
            return body;
        }
        let kind = match status.as_u16() {
            400..=499 => "invalid_request_error",
            _ => "server_error",
        };
        error_body(&self.to_string(), kind, self.param(), code)
    }
}

/// The status and code of a failed call. What only we can mend is never the client's fault.
fn of_fault(fault: &Fault) -> (StatusCode, &'static str) {
    match fault.class {
        FaultClass::Client | FaultClass::ContextOverflow => {
            (fault.status.unwrap_or(StatusCode::BAD_REQUEST), "router_upstream_refused")
        }
        FaultClass::ModelUnknown => (StatusCode::BAD_GATEWAY, "router_upstream_model_unknown"),
        FaultClass::Throttled => (StatusCode::TOO_MANY_REQUESTS, "router_upstream_throttled"),
        FaultClass::Quota => (StatusCode::SERVICE_UNAVAILABLE, "router_upstream_quota"),
        FaultClass::Credential => (StatusCode::BAD_GATEWAY, "router_upstream_credential"),
        FaultClass::Provider => (StatusCode::BAD_GATEWAY, "router_upstream_failed"),
        FaultClass::Transport => (StatusCode::BAD_GATEWAY, "router_upstream_unreachable"),
        FaultClass::Timeout => (StatusCode::GATEWAY_TIMEOUT, "router_upstream_timeout"),
        FaultClass::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "router_stopping"),
    }
}

/// What the upstream said of the client's fault, with all four keys.
fn of_upstream(fault: &Fault) -> Option<Value> {
    if !matches!(fault.class, FaultClass::Client | FaultClass::ContextOverflow) {
        return None;
    }
    let mut error = match fault.error.as_deref()?.clone() {
        Value::Object(error) => error,
        Value::String(message) => [("message".to_owned(), message.into())].into_iter().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => return None,
    };
    error.entry("message").or_insert_with(|| "the upstream refused the request".into());
    error.entry("type").or_insert_with(|| "invalid_request_error".into());
    error.entry("param").or_insert(Value::Null);
    error.entry("code").or_insert(Value::Null);
    Some(json!({ "error": error }))
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.status_and_code();
        if let Self::Database(cause) = &self {
            let cause = format!("{cause:#}");
            tracing::warn!(cause, "the database is not available");
        }
        let mut response = (status, Json(self.body(status, code))).into_response();
        let should_retry = HeaderName::from_static("x-should-retry");
        if matches!(self, Self::NoEligible(_)) {
            // Clients repeat a 503, and would get the same.
            response.headers_mut().insert(&should_retry, HeaderValue::from_static("false"));
        }
        if let Self::Upstream(fault) = &self {
            let headers = response.headers_mut();
            let wait = fault.retry_after.as_ref().and_then(|wait| HeaderValue::try_from(wait).ok());
            if let Some(wait) = wait {
                headers.insert(header::RETRY_AFTER, wait);
            }
            // Our own attempts are spent; clients would only repeat them.
            let again = match fault.class {
                FaultClass::Throttled | FaultClass::Stopping => "true",
                FaultClass::Client
                | FaultClass::ContextOverflow
                | FaultClass::ModelUnknown
                | FaultClass::Quota
                | FaultClass::Credential
                | FaultClass::Provider
                | FaultClass::Transport
                | FaultClass::Timeout => "false",
            };
            headers.insert(should_retry, HeaderValue::from_static(again));
        }
        response
    }
}

/// Answers a path that is not in the table.
pub(super) async fn no_such_route(uri: Uri) -> Response {
    let message = format!("there is no {}; chat is at POST /v1/chat/completions", uri.path());
    let body = error_body(&message, "invalid_request_error", None, "router_no_such_route");
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}

/// Answers a method that a path does not have.
pub(super) async fn no_such_method(method: Method, uri: Uri) -> Response {
    let message = format!("{} does not take {method}", uri.path());
    let body = error_body(&message, "invalid_request_error", None, "router_no_such_method");
    (StatusCode::METHOD_NOT_ALLOWED, Json(body)).into_response()
}
