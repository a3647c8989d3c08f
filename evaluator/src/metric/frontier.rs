//! What a set of cost–quality points is worth between the cheapest and the best single model.
//!
//! Formulas: `spec/routing.md`, section 3.

use super::hull::{Hull, Point};

/// The range of costs that single models span on the same requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// The cheapest single model: `c_lo`, `q_lo`.
    pub cheapest: Point,
    /// The single model of highest quality, ties to the lower cost: `c_hi`, `Q_ref`.
    pub best: Point,
}

impl Span {
    /// Of single-model points; `None` if there is none.
    pub fn new(singles: &[Point]) -> Option<Self> {
        let cheapest = singles
            .iter()
            .min_by(|a, b| a.cost.total_cmp(&b.cost).then(b.quality.total_cmp(&a.quality)))?;
        let best = singles
            .iter()
            .min_by(|a, b| b.quality.total_cmp(&a.quality).then(a.cost.total_cmp(&b.cost)))?;
        Some(Self { cheapest: *cheapest, best: *best })
    }

    /// Whether the best model is also the cheapest: then nothing can be traded.
    fn is_point(&self) -> bool {
        self.best.cost <= self.cheapest.cost
    }
}

/// The points of one policy within a span, and their hull.
#[derive(Clone, Debug)]
pub struct Frontier {
    points: Vec<Point>,
    hull: Hull,
    span: Span,
}

impl Frontier {
    /// Puts the cheapest single model in front if every point is dearer.
    pub fn new(points: &[Point], span: Span) -> Self {
        let mut points = points.to_vec();
        if points.iter().all(|point| point.cost > span.cheapest.cost) {
            points.insert(0, span.cheapest);
        }
        let hull = Hull::new(&points);
        Self { points, hull, span }
    }

    /// The hull.
    pub fn hull(&self) -> &Hull {
        &self.hull
    }

    /// `1/(c_hi − c_lo) · ∫ H(c) dc`; `None` without a trade-off.
    pub fn aiq(&self) -> Option<f64> {
        if self.span.is_point() {
            return None;
        }
        let (low, high) = (self.span.cheapest.cost, self.span.best.cost);
        Some(self.hull.integral(low, high)? / (high - low))
    }

    /// The AIQ of the RouterBench code, for parity only: the area from the policy's own smallest
    /// cost to the largest cost of any compared policy, divided by that cost.
    ///
    /// `None` for fewer than three points, on which the original fails.
    pub fn aiq_reference(&self, largest_cost: f64) -> Option<f64> {
        if self.points.len() < 3 || largest_cost <= 0.0 {
            return None;
        }
        let first = self.hull.points().first()?.cost;
        Some(self.hull.integral(first, largest_cost)? / largest_cost)
    }

    /// The smallest cost at which the hull keeps `retention` of the best single quality, over
    /// `c_hi`; `None` if it is not reached.
    pub fn cost_at_retention(&self, retention: f64) -> Option<f64> {
        let cost = self.hull.cost_of(retention * self.span.best.quality)?;
        (self.span.best.cost > 0.0).then(|| cost / self.span.best.cost)
    }

    /// `1/ln(c_hi/c_lo) · ∫ S(c) d ln c` of the staircase `S`, without mixing.
    pub fn hypervolume(&self) -> Option<f64> {
        let (low, high) = (self.span.cheapest.cost, self.span.best.cost);
        if self.span.is_point() || low <= 0.0 {
            return None;
        }
        let moved = |point: &Point| Point { cost: point.cost.max(low), ..*point };
        let mut steps: Vec<Point> =
            self.points.iter().filter(|point| point.cost <= high).map(moved).collect();
        steps.sort_by(|a, b| a.cost.total_cmp(&b.cost));
        let (mut area, mut best, mut at) = (0.0, 0.0f64, low);
        for step in steps {
            area += best * (step.cost / at).ln();
            at = step.cost;
            best = best.max(step.quality);
        }
        Some((area + best * (high / at).ln()) / (high / low).ln())
    }

    /// The highest quality of a point of the policy itself.
    pub fn peak(&self) -> f64 {
        self.points.iter().map(|point| point.quality).fold(0.0, f64::max)
    }

    /// `1 − min{C : Q ≥ Q_ref}/c_hi` over points without mixing; `None` if none is as good.
    pub fn cost_save(&self) -> Option<f64> {
        let good = self.points.iter().filter(|point| point.quality >= self.span.best.quality);
        let cost = good.map(|point| point.cost).min_by(f64::total_cmp)?;
        (self.span.best.cost > 0.0).then(|| 1.0 - cost / self.span.best.cost)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points(pairs: &[(f64, f64)]) -> Vec<Point> {
        pairs.iter().map(|&(cost, quality)| Point { cost, quality }).collect()
    }

    fn close(a: Option<f64>, b: f64) {
        assert!((a.unwrap() - b).abs() < 1e-12, "{a:?} {b}");
    }

    #[test]
    fn the_worked_example_of_many_models() {
        let singles = points(&[(1., 0.25), (2., 0.5), (4., 0.75)]);
        let span = Span::new(&singles).unwrap();
        let zero = Frontier::new(&singles, span);
        close(zero.aiq(), (0.375 + 1.25) / 3.0);
        close(zero.aiq_reference(4.0), 0.40625);
        close(zero.cost_at_retention(0.95), 0.925);
        close(zero.cost_at_retention(0.99), 0.985);
        close(zero.cost_at_retention(1.0), 1.0);
        close(zero.hypervolume(), 0.375);
        let router = Frontier::new(&points(&[(2., 0.75)]), span);
        close(router.aiq(), 2.0 / 3.0);
        assert_eq!(router.aiq_reference(4.0), None);
        close(router.cost_at_retention(0.95), 0.48125);
        close(router.cost_at_retention(0.99), 0.49625);
        close(router.cost_at_retention(1.0), 0.5);
        close(router.hypervolume(), 0.5);
        close(router.cost_save(), 0.5);
        assert_eq!(router.cost_at_retention(1.01), None);
    }

    #[test]
    fn without_a_trade_off_there_is_no_area() {
        let singles = points(&[(1., 0.9), (2., 0.5)]);
        let frontier = Frontier::new(&singles, Span::new(&singles).unwrap());
        assert_eq!((frontier.aiq(), frontier.hypervolume()), (None, None));
    }

    fn singles() -> impl Strategy<Value = Vec<(f64, f64)>> {
        prop::collection::vec((0.01..10.0f64, 0.01..1.0f64), 2..12)
    }

    proptest! {
        #[test]
        fn a_dominated_point_changes_nothing(raw in singles(), more in 0.0..1.0f64) {
            let singles = points(&raw);
            let span = Span::new(&singles).unwrap();
            let before = Frontier::new(&singles, span);
            let mut with = singles.clone();
            let dominating = singles[0];
            with.push(Point {
                cost: dominating.cost * (1.0 + more),
                quality: dominating.quality * (1.0 - more),
            });
            let after = Frontier::new(&with, span);
            prop_assert_eq!(before.aiq(), after.aiq());
            for retention in [0.9, 0.95, 0.99, 1.0] {
                let at = |frontier: &Frontier| frontier.cost_at_retention(retention);
                prop_assert_eq!(at(&before), at(&after));
            }
        }

        #[test]
        fn the_currency_does_not_matter(raw in singles(), factor in 0.001..1000.0f64) {
            let priced = |factor: f64| {
                let scaled: Vec<_> = raw.iter().map(|(c, q)| (c * factor, *q)).collect();
                let singles = points(&scaled);
                Frontier::new(&singles, Span::new(&singles).unwrap()).aiq()
            };
            match (priced(1.0), priced(factor)) {
                (Some(a), Some(b)) => prop_assert!((a - b).abs() < 1e-9),
                (a, b) => prop_assert_eq!(a.is_some(), b.is_some()),
            }
        }

        #[test]
        fn more_retention_never_costs_less_and_the_zero_router_beats_the_mix(raw in singles()) {
            let singles = points(&raw);
            let span = Span::new(&singles).unwrap();
            let zero = Frontier::new(&singles, span);
            let costs: Vec<f64> = (50..=100)
                .map(|percent| zero.cost_at_retention(f64::from(percent) / 100.0).unwrap())
                .collect();
            prop_assert!(costs.windows(2).all(|w| w[0] <= w[1] + 1e-12));
            let mix = Frontier::new(&[span.cheapest, span.best], span);
            if let (Some(zero), Some(mix)) = (zero.aiq(), mix.aiq()) {
                prop_assert!(zero >= mix - 1e-12);
            }
        }
    }
}
