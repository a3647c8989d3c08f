//! Nearest neighbors: requests of the past as points with what models made of them.
//!
//! Points are hidden units of the [projection]; a router finds those near a request by
//! [`router_core::predictor::neighbors`], and so does the fit for rows that it did not see, so that
//! what is chosen on held-out rows holds for what is served. With many points they are cut into
//! clusters ([`clusters`]), and as few of these are searched as find almost all of the neighbors:
//! a search of 1,000 points of 32 dimensions takes 5 µs and grows with their number, one of the
//! clusters that hold 95% of the neighbors of 14,000 takes about 8 µs (`cargo bench --bench p50`).
//!
//! [projection]: crate::projection

pub mod clusters;

use rayon::prelude::*;
use router_core::predictor::{NeighborParts, NeighborScratch};
use serde::{Deserialize, Serialize};

use crate::bag::Lesson;
use crate::design::{Design, Sparse, Vectorizer};
use crate::problem::Problem;
use crate::projection::Projection;
use clusters::Clusters;

/// Points whose neighbors are looked for in full, to see how many a search finds.
const N_PROBED: usize = 400;

/// How nearest neighbors are fitted.
///
/// | Field | Default | Meaning | Range |
/// | --- | --- | --- | --- |
/// | `dimensions` | `32` | of a point | `[1, 64]` |
/// | `k` | `100` | neighbors that are taken | `[1, 1000]` |
/// | `power` | `4` | a neighbor counts by its cosine to this power | `[0, 16]` |
/// | `max_points` | `20000` | points that are kept, evenly spread over the rows | `[100, 200000]` |
/// | `index_from` | `1000` | points from which only some clusters are searched | `[1, ∞)` |
/// | `recall` | `0.95` | share of the `k` nearest that the search has to find | `(0, 1]` |
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NeighborParams {
    /// Dimensions of a point.
    pub dimensions: usize,
    /// Neighbors that are taken.
    pub k: usize,
    /// The power of a cosine that is a weight.
    pub power: u32,
    /// Points that are kept.
    pub max_points: usize,
    /// Points from which only some clusters are searched.
    pub index_from: usize,
    /// Share of the nearest that the search has to find.
    pub recall: f64,
}

impl Default for NeighborParams {
    fn default() -> Self {
        Self {
            dimensions: 32,
            k: 100,
            power: 4,
            max_points: 20_000,
            index_from: 1_000,
            recall: 0.95,
        }
    }
}

impl NeighborParams {
    /// Checks ranges.
    ///
    /// # Errors
    ///
    /// The first number out of range: its key, its range and its value.
    pub fn check(&self) -> Result<(), (&'static str, &'static str, String)> {
        let NeighborParams { dimensions, k, power, max_points, index_from, recall } = *self;
        let checks = [
            (
                (1..=64).contains(&dimensions),
                "neighbors.dimensions",
                "in [1, 64]",
                dimensions as f64,
            ),
            ((1..=1000).contains(&k), "neighbors.k", "in [1, 1000]", k as f64),
            (power <= 16, "neighbors.power", "in [0, 16]", power.into()),
            (
                (100..=200_000).contains(&max_points),
                "neighbors.max_points",
                "in [100, 200000]",
                max_points as f64,
            ),
            (index_from > 0, "neighbors.index_from", "at least 1", index_from as f64),
            (recall > 0.0 && recall <= 1.0, "neighbors.recall", "in (0, 1]", recall),
        ];
        match checks.into_iter().find(|(holds, ..)| !holds) {
            Some((_, key, bound, value)) => Err((key, bound, value.to_string())),
            None => Ok(()),
        }
    }
}

/// Fitted neighbors: each adds its deviations from the means.
#[derive(Clone, Debug)]
pub struct NeighborFit {
    /// Request → point.
    pub projection: Projection,
    /// Points and what they add, as a router would have them; dimension 0 is hidden unit 0.
    pub parts: NeighborParts,
    /// Share of the `k` nearest points that the search finds, on some of the points.
    pub recall: f64,
}

/// Fits neighbors on some rows.
pub fn fit(
    problem: &Problem,
    lesson: &Lesson<'_>,
    vectorizer: &Vectorizer,
    params: &NeighborParams,
) -> NeighborFit {
    let raw: Vec<_> = lesson.rows.iter().map(|row| &problem.raw[*row]).collect();
    let design = Design::new(vectorizer, &raw);
    let projection = Projection::fit(&design, vectorizer, params.dimensions);
    let units = projection.units(&design.by_row);
    drop(design);
    let (kept, parts) = index(problem, lesson, &units, params);
    let (parts, recall) = tuned(parts, &units, &kept, params);
    NeighborFit { projection, parts, recall }
}

impl NeighborFit {
    /// What neighbors say of the deviation of every model: `[rows.len() * n_models]`.
    pub fn predict(&self, problem: &Problem, vectorizer: &Vectorizer, rows: &[usize]) -> Vec<f32> {
        let vectors: Vec<_> =
            rows.par_iter().map(|row| vectorizer.row(&problem.raw[*row])).collect();
        let units = self.projection.units(&Sparse::from_rows(&vectors));
        let mut said = vec![0.0; rows.len() * problem.n_models()];
        said.par_chunks_mut(problem.n_models())
            .zip(units.par_chunks(self.projection.dimensions))
            .for_each_init(NeighborScratch::default, |scratch, (said, units)| {
                self.parts.add_outputs(units, scratch, said);
            });
        said
    }

    /// The same points, adding `gains` times as much, `[n_models * n_arms]`, and looking for
    /// neighbors among the hidden units from `first` on.
    pub fn mixed(&self, gains: &[f64], first: usize) -> NeighborParts {
        let m = self.parts.scales.len();
        let mut adds = Vec::with_capacity(self.parts.adds.len());
        for row in self.parts.adds.chunks_exact(m) {
            let mut arms = vec![0.0f64; m];
            for ((add, scale), gains) in row.iter().zip(&self.parts.scales).zip(gains.chunks(m)) {
                let add = f64::from(*add) * f64::from(*scale);
                arms.iter_mut().zip(gains).for_each(|(arm, gain)| *arm += gain * add);
            }
            adds.extend(arms);
        }
        let (adds, scales) = rounded(&adds, m);
        NeighborParts { first, adds, scales, ..self.parts.clone() }
    }
}

/// Columns of numbers, `[n * m]`, as bytes and what 1 means in each: `[m]`.
#[expect(clippy::cast_possible_truncation, reason = "rounded to ±127, and scales are f32")]
fn rounded(values: &[f64], m: usize) -> (Vec<i8>, Vec<f32>) {
    let largest = |j: usize| {
        values.iter().skip(j).step_by(m).fold(0.0f64, |most, value| most.max(value.abs()))
    };
    let scales: Vec<f64> = (0..m).map(|j| largest(j) / 127.0).collect();
    let byte = |(i, value): (usize, &f64)| {
        let scale = scales[i % m];
        if scale > 0.0 { (value / scale).round() as i8 } else { 0 }
    };
    let bytes = values.iter().enumerate().map(byte).collect();
    (bytes, scales.iter().map(|scale| *scale as f32).collect())
}

/// The points, all of whose clusters are searched; and the places in `lesson.rows` that they are of,
/// in their order.
fn index(
    problem: &Problem,
    lesson: &Lesson<'_>,
    units: &[f32],
    params: &NeighborParams,
) -> (Vec<usize>, NeighborParts) {
    let (m, d) = (problem.n_models(), params.dimensions);
    let taught: Vec<usize> =
        (0..lesson.rows.len()).filter(|at| lesson.taught.shared(*at).is_some()).collect();
    let n = taught.len().min(params.max_points);
    let kept: Vec<usize> = (0..n).map(|i| taught[i * taught.len() / n]).collect();
    let vectors: Vec<f32> = kept.iter().flat_map(|at| &units[at * d..][..d]).copied().collect();
    let n_clusters = if n < params.index_from { 1 } else { n.isqrt() };
    let clusters = Clusters::fit(&vectors, d, n_clusters);
    let order = clusters.order();
    let kept: Vec<usize> = order.iter().map(|i| kept[*i]).collect();
    let points = order.iter().flat_map(|i| NeighborParts::rounded(&vectors[i * d..][..d]));
    let deviations: Vec<f64> = kept
        .iter()
        .flat_map(|at| (0..m).map(|j| lesson.taught.deviation(*at, j).unwrap_or(0.0)))
        .collect();
    let (adds, scales) = rounded(&deviations, m);
    let parts = NeighborParts {
        first: 0,
        dimensions: d,
        k: params.k,
        power: params.power,
        shrinkage: 0.0,
        probes: n_clusters,
        centers: clusters.centers.chunks_exact(d).flat_map(NeighborParts::rounded).collect(),
        starts: clusters.starts(),
        points: points.collect(),
        adds,
        scales,
    };
    (kept, parts)
}

/// Searches as few clusters as find the share of the nearest that is asked for.
fn tuned(
    mut parts: NeighborParts,
    units: &[f32],
    kept: &[usize],
    params: &NeighborParams,
) -> (NeighborParts, f64) {
    let n_clusters = parts.starts.len() - 1;
    let d = parts.dimensions;
    let step = kept.len().div_ceil(N_PROBED).max(1);
    let nearest = |parts: &NeighborParts| -> Vec<Vec<usize>> {
        let of = |at: &usize| -> Vec<usize> {
            let mut scratch = NeighborScratch::default();
            let mut found: Vec<usize> =
                parts.nearest(&units[at * d..][..d], &mut scratch).collect();
            found.sort_unstable();
            found
        };
        kept.par_iter().step_by(step).map(of).collect()
    };
    let all = nearest(&parts);
    let n: usize = all.iter().map(Vec::len).sum();
    let mut probes = 1;
    loop {
        parts.probes = probes;
        let found = nearest(&parts);
        let hits = all.iter().zip(&found).map(|(all, found)| {
            found.iter().filter(|place| all.binary_search(place).is_ok()).count()
        });
        let recall = hits.sum::<usize>() as f64 / n.max(1) as f64;
        if recall >= params.recall || probes >= n_clusters {
            return (parts, recall);
        }
        probes = (probes + probes.div_ceil(4)).min(n_clusters);
    }
}

#[cfg(test)]
mod tests;
