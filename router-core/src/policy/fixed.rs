//! Always the same arm, while it is eligible.

use super::{ActionDistribution, Context, CostAware, Policy};

/// Always `arm`; where it is not eligible, what [`CostAware`] would do.
#[derive(Clone, Copy, Debug)]
pub struct Fixed {
    /// The arm.
    pub arm: usize,
}

impl Policy for Fixed {
    fn distribution(&self, context: &Context<'_>) -> ActionDistribution {
        if context.eligible[self.arm] {
            ActionDistribution::point(context.eligible.len(), self.arm)
        } else {
            CostAware.distribution(context)
        }
    }
}
