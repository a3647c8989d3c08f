//! A contextual bandit: posteriors of the arms, and a scheme that turns them into a distribution.

use super::posterior::{LinearPosterior, Memory, PosteriorError, check};
use crate::exploration::{self, Floor};

/// How estimates become a distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scheme {
    /// The best mean, but a share of requests uniformly.
    EpsilonGreedy {
        /// That share, in `[0, 1]`.
        epsilon: f64,
    },
    /// Inverse-gap weighting with `γ_t = scale · t^exponent`.
    SquareCb {
        /// Above 0.
        scale: f64,
        /// In `[0, 1]`.
        exponent: f64,
    },
    /// How likely each arm is the best of its draws from `N(mean, (α·deviation)²)`.
    Thompson {
        /// α, above 0.
        alpha: f64,
    },
}

/// What a learner is made of. The defaults earned the most on the two streams of reference data
/// that `tests/it/bandit_parity.rs` runs.
///
/// | Field | Default | Meaning | Range |
/// | --- | --- | --- | --- |
/// | `scheme` | Thompson, α = 0.2 | see [`Scheme`] | |
/// | `floor` | `0.002` | every eligible arm keeps `floor / K` | `[0, 1]` |
/// | `ridge` | `0.5` | prior precision λ₀ | `(0, ∞)` |
/// | `memory` | perfect | see [`Memory`] | |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearnerParams {
    /// Estimates → distribution.
    pub scheme: Scheme,
    /// Every eligible arm keeps `floor / K`.
    pub floor: f64,
    /// Prior precision λ₀.
    pub ridge: f64,
    /// How the past fades.
    pub memory: Memory,
}

impl Default for LearnerParams {
    fn default() -> Self {
        Self {
            scheme: Scheme::Thompson { alpha: 0.2 },
            floor: 0.002,
            ridge: 0.5,
            memory: Memory::PERFECT,
        }
    }
}

/// A bandit over a fixed set of arms; it decides nothing and draws nothing.
#[derive(Clone, Debug)]
pub struct Learner {
    params: LearnerParams,
    arms: Vec<LinearPosterior>,
    now: u64,
}

impl Learner {
    /// Nothing known of `n_arms` arms at `d` features.
    ///
    /// # Errors
    ///
    /// If a number is out of range.
    pub fn new(n_arms: usize, d: usize, params: LearnerParams) -> Result<Self, PosteriorError> {
        let share =
            |what, value: f64| check(what, "in [0, 1]", value, (0.0..=1.0).contains(&value));
        let positive =
            |what, value: f64| check(what, "above 0", value, value > 0.0 && value.is_finite());
        share("floor", params.floor)?;
        match params.scheme {
            Scheme::EpsilonGreedy { epsilon } => share("epsilon", epsilon)?,
            Scheme::SquareCb { scale, exponent } => {
                positive("scale", scale)?;
                share("exponent", exponent)?;
            }
            Scheme::Thompson { alpha } => positive("alpha", alpha)?,
        }
        check("number of arms", "at least 1", n_arms as f64, n_arms > 0)?;
        let arm = LinearPosterior::new(d, params.ridge, params.memory)?;
        Ok(Self { params, arms: vec![arm; n_arms], now: 0 })
    }

    /// Replaces what is known of an arm, of as many features: a warm start.
    ///
    /// # Errors
    ///
    /// If it has another number of features; then nothing changes.
    pub fn set_arm(&mut self, arm: usize, known: LinearPosterior) -> Result<(), PosteriorError> {
        let (expected, found) = (self.arms[arm].theta().len(), known.theta().len());
        if found != expected {
            return Err(PosteriorError::Dimension { expected, found });
        }
        self.arms[arm] = known;
        Ok(())
    }

    /// What is known of each arm.
    pub fn arms(&self) -> &[LinearPosterior] {
        &self.arms
    }

    /// How likely each arm is to be drawn at `x`: 0 where it is not eligible, at least `floor / K`
    /// for the `K` that are; all 0 if none is. A price is subtracted from the expected reward of
    /// its arm.
    ///
    /// # Shapes
    ///
    /// - `x`: `[d]`
    /// - `prices`, `eligible` and the result: `[n_arms]`
    pub fn distribution(&self, x: &[f64], prices: &[f64], eligible: &[bool]) -> Vec<f64> {
        let arms: Vec<usize> = (0..self.arms.len()).filter(|arm| eligible[*arm]).collect();
        if arms.is_empty() {
            return vec![0.0; self.arms.len()];
        }
        let costs: Vec<f64> =
            arms.iter().map(|arm| prices[*arm] - self.arms[*arm].mean(x)).collect();
        let pmf = match self.params.scheme {
            Scheme::EpsilonGreedy { epsilon } => exploration::epsilon_greedy(&costs, epsilon),
            Scheme::SquareCb { scale, exponent } => {
                let gamma = scale * (self.now.max(1) as f64).powf(exponent);
                exploration::squarecb(&costs, gamma)
            }
            Scheme::Thompson { alpha } => {
                let means: Vec<f64> = costs.iter().map(|cost| -cost).collect();
                let deviation =
                    |arm: &usize| alpha * self.arms[*arm].stale_variance(x, self.now).sqrt();
                exploration::thompson(&means, &arms.iter().map(deviation).collect::<Vec<f64>>())
            }
        };
        let floored = exploration::floor(&pmf, self.params.floor, Floor::All);
        let mut all = vec![0.0; self.arms.len()];
        for (arm, p) in arms.into_iter().zip(floored) {
            all[arm] = p;
        }
        all
    }

    /// Notes that an arm was drawn for the next request; its answer may come later.
    pub fn play(&mut self, arm: usize) {
        self.now += 1;
        self.arms[arm].play(self.now);
    }

    /// Learns what an arm earned at `x`.
    ///
    /// # Errors
    ///
    /// If something is not finite or of another length; then nothing changes.
    pub fn learn(&mut self, arm: usize, x: &[f64], reward: f64) -> Result<(), PosteriorError> {
        self.arms[arm].update(x, reward, self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMES: [Scheme; 3] = [
        Scheme::EpsilonGreedy { epsilon: 0.1 },
        Scheme::SquareCb { scale: 10.0, exponent: 0.5 },
        Scheme::Thompson { alpha: 0.2 },
    ];

    #[test]
    fn only_eligible_arms_are_drawn_and_each_keeps_the_floor() {
        for scheme in SCHEMES {
            let params = LearnerParams { scheme, floor: 0.06, ..LearnerParams::default() };
            let mut learner = Learner::new(4, 2, params).unwrap();
            for arm in [0, 1, 1, 3] {
                learner.play(arm);
                learner.learn(arm, &[1.0, 0.5], 0.25 * arm as f64).unwrap();
            }
            let pmf = learner.distribution(&[1.0, 0.5], &[0.0; 4], &[true, true, false, true]);
            assert!((pmf.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{scheme:?}: {pmf:?}");
            assert!(pmf[2].abs() < f64::EPSILON, "{scheme:?}: {pmf:?}");
            assert!([0, 1, 3].iter().all(|arm| pmf[*arm] >= 0.02 - 1e-12), "{scheme:?}: {pmf:?}");
            assert!(pmf[3] > pmf[0], "{scheme:?}: {pmf:?}");
            let none = learner.distribution(&[1.0, 0.5], &[0.0; 4], &[false; 4]);
            assert!(none.iter().sum::<f64>().abs() < f64::EPSILON);
        }
    }

    #[test]
    fn a_price_makes_an_arm_less_likely() {
        for scheme in SCHEMES {
            let learner =
                Learner::new(2, 1, LearnerParams { scheme, ..LearnerParams::default() }).unwrap();
            let pmf = learner.distribution(&[1.0], &[0.4, 0.1], &[true, true]);
            assert!(pmf[1] > pmf[0], "{scheme:?}: {pmf:?}");
        }
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let refused = |params: LearnerParams| Learner::new(2, 1, params).unwrap_err().to_string();
        let default = LearnerParams::default();
        assert_eq!(
            refused(LearnerParams { floor: 1.5, ..default }),
            "floor must be in [0, 1], got 1.5"
        );
        let scheme = Scheme::Thompson { alpha: 0.0 };
        assert_eq!(refused(LearnerParams { scheme, ..default }), "alpha must be above 0, got 0");
        assert_eq!(
            Learner::new(0, 1, default).unwrap_err().to_string(),
            "number of arms must be at least 1, got 0"
        );
    }
}
