//! What a simulation says: figures with intervals over seeds, and how they went.

use std::fmt::Write as _;

use serde::Serialize;

use super::off_policy::{Checks, OffPolicy};
use super::options::Options;
use super::policy::PolicyKind;
use super::recovery::Recovery;
use super::replay::{Round, Run, Setting};

/// Points of a series.
const N_POINTS: usize = 120;

/// A mean over seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Half of the normal 95% interval, `1.96·s/√n`; 0 for a single seed.
    pub half_width: f64,
}

impl Estimate {
    /// Of one value per seed.
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let variance = if n > 1.0 { squares / (n - 1.0) } else { 0.0 };
        Self { mean, half_width: 1.96 * (variance / n).sqrt() }
    }
}

/// `simulation.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Simulation {
    /// The command line.
    pub options: Options,
    /// Rounds of a run.
    pub n_rounds: usize,
    /// Requests of the stream with all outcomes known.
    pub n_rows: usize,
    /// Entries of a context.
    pub n_features: usize,
    /// The models over the whole stream, before any scenario.
    pub models: Vec<ModelReport>,
    /// The model that the scenario is about.
    pub subject: Option<String>,
    /// The rounds at which something changes.
    pub turns: Vec<usize>,
    /// In the order they were asked for.
    pub policies: Vec<PolicyReport>,
}

/// One model.
#[derive(Clone, Debug, Serialize)]
pub struct ModelReport {
    /// Its id.
    pub model: String,
    /// Mean quality.
    pub quality: f64,
    /// Mean dollars per request.
    pub cost: f64,
}

/// One policy.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyReport {
    /// Which.
    pub policy: PolicyKind,
    /// Mean quality in expectation over the draws.
    pub reward: Estimate,
    /// Mean quality of the drawn models' answers.
    pub realized_quality: Estimate,
    /// How much more quality the oracle of the same budget has.
    pub regret_to_oracle: Estimate,
    /// The same for the best single model that the budget affords on these rows.
    pub regret_to_best_fixed: Estimate,
    /// Dollars per request.
    pub cost: Estimate,
    /// `spend/(budget·requests)`.
    pub utilization: Option<Estimate>,
    /// `max(0, utilization − 1)`.
    pub overshoot: Option<Estimate>,
    /// The largest overshoot of a seed.
    pub worst_overshoot: Option<f64>,
    /// Share of rounds in which the budget left models out, so that the log says nothing of them.
    pub capped: Estimate,
    /// `[n_models]`: mean probability.
    pub shares: Vec<f64>,
    /// The log as evidence of other policies.
    pub off_policy: Vec<OffPolicy>,
    /// After each turn of the scenario.
    pub recoveries: Vec<Recovery>,
    /// How it went, means over seeds.
    pub series: Vec<Point>,
}

/// A moment of a series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Rounds so far.
    pub round: usize,
    /// Expected quality, mean of the window that ends here.
    pub reward: f64,
    /// Expected dollars per request, likewise.
    pub cost: f64,
    /// Spend so far over what was meant.
    pub utilization: Option<f64>,
    /// The price of money.
    pub lambda: f64,
}

impl PolicyReport {
    pub(super) fn new(
        setting: &Setting<'_>,
        policy: PolicyKind,
        runs: &[Run],
        recoveries: Vec<Recovery>,
    ) -> Self {
        let budget = setting.options.budget;
        let of = |value: &dyn Fn(&Run) -> f64| {
            Estimate::of(&runs.iter().map(value).collect::<Vec<f64>>())
        };
        let reward = |run: &Run| run.mean(|round| round.reward);
        let over =
            |budget: f64| move |run: &Run| (run.mean(|round| round.spent) / budget - 1.0).max(0.0);
        let share = |model| of(&|run| run.shares[model]).mean;
        Self {
            policy,
            reward: of(&reward),
            realized_quality: of(&|run| run.mean(|round| round.realized)),
            regret_to_oracle: of(&|run| run.oracle - reward(run)),
            regret_to_best_fixed: of(&|run| run.best_fixed - reward(run)),
            cost: of(&|run| run.mean(|round| round.spent)),
            utilization: budget.map(|b| of(&|run| run.mean(|round| round.spent) / b)),
            overshoot: budget.map(|b| of(&over(b))),
            worst_overshoot: budget.map(|b| runs.iter().map(over(b)).fold(0.0, f64::max)),
            capped: of(&|run| run.capped),
            shares: (0..setting.prepared.stream.n_models()).map(share).collect(),
            off_policy: OffPolicy::all(
                &runs.iter().map(|run| &run.checks).collect::<Vec<&Checks>>(),
            ),
            recoveries,
            series: series(runs, budget),
        }
    }
}

/// Rounds of which a point of a series of `n` rounds is the mean.
pub(super) fn window(n: usize) -> usize {
    (n / 12).max(1)
}

fn series(runs: &[Run], budget: Option<f64>) -> Vec<Point> {
    let n_rounds = runs.first().map_or(0, |run| run.rounds.len());
    let n = runs.len() as f64;
    let at = |of: fn(&Round) -> f64| -> Vec<f64> {
        (0..n_rounds).map(|i| runs.iter().map(|run| of(&run.rounds[i])).sum::<f64>() / n).collect()
    };
    let (reward, cost) = (at(|round| round.reward), at(|round| round.cost));
    let (spent, lambda) = (at(|round| round.spent), at(|round| round.lambda));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let step = n_rounds.div_ceil(N_POINTS).max(1);
    let ends = (step..=n_rounds).step_by(step);
    ends.map(|end| {
        let from = end.saturating_sub(window(n_rounds));
        Point {
            round: end,
            reward: mean(&reward[from..end]),
            cost: mean(&cost[from..end]),
            utilization: budget.map(|budget| mean(&spent[..end]) / budget),
            lambda: lambda[end - 1],
        }
    })
    .collect()
}

impl Simulation {
    pub(super) fn new(setting: &Setting<'_>, policies: Vec<PolicyReport>) -> Self {
        let world = &setting.prepared.stream;
        let cells = world.models.iter().zip(world.mean_quality()).zip(world.mean_cost());
        let model = |((model, quality), cost): ((&String, f64), f64)| ModelReport {
            model: model.clone(),
            quality,
            cost,
        };
        let turns = setting.change.turns(setting.n_rounds);
        Self {
            options: setting.options.clone(),
            n_rounds: setting.n_rounds,
            n_rows: world.n_rows(),
            n_features: world.contexts.first().map_or(0, Vec::len),
            models: cells.map(model).collect(),
            subject: (!turns.is_empty()).then(|| world.models[setting.change.model()].clone()),
            turns: turns.iter().map(|turn| turn.rounds.start).collect(),
            policies,
        }
    }

    /// `policy,round,reward,cost_usd,utilization,lambda`, one line per point.
    pub fn series_csv(&self) -> String {
        let mut text = "policy,round,reward,cost_usd,utilization,lambda\n".to_owned();
        for policy in &self.policies {
            for point in &policy.series {
                let Point { round, reward, cost, lambda, .. } = point;
                let utilization = point.utilization.map_or_else(String::new, |u| u.to_string());
                let name = policy.policy.name();
                writeln!(text, "{name},{round},{reward},{cost},{utilization},{lambda}").ok();
            }
        }
        text
    }

    /// The table that the command prints.
    pub fn summary(&self) -> String {
        let mut text = format!(
            "{} rounds of {} requests, {} seeds, {} features\n\n",
            self.n_rounds, self.n_rows, self.options.seeds, self.n_features
        );
        for ModelReport { model, quality, cost } in &self.models {
            writeln!(text, "{model:<34} quality {quality:.4}  ${:.4} per 1,000", 1000.0 * cost)
                .ok();
        }
        let head = ["quality", "± 95%", "regret", "$ per 1,000", "utilization", "overshoot"];
        writeln!(text, "\n{:<15}{}", "policy", head.map(|name| format!("{name:>12}")).concat())
            .ok();
        for policy in &self.policies {
            let percent = |value: Option<Estimate>| {
                value.map_or_else(String::new, |v| format!("{:.2}%", 100.0 * v.mean))
            };
            let cells = [
                format!("{:.4}", policy.reward.mean),
                format!("{:.4}", policy.reward.half_width),
                format!("{:.4}", policy.regret_to_oracle.mean),
                format!("{:.4}", 1000.0 * policy.cost.mean),
                percent(policy.utilization),
                percent(policy.overshoot),
            ];
            let cells = cells.map(|cell| format!("{cell:>12}")).concat();
            writeln!(text, "{:<15}{cells}", policy.policy.name()).ok();
        }
        for policy in &self.policies {
            for Recovery { turn, round, rounds, loss_at_first, .. } in &policy.recoveries {
                let name = policy.policy.name();
                let when = rounds.map_or_else(
                    || "not recovered".to_owned(),
                    |rounds| format!("recovered after {rounds} rounds"),
                );
                writeln!(
                    text,
                    "{name}: {turn} at {round}: {when}, at first {loss_at_first:.4} short"
                )
                .ok();
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_a_mean_with_a_normal_interval() {
        let estimate = Estimate::of(&[1.0, 2.0, 3.0]);
        assert!((estimate.mean - 2.0).abs() < 1e-15);
        assert!((estimate.half_width - 1.96 / 3f64.sqrt()).abs() < 1e-12);
        assert!(Estimate::of(&[4.0]).half_width.abs() < f64::EPSILON);
    }
}
