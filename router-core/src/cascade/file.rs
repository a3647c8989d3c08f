//! Cascades ⇄ JSON: one for all requests, and one for each fold of a cross-fit.

use serde::{Deserialize, Serialize};

use super::{CASCADE_FORMAT_VERSION, Cascade, CascadeError};
use crate::manifest::CrossFit;

/// `cascade.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CascadeFile {
    /// [`CASCADE_FORMAT_VERSION`].
    pub format_version: u32,
    /// Version of the router that it was fitted for.
    pub router: String,
    /// The cascade to serve.
    pub all: Cascade,
    /// Cascades that were fitted without the requests of a fold, to be judged on them.
    pub folds: Vec<FoldCascade>,
}

/// A cascade of one fold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoldCascade {
    /// Which requests it did not see.
    pub cross_fit: CrossFit,
    /// The cascade.
    pub cascade: Cascade,
}

impl CascadeFile {
    /// Reads a file, and refuses what it does not know.
    ///
    /// # Errors
    ///
    /// If it is not JSON of this version, has unknown keys, or a number is out of range.
    pub fn from_json(text: &str) -> Result<Self, CascadeError> {
        let broken = |error: serde_json::Error| CascadeError::Syntax(error.to_string());
        let value: serde_json::Value = serde_json::from_str(text).map_err(broken)?;
        let version = value.get("format_version").and_then(serde_json::Value::as_u64);
        let version =
            version.ok_or_else(|| CascadeError::Syntax("format_version is missing".to_owned()))?;
        if version != u64::from(CASCADE_FORMAT_VERSION) {
            return Err(CascadeError::Version(version));
        }
        let file: Self = serde_json::from_value(value).map_err(broken)?;
        file.all.check()?;
        file.folds.iter().try_for_each(|fold| fold.cascade.check())?;
        Ok(file)
    }

    /// The cascade that did not see the requests of a fold.
    pub fn held_out(&self, fold: i32) -> Option<&Cascade> {
        let found = self.folds.iter().find(|of| of.cross_fit.held_out == fold);
        found.map(|of| &of.cascade)
    }
}
