//! Every route, in one table.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::app::App;

mod chat;
pub(crate) mod error;
mod feedback;
mod health;
mod models;
mod observe;
mod route;

#[cfg(test)]
mod tests;

/// The service, ready for a listener or for requests in memory.
pub fn table(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat::create))
        .route("/v1/models", get(models::list))
        .route("/v1/route", post(route::decide))
        .route("/v1/feedback", post(feedback::create))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(DefaultBodyLimit::max(app.config.max_body_bytes))
        .layer(from_fn_with_state(Arc::clone(&app), observe::observe))
        .with_state(app)
}
