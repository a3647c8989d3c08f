//! Money, tokens, quality and propensity as types that cannot be out of range.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

use serde::{Deserialize, Serialize};

/// A value outside the range of its quantity.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{quantity} must be {bound}, got {value}")]
pub struct UnitError {
    /// What the value is.
    pub quantity: &'static str,
    /// The range it must lie in.
    pub bound: &'static str,
    /// The value.
    pub value: f64,
}

/// Money in integer nano-dollars, so that sums do not depend on their order.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Usd(i64);

impl Usd {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// `nanos` billionths of a dollar.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Billionths of a dollar.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// The nearest number of nano-dollars.
    ///
    /// # Errors
    ///
    /// If `dollars` is negative, not finite, or above a billion.
    pub fn from_dollars(dollars: f64) -> Result<Self, UnitError> {
        if !(0.0..=1e9).contains(&dollars) {
            return Err(UnitError {
                quantity: "cost_usd",
                bound: "at least 0 and at most 1e9",
                value: dollars,
            });
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most 1e18, checked above")]
        Ok(Self((dollars * 1e9).round() as i64))
    }

    /// Dollars, for display and statistics.
    pub fn dollars(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl Add for Usd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Usd {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

impl std::fmt::Display for Usd {
    /// Dollars with as many decimals as nano-dollars need.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let nanos = self.0.unsigned_abs();
        let fraction = format!("{:09}", nanos % 1_000_000_000);
        let fraction = fraction.trim_end_matches('0');
        write!(f, "{sign}${}.{fraction:0<2}", nanos / 1_000_000_000)
    }
}

/// A count of tokens, as billed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tokens(pub u64);

/// A price: integer nano-dollars per million tokens.
///
/// A price is not a cost; [`UsdPerMillionTokens::cost`] is the only way across.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct UsdPerMillionTokens(i64);

impl UsdPerMillionTokens {
    /// The cost of `tokens` at this price, rounded half up to a nano-dollar.
    pub fn cost(self, tokens: Tokens) -> Usd {
        let nanos = (i128::from(self.0) * i128::from(tokens.0) + 500_000).div_euclid(1_000_000);
        Usd(i64::try_from(nanos).unwrap_or(i64::MAX))
    }

    /// Dollars per million tokens, for display.
    pub fn dollars(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl TryFrom<f64> for UsdPerMillionTokens {
    type Error = UnitError;

    fn try_from(dollars: f64) -> Result<Self, UnitError> {
        let bound = "at least 0 and at most 1e9 dollars per million tokens";
        Usd::from_dollars(dollars).map(|usd| Self(usd.nanos())).map_err(|error| UnitError {
            quantity: "price",
            bound,
            ..error
        })
    }
}

impl From<UsdPerMillionTokens> for f64 {
    fn from(price: UsdPerMillionTokens) -> Self {
        price.dollars()
    }
}

/// How good an answer is, in `[0, 1]`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Quality(f64);

impl Quality {
    /// The number in `[0, 1]`.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Quality {
    type Error = UnitError;

    fn try_from(value: f64) -> Result<Self, UnitError> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(UnitError { quantity: "quality", bound: "in [0, 1]", value })
        }
    }
}

impl From<Quality> for f64 {
    fn from(quality: Quality) -> Self {
        quality.0
    }
}

/// The probability with which the logging policy chose the arm it chose, in `(0, 1]`.
///
/// Zero is not representable: an arm that was chosen had some chance of being chosen, and
/// an importance weight can therefore be formed without a check.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Propensity(f64);

impl Propensity {
    /// The number in `(0, 1]`.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Propensity {
    type Error = UnitError;

    fn try_from(value: f64) -> Result<Self, UnitError> {
        if value > 0.0 && value <= 1.0 {
            Ok(Self(value))
        } else {
            Err(UnitError { quantity: "propensity", bound: "in (0, 1]", value })
        }
    }
}

impl From<Propensity> for f64 {
    fn from(propensity: Propensity) -> Self {
        propensity.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn price(dollars: f64) -> UsdPerMillionTokens {
        UsdPerMillionTokens::try_from(dollars).unwrap()
    }

    #[test]
    fn the_worked_openai_example_costs_3500_microdollars() {
        // spec: 200 plain at 2.50, 800 cached at 1.25, 200 output at 10 dollars per million.
        let cost = price(2.5).cost(Tokens(200))
            + price(1.25).cost(Tokens(800))
            + price(10.0).cost(Tokens(200));
        assert_eq!(cost, Usd::from_nanos(3_500_000));
        assert_eq!(cost.to_string(), "$0.0035");
    }

    #[test]
    fn a_cost_is_rounded_half_up_once() {
        // 0.0005 dollars per million is half a nano-dollar per token.
        assert_eq!(price(0.0005).cost(Tokens(1)), Usd::from_nanos(1));
        assert_eq!(price(0.0005).cost(Tokens(2)), Usd::from_nanos(1));
        assert_eq!(price(0.0005).cost(Tokens(3)), Usd::from_nanos(2));
    }

    #[test]
    fn a_value_out_of_range_is_named_with_its_bound() {
        let quality = Quality::try_from(1.2).unwrap_err().to_string();
        assert_eq!(quality, "quality must be in [0, 1], got 1.2");
        let propensity = Propensity::try_from(0.0).unwrap_err().to_string();
        assert_eq!(propensity, "propensity must be in (0, 1], got 0");
        assert!(Usd::from_dollars(-0.1).is_err());
        assert!(Usd::from_dollars(f64::NAN).is_err());
        assert!(Quality::try_from(f64::NAN).is_err());
    }

    proptest! {
        #[test]
        fn dollars_round_trip_to_the_nano(nanos in 0i64..1_000_000_000_000) {
            let usd = Usd::from_nanos(nanos);
            prop_assert_eq!(Usd::from_dollars(usd.dollars()).unwrap(), usd);
        }
    }
}
