//! The configuration as written, before it is checked.

use std::collections::BTreeMap;

use router_core::ModelSpec;
use serde::Deserialize;
use toml::{Table, Value};

use super::{ConfigError, ENV_PREFIX};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) server: RawServer,
    pub(super) timeouts: RawTimeouts,
    #[serde(default)]
    pub(super) upstreams: BTreeMap<String, RawUpstream>,
    pub(super) catalog: RawCatalog,
    #[serde(default)]
    pub(super) models: Vec<ModelSpec>,
    pub(super) routing: RawRouting,
    pub(super) database: RawDatabase,
    pub(super) log: RawLog,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawServer {
    pub(super) listen: String,
    pub(super) max_body_bytes: i64,
    pub(super) pre_stop_ms: i64,
    pub(super) drain_ms: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTimeouts {
    pub(super) connect_ms: i64,
    pub(super) headers_ms: i64,
    pub(super) first_content_ms: i64,
    pub(super) idle_ms: i64,
    pub(super) total_ms: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUpstream {
    pub(super) base_url: String,
    pub(super) api_key_env: Option<String>,
    pub(super) api_key_file: Option<String>,
    pub(super) connect_ms: Option<i64>,
    pub(super) headers_ms: Option<i64>,
    pub(super) first_content_ms: Option<i64>,
    pub(super) idle_ms: Option<i64>,
    pub(super) total_ms: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCatalog {
    pub(super) version: String,
    pub(super) file: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRouting {
    pub(super) router: String,
    pub(super) default_tier: String,
    pub(super) fallback_model: String,
    pub(super) max_attempts: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDatabase {
    pub(super) path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    pub(super) store_prompts: bool,
    pub(super) queue_rows: i64,
    pub(super) batch_rows: i64,
}

/// Reads TOML. The message of an error does not quote the line, which might hold a secret.
pub(super) fn parse(text: &str, source_name: &str) -> Result<Table, ConfigError> {
    text.parse::<Table>().map_err(|error| {
        let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
        let message = format!("line {line}: {}", error.message());
        ConfigError::Syntax { source_name: source_name.to_owned(), message }
    })
}

/// Lays `over` upon `under`: tables are merged, everything else is replaced.
pub(super) fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// What the environment overrides, and the names of the variables that do.
///
/// A value that reads as TOML is taken as such, every other one as text.
pub(super) fn overrides(environment: &BTreeMap<String, String>) -> (Table, Vec<String>) {
    let mut overrides = Table::new();
    let mut names = Vec::new();
    for (name, text) in environment {
        let Some(path) = name.strip_prefix(ENV_PREFIX) else { continue };
        let value = format!("value = {text}")
            .parse::<Table>()
            .ok()
            .and_then(|mut table| table.remove("value"))
            .unwrap_or_else(|| Value::String(text.clone()));
        let nested = path
            .to_lowercase()
            .rsplit("__")
            .fold(value, |value, key| Value::Table(Table::from_iter([(key.to_owned(), value)])));
        if let Value::Table(nested) = nested {
            merge(&mut overrides, nested);
            names.push(name.clone());
        }
    }
    (overrides, names)
}
