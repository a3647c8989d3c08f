//! Every eligible arm alike.

use super::{ActionDistribution, Context, Policy};

/// Equal probabilities: the most exploration, and the baseline that any router must beat.
#[derive(Clone, Copy, Debug)]
pub struct Uniform;

impl Policy for Uniform {
    fn distribution(&self, context: &Context<'_>) -> ActionDistribution {
        ActionDistribution::uniform(context.eligible)
    }
}
