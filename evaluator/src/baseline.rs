//! Policies that any router must be compared with: `spec/routing.md`, section 3.5.
//!
//! What is chosen is chosen on the fitting rows of a split; the oracle alone sees the truth.

pub mod knn;
pub mod lookup;
pub mod weighted;

use router_core::policy::TokenHeuristic;

use crate::panel::Panel;
use crate::split::{Split, Splits, best_single, cheapest_single};
use crate::sweep::{Choice, Expected, index};

/// Prompts shorter than this go to the cheapest model by the token heuristic.
const HEURISTIC_TOKENS: u64 = TokenHeuristic::TOKENS.0;

/// The best and the cheapest single model of each request's fitting rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Singles {
    /// `[n]`: best single model.
    pub best: Choice,
    /// `[n]`: cheapest single model; the weakest, if costs are unknown.
    pub cheapest: Choice,
    /// `[n]`: mean cost of the best single model; 1 if costs are unknown.
    pub reference_cost: Vec<f64>,
}

impl Singles {
    /// Chooses on the fitting rows of each part.
    pub fn new(panel: &Panel, splits: &Splits<'_>) -> Self {
        let mut singles = Self {
            best: vec![0; panel.n()],
            cheapest: vec![0; panel.n()],
            reference_cost: vec![1.0; panel.n()],
        };
        for part in &splits.parts {
            let means = splits.source.means(&part.fit);
            let best = best_single(&means);
            let cheapest =
                if splits.source.has_costs() { cheapest_single(&means) } else { weakest(&means) };
            for &row in &part.judge {
                singles.best[row] = index(best);
                singles.cheapest[row] = index(cheapest);
                if means[best].1 > 0.0 {
                    singles.reference_cost[row] = means[best].1;
                }
            }
        }
        singles
    }

    /// Short prompts without tools to the cheapest model, the others to the best.
    pub fn token_heuristic(&self, panel: &Panel) -> Choice {
        let is_easy = |row: usize| {
            let view = panel.requests[row].view();
            view.estimated_prompt_tokens().0 < HEURISTIC_TOKENS && view.n_tools == 0
        };
        (0..panel.n())
            .map(|row| if is_easy(row) { self.cheapest[row] } else { self.best[row] })
            .collect()
    }
}

fn weakest(means: &[(f64, f64)]) -> usize {
    (0..means.len()).min_by(|a, b| means[*a].0.total_cmp(&means[*b].0)).unwrap_or(0)
}

/// The true outcomes as expectations: at λ = 0 the highest quality, ties to the lowest cost.
pub fn oracle(panel: &Panel, reference_cost: &[f64]) -> Expected {
    let m = panel.m();
    let scale = |(i, cost): (usize, &f64)| cost / reference_cost[i / m];
    Expected {
        m,
        score: panel.quality.clone(),
        cost: panel.cost.iter().enumerate().map(scale).collect(),
    }
}

/// Length of the prompt in UTF-8 bytes.
pub fn length(panel: &Panel) -> Vec<f64> {
    panel.requests.iter().map(|request| request.prompt.len() as f64).collect()
}

/// Expectations whose quality is filled in by `quality`, for each part of a split, and whose cost
/// is the mean of each model on the fitting rows.
pub(crate) fn expected(
    panel: &Panel,
    splits: &Splits<'_>,
    quality: impl Fn(&Split, &[(f64, f64)]) -> Vec<Vec<f64>>,
) -> Expected {
    let m = panel.m();
    let has_costs = panel.has_costs() && splits.source.has_costs();
    let mut expected = Expected {
        m,
        score: vec![0.0; panel.n() * m],
        cost: if has_costs { vec![0.0; panel.n() * m] } else { Vec::new() },
    };
    for part in &splits.parts {
        let means = splits.source.means(&part.fit);
        let reference = means[best_single(&means)].1;
        for (row, scores) in part.judge.iter().zip(quality(part, &means)) {
            expected.score[row * m..(row + 1) * m].copy_from_slice(&scores);
            if has_costs {
                for (j, mean) in means.iter().enumerate() {
                    expected.cost[row * m + j] = mean.1 / reference.max(f64::MIN_POSITIVE);
                }
            }
        }
    }
    expected
}
