//! Asking the chosen model, and for a routed request the next one, until there is something to say.

use bytes::Bytes;

use axum::http::{HeaderMap, header};
use router_core::ModelSpec;

use crate::app::App;
use crate::clock;
use crate::fault::{Fault, FaultClass};
use crate::flight::Flight;
use crate::relay::{Opened, open};
use crate::request::ChatRequest;
use crate::routing::{Choice, upstream_of};
use crate::upstream::{Answer, Call, Deployment, read_all, within};

/// Largest buffered answer, bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// An answer worth a status line.
pub(crate) enum Reply {
    /// All of it.
    Whole { headers: HeaderMap, body: Bytes },
    /// A stream whose first content has arrived.
    Stream(Opened),
}

/// Asks in turn until a model answers. A named model has no turn after it.
///
/// # Errors
///
/// The last fault, if nobody answered.
pub(crate) async fn ask_in_turn(
    request: &ChatRequest,
    choice: &Choice,
    flight: &mut Flight,
) -> Result<Reply, Fault> {
    let app = std::sync::Arc::clone(&flight.app);
    let mut model = choice.model.clone();
    let mut tried = Vec::new();
    loop {
        let started = clock::instant();
        let name = model.upstream_model.as_deref().unwrap_or(model.id.as_str());
        let body = request.body_for(name);
        let asked = match deployment(&app, upstream_of(&app, &model)) {
            Ok(deployment) => ask(deployment, request, body, flight).await,
            Err(fault) => Err(fault),
        };
        flight.attempted(&model, started, asked.as_ref().err());
        let fault = match asked {
            Ok(reply) => return Ok(reply),
            Err(fault) => fault,
        };
        tried.push(model.id);
        if !fault.class.may_fail_over() || tried.len() >= app.config.routing.max_attempts {
            return Err(fault);
        }
        let next = choice.next(&tried).filter(|next| has_time(&app, next, flight));
        let Some(next) = next else { return Err(fault) };
        tracing::warn!(%fault, next = next.id.as_str(), "another model is asked");
        model = next;
    }
}

/// Whether anything is left of the request's time for one more model.
fn has_time(app: &App, model: &ModelSpec, flight: &Flight) -> bool {
    deployment(app, upstream_of(app, model))
        .is_ok_and(|deployment| !flight.left_of(deployment.timeouts.total).is_zero())
}

fn deployment<'a>(app: &'a App, name: Option<&str>) -> Result<&'a Deployment, Fault> {
    let missing = || Fault::new(FaultClass::Transport, "the upstream is not configured");
    name.and_then(|name| app.upstreams.get(name)).ok_or_else(missing)
}

async fn ask(
    deployment: &Deployment,
    request: &ChatRequest,
    body: Bytes,
    flight: &mut Flight,
) -> Result<Reply, Fault> {
    let timeouts = &deployment.timeouts;
    let left = flight.left_of(timeouts.total);
    let call =
        Call { body, streamed: request.streamed, left, request_id: flight.request_id.clone() };
    let mut answer = deployment.upstream.ask(call).await?;
    let left = flight.left_of(timeouts.total);
    if is_event_stream(&answer) {
        let limit = left.min(timeouts.first_content);
        let opening = open(answer, request.asks_usage_for_us(), *timeouts, &mut flight.tap);
        return within(limit, "content", opening).await?.map(Reply::Stream);
    }
    let body = within(left, "its whole answer", read_all(&mut answer, MAX_ANSWER_BYTES)).await??;
    flight.tap.answer(&body)?;
    Ok(Reply::Whole { headers: answer.headers, body })
}

fn is_event_stream(answer: &Answer) -> bool {
    let kind = answer.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.trim_start().starts_with("text/event-stream"))
}
