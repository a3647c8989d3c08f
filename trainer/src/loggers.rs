//! Several policies that wrote one log: the probability with which a model is drawn by any of them.
//!
//! Balanced propensities `Σ_k n_k/n π_k(a|x)` weight each row by how often all loggers together
//! would have drawn its model, so that a row that one of them drew by rare luck does not dominate
//! (`spec/statistics.md`, section 1). They need what each version would have done at rows that
//! others wrote: a version whose probabilities are the same wherever the same models are eligible
//! is known there; where one is not, a row keeps its own propensity.

use std::collections::BTreeMap;

use router_core::{LoggedDecision, ModelId};

/// Probabilities that may differ by this are the same.
const TOLERANCE: f64 = 1e-9;

/// The propensity to learn with of each row.
#[derive(Clone, Debug, PartialEq)]
pub struct Balanced {
    /// `[n]`.
    pub propensities: Vec<f64>,
    /// Number of policy versions.
    pub n_versions: usize,
    /// Rows whose propensity is that of the mixture.
    pub n_balanced: usize,
}

type Eligible<'a> = Vec<&'a ModelId>;

/// What a version does, where that depends on nothing but who is eligible.
#[derive(Default)]
struct Version<'a> {
    n_rows: f64,
    is_constant: bool,
    pmfs: BTreeMap<Eligible<'a>, BTreeMap<&'a ModelId, f64>>,
}

/// Balances a log.
pub fn balance(log: &[LoggedDecision]) -> Balanced {
    let mut versions: BTreeMap<&str, Version<'_>> = BTreeMap::new();
    for row in log {
        let version = versions
            .entry(&row.policy)
            .or_insert_with(|| Version { is_constant: true, ..Version::default() });
        version.n_rows += 1.0;
        version.see(row);
    }
    let own = |row: &LoggedDecision| row.propensity.get();
    if versions.len() < 2 {
        let propensities = log.iter().map(own).collect();
        return Balanced { propensities, n_versions: versions.len(), n_balanced: 0 };
    }
    let mut n_balanced = 0;
    let n = log.len() as f64;
    let propensity = |row: &LoggedDecision| {
        let eligible = eligible(row);
        let part = |(name, version): (&&str, &Version<'_>)| {
            let probability = if **name == row.policy {
                own(row)
            } else {
                let pmf = version.pmfs.get(&eligible).filter(|_| version.is_constant)?;
                pmf.get(&row.model).copied().unwrap_or(0.0)
            };
            Some(version.n_rows / n * probability)
        };
        let mixture: Option<f64> = versions.iter().map(part).sum();
        n_balanced += usize::from(mixture.is_some());
        mixture.unwrap_or_else(|| own(row))
    };
    let propensities = log.iter().map(propensity).collect();
    Balanced { propensities, n_versions: versions.len(), n_balanced }
}

impl<'a> Version<'a> {
    fn see(&mut self, row: &'a LoggedDecision) {
        let pmf: BTreeMap<&ModelId, f64> = row.pmf.iter().map(|(model, p)| (model, *p)).collect();
        let first = self.pmfs.entry(eligible(row)).or_insert_with(|| pmf.clone());
        let is_same = pmf.iter().zip(first.iter()).all(|(a, b)| (a.1 - b.1).abs() <= TOLERANCE);
        self.is_constant &= is_same && !row.pmf.is_empty();
    }
}

fn eligible(row: &LoggedDecision) -> Eligible<'_> {
    let mut eligible: Vec<_> = row.pmf.iter().map(|(model, _)| model).collect();
    eligible.sort_unstable();
    eligible
}

#[cfg(test)]
mod tests {
    use router_core::{Outcome, RequestRow};

    use super::*;

    fn row(policy: &str, model: usize, pmf: &[f64]) -> LoggedDecision {
        let id = |arm: usize| ModelId::new(["a", "b"][arm]).unwrap();
        let pmf: Vec<_> = pmf.iter().enumerate().map(|(arm, p)| (id(arm), *p)).collect();
        LoggedDecision {
            request: RequestRow::default(),
            model: id(model),
            propensity: pmf.get(model).map_or(0.5, |(_, p)| *p).try_into().unwrap(),
            policy: policy.to_owned(),
            pmf,
            outcome: Outcome::default(),
            timestamp_us: None,
            quality_source: None,
        }
    }

    #[test]
    fn rows_of_constant_policies_get_the_mixture() {
        let (u, g) = ([0.5, 0.5], [0.1, 0.9]);
        let log = [row("u", 0, &u), row("g", 1, &g), row("g", 1, &g), row("g", 0, &g)];
        let balanced = balance(&log);
        // a: 1/4 of 0.5 and 3/4 of 0.1; b: 1/4 of 0.5 and 3/4 of 0.9.
        for (got, expected) in balanced.propensities.iter().zip([0.2, 0.8, 0.8, 0.2]) {
            assert!((got - expected).abs() < 1e-12, "{balanced:?}");
        }
        assert_eq!((balanced.n_versions, balanced.n_balanced), (2, 4));
    }

    #[test]
    fn a_policy_that_looks_at_requests_is_not_known_elsewhere() {
        let u = [0.5, 0.5];
        let log = [row("u", 0, &u), row("g", 1, &[0.1, 0.9]), row("g", 1, &[0.4, 0.6])];
        let balanced = balance(&log);
        // At rows of `g`, `u` is known; at the row of `u`, `g` is not.
        for (got, expected) in balanced.propensities.iter().zip([
            0.5,
            0.5 / 3.0 + 2.0 / 3.0 * 0.9,
            0.5 / 3.0 + 2.0 / 3.0 * 0.6,
        ]) {
            assert!((got - expected).abs() < 1e-12, "{balanced:?}");
        }
        assert_eq!(balanced.n_balanced, 2);
    }

    #[test]
    fn one_policy_keeps_what_it_recorded() {
        let balanced = balance(&[row("g", 0, &[0.1, 0.9]), row("g", 1, &[0.4, 0.6])]);
        assert_eq!(balanced.propensities, [0.1, 0.6]);
        assert_eq!(balance(&[row("g", 0, &[]), row("u", 1, &[])]).propensities, [0.5, 0.5]);
    }
}
