//! Two models and a threshold on the predicted uplift.

use super::{ActionDistribution, Context, CostAware, Policy};

/// `strong` where `score[strong] − score[weak] ≥ uplift`, else `weak`.
///
/// Where the one it wants is not eligible it takes the other, and without both what
/// [`CostAware`] would do.
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
        let (first, second) =
            if wants_strong { (self.strong, self.weak) } else { (self.weak, self.strong) };
        match [first, second].into_iter().find(|&arm| context.eligible[arm]) {
            Some(arm) => ActionDistribution::point(context.eligible.len(), arm),
            None => CostAware.distribution(context),
        }
    }
}
