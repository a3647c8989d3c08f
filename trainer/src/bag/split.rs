//! Which rows a network is fitted on, and which tell when to stop.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::problem::Problem;

/// Places in `rows` to fit on, and a share of them at random to judge by.
///
/// Requests of equal features are one text: they are on one side together.
pub(super) fn split(
    problem: &Problem,
    rows: &[usize],
    share: f64,
    seed: u64,
) -> (Vec<usize>, Vec<usize>) {
    let mut rng = Pcg64::seed_from_u64(seed ^ 0x5eed);
    let mut is_held = BTreeMap::new();
    let mut sides = (Vec::new(), Vec::new());
    for (at, &row) in rows.iter().enumerate() {
        let key = &problem.raw[row].grams;
        let held = *is_held.entry(key).or_insert_with(|| rng.random_range(0.0..1.0) < share);
        if held { sides.1.push(at) } else { sides.0.push(at) }
    }
    sides
}
