//! How long a policy needs after a turn until it is as good as if it had always been so.

use serde::Serialize;

use super::change::Turn;
use super::replay::{Round, Run};

/// Rounds over which means are compared.
const WINDOW: usize = 100;
/// Quality that a recovered policy may lack against its twin.
const LOSS: f64 = 0.01;
/// Share by which it may spend more than its twin or the budget, whichever is more.
const OVERSPEND: f64 = 0.1;

/// The same seeds and rows, before and after a turn.
#[derive(Clone, Debug, Serialize)]
pub struct Recovery {
    /// What happened.
    pub turn: &'static str,
    /// In which round.
    pub round: usize,
    /// Rounds from then until the mean over the next 100, and over all that are left, is within
    /// 0.01 of the twin's quality and 10% of the cost it may have; `None` if that never comes.
    pub rounds: Option<usize>,
    /// What the twin was better by, over the first 100 rounds.
    pub loss_at_first: f64,
    /// The same over all rounds that are left after recovery, or after the turn without one.
    pub loss_after: f64,
}

impl Recovery {
    /// Compares runs with their twins of the same seeds.
    pub(super) fn new(turn: &Turn, budget: Option<f64>, runs: &[Run], twins: &[Run]) -> Self {
        let sums = |runs: &[Run], of: fn(&Round) -> f64| -> Vec<f64> {
            let mean = |round| runs.iter().map(|run| of(&run.rounds[round])).sum::<f64>();
            let n = runs.len() as f64;
            cumulated(turn.rounds.clone().map(|round| mean(round) / n))
        };
        let reward = |round: &Round| round.reward;
        let cost = |round: &Round| round.cost;
        let (own, twin) = (sums(runs, reward), sums(twins, reward));
        let (own_cost, twin_cost) = (sums(runs, cost), sums(twins, cost));
        let n = turn.rounds.len();
        let mean =
            |sums: &[f64], from: usize, to: usize| (sums[to] - sums[from]) / (to - from) as f64;
        let loss = |from, to| mean(&twin, from, to) - mean(&own, from, to);
        let is_good = |from, to| {
            let may = budget.map(|budget| budget.max(mean(&twin_cost, from, to)));
            let is_paid =
                may.is_none_or(|may| mean(&own_cost, from, to) <= (1.0 + OVERSPEND) * may);
            is_paid && loss(from, to) <= LOSS
        };
        let window = WINDOW.min(n);
        let rounds = (0..=n - window).find(|at| is_good(*at, at + window) && is_good(*at, n));
        Self {
            turn: turn.name,
            round: turn.rounds.start,
            rounds,
            loss_at_first: loss(0, window),
            loss_after: loss(rounds.unwrap_or(0), n),
        }
    }
}

/// Sums of the first 0, 1, 2, … values.
fn cumulated(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let sums = values.scan(0.0, |sum, value| {
        *sum += value;
        Some(*sum)
    });
    std::iter::once(0.0).chain(sums).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::change::testing::drift;
    use crate::simulate::off_policy::Checks;

    fn run(of: impl Fn(usize) -> Round) -> Run {
        Run {
            rounds: (0..1000).map(of).collect(),
            shares: Vec::new(),
            oracle: 0.0,
            best_fixed: 0.0,
            capped: 0.0,
            checks: Checks::default(),
        }
    }

    #[test]
    fn recovery_waits_for_quality_and_for_money() {
        let turn = drift(200, 1000);
        let at = |reward: f64, cost: f64| Round { reward, cost, ..Round::default() };
        let twin = [run(|_| at(0.8, 1.0))];
        // Worse by 0.19 in rounds 200..300, dear in rounds 200..400.
        let slow = run(|round| {
            let reward = if (200..300).contains(&round) { 0.61 } else { 0.8 };
            at(reward, if (200..400).contains(&round) { 1.95 } else { 1.0 })
        });
        let free = Recovery::new(&turn, None, std::slice::from_ref(&slow), &twin);
        // 0.19·k/100 ≤ 0.01 at k = 5 rounds left, 0.95·k/100 ≤ 0.1 at k = 10.
        assert_eq!(free.rounds, Some(95));
        assert!((free.loss_at_first - 0.19).abs() < 1e-12);
        let paid = Recovery::new(&turn, Some(1.0), &[slow], &twin);
        assert_eq!(paid.rounds, Some(190));
        let never = Recovery::new(&turn, None, &[run(|_| at(0.7, 1.0))], &twin);
        assert_eq!(never.rounds, None);
        assert!((never.loss_after - 0.1).abs() < 1e-12);
    }
}
