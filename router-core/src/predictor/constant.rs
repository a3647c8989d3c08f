//! The same expectation for every request: the mean of each model.

use serde::{Deserialize, Serialize};

use super::{Prediction, Predictor, Scratch};
use crate::request::RequestView;

/// Means per model, whatever the request.
///
/// # Shapes
///
/// All are `[n_arms]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constant {
    /// Mean quality.
    pub quality: Vec<f64>,
    /// Mean dollars per request.
    pub cost: Vec<Option<f64>>,
    /// Mean milliseconds until the last byte.
    pub latency_ms: Vec<Option<f64>>,
}

impl Predictor for Constant {
    fn predict(&self, _view: &RequestView<'_>, _scratch: &mut Scratch) -> Prediction {
        Prediction {
            quality: self.quality.iter().map(|quality| quality.clamp(0.0, 1.0)).collect(),
            score: self.quality.clone(),
            cost: self.cost.clone(),
            latency_ms: self.latency_ms.clone(),
            sd: Vec::new(),
            complexity: None,
            task: None,
        }
    }
}
