//! The loop: batches, held-out loss, early stopping.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde::Serialize;

use super::BagParams;
use super::network::{Network, Trainee};
use super::start::Start;
use super::table::{Batch, Table};
use super::targets::{Part, Targets};
use crate::design::Sparse;

/// Steps per epoch beyond which batches grow.
const MAX_STEPS: usize = 256;

/// Steps in all beyond which passes end: many rows need fewer of them.
const MAX_STEPS_IN_ALL: usize = 3_840;

/// Share of the held-out loss by which an epoch must lower it to count.
const MIN_GAIN: f64 = 0.002;

/// One point of a learning curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Epoch {
    /// Passes over the rows so far; 0 for the linear start.
    pub epoch: usize,
    /// Losses of the held-out rows, as [`KINDS`](super::targets::KINDS) names them.
    pub held: [f64; 5],
    /// Losses of fitted rows, without dropout.
    pub fitted: [f64; 5],
}

impl Epoch {
    /// What early stopping compares.
    pub fn held_sum(&self) -> f64 {
        self.held.iter().sum()
    }
}

/// What a network is trained on and judged by.
pub(super) struct Data<'a> {
    /// Fitted rows.
    pub(super) design: &'a Sparse,
    /// Held-out rows.
    pub(super) judging: &'a Sparse,
    /// Targets of both.
    pub(super) targets: &'a Targets,
    /// Where it starts.
    pub(super) start: &'a Start,
}

/// Trains one network.
pub(super) fn train(data: &Data<'_>, params: &BagParams, seed: u64) -> (Network, Vec<Epoch>) {
    let Data { design, targets, start, .. } = data;
    let mut rng = Pcg64::seed_from_u64(seed);
    let hidden = params.hidden;
    let energies = design.energies(start.embeddings.len() / hidden);
    let mut table = Table::new(start.embeddings.clone(), &energies, params.damping, hidden);
    let mut dense = Trainee::new(hidden, targets.columns, start, params.decay);
    let mut order: Vec<usize> = (0..design.n_rows()).collect();
    let batch = params.batch.max(order.len().div_ceil(MAX_STEPS));
    let per_epoch = order.len().div_ceil(batch).max(1);
    let max_epochs = params.max_epochs.min((MAX_STEPS_IN_ALL / per_epoch).max(1));
    let judge = Judge::new(data);
    let mut best = dense.network(table.values().to_vec());
    let mut curve = vec![judge.point(0, &best)];
    let (mut least, mut best_epoch) = (curve[0].held_sum(), 0);
    for epoch in 1..=max_epochs {
        for last in (1..order.len()).rev() {
            order.swap(last, rng.random_range(0..=last));
        }
        for rows in order.chunks(batch) {
            let batch = Batch { design, rows, thinning: params.thinning, seed: rng.random() };
            let bags = table.bags_of(&batch);
            let mask = mask(bags.len(), params.dropout, &mut rng);
            let part = targets.fitted.select(rows);
            let gradient = dense.step(bags, mask, part, params.learning_rate);
            table.step(&batch, &gradient, params.table_rate, params.decay);
        }
        let network = dense.network(table.values().to_vec());
        let point = judge.point(epoch, &network);
        curve.push(point);
        if point.held_sum() < (1.0 - MIN_GAIN) * least {
            (least, best_epoch, best) = (point.held_sum(), epoch, network);
        }
        if epoch >= best_epoch + params.patience {
            break;
        }
    }
    (best, curve)
}

/// Losses of all held-out rows, and of about as many fitted ones.
struct Judge<'a> {
    data: &'a Data<'a>,
    rows: Sparse,
    part: Part,
}

impl<'a> Judge<'a> {
    fn new(data: &'a Data<'a>) -> Self {
        let n = data.judging.n_rows().max(500).min(data.design.n_rows());
        let rows: Vec<Vec<(u32, f32)>> = (0..n).map(|row| data.design.row(row).collect()).collect();
        let part = data.targets.fitted.select(&(0..n).collect::<Vec<_>>());
        Self { data, rows: Sparse::from_rows(&rows), part }
    }

    fn point(&self, epoch: usize, network: &Network) -> Epoch {
        let Data { judging, targets, .. } = self.data;
        Epoch {
            epoch,
            held: targets.held.losses(&network.outputs(judging), targets.columns),
            fitted: self.part.losses(&network.outputs(&self.rows), targets.columns),
        }
    }
}

/// 0 for units left out, else such that the mean is 1.
fn mask(n: usize, dropout: f64, rng: &mut Pcg64) -> Vec<f32> {
    if dropout <= 0.0 {
        return vec![1.0; n];
    }
    #[expect(clippy::cast_possible_truncation, reason = "a factor between 1 and a few")]
    let kept = (1.0 / (1.0 - dropout)) as f32;
    (0..n).map(|_| if rng.random_range(0.0..1.0) < dropout { 0.0 } else { kept }).collect()
}
