//! The same prompts through a transformer encoder: what it says alone, and beside the n-grams.
//!
//! Two heads read the embedding: one logit per label, and the complexity, which is 1 minus the mean
//! quality of the models that answered a prompt. Beside the n-grams, the score of a label is
//! `a · (score of the n-grams) + b · (logit)`, with `a` and `b` of least cross-entropy on prompts
//! of other folds. [`fused`] does that; `fit` and `tuned` need the cargo feature `encoder`.

#[cfg(feature = "encoder")]
mod fit;
pub mod fused;
pub mod report;
#[cfg(feature = "encoder")]
mod tuned;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::data::Corpus;
use super::fit::{Held, TaskParams};
use report::EncoderReport;

/// An encoder to compare with, and to tune.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct EncoderArgs {
    /// Also classify by a transformer encoder: a folder with `config.json`, `model.safetensors` and
    /// `tokenizer.json` or `vocab.txt`, or the id of a model in the Hugging Face cache.
    #[arg(long, value_name = "FOLDER|ID")]
    pub encoder: Option<String>,
    /// Tokens of a prompt that it reads.
    #[arg(long, default_value_t = 128, requires = "encoder")]
    pub encoder_tokens: usize,
    /// Which tokens of a longer prompt: `head`, `tail`, `ends` or `all`.
    #[arg(long, default_value = "ends", requires = "encoder")]
    pub encoder_window: String,
    /// Logs whose prompts also teach it complexity; may be repeated.
    #[arg(long = "complexity", value_name = "LOGS", requires = "encoder")]
    pub complexity: Vec<PathBuf>,
    /// Also tune its last blocks, and write the encoder as `encoder/`; the last fold is never seen,
    /// and the one before it says when to stop.
    #[arg(long, requires = "encoder")]
    pub fine_tune: bool,
    /// Blocks to tune.
    #[arg(long, default_value_t = 2, requires = "fine_tune")]
    pub tune_blocks: usize,
    /// Passes over the prompts, at most.
    #[arg(long, default_value_t = 3, requires = "fine_tune")]
    pub tune_epochs: usize,
    /// Learning rate of the blocks.
    #[arg(long, default_value_t = 1e-4, requires = "fine_tune")]
    pub tune_rate: f64,
}

/// What the n-grams say of prompts that they did not see.
#[derive(Clone, Copy, Debug)]
pub struct NgramScores<'a> {
    /// Of held-out folds.
    pub folds: &'a [Held],
    /// Of sources that were left out, by source.
    pub sources: &'a BTreeMap<usize, Vec<Held>>,
}

/// How labels are weighed and measured.
#[derive(Clone, Copy, Debug)]
pub struct Measures<'a> {
    /// Weights of prompts.
    pub params: &'a TaskParams,
    /// Sources of prompts that people wrote.
    pub natural: &'a [String],
    /// The accuracy that coverage asks for.
    pub accuracy: f64,
    /// Seed of a tuning.
    pub seed: u64,
}

/// Fits and measures; `None` without an encoder. A tuned encoder and the heads are written to `out`.
///
/// # Errors
///
/// If the trainer was built without the feature `encoder`, the encoder cannot be read, or an option
/// is out of range.
#[cfg_attr(not(feature = "encoder"), expect(unused_variables, reason = "nothing is run"))]
pub fn run(
    args: &EncoderArgs,
    corpus: &Corpus,
    ngrams: &NgramScores<'_>,
    measures: &Measures<'_>,
    out: &Path,
) -> Result<Option<EncoderReport>> {
    #[cfg(feature = "encoder")]
    return args
        .encoder
        .as_ref()
        .map(|_| fit::run(args, corpus, ngrams, measures, out))
        .transpose();
    #[cfg(not(feature = "encoder"))]
    {
        anyhow::ensure!(
            args.encoder.is_none(),
            "--encoder needs a trainer with the feature encoder: cargo build --workspace --bin \
             trainer --features trainer/encoder"
        );
        Ok(None)
    }
}
