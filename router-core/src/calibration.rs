//! A monotone map from a score to a calibrated expectation in [0, 1].

use serde::{Deserialize, Serialize};

/// A non-decreasing, piecewise linear map; constant beyond its ends.
///
/// Knots are `(score, expectation)`, scores strictly increasing, expectations non-decreasing in
/// `[0, 1]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(f64, f64)>", into = "Vec<(f64, f64)>")]
pub struct Calibration {
    knots: Vec<(f64, f64)>,
}

/// Why knots are refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CalibrationError {
    /// A number that is not finite, or an expectation outside `[0, 1]`.
    #[error("calibration knot {0} must be finite with an expectation in [0, 1], got ({1}, {2})")]
    Range(usize, f64, f64),
    /// Scores that do not increase, or expectations that fall.
    #[error("calibration knot {0} must not fall below the one before it")]
    Order(usize),
}

impl TryFrom<Vec<(f64, f64)>> for Calibration {
    type Error = CalibrationError;

    fn try_from(knots: Vec<(f64, f64)>) -> Result<Self, CalibrationError> {
        for (i, &(score, expectation)) in knots.iter().enumerate() {
            if !score.is_finite() || !(0.0..=1.0).contains(&expectation) {
                return Err(CalibrationError::Range(i, score, expectation));
            }
            if i > 0 && (score <= knots[i - 1].0 || expectation < knots[i - 1].1) {
                return Err(CalibrationError::Order(i));
            }
        }
        Ok(Self { knots })
    }
}

impl From<Calibration> for Vec<(f64, f64)> {
    fn from(calibration: Calibration) -> Self {
        calibration.knots
    }
}

impl Calibration {
    /// No map at all: the score itself, cut to `[0, 1]`.
    pub fn identity() -> Self {
        Self::default()
    }

    /// The expectation for a score.
    pub fn apply(&self, score: f64) -> f64 {
        let (Some(&first), Some(&last)) = (self.knots.first(), self.knots.last()) else {
            return score.clamp(0.0, 1.0);
        };
        if score <= first.0 {
            return first.1;
        }
        if score >= last.0 {
            return last.1;
        }
        let above = self.knots.partition_point(|knot| knot.0 <= score);
        let ((x0, y0), (x1, y1)) = (self.knots[above - 1], self.knots[above]);
        y0 + (y1 - y0) * (score - x0) / (x1 - x0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_interpolates_and_is_constant_beyond_its_ends() {
        let map = Calibration::try_from(vec![(0.2, 0.1), (0.4, 0.3), (0.8, 0.3)]).unwrap();
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        close(map.apply(0.0), 0.1);
        close(map.apply(0.3), 0.2);
        close(map.apply(0.5), 0.3);
        close(map.apply(9.0), 0.3);
        close(Calibration::identity().apply(1.4), 1.0);
    }

    #[test]
    fn knots_that_fall_or_leave_the_range_are_refused() {
        assert!(Calibration::try_from(vec![(0.2, 0.3), (0.4, 0.2)]).is_err());
        assert!(Calibration::try_from(vec![(0.2, 0.3), (0.2, 0.4)]).is_err());
        assert!(Calibration::try_from(vec![(0.2, 1.3)]).is_err());
        assert!(Calibration::try_from(vec![(f64::NAN, 0.3)]).is_err());
    }
}
