//! A learner's own log as evidence: do its propensities give the known value of other policies?

use serde::Serialize;

use super::policy::{Choice, greedy};
use super::report::Estimate;

/// The value of one target policy from a log, beside the truth.
///
/// With the weight `w = target(a)/p(a)`: inverse propensity `w·r`, and doubly robust
/// `Σ target·q̂ + w·(r − q̂)` with the model from before the round.
#[derive(Clone, Debug, Default)]
pub struct Check {
    n: f64,
    weight: f64,
    ips: f64,
    dr: f64,
    dr_squares: f64,
    truth: f64,
}

impl Check {
    fn add(&mut self, target: &[f64], drawn: usize, choice: &Choice, quality: &[f64]) {
        let value = |of: &[f64]| target.iter().zip(of).map(|(p, v)| p * v).sum::<f64>();
        let weight = target[drawn] / choice.pmf[drawn];
        let residual = quality[drawn] - choice.expected[drawn];
        let dr = value(&choice.expected) + weight * residual;
        self.n += 1.0;
        self.weight += weight;
        self.ips += weight * quality[drawn];
        self.dr += dr;
        self.dr_squares += dr * dr;
        self.truth += value(quality);
    }

    /// Whether the normal 95% interval around the doubly robust estimate holds the truth.
    fn is_covered(&self) -> bool {
        let mean = self.dr / self.n;
        let variance = (self.dr_squares / self.n - mean * mean).max(0.0);
        (mean - self.truth / self.n).abs() <= 1.96 * (variance / self.n).sqrt()
    }
}

/// The targets that a learner's log is asked about.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    greedy: Check,
    uniform: Check,
}

impl Checks {
    /// Adds a round; `quality` is that of every model.
    pub(super) fn add(&mut self, drawn: usize, choice: &Choice, quality: &[f64]) {
        if choice.expected.is_empty() {
            return;
        }
        let best = greedy(choice);
        let point: Vec<f64> =
            (0..quality.len()).map(|model| f64::from(u8::from(model == best))).collect();
        self.greedy.add(&point, drawn, choice, quality);
        let n = choice.eligible.iter().filter(|is| **is).count() as f64;
        let even = |is: &bool| if *is { 1.0 / n } else { 0.0 };
        let even: Vec<f64> = choice.eligible.iter().map(even).collect();
        self.uniform.add(&even, drawn, choice, quality);
    }
}

/// What the logs of all seeds say of one target.
#[derive(Clone, Debug, Serialize)]
pub struct OffPolicy {
    /// The target: `greedy` follows the learner's expectations, `uniform` draws from the models
    /// that had a chance.
    pub target: &'static str,
    /// Its true value.
    pub truth: Estimate,
    /// Mean weight; 1 in expectation.
    pub mean_weight: Estimate,
    /// Inverse propensity estimate less truth; 0 in expectation.
    pub ips_error: Estimate,
    /// Doubly robust estimate less truth; 0 in expectation.
    pub dr_error: Estimate,
    /// Share of seeds whose own 95% interval holds the truth.
    pub dr_covered: f64,
}

impl OffPolicy {
    /// One entry per target; none if the policy expects nothing.
    pub(super) fn all(runs: &[&Checks]) -> Vec<Self> {
        let target = |target, of: fn(&Checks) -> &Check| {
            let checks: Vec<&Check> = runs.iter().map(|checks| of(checks)).collect();
            Self::new(target, &checks)
        };
        let all = [target("greedy", |c| &c.greedy), target("uniform", |c| &c.uniform)];
        all.into_iter().flatten().collect()
    }

    fn new(target: &'static str, checks: &[&Check]) -> Option<Self> {
        if checks.iter().any(|check| check.n < 1.0) {
            return None;
        }
        let of = |value: fn(&Check) -> f64| {
            Estimate::of(&checks.iter().map(|check| value(check) / check.n).collect::<Vec<f64>>())
        };
        let n_covered = checks.iter().filter(|check| check.is_covered()).count();
        Some(Self {
            target,
            truth: of(|check| check.truth),
            mean_weight: of(|check| check.weight),
            ips_error: of(|check| check.ips - check.truth),
            dr_error: of(|check| check.dr - check.truth),
            dr_covered: n_covered as f64 / checks.len() as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_adds_its_weight_and_corrects_the_model() {
        let choice = Choice {
            pmf: vec![0.8, 0.2],
            eligible: vec![true; 2],
            expected: vec![0.6, 0.5],
            price: vec![0.0; 2],
            ..Choice::default()
        };
        let mut checks = Checks::default();
        checks.add(1, &choice, &[0.9, 0.7]);
        // Greedy would draw 0: weight 0, the model's 0.6 stands. Uniform: 0.5/0.2 = 2.5.
        assert!((checks.greedy.dr - 0.6).abs() < 1e-12 && checks.greedy.weight.abs() < 1e-12);
        assert!((checks.uniform.weight - 2.5).abs() < 1e-12);
        assert!((checks.uniform.ips - 2.5 * 0.7).abs() < 1e-12);
        assert!((checks.uniform.dr - (0.55 + 2.5 * 0.2)).abs() < 1e-12);
        assert!((checks.uniform.truth - 0.8).abs() < 1e-12);
    }
}
