//! Bodies as an `openai-chat` provider sends them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, body::Body};
use router_core::{Outcome, Tokens};
use serde_json::{Value, json};

use crate::answers::Answer;

/// Words of one event of a stream.
const WORDS_PER_EVENT: usize = 16;

/// The model and the last text of a request's messages.
pub(super) fn model_and_prompt(body: &Value) -> (&str, String) {
    let model = body["model"].as_str().unwrap_or_default();
    let content =
        body["messages"].as_array().and_then(|messages| Some(&messages.last()?["content"]));
    let prompt = match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part["text"].as_str()).collect()
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {
            String::new()
        }
    };
    (model, prompt)
}

/// An error with all four keys.
pub(super) fn error(status: StatusCode, message: &str, code: &str) -> Response {
    let kind = match status {
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        _ if status.is_client_error() => "invalid_request_error",
        _ => "server_error",
    };
    let error = json!({ "message": message, "type": kind, "param": null, "code": code });
    (status, Json(json!({ "error": error }))).into_response()
}

/// Unknown counts are absent; without any there is no usage.
fn usage(outcome: &Outcome) -> Value {
    let tokens = |count: Option<Tokens>| count.unwrap_or_default().0;
    let (prompt, completion) = (outcome.prompt_tokens, outcome.completion_tokens);
    if prompt.is_none() && completion.is_none() {
        return Value::Null;
    }
    let (prompt, completion) = (tokens(prompt), tokens(completion));
    json!({ "prompt_tokens": prompt, "completion_tokens": completion,
        "total_tokens": prompt + completion })
}

/// A whole answer.
pub(super) fn buffered(model: &str, answer: &Answer) -> String {
    json!({
        "id": "chatcmpl-simulated", "object": "chat.completion", "created": 0, "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "logprobs": null,
            "message": {"role": "assistant", "content": answer.text, "refusal": null}}],
        "usage": usage(&answer.outcome),
    })
    .to_string()
}

/// The events of a stream: the role, pieces of content, and how it ends.
pub(super) struct Events {
    pub(super) role: String,
    pub(super) content: Vec<String>,
    pub(super) end: Vec<String>,
}

/// A streamed answer, with usage if it was asked for.
pub(super) fn events(model: &str, answer: &Answer, with_usage: bool) -> Events {
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = json!({"id": "chatcmpl-simulated", "object": "chat.completion.chunk",
            "created": 0, "model": model, "choices": choices});
        if with_usage {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    };
    let delta = |delta: Value, reason: Value| {
        chunk(json!([{"index": 0, "delta": delta, "finish_reason": reason}]), Value::Null)
    };
    let words: Vec<&str> = answer.text.split_inclusive(' ').collect();
    let content = words.chunks(WORDS_PER_EVENT);
    let content = content.map(|part| delta(json!({"content": part.concat()}), Value::Null));
    let mut end = vec![delta(json!({}), json!("stop"))];
    let usage = usage(&answer.outcome);
    if with_usage && !usage.is_null() {
        end.push(chunk(json!([]), usage));
    }
    end.push("data: [DONE]\n\n".to_owned());
    Events {
        role: delta(json!({"role": "assistant", "content": ""}), Value::Null),
        content: content.collect(),
        end,
    }
}

/// A success of this content type.
pub(super) fn success(kind: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
