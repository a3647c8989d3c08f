//! Another policy with a floor under every eligible arm.

use super::{ActionDistribution, Context, Policy, Reasons};

/// `(1 − ε) · base + ε / n` over the `n` eligible arms.
///
/// Every eligible arm is drawn with probability at least `ε / n`, so importance weights of the log
/// never exceed `n / ε`.
#[derive(Debug)]
pub struct EpsilonGreedy {
    /// ε, in `[0, 1]`.
    pub epsilon: f64,
    /// The policy for the rest.
    pub base: Box<dyn Policy>,
}

impl Policy for EpsilonGreedy {
    fn distribution(&self, context: &Context<'_>) -> ActionDistribution {
        let uniform = ActionDistribution::uniform(context.eligible);
        self.base.distribution(context).mix(self.epsilon, &uniform)
    }

    fn reasons(&self, context: &Context<'_>) -> Reasons {
        self.base.reasons(context)
    }
}
