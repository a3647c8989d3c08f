//! What is exactly known of a range of requests: the value of each model and of the best policy.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;

use super::{World, cost, prompt_tokens};

/// What a policy is worth in expectation, over the requests of a range.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PolicyValue {
    /// Mean expected quality, in `[0, 1]`.
    pub quality: f64,
    /// Mean expected cost of a request, dollars.
    pub cost_usd: f64,
    /// Mean expected latency, milliseconds.
    pub latency_ms: f64,
    /// The share of requests that each model gets; models without any are left out.
    pub shares: BTreeMap<String, f64>,
}

/// The exactly known.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Truth {
    /// Seed of the world.
    pub seed: u64,
    /// Number of requests.
    pub n_requests: usize,
    /// Model → value of sending it every request.
    pub single: BTreeMap<String, PolicyValue>,
    /// The single model of highest quality; its mean cost is the unit of cost of `lambda`.
    pub best_single: String,
    /// For each request the model of highest expected quality; the cheaper one if equal.
    pub best: PolicyValue,
    /// For each request `argmax q − λ c / c_ref`; ties as above.
    pub at_lambda: PolicyValue,
    /// The λ of `at_lambda`, at least 0.
    pub lambda: f64,
    /// The cheapest of the policies `argmax q − λ c / c_ref` whose quality is at least 95% of the
    /// best single model's.
    pub at_95_retention: PolicyValue,
    /// Its λ.
    pub lambda_at_95_retention: f64,
    /// Its savings: 1 − its cost / the cost of the best single model.
    pub savings_at_95_retention: f64,
}

/// Expected quality, cost and latency of each model for one request.
struct Cells(Vec<Cell>);

#[derive(Clone, Copy)]
struct Cell {
    quality: f64,
    cost_usd: f64,
    latency_ms: f64,
}

impl Cells {
    fn best(&self, price_of_cost: f64) -> usize {
        let utility = |cell: &Cell| cell.quality - price_of_cost * cell.cost_usd;
        let mut best = 0;
        for (arm, cell) in self.0.iter().enumerate().skip(1) {
            let order = utility(cell).total_cmp(&utility(&self.0[best]));
            let is_cheaper = cell.cost_usd < self.0[best].cost_usd;
            if order.is_gt() || (order.is_eq() && is_cheaper) {
                best = arm;
            }
        }
        best
    }
}

impl World {
    /// The expected quality and cost of each model for a prompt, in the order of the models:
    /// `(quality, dollars)`.
    pub fn expected(&self, prompt: &str) -> Vec<(f64, f64)> {
        let cells = self.cells(prompt);
        cells.0.iter().map(|cell| (cell.quality, cell.cost_usd)).collect()
    }

    /// What is exactly known of the requests of a range; `lambda` is the weight of cost, in units
    /// of the best single model's mean cost. `None` for an empty range.
    pub fn truth(&self, indices: Range<u64>, lambda: f64) -> Option<Truth> {
        let cells: Vec<_> = indices.map(|index| self.cells(&self.request(index).prompt)).collect();
        if cells.is_empty() {
            return None;
        }
        let arms = 0..self.models.len();
        let values: Vec<_> = arms.map(|arm| self.value(&cells, |_| arm)).collect();
        let mut reference = 0;
        for (arm, value) in values.iter().enumerate() {
            if value.quality > values[reference].quality {
                reference = arm;
            }
        }
        let unit = values[reference].cost_usd;
        let at = |lambda: f64| self.value(&cells, |cells| cells.best(lambda / unit));
        let target = 0.95 * values[reference].quality;
        let lambda_at_95_retention = largest_lambda(|lambda| at(lambda).quality >= target);
        let at_95_retention = at(lambda_at_95_retention);
        Some(Truth {
            seed: self.seed,
            n_requests: cells.len(),
            best_single: self.models[reference].id.to_string(),
            best: at(0.0),
            at_lambda: at(lambda),
            lambda,
            savings_at_95_retention: 1.0 - at_95_retention.cost_usd / unit,
            at_95_retention,
            lambda_at_95_retention,
            single: self.models.iter().map(|model| model.id.to_string()).zip(values).collect(),
        })
    }

    fn cells(&self, prompt: &str) -> Cells {
        let latent = self.latent(prompt);
        let n_prompt = prompt_tokens(prompt);
        let cell = |model: &super::SimModel| {
            let tokens = model.completion_tokens(latent);
            Cell {
                quality: model.quality(latent),
                cost_usd: cost(model, n_prompt, tokens).dollars(),
                latency_ms: model.latency_ms(tokens),
            }
        };
        Cells(self.models.iter().map(cell).collect())
    }

    fn value(&self, cells: &[Cells], policy: impl Fn(&Cells) -> usize) -> PolicyValue {
        let weight = 1.0 / cells.len() as f64;
        let mut value = PolicyValue::default();
        let mut counts = vec![0_u32; self.models.len()];
        for cells in cells {
            let arm = policy(cells);
            value.quality += cells.0[arm].quality * weight;
            value.cost_usd += cells.0[arm].cost_usd * weight;
            value.latency_ms += cells.0[arm].latency_ms * weight;
            counts[arm] += 1;
        }
        for (model, count) in self.models.iter().zip(counts) {
            if count > 0 {
                value.shares.insert(model.id.to_string(), f64::from(count) * weight);
            }
        }
        value
    }
}

/// The largest λ up to 64 that still meets a condition which λ = 0 meets, to 20 halvings.
fn largest_lambda(is_met: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 64.0);
    for _ in 0..20 {
        let middle = f64::midpoint(low, high);
        if is_met(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}
