//! How sure a router is of what it expects: the standard deviation of each expected quality.
//!
//! It is that of the expectation, by what the fit had to learn it from, and not that of one answer,
//! which is right or wrong. For a request of which a share `u` of the n-grams is unknown to the fit,
//! `sd_j = quality_sd_j · (1 + novelty · max(0, u − usual))`.

use serde::{Deserialize, Serialize};

/// What a manifest says of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uncertainty {
    /// `[n_arms]`: for a request like those of the fit.
    pub quality_sd: Vec<f64>,
    /// Mean share of unknown n-grams in requests that a fit did not see.
    #[serde(default)]
    pub usual: f64,
    /// How much a request of unknown n-grams alone adds, in multiples of the usual.
    #[serde(default)]
    pub novelty: f64,
}

impl Uncertainty {
    /// Whether there is one number for each of `n_arms`, and all are finite and at least 0.
    pub fn is_valid(&self, n_arms: usize) -> bool {
        let numbers = self.quality_sd.iter().chain([&self.usual, &self.novelty]);
        self.quality_sd.len() == n_arms && numbers.into_iter().all(|x| x.is_finite() && *x >= 0.0)
    }

    /// `[n_arms]`: the standard deviations where a share of the n-grams is unknown.
    pub fn sd(&self, unknown: f64) -> Vec<f64> {
        let factor = 1.0 + self.novelty * (unknown - self.usual).max(0.0);
        self.quality_sd.iter().map(|sd| sd * factor).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_words_add_to_the_usual_standard_deviation() {
        let known = Uncertainty { quality_sd: vec![0.02, 0.1], usual: 0.2, novelty: 5.0 };
        assert!(known.is_valid(2) && !known.is_valid(3));
        let close = |unknown: f64, expected: [f64; 2]| {
            for (found, expected) in known.sd(unknown).iter().zip(expected) {
                assert!((found - expected).abs() < 1e-12, "{found} {expected}");
            }
        };
        close(0.1, [0.02, 0.1]);
        close(0.4, [0.04, 0.2]);
        let negative = Uncertainty { quality_sd: vec![-0.1], ..Uncertainty::default() };
        assert!(!negative.is_valid(1));
    }
}
