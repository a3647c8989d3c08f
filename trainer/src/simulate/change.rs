//! A scenario as what holds in each round.

use anyhow::{Result, ensure};

use super::options::{Options, Scenario};
use super::world::Prepared;

/// What happens to one model, in rounds `from..until`.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    scenario: Scenario,
    model: usize,
    factor: f64,
    from: usize,
    until: usize,
    /// Whether nothing is known of the model before.
    pub is_unknown: bool,
}

/// A moment after which a policy must find its way.
#[derive(Clone, Debug)]
pub struct Turn {
    /// What it is called.
    pub name: &'static str,
    /// Rounds in which it is compared, from the turn on.
    pub rounds: std::ops::Range<usize>,
    /// What the twin lived through.
    pub twin: Change,
}

impl Change {
    pub(super) fn new(options: &Options, prepared: &Prepared) -> Result<Self> {
        let n_rounds = options.n_rounds(prepared);
        let from = options.at.unwrap_or(n_rounds / 3);
        ensure!(
            options.scenario == Scenario::None || from < n_rounds,
            "at must be below the {n_rounds} rounds, got {from}"
        );
        let (factor, until) = match options.scenario {
            Scenario::PriceChange => (4.0, usize::MAX),
            Scenario::Drift => (0.7, usize::MAX),
            Scenario::Outage => (1.0, from.saturating_add(options.lasting)),
            Scenario::NewModel | Scenario::None => (1.0, usize::MAX),
        };
        Ok(Self {
            scenario: options.scenario,
            model: prepared.subject,
            factor: options.factor.unwrap_or(factor),
            from,
            until,
            is_unknown: options.scenario == Scenario::NewModel,
        })
    }

    fn is_on(&self, round: usize) -> bool {
        (self.from..self.until).contains(&round)
    }

    /// The model it happens to.
    pub fn model(&self) -> usize {
        self.model
    }

    /// Whether a model can be asked.
    pub fn is_eligible(&self, round: usize, model: usize) -> bool {
        match self.scenario {
            Scenario::Outage => model != self.model || !self.is_on(round),
            Scenario::NewModel => model != self.model || self.is_on(round),
            Scenario::None | Scenario::PriceChange | Scenario::Drift => true,
        }
    }

    /// What its answer is worth.
    pub fn quality(&self, round: usize, model: usize, quality: f64) -> f64 {
        let is_hit = self.scenario == Scenario::Drift && model == self.model && self.is_on(round);
        if is_hit { (self.factor * quality).min(1.0) } else { quality }
    }

    /// What it costs.
    pub fn cost(&self, round: usize, model: usize, cost: f64) -> f64 {
        let is_hit =
            self.scenario == Scenario::PriceChange && model == self.model && self.is_on(round);
        if is_hit { self.factor * cost } else { cost }
    }

    /// The first round of each stretch in which the same holds.
    pub fn stretches(&self) -> Vec<usize> {
        let mut starts = vec![0];
        if self.scenario != Scenario::None {
            starts.extend([self.from, self.until].into_iter().filter(|round| *round > 0));
        }
        starts.dedup();
        starts
    }

    /// Its turns, each with a twin that always lived as one lives after it.
    pub fn turns(&self, n_rounds: usize) -> Vec<Turn> {
        let always = Self { from: 0, until: usize::MAX, ..self.clone() };
        let never = Self { scenario: Scenario::None, ..always.clone() };
        let until = self.until.min(n_rounds);
        let turn = |name, rounds, twin| Turn { name, rounds, twin };
        match self.scenario {
            Scenario::None => Vec::new(),
            Scenario::Outage => {
                let begins = turn("outage begins", self.from..until, always);
                let ends = turn("outage ends", until..n_rounds, never);
                [begins, ends].into_iter().filter(|turn| !turn.rounds.is_empty()).collect()
            }
            Scenario::PriceChange => vec![turn("price changes", self.from..n_rounds, always)],
            Scenario::NewModel => {
                let twin = Self { is_unknown: false, ..never };
                vec![turn("model appears", self.from..n_rounds, twin)]
            }
            Scenario::Drift => vec![turn("quality drifts", self.from..n_rounds, always)],
        }
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// A drift of model 0 at a round, as a turn.
    pub(crate) fn drift(from: usize, n_rounds: usize) -> Turn {
        let change = Change {
            scenario: Scenario::Drift,
            model: 0,
            factor: 0.5,
            from,
            until: usize::MAX,
            is_unknown: false,
        };
        change.turns(n_rounds).remove(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(scenario: Scenario, until: usize) -> Change {
        Change { scenario, model: 1, factor: 0.5, from: 10, until, is_unknown: false }
    }

    #[test]
    fn each_scenario_holds_from_its_round_for_its_model() {
        let outage = change(Scenario::Outage, 20);
        let eligible = |round| [outage.is_eligible(round, 0), outage.is_eligible(round, 1)];
        assert_eq!(
            [eligible(9), eligible(10), eligible(20)],
            [[true, true], [true, false], [true; 2]]
        );
        let new = change(Scenario::NewModel, usize::MAX);
        assert!(!new.is_eligible(9, 1) && new.is_eligible(10, 1) && new.is_eligible(0, 0));
        let drift = change(Scenario::Drift, usize::MAX);
        assert!((drift.quality(10, 1, 0.8) - 0.4).abs() < 1e-15);
        assert!((drift.quality(9, 1, 0.8) - 0.8).abs() < 1e-15);
        assert!((drift.quality(10, 0, 0.8) - 0.8).abs() < 1e-15);
        let price = change(Scenario::PriceChange, usize::MAX);
        assert!((price.cost(10, 1, 3.0) - 1.5).abs() < 1e-15);
        assert!((drift.cost(10, 1, 3.0) - 3.0).abs() < 1e-15);
    }

    #[test]
    fn an_outage_turns_twice() {
        let outage = change(Scenario::Outage, 20);
        let turns = outage.turns(50);
        assert_eq!([&turns[0].rounds, &turns[1].rounds], [&(10..20), &(20..50)]);
        assert!(!turns[0].twin.is_eligible(0, 1) && turns[1].twin.is_eligible(15, 1));
        assert_eq!(outage.turns(15).len(), 1);
        assert_eq!(outage.stretches(), [0, 10, 20]);
    }
}
