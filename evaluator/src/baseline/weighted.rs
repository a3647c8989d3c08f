//! The hand-weighted policy with its default weights, as the router core has it.

use router_core::policy::{Context, Policy, Signals, Weighted};
use router_core::{Objective, Prediction};

use crate::panel::Panel;
use crate::split::{Splits, best_single};
use crate::sweep::{Choice, index};

/// What the policy makes of each request.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// `[n]`: its choice.
    pub choices: Choice,
    /// `[n * m]`: the weighted sum of each model.
    pub scores: Vec<f64>,
}

impl Scored {
    /// `[n]`: how much higher the score of one of `m` models is than that of another.
    pub fn uplift(&self, m: usize, weak: usize, strong: usize) -> Vec<f64> {
        self.scores.chunks_exact(m).map(|scores| scores[strong] - scores[weak]).collect()
    }
}

/// Scores every request. History and cost are the means on the fitting rows, the reference cost
/// is that of their best single model, complexity is read off the surface of the request. Latency
/// is unknown and every model available, so these two factors say nothing.
pub fn weighted(panel: &Panel, splits: &Splits<'_>) -> Scored {
    let (n, m) = (panel.n(), panel.m());
    let has_costs = panel.has_costs() && splits.source.has_costs();
    let policy = Weighted::default();
    let eligible = vec![true; m];
    let mut scored = Scored { choices: vec![0; n], scores: vec![0.0; n * m] };
    for part in &splits.parts {
        let means = splits.source.means(&part.fit);
        let history: Vec<f64> = means.iter().map(|mean| mean.0).collect();
        let success = |quality: &f64| Signals { success: Some(*quality), ..Signals::default() };
        let signals: Vec<Signals> = history.iter().map(success).collect();
        let prediction = Prediction {
            quality: history.clone(),
            score: history,
            cost: means.iter().map(|mean| has_costs.then_some(mean.1)).collect(),
            latency_ms: vec![None; m],
            ..Prediction::default()
        };
        let objective = Objective {
            lambda: 0.0,
            latency_weight: 0.0,
            reference_cost: means[best_single(&means)].1.max(f64::MIN_POSITIVE),
            reference_latency_ms: 1.0,
            uncertainty_weight: 0.0,
        };
        for &row in &part.judge {
            let request = panel.requests[row].view();
            let context = Context {
                prediction: &prediction,
                eligible: &eligible,
                objective: &objective,
                request: &request,
                signals: &signals,
                latency_target_ms: None,
            };
            scored.choices[row] = index(policy.distribution(&context).at(0.0).0);
            scored.scores[row * m..(row + 1) * m].copy_from_slice(&policy.scores(&context));
        }
    }
    scored
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::panel;

    #[test]
    fn history_and_cost_are_those_of_the_fitting_rows_and_complexity_that_of_the_request() {
        let fitted = panel(&[&[1.0, 1.0], &[0.0, 1.0]], &[1.0, 4.0]);
        let mut judged = panel(&[&[1.0, 0.0], &[1.0, 0.0]], &[4.0, 1.0]);
        judged.requests[0].prompt = "hello".to_owned();
        judged.requests[1].prompt = "```\nfn f(x: &[u8]) -> u8 { x[0] ^ x[1]; }\n```\n".repeat(100);
        let splits = Splits::apart(&fitted, &judged);
        let found = weighted(&judged, &splits);
        assert_eq!(found.choices, [0, 1]);
        // Of `b`: strength 1, history 1, no cost saved; latency and availability are full.
        for row in 0..2 {
            assert!((found.scores[2 * row + 1] - (0.35 + 0.25 + 0.15 + 0.05)).abs() < 1e-12);
        }
        // Of `a`: strength 0, history 1/2, three quarters of the cost saved.
        let complexity = router_core::features::surface_complexity(&judged.requests[1].view());
        let right = 0.35 * (1.0 - complexity) + 0.25 * 0.5 + 0.2 * 0.75 + 0.2;
        assert!((found.scores[2] - right).abs() < 1e-12);
        // What the judged outcomes are plays no part.
        let mut other = judged.clone();
        other.quality = vec![0.0, 1.0, 0.0, 1.0];
        assert_eq!(weighted(&other, &splits), found);
        let uplift = found.uplift(2, 0, 1);
        assert!(uplift[0] < 0.0 && uplift[1] > 0.0, "{uplift:?}");
    }
}
