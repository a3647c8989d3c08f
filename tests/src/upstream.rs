//! A real HTTP server that answers like an `openai-chat` provider, with faults as scripted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::post;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use router_core::Status;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::answers::{Answers, NoAnswer};

mod fault;
mod steps;
mod wire;

pub use fault::{Fault, Rule, When};

/// What the upstream simulates.
#[derive(Debug)]
pub struct Simulated {
    /// What is answered.
    pub answers: Answers,
    /// What goes wrong; of several rules that strike, the first counts.
    pub faults: Vec<Rule>,
    /// Multiplies the latencies of the answers.
    pub latency_scale: f64,
    /// Between two pieces of content of a stream.
    pub between_events: Duration,
    /// Where streams wait after their first content, and other answers before all of theirs.
    pub gate: Gate,
}

impl Simulated {
    /// Answers at once and without faults.
    pub fn new(answers: Answers) -> Self {
        let (faults, between_events) = (Vec::new(), Duration::ZERO);
        Self { answers, faults, latency_scale: 0.0, between_events, gate: Gate::new(true) }
    }
}

/// Holds answers back until it is opened, so that a test knows what is in flight.
#[derive(Clone, Debug)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    /// An open or a closed gate.
    pub fn new(is_open: bool) -> Self {
        Self(watch::Sender::new(is_open))
    }

    /// Lets all pass from now on.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    async fn pass(&self) {
        // We hold the sender, so the channel does not close.
        self.0.subscribe().wait_for(|is_open| *is_open).await.ok();
    }
}

/// What has become of the requests so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that arrived.
    pub asked: usize,
    /// Answers that came to the gate.
    pub at_gate: usize,
    /// Answers that were given up because the other side went away.
    pub dropped: usize,
}

/// An upstream that runs until it is dropped.
#[derive(Debug)]
pub struct Upstream {
    /// `http://address:port`, to which `/v1` must be appended.
    pub url: String,
    /// Where answers wait, if it is closed.
    pub gate: Gate,
    counts: watch::Receiver<Counts>,
    _task: JoinSet<std::io::Result<()>>,
}

impl Upstream {
    /// Starts on a free port of the loopback interface.
    ///
    /// # Errors
    ///
    /// If the socket cannot be bound.
    pub async fn start(simulated: Simulated) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let gate = simulated.gate.clone();
        let state = Arc::new(Running::new(simulated));
        let counts = state.counts.subscribe();
        let mut task = JoinSet::new();
        task.spawn(run(listener, state));
        Ok(Self { url, gate, counts, _task: task })
    }

    /// What has become of the requests so far.
    pub fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    /// Waits until the counts are as wanted.
    pub async fn until(&self, is_reached: impl FnMut(&Counts) -> bool) {
        // The task holds the sender, and we hold the task.
        self.counts.clone().wait_for(is_reached).await.ok();
    }
}

/// Serves until the process ends.
///
/// # Errors
///
/// If the socket fails.
pub async fn serve(listener: TcpListener, simulated: Simulated) -> std::io::Result<()> {
    run(listener, Arc::new(Running::new(simulated))).await
}

#[derive(Debug)]
struct Running {
    simulated: Simulated,
    /// Requests so far that each fault is about.
    n_asked: Vec<AtomicU64>,
    counts: watch::Sender<Counts>,
}

async fn run(listener: TcpListener, state: Arc<Running>) -> std::io::Result<()> {
    let app = Router::new().route("/v1/chat/completions", post(chat)).with_state(state);
    // A failed option costs latency, not correctness.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, app).await
}

impl Running {
    fn new(simulated: Simulated) -> Self {
        let n_asked = simulated.faults.iter().map(|_| AtomicU64::new(0)).collect();
        Self { simulated, n_asked, counts: watch::Sender::default() }
    }

    /// The fault of this request, which is counted for every rule that is about its model.
    fn struck(&self, model: &str) -> Option<Fault> {
        let rules = self.simulated.faults.iter().zip(&self.n_asked);
        let mut struck = None;
        for (rule, n_asked) in rules.filter(|(rule, _)| rule.is_about(model)) {
            let n = n_asked.fetch_add(1, Ordering::Relaxed) + 1;
            if rule.strikes(n) {
                struck = struck.or(Some(rule.fault));
            }
        }
        struck
    }
}

/// A request that has arrived; dropped before it is done, the other side went away.
struct InFlight {
    gate: Gate,
    counts: watch::Sender<Counts>,
    is_done: bool,
}

impl InFlight {
    fn new(running: &Running) -> Self {
        let counts = running.counts.clone();
        counts.send_modify(|counts| counts.asked += 1);
        Self { gate: running.simulated.gate.clone(), counts, is_done: false }
    }

    fn done(&mut self) {
        self.is_done = true;
    }

    async fn wait_at_gate(&self) {
        self.counts.send_modify(|counts| counts.at_gate += 1);
        self.gate.pass().await;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if !self.is_done {
            self.counts.send_modify(|counts| counts.dropped += 1);
        }
    }
}

async fn chat(State(running): State<Arc<Running>>, Json(body): Json<Value>) -> Response {
    let mut in_flight = InFlight::new(&running);
    let (model, prompt) = wire::model_and_prompt(&body);
    let is_streamed = body["stream"].as_bool().unwrap_or(false);
    let fault = running.struck(model);
    match fault {
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Status { code, retry_after_s }) => {
            in_flight.done();
            return failed(code, retry_after_s);
        }
        Some(Fault::Garbage) => {
            in_flight.done();
            return garbage(is_streamed);
        }
        Some(Fault::Cut(_) | Fault::End(_)) | None => {}
    }
    let simulated = &running.simulated;
    let answer = match simulated.answers.answer(&prompt, model) {
        Ok(answer) => answer,
        Err(error) => {
            in_flight.done();
            return unknown(&error);
        }
    };
    match answer.outcome.status {
        Status::Ok => {}
        Status::Error | Status::Timeout => {
            in_flight.done();
            let is_error = answer.outcome.status == Status::Error;
            let code = if is_error {
                StatusCode::INTERNAL_SERVER_ERROR
            } else {
                StatusCode::GATEWAY_TIMEOUT
            };
            return wire::error(code, "the recorded call gave no answer", "recorded_fault");
        }
    }
    let latency_ms = answer.outcome.latency_ms.unwrap_or(0.0) * simulated.latency_scale;
    // A latency that is no duration is none.
    let latency = Duration::try_from_secs_f64(latency_ms / 1000.0).unwrap_or_default();
    tokio::time::sleep(latency).await;
    if is_streamed {
        let with_usage = body["stream_options"]["include_usage"].as_bool().unwrap_or(false);
        let events = wire::events(model, &answer, with_usage);
        let steps = steps::of_stream(events, simulated.between_events, fault);
        wire::success("text/event-stream", steps::body(steps, in_flight))
    } else {
        let steps = steps::of_whole(wire::buffered(model, &answer), fault);
        wire::success("application/json", steps::body(steps, in_flight))
    }
}

fn failed(code: StatusCode, retry_after_s: Option<u64>) -> Response {
    let message = format!("simulated fault with status {}", code.as_u16());
    let mut response = wire::error(code, &message, "simulated_fault");
    if let Some(seconds) = retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn garbage(is_streamed: bool) -> Response {
    if is_streamed {
        wire::success("text/event-stream", "data: <html>\n\n".into())
    } else {
        wire::success("text/html", "<html>simulated garbage</html>".into())
    }
}

fn unknown(error: &NoAnswer) -> Response {
    let code = match error {
        NoAnswer::Model(_) => "model_not_found",
        NoAnswer::Prompt(_) => "prompt_not_found",
        NoAnswer::Cell { .. } => "outcome_not_found",
    };
    wire::error(StatusCode::NOT_FOUND, &error.to_string(), code)
}

#[cfg(test)]
mod tests;
