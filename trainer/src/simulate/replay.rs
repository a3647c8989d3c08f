//! One run: a policy, a seed, and the rows in the seed's order.

use std::collections::VecDeque;

use anyhow::Result;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::change::Change;
use super::off_policy::Checks;
use super::options::Options;
use super::policy::{Oracle, Policy, PolicyKind};
use super::world::Prepared;

/// What all runs share.
#[derive(Clone, Debug)]
pub struct Setting<'a> {
    /// The command line.
    pub options: &'a Options,
    /// The tables.
    pub prepared: &'a Prepared,
    /// The scenario.
    pub change: Change,
    /// Rounds of a run.
    pub n_rounds: usize,
}

/// What holds in one round.
#[derive(Clone, Debug)]
pub struct Moment<'a> {
    /// Its number, from 0.
    pub round: usize,
    /// `[d]`.
    pub context: &'a [f64],
    /// `[n_models]`: which can be asked.
    pub eligible: Vec<bool>,
    /// `[n_models]`.
    pub quality: Vec<f64>,
    /// `[n_models]`, dollars.
    pub cost: Vec<f64>,
    change: &'a Change,
}

impl Moment<'_> {
    /// What an amount of dollars is in this round.
    pub fn change(&self, model: usize, cost: f64) -> f64 {
        self.change.cost(self.round, model, cost)
    }
}

impl Setting<'_> {
    /// A row of the stream, as of a round.
    pub(super) fn moment(&self, round: usize, row: usize) -> Moment<'_> {
        let (world, change) = (&self.prepared.stream, &self.change);
        let cells = |of: &[f64], with: &dyn Fn(usize, f64) -> f64| -> Vec<f64> {
            of.iter().enumerate().map(|(model, value)| with(model, *value)).collect()
        };
        Moment {
            round,
            context: &world.contexts[row],
            eligible: (0..world.n_models()).map(|m| change.is_eligible(round, m)).collect(),
            quality: cells(world.quality(row), &|m, value| change.quality(round, m, value)),
            cost: cells(world.cost(row), &|m, value| change.cost(round, m, value)),
            change,
        }
    }
}

/// One round of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Round {
    /// Quality in expectation over the draw.
    pub reward: f64,
    /// Quality of the drawn model's answer.
    pub realized: f64,
    /// Dollars in expectation over the draw.
    pub cost: f64,
    /// Dollars of the drawn model's answer.
    pub spent: f64,
    /// The price of money.
    pub lambda: f64,
}

/// What came of a policy at one seed.
#[derive(Clone, Debug)]
pub struct Run {
    /// `[n_rounds]`.
    pub rounds: Vec<Round>,
    /// `[n_models]`: mean probability.
    pub shares: Vec<f64>,
    /// Mean quality of the oracle on the same rows.
    pub oracle: f64,
    /// Mean quality of the best single model on the same rows that is within the budget on them.
    pub best_fixed: f64,
    /// Share of rounds in which the budget left models out.
    pub capped: f64,
    /// The log as evidence.
    pub checks: Checks,
}

impl Run {
    /// The mean of something over all rounds.
    pub fn mean(&self, of: fn(&Round) -> f64) -> f64 {
        self.rounds.iter().map(of).sum::<f64>() / self.rounds.len() as f64
    }
}

/// Rows in the order of a seed, each pass shuffled anew.
fn order(n_rows: usize, n_rounds: usize, seed: u64) -> Vec<usize> {
    let mut rng = Pcg64::seed_from_u64(seed.wrapping_mul(2));
    let mut pass: Vec<usize> = (0..n_rows).collect();
    let mut order = Vec::with_capacity(n_rounds + n_rows);
    while order.len() < n_rounds {
        pass.shuffle(&mut rng);
        order.extend(&pass);
    }
    order.truncate(n_rounds);
    order
}

/// The first index whose cumulative probability exceeds `u`, in `[0, 1)`, of the whole.
fn drawn(pmf: &[f64], u: f64) -> usize {
    let mut left = u * pmf.iter().sum::<f64>();
    let found = pmf.iter().position(|p| {
        left -= p;
        left < 0.0
    });
    found.or_else(|| pmf.iter().rposition(|p| *p > 0.0)).unwrap_or(0)
}

/// Replays the stream to a policy.
///
/// # Errors
///
/// If a number leaves its range.
pub fn run(setting: &Setting<'_>, kind: PolicyKind, seed: u64) -> Result<Run> {
    let options = setting.options;
    let n_models = setting.prepared.stream.n_models();
    let mut policy = Policy::new(setting, kind)?;
    let mut rng = Pcg64::seed_from_u64(seed.wrapping_mul(2).wrapping_add(1));
    let mut pending: VecDeque<(usize, usize, &[f64], f64)> = VecDeque::new();
    let oracle = Oracle::new(setting);
    let mut fixed = vec![(0.0, 0.0); n_models];
    let (mut oracle_sum, mut n_capped) = (0.0, 0.0);
    let mut shares = vec![0.0; n_models];
    let mut rounds = Vec::with_capacity(setting.n_rounds);
    let mut checks = Checks::default();
    let order = order(setting.prepared.stream.n_rows(), setting.n_rounds, seed);
    for (round, row) in order.into_iter().enumerate() {
        while let Some((_, model, context, quality)) =
            pending.pop_front_if(|answer| answer.0 <= round)
        {
            if let Policy::Bandit(bandit) = &mut policy {
                bandit.learn(model, context, quality)?;
            }
        }
        let moment = setting.moment(round, row);
        let choice = policy.choose(&moment);
        let model = drawn(&choice.pmf, rng.random::<f64>());
        let is_known = rng.random::<f64>() >= options.missing;
        let (quality, cost) = (moment.quality[model], moment.cost[model]);
        if let Policy::Bandit(bandit) = &mut policy {
            bandit.play(model, cost)?;
        }
        if is_known {
            let context = &setting.prepared.stream.contexts[row];
            pending.push_back((round + 1 + options.delay, model, context, quality));
            if kind != PolicyKind::Offline {
                checks.add(model, &choice, &moment.quality);
            }
        }
        let expected = |of: &[f64]| choice.pmf.iter().zip(of).map(|(p, v)| p * v).sum::<f64>();
        rounds.push(Round {
            reward: expected(&moment.quality),
            realized: quality,
            cost: expected(&moment.cost),
            spent: cost,
            lambda: choice.lambda,
        });
        shares.iter_mut().zip(&choice.pmf).for_each(|(share, p)| *share += p);
        n_capped += f64::from(u8::from(choice.is_capped));
        oracle_sum += moment.quality[oracle.best(&moment)];
        for (model, (quality, cost)) in fixed.iter_mut().enumerate() {
            // A model that cannot be asked answers nothing.
            if moment.eligible[model] {
                *quality += moment.quality[model];
                *cost += moment.cost[model];
            }
        }
    }
    let n = setting.n_rounds as f64;
    shares.iter_mut().for_each(|share| *share /= n);
    let affordable =
        fixed.iter().filter(|(_, cost)| options.budget.is_none_or(|budget| *cost <= budget * n));
    let best_fixed = affordable.map(|(quality, _)| quality / n).fold(0.0, f64::max);
    Ok(Run { rounds, shares, oracle: oracle_sum / n, best_fixed, capped: n_capped / n, checks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_takes_the_first_that_exceeds_it_and_never_what_has_no_chance() {
        let pmf = [0.0, 0.25, 0.75, 0.0];
        assert_eq!([0.0, 0.249, 0.25, 0.999].map(|u| drawn(&pmf, u)), [1, 1, 2, 2]);
        assert_eq!(drawn(&[0.1, 0.2, 0.0], 1.0), 1);
    }

    #[test]
    fn each_pass_deals_every_row_once_in_an_order_of_its_own() {
        let order = order(50, 120, 3);
        let mut first = order[..50].to_vec();
        assert_ne!(first, order[50..100]);
        first.sort_unstable();
        assert_eq!(first, (0..50).collect::<Vec<_>>());
        assert_eq!(order, super::order(50, 120, 3));
        assert_ne!(order, super::order(50, 120, 4));
    }
}
