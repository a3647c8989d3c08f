//! Faults of a call, and who is to blame (`spec/gateway.md`, 4.6): the class decides what is next.

use axum::http::StatusCode;
use serde_json::Value;

/// Who is to blame for a call that gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultClass {
    /// The request is wrong.
    Client,
    /// The request does not fit the model's context window.
    ContextOverflow,
    /// The upstream does not know the model.
    ModelUnknown,
    /// Too many requests.
    Throttled,
    /// The account is exhausted.
    Quota,
    /// The upstream refuses our key.
    Credential,
    /// The upstream failed, or sent what cannot be read.
    Provider,
    /// The connection failed.
    Transport,
    /// A time limit passed.
    Timeout,
    /// The server is stopping.
    Stopping,
}

impl FaultClass {
    /// Its name in logs and codes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::ContextOverflow => "context_overflow",
            Self::ModelUnknown => "model_unknown",
            Self::Throttled => "throttled",
            Self::Quota => "quota",
            Self::Credential => "credential",
            Self::Provider => "provider",
            Self::Transport => "transport",
            Self::Timeout => "timeout",
            Self::Stopping => "stopping",
        }
    }

    /// Whether another model may be able to answer.
    pub fn may_fail_over(self) -> bool {
        match self {
            Self::Client | Self::ContextOverflow | Self::Stopping => false,
            Self::ModelUnknown
            | Self::Throttled
            | Self::Quota
            | Self::Credential
            | Self::Provider
            | Self::Transport
            | Self::Timeout => true,
        }
    }
}

/// A call that gave no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}: {message}", .class.as_str())]
pub struct Fault {
    /// Who is to blame.
    pub class: FaultClass,
    /// What happened, without prompt or key.
    pub message: String,
    /// The upstream's status, if it gave one.
    pub status: Option<StatusCode>,
    /// The upstream's error object, if it sent one.
    pub error: Option<Box<Value>>,
    /// The upstream's `retry-after`, as sent.
    pub retry_after: Option<String>,
}

impl Fault {
    /// A fault without an answer of the upstream.
    pub fn new(class: FaultClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), status: None, error: None, retry_after: None }
    }

    /// The upstream said this error where an answer was expected.
    pub(crate) fn said(error: Value) -> Self {
        let fault = Self::new(FaultClass::Provider, "the upstream sent an error for an answer");
        Self { error: Some(Box::new(error)), ..fault }
    }

    /// The fault that a status and a body say.
    pub fn of_answer(status: StatusCode, body: &[u8]) -> Self {
        let error = error_object(body);
        let code = |key: &str| {
            error.as_ref().and_then(|error| error.get(key)).and_then(Value::as_str).unwrap_or("")
        };
        let class = match status.as_u16() {
            400 | 413 if code("code").contains("context_length") => FaultClass::ContextOverflow,
            401 | 403 => FaultClass::Credential,
            402 => FaultClass::Quota,
            404 => FaultClass::ModelUnknown,
            408 | 409 => FaultClass::Provider,
            429 if is_quota(code("code")) || is_quota(code("type")) => FaultClass::Quota,
            429 | 529 => FaultClass::Throttled,
            400..=499 => FaultClass::Client,
            _ => FaultClass::Provider,
        };
        let message = format!("the upstream answered with status {}", status.as_u16());
        Self { class, message, status: Some(status), error: error.map(Box::new), retry_after: None }
    }
}

fn is_quota(code: &str) -> bool {
    code == "insufficient_quota"
        || code.ends_with("_exhausted")
        || code.contains("_limit_reached")
        || code.ends_with("_usage_limit_exceeded")
        || code.ends_with("_spend_limit_exceeded")
}

/// The error of a body, read leniently: an array of one is its element, `error` may be a text.
fn error_object(body: &[u8]) -> Option<Value> {
    let mut value: Value = serde_json::from_slice(body).ok()?;
    if let Value::Array(list) = &mut value {
        value = list.first_mut()?.take();
    }
    match value.get_mut("error") {
        Some(error) if !error.is_null() => Some(error.take()),
        _ => value.get("message").is_some().then_some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_code_give_the_class() {
        let quota = br#"{"error":{"code":"credit_balance_exhausted","type":"insufficient_quota"}}"#;
        let context = br#"{"error":{"code":"context_length_exceeded"}}"#;
        for (status, body, class) in [
            (400, &b"{}"[..], FaultClass::Client),
            (400, context, FaultClass::ContextOverflow),
            (500, context, FaultClass::Provider),
            (401, b"", FaultClass::Credential),
            (404, b"", FaultClass::ModelUnknown),
            (422, b"", FaultClass::Client),
            (429, b"", FaultClass::Throttled),
            (429, quota, FaultClass::Quota),
            (529, b"", FaultClass::Throttled),
            (503, b"<html>", FaultClass::Provider),
            (302, b"", FaultClass::Provider),
        ] {
            let fault = Fault::of_answer(StatusCode::from_u16(status).unwrap(), body);
            assert_eq!(fault.class, class, "{status}");
        }
    }

    #[test]
    fn error_bodies_are_read_leniently() {
        for body in [
            r#"[{"error":{"message":"m"}}]"#,
            r#"{"object":"error","message":"m"}"#,
            r#"{"error":{"message":"m"}}"#,
        ] {
            let error = error_object(body.as_bytes()).unwrap();
            assert_eq!(error["message"], "m", "{body}");
        }
        assert_eq!(error_object(br#"{"error":"text"}"#), Some(Value::from("text")));
        assert_eq!(error_object(b"<html>"), None);
    }
}
