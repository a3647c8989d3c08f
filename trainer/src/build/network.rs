//! What a router has beside its linear heads: the embedding bag and the neighbors.

use router_core::predictor::{CostHead, LinearParts};

use crate::bag::{Columns, Gains, export_with};
use crate::costs::mix::CostMix;
use crate::heads::Heads;
use crate::stack::{Said, Stack};

/// The cost heads of a router: `[n_models]`.
pub(super) fn cost_heads(heads: &Heads, mixes: &[Option<CostMix>]) -> Vec<Option<CostHead>> {
    let of = |(head, mix): (&Option<CostHead>, &Option<CostMix>)| {
        let head = head.as_ref()?;
        Some(mix.map_or_else(|| head.clone(), |mix| mix.head(head)))
    };
    heads.costs.iter().zip(mixes).map(of).collect()
}

/// Adds the bag and the neighbors, as far as they are trusted; what has no say is left out.
/// Complexity stays with the linear heads.
pub(super) fn add(
    heads: &Heads,
    stack: &Stack,
    mixes: &[Option<CostMix>],
    to: LinearParts,
) -> LinearParts {
    let has_costs = mixes.iter().any(Option::is_some);
    let bag = heads.bag.as_ref().filter(|_| stack.uses_bag() || has_costs);
    let near = heads.neighbors.as_ref().filter(|_| stack.uses_neighbors());
    if bag.is_none() && near.is_none() {
        return to;
    }
    let gains = Gains {
        shared: stack.shared_bag_weight,
        deviations: gains(heads, stack, |one, said| said.bag = one),
        complexity: 0.0,
        costs: if has_costs {
            mixes.iter().map(|mix| mix.map_or(0.0, |mix| mix.bag)).collect()
        } else {
            Vec::new()
        },
        tasks: stack.task_bag_gain / stack.task_sharpness,
    };
    let columns = Columns { n_models: heads.layout.n_models, n_tasks: heads.layout.n_tasks };
    let projection = near.map(|near| &near.projection);
    let first = bag.map_or(0, |bag| bag.networks.iter().map(|network| network.hidden).sum());
    LinearParts {
        bag: Some(export_with(bag, projection, &heads.vectorizer, (columns, &gains))),
        neighbors: near.map(|near| {
            near.mixed(&self::gains(heads, stack, |one, said| said.neighbors = one), first)
        }),
        ..to
    }
}

/// `[n_models * n_arms]`: what a deviation that a part says of a model adds to each arm.
fn gains(heads: &Heads, stack: &Stack, say: for<'a> fn(&'a [f64], &mut Said<'a>)) -> Vec<f64> {
    let m = heads.layout.n_models;
    let no_ridge = vec![0.0f32; heads.layout.width()];
    let of = |model: usize| {
        let mut one = vec![0.0; m];
        one[model] = 1.0;
        let nothing = vec![0.0; m];
        let mut said = Said::nothing(&nothing);
        say(&one, &mut said);
        stack.deviations(&heads.basis, heads.layout, |_| &no_ridge, said)
    };
    (0..m).flat_map(of).collect()
}
