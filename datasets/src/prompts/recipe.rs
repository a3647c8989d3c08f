//! Which prompts are taken: each text once, no source and label too often, groups kept together.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::{Prompt, folded};
use crate::split::hash_text;

/// Prompts of one source and label that are taken at most: `400`, or for a source `clinc150=15`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    default: Option<usize>,
    by_source: BTreeMap<String, usize>,
}

/// Why a text does not say a cap.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cap must be a number of at least 1 or `source=number`, got {0}")]
pub struct CapsError(pub String);

impl Caps {
    /// Reads caps, each for all sources or for one.
    ///
    /// # Errors
    ///
    /// If one is no number of at least 1.
    pub fn parse<S: AsRef<str>>(caps: &[S]) -> Result<Self, CapsError> {
        let mut parsed = Self::default();
        for cap in caps.iter().map(S::as_ref) {
            let number = |text: &str| {
                let number = text.parse().ok().filter(|n| *n >= 1);
                number.ok_or_else(|| CapsError(cap.to_owned()))
            };
            match cap.split_once('=') {
                Some((source, n)) => {
                    parsed.by_source.insert(source.to_owned(), number(n)?);
                }
                None => parsed.default = Some(number(cap)?),
            }
        }
        Ok(parsed)
    }

    fn of(&self, source: &str) -> usize {
        self.by_source.get(source).copied().or(self.default).unwrap_or(usize::MAX)
    }
}

/// Takes prompts in the order of the first 8 hex digits of SHA-256(source, U+001F, text): of equal
/// folded texts the first, and of each source and label no more than its cap.
///
/// Also brings the problems of `HumanEval` together, which benchmarks have under other groups or
/// none: by their number in `humanevalpack`, elsewhere by the name of the function.
pub fn select(mut prompts: Vec<Prompt>, caps: &Caps) -> Vec<Prompt> {
    let human_eval = HumanEval::find(&prompts);
    prompts.sort_by_cached_key(order);
    let mut seen = BTreeSet::new();
    let mut taken: BTreeMap<(String, String), usize> = BTreeMap::new();
    prompts.retain_mut(|prompt| {
        if !seen.insert(hash_text(&folded(&prompt.text))) {
            return false;
        }
        let n = taken.entry((prompt.source.clone(), prompt.label.clone())).or_default();
        *n += 1;
        if let Some(group) = human_eval.group(prompt) {
            prompt.group = group;
        }
        *n <= caps.of(&prompt.source)
    });
    prompts
}

fn order(prompt: &Prompt) -> u32 {
    let mut digest = Sha256::new();
    digest.update(prompt.source.as_bytes());
    digest.update(b"\x1f");
    digest.update(prompt.text.as_bytes());
    let digest = digest.finalize();
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

/// The source whose groups are `language/number`, the same problems in every language.
const HUMAN_EVAL_PACK: &str = "humanevalpack";
/// The label of the same problems elsewhere.
const HUMAN_EVAL: &str = "human_eval";

/// Numbers of problems by the name of their Python function.
struct HumanEval(BTreeMap<String, String>);

impl HumanEval {
    fn find(prompts: &[Prompt]) -> Self {
        let mut numbers = BTreeMap::new();
        for prompt in prompts.iter().filter(|prompt| prompt.source == HUMAN_EVAL_PACK) {
            if let Some(("Python", number)) = prompt.group.split_once('/') {
                for name in functions(&prompt.text) {
                    numbers.entry(name.to_owned()).or_insert_with(|| number.to_owned());
                }
            }
        }
        Self(numbers)
    }

    fn group(&self, prompt: &Prompt) -> Option<String> {
        let number = if prompt.source == HUMAN_EVAL_PACK {
            prompt.group.split_once('/')?.1
        } else if prompt.label == HUMAN_EVAL {
            self.0.get(functions(&prompt.text).next()?)?
        } else {
            return None;
        };
        Some(hash_text(&format!("HumanEval/{number}")))
    }
}

/// Names of the Python functions that a text defines.
fn functions(text: &str) -> impl Iterator<Item = &str> {
    text.split("def ").skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once('(')?;
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        (!name.is_empty() && name.chars().all(is_name)).then_some(name)
    })
}
