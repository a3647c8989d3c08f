//! What a simulation runs with.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, FromArgMatches, ValueEnum};
use serde::Serialize;

use super::policy::PolicyKind;
use super::world::Prepared;

/// What happens to a model during the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scenario {
    /// Nothing.
    None,
    /// It cannot be asked for a while.
    Outage,
    /// It costs another amount from then on, and its posted price says so.
    PriceChange,
    /// It appears, and nothing is known of it but its price.
    NewModel,
    /// Its answers are worth a share of what they were.
    Drift,
}

/// How prices are compared with quality.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceScale {
    /// As shares of the dearest model's: λ is what a dollar is worth.
    Linear,
    /// By their logarithms, from 0 for the cheapest model to 1 for the dearest.
    Log,
}

/// The command line of `trainer simulate`.
#[derive(Clone, Debug, Args, Serialize)]
pub struct Options {
    /// The stream: parquet files or folders of them, an outcome table.
    #[arg(required = true)]
    #[serde(skip)]
    pub stream: Vec<PathBuf>,
    /// The outcome table that a router is fitted on, and that the learners start from.
    #[arg(long, required = true, num_args = 1..)]
    #[serde(skip)]
    pub train: Vec<PathBuf>,
    /// Policies to compare.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "thompson,squarecb,epsilon_greedy,offline,uniform,best_single,cheapest,oracle"
    )]
    pub policy: Vec<PolicyKind>,
    /// Dollars to spend per request; without it cost does not matter.
    #[arg(long, value_name = "USD_PER_REQUEST")]
    pub budget: Option<f64>,
    /// How prices are compared with quality.
    #[arg(long, value_enum, default_value = "linear")]
    pub prices: PriceScale,
    /// Rounds; the rows are dealt again when they are used up. One pass by default.
    #[arg(long, value_name = "N")]
    pub rounds: Option<usize>,
    /// Seeds, which shuffle the rows and draw the models.
    #[arg(long, default_value_t = 10)]
    pub seeds: u64,
    /// What happens to a model meanwhile.
    #[arg(long, value_enum, default_value = "none")]
    pub scenario: Scenario,
    /// The round at which it happens; a third of all by default.
    #[arg(long, value_name = "ROUND")]
    pub at: Option<usize>,
    /// How long an outage lasts, in rounds.
    #[arg(long, value_name = "ROUNDS", default_value_t = 500)]
    pub lasting: usize,
    /// The model it happens to; the best one that the budget affords by default.
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// What its cost (price-change, 4 by default) or quality (drift, 0.7) is multiplied by.
    #[arg(long)]
    pub factor: Option<f64>,
    /// Rounds until the quality of an answer is known; its cost is known at once.
    #[arg(long, value_name = "ROUNDS", default_value_t = 0)]
    pub delay: usize,
    /// Share of answers whose quality is never known.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub missing: f64,
    /// Requests that the training table counts for.
    #[arg(long, value_name = "N_EFF", default_value_t = 1000.0)]
    pub prior: f64,
    /// What a request weighs one request later.
    #[arg(long, value_name = "GAMMA", default_value_t = 0.997)]
    pub memory: f64,
    /// Share of requests that the learners' floor spreads evenly.
    #[arg(long, default_value_t = 0.002)]
    pub floor: f64,
    /// The folder to write to.
    #[arg(long, default_value = "simulation")]
    #[serde(skip)]
    pub out: PathBuf,
}

impl Options {
    /// Reads the arguments that follow `trainer simulate`.
    ///
    /// # Errors
    ///
    /// If one is missing, unknown or not of its kind.
    pub fn from_arguments<'a>(
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, clap::Error> {
        let command = Self::augment_args(clap::Command::new("simulate").no_binary_name(true));
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        Self::from_arg_matches(&command.try_get_matches_from(arguments)?)
    }

    pub(super) fn check(&self) -> Result<()> {
        let Self { missing, floor, memory, prior, .. } = *self;
        ensure!(self.seeds >= 1, "seeds must be at least 1, got 0");
        ensure!(self.rounds != Some(0), "rounds must be at least 1, got 0");
        ensure!((0.0..1.0).contains(&missing), "missing must be in [0, 1), got {missing}");
        ensure!((0.0..=1.0).contains(&floor), "floor must be in [0, 1], got {floor}");
        ensure!(memory > 0.0 && memory <= 1.0, "memory must be in (0, 1], got {memory}");
        ensure!(prior > 0.0 && prior.is_finite(), "prior must be above 0, got {prior}");
        if let Some(budget) = self.budget {
            ensure!(budget > 0.0 && budget.is_finite(), "budget must be above 0, got {budget}");
        }
        if let Some(factor) = self.factor {
            ensure!(factor >= 0.0 && factor.is_finite(), "factor must be at least 0, got {factor}");
        }
        Ok(())
    }

    /// Rounds of one run.
    pub(super) fn n_rounds(&self, prepared: &Prepared) -> usize {
        self.rounds.unwrap_or_else(|| prepared.stream.n_rows())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_named() {
        let check = |more: &[&str]| {
            let line = ["stream", "--train", "train"].iter().chain(more).copied();
            Options::from_arguments(line).unwrap().check()
        };
        assert!(check(&[]).is_ok());
        let refused = |more: &[&str]| check(more).unwrap_err().to_string();
        assert_eq!(refused(&["--budget", "0"]), "budget must be above 0, got 0");
        assert_eq!(refused(&["--missing", "1"]), "missing must be in [0, 1), got 1");
        assert_eq!(refused(&["--seeds", "0"]), "seeds must be at least 1, got 0");
        assert_eq!(refused(&["--memory", "1.5"]), "memory must be in (0, 1], got 1.5");
        assert!(Options::from_arguments(["stream"]).is_err());
    }
}
