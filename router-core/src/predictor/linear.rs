//! Linear heads on hashed n-grams and surface features: one pass serves every head.
//!
//! Each n-gram has one row of weights, one for each output: the quality of every arm, the
//! complexity, and a score per task. With term weights `t = 1 + ln(count)`, inverse document
//! frequencies `f` and block scales `s`, an output is
//!
//! `y = bias + Σ_blocks s_b · Σ_g t_g f_g w_g / ‖t f‖_b + Σ_surface w · clip((x − mean) · scale)`,
//!
//! and the score of an arm adds what its inferred task says: `Σ_t p(t) · effect[t][arm]`.

mod run;

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
}

/// The predictor, laid out for speed.
#[derive(Clone, Debug)]
pub struct Linear {
    parts: LinearParts,
    /// Distance between rows: width, rounded up to whole SIMD registers.
    stride: usize,
    /// `[N_BUCKETS]`: row of a bucket, or `NO_ROW`.
    row_of: Vec<u32>,
    /// `[n_active * stride]`: `idf · weight`.
    rows: Vec<f32>,
    /// `[n_active]`: `idf²`.
    idf_squared: Vec<f32>,
}

const NO_ROW: u32 = u32::MAX;

impl LinearParts {
    /// Number of outputs.
    pub fn width(&self) -> usize {
        self.n_arms + usize::from(self.has_complexity) + self.tasks.len()
    }

    fn check(&self) -> Result<(), LinearError> {
        let (n, width) = (self.buckets.len(), self.width());
        let effects = if self.task_effects.is_empty() { 0 } else { self.tasks.len() * self.n_arms };
        let numbers: [(&'static str, &[f32], usize); 8] = [
            ("idf", &self.idf, n),
            ("weights", &self.weights, n * width),
            ("block_scales", &self.block_scales, N_BLOCKS),
            ("surface_mean", &self.surface_mean, N_SURFACE),
            ("surface_scale", &self.surface_scale, N_SURFACE),
            ("surface_weights", &self.surface_weights, N_SURFACE * width),
            ("bias", &self.bias, width),
            ("task_effects", &self.task_effects, effects),
        ];
        for (name, values, expected) in numbers {
            if values.len() != expected {
                return Err(LinearError::Shape(name, expected, values.len()));
            }
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                return Err(LinearError::NotFinite(name, at));
            }
        }
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
        let stride = width.next_multiple_of(4);
        let mut row_of = vec![NO_ROW; N_BUCKETS];
        for (row, &bucket) in parts.buckets.iter().enumerate() {
            let in_order = row == 0 || parts.buckets[row - 1] < bucket;
            match row_of.get_mut(bucket as usize) {
                Some(slot) if in_order => *slot = u32::try_from(row).unwrap_or(NO_ROW),
                _ => return Err(LinearError::Bucket(bucket)),
            }
        }
        let mut rows = vec![0.0; parts.buckets.len() * stride];
        for (row, &idf) in parts.idf.iter().enumerate() {
            let from = &parts.weights[row * width..(row + 1) * width];
            let to = &mut rows[row * stride..row * stride + width];
            for (to, from) in to.iter_mut().zip(from) {
                *to = idf * from;
            }
        }
        let idf_squared = parts.idf.iter().map(|idf| idf * idf).collect();
        Ok(Self { parts, stride, row_of, rows, idf_squared })
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
