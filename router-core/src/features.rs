//! A request as numbers: hashed n-grams and surface features, in a versioned schema.
//!
//! Text is normalised first (lower case, white space folded), so that shouting or an extra space
//! does not change a decision. Word 1–2-grams, character 3–5-grams and the words of tool schemas
//! are hashed into three blocks of buckets; [`surface`] features are length, digits, code,
//! mathematics, options, language, tools and turns, and how [`tools`] match the text. Nothing is downloaded and nothing is fitted
//! here: inverse document frequencies and scales belong to the predictor.

pub mod complexity;
pub mod layout;
pub mod ngrams;
pub mod normalize;
pub mod surface;
pub mod tools;

use serde::{Deserialize, Serialize};

use crate::request::RequestView;

pub use complexity::surface_complexity;
pub use surface::{N_PLAIN, N_SURFACE, SURFACE_NAMES};

/// The version of everything in this module: buckets, hashing, surface features.
pub const FEATURE_SCHEMA_VERSION: u32 = 2;

/// Buckets of the word block.
pub const WORD_BUCKETS: usize = 1 << 16;
/// Buckets of the character block.
pub const CHAR_BUCKETS: usize = 1 << 16;
/// Buckets of the tool-schema block.
pub const TOOL_BUCKETS: usize = 1 << 12;
/// All buckets: words, then characters, then tools.
pub const N_BUCKETS: usize = WORD_BUCKETS + CHAR_BUCKETS + TOOL_BUCKETS;
/// Number of blocks, each scaled to unit length on its own.
pub const N_BLOCKS: usize = 3;

/// A block of n-grams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    /// Word 1–2-grams of the text.
    Words,
    /// Character 3–5-grams of the text.
    Characters,
    /// Word 1–2-grams of the tool schemas.
    Tools,
}

impl Block {
    /// All blocks, in the order of their buckets.
    pub const ALL: [Self; N_BLOCKS] = [Self::Words, Self::Characters, Self::Tools];

    /// The block of a bucket.
    pub fn of(bucket: u32) -> Self {
        match bucket as usize {
            0..WORD_BUCKETS => Self::Words,
            bucket if bucket < WORD_BUCKETS + CHAR_BUCKETS => Self::Characters,
            _ => Self::Tools,
        }
    }

    /// Its place in arrays of length [`N_BLOCKS`].
    pub fn index(self) -> usize {
        match self {
            Self::Words => 0,
            Self::Characters => 1,
            Self::Tools => 2,
        }
    }
}

/// Buffers that a featurisation needs; reuse one per thread to avoid allocation.
#[derive(Debug, Default)]
pub struct FeatureScratch {
    /// Normalised text, as code points.
    text: Vec<u32>,
    /// Tokens so far seen in this request; only for [`raw_features`].
    grams: Vec<u32>,
}

/// What one request looks like before anything is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct RawFeatures {
    /// `(bucket, number of occurrences)`, ordered by bucket.
    pub grams: Vec<(u32, u32)>,
    /// Unscaled surface features, named by [`SURFACE_NAMES`].
    pub surface: [f32; N_SURFACE],
}

/// Calls `visit` with the bucket of every n-gram occurrence of a request, in a fixed order.
#[expect(clippy::cast_possible_truncation, reason = "numbers of buckets are below 2^20")]
pub fn for_each_gram(
    view: &RequestView<'_>,
    scratch: &mut FeatureScratch,
    mut visit: impl FnMut(u32),
) {
    normalize::fold(view.text, &mut scratch.text);
    ngrams::words(&scratch.text, WORD_BUCKETS, &mut visit);
    ngrams::characters(&scratch.text, |bucket| visit(bucket + WORD_BUCKETS as u32));
    if !view.tool_schemas.is_empty() {
        normalize::fold(view.tool_schemas, &mut scratch.text);
        let offset = (WORD_BUCKETS + CHAR_BUCKETS) as u32;
        ngrams::words(&scratch.text, TOOL_BUCKETS, |bucket| visit(bucket + offset));
    }
}

/// Counts the n-grams and computes the surface features of a request, for fitting.
pub fn raw_features(view: &RequestView<'_>, scratch: &mut FeatureScratch) -> RawFeatures {
    let mut seen = std::mem::take(&mut scratch.grams);
    seen.clear();
    for_each_gram(view, scratch, |bucket| seen.push(bucket));
    seen.sort_unstable();
    let count = |run: &[u32]| u32::try_from(run.len()).unwrap_or(u32::MAX);
    let grams = seen.chunk_by(|a, b| a == b).map(|run| (run[0], count(run))).collect();
    scratch.grams = seen;
    RawFeatures { grams, surface: surface::features(view) }
}

/// The weight of a term that occurs `count` times: `1 + ln(count)`.
pub fn term_weight(count: u32) -> f32 {
    match count {
        0 => 0.0,
        1 => 1.0,
        _ => 1.0 + (count as f32).ln(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> RawFeatures {
        raw_features(&RequestView::from_text(text), &mut FeatureScratch::default())
    }

    #[test]
    fn case_and_white_space_do_not_change_the_grams() {
        assert_eq!(raw("What is  2+2?\n").grams, raw("what IS 2+2?").grams);
        assert_ne!(raw("what is 2+2?").grams, raw("what is 2+3?").grams);
    }

    #[test]
    fn every_block_stays_in_its_buckets() {
        let view = RequestView {
            tool_schemas: r#"{"name":"get_weather"}"#,
            n_tools: 1,
            ..RequestView::from_text("weather in Rome?")
        };
        let raw = raw_features(&view, &mut FeatureScratch::default());
        let count =
            |block| raw.grams.iter().filter(|(bucket, _)| Block::of(*bucket) == block).count();
        // weather, in, rome and two bigrams; name, get_weather and one bigram.
        assert_eq!(count(Block::Words), 5);
        assert_eq!(count(Block::Tools), 3);
        assert!(count(Block::Characters) > 20);
        assert!(raw.grams.iter().all(|(bucket, _)| (*bucket as usize) < N_BUCKETS));
    }

    #[test]
    fn an_empty_text_has_no_grams_and_finite_surface_features() {
        let raw = raw("");
        assert!(raw.grams.is_empty());
        assert!(raw.surface.iter().all(|value| value.is_finite()));
    }

    #[test]
    fn hashing_is_the_same_on_every_machine() {
        // Artifacts hold weights by bucket: a change of these numbers is a new schema version.
        let grams = raw("solve x").grams;
        let sum: u64 = grams.iter().map(|(bucket, count)| u64::from(bucket * count)).sum();
        assert_eq!((grams.len(), sum), (21, 1_903_306));
    }
}
