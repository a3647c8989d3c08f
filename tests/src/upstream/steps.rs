//! The body of an answer as it leaves: piece by piece, with pauses, a gate, or a break.

use std::io;
use std::time::Duration;

use axum::body::Body;
use futures_util::stream;

use super::InFlight;
use super::fault::Fault;
use super::wire::Events;

/// One step of sending a body.
#[derive(Debug)]
pub(super) enum Step {
    Send(String),
    Pause(Duration),
    /// Wait until the gate opens.
    Gate,
    /// Break the connection.
    Break,
}

/// The steps of a streamed answer. The gate is behind the first content.
pub(super) fn of_stream(events: Events, between: Duration, fault: Option<Fault>) -> Vec<Step> {
    let n_content = match fault {
        Some(Fault::Cut(n) | Fault::End(n)) => n.min(events.content.len()),
        Some(Fault::Status { .. } | Fault::Hang | Fault::Garbage) | None => events.content.len(),
    };
    let mut steps = vec![Step::Send(events.role)];
    for (number, event) in events.content.into_iter().take(n_content).enumerate() {
        if number > 0 && !between.is_zero() {
            steps.push(Step::Pause(between));
        }
        steps.push(Step::Send(event));
        if number == 0 {
            steps.push(Step::Gate);
        }
    }
    match fault {
        Some(Fault::Cut(_)) => steps.push(Step::Break),
        Some(Fault::End(_)) => {}
        Some(Fault::Status { .. } | Fault::Hang | Fault::Garbage) | None => {
            steps.extend(events.end.into_iter().map(Step::Send));
        }
    }
    steps
}

/// The steps of a buffered answer; a fault lets half of it pass.
pub(super) fn of_whole(mut text: String, fault: Option<Fault>) -> Vec<Step> {
    let is_cut = matches!(fault, Some(Fault::Cut(_)));
    if is_cut || matches!(fault, Some(Fault::End(_))) {
        text.truncate(text.floor_char_boundary(text.len() / 2));
    }
    let mut steps = vec![Step::Gate, Step::Send(text)];
    if is_cut {
        steps.push(Step::Break);
    }
    steps
}

/// The body that takes these steps.
pub(super) fn body(steps: Vec<Step>, in_flight: InFlight) -> Body {
    let state = (steps.into_iter(), in_flight);
    Body::from_stream(stream::unfold(state, |(mut steps, mut in_flight)| async move {
        loop {
            match steps.next() {
                Some(Step::Send(text)) => {
                    if steps.as_slice().is_empty() {
                        in_flight.done();
                    }
                    return Some((Ok(text), (steps, in_flight)));
                }
                Some(Step::Pause(pause)) => tokio::time::sleep(pause).await,
                Some(Step::Gate) => in_flight.wait_at_gate().await,
                Some(Step::Break) => {
                    in_flight.done();
                    // What was sent must leave before the connection does.
                    tokio::task::yield_now().await;
                    let cut = io::Error::other("a scripted fault");
                    return Some((Err(cut), (steps, in_flight)));
                }
                None => {
                    in_flight.done();
                    return None;
                }
            }
        }
    }))
}
