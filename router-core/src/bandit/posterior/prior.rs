//! What an arm begins with: nothing, an expectation, or what rows gathered before it served say.

use super::{LinearPosterior, Memory, PosteriorError, check, cholesky};

impl LinearPosterior {
    /// Expects `θ = theta` with precision `ridge` in each direction: for an arm without data whose
    /// level is known by its price or family.
    ///
    /// # Errors
    ///
    /// If a number is out of range.
    pub fn expecting(theta: &[f64], ridge: f64, memory: Memory) -> Result<Self, PosteriorError> {
        if let Some(value) = theta.iter().find(|value| !value.is_finite()) {
            check("an expected weight", "finite", *value, false)?;
        }
        let arm = Self::new(theta.len(), ridge, memory)?;
        let moment = theta.iter().map(|value| ridge * value).collect();
        Ok(Self { moment, theta: theta.to_vec(), ..arm })
    }

    /// The same mean, known as well as from `n_eff` requests, at request 0.
    ///
    /// With `s = n_eff / A[bias, bias]`: `A ← s·A + λ₀·I` and `b ← s·b + λ₀·θ`.
    ///
    /// # Shapes
    ///
    /// `bias` is the feature that is always 1.
    ///
    /// # Errors
    ///
    /// If a number is out of range, or `A` has lost its definiteness.
    ///
    /// # References
    ///
    /// `spec/statistics.md`, section 12.
    pub fn warm_start(
        &self,
        n_eff: f64,
        bias: usize,
        ridge: f64,
        memory: Memory,
    ) -> Result<Self, PosteriorError> {
        check("n_eff", "above 0", n_eff, n_eff > 0.0 && n_eff.is_finite())?;
        check("index of the bias", "a feature", bias as f64, bias < self.d)?;
        let empty = Self::new(self.d, ridge, memory)?;
        let weight = self.precision[bias * self.d + bias];
        let scale = n_eff / weight;
        let sum = |own: &[f64], prior: &[f64]| -> Vec<f64> {
            own.iter().zip(prior).map(|(own, prior)| scale * own + prior).collect()
        };
        let precision = sum(&self.precision, &empty.precision);
        let pull: Vec<f64> = self.theta.iter().map(|theta| ridge * theta).collect();
        let Some(factor) = cholesky::factor(&precision, self.d) else {
            check("precision of the bias", "that of a definite matrix", weight, false)?;
            return Ok(empty);
        };
        Ok(Self {
            covariance: cholesky::inverse(&factor, self.d),
            moment: sum(&self.moment, &pull),
            theta: self.theta.clone(),
            precision,
            ..empty
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warm_start_keeps_the_mean_and_knows_as_much_as_it_is_told() {
        let mut offline = LinearPosterior::new(2, 0.5, Memory::PERFECT).unwrap();
        for i in 1..=400_u32 {
            let x = f64::from(i % 5) - 2.0;
            offline.update(&[1.0, x], 0.3 + 0.1 * x, u64::from(i)).unwrap();
        }
        let warm = offline.warm_start(10.0, 0, 0.5, Memory::default()).unwrap();
        for x in [-2.0, 0.0, 3.0] {
            assert!((warm.mean(&[1.0, x]) - offline.mean(&[1.0, x])).abs() < 1e-12);
        }
        // A[bias, bias] = 10 + ½, and features are centered.
        assert!((warm.variance(&[1.0, 0.0]) - 1.0 / 10.5).abs() < 1e-12);
        // θ is still A⁻¹b after learning from what it expects.
        let (mut next, x) = (warm.clone(), [1.0, 1.0]);
        next.update(&x, warm.mean(&x), 0).unwrap();
        assert!((next.mean(&[1.0, 3.0]) - warm.mean(&[1.0, 3.0])).abs() < 1e-12);
    }

    #[test]
    fn an_expectation_is_met_and_then_corrected() {
        let mut arm = LinearPosterior::expecting(&[0.8, 0.0], 2.0, Memory::PERFECT).unwrap();
        assert!((arm.mean(&[1.0, 5.0]) - 0.8).abs() < 1e-15);
        arm.update(&[1.0, 0.0], 0.2, 1).unwrap();
        // b = 1.6 + 0.2, A = 3.
        assert!((arm.mean(&[1.0, 0.0]) - 0.6).abs() < 1e-15);
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let arm = LinearPosterior::new(1, 1.0, Memory::PERFECT).unwrap();
        let error = |n_eff, bias| {
            arm.warm_start(n_eff, bias, 1.0, Memory::PERFECT).unwrap_err().to_string()
        };
        assert_eq!(error(0.0, 0), "n_eff must be above 0, got 0");
        assert_eq!(error(1.0, 3), "index of the bias must be a feature, got 3");
        assert!(LinearPosterior::expecting(&[f64::NAN], 1.0, Memory::PERFECT).is_err());
    }
}
