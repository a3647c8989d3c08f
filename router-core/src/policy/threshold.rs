//! Two models and a threshold on the predicted uplift.

use super::{ActionDistribution, Context, Policy};

/// `strong` where `score[strong] − score[weak] ≥ uplift`, else `weak`.
///
/// Where the one it wants is not eligible it takes the other, and without both what
/// [`CostAware`](super::CostAware) would do.
#[derive(Clone, Copy, Debug)]
pub struct Threshold {
    /// The arm for most requests.
    pub weak: usize,
    /// The arm for the rest.
    pub strong: usize,
    /// Predicted quality that the strong arm must add.
    pub uplift: f64,
}

impl Policy for Threshold {
    fn distribution(&self, context: &Context<'_>) -> ActionDistribution {
        let score = &context.prediction.score;
        let wants_strong = score[self.strong] - score[self.weak] >= self.uplift;
        let wanted = if wants_strong { [self.strong, self.weak] } else { [self.weak, self.strong] };
        context.first_eligible(wanted)
    }
}
