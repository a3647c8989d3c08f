//! Linear heads on hashed n-grams and surface features: one pass serves every head.
//!
//! Each n-gram has one row of weights, one for each output: the quality of every arm, the
//! complexity, and a score per task. With term weights `t = 1 + ln(count)`, inverse document
//! frequencies `f` and block scales `s`, an output is
//!
//! `y = bias + Σ_blocks s_b · Σ_g t_g f_g w_g / ‖t f‖_b + Σ_surface w · clip((x − mean) · scale)`,
//!
//! and the score of an arm adds what its inferred task says: `Σ_t p(t) · effect[t][arm]`.
//!
//! An embedding [bag](super::bag) may add to every output; its embeddings are columns of the same
//! rows, so that the pass over the n-grams stays one. Its hidden units may be where
//! [neighbors](super::neighbors) are looked for, which add to the arms.

mod run;

use super::bag::{BagParts, MAX_HIDDEN};
use super::neighbors::NeighborParts;
use super::pass::Table;
use super::rounding::Rounding;
use crate::calibration::Calibration;
use crate::features::{N_BLOCKS, N_BUCKETS, N_SURFACE};

/// How far a standardised surface feature may go: a request longer than any seen in training must
/// not be extrapolated.
pub const SURFACE_CLIP: f32 = 3.0;

/// The cost of an arm as a log-linear function of the surface features.
#[derive(Clone, Debug, PartialEq)]
pub struct CostHead {
    /// `ln` of the expected dollars at the mean surface features.
    pub bias: f64,
    /// `[N_SURFACE]` weights of the standardised surface features; all zero for a constant cost.
    pub weights: Vec<f64>,
}

/// Everything that [`Linear`] is made of, as plain numbers.
///
/// # Shapes
///
/// `width = n_arms + 1 if has_complexity + n_tasks`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinearParts {
    /// Number of arms.
    pub n_arms: usize,
    /// Whether an output for complexity follows the arms.
    pub has_complexity: bool,
    /// Names of the tasks, whose outputs come last.
    pub tasks: Vec<String>,
    /// Multiplies task scores before the softmax.
    pub task_sharpness: f64,
    /// `[n_tasks * n_arms]`: what a task adds to an arm's score; empty for nothing.
    pub task_effects: Vec<f32>,
    /// `[n_active]`: buckets with a weight, increasing.
    pub buckets: Vec<u32>,
    /// `[n_active]`: inverse document frequencies.
    pub idf: Vec<f32>,
    /// `[n_active * width]`.
    pub weights: Vec<f32>,
    /// Scales of the weights, if these are [rounded](LinearParts::rounded).
    pub rounding: Option<Rounding>,
    /// `[N_BLOCKS]`.
    pub block_scales: Vec<f32>,
    /// `[N_SURFACE]`.
    pub surface_mean: Vec<f32>,
    /// `[N_SURFACE]`: multiplies the difference to the mean.
    pub surface_scale: Vec<f32>,
    /// `[N_SURFACE * width]`.
    pub surface_weights: Vec<f32>,
    /// `[width]`.
    pub bias: Vec<f32>,
    /// `[n_arms]`.
    pub calibrations: Vec<Calibration>,
    /// Of the complexity output.
    pub complexity_calibration: Calibration,
    /// `[n_arms]`; `None` where costs are unknown.
    pub costs: Vec<Option<CostHead>>,
    /// `[n_arms]`: mean latency; `None` where unknown.
    pub latency_ms: Vec<Option<f64>>,
    /// What adds to the outputs.
    pub bag: Option<BagParts>,
    /// What adds to the arms, given the hidden units of the bag.
    pub neighbors: Option<NeighborParts>,
}

/// Why parts do not make a predictor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinearError {
    /// A vector of the wrong length.
    #[error("{0} must have {1} numbers, got {2}")]
    Shape(&'static str, usize, usize),
    /// A weight that is not a number.
    #[error("{0} must be finite, got NaN or infinity at {1}")]
    NotFinite(&'static str, usize),
    /// Buckets out of range or out of order.
    #[error("bucket {0} is out of order or not below {N_BUCKETS}")]
    Bucket(u32),
    /// A bag too wide or without any dimension.
    #[error("bag hidden dimensions must be in [1, {MAX_HIDDEN}], got {0}")]
    Hidden(usize),
    /// A number out of range.
    #[error("{0} must be {1}, got {2}")]
    Range(&'static str, &'static str, String),
}

/// The predictor, laid out for speed.
#[derive(Clone, Debug)]
pub struct Linear {
    parts: LinearParts,
    /// Weights and, after them, embeddings of each n-gram.
    table: Table,
}

/// Checks how many numbers there are, and that they are finite.
pub(super) fn numbers(name: &'static str, values: &[f32], n: usize) -> Result<(), LinearError> {
    if values.len() != n {
        return Err(LinearError::Shape(name, n, values.len()));
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(LinearError::NotFinite(name, at)),
        None => Ok(()),
    }
}

impl LinearParts {
    /// Number of outputs.
    pub fn width(&self) -> usize {
        self.n_arms + usize::from(self.has_complexity) + self.tasks.len()
    }

    fn check(&self) -> Result<(), LinearError> {
        let (n, width) = (self.buckets.len(), self.width());
        let effects = if self.task_effects.is_empty() { 0 } else { self.tasks.len() * self.n_arms };
        let all: [(&'static str, &[f32], usize); 8] = [
            ("idf", &self.idf, n),
            ("weights", &self.weights, n * width),
            ("block_scales", &self.block_scales, N_BLOCKS),
            ("surface_mean", &self.surface_mean, N_SURFACE),
            ("surface_scale", &self.surface_scale, N_SURFACE),
            ("surface_weights", &self.surface_weights, N_SURFACE * width),
            ("bias", &self.bias, width),
            ("task_effects", &self.task_effects, effects),
        ];
        for (name, values, expected) in all {
            numbers(name, values, expected)?;
        }
        self.rounding.as_ref().map_or(Ok(()), |rounding| rounding.check(n, width))?;
        self.bag.as_ref().map_or(Ok(()), |bag| bag.check(self))?;
        let hidden = self.bag.as_ref().map_or(0, |bag| bag.hidden);
        let neighbors = self.neighbors.as_ref();
        neighbors.map_or(Ok(()), |neighbors| neighbors.check(hidden, self.n_arms))?;
        for (name, len) in [
            ("calibrations", self.calibrations.len()),
            ("costs", self.costs.len()),
            ("latency_ms", self.latency_ms.len()),
        ] {
            if len != self.n_arms {
                return Err(LinearError::Shape(name, self.n_arms, len));
            }
        }
        self.check_costs()
    }

    fn check_costs(&self) -> Result<(), LinearError> {
        for (arm, cost) in self.costs.iter().enumerate() {
            let Some(cost) = cost else { continue };
            if cost.weights.len() != N_SURFACE {
                return Err(LinearError::Shape("cost weights", N_SURFACE, cost.weights.len()));
            }
            if !cost.bias.is_finite() || cost.weights.iter().any(|weight| !weight.is_finite()) {
                return Err(LinearError::NotFinite("costs", arm));
            }
        }
        if !self.task_sharpness.is_finite() {
            return Err(LinearError::NotFinite("task_sharpness", 0));
        }
        Ok(())
    }
}

impl Linear {
    /// Checks shapes and finiteness, and lays the weights out.
    ///
    /// # Errors
    ///
    /// If a length is not as [`LinearParts`] says, a number is not finite, or a bucket is out of
    /// range or order.
    pub fn new(parts: LinearParts) -> Result<Self, LinearError> {
        parts.check()?;
        let width = parts.width();
        let hidden = parts.bag.as_ref().map_or(0, |bag| bag.hidden);
        let fill = |row: usize, to: &mut [f32]| {
            let (weights, embedding) = to.split_at_mut(width);
            weights.copy_from_slice(&parts.weights[row * width..][..width]);
            if let Some(bag) = &parts.bag {
                bag.write_row(row, embedding);
            }
        };
        let table =
            Table::new(&parts.buckets, &parts.idf, &parts.block_scales, width + hidden, fill)
                .map_err(LinearError::Bucket)?;
        Ok(Self { parts, table })
    }

    /// What it is made of.
    pub fn parts(&self) -> &LinearParts {
        &self.parts
    }

    /// What it is made of, taken apart again.
    pub fn into_parts(self) -> LinearParts {
        self.parts
    }
}

#[cfg(test)]
mod tests;
