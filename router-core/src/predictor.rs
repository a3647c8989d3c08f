//! What to expect of each model, before it is asked.

pub mod bag;
pub mod constant;
pub mod linear;
pub mod neighbors;
mod pass;
pub mod rounding;
pub mod tasks;

use crate::features::FeatureScratch;
use crate::request::RequestView;

pub use bag::BagParts;
pub use constant::Constant;
pub use linear::{CostHead, Linear, LinearError, LinearParts};
pub use neighbors::{NeighborParts, NeighborScratch};

/// Buffers that a prediction needs; reuse one per thread to avoid allocation.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) features: FeatureScratch,
    pub(crate) counts: Vec<u16>,
    pub(crate) touched: Vec<u32>,
    pub(crate) n_unknown: u32,
    pub(crate) n_grams: u32,
    pub(crate) sums: Vec<f32>,
    pub(crate) hidden: Vec<f32>,
    pub(crate) neighbors: NeighborScratch,
    pub(crate) outputs: Vec<f32>,
    pub(crate) probabilities: Vec<f64>,
    pub(crate) tasks: tasks::TaskScratch,
}

impl Scratch {
    /// Share of the n-grams of the last request that no fit has seen, in `[0, 1]`.
    pub(crate) fn unknown_share(&self) -> f64 {
        f64::from(self.n_unknown) / f64::from(self.n_grams.max(1))
    }
}

/// The kind of task that a request seems to be.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct TaskPrediction {
    /// The most likely label; `None` where a task classifier is too unsure to say.
    pub label: Option<String>,
    /// The probability that the most likely label is right, in `[0, 1]`.
    pub probability: f64,
}

/// What to expect of each model for one request.
///
/// # Shapes
///
/// `quality`, `score`, `cost` and `latency_ms` are `[n_arms]`, in the order of the catalog; `sd` is
/// so too, or empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prediction {
    /// Calibrated expected quality, in `[0, 1]`.
    pub quality: Vec<f64>,
    /// Expected quality before calibration, which the policy ranks by; may leave `[0, 1]`.
    pub score: Vec<f64>,
    /// Expected dollars of this request; `None` if unknown.
    pub cost: Vec<Option<f64>>,
    /// Expected milliseconds until the last byte; `None` if unknown.
    pub latency_ms: Vec<Option<f64>>,
    /// `[n_arms]`: standard deviation of the expected quality, not of an answer; empty if unknown.
    pub sd: Vec<f64>,
    /// The probability that the cheap model is not enough.
    pub complexity: Option<f64>,
    /// The kind of task.
    pub task: Option<TaskPrediction>,
}

impl Prediction {
    /// The standard deviation of an arm's expected quality; 0 if unknown.
    pub fn sd_of(&self, arm: usize) -> f64 {
        self.sd.get(arm).copied().unwrap_or(0.0)
    }
}

/// One part of a predicted quality: a name, and what it adds to each arm's score.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What the part is, e.g. `words`.
    pub name: &'static str,
    /// `[n_arms]`: its share of the score.
    pub adds: Vec<f64>,
}

/// Request → what to expect of each arm.
pub trait Predictor: Send + Sync + std::fmt::Debug {
    /// Predicts; the result has one entry per arm.
    fn predict(&self, view: &RequestView<'_>, scratch: &mut Scratch) -> Prediction;

    /// The score of each arm as a sum of named parts; empty if it has none.
    fn parts(&self, _view: &RequestView<'_>, _scratch: &mut Scratch) -> Vec<Part> {
        Vec::new()
    }
}
