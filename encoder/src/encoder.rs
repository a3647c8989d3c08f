//! Text → embedding.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use rayon::prelude::*;

use crate::bert::{Bert, Packed, floats, pool};
use crate::config::EncoderConfig;
use crate::error::EncoderError;
use crate::folder::resolve;
use crate::tokens::{Tokens, Window};
use crate::weights::Weights;

/// Tokens that are run together.
const CHUNK_TOKENS: usize = 1024;

/// What of a text is encoded.
///
/// | Field | Default | Meaning | Range |
/// | --- | --- | --- | --- |
/// | `max_tokens` | `128` | tokens of a sequence, `[CLS]` and `[SEP]` included; fewer where the encoder was made for fewer | `[3, ∞)` |
/// | `window` | [`Window::Ends`] | which tokens of a longer text | |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbedOptions {
    /// Tokens of a sequence, at most.
    pub max_tokens: usize,
    /// Which tokens of a longer text are read.
    pub window: Window,
}

impl Default for EmbedOptions {
    fn default() -> Self {
        Self { max_tokens: 128, window: Window::default() }
    }
}

/// A text encoder, ready to run on any number of threads.
#[derive(Debug)]
pub struct Encoder {
    folder: PathBuf,
    pub(crate) config: EncoderConfig,
    pub(crate) tokens: Tokens,
    pub(crate) bert: Bert,
}

impl Encoder {
    /// Reads an encoder from a folder, or by its id from the Hugging Face cache ([`resolve`]).
    ///
    /// # Errors
    ///
    /// If it is not there, a file of it is missing or damaged, a tensor has another shape than
    /// `config.json` says, or its architecture is not supported.
    pub fn open(name: &str) -> Result<Self, EncoderError> {
        let folder = resolve(name)?;
        let config = EncoderConfig::read(&folder)?;
        let tokens = Tokens::read(&folder, config.n_vocabulary)?;
        let mut weights = Weights::open(&folder)?;
        let bert = Bert::read(&mut weights, &config, &Device::flex())?;
        Ok(Self { folder, config, tokens, bert })
    }

    /// Its shape and how it pools.
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// Where it was read from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Dimensions of an embedding.
    pub fn n_dimensions(&self) -> usize {
        self.config.hidden
    }

    /// The embeddings of texts, `[n * n_dimensions]`, in order.
    ///
    /// Texts are run in batches of like length, on the threads of the current pool; what a text
    /// gets depends neither on their number nor, to rounding, on the other texts.
    ///
    /// # Errors
    ///
    /// If `max_tokens` is below 3, or a text cannot be tokenized.
    pub fn embed<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
        options: &EmbedOptions,
    ) -> Result<Vec<f32>, EncoderError> {
        let sequences = self.sequences(texts, options)?;
        let mut order: Vec<usize> = (0..sequences.len()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(sequences[*at].1.len()));
        let chunks = chunks(&order, |at| sequences[at].1.len(), CHUNK_TOKENS);
        let pooled: Vec<Vec<f32>> = chunks
            .par_iter()
            .map(|chunk| {
                let mut packed = Packed::default();
                chunk.iter().for_each(|at| packed.push(&sequences[*at].1));
                let states = self.bert.forward(&packed, &self.config);
                floats(pool(&states, &packed, self.config.pooling))
            })
            .collect::<Result<_, _>>()?;
        let n = self.config.hidden;
        let mut sums = vec![0.0; texts.len() * n];
        let mut counts = vec![0.0; texts.len()];
        let rows = pooled.iter().flat_map(|rows| rows.chunks_exact(n));
        let mut in_order: Vec<(usize, &[f32])> = chunks.concat().into_iter().zip(rows).collect();
        in_order.sort_by_key(|(at, _)| *at);
        for (at, row) in in_order {
            let (text, ids) = &sequences[at];
            let weight = ids.len() as f32;
            counts[*text] += weight;
            let sums = &mut sums[text * n..][..n];
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
        }
        for (row, count) in sums.chunks_exact_mut(n).zip(counts) {
            let square: f32 = row.iter().map(|value| value * value).sum();
            let length = if self.config.normalize { square.sqrt().max(1e-12) } else { count };
            row.iter_mut().for_each(|value| *value /= length);
        }
        Ok(sums)
    }

    /// The same encoder with other weights.
    pub(crate) fn with(&self, bert: Bert) -> Result<Self, EncoderError> {
        let tokens = Tokens::read(&self.folder, self.config.n_vocabulary)?;
        Ok(Self { folder: self.folder.clone(), config: self.config.clone(), tokens, bert })
    }

    /// The sequences to run, each with the index of its text.
    pub(crate) fn sequences<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
        options: &EmbedOptions,
    ) -> Result<Vec<(usize, Vec<u32>)>, EncoderError> {
        if options.max_tokens < 3 {
            let (quantity, value) = ("max_tokens", options.max_tokens.to_string());
            return Err(EncoderError::Range { quantity, bound: "at least 3".to_owned(), value });
        }
        let max_tokens = options.max_tokens.min(self.config.max_tokens);
        let windows: Vec<Vec<Vec<u32>>> = texts
            .par_iter()
            .map(|text| self.tokens.windows(text.as_ref(), options.window, max_tokens))
            .collect::<Result<_, _>>()?;
        let of =
            |(text, windows): (usize, Vec<Vec<u32>>)| windows.into_iter().map(move |w| (text, w));
        Ok(windows.into_iter().enumerate().flat_map(of).collect())
    }
}

/// Consecutive parts of `order`, as many items each as `n_tokens` allows, at least one.
fn chunks(order: &[usize], length: impl Fn(usize) -> usize, n_tokens: usize) -> Vec<Vec<usize>> {
    let mut chunks: Vec<Vec<usize>> = Vec::new();
    let mut room = 0;
    for &at in order {
        let n = length(at);
        match chunks.last_mut() {
            Some(chunk) if n <= room => chunk.push(at),
            _ => {
                chunks.push(vec![at]);
                room = n_tokens;
            }
        }
        room = room.saturating_sub(n);
    }
    chunks
}
