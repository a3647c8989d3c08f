//! What the service runs with: default, file, environment, flags, checked once and then trusted.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use router_core::{Catalog, ModelId, Tier};

mod check;
mod raw;
mod secret;

pub use secret::Secret;

/// The configuration of an empty file, with a comment for every key.
pub const DEFAULT: &str = include_str!("../config/default.toml");

/// Beginning of the names of the environment variables that are read.
const ENV_PREFIX: &str = "SEXTANT__";

/// What the service runs with. Every value is in range.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Largest request body, bytes.
    pub max_body_bytes: usize,
    /// How long readiness fails before accepting stops.
    pub pre_stop: Duration,
    /// How long requests in flight may take after that.
    pub drain: Duration,
    /// Where models are reached, by name.
    pub upstreams: BTreeMap<String, UpstreamConfig>,
    /// The candidates; `None` means those of the router.
    pub catalog: Option<Catalog>,
    /// How `auto` is decided.
    pub routing: RoutingConfig,
    /// SQLite file of decisions and feedback.
    pub database: PathBuf,
    /// The decision log.
    pub log: LogConfig,
}

/// One way to reach models.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// Without a slash at the end.
    pub base_url: String,
    /// Sent as bearer token.
    pub api_key: Option<Secret>,
    /// Its time limits.
    pub timeouts: Timeouts,
}

/// Time limits of one upstream (`spec/gateway.md`, 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// DNS, TCP and TLS.
    pub connect: Duration,
    /// Streams: request sent until the status line.
    pub headers: Duration,
    /// Streams: status line until the first content.
    pub first_content: Duration,
    /// Streams: between two pieces.
    pub idle: Duration,
    /// The whole request.
    pub total: Duration,
}

/// How `auto` is decided.
#[derive(Clone, Debug)]
pub struct RoutingConfig {
    /// Artifact file or the run folder that holds it.
    pub router: Option<PathBuf>,
    /// Tier of a plain `auto`.
    pub default_tier: Tier,
    /// Model for `auto` while there is no router.
    pub fallback_model: Option<ModelId>,
    /// Models that one `auto` request may try.
    pub max_attempts: usize,
}

/// The decision log.
#[derive(Clone, Copy, Debug)]
pub struct LogConfig {
    /// Whether prompts and tool definitions are stored.
    pub store_prompts: bool,
    /// Decisions that may wait.
    pub queue_rows: usize,
    /// Most decisions of one insert.
    pub batch_rows: usize,
}

/// Flags of the command line; they win over everything else.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--router`.
    pub router: Option<PathBuf>,
    /// Leaves the keys of upstreams unread, for a command that asks no upstream.
    pub without_keys: bool,
}

/// A configuration that does not start, and where it comes from.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {error}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Not TOML, an unknown key, a missing key or a wrong type.
    #[error("{source_name}: {message}")]
    Syntax {
        /// File or environment variables.
        source_name: String,
        /// What is wrong, with the key.
        message: String,
    },
    /// A value out of range.
    #[error("{source_name}: {key} must be {bound}, got {value}")]
    OutOfRange {
        /// File or environment variables.
        source_name: String,
        /// The key, with its section.
        key: String,
        /// The range.
        bound: String,
        /// The value.
        value: String,
    },
}

impl ConfigError {
    /// The same error of another source.
    fn of(self, source_name: String) -> Self {
        match self {
            Self::Unreadable { .. } => self,
            Self::Syntax { message, .. } => Self::Syntax { source_name, message },
            Self::OutOfRange { key, bound, value, .. } => {
                Self::OutOfRange { source_name, key, bound, value }
            }
        }
    }
}

/// The environment variables that are text. One that is not cannot be meant for us.
fn environment() -> BTreeMap<String, String> {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

impl Config {
    /// Reads default, file, environment and flags, in this order; the last one wins.
    ///
    /// # Errors
    ///
    /// If a source cannot be read, has an unknown key or a value out of range.
    pub fn load(file: Option<&Path>, flags: &Flags) -> Result<Self, ConfigError> {
        let environment = environment();
        let text = match file {
            Some(path) => Some(
                std::fs::read_to_string(path)
                    .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?,
            ),
            None => None,
        };
        let file = file.zip(text.as_deref());
        Self::from_sources(file, &environment, flags)
    }

    /// A configuration from TOML text alone, paths relative to the working directory.
    ///
    /// Only keys are taken from the environment (`api_key_env`).
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let mut keys = environment();
        keys.retain(|name, _| !name.starts_with(ENV_PREFIX));
        Self::from_sources(Some((Path::new("config"), text)), &keys, &Flags::default())
    }

    fn from_sources(
        file: Option<(&Path, &str)>,
        environment: &BTreeMap<String, String>,
        flags: &Flags,
    ) -> Result<Self, ConfigError> {
        let folder = file.and_then(|(path, _)| path.parent()).unwrap_or(Path::new(""));
        let reads_keys = !flags.without_keys;
        let around = check::Surroundings { folder, environment, reads_keys };
        let check =
            |table: &toml::Table, source_name: &str| check::check(table, source_name, &around);
        let mut table = raw::parse(DEFAULT, "default.toml")?;
        let mut name = "default.toml".to_owned();
        if let Some((path, text)) = file {
            name = path.display().to_string();
            raw::merge(&mut table, raw::parse(text, &name)?);
        }
        let (overrides, variables) = raw::overrides(environment);
        let mut config = if variables.is_empty() {
            check(&table, &name)?
        } else {
            // A file need not be whole if the environment says the rest.
            let alone = table.clone();
            raw::merge(&mut table, overrides);
            check(&table, &name).map_err(|error| match check(&alone, &name) {
                Err(same) if same.to_string() == error.to_string() => error,
                _ => error.of(format!("environment ({})", variables.join(", "))),
            })?
        };
        if let Some(router) = &flags.router {
            config.routing.router = Some(router.clone());
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests;
