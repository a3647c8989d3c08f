//! The handlers in memory, against a small upstream on loopback.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use router_core::testing::manifest;
use router_core::{Weights, artifact};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::table;
use crate::{App, Config};

mod api;
mod buffered;
mod failures;
mod lifecycle;
mod sim;
mod streamed;

use sim::Sim;

/// An app over a simulated upstream, with its files in a folder of its own.
struct Rig {
    app: Arc<App>,
    table: Router,
    sim: Sim,
    folder: TempDir,
}

/// What a request got.
struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Rig {
    /// Models are `(id, behavior)` pairs of the simulated upstream; `extra` is more configuration.
    async fn new(models: &[(&str, &str)], extra: &str) -> Self {
        Self::with_router(models, extra, None).await
    }

    /// The same, with a router of `large` (0.9, one cent) and `small` (0.6, a tenth of it).
    async fn routed(models: &[(&str, &str)], extra: &str) -> Self {
        Self::with_router(models, extra, Some(&two_model_router())).await
    }

    async fn with_router(models: &[(&str, &str)], extra: &str, router: Option<&[u8]>) -> Self {
        let sim = Sim::start().await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("router.safetensors");
        if let Some(bytes) = router {
            std::fs::write(&file, bytes).unwrap();
        }
        let config = Config::from_toml(&configuration(&sim, folder.path(), models, extra)).unwrap();
        let app = App::start(config).await.unwrap();
        Self { table: table(Arc::clone(&app)), app, sim, folder }
    }

    /// The same upstream and files under a changed configuration, with a log of its own.
    async fn changed(self, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = self.app.config.clone();
        config.database = self.folder.path().join("other.db");
        change(&mut config);
        let app = App::start(config).await.unwrap();
        Self { table: table(Arc::clone(&app)), app, ..self }
    }

    fn router_file(&self) -> PathBuf {
        self.folder.path().join("router.safetensors")
    }

    async fn send(&self, method: &str, path: &str, body: impl Into<Body>) -> Response {
        let request = Request::builder().method(method).uri(path).body(body.into()).unwrap();
        self.table.clone().oneshot(request).await.unwrap()
    }

    async fn request(&self, method: &str, path: &str, body: impl Into<Body>) -> Got {
        let response = self.send(method, path, body).await;
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Got { status: parts.status, headers: parts.headers, body }
    }

    async fn post(&self, path: &str, body: Value) -> Got {
        self.request("POST", path, body.to_string()).await
    }

    async fn get(&self, path: &str) -> Got {
        self.request("GET", path, Body::empty()).await
    }

    async fn chat(&self, model: &str) -> Got {
        self.post("/v1/chat/completions", chat(model)).await
    }

    /// The decision log as written so far.
    async fn log(&self) -> Vec<SqliteRow> {
        assert!(self.app.log.flush().await);
        crate::db::decisions::all(self.app.db.pool().await.unwrap()).await
    }
}

fn chat(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "What is 2 + 2?" }] })
}

fn streamed(model: &str) -> Value {
    let mut body = chat(model);
    body["stream"] = true.into();
    body
}

fn configuration(sim: &Sim, folder: &Path, models: &[(&str, &str)], extra: &str) -> String {
    let models: String = models
        .iter()
        .map(|(id, behavior)| {
            let upstream = if *behavior == "unreachable" { "dead" } else { "sim" };
            format!(
                "[[models]]\nid = \"{id}\"\nupstream = \"{upstream}\"\n\
                 upstream_model = \"{behavior}\"\n\
                 usd_per_million_tokens = {{ input = 2.5, cached_input = 1.25, output = 10.0 }}\n"
            )
        })
        .collect();
    let (url, folder) = (&sim.url, folder.display());
    let pre_stop = if extra.contains("pre_stop_ms") { "" } else { "server.pre_stop_ms = 0\n" };
    // The port of `dead` is reserved by the system and refuses connections.
    format!(
        "database.path = \"{folder}/log.db\"\nrouting.router = \"{folder}/router.safetensors\"\n\
         log.store_prompts = true\n{pre_stop}{extra}\n\
         [upstreams.dead]\nbase_url = \"http://127.0.0.1:1/v1\"\n\
         [upstreams.sim]\nbase_url = \"{url}/v1\"\nidle_ms = 5000\n{models}"
    )
}

/// The bytes of a router of `large` and `small` that always prefers `large`.
fn two_model_router() -> Vec<u8> {
    let constant = router_core::predictor::Constant {
        quality: vec![0.9, 0.6],
        cost: vec![Some(0.01), Some(0.001)],
        latency_ms: vec![None, None],
    };
    artifact::to_bytes(manifest(&["large", "small"]), Weights::Constant(constant)).unwrap()
}
