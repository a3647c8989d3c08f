//! `GET /v1/models`: the catalog, and the names that ask for routing.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use router_core::{Catalog, Tier};
use serde::Serialize;

use crate::app::App;
use crate::routing::upstream_of;

#[derive(Serialize)]
pub(super) struct List {
    object: &'static str,
    data: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    id: String,
    object: &'static str,
    created: i64,
    owned_by: String,
}

fn entry(id: String, owned_by: &str) -> Entry {
    Entry { id, object: "model", created: 0, owned_by: owned_by.to_owned() }
}

pub(super) async fn list(State(app): State<Arc<App>>) -> Json<List> {
    let serving = app.champion.serving();
    let models = serving.catalog.as_ref().map(Catalog::models).unwrap_or_default();
    let catalog = models.iter().filter_map(|model| {
        upstream_of(&app, model).map(|upstream| entry(model.id.as_str().to_owned(), upstream))
    });
    let tiers = Tier::ALL.map(|tier| entry(format!("auto:{tier}"), "sextant"));
    let auto = std::iter::once(entry("auto".to_owned(), "sextant")).chain(tiers);
    Json(List { object: "list", data: auto.chain(catalog).collect() })
}
