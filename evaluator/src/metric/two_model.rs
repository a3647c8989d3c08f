//! Weak or strong: how much of the quality gap a score recovers with how many strong calls.
//!
//! Formulas: `spec/routing.md`, section 2. A score is higher where the request should go to the
//! strong model. Every function takes the multiplicity of each request, 1 outside a bootstrap.

/// What the two models did.
///
/// # Shapes
///
/// All `[n_requests]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pair {
    /// Quality of the weak model.
    pub weak: Vec<f64>,
    /// Quality of the strong model.
    pub strong: Vec<f64>,
    /// Dollars of both, `(weak, strong)`; empty if unknown.
    pub costs: Vec<(f64, f64)>,
}

/// Requests ordered by score, highest first, with their ties.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    order: Vec<usize>,
    /// `[n_ties]`: where each run of equal scores ends in `order`.
    ends: Vec<usize>,
    scores: Vec<f64>,
}

impl Ranking {
    /// Orders requests by score.
    pub fn new(scores: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
        let ends = (1..=order.len())
            .filter(|&end| end == order.len() || scores[order[end]] < scores[order[end - 1]])
            .collect();
        Self { order, ends, scores: scores.to_vec() }
    }

    /// `(score, request)` by rising score, for conventions with thresholds.
    pub(crate) fn rising(&self) -> impl Iterator<Item = (f64, usize)> + '_ {
        self.order.iter().rev().map(|request| (self.scores[*request], *request))
    }
}

/// The curve of recovered gap against the share of strong calls; ties are split at random.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Share of strong calls, from 0 to 1.
    pub share: Vec<f64>,
    /// Share of the quality gap recovered, from 0 to 1; may leave that range between.
    pub recovered: Vec<f64>,
    /// Mean dollars over those of always-strong; empty if unknown.
    pub cost_ratio: Vec<f64>,
    /// Mean quality of always-weak.
    pub weak: f64,
    /// Mean quality of always-strong.
    pub strong: f64,
}

impl Curve {
    /// The curve of a ranking; `None` if the strong model is not stronger.
    pub fn new(ranking: &Ranking, pair: &Pair, weight: impl Fn(usize) -> f64) -> Option<Self> {
        let has_costs = !pair.costs.is_empty();
        let (mut n, mut weak, mut strong, mut costs) = (0.0, 0.0, 0.0, (0.0, 0.0));
        for request in 0..pair.weak.len() {
            let w = weight(request);
            n += w;
            weak += w * pair.weak[request];
            strong += w * pair.strong[request];
            if has_costs {
                costs.0 += w * pair.costs[request].0;
                costs.1 += w * pair.costs[request].1;
            }
        }
        let gap = strong - weak;
        if n <= 0.0 || gap <= 0.0 {
            return None;
        }
        let mut curve = Self {
            share: vec![0.0],
            recovered: vec![0.0],
            cost_ratio: if has_costs { vec![costs.0 / costs.1] } else { Vec::new() },
            weak: weak / n,
            strong: strong / n,
        };
        let (mut sent, mut gained, mut paid, mut start) = (0.0, 0.0, costs.0, 0);
        for &end in &ranking.ends {
            for &request in &ranking.order[start..end] {
                let w = weight(request);
                sent += w;
                gained += w * (pair.strong[request] - pair.weak[request]);
                if has_costs {
                    paid += w * (pair.costs[request].1 - pair.costs[request].0);
                }
            }
            start = end;
            curve.share.push(sent / n);
            curve.recovered.push(gained / gap);
            if has_costs {
                curve.cost_ratio.push(paid / costs.1);
            }
        }
        Some(curve)
    }

    /// Area under the recovered gap: 0.5 for a random score; an oracle can exceed 1.
    pub fn apgr(&self) -> f64 {
        let area = |i: usize| {
            (self.share[i] - self.share[i - 1]) * (self.recovered[i] + self.recovered[i - 1]) / 2.0
        };
        (1..self.share.len()).map(area).sum()
    }

    /// CPT(t): the smallest share of strong calls that recovers `target` of the gap.
    pub fn call_share(&self, target: f64) -> Option<f64> {
        self.crossing(target, &self.share)
    }

    /// Mean cost at CPT(t) over that of always-strong.
    pub fn cost_at(&self, target: f64) -> Option<f64> {
        self.crossing(target, &self.cost_ratio)
    }

    /// The smallest share of strong calls that keeps `retention` of the strong model's quality.
    pub fn share_at_retention(&self, retention: f64) -> Option<f64> {
        self.call_share((retention * self.strong - self.weak) / (self.strong - self.weak))
    }

    /// The value of `along` where the recovered gap first reaches `target`.
    fn crossing(&self, target: f64, along: &[f64]) -> Option<f64> {
        if target <= 0.0 {
            return along.first().copied();
        }
        let at = self.recovered.iter().position(|recovered| *recovered >= target)?;
        let (before, after) = (self.recovered[at - 1], self.recovered[at]);
        let share = (target - before) / (after - before);
        Some(along.get(at - 1)? + share * (along.get(at)? - along.get(at - 1)?))
    }
}

/// How often both, one, or none of the models is right. Binary quality only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Both.
    pub both: usize,
    /// The strong model alone.
    pub strong_only: usize,
    /// The weak model alone.
    pub weak_only: usize,
    /// None.
    pub neither: usize,
}

impl Endpoints {
    /// Counts; `None` if a quality is neither 0 nor 1.
    pub fn new(pair: &Pair) -> Option<Self> {
        let mut cells = Self::default();
        for (weak, strong) in pair.weak.iter().zip(&pair.strong) {
            match (right(*weak)?, right(*strong)?) {
                (true, true) => cells.both += 1,
                (false, true) => cells.strong_only += 1,
                (true, false) => cells.weak_only += 1,
                (false, false) => cells.neither += 1,
            }
        }
        Some(cells)
    }
}

fn right(quality: f64) -> Option<bool> {
    match quality {
        0.0 => Some(false),
        1.0 => Some(true),
        _ => None,
    }
}

/// Whether the gap is at least two standard errors of the paired difference.
pub fn is_gap_significant(pair: &Pair) -> bool {
    let n = pair.weak.len() as f64;
    let gap = |i: usize| pair.strong[i] - pair.weak[i];
    let mean = (0..pair.weak.len()).map(gap).sum::<f64>() / n;
    let squares = (0..pair.weak.len()).map(|i| (gap(i) - mean).powi(2)).sum::<f64>();
    n > 1.0 && mean.abs() >= 2.0 * (squares / (n - 1.0) / n).sqrt()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn curve(scores: &[f64], pair: &Pair) -> Curve {
        Curve::new(&Ranking::new(scores), pair, |_| 1.0).unwrap()
    }

    fn worked() -> Pair {
        Pair {
            weak: vec![0., 1., 0., 1., 0.],
            strong: vec![1., 1., 1., 0., 0.],
            costs: vec![(1.0, 10.0); 5],
        }
    }

    #[test]
    fn the_worked_example_of_two_models() {
        let curve = curve(&[0.9, 0.8, 0.8, 0.4, 0.1], &worked());
        let expected = [(0.0, 0.0), (0.2, 1.0), (0.6, 2.0), (0.8, 1.0), (1.0, 1.0)];
        for (i, (x, p)) in expected.into_iter().enumerate() {
            assert!((curve.share[i] - x).abs() < 1e-12 && (curve.recovered[i] - p).abs() < 1e-12);
        }
        assert!((curve.apgr() - 1.2).abs() < 1e-12);
        assert!((curve.call_share(0.5).unwrap() - 0.10).abs() < 1e-12);
        assert!((curve.call_share(0.8).unwrap() - 0.16).abs() < 1e-12);
        // 0.1 of the calls cost 10, the others 1: 1.9 over 10.
        assert!((curve.cost_at(0.5).unwrap() - 0.19).abs() < 1e-12);
        // 0.95 · 0.6 − 0.4 = 0.17 of a gap of 0.2: 0.85 of the first segment.
        assert!((curve.share_at_retention(0.95).unwrap() - 0.17).abs() < 1e-12);
        assert_eq!(curve.share_at_retention(0.5), Some(0.0));
    }

    #[test]
    fn a_strong_model_that_is_not_stronger_has_no_curve() {
        let pair = Pair { weak: vec![1.0, 0.0], strong: vec![0.0, 1.0], costs: Vec::new() };
        assert_eq!(Curve::new(&Ranking::new(&[0.0, 1.0]), &pair, |_| 1.0), None);
    }

    #[test]
    fn endpoints_are_counted_and_refuse_soft_quality() {
        let cells = Endpoints::new(&worked()).unwrap();
        assert_eq!(cells, Endpoints { both: 1, strong_only: 2, weak_only: 1, neither: 1 });
        let soft = Pair { weak: vec![0.5], strong: vec![1.0], costs: Vec::new() };
        assert_eq!(Endpoints::new(&soft), None);
    }

    fn rows() -> impl Strategy<Value = Vec<(u8, bool, bool)>> {
        prop::collection::vec((0u8..6, any::<bool>(), any::<bool>()), 1..40)
    }

    fn unpack(rows: &[(u8, bool, bool)]) -> (Vec<f64>, Pair) {
        let bit = |b: bool| f64::from(u8::from(b));
        let mut pair = Pair {
            weak: rows.iter().map(|row| bit(row.1)).collect(),
            strong: rows.iter().map(|row| bit(row.2)).collect(),
            costs: Vec::new(),
        };
        let mut scores: Vec<f64> = rows.iter().map(|row| f64::from(row.0)).collect();
        // Enough strong-only rows of middling score that the strong model is stronger.
        for _ in 0..=rows.len() {
            pair.weak.push(0.0);
            pair.strong.push(1.0);
            scores.push(2.0);
        }
        (scores, pair)
    }

    proptest! {
        #[test]
        fn a_constant_score_is_random(rows in rows()) {
            let (scores, pair) = unpack(&rows);
            prop_assert!((curve(&vec![0.3; scores.len()], &pair).apgr() - 0.5).abs() < 1e-12);
        }

        #[test]
        fn a_score_and_its_opposite_share_one(rows in rows()) {
            let (scores, pair) = unpack(&rows);
            let opposite: Vec<f64> = scores.iter().map(|score| -score).collect();
            let both = curve(&scores, &pair).apgr() + curve(&opposite, &pair).apgr();
            prop_assert!((both - 1.0).abs() < 1e-9, "{}", both);
        }

        #[test]
        fn the_order_of_requests_does_not_matter(rows in rows()) {
            let (mut scores, mut pair) = unpack(&rows);
            let before = curve(&scores, &pair).apgr();
            let last = scores.len() - 1;
            scores.swap(0, last);
            pair.weak.swap(0, last);
            pair.strong.swap(0, last);
            prop_assert!((curve(&scores, &pair).apgr() - before).abs() < 1e-12);
        }
    }
}
