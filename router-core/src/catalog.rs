//! The candidates at one moment, priced and versioned. Prices live in TOML, not in code.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::units::{Tokens, Usd, UsdPerMillionTokens};

/// The name of an LLM that can be called. Not empty, without surrounding spaces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelId(String);

/// A model name that is empty or has spaces around it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a model name must not be empty or have spaces around it, got {0:?}")]
pub struct ModelIdError(pub String);

impl ModelId {
    /// Checks and takes a name.
    ///
    /// # Errors
    ///
    /// If it is empty or has spaces around it.
    pub fn new(name: impl Into<String>) -> Result<Self, ModelIdError> {
        let name = name.into();
        if name.is_empty() || name.trim() != name {
            Err(ModelIdError(name))
        } else {
            Ok(Self(name))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ModelId {
    type Error = ModelIdError;

    fn try_from(name: String) -> Result<Self, ModelIdError> {
        Self::new(name)
    }
}

impl From<ModelId> for String {
    fn from(id: ModelId) -> Self {
        id.0
    }
}

impl std::fmt::Display for ModelId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a model charges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Dollars per million prompt tokens.
    pub input: UsdPerMillionTokens,
    /// Dollars per million cached prompt tokens; as `input` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<UsdPerMillionTokens>,
    /// Dollars per million completion tokens.
    pub output: UsdPerMillionTokens,
}

/// The tokens of one answer. `cached` is part of `prompt`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All prompt tokens.
    pub prompt: Tokens,
    /// Prompt tokens read from the provider's cache.
    pub cached: Tokens,
    /// All completion tokens, reasoning included.
    pub completion: Tokens,
}

impl Prices {
    /// What an answer costs, each class of tokens rounded once.
    pub fn cost(&self, usage: Usage) -> Usd {
        let cached = usage.cached.min(usage.prompt);
        let plain = Tokens(usage.prompt.0 - cached.0);
        self.input.cost(plain)
            + self.cached_input.unwrap_or(self.input).cost(cached)
            + self.output.cost(usage.completion)
    }
}

/// One candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// The name that clients and logs use.
    pub id: ModelId,
    /// Name of the upstream that serves it; the first one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// The name that the upstream knows it by; `id` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_model: Option<String>,
    /// Prices; absent means that its cost is unknown, never 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd_per_million_tokens: Option<Prices>,
    /// Prompt and completion tokens that fit; absent means unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_window: Option<Tokens>,
    /// Whether it can be sent tool definitions.
    #[serde(default = "yes")]
    pub tools: bool,
}

fn yes() -> bool {
    true
}

impl ModelSpec {
    /// A model of which only the name is known.
    pub fn named(id: ModelId) -> Self {
        Self {
            id,
            upstream: None,
            upstream_model: None,
            usd_per_million_tokens: None,
            context_window: None,
            tools: true,
        }
    }
}

/// The candidates at one moment, ordered by id, each id once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawCatalog")]
pub struct Catalog {
    /// Named by whoever wrote it, e.g. a date.
    version: String,
    models: Vec<ModelSpec>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCatalog {
    #[serde(default)]
    version: String,
    models: Vec<ModelSpec>,
}

/// Why a catalog is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// Nothing to choose from.
    #[error("a catalog must have at least 1 model, got 0")]
    Empty,
    /// Two entries with one name.
    #[error("model {0} is in the catalog twice")]
    Duplicate(ModelId),
    /// Not TOML, an unknown key, or a value out of range.
    #[error("catalog: {0}")]
    Syntax(String),
}

impl TryFrom<RawCatalog> for Catalog {
    type Error = CatalogError;

    fn try_from(raw: RawCatalog) -> Result<Self, CatalogError> {
        Self::new(raw.version, raw.models)
    }
}

impl Catalog {
    /// Checks and orders the models.
    ///
    /// # Errors
    ///
    /// If there is none, or one twice.
    pub fn new(version: String, mut models: Vec<ModelSpec>) -> Result<Self, CatalogError> {
        if models.is_empty() {
            return Err(CatalogError::Empty);
        }
        let mut seen = BTreeSet::new();
        for model in &models {
            if !seen.insert(&model.id) {
                return Err(CatalogError::Duplicate(model.id.clone()));
            }
        }
        models.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(Self { version, models })
    }

    /// Reads a catalog written in TOML.
    ///
    /// # Errors
    ///
    /// If it is not TOML, has an unknown key, a value out of range, no model, or one twice.
    pub fn from_toml(text: &str) -> Result<Self, CatalogError> {
        toml::from_str(text).map_err(|error| CatalogError::Syntax(error.to_string()))
    }

    /// The version its author gave it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The models, ordered by id.
    pub fn models(&self) -> &[ModelSpec] {
        &self.models
    }

    /// The model of that name.
    pub fn get(&self, id: &str) -> Option<&ModelSpec> {
        self.arm(id).map(|arm| &self.models[arm])
    }

    /// Its index within this catalog.
    pub fn arm(&self, id: &str) -> Option<usize> {
        self.models.binary_search_by(|model| model.id.as_str().cmp(id)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"
        version = "2026-11-01"
        [[models]]
        id = "small"
        usd_per_million_tokens = { input = 0.15, output = 0.6 }
        [[models]]
        id = "big"
        upstream = "openai"
        usd_per_million_tokens = { input = 2.5, cached_input = 1.25, output = 10 }
        context_window = 128000
    "#;

    #[test]
    fn prices_come_from_toml_and_models_are_ordered() {
        let catalog = Catalog::from_toml(TWO).unwrap();
        let ids: Vec<_> = catalog.models().iter().map(|model| model.id.as_str()).collect();
        assert_eq!(ids, ["big", "small"]);
        let prices = catalog.get("big").unwrap().usd_per_million_tokens.unwrap();
        let usage = Usage { prompt: Tokens(1000), cached: Tokens(800), completion: Tokens(200) };
        assert_eq!(prices.cost(usage), Usd::from_nanos(3_500_000));
    }

    #[test]
    fn what_it_does_not_know_is_refused() {
        let unknown = Catalog::from_toml("[[models]]\nid = \"a\"\nprice = 1").unwrap_err();
        assert!(unknown.to_string().contains("unknown field `price`"), "{unknown}");
        let twice = "[[models]]\nid = \"a\"\n[[models]]\nid = \"a\"";
        assert!(Catalog::from_toml(twice).unwrap_err().to_string().contains("twice"));
        assert!(Catalog::from_toml("models = []").unwrap_err().to_string().contains("at least 1"));
        let negative =
            "[[models]]\nid = \"a\"\nusd_per_million_tokens = { input = -1, output = 1 }";
        assert!(Catalog::from_toml(negative).unwrap_err().to_string().contains("price must be"));
    }
}
