//! Raw configuration to checked configuration: ranges and references, in one place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use router_core::{Catalog, ModelId, Tier};
use toml::Table;

use super::raw::{RawConfig, RawServer, RawTimeouts, RawUpstream};
use crate::routing::tier_of;

use super::{Config, ConfigError, LogConfig, RoutingConfig, Secret, Timeouts, UpstreamConfig};

const DAY_MS: i64 = 86_400_000;

/// What a configuration refers to.
pub(super) struct Surroundings<'a> {
    /// Relative paths start here.
    pub(super) folder: &'a Path,
    pub(super) environment: &'a BTreeMap<String, String>,
    /// Whether the keys of upstreams are looked up.
    pub(super) reads_keys: bool,
}

/// Checks the merged table; errors name `source_name`, the last source laid upon it.
pub(super) fn check(
    table: &Table,
    source_name: &str,
    around: &Surroundings<'_>,
) -> Result<Config, ConfigError> {
    let raw: RawConfig = toml::Value::Table(table.clone()).try_into().map_err(|error| {
        let error: toml::de::Error = error;
        ConfigError::Syntax {
            source_name: source_name.to_owned(),
            message: error.to_string().trim().replace('\n', " "),
        }
    })?;
    Check { source_name, around }.config(raw)
}

struct Check<'a> {
    source_name: &'a str,
    around: &'a Surroundings<'a>,
}

impl Check<'_> {
    fn config(&self, raw: RawConfig) -> Result<Config, ConfigError> {
        let RawServer { listen, max_body_bytes, pre_stop_ms, drain_ms } = raw.server;
        let mut upstreams = BTreeMap::new();
        for (name, upstream) in raw.upstreams {
            let checked = self.upstream(&name, upstream, &raw.timeouts)?;
            upstreams.insert(name, checked);
        }
        self.timeouts("timeouts", &raw.timeouts)?;
        let catalog = self.catalog(&raw.catalog.file, raw.catalog.version, raw.models)?;
        self.references(catalog.as_ref(), &upstreams)?;
        let routing = RoutingConfig {
            router: self.path(&raw.routing.router),
            default_tier: raw.routing.default_tier.parse().map_err(|_| {
                let bound = "one of cost, balanced, quality, speed";
                self.out_of_range("routing.default_tier", bound, &raw.routing.default_tier)
            })?,
            fallback_model: self.fallback(raw.routing.fallback_model, catalog.as_ref())?,
            max_attempts: self.count("routing.max_attempts", raw.routing.max_attempts, 1, 8)?,
        };
        let log = LogConfig {
            store_prompts: raw.log.store_prompts,
            queue_rows: self.count("log.queue_rows", raw.log.queue_rows, 1, 1_000_000)?,
            batch_rows: self.count("log.batch_rows", raw.log.batch_rows, 1, 10_000)?,
        };
        let bound = "an address and a port such as 127.0.0.1:8013";
        Ok(Config {
            listen: listen
                .parse()
                .map_err(|_| self.out_of_range("server.listen", bound, &listen))?,
            max_body_bytes: self.count("server.max_body_bytes", max_body_bytes, 1024, 1 << 30)?,
            pre_stop: self.millis("server.pre_stop_ms", pre_stop_ms, 0, 600_000)?,
            drain: self.millis("server.drain_ms", drain_ms, 0, 3_600_000)?,
            upstreams,
            catalog,
            routing,
            database: self.path(&raw.database.path).ok_or_else(|| {
                self.out_of_range("database.path", "the path of a file", &raw.database.path)
            })?,
            log,
        })
    }

    fn upstream(
        &self,
        name: &str,
        raw: RawUpstream,
        defaults: &RawTimeouts,
    ) -> Result<UpstreamConfig, ConfigError> {
        let section = format!("upstreams.{name}");
        let url = raw.base_url.trim_end_matches('/').to_owned();
        let is_http = url.starts_with("http://") || url.starts_with("https://");
        if !is_http || url.parse::<reqwest::Url>().is_err() {
            let bound = "a URL that begins with http:// or https://";
            return Err(self.out_of_range(&format!("{section}.base_url"), bound, &url));
        }
        let timeouts = RawTimeouts {
            connect_ms: raw.connect_ms.unwrap_or(defaults.connect_ms),
            headers_ms: raw.headers_ms.unwrap_or(defaults.headers_ms),
            first_content_ms: raw.first_content_ms.unwrap_or(defaults.first_content_ms),
            idle_ms: raw.idle_ms.unwrap_or(defaults.idle_ms),
            total_ms: raw.total_ms.unwrap_or(defaults.total_ms),
        };
        let api_key = match (&raw.api_key_env, &raw.api_key_file) {
            (Some(_), Some(_)) => {
                let bound = "api_key_env or api_key_file";
                return Err(self.out_of_range(&section, bound, "both"));
            }
            _ if !self.around.reads_keys => None,
            (Some(variable), None) => Some(self.key_of(&section, variable)?),
            (None, Some(file)) => Some(self.key_in(file)?),
            (None, None) => None,
        };
        Ok(UpstreamConfig { base_url: url, api_key, timeouts: self.timeouts(&section, &timeouts)? })
    }

    fn timeouts(&self, section: &str, raw: &RawTimeouts) -> Result<Timeouts, ConfigError> {
        let millis = |key: &str, value| self.millis(&format!("{section}.{key}"), value, 1, DAY_MS);
        Ok(Timeouts {
            connect: millis("connect_ms", raw.connect_ms)?,
            headers: millis("headers_ms", raw.headers_ms)?,
            first_content: millis("first_content_ms", raw.first_content_ms)?,
            idle: millis("idle_ms", raw.idle_ms)?,
            total: millis("total_ms", raw.total_ms)?,
        })
    }

    fn key_of(&self, section: &str, variable: &str) -> Result<Secret, ConfigError> {
        match self.around.environment.get(variable) {
            Some(value) if !value.trim().is_empty() => Ok(Secret::new(value)),
            _ => {
                let bound = "the name of an environment variable that holds a key";
                let value = format!("{variable}, which is not set");
                Err(self.out_of_range(&format!("{section}.api_key_env"), bound, &value))
            }
        }
    }

    fn key_in(&self, file: &str) -> Result<Secret, ConfigError> {
        let path = self.around.folder.join(file);
        std::fs::read_to_string(&path)
            .map(|text| Secret::new(&text))
            .map_err(|error| ConfigError::Unreadable { path, error })
    }

    fn catalog(
        &self,
        file: &str,
        version: String,
        models: Vec<router_core::ModelSpec>,
    ) -> Result<Option<Catalog>, ConfigError> {
        let syntax = |message: String| ConfigError::Syntax {
            source_name: self.source_name.to_owned(),
            message,
        };
        match (self.path(file), models.is_empty()) {
            (None, true) => Ok(None),
            (None, false) => {
                Catalog::new(version, models).map(Some).map_err(|error| syntax(error.to_string()))
            }
            (Some(path), true) => {
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| ConfigError::Unreadable { path: path.clone(), error })?;
                Catalog::from_toml(&text).map(Some).map_err(|error| ConfigError::Syntax {
                    source_name: path.display().to_string(),
                    message: error.to_string(),
                })
            }
            (Some(_), false) => {
                Err(self.out_of_range("catalog.file", "empty when there are [[models]]", file))
            }
        }
    }

    /// Every upstream that a model names is there, and no model is named like a wish to be routed.
    fn references(
        &self,
        catalog: Option<&Catalog>,
        upstreams: &BTreeMap<String, UpstreamConfig>,
    ) -> Result<(), ConfigError> {
        for model in catalog.map(Catalog::models).unwrap_or_default() {
            let name = model.id.as_str();
            if tier_of(name, Tier::Balanced).is_some() {
                let bound = "another name than auto and auto:TIER, which ask for routing";
                return Err(self.out_of_range("models.id", bound, name));
            }
            if let Some(name) = &model.upstream
                && !upstreams.contains_key(name)
            {
                let known: Vec<&str> = upstreams.keys().map(String::as_str).collect();
                let bound = format!("one of the upstreams [{}]", known.join(", "));
                let key = format!("models.{}.upstream", model.id);
                return Err(self.out_of_range(&key, &bound, name));
            }
        }
        Ok(())
    }

    fn fallback(
        &self,
        name: String,
        catalog: Option<&Catalog>,
    ) -> Result<Option<ModelId>, ConfigError> {
        if name.is_empty() {
            return Ok(None);
        }
        let known = catalog.is_none_or(|catalog| catalog.get(&name).is_some());
        match ModelId::new(name.clone()) {
            Ok(id) if known => Ok(Some(id)),
            _ => Err(self.out_of_range("routing.fallback_model", "a model of the catalog", &name)),
        }
    }

    fn path(&self, text: &str) -> Option<PathBuf> {
        (!text.is_empty()).then(|| self.around.folder.join(text))
    }

    fn count(&self, key: &str, value: i64, low: i64, high: i64) -> Result<usize, ConfigError> {
        let bound = || format!("at least {low} and at most {high}");
        usize::try_from(value)
            .ok()
            .filter(|_| (low..=high).contains(&value))
            .ok_or_else(|| self.out_of_range(key, &bound(), &value.to_string()))
    }

    fn millis(&self, key: &str, value: i64, low: i64, high: i64) -> Result<Duration, ConfigError> {
        self.count(key, value, low, high).map(|millis| Duration::from_millis(millis as u64))
    }

    fn out_of_range(&self, key: &str, bound: &str, value: &str) -> ConfigError {
        ConfigError::OutOfRange {
            source_name: self.source_name.to_owned(),
            key: key.to_owned(),
            bound: bound.to_owned(),
            value: value.to_owned(),
        }
    }
}
