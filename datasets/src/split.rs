//! Folds that never separate a group.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use router_core::{CrossFit, FoldKind, RequestRow};
use sha2::{Digest, Sha256};

/// How requests are dealt into folds.
///
/// | Text | Folds |
/// | --- | --- |
/// | `fold` | the column |
/// | `5` | five, by the hash of the group |
/// | `5@3` | five, dealt anew with seed 3 |
/// | `task`, `domain` | one for each label: what is judged is of a kind that was never seen |
/// | `task/5`, `domain/5` | five of whole labels |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folds {
    /// By the `fold` column.
    Column,
    /// By the first 8 hex digits of SHA-256(group), modulo this many (at least 2).
    Hash(u32),
    /// The same of SHA-256(group@seed).
    Seeded(u32, u64),
    /// The same of SHA-256(label).
    Label(Label, u32),
}

/// The labels that requests may be left out by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// The column `task`.
    Task,
    /// The column `domain`.
    Domain,
}

/// The number of folds by label that gives each label its own.
pub const EACH_LABEL: u32 = 1 << 31;

/// Why a text does not say how to deal folds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "folds must be `fold` (the column), a number of at least 2 (`5`, or `5@3` with seed 3), or \
     `task`, `domain`, `task/5` or `domain/5` to leave labels out, got {0}"
)]
pub struct FoldsError(pub String);

impl std::str::FromStr for Folds {
    type Err = FoldsError;

    fn from_str(text: &str) -> Result<Self, FoldsError> {
        let number = |text: &str| text.parse().ok().filter(|k| (2..EACH_LABEL).contains(k));
        let folds = match (text.split_once('/'), text.split_once('@')) {
            (None, None) => match text {
                "fold" => Some(Self::Column),
                "task" => Some(Self::Label(Label::Task, EACH_LABEL)),
                "domain" => Some(Self::Label(Label::Domain, EACH_LABEL)),
                _ => number(text).map(Self::Hash),
            },
            (Some(("task", k)), _) => number(k).map(|k| Self::Label(Label::Task, k)),
            (Some(("domain", k)), _) => number(k).map(|k| Self::Label(Label::Domain, k)),
            (Some(_), _) => None,
            (None, Some((k, seed))) => {
                number(k).zip(seed.parse().ok()).map(|(k, seed)| match seed {
                    0 => Self::Hash(k),
                    seed => Self::Seeded(k, seed),
                })
            }
        };
        folds.ok_or_else(|| FoldsError(text.to_owned()))
    }
}

impl From<CrossFit> for Folds {
    fn from(fit: CrossFit) -> Self {
        match fit.kind {
            FoldKind::Fold => Self::Column,
            FoldKind::Hash if fit.seed == 0 => Self::Hash(fit.k),
            FoldKind::Hash => Self::Seeded(fit.k, fit.seed),
            FoldKind::Task => Self::Label(Label::Task, fit.k),
            FoldKind::Domain => Self::Label(Label::Domain, fit.k),
        }
    }
}

impl std::fmt::Display for Folds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let label = |label: &Label| match label {
            Label::Task => "task",
            Label::Domain => "domain",
        };
        match self {
            Self::Column => write!(f, "the column `fold`"),
            Self::Hash(k) => write!(f, "SHA-256(group) modulo {k}"),
            Self::Seeded(k, seed) => write!(f, "SHA-256(group@{seed}) modulo {k}"),
            Self::Label(of, EACH_LABEL) => write!(f, "{}, each left out once", label(of)),
            Self::Label(of, k) => write!(f, "SHA-256({}) modulo {k}, labels whole", label(of)),
        }
    }
}

/// The fold of a request; `None` if it lacks the column that decides.
pub fn fold_of(request: &RequestRow, folds: Folds) -> Option<i32> {
    let (text, k) = match folds {
        Folds::Column => return request.fold,
        Folds::Hash(k) => (std::borrow::Cow::Borrowed(request.group.as_str()), k),
        Folds::Seeded(k, seed) => (format!("{}@{seed}", request.group).into(), k),
        Folds::Label(Label::Task, k) => (request.task.as_deref()?.into(), k),
        Folds::Label(Label::Domain, k) => (request.domain.as_deref()?.into(), k),
    };
    i32::try_from(hash_of(&text) % k.max(1)).ok()
}

/// A group whose requests are in two folds of the column, with these folds: it would be on both
/// sides of a split.
pub fn divided_group<'a>(
    requests: impl Iterator<Item = &'a RequestRow>,
) -> Option<(&'a str, i32, i32)> {
    let mut first = BTreeMap::new();
    for request in requests {
        let Some(fold) = request.fold else { continue };
        let seen = *first.entry(request.group.as_str()).or_insert(fold);
        if seen != fold {
            return Some((&request.group, seen, fold));
        }
    }
    None
}

/// The first 8 hex digits of SHA-256 of a text, as a number.
pub fn hash_of(text: &str) -> u32 {
    let digest = Sha256::digest(text.as_bytes());
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

/// The group of a prompt that has none: the first 16 hex digits of SHA-256 of its text, with each
/// run of white space folded to one space and none at the ends.
pub fn default_group(prompt: &str) -> String {
    let mut digest = Sha256::new();
    for (i, word) in prompt.split_whitespace().enumerate() {
        if i > 0 {
            digest.update(b" ");
        }
        digest.update(word.as_bytes());
    }
    hex(&digest.finalize()[..8])
}

/// The first 16 hex digits of SHA-256 of a text.
pub fn hash_text(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes())[..8])
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string can always grow");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fold_is_the_first_eight_hex_digits_of_the_hash_modulo_k() {
        // SHA-256("abc") begins ba7816bf.
        let request = RequestRow { group: "abc".to_owned(), fold: Some(3), ..Default::default() };
        assert_eq!(hash_of("abc"), 0xba78_16bf);
        assert_eq!(fold_of(&request, Folds::Hash(5)), Some((0xba78_16bf_u32 % 5) as i32));
        assert_eq!(fold_of(&request, Folds::Column), Some(3));
    }

    #[test]
    fn a_group_in_two_folds_is_found() {
        let request = |group: &str, fold| RequestRow {
            group: group.to_owned(),
            fold,
            ..RequestRow::default()
        };
        let mut rows = vec![request("a", Some(0)), request("b", Some(1)), request("a", None)];
        assert_eq!(divided_group(rows.iter()), None);
        rows.push(request("b", Some(4)));
        assert_eq!(divided_group(rows.iter()), Some(("b", 1, 4)));
    }

    #[test]
    fn white_space_does_not_make_another_group() {
        assert_eq!(default_group(" a  b\n"), default_group("a b"));
        assert_ne!(default_group("ab"), default_group("a b"));
        assert_eq!(default_group("a").len(), 16);
    }

    #[test]
    fn folds_are_the_column_a_number_or_labels() {
        for (text, folds) in [
            ("fold", Folds::Column),
            ("5", Folds::Hash(5)),
            ("5@3", Folds::Seeded(5, 3)),
            ("5@0", Folds::Hash(5)),
            ("task", Folds::Label(Label::Task, EACH_LABEL)),
            ("domain/4", Folds::Label(Label::Domain, 4)),
        ] {
            assert_eq!(text.parse(), Ok(folds));
        }
        for bad in ["1", "task/1", "model", "5/3", "5@", "@3", "domain@3", "fold/5"] {
            let error = bad.parse::<Folds>().unwrap_err().to_string();
            assert!(error.contains("at least 2") && error.ends_with(&format!("got {bad}")));
        }
    }

    #[test]
    fn a_label_is_never_divided_and_a_seed_deals_anew() {
        let request = |i: usize| RequestRow {
            group: format!("g{i}"),
            task: Some(format!("t{}", i % 3)),
            ..RequestRow::default()
        };
        let rows: Vec<RequestRow> = (0..60).map(request).collect();
        let of = |text: &str| -> Vec<Option<i32>> {
            rows.iter().map(|row| fold_of(row, text.parse().unwrap())).collect()
        };
        let by_task = of("task");
        assert!((3..60).all(|i| by_task[i] == by_task[i % 3]));
        let distinct: std::collections::BTreeSet<_> = by_task.iter().collect();
        assert_eq!(distinct.len(), 3);
        assert_ne!(of("5@1"), of("5"));
        assert_ne!(of("5@1"), of("5@2"));
        assert_eq!(of("domain"), [None; 60]);
    }
}
