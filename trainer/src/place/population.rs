//! A new model among known ones, by empirical Bayes.
//!
//! Each known model `j` is a function of the request, the score `s_j(x)` that the router predicts.
//! These functions are taken for draws from a population of models: its mean is
//! `μ(x) = Σ_j s_j(x) / m` and its covariance that of the known ones. A model that is not known yet
//! is then
//!
//! `f(x) = μ(x) + β₀ + Σ_j c_j · (s_j(x) − μ(x)) / √(m − 1)`, `c_j ~ N(0, 1)`, `β₀ ~ N(0, τ²)`,
//!
//! and its labels are `f(x) + noise`. This is factor analysis in which neither factors nor loadings
//! need names: along the principal directions `θ_k` of the scores, `f = b + Σ_k a_k θ_k(x)` with
//! the mean and the covariance of the known models' `(a, b)` as the prior of its own. The posterior
//! mean is a weighted sum of the known functions, so that it can be written into the same weights.

use linfa_linalg::cholesky::SolveCInplace;
use ndarray::{Array1, Array2};

/// What is believed before the labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// `τ`: how far a new model may lie above or below what the known ones span.
    pub level_sd: f64,
    /// Variance of a label around the function.
    pub noise: f64,
    /// How many labels that variance is worth.
    pub noise_labels: f64,
}

/// The posterior of a new model.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// `[m]`: what each known function counts; they sum to 1.
    pub weights: Vec<f64>,
    /// What is added to their weighted sum.
    pub intercept: f64,
    /// Variance of a label around the function.
    pub noise: f64,
    level_sd: f64,
    /// `[(m + 1)²]`: covariance of `(β₀/τ, c)`.
    covariance: Array2<f64>,
}

/// Rounds of estimating the noise from the residuals.
const NOISE_ROUNDS: usize = 8;

/// Least variance of a label: no model is certain to answer as it did.
const MIN_NOISE: f64 = 1e-4;

/// Fits a new model.
///
/// # Shapes
///
/// - `known`: per labelled request, `[m]` values of the known functions
/// - `labels`: one per request
pub fn place(m: usize, known: &[Vec<f64>], labels: &[f64], prior: Prior) -> Placed {
    let rows: Vec<Array1<f64>> = known.iter().map(|k| coordinates(k, prior.level_sd)).collect();
    let gaps: Vec<f64> = known.iter().zip(labels).map(|(k, y)| y - mean(k)).collect();
    let mut gram = Array2::<f64>::zeros((m + 1, m + 1));
    let mut moment = Array1::<f64>::zeros(m + 1);
    for (z, gap) in rows.iter().zip(&gaps) {
        for (i, a) in z.iter().enumerate() {
            moment[i] += a * gap;
            for (j, b) in z.iter().enumerate() {
                gram[[i, j]] += a * b;
            }
        }
    }
    let mut noise = prior.noise.max(MIN_NOISE);
    let (mut coefficients, mut covariance) = posterior(&gram, &moment, noise);
    for _ in 0..NOISE_ROUNDS {
        // The expected squared residual: that of the mean, and what the mean leaves open.
        let residual = |(z, gap): (&Array1<f64>, &f64)| {
            (gap - z.dot(&coefficients)).powi(2) + z.dot(&covariance.dot(z))
        };
        let squares: f64 = rows.iter().zip(&gaps).map(residual).sum();
        let n = prior.noise_labels + labels.len() as f64;
        noise = ((prior.noise_labels * prior.noise + squares) / n.max(1.0)).max(MIN_NOISE);
        (coefficients, covariance) = posterior(&gram, &moment, noise);
    }
    let scale = spread(m);
    let average = coefficients.iter().skip(1).sum::<f64>() / m as f64;
    let weight = |c: &f64| 1.0 / m as f64 + (c - average) * scale;
    Placed {
        weights: coefficients.iter().skip(1).map(weight).collect(),
        intercept: coefficients[0] * prior.level_sd,
        noise,
        level_sd: prior.level_sd,
        covariance,
    }
}

impl Placed {
    /// What to expect of the new model where the known functions have these values: `[m]`.
    pub fn mean(&self, known: &[f64]) -> f64 {
        self.intercept + self.weights.iter().zip(known).map(|(w, k)| w * k).sum::<f64>()
    }

    /// The standard deviation of that.
    pub fn sd(&self, known: &[f64]) -> f64 {
        let z = coordinates(known, self.level_sd);
        z.dot(&self.covariance.dot(&z)).max(0.0).sqrt()
    }

    /// The standard deviation of the mean of the function over some requests.
    pub fn level_sd(&self, known: &[Vec<f64>]) -> f64 {
        let m = self.weights.len();
        let n = known.len().max(1) as f64;
        let column = |j: usize| known.iter().map(|k| k[j]).sum::<f64>() / n;
        self.sd(&(0..m).map(column).collect::<Vec<f64>>())
    }
}

/// `(τ, (s_j − μ) / √(m − 1))`: the coordinates whose coefficients have variance 1.
fn coordinates(known: &[f64], level_sd: f64) -> Array1<f64> {
    let (mean, scale) = (mean(known), spread(known.len()));
    std::iter::once(level_sd).chain(known.iter().map(|k| (k - mean) * scale)).collect()
}

fn spread(m: usize) -> f64 {
    1.0 / (m as f64 - 1.0).max(1.0).sqrt()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Mean and covariance of the coefficients: `(I + G/σ²)⁻¹`.
fn posterior(gram: &Array2<f64>, moment: &Array1<f64>, noise: f64) -> (Array1<f64>, Array2<f64>) {
    let d = moment.len();
    let mut precision = gram / noise;
    precision.diag_mut().mapv_inplace(|x| x + 1.0);
    // Positive definite by the identity in it; if rounding denies that, the prior stays.
    let covariance = precision.solvec_into(Array2::eye(d)).unwrap_or_else(|_| Array2::eye(d));
    (covariance.dot(moment) / noise, covariance)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64;

    use super::*;

    const PRIOR: Prior = Prior { level_sd: 0.2, noise: 0.04, noise_labels: 1e9 };

    #[test]
    fn without_labels_it_is_the_mean_of_the_population() {
        let placed = place(2, &[], &[], PRIOR);
        assert!((placed.mean(&[0.2, 0.8]) - 0.5).abs() < 1e-12);
        // β₀: 0.2²; one direction of deviation: (0.3² + 0.3²) / (2 − 1).
        assert!((placed.sd(&[0.2, 0.8]) - (0.04f64 + 0.18).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn one_label_moves_it_by_the_gain_of_a_scalar_filter() {
        // The known ones agree, so that only the level is open: gain 0.04 / (0.04 + 0.04).
        let placed = place(2, &[vec![0.5, 0.5]], &[0.9], PRIOR);
        assert!((placed.mean(&[0.5, 0.5]) - 0.7).abs() < 1e-6);
        assert!((placed.sd(&[0.5, 0.5]) - 0.02f64.sqrt()).abs() < 1e-6);
        assert!((placed.level_sd(&[vec![0.4, 0.4], vec![0.6, 0.6]]) - 0.02f64.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn many_labels_find_the_combination_that_made_them() {
        let mut rng = Pcg64::seed_from_u64(1);
        let known: Vec<Vec<f64>> =
            (0..4000).map(|_| (0..3).map(|_| rng.random_range(0.0..1.0)).collect()).collect();
        let truth = |k: &[f64]| 0.1 + 0.7 * k[0] + 0.3 * k[1];
        let labels: Vec<f64> =
            known.iter().map(|k| truth(k) + rng.random_range(-0.3..0.3)).collect();
        let placed = place(3, &known, &labels, Prior { noise: 0.2, noise_labels: 5.0, ..PRIOR });
        for (weight, truth) in placed.weights.iter().zip([0.7, 0.3, 0.0]) {
            assert!((weight - truth).abs() < 0.05, "{:?}", placed.weights);
        }
        // Uniform in ±0.3: variance 0.03.
        assert!((placed.noise - 0.03).abs() < 0.003, "{}", placed.noise);
    }

    #[test]
    fn its_standard_deviation_is_that_of_its_errors() {
        // Models drawn from the prior: two known ones, so one direction, and a level.
        let mut rng = Pcg64::seed_from_u64(2);
        let normal = |rng: &mut Pcg64| (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        let (mut z2, n) = (0.0, 600);
        for _ in 0..n {
            let (c, level) = (normal(&mut rng), 0.2 * normal(&mut rng));
            let truth = |k: &[f64]| 0.5 * (k[0] + k[1]) + level + c * (k[0] - k[1]) / 2f64.sqrt();
            let known: Vec<Vec<f64>> = (0..20).map(|_| vec![rng.random(), rng.random()]).collect();
            let labels: Vec<f64> =
                known.iter().map(|k| truth(k) + 0.2 * normal(&mut rng)).collect();
            let placed = place(2, &known, &labels, PRIOR);
            let at = vec![rng.random(), rng.random()];
            z2 += ((placed.mean(&at) - truth(&at)) / placed.sd(&at)).powi(2);
        }
        // The mean of 600 squares of standard normals: 1 ± 0.058.
        assert!((z2 / f64::from(n) - 1.0).abs() < 0.2, "{}", z2 / f64::from(n));
    }
}
