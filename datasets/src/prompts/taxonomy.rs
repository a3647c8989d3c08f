//! From the labels of many sources to one set of labels.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::Prompt;
use crate::error::{DatasetError, RowError};

/// What prompts of a label are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Fitting, and testing by folds.
    Train,
    /// Testing only: what they are like was never fitted on.
    Eval,
}

/// A CSV of `source, field, label, canonical, use` (other columns are not read): prompts of the
/// source whose column `field` holds `label` are `canonical`.
///
/// The label `*` means every other label of the source and field. Rows whose use is neither
/// `train` nor `eval`, or that name no canonical label, leave their prompts out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taxonomy {
    canonical: BTreeMap<(String, String, String), Option<(String, Use)>>,
}

#[derive(Deserialize)]
struct Line {
    source: String,
    field: String,
    label: String,
    canonical: String,
    #[serde(rename = "use")]
    usage: String,
}

impl Taxonomy {
    /// Reads a taxonomy.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, lacks a column, or names a label twice.
    pub fn read(path: &Path) -> Result<Self, DatasetError> {
        let broken = |error: csv::Error| DatasetError::file(path, std::io::Error::other(error));
        let mut canonical = BTreeMap::new();
        let mut reader = csv::Reader::from_path(path).map_err(broken)?;
        for (row, line) in reader.deserialize::<Line>().enumerate() {
            let line = line.map_err(broken)?;
            let usage = match line.usage.as_str() {
                "train" => Some(Use::Train),
                "eval" => Some(Use::Eval),
                _ => None,
            };
            let known = !line.canonical.is_empty();
            let value = usage.filter(|_| known).map(|usage| (line.canonical, usage));
            let name = format!("{}/{}/{}", line.source, line.field, line.label);
            if canonical.insert((line.source, line.field, line.label), value).is_some() {
                let error = RowError::new(row, "label", "be named once", name);
                return Err(DatasetError::row(path, error));
            }
        }
        Ok(Self { canonical })
    }

    /// The canonical label of a prompt, and what the prompt is for; `None` to leave it out.
    pub fn of(&self, prompt: &Prompt) -> Option<(&str, Use)> {
        let find = |label: &str| {
            let key = (prompt.source.clone(), prompt.field.clone(), label.to_owned());
            self.canonical.get(&key)
        };
        let (canonical, usage) = find(&prompt.label).or_else(|| find("*"))?.as_ref()?;
        Some((canonical, *usage))
    }
}
