//! Text → tokens, and which of them the encoder reads.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{AddedToken, Tokenizer};

use crate::EncoderError;
use crate::config::json;

/// Bytes of a text per token that are looked at, at each end that is read.
const BYTES_PER_TOKEN: usize = 64;

/// Windows of one text, at most.
const MAX_WINDOWS: usize = 16;

/// Which tokens of a text are read that has more than may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// The first ones, as sentence-transformers does. Few-shot prompts have their examples there
    /// and the question at the end.
    Head,
    /// The last ones.
    Tail,
    /// The first half and the last half, as one sequence.
    #[default]
    Ends,
    /// All, in windows of as many as may be, sixteen at most, spread evenly beyond; the embedding is
    /// the mean over their tokens. Takes as much longer as there are windows.
    All,
}

impl std::str::FromStr for Window {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "head" => Ok(Self::Head),
            "tail" => Ok(Self::Tail),
            "ends" => Ok(Self::Ends),
            "all" => Ok(Self::All),
            other => Err(format!("window must be head, tail, ends or all, got {other}")),
        }
    }
}

/// A tokenizer with the tokens that begin and end a sequence.
#[derive(Debug)]
pub(crate) struct Tokens {
    tokenizer: Tokenizer,
    first: u32,
    last: u32,
}

#[derive(Deserialize)]
struct RawTokenizer {
    do_lower_case: Option<bool>,
    strip_accents: Option<bool>,
    tokenize_chinese_chars: Option<bool>,
}

impl Tokens {
    /// Reads `tokenizer.json`, or else `vocab.txt` and `tokenizer_config.json`.
    pub(crate) fn read(folder: &Path, n_vocabulary: usize) -> Result<Self, EncoderError> {
        let (path, vocabulary) = (folder.join("tokenizer.json"), folder.join("vocab.txt"));
        let invalid =
            |path: &Path, problem: String| EncoderError::Invalid { path: path.to_owned(), problem };
        let mut tokenizer = if path.is_file() {
            Tokenizer::from_file(&path).map_err(|error| invalid(&path, error.to_string()))?
        } else if vocabulary.is_file() {
            from_vocabulary(folder, &vocabulary)?
        } else {
            let folder = folder.to_owned();
            return Err(EncoderError::Missing { folder, needed: "tokenizer.json or vocab.txt" });
        };
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| invalid(&path, error.to_string()))?;
        let id = |token: &str| {
            tokenizer.token_to_id(token).ok_or_else(|| invalid(&path, format!("no token {token}")))
        };
        let (first, last) = (id("[CLS]")?, id("[SEP]")?);
        let n = tokenizer.get_vocab_size(true);
        if n > n_vocabulary {
            let bound = format!("at most vocab_size {n_vocabulary}");
            let (quantity, value) = ("tokens of the tokenizer", n.to_string());
            return Err(EncoderError::Range { quantity, bound, value });
        }
        Ok(Self { tokenizer, first, last })
    }

    /// The sequences to run for a text, `[CLS]` and `[SEP]` included, each at most `max_tokens`
    /// long; one except for [`Window::All`].
    pub(crate) fn windows(
        &self,
        text: &str,
        window: Window,
        max_tokens: usize,
    ) -> Result<Vec<Vec<u32>>, EncoderError> {
        let n = max_tokens.saturating_sub(2);
        let text = shortened(text, window, n * BYTES_PER_TOKEN);
        let encoding = self
            .tokenizer
            .encode_fast(text.as_ref(), false)
            .map_err(|error| EncoderError::Tokenizer(error.to_string()))?;
        let ids = encoding.get_ids();
        let framed = |parts: [&[u32]; 2]| {
            let inner = parts.into_iter().flatten().copied();
            std::iter::once(self.first).chain(inner).chain([self.last]).collect()
        };
        if ids.len() <= n {
            return Ok(vec![framed([ids, &[]])]);
        }
        Ok(match window {
            Window::Head => vec![framed([&ids[..n], &[]])],
            Window::Tail => vec![framed([&ids[ids.len() - n..], &[]])],
            Window::Ends => vec![framed([&ids[..n - n / 2], &ids[ids.len() - n / 2..]])],
            Window::All => {
                let starts = starts(ids.len(), n);
                starts.map(|start| framed([&ids[start..ids.len().min(start + n)], &[]])).collect()
            }
        })
    }
}

/// Where windows of `n` begin: side by side, or [`MAX_WINDOWS`] of them spread evenly.
fn starts(len: usize, n: usize) -> impl Iterator<Item = usize> {
    let n_windows = len.div_ceil(n);
    let few = n_windows <= MAX_WINDOWS;
    let count = n_windows.min(MAX_WINDOWS);
    (0..count).map(move |at| if few { at * n } else { at * (len - n) / (count - 1) })
}

/// A text without the middle, or an end, that would not be read, unless windows go everywhere.
fn shortened(text: &str, window: Window, n_bytes: usize) -> std::borrow::Cow<'_, str> {
    if text.len() <= 2 * n_bytes || window == Window::All {
        return text.into();
    }
    let head = &text[..text.floor_char_boundary(n_bytes)];
    let tail = &text[text.ceil_char_boundary(text.len() - n_bytes)..];
    match window {
        Window::Head => head.into(),
        Window::Tail => tail.into(),
        Window::Ends | Window::All => format!("{head} {tail}").into(),
    }
}

fn from_vocabulary(folder: &Path, path: &Path) -> Result<Tokenizer, EncoderError> {
    let invalid = |problem: String| EncoderError::Invalid { path: path.to_owned(), problem };
    let bytes =
        std::fs::read(path).map_err(|source| EncoderError::Io { path: path.to_owned(), source })?;
    let words = WordPiece::read_bytes(&bytes).map_err(|error| invalid(error.to_string()))?;
    let model = WordPiece::builder().vocab(words).build();
    let model = model.map_err(|error| invalid(error.to_string()))?;
    let raw: Option<RawTokenizer> = json(folder, "tokenizer_config.json")?;
    let lowercase = raw.as_ref().and_then(|raw| raw.do_lower_case).unwrap_or(true);
    let strip_accents = raw.as_ref().and_then(|raw| raw.strip_accents);
    let chinese = raw.as_ref().and_then(|raw| raw.tokenize_chinese_chars).unwrap_or(true);
    let mut tokenizer = Tokenizer::new(model);
    tokenizer
        .with_normalizer(Some(BertNormalizer::new(true, chinese, strip_accents, lowercase)))
        .map_err(|error| invalid(error.to_string()))?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let known = special.into_iter().filter(|token| tokenizer.token_to_id(token).is_some());
    let known: Vec<AddedToken> = known.map(|token| AddedToken::from(token, true)).collect();
    tokenizer.add_special_tokens(known).map_err(|error| invalid(error.to_string()))?;
    Ok(tokenizer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_lie_side_by_side_until_there_are_too_many() {
        assert_eq!(starts(10, 4).collect::<Vec<_>>(), [0, 4, 8]);
        let many: Vec<usize> = starts(1000, 10).collect();
        assert_eq!((many.len(), many[0], many[15]), (MAX_WINDOWS, 0, 990));
        assert!(many.windows(2).all(|pair| (65..=67).contains(&(pair[1] - pair[0]))));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = "é".repeat(500) + &"ü".repeat(500);
        let head = shortened(&text, Window::Head, 101);
        assert_eq!(head, "é".repeat(50));
        assert_eq!(shortened(&text, Window::Tail, 101), "ü".repeat(50));
        assert_eq!(shortened(&text, Window::Ends, 4), "éé üü");
        assert_eq!(shortened(&text, Window::All, 4), text);
        assert_eq!(shortened("short", Window::Head, 3), "short");
    }
}
