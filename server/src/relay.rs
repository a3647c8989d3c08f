//! A stream on its way to the client: held until its first content, then passed on as it arrives.
//!
//! Before the first content a failure is a [`Fault`], and another model may answer
//! (`spec/gateway.md`, 4.5). After it a failure is an in-band error, and nothing is forged:
//! no `[DONE]`, no finish reason, no last chunk of the body.

use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use bytes::{Bytes, BytesMut};
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _};

use crate::config::Timeouts;
use crate::fault::{Fault, FaultClass};
use crate::flight::Flight;
use crate::http::error::error_body;
use crate::sse::{Event, Splitter};
use crate::upstream::Answer;
use crate::usage::{Seen, Tap};

/// How long the rest of an upstream's body is read after its end, so that its connection is kept.
const LINGER: Duration = Duration::from_secs(1);

/// A stream whose first content has arrived and waits to be passed on.
pub(crate) struct Opened {
    /// The upstream's headers.
    pub(crate) headers: HeaderMap,
    held: BytesMut,
    body: BoxStream<'static, Result<Bytes, Fault>>,
    splitter: Splitter,
    drops_usage: bool,
    timeouts: Timeouts,
}

fn malformed() -> Fault {
    Fault::new(FaultClass::Provider, "the upstream sent an event that is not JSON")
}

fn cut() -> Fault {
    Fault::new(FaultClass::Transport, "the upstream's stream ended too soon")
}

fn look(event: &Event, tap: &mut Tap) -> Seen {
    event.data.as_ref().map_or(Seen::Other, |data| tap.event(data))
}

/// Reads until the first content.
///
/// # Errors
///
/// If the stream ends, breaks, or says an error before it.
pub(crate) async fn open(
    answer: Answer,
    drops_usage: bool,
    timeouts: Timeouts,
    tap: &mut Tap,
) -> Result<Opened, Fault> {
    let Answer { headers, mut body } = answer;
    let mut splitter = Splitter::default();
    let mut held = BytesMut::new();
    let mut has_ended = false;
    loop {
        let event = match next_event(&mut splitter)? {
            None if has_ended => splitter.finish(),
            event => event,
        };
        let Some(event) = event else {
            match body.next().await {
                Some(piece) => splitter.push(&piece?),
                None if has_ended => return Err(cut()),
                None => has_ended = true,
            }
            continue;
        };
        match look(&event, tap) {
            Seen::Content => {
                held.extend_from_slice(&event.raw);
                return Ok(Opened { headers, held, body, splitter, drops_usage, timeouts });
            }
            Seen::UsageOnly if drops_usage => {}
            Seen::UsageOnly | Seen::Other => held.extend_from_slice(&event.raw),
            Seen::Done => return Err(cut()),
            Seen::Malformed => return Err(malformed()),
            Seen::Error(error) => return Err(Fault::said(error)),
        }
    }
}

fn next_event(splitter: &mut Splitter) -> Result<Option<Event>, Fault> {
    splitter.next_event().map_err(|error| Fault::new(FaultClass::Provider, error.to_string()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Flowing,
    /// Nothing more will come.
    Done,
    /// The connection is to end without the last chunk of its body.
    Aborting,
}

/// The body of the client's answer. Dropping it cancels the upstream and logs the cancellation.
pub(crate) struct Relay {
    held: BytesMut,
    body: BoxStream<'static, Result<Bytes, Fault>>,
    splitter: Splitter,
    drops_usage: bool,
    timeouts: Timeouts,
    flight: Flight,
    state: State,
}

impl Relay {
    /// Joins an open stream with the request it answers.
    pub(crate) fn new(opened: Opened, flight: Flight) -> Self {
        let Opened { headers: _, held, body, splitter, drops_usage, timeouts } = opened;
        Self { held, body, splitter, drops_usage, timeouts, flight, state: State::Flowing }
    }

    /// The body to answer with.
    pub(crate) fn into_body(self) -> Body {
        Body::from_stream(futures_util::stream::unfold(self, Self::step))
    }

    async fn step(mut self) -> Option<(Result<Bytes, std::io::Error>, Self)> {
        loop {
            if !self.held.is_empty() {
                return Some((Ok(self.held.split().freeze()), self));
            }
            match self.state {
                State::Flowing => self.read().await,
                State::Done => return None,
                State::Aborting => {
                    // What was written must leave before the connection does.
                    tokio::task::yield_now().await;
                    self.state = State::Done;
                    return Some((Err(std::io::Error::other("the stream was interrupted")), self));
                }
            }
        }
    }

    /// Puts what can be passed on into `held`, waiting for the upstream if there is nothing yet.
    async fn read(&mut self) {
        if let Err((code, fault)) = self.try_read().await {
            self.abort(code, &fault);
        }
    }

    async fn try_read(&mut self) -> Result<(), (&'static str, Fault)> {
        self.take_events()?;
        if !self.held.is_empty() || self.state != State::Flowing {
            return Ok(());
        }
        let Timeouts { idle, total, .. } = self.timeouts;
        let left = self.flight.left_of(total);
        let piece = tokio::select! {
            biased;
            () = self.flight.app.cutoff.cancelled() => {
                let fault = Fault::new(FaultClass::Stopping, "the server is stopping");
                return Err(("router_stopping", fault));
            }
            piece = tokio::time::timeout(idle.min(left), self.body.next()) => piece,
        };
        match piece {
            Ok(Some(Ok(bytes))) => {
                self.splitter.push(&bytes);
                self.take_events()
            }
            Ok(Some(Err(fault))) => Err(("router_stream_cut", fault)),
            Ok(None) => self.take_rest(),
            Err(_) if left < idle => {
                let message = format!("the answer took longer than {} ms", total.as_millis());
                Err(("router_upstream_timeout", Fault::new(FaultClass::Timeout, message)))
            }
            Err(_) => {
                let message = format!("the upstream sent nothing for {} ms", idle.as_millis());
                Err(("router_stream_stalled", Fault::new(FaultClass::Timeout, message)))
            }
        }
    }

    fn take_events(&mut self) -> Result<(), (&'static str, Fault)> {
        while self.state == State::Flowing {
            let next = next_event(&mut self.splitter);
            match next.map_err(|fault| ("router_stream_malformed", fault))? {
                Some(event) => {
                    let seen = look(&event, &mut self.flight.tap);
                    self.take(seen, &event)?;
                }
                None => break,
            }
        }
        Ok(())
    }

    /// The upstream has closed its stream.
    fn take_rest(&mut self) -> Result<(), (&'static str, Fault)> {
        if let Some(event) = self.splitter.finish() {
            // A piece of an event is no event: the stream is cut.
            let seen = look(&event, &mut self.flight.tap);
            if seen != Seen::Malformed {
                self.take(seen, &event)?;
            }
        }
        if self.state == State::Flowing {
            // Without `[DONE]` a finish reason makes an answer complete.
            if self.flight.tap.finish_reason.is_none() {
                return Err(("router_stream_cut", cut()));
            }
            self.state = State::Done;
            self.flight.complete();
        }
        Ok(())
    }

    fn take(&mut self, seen: Seen, event: &Event) -> Result<(), (&'static str, Fault)> {
        match seen {
            Seen::UsageOnly if self.drops_usage => {}
            Seen::Content | Seen::Other | Seen::UsageOnly => {
                self.held.extend_from_slice(&event.raw);
            }
            Seen::Done => {
                self.held.extend_from_slice(&event.raw);
                self.state = State::Done;
                // The row is queued before the client can see the end and send feedback.
                self.flight.complete();
                self.linger();
            }
            Seen::Malformed => return Err(("router_stream_malformed", malformed())),
            Seen::Error(error) => return Err(("router_stream_failed", Fault::said(error))),
        }
        Ok(())
    }

    /// Reads what little is left elsewhere, so that the upstream's connection can be used again.
    fn linger(&mut self) {
        let empty = futures_util::stream::empty().boxed();
        let rest = std::mem::replace(&mut self.body, empty);
        let drained = rest.for_each(|_| async {});
        self.flight.app.tasks.spawn(tokio::time::timeout(LINGER, drained).map(|_| ()));
    }

    /// Ends with a typed error in the stream; what was held before it still goes out.
    fn abort(&mut self, code: &'static str, fault: &Fault) {
        let said = fault.error.as_deref();
        let said = said.and_then(|error| error.get("message").or(Some(error))?.as_str());
        let mut body = error_body(said.unwrap_or(&fault.message), "upstream_error", None, code);
        if let Some(error) = body.get_mut("error") {
            error["request_id"] = self.flight.request_id.as_str().into();
            error["delivered_characters"] = self.flight.tap.n_chars.into();
            error["retryable"] = true.into();
        }
        self.held.extend_from_slice(format!("data: {body}\n\n").as_bytes());
        self.body = futures_util::stream::empty().boxed();
        self.state = State::Aborting;
        self.flight.interrupted(fault);
    }
}
