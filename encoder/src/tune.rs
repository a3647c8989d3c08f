//! Fits an encoder to what texts are about: the last blocks, by burn's gradients.
//!
//! Two heads read the embedding: a logit per class, trained by cross-entropy, and the logit of a
//! complexity in `[0, 1]`, trained by the cross-entropy of a share. First the heads are fitted on
//! the embeddings as they are, then heads and blocks together; embeddings of words stay. The epoch
//! of least loss on held-out texts is kept.
//!
//! A batch is divided into parts, each padded to its own longest text, whose gradients are added.
//! Parts run one after another: two backward passes at once over shared weights make burn panic.

mod batch;
mod network;

use rand::SeedableRng;
use rand_pcg::Pcg64;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::bert::Packed;
use crate::encoder::{EmbedOptions, Encoder};
use crate::error::EncoderError;
use batch::{Targets, batches};
use network::Trainee;

pub use network::Heads;

/// Parts of a batch.
const N_PARTS: usize = 4;

/// A text and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Example<'a> {
    /// The text.
    pub text: &'a str,
    /// Its class, if it is known.
    pub class: Option<usize>,
    /// How hard it is, in `[0, 1]`, if that is known.
    pub complexity: Option<f32>,
    /// What it weighs, above 0.
    pub weight: f32,
}

/// How an encoder is tuned.
///
/// | Field | Default | Meaning | Range |
/// | --- | --- | --- | --- |
/// | `n_blocks` | `2` | last blocks that are tuned | `[1, n_layers]`, more are all |
/// | `max_epochs` | `3` | passes over the texts | `[1, ∞)` |
/// | `patience` | `1` | epochs without improvement before it stops | `[1, ∞)` |
/// | `batch` | `32` | texts per step | `[1, ∞)` |
/// | `learning_rate` | `0.0001` | of the blocks, after a tenth of the steps; it falls to 0 | `(0, 0.1]` |
/// | `decay` | `0.01` | decoupled weight decay | `[0, 1)` |
/// | `dropout` | `0.1` | share of an embedding left out of a step | `[0, 1)` |
/// | `seed` | `0` | of the order of texts and dropout | any |
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TuneParams {
    /// Last blocks that are tuned.
    pub n_blocks: usize,
    /// Passes over the texts.
    pub max_epochs: usize,
    /// Epochs without improvement before it stops.
    pub patience: usize,
    /// Texts per step.
    pub batch: usize,
    /// Learning rate.
    pub learning_rate: f64,
    /// Weight decay.
    pub decay: f32,
    /// Share of an embedding left out of a step.
    pub dropout: f32,
    /// Seed.
    pub seed: u64,
}

impl Default for TuneParams {
    fn default() -> Self {
        Self {
            n_blocks: 2,
            max_epochs: 3,
            patience: 1,
            batch: 32,
            learning_rate: 1e-4,
            decay: 0.01,
            dropout: 0.1,
            seed: 0,
        }
    }
}

/// One point of a learning curve: mean losses per unit of weight.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TuneEpoch {
    /// Passes over the texts so far; 0 for heads on the encoder as it was.
    pub epoch: usize,
    /// Of the texts that were fitted, while they were.
    pub fitted: f64,
    /// Of the texts that were held out.
    pub held: f64,
}

/// A tuned encoder and the heads it was tuned with.
#[derive(Debug)]
pub struct Tuned {
    /// The encoder.
    pub encoder: Encoder,
    /// The heads.
    pub heads: Heads,
    /// Its learning curve.
    pub curve: Vec<TuneEpoch>,
}

/// What an encoder is tuned to.
#[derive(Clone, Copy, Debug)]
pub struct Sets<'a> {
    /// Texts to fit.
    pub fitted: &'a [Example<'a>],
    /// Texts that tell when to stop.
    pub held: &'a [Example<'a>],
    /// Number of classes.
    pub n_classes: usize,
}

/// Texts as the network reads them.
struct Texts {
    sequences: Vec<Vec<u32>>,
    targets: Targets,
}

impl Texts {
    fn new(
        encoder: &Encoder,
        examples: &[Example<'_>],
        n_classes: usize,
        options: &EmbedOptions,
    ) -> Result<Self, EncoderError> {
        let mut sequences = encoder.sequences(&texts(examples), options)?;
        // Windows beyond the first are not learned from.
        sequences.dedup_by_key(|(text, _)| *text);
        let sequences = sequences.into_iter().map(|(_, ids)| ids).collect();
        Ok(Self { sequences, targets: Targets::new(examples, n_classes) })
    }

    /// Some of them, padded.
    fn packed(&self, rows: &[usize]) -> (Packed, Targets) {
        let ids: Vec<&[u32]> = rows.iter().map(|row| self.sequences[*row].as_slice()).collect();
        (Packed::padded(&ids), self.targets.select(rows))
    }
}

/// Tunes an encoder on texts. `tick` is called with steps done and in
/// all.
///
/// # Errors
///
/// If a parameter, class, complexity or weight is out of range, there is no text on one of the
/// sides, or the loss is not finite.
pub fn tune(
    encoder: &Encoder,
    sets: &Sets<'_>,
    options: &EmbedOptions,
    params: &TuneParams,
    tick: &dyn Fn(usize, usize),
) -> Result<Tuned, EncoderError> {
    let Sets { fitted, held, n_classes } = *sets;
    check(fitted, held, n_classes, params)?;
    let n_texts = fitted.len();
    let embeddings = encoder.embed(&texts(fitted), options)?;
    let fitted = Texts::new(encoder, fitted, n_classes, options)?;
    let held = Texts::new(encoder, held, n_classes, options)?;
    let heads = network::fit_heads(&embeddings, &fitted.targets, encoder.n_dimensions())?;
    let mut trainee = Trainee::new(encoder, &heads, params)?;
    let lengths: Vec<usize> = fitted.sequences.iter().map(Vec::len).collect();
    let n_steps = params.max_epochs * n_texts.div_ceil(params.batch);
    let mut rng = Pcg64::seed_from_u64(params.seed);
    let start = heads.loss(&embeddings, &fitted.targets);
    let mut curve = vec![TuneEpoch { epoch: 0, fitted: start, held: trainee.loss(&held)? }];
    let (mut best, mut best_epoch, mut step) = (trainee.snapshot(), 0, 0);
    for epoch in 1..=params.max_epochs {
        let mut sum = 0.0;
        for mut rows in batches(&lengths, params.batch, &mut rng) {
            rows.sort_by_key(|row| lengths[*row]);
            let seed = rand::RngExt::random(&mut rng);
            let rate = params.learning_rate * schedule(step, n_steps);
            sum += trainee.step(&fitted, &rows, rate, seed)?;
            step += 1;
            tick(step, n_steps);
        }
        let loss = trainee.loss(&held)?;
        curve.push(TuneEpoch { epoch, fitted: sum / fitted.targets.total(), held: loss });
        if loss < curve[best_epoch].held {
            (best, best_epoch) = (trainee.snapshot(), epoch);
        }
        if epoch >= best_epoch + params.patience {
            break;
        }
    }
    let (bert, heads) = best;
    Ok(Tuned { encoder: encoder.with(bert)?, heads: heads?, curve })
}

/// Heads alone, on embeddings `[n * n_dimensions]` of length 1 that stay as they are.
///
/// # Errors
///
/// If a class, complexity or weight is out of range, or there is not one embedding per text.
pub fn fit_heads(
    embeddings: &[f32],
    examples: &[Example<'_>],
    n_classes: usize,
) -> Result<Heads, EncoderError> {
    check(examples, examples, n_classes, &TuneParams::default())?;
    let (n, n_values) = (examples.len(), embeddings.len());
    if !n_values.is_multiple_of(n) {
        let bound = format!("a multiple of {n} texts");
        let (quantity, value) = ("numbers of embeddings", n_values.to_string());
        return Err(EncoderError::Range { quantity, bound, value });
    }
    network::fit_heads(embeddings, &Targets::new(examples, n_classes), n_values / n)
}

fn texts<'a>(examples: &[Example<'a>]) -> Vec<&'a str> {
    examples.iter().map(|example| example.text).collect()
}

/// Up to 1 over the first tenth of the steps, down to 0 over the others.
fn schedule(step: usize, n_steps: usize) -> f64 {
    let (at, warm_up) = (step as f64 + 1.0, (n_steps as f64 / 10.0).max(1.0));
    (at / warm_up).min((n_steps as f64 + 1.0 - at) / (n_steps as f64 + 1.0 - warm_up).max(1.0))
}

fn check(
    fitted: &[Example<'_>],
    held: &[Example<'_>],
    n_classes: usize,
    params: &TuneParams,
) -> Result<(), EncoderError> {
    let range = |quantity, bound: &str, value: String| {
        Err(EncoderError::Range { quantity, bound: bound.to_owned(), value })
    };
    for (quantity, value) in [
        ("n_blocks", params.n_blocks),
        ("max_epochs", params.max_epochs),
        ("patience", params.patience),
        ("batch", params.batch),
        ("number of texts to fit", fitted.len()),
        ("number of texts held out", held.len()),
        ("number of classes", n_classes),
    ] {
        if value == 0 {
            return range(quantity, "at least 1", value.to_string());
        }
    }
    let rate = params.learning_rate;
    if !(rate > 0.0 && rate <= 0.1) {
        return range("learning_rate", "in (0, 0.1]", rate.to_string());
    }
    for (quantity, value) in [("decay", params.decay), ("dropout", params.dropout)] {
        if !(0.0..1.0).contains(&value) {
            return range(quantity, "in [0, 1)", value.to_string());
        }
    }
    for example in fitted.iter().chain(held) {
        if let Some(class) = example.class.filter(|class| *class >= n_classes) {
            return range("class", "below the number of classes", class.to_string());
        }
        if let Some(share) = example.complexity.filter(|share| !(0.0..=1.0).contains(share)) {
            return range("complexity", "in [0, 1]", share.to_string());
        }
        if !(example.weight > 0.0 && example.weight.is_finite()) {
            return range("weight", "above 0 and finite", example.weight.to_string());
        }
    }
    Ok(())
}

impl Trainee {
    /// One step; returns the sum of the losses of the rows.
    fn step(
        &mut self,
        texts: &Texts,
        rows: &[usize],
        rate: f64,
        seed: u64,
    ) -> Result<f64, EncoderError> {
        let parts: Vec<&[usize]> = rows.chunks(rows.len().div_ceil(N_PARTS)).collect();
        let run = |(at, part): (usize, &&[usize])| {
            let (packed, targets) = texts.packed(part);
            self.gradients(&packed, &targets, seed.wrapping_add(at as u64))
        };
        let ran: Vec<_> = parts.iter().enumerate().map(run).collect::<Result<_, _>>()?;
        let sum: f64 = ran.iter().map(|(loss, _)| loss).sum();
        if !sum.is_finite() {
            let (quantity, bound) = ("loss", "finite; try a lower learning rate".to_owned());
            return Err(EncoderError::Range { quantity, bound, value: sum.to_string() });
        }
        let gradients = ran.into_iter().map(|(_, gradients)| gradients);
        self.descend(gradients, rate, texts.targets.select(rows).total());
        Ok(sum)
    }

    /// Mean loss per unit of weight, without dropout.
    fn loss(&self, texts: &Texts) -> Result<f64, EncoderError> {
        let mut order: Vec<usize> = (0..texts.sequences.len()).collect();
        order.sort_by_key(|row| texts.sequences[*row].len());
        let network = self.valid();
        let losses: Vec<f64> = order
            .par_chunks(16)
            .map(|rows| {
                let (packed, targets) = texts.packed(rows);
                network.loss_of(&packed, &targets)
            })
            .collect::<Result<_, _>>()?;
        Ok(losses.iter().sum::<f64>() / texts.targets.total())
    }
}
