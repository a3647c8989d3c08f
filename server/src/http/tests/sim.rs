//! A small upstream whose models behave as they are named.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

/// What the simulated upstream saw, and what it waits for.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) bodies: Mutex<Vec<Bytes>>,
    /// A stream that would not end was dropped.
    pub(super) canceled: Notify,
    /// Lets `slow` go on.
    pub(super) go_on: Notify,
}

pub(super) struct Sim {
    pub(super) url: String,
    pub(super) seen: Arc<Seen>,
}

impl Sim {
    pub(super) async fn start() -> Self {
        let seen = Arc::new(Seen::default());
        let routes =
            Router::new().route("/v1/chat/completions", post(answer)).with_state(Arc::clone(&seen));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        TaskTracker::new().spawn(axum::serve(listener, routes).into_future());
        Self { url, seen }
    }

    /// The models asked so far, by the name the upstream knows.
    pub(super) fn asked(&self) -> Vec<String> {
        let name = |body: &Bytes| {
            serde_json::from_slice::<Value>(body).unwrap()["model"].as_str().unwrap().to_owned()
        };
        self.seen.bodies.lock().unwrap().iter().map(name).collect()
    }

    pub(super) fn last_body(&self) -> Bytes {
        self.seen.bodies.lock().unwrap().last().unwrap().clone()
    }
}

const ROLE: &str = r#"data: {"choices":[{"delta":{"role":"assistant"}}]}"#;
const HELLO: &str = r#"data: {"choices":[{"delta":{"content":"Hello"}}]}"#;
const WORLD: &str = r#"data: {"choices":[{"delta":{"content":" world"}}]}"#;
const STOP: &str = r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"data: {"choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":200,"prompt_tokens_details":{"cached_tokens":800}}}"#;
const OVERLOADED: &str = r#"data: {"error":{"message":"overloaded"}}"#;

fn whole(usage: &Value) -> Response {
    let message = json!({ "role": "assistant", "content": "Hello world" });
    let choice = json!({ "index": 0, "message": message, "finish_reason": "stop" });
    let body = json!({ "object": "chat.completion", "choices": [choice], "usage": usage });
    axum::Json(body).into_response()
}

struct Gone(Arc<Seen>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.canceled.notify_one();
    }
}

async fn answer(State(seen): State<Arc<Seen>>, body: Bytes) -> Response {
    seen.bodies.lock().unwrap().push(body.clone());
    let request: Value = serde_json::from_slice(&body).unwrap();
    let usage = json!({
        "prompt_tokens": 1000, "completion_tokens": 200,
        "prompt_tokens_details": { "cached_tokens": 800 },
    });
    let error = |status: u16, body: &str| {
        (StatusCode::from_u16(status).unwrap(), body.to_owned()).into_response()
    };
    match request["model"].as_str().unwrap() {
        "broken" => error(500, "<html>secret</html>"),
        "refusing" => error(400, r#"{"error":{"message":"no such parameter","code":"bad"}}"#),
        "throttled" => {
            let headers = [(header::RETRY_AFTER, "7")];
            (StatusCode::TOO_MANY_REQUESTS, headers, "{}").into_response()
        }
        "locked" => error(401, "{}"),
        "hanging" => std::future::pending().await,
        name if request["stream"] == true => events(name, &seen),
        "bare" => whole(&Value::Null),
        "choiceless" => axum::Json(json!({ "choices": [], "usage": usage })).into_response(),
        _ => whole(&usage),
    }
}

fn events(name: &str, seen: &Arc<Seen>) -> Response {
    let lines: &[&str] = match name {
        "cut-early" => &[ROLE],
        "cut" | "stalling" | "slow" => &[ROLE, HELLO],
        "stalling-early" => &[ROLE],
        "malformed" => &[ROLE, HELLO, "data: {"],
        "malformed-early" => &[ROLE, "data: {"],
        "overloaded-early" => &[ROLE, OVERLOADED],
        "unfinished" => &[ROLE, HELLO, WORLD],
        "bare" => &[ROLE, HELLO, WORLD, STOP, "data: [DONE]"],
        _ => &[ROLE, HELLO, WORLD, STOP, USAGE, "data: [DONE]"],
    };
    let pieces: Vec<Bytes> = lines.iter().map(|line| Bytes::from(format!("{line}\n\n"))).collect();
    let start = stream::iter(pieces).then(|piece| async {
        // Each event leaves on its own.
        tokio::task::yield_now().await;
        Ok(piece)
    });
    let rest: BoxStream<'static, Result<Bytes, std::io::Error>> = match name {
        "cut" | "cut-early" => {
            let broken = async {
                tokio::task::yield_now().await;
                Err(std::io::Error::other("cut"))
            };
            stream::once(broken).boxed()
        }
        "stalling" | "stalling-early" => {
            let gone = Gone(Arc::clone(seen));
            let never = async move {
                let _gone = gone;
                std::future::pending().await
            };
            stream::once(never).boxed()
        }
        "slow" => {
            let seen = Arc::clone(seen);
            let late = async move {
                seen.go_on.notified().await;
                Ok(Bytes::from(format!("{STOP}\n\ndata: [DONE]\n\n")))
            };
            stream::once(late).boxed()
        }
        _ => stream::empty().boxed(),
    };
    let mut response = Response::new(Body::from_stream(start.chain(rest)));
    response.headers_mut().insert(header::CONTENT_TYPE, "text/event-stream".parse().unwrap());
    response
}
