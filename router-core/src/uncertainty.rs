//! How sure a router is of what it expects: the standard deviation of each expected quality.
//!
//! It is that of the expectation, by what the fit had to learn it from, and not that of one answer,
//! which is right or wrong. A request with more unknown n-grams than almost any of the fit is
//! unfamiliar: how models compare there is known only as far as tasks are alike, so that every model
//! but the reference gets the standard deviation between tasks on top.

use serde::{Deserialize, Serialize};

/// What a manifest says of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uncertainty {
    /// `[n_arms]`: for a request like those of the fit.
    pub quality_sd: Vec<f64>,
    /// What unfamiliar requests add; absent if nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub novelty: Option<Novelty>,
}

/// What unfamiliar requests add.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Novelty {
    /// Requests with a larger share of unknown n-grams are unfamiliar.
    pub unknown_share: f64,
    /// Standard deviation between tasks of how models compare with the reference.
    pub sd: f64,
    /// The arm that others are compared with.
    pub reference: usize,
}

impl Uncertainty {
    /// Whether there is one number for each of `n_arms`, and all are finite and at least 0.
    pub fn is_valid(&self, n_arms: usize) -> bool {
        let novelty = self.novelty.unwrap_or_default();
        let numbers = self.quality_sd.iter().chain([&novelty.unknown_share, &novelty.sd]);
        let are_good = numbers.into_iter().all(|x| x.is_finite() && *x >= 0.0);
        are_good && self.quality_sd.len() == n_arms && novelty.reference < n_arms
    }

    /// `[n_arms]`: the standard deviations where a share of the n-grams is unknown.
    pub fn sd(&self, unknown: f64) -> Vec<f64> {
        let novelty = self.novelty.filter(|novelty| unknown > novelty.unknown_share);
        let Some(novelty) = novelty else { return self.quality_sd.clone() };
        let of = |(arm, sd): (usize, &f64)| {
            if arm == novelty.reference { *sd } else { sd.hypot(novelty.sd) }
        };
        self.quality_sd.iter().enumerate().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfamiliar_requests_add_to_all_but_the_reference() {
        let novelty = Some(Novelty { unknown_share: 0.2, sd: 0.04, reference: 1 });
        let known = Uncertainty { quality_sd: vec![0.03, 0.1], novelty };
        assert!(known.is_valid(2) && !known.is_valid(3));
        let close = |unknown: f64, expected: [f64; 2]| {
            for (found, expected) in known.sd(unknown).iter().zip(expected) {
                assert!((found - expected).abs() < 1e-12, "{found} {expected}");
            }
        };
        close(0.2, [0.03, 0.1]);
        close(0.21, [0.05, 0.1]);
        let negative = Uncertainty { quality_sd: vec![-0.1], ..Uncertainty::default() };
        assert!(!negative.is_valid(1));
    }
}
