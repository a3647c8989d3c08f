//! The highest utility.

use super::{ActionDistribution, Context, Policy};

/// `argmax_a quality(a) − λ · cost(a) / c_ref − ω · latency(a) / l_ref` over the eligible arms.
///
/// Ties go to the lower predicted cost, then to the model whose id is first in byte order.
#[derive(Clone, Copy, Debug)]
pub struct CostAware;

impl Policy for CostAware {
    fn distribution(&self, context: &Context<'_>) -> ActionDistribution {
        let utilities = context.objective.utilities(context.prediction);
        let cost = |arm: usize| context.prediction.cost[arm].unwrap_or(f64::INFINITY);
        let best = context.eligible_arms().min_by(|&a, &b| {
            let by_utility = utilities[b].total().total_cmp(&utilities[a].total());
            by_utility.then(cost(a).total_cmp(&cost(b))).then(a.cmp(&b))
        });
        ActionDistribution::point(context.eligible.len(), best.unwrap_or(0))
    }
}
