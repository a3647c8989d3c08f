//! A real HTTP server that answers like an `openai-chat` provider, from the synthetic world.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use datasets::synthetic::{Answer, World, WorldError, WorldParams};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What the upstream simulates.
#[derive(Debug)]
struct Simulated {
    world: World,
    seed: u64,
    /// Multiplies the world's latencies.
    latency_scale: f64,
}

/// Serves until the process ends.
///
/// # Errors
///
/// If the world cannot be made, or the socket fails.
pub async fn serve(
    listener: TcpListener,
    params: WorldParams,
    latency_scale: f64,
) -> anyhow::Result<()> {
    let app = app(params, latency_scale)?;
    // A failed option costs latency, not correctness.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    Ok(axum::serve(listener, app).await?)
}

fn app(params: WorldParams, latency_scale: f64) -> Result<Router, WorldError> {
    let seed = params.seed;
    let simulated = Simulated { world: World::new(params)?, seed, latency_scale };
    Ok(Router::new().route("/v1/chat/completions", post(chat)).with_state(Arc::new(simulated)))
}

async fn chat(State(simulated): State<Arc<Simulated>>, Json(body): Json<Value>) -> Response {
    let model = body["model"].as_str().unwrap_or_default().to_owned();
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let prompt = messages.last().and_then(|m| m["content"].as_str()).unwrap_or_default();
    let Some(answer) = simulated.world.answer(prompt, &model, simulated.seed) else {
        let error = json!({"message": format!("no model {model}"), "type": "invalid_request_error",
            "param": "model", "code": "model_not_found"});
        return (StatusCode::NOT_FOUND, Json(json!({ "error": error }))).into_response();
    };
    let latency = answer.outcome.latency_ms.unwrap_or(0.0) * simulated.latency_scale;
    tokio::time::sleep(Duration::from_secs_f64(latency / 1000.0)).await;
    if body["stream"].as_bool().unwrap_or(false) {
        streamed(&model, &answer).into_response()
    } else {
        Json(buffered(&model, &answer)).into_response()
    }
}

fn usage(answer: &Answer) -> Value {
    let tokens = |count: Option<router_core::Tokens>| count.map_or(0, |tokens| tokens.0);
    let (prompt, completion) =
        (tokens(answer.outcome.prompt_tokens), tokens(answer.outcome.completion_tokens));
    json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion})
}

fn buffered(model: &str, answer: &Answer) -> Value {
    json!({
        "id": "chatcmpl-simulated", "object": "chat.completion", "created": 0, "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "logprobs": null,
            "message": {"role": "assistant", "content": answer.text, "refusal": null}}],
        "usage": usage(answer),
    })
}

fn streamed(
    model: &str,
    answer: &Answer,
) -> Sse<impl futures_util::Stream<Item = Result<Event, Infallible>> + use<>> {
    let chunk = |choices: Value, usage: Value| {
        json!({"id": "chatcmpl-simulated", "object": "chat.completion.chunk", "created": 0,
            "model": model, "choices": choices, "usage": usage})
        .to_string()
    };
    let delta = |delta: Value, reason: Value| {
        chunk(json!([{"index": 0, "delta": delta, "finish_reason": reason}]), Value::Null)
    };
    let words: Vec<&str> = answer.text.split_inclusive(' ').collect();
    let mut events = vec![delta(json!({"role": "assistant", "content": ""}), Value::Null)];
    events
        .extend(words.chunks(16).map(|part| delta(json!({"content": part.concat()}), Value::Null)));
    events.push(delta(json!({}), json!("stop")));
    events.push(chunk(json!([]), usage(answer)));
    events.push("[DONE]".to_owned());
    Sse::new(stream::iter(events.into_iter().map(|data| Ok(Event::default().data(data)))))
}
