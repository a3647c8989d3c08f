//! The non-decreasing concave envelope of cost–quality points.

/// What a policy costs per request, in dollars, and its mean quality.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Mean dollars per request.
    pub cost: f64,
    /// Mean quality.
    pub quality: f64,
}

/// `H(c)`: the best quality that mixing the points reaches at mean cost `c`.
///
/// Every point of it can be deployed as a random mix of two policies. It is flat right of its last
/// point and undefined left of its first.
#[derive(Clone, Debug, PartialEq)]
pub struct Hull(Vec<Point>);

impl Hull {
    /// The upper concave envelope, cut right of the first maximum of quality.
    pub fn new(points: &[Point]) -> Self {
        let mut sorted = points.to_vec();
        sorted.sort_by(|a, b| {
            a.cost.total_cmp(&b.cost).then_with(|| b.quality.total_cmp(&a.quality))
        });
        sorted.dedup_by(|later, kept| later.cost.total_cmp(&kept.cost).is_eq());
        let mut hull: Vec<Point> = Vec::with_capacity(sorted.len());
        for point in sorted {
            while let [.., a, b] = hull[..] {
                if turn(a, b, point) < 0.0 {
                    break;
                }
                hull.pop();
            }
            hull.push(point);
        }
        let mut end = 0;
        for (i, point) in hull.iter().enumerate() {
            if point.quality > hull[end].quality {
                end = i;
            }
        }
        hull.truncate(end + 1);
        Self(hull)
    }

    /// Its corners, by rising cost.
    pub fn points(&self) -> &[Point] {
        &self.0
    }

    /// `H(c)`; `None` left of the first point.
    pub fn quality_at(&self, cost: f64) -> Option<f64> {
        let after = self.0.partition_point(|point| point.cost <= cost);
        let before = self.0[..after].last()?;
        Some(match self.0.get(after) {
            None => before.quality,
            Some(next) => {
                let share = (cost - before.cost) / (next.cost - before.cost);
                before.quality + share * (next.quality - before.quality)
            }
        })
    }

    /// The smallest `c` with `H(c) ≥ quality`; `None` if it is not reached.
    pub fn cost_of(&self, quality: f64) -> Option<f64> {
        let at = self.0.iter().position(|point| point.quality >= quality)?;
        let point = self.0[at];
        let Some(before) = at.checked_sub(1).map(|i| self.0[i]) else { return Some(point.cost) };
        let share = (quality - before.quality) / (point.quality - before.quality);
        Some(before.cost + share * (point.cost - before.cost))
    }

    /// `∫ H(c) dc` over `[low, high]`, exact; `None` if the range begins left of the first point.
    pub fn integral(&self, low: f64, high: f64) -> Option<f64> {
        let mut left = Point { cost: low, quality: self.quality_at(low)? };
        let mut area = 0.0;
        for point in self.0.iter().filter(|point| point.cost > low && point.cost < high) {
            area += (point.cost - left.cost) * (point.quality + left.quality) / 2.0;
            left = *point;
        }
        Some(area + (high - left.cost) * (self.quality_at(high)? + left.quality) / 2.0)
    }
}

/// Negative where the path a → b → c turns right, zero where it is straight.
fn turn(a: Point, b: Point, c: Point) -> f64 {
    (b.cost - a.cost) * (c.quality - a.quality) - (b.quality - a.quality) * (c.cost - a.cost)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points(pairs: &[(f64, f64)]) -> Vec<Point> {
        pairs.iter().map(|&(cost, quality)| Point { cost, quality }).collect()
    }

    #[test]
    fn the_published_hull_example() {
        let hull =
            Hull::new(&points(&[(1., 0.2), (2., 0.5), (2., 0.4), (3., 0.5), (4., 0.8), (5., 0.7)]));
        assert_eq!(hull.points(), points(&[(1., 0.2), (2., 0.5), (4., 0.8)]));
    }

    #[test]
    fn points_on_a_line_keep_only_the_ends() {
        let hull = Hull::new(&points(&[(1., 0.25), (2., 0.5), (4., 1.0)]));
        assert_eq!(hull.points(), points(&[(1., 0.25), (4., 1.0)]));
        assert_eq!(hull.cost_of(1.1), None);
        assert_eq!(hull.quality_at(0.5), None);
    }

    proptest! {
        #[test]
        fn it_is_concave_and_never_falls(
            raw in prop::collection::vec((0.01..10.0f64, 0.0..1.0f64), 1..30)
        ) {
            let hull = Hull::new(&points(&raw));
            let corners = hull.points();
            prop_assert!(corners.windows(2).all(|w| w[0].quality < w[1].quality));
            let slope =
                |w: &[Point]| (w[1].quality - w[0].quality) / (w[1].cost - w[0].cost);
            let slopes: Vec<f64> = corners.windows(2).map(slope).collect();
            prop_assert!(slopes.windows(2).all(|s| s[0] >= s[1] - 1e-9));
            for point in points(&raw) {
                prop_assert!(hull.quality_at(point.cost).unwrap() >= point.quality - 1e-9);
            }
        }
    }
}
