//! Folds that never separate a group.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use router_core::RequestRow;
use sha2::{Digest, Sha256};

/// How requests are dealt into folds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folds {
    /// By the `fold` column.
    Column,
    /// By the first 8 hex digits of SHA-256(group), modulo this many (at least 2).
    Hash(u32),
}

/// Why a text does not say how to deal folds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("folds must be `fold` (the column) or a number of at least 2, got {0}")]
pub struct FoldsError(pub String);

impl std::str::FromStr for Folds {
    type Err = FoldsError;

    fn from_str(text: &str) -> Result<Self, FoldsError> {
        if text == "fold" {
            return Ok(Self::Column);
        }
        match text.parse() {
            Ok(k) if k >= 2 => Ok(Self::Hash(k)),
            Ok(_) | Err(_) => Err(FoldsError(text.to_owned())),
        }
    }
}

/// The fold of a request; `None` if it has no `fold` and the column decides.
pub fn fold_of(request: &RequestRow, folds: Folds) -> Option<i32> {
    match folds {
        Folds::Column => request.fold,
        Folds::Hash(k) => i32::try_from(hash_of(&request.group) % k.max(1)).ok(),
    }
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

/// The first 8 hex digits of SHA-256(group), as a number.
pub fn hash_of(group: &str) -> u32 {
    let digest = Sha256::digest(group.as_bytes());
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
    fn folds_are_the_column_or_at_least_two() {
        assert_eq!("fold".parse(), Ok(Folds::Column));
        assert_eq!("5".parse(), Ok(Folds::Hash(5)));
        let error = "1".parse::<Folds>().unwrap_err().to_string();
        assert_eq!(error, "folds must be `fold` (the column) or a number of at least 2, got 1");
    }
}
