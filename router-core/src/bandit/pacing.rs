//! Keeping to a spend per request: a price for money that rises while more is spent than meant.

/// How the price moves.
///
/// | Field | Default | Meaning | Range |
/// | --- | --- | --- | --- |
/// | `rate` | `0.05` | step of the price | `(0, 1]` |
/// | `smoothing` | `0.05` | weight of the newest cost in the average | `(0, 1]` |
/// | `max_price` | `5` | the price never exceeds it | `(0, ∞)` |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PacerParams {
    /// Step of the price, η.
    pub rate: f64,
    /// Weight of the newest cost in the average, κ.
    pub smoothing: f64,
    /// Largest price.
    pub max_price: f64,
}

impl Default for PacerParams {
    fn default() -> Self {
        Self { rate: 0.05, smoothing: 0.05, max_price: 5.0 }
    }
}

/// A number out of its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{what} must be {bound}, got {value}")]
pub struct PacerError {
    /// Which.
    pub what: &'static str,
    /// Its range.
    pub bound: &'static str,
    /// What it is.
    pub value: f64,
}

/// The dual variable λ of a budget of `B` dollars per request.
///
/// `c̄ ← (1 − κ)·c̄ + κ·c` and `λ ← clip(λ + η·(c̄/B − 1), 0, λ_max)` after each cost `c` that
/// becomes known, in the order of arrival.
///
/// # References
///
/// Agrawal and Devanur (2014), *Bandits with concave rewards and convex knapsacks*;
/// `spec/statistics.md`, section 10.
#[derive(Clone, Debug, PartialEq)]
pub struct Pacer {
    params: PacerParams,
    budget: f64,
    lambda: f64,
    average: f64,
}

impl Pacer {
    /// A budget of dollars per request, above 0.
    ///
    /// # Errors
    ///
    /// If a number is out of range.
    pub fn new(budget: f64, params: PacerParams) -> Result<Self, PacerError> {
        let check = |what, bound, value: f64, is_good: bool| {
            if is_good { Ok(()) } else { Err(PacerError { what, bound, value }) }
        };
        let PacerParams { rate, smoothing, max_price } = params;
        check("budget per request", "above 0", budget, budget > 0.0 && budget.is_finite())?;
        check("rate", "in (0, 1]", rate, rate > 0.0 && rate <= 1.0)?;
        check("smoothing", "in (0, 1]", smoothing, smoothing > 0.0 && smoothing <= 1.0)?;
        check("max_price", "above 0", max_price, max_price > 0.0 && max_price.is_finite())?;
        Ok(Self { params, budget, lambda: 0.0, average: budget })
    }

    /// The same budget with a price that earlier requests taught, cut to `[0, max_price]`.
    #[must_use]
    pub fn starting_at(self, lambda: f64) -> Self {
        Self { lambda: lambda.clamp(0.0, self.params.max_price), ..self }
    }

    /// The price λ of a unit of normalized cost.
    pub fn lambda(&self) -> f64 {
        self.lambda
    }

    /// The smoothed cost, dollars per request.
    pub fn average(&self) -> f64 {
        self.average
    }

    /// Takes a cost in dollars; one that is negative or not finite is refused and changes nothing.
    ///
    /// # Errors
    ///
    /// If the cost is out of range.
    pub fn spend(&mut self, cost: f64) -> Result<(), PacerError> {
        if !(cost >= 0.0 && cost.is_finite()) {
            return Err(PacerError { what: "cost", bound: "at least 0", value: cost });
        }
        let PacerParams { rate, smoothing, max_price } = self.params;
        self.average = (1.0 - smoothing) * self.average + smoothing * cost;
        let step = rate * (self.average / self.budget - 1.0);
        self.lambda = (self.lambda + step).clamp(0.0, max_price);
        Ok(())
    }

    /// Which arms the ceiling leaves, by their prices: while λ > 0, those that cost at most the
    /// dearest eligible price over `1 + λ`; the cheapest if that leaves none.
    ///
    /// # Shapes
    ///
    /// Both `[n_arms]`; arms that are not eligible stay so.
    pub fn ceiling(&self, prices: &[f64], eligible: &[bool]) -> Vec<bool> {
        let candidates = || prices.iter().zip(eligible).filter(|(_, is)| **is).map(|(p, _)| *p);
        if self.lambda <= 0.0 {
            return eligible.to_vec();
        }
        let dearest = candidates().fold(0.0, f64::max);
        let cheapest = candidates().fold(f64::INFINITY, f64::min);
        let bound = (dearest / (1.0 + self.lambda)).max(cheapest);
        prices.iter().zip(eligible).map(|(price, is)| *is && *price <= bound).collect()
    }
}

/// Prices on a scale from 0 (`low`) to 1 (`high`), by their logarithms; what lies outside is cut.
pub fn log_normalized(price: f64, low: f64, high: f64) -> f64 {
    let spread = (high / low).ln();
    if spread > 0.0 { ((price.max(low) / low).ln() / spread).min(1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overspending_raises_the_price_and_thrift_lowers_it() {
        let mut pacer = Pacer::new(1.0, PacerParams::default()).unwrap();
        pacer.spend(3.0).unwrap();
        // c̄ = 0.95 + 0.15, λ = 0.05 · 0.1.
        assert!((pacer.average() - 1.1).abs() < 1e-12 && (pacer.lambda() - 0.005).abs() < 1e-12);
        for _ in 0..100 {
            pacer.spend(0.0).unwrap();
        }
        assert!(pacer.lambda().abs() < 1e-12);
        for _ in 0..10_000 {
            pacer.spend(9.0).unwrap();
        }
        assert!((pacer.lambda() - 5.0).abs() < 1e-12);
    }

    #[test]
    fn the_ceiling_leaves_the_cheap_arms_and_always_one() {
        let mut pacer = Pacer::new(1.0, PacerParams::default()).unwrap();
        let all = [true; 3];
        assert_eq!(pacer.ceiling(&[1.0, 5.0, 10.0], &all), all);
        while pacer.lambda() < 1.0 {
            pacer.spend(9.0).unwrap();
        }
        assert_eq!(pacer.ceiling(&[1.0, 4.0, 10.0], &all), [true, true, false]);
        assert_eq!(pacer.ceiling(&[9.0, 9.5, 10.0], &all), [true, false, false]);
        assert_eq!(pacer.ceiling(&[1.0, 9.5, 10.0], &[false, true, true]), [false, true, false]);
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let error = Pacer::new(0.0, PacerParams::default()).unwrap_err();
        assert_eq!(error.to_string(), "budget per request must be above 0, got 0");
        let mut pacer = Pacer::new(1.0, PacerParams::default()).unwrap();
        assert_eq!(pacer.spend(-1.0).unwrap_err().to_string(), "cost must be at least 0, got -1");
    }

    #[test]
    fn prices_are_compared_by_their_logarithm() {
        assert!((log_normalized(0.01, 0.001, 0.1) - 0.5).abs() < 1e-12);
        assert!(log_normalized(0.0, 0.001, 0.1).abs() < 1e-12);
        assert!((log_normalized(7.0, 0.001, 0.1) - 1.0).abs() < 1e-12);
        assert!(log_normalized(2.0, 2.0, 2.0).abs() < 1e-12);
    }
}
