//! Ridge regression of one arm's reward, updated with each answer.

use super::cholesky;

mod prior;

/// Updates after which the inverse is computed anew: rank-one updates lose digits.
const REFACTOR_EVERY: u64 = 10_000;

/// How the past fades.
///
/// | Field | Default | Meaning | Range |
/// | --- | --- | --- | --- |
/// | `gamma` | `0.997` | what a request weighs one request later; half-life `ln 2 / −ln γ` | `(0, 1]` |
/// | `max_inflation` | `200` | how far the variance of an arm grows that is not asked | `[1, ∞)` |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// What a request weighs one request later.
    pub gamma: f64,
    /// How far the variance of an arm grows that is not asked.
    pub max_inflation: f64,
}

impl Memory {
    /// Nothing fades.
    pub const PERFECT: Self = Self { gamma: 1.0, max_inflation: 200.0 };
}

impl Default for Memory {
    fn default() -> Self {
        Self { gamma: 0.997, max_inflation: 200.0 }
    }
}

/// Why an arm cannot be made, or does not learn.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PosteriorError {
    /// A number out of its range.
    #[error("{what} must be {bound}, got {value}")]
    Range {
        /// Which.
        what: &'static str,
        /// Its range.
        bound: &'static str,
        /// What it is.
        value: f64,
    },
    /// Features of another length.
    #[error("features must have {expected} entries, got {found}")]
    Dimension {
        /// As made.
        expected: usize,
        /// As given.
        found: usize,
    },
}

/// `A = λ₀·I + Σxxᵀ`, `b = Σr·x`, `θ = A⁻¹·b`: the mean of the reward at `x` is `θᵀx`, and its
/// variance `xᵀA⁻¹x` times that of the noise.
///
/// With forgetting, everything before an update is multiplied by `γ` to the requests since the
/// last one, the prior included.
///
/// # Shapes
///
/// `d` features; matrices are `[d * d]`, row-major.
///
/// # References
///
/// `spec/statistics.md`, sections 9 and 11.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearPosterior {
    d: usize,
    memory: Memory,
    precision: Vec<f64>,
    covariance: Vec<f64>,
    moment: Vec<f64>,
    theta: Vec<f64>,
    n_updates: u64,
    last_update: u64,
    last_play: u64,
}

impl LinearPosterior {
    /// Nothing known but the prior `λ₀ = ridge`.
    ///
    /// # Errors
    ///
    /// If a number is out of range.
    pub fn new(d: usize, ridge: f64, memory: Memory) -> Result<Self, PosteriorError> {
        check("ridge", "above 0", ridge, ridge > 0.0 && ridge.is_finite())?;
        let (gamma, inflation) = (memory.gamma, memory.max_inflation);
        check("gamma", "in (0, 1]", gamma, gamma > 0.0 && gamma <= 1.0)?;
        let is_sane = inflation >= 1.0 && inflation.is_finite();
        check("max_inflation", "at least 1", inflation, is_sane)?;
        let diagonal = |value: f64| {
            (0..d * d).map(|at| if at / d == at % d { value } else { 0.0 }).collect::<Vec<f64>>()
        };
        Ok(Self {
            d,
            memory,
            precision: diagonal(ridge),
            covariance: diagonal(1.0 / ridge),
            moment: vec![0.0; d],
            theta: vec![0.0; d],
            n_updates: 0,
            last_update: 0,
            last_play: 0,
        })
    }

    /// Expected reward at `x`.
    pub fn mean(&self, x: &[f64]) -> f64 {
        dot(&self.theta, x)
    }

    /// `xᵀA⁻¹x`, as of the last update.
    pub fn variance(&self, x: &[f64]) -> f64 {
        let row = |i: usize| dot(&self.covariance[i * self.d..][..self.d], x);
        x.iter().enumerate().map(|(i, x)| x * row(i)).sum::<f64>().max(0.0)
    }

    /// The variance at request `now`: what was not asked for long is less certain.
    pub fn stale_variance(&self, x: &[f64], now: u64) -> f64 {
        let age = now.saturating_sub(self.last_update.max(self.last_play));
        let faded = fade(self.memory.gamma, age).max(1.0 / self.memory.max_inflation);
        self.variance(x) / faded
    }

    /// Notes that the arm was asked at request `now`. Its answer may come later: until then it is
    /// not explored again for being stale.
    pub fn play(&mut self, now: u64) {
        self.last_play = now;
    }

    /// Learns that the arm earned `reward` at `x`, as of request `now`.
    ///
    /// # Errors
    ///
    /// If `x` has another length, or something is not finite; then nothing changes.
    pub fn update(&mut self, x: &[f64], reward: f64, now: u64) -> Result<(), PosteriorError> {
        if x.len() != self.d {
            return Err(PosteriorError::Dimension { expected: self.d, found: x.len() });
        }
        check("reward", "finite", reward, reward.is_finite())?;
        if let Some(feature) = x.iter().find(|x| !x.is_finite()) {
            check("a feature", "finite", *feature, false)?;
        }
        self.forget(now);
        for (i, xi) in x.iter().enumerate() {
            for (a, xj) in self.precision[i * self.d..][..self.d].iter_mut().zip(x) {
                *a += xi * xj;
            }
            self.moment[i] += reward * xi;
        }
        self.n_updates += 1;
        self.add_to_covariance(x);
        self.theta = self.solve(&self.moment);
        Ok(())
    }

    /// `ln |A|`; `None` if `A` has lost its definiteness.
    pub fn log_determinant(&self) -> Option<f64> {
        cholesky::factor(&self.precision, self.d).map(|l| cholesky::log_determinant(&l, self.d))
    }

    /// `[d]`: `θ`.
    pub fn theta(&self) -> &[f64] {
        &self.theta
    }

    fn forget(&mut self, now: u64) {
        let age = now.saturating_sub(self.last_update);
        self.last_update = now;
        if self.memory.gamma < 1.0 && age > 0 {
            let kept = fade(self.memory.gamma, age).max(f64::MIN_POSITIVE);
            self.precision.iter_mut().for_each(|a| *a *= kept);
            self.moment.iter_mut().for_each(|b| *b *= kept);
            self.covariance.iter_mut().for_each(|m| *m /= kept);
        }
    }

    /// Sherman and Morrison's update, or from the precision when that is due.
    fn add_to_covariance(&mut self, x: &[f64]) {
        let mx = self.solve(x);
        let x_m_x = dot(&mx, x);
        let is_due = self.n_updates.is_multiple_of(REFACTOR_EVERY) || x_m_x < 0.0;
        if is_due && let Some(l) = cholesky::factor(&self.precision, self.d) {
            self.covariance = cholesky::inverse(&l, self.d);
            return;
        }
        let scale = 1.0 + x_m_x;
        // The upper triangle, mirrored: the matrix stays symmetric to the bit.
        for i in 0..self.d {
            for j in i..self.d {
                let value = self.covariance[i * self.d + j] - mx[i] * mx[j] / scale;
                self.covariance[i * self.d + j] = value;
                self.covariance[j * self.d + i] = value;
            }
        }
    }

    fn solve(&self, right: &[f64]) -> Vec<f64> {
        self.covariance.chunks_exact(self.d).map(|row| dot(row, right)).collect()
    }
}

pub(super) fn check(
    what: &'static str,
    bound: &'static str,
    value: f64,
    is_good: bool,
) -> Result<(), PosteriorError> {
    if is_good { Ok(()) } else { Err(PosteriorError::Range { what, bound, value }) }
}

fn fade(gamma: f64, age: u64) -> f64 {
    gamma.powf(age as f64)
}

/// Four sums at a time, which the processor adds side by side.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (a_four, b_four) = (a.chunks_exact(4), b.chunks_exact(4));
    let rest: f64 = a_four.remainder().iter().zip(b_four.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_four.zip(b_four) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_any_length_are_complete() {
        for n in 0..12 {
            let ones: Vec<f64> = (1..=n).map(f64::from).collect();
            let exact = f64::from(n * (n + 1) / 2);
            assert!((dot(&ones, &vec![1.0; ones.len()]) - exact).abs() < 1e-12, "{n}");
        }
    }

    #[test]
    fn one_feature_is_the_textbook_formula() {
        let mut arm = LinearPosterior::new(1, 2.0, Memory::PERFECT).unwrap();
        for (t, (x, r)) in [(1.0, 1.0), (2.0, 0.5), (-1.0, 0.0)].into_iter().enumerate() {
            arm.update(&[x], r, t as u64 + 1).unwrap();
        }
        // A = 2 + 1 + 4 + 1, b = 1 + 1.
        assert!((arm.mean(&[1.0]) - 2.0 / 8.0).abs() < 1e-15);
        assert!((arm.variance(&[2.0]) - 4.0 / 8.0).abs() < 1e-15);
        assert!((arm.log_determinant().unwrap() - 8f64.ln()).abs() < 1e-14);
    }

    #[test]
    fn forgetting_weighs_each_request_by_its_age() {
        let memory = Memory { gamma: 0.5, max_inflation: 4.0 };
        let mut arm = LinearPosterior::new(1, 1.0, memory).unwrap();
        arm.update(&[1.0], 1.0, 1).unwrap();
        arm.update(&[1.0], 0.0, 3).unwrap();
        // A = (1·½ + 1)·¼ + 1, b = 1·¼.
        assert!((arm.mean(&[1.0]) - 0.25 / 1.375).abs() < 1e-15);
        // One request without being asked doubles the variance, many do so at most four times.
        let fresh = arm.variance(&[1.0]);
        assert!((arm.stale_variance(&[1.0], 4) / fresh - 2.0).abs() < 1e-12);
        assert!((arm.stale_variance(&[1.0], 90) / fresh - 4.0).abs() < 1e-12);
        arm.play(90);
        assert!((arm.stale_variance(&[1.0], 90) / fresh - 1.0).abs() < 1e-12);
    }

    #[test]
    fn many_updates_keep_the_inverse_an_inverse() {
        let d = 5;
        let mut arm = LinearPosterior::new(d, 1.0, Memory::default()).unwrap();
        let mut state = 1u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        };
        for now in 1..=25_000 {
            let x: Vec<f64> = (0..d).map(|_| draw()).collect();
            arm.update(&x, draw(), now).unwrap();
        }
        for i in 0..d {
            for j in 0..d {
                let entry: f64 =
                    (0..d).map(|k| arm.precision[i * d + k] * arm.covariance[k * d + j]).sum();
                let unit = f64::from(u8::from(i == j));
                assert!((entry - unit).abs() < 1e-9, "{i} {j} {entry}");
            }
        }
    }

    #[test]
    fn bad_input_changes_nothing() {
        let mut arm = LinearPosterior::new(2, 1.0, Memory::default()).unwrap();
        let before = arm.clone();
        assert_eq!(
            arm.update(&[1.0], 0.5, 1).unwrap_err().to_string(),
            "features must have 2 entries, got 1"
        );
        assert!(arm.update(&[1.0, f64::NAN], 0.5, 1).is_err());
        assert_eq!(
            arm.update(&[1.0, 1.0], f64::INFINITY, 1).unwrap_err().to_string(),
            "reward must be finite, got inf"
        );
        assert_eq!(arm, before);
        let bad = LinearPosterior::new(2, 0.0, Memory::default()).unwrap_err();
        assert_eq!(bad.to_string(), "ridge must be above 0, got 0");
    }
}
