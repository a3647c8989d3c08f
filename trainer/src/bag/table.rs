//! The embeddings: gathered for a batch, and moved against its gradient.
//!
//! The table is cut into a fixed number of ranges of columns. Each range is updated by one thread,
//! row of the batch by row, so that no sum depends on how many threads there are.

use rayon::prelude::*;

use crate::design::Sparse;

/// Ranges that are updated in parallel.
const N_RANGES: usize = 16;

/// Decay of the first and second moment of the gradient.
const BETAS: (f32, f32) = (0.9, 0.999);

/// Some rows, of which a share of the entries is left out.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// All rows.
    pub design: &'a Sparse,
    /// Those of the batch.
    pub rows: &'a [usize],
    /// Share of entries left out, in `[0, 1)`; the others count as much more.
    pub thinning: f32,
    /// Which ones; another number for each batch.
    pub seed: u64,
}

impl Batch<'_> {
    /// The entries of a row that are kept, from a column on: the same ones each time.
    fn row_from(&self, row: usize, first: u32) -> impl Iterator<Item = (u32, f32)> + '_ {
        let kept = 1.0 / (1.0 - self.thinning);
        let row_seed = mix(self.seed ^ row as u64);
        self.design.row_from(row, first).filter_map(move |(column, value)| {
            if self.thinning <= 0.0 {
                return Some((column, value));
            }
            // The upper 24 bits, as a number in [0, 1).
            let draw = (mix(row_seed ^ u64::from(column)) >> 40) as f32 / 16_777_216.0;
            (draw >= self.thinning).then_some((column, value * kept))
        })
    }
}

/// The finalizer of `SplitMix64`.
fn mix(value: u64) -> u64 {
    let mixed = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Embeddings of columns, with the state of their optimizer.
///
/// The optimizer is `AdamW` with one second moment for the whole table instead of one per number,
/// after each column's gradient is divided by `1 + energy / damping`, where the energy of a column
/// is its sum of squares. So a rare n-gram moves in proportion to its gradient, little, and not by
/// the full learning rate as under Adam; and a column that most requests have does not outrun all
/// others. It is the diagonal of a ridge regression whose penalty is the damping.
#[derive(Clone, Debug)]
pub struct Table {
    hidden: usize,
    /// `[n_columns * hidden]`.
    values: Vec<f32>,
    /// `[n_columns]`: multiplies gradients.
    conditioner: Vec<f32>,
    momentum: Vec<f32>,
    gradient: Vec<f32>,
    second_moment: f64,
    n_steps: i32,
}

impl Table {
    /// These embeddings, `[n_columns * hidden]`, of columns with these energies.
    pub fn new(values: Vec<f32>, energies: &[f32], damping: f32, hidden: usize) -> Self {
        let n = values.len();
        Self {
            hidden,
            values,
            conditioner: energies.iter().map(|energy| 1.0 / (1.0 + energy / damping)).collect(),
            momentum: vec![0.0; n],
            gradient: vec![0.0; n],
            second_moment: 0.0,
            n_steps: 0,
        }
    }

    /// `[n_columns * hidden]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The same embeddings, without what only an optimizer needs.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// `x · E` of all rows: `[n_rows * hidden]`.
    pub fn bags(&self, rows: &Sparse) -> Vec<f32> {
        rows.times(&self.values, self.hidden)
    }

    /// `x · E` of a batch: `[rows.len() * hidden]`.
    pub fn bags_of(&self, batch: &Batch<'_>) -> Vec<f32> {
        let hidden = self.hidden;
        let mut bags = vec![0.0f32; batch.rows.len() * hidden];
        bags.par_chunks_mut(hidden).with_min_len(16).zip(batch.rows).for_each(|(bag, &row)| {
            for (column, value) in batch.row_from(row, 0) {
                let from = &self.values[column as usize * hidden..][..hidden];
                for (bag, from) in bag.iter_mut().zip(from) {
                    *bag += value * from;
                }
            }
        });
        bags
    }

    /// One step against the gradient of the batch's bags, `[rows.len() * hidden]`.
    #[expect(clippy::cast_possible_truncation, reason = "rates and moments are f32 in the end")]
    pub fn step(&mut self, batch: &Batch<'_>, bags: &[f32], rate: f64, decay: f64) {
        let hidden = self.hidden;
        let n_columns = self.values.len() / hidden;
        let per_range = n_columns.div_ceil(N_RANGES).max(1);
        let squares: Vec<f64> = (self.gradient.par_chunks_mut(per_range * hidden).enumerate())
            .map(|(range, gradient)| {
                gradient.fill(0.0);
                let first = range * per_range;
                scatter(batch, bags, hidden, first as u32, gradient);
                for (row, factor) in
                    gradient.chunks_exact_mut(hidden).zip(&self.conditioner[first..])
                {
                    row.iter_mut().for_each(|g| *g *= factor);
                }
                gradient.iter().map(|g| f64::from(g * g)).sum::<f64>()
            })
            .collect();
        self.n_steps += 1;
        let mean_square = squares.iter().sum::<f64>() / self.values.len() as f64;
        let beta = f64::from(BETAS.1);
        self.second_moment = beta * self.second_moment + (1.0 - beta) * mean_square;
        let unbiased = |moment: f64, beta: f32| moment / (1.0 - f64::from(beta).powi(self.n_steps));
        let length = unbiased(self.second_moment, BETAS.1).sqrt().max(1e-12);
        let factor = (unbiased(rate, BETAS.0) / length) as f32;
        let keep = (1.0 - rate * decay) as f32;
        let chunk = per_range * hidden;
        (self.values.par_chunks_mut(chunk))
            .zip(self.momentum.par_chunks_mut(chunk))
            .zip(self.gradient.par_chunks(chunk))
            .for_each(|((values, momentum), gradient)| {
                for ((value, m), g) in values.iter_mut().zip(momentum).zip(gradient) {
                    *m = BETAS.0 * *m + (1.0 - BETAS.0) * g;
                    *value = keep * *value - factor * *m;
                }
            });
    }
}

/// Adds the gradient of the columns from `first` on, as many as `gradient` holds.
fn scatter(batch: &Batch<'_>, bags: &[f32], hidden: usize, first: u32, gradient: &mut [f32]) {
    for (&row, bag) in batch.rows.iter().zip(bags.chunks_exact(hidden)) {
        for (column, value) in batch.row_from(row, first) {
            let at = (column - first) as usize * hidden;
            let Some(to) = gradient.get_mut(at..at + hidden) else { break };
            for (to, from) in to.iter_mut().zip(bag) {
                *to += value * from;
            }
        }
    }
}
