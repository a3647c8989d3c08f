//! Predictions → choices, one for each exchange rate between quality and cost.

use rayon::prelude::*;

/// What a policy expects of each model for each request.
///
/// # Shapes
///
/// `[n * m]`, request-major.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expected {
    /// Number of models.
    pub m: usize,
    /// Expected quality.
    pub score: Vec<f64>,
    /// Expected dollars over those of the reference, `ĉ/c_ref`; empty if costs are unknown.
    pub cost: Vec<f64>,
}

/// One choice of a model for every request.
pub type Choice = Vec<u16>;

/// The default sweep: 0, then 85 values log-spaced from 1e-4 to 1e3, then infinity.
pub fn lambdas() -> Vec<f64> {
    let between = (0..85).map(|i| 10f64.powf(-4.0 + 7.0 * f64::from(i) / 84.0));
    std::iter::once(0.0).chain(between).chain([f64::INFINITY]).collect()
}

/// The place of λ = 0.1 in [`lambdas`]: where regret is measured.
pub const REGRET_AT: usize = 37;

impl Expected {
    /// Number of requests.
    pub fn n(&self) -> usize {
        self.score.len() / self.m.max(1)
    }

    /// `argmax score − λ·ĉ/c_ref` of one request; ties to the lower cost, then to the first model.
    pub fn choose(&self, request: usize, lambda: f64) -> usize {
        let cells = request * self.m..(request + 1) * self.m;
        let score = &self.score[cells.clone()];
        let Some(cost) = self.cost.get(cells) else { return argmax(score, |_| 0.0) };
        if lambda.is_infinite() {
            return argmax(&vec![0.0; self.m], |j| cost[j]);
        }
        let mut utility = [0.0; 128];
        if self.m > utility.len() {
            let long: Vec<f64> = score.iter().zip(cost).map(|(s, c)| s - lambda * c).collect();
            return argmax(&long, |j| cost[j]);
        }
        for j in 0..self.m {
            utility[j] = score[j] - lambda * cost[j];
        }
        argmax(&utility[..self.m], |j| cost[j])
    }

    /// The choices at one λ for all requests.
    pub fn choices(&self, lambda: f64) -> Choice {
        (0..self.n()).map(|request| index(self.choose(request, lambda))).collect()
    }

    /// The choices at every λ of the sweep; at 0 only, if costs are unknown.
    pub fn sweep(&self) -> Vec<(f64, Choice)> {
        let lambdas = if self.cost.is_empty() { vec![0.0] } else { lambdas() };
        lambdas.into_par_iter().map(|lambda| (lambda, self.choices(lambda))).collect()
    }

    /// Score of one model minus that of another, for each request.
    pub fn uplift(&self, weak: usize, strong: usize) -> Vec<f64> {
        (0..self.n())
            .map(|i| self.score[i * self.m + strong] - self.score[i * self.m + weak])
            .collect()
    }
}

/// A model's number as it is stored.
pub fn index(model: usize) -> u16 {
    u16::try_from(model).expect("a table has fewer than 65,536 models")
}

fn argmax(utility: &[f64], cost: impl Fn(usize) -> f64) -> usize {
    let mut best = 0;
    for j in 1..utility.len() {
        let is_tie = utility[j].total_cmp(&utility[best]).is_eq();
        if utility[j] > utility[best] || (is_tie && cost(j) < cost(best)) {
            best = j;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sweep_has_87_rates_and_one_of_them_is_a_tenth() {
        let lambdas = lambdas();
        assert_eq!((lambdas.len(), lambdas[0]), (87, 0.0));
        assert!((lambdas[REGRET_AT] - 0.1).abs() < 1e-12);
        assert!((lambdas[1] - 1e-4).abs() < 1e-16 && (lambdas[85] - 1e3).abs() < 1e-9);
    }

    #[test]
    fn ties_go_to_the_lower_cost_then_to_the_first_name() {
        let expected = Expected { m: 3, score: vec![0.5; 3], cost: vec![2.0, 1.0, 1.0] };
        assert_eq!(expected.choose(0, 0.0), 1);
        assert_eq!(expected.choose(0, f64::INFINITY), 1);
        let free = Expected { cost: Vec::new(), ..expected };
        assert_eq!(free.choose(0, 1.0), 0);
    }

    #[test]
    fn a_higher_rate_buys_a_cheaper_model() {
        let expected = Expected { m: 2, score: vec![0.9, 0.6], cost: vec![1.0, 0.1] };
        assert_eq!((expected.choose(0, 0.3), expected.choose(0, 0.4)), (0, 1));
    }
}
