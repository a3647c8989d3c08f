//! `POST /v1/chat/completions`: choose, ask, pass on.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::error::ApiError;
use super::observe::{LogsItself, RequestId};
use crate::app::App;
use crate::dispatch::{Reply, ask_in_turn};
use crate::fault::{Fault, FaultClass};
use crate::flight::Flight;
use crate::relay::Relay;
use crate::request::ChatRequest;
use crate::routing::{Choice, choose};
use crate::upstream::is_dropped;

pub(super) async fn create(
    State(app): State<Arc<App>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let request = ChatRequest::parse(ApiError::bytes(body, &app)?)?;
    let choice = choose(&app, &request)?;
    let mut flight = Flight::new(&app, &request, &choice, request_id);
    let asked = tokio::select! {
        biased;
        asked = ask_in_turn(&request, &choice, &mut flight) => asked,
        () = app.cutoff.cancelled() => {
            Err(Fault::new(FaultClass::Stopping, "the server is stopping"))
        }
    };
    let mut response = match asked {
        Ok(Reply::Whole { headers, body }) => {
            flight.complete();
            let mut response = answer(&headers, Body::from(body), &flight, &choice);
            if let Some(cost) = flight.row().cost {
                let dollars = cost.to_string();
                insert(&mut response, "x-sextant-cost-usd", dollars.trim_start_matches('$'));
            }
            response
        }
        Ok(Reply::Stream(mut opened)) => {
            let headers = std::mem::take(&mut opened.headers);
            let mut response = answer(&headers, Body::empty(), &flight, &choice);
            for (name, value) in [("cache-control", "no-cache"), ("x-accel-buffering", "no")] {
                insert(&mut response, name, value);
            }
            *response.body_mut() = Relay::new(opened, flight).into_body();
            response
        }
        Err(fault) => {
            flight.failed(&fault);
            let mut response = ApiError::Upstream(fault).into_response();
            describe(&mut response, &flight, &choice);
            response
        }
    };
    response.extensions_mut().insert(LogsItself);
    Ok(response)
}

/// The upstream's headers that may pass, then ours.
fn answer(upstream: &HeaderMap, body: Body, flight: &Flight, choice: &Choice) -> Response {
    let mut response = Response::new(body);
    for (name, value) in upstream {
        let name = match name.as_str() {
            "x-request-id" => HeaderName::from_static("x-sextant-upstream-request-id"),
            _ => name.clone(),
        };
        if !is_dropped(&name) {
            response.headers_mut().append(name, value.clone());
        }
    }
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().entry(header::CONTENT_TYPE).or_insert(json);
    describe(&mut response, flight, choice);
    response
}

/// Says which model answered, and why.
fn describe(response: &mut Response, flight: &Flight, choice: &Choice) {
    let row = flight.row();
    let model = row.answered_model.as_ref().unwrap_or(&row.drawn_model);
    insert(response, "x-sextant-decision-id", &row.id);
    insert(response, "x-sextant-model", model.as_str());
    insert(response, "x-sextant-policy", &row.policy);
    insert(response, "x-sextant-reason", &choice.reason());
    if let Some(propensity) = row.propensity {
        insert(response, "x-sextant-propensity", &propensity.get().to_string());
    }
    if let Some(tier) = row.tier {
        insert(response, "x-sextant-tier", tier.as_str());
    }
    if let Some(provider) = &flight.provider {
        insert(response, "x-sextant-provider", provider);
    }
    let n_fallbacks = row.attempts.len().saturating_sub(1);
    if n_fallbacks > 0 {
        insert(response, "x-sextant-fallbacks", &n_fallbacks.to_string());
    }
}

/// Sets a header; a value that no header can carry is left out.
fn insert(response: &mut Response, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}
