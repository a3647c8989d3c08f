//! Figures of a router in which one model's scores were replaced.

use router_core::Prediction;
use trainer::operating::sweep;

use crate::World;

/// Scores and costs of all models for every judged request.
pub(crate) struct Expected {
    score: Vec<Vec<f64>>,
    cost: Vec<Vec<f64>>,
}

/// Judges predictions of one model among all.
pub(crate) struct Judge<'a> {
    pub(crate) world: &'a World,
    pub(crate) model: usize,
    pub(crate) reference: usize,
}

impl Judge<'_> {
    /// With scores of the model's own.
    pub(crate) fn enlarged(&self, expected: &[Prediction], own: &[f64], own_cost: f64) -> Expected {
        let insert = |values: &[f64], own: f64| {
            let mut all = values.to_vec();
            all.insert(self.model, own);
            all
        };
        let rows = || self.world.judged.iter().zip(own);
        let costs = |row: usize| costs(&expected[row]);
        Expected {
            score: rows().map(|(row, own)| insert(&expected[*row].score, *own)).collect(),
            cost: rows().map(|(row, _)| insert(&costs(*row), own_cost)).collect(),
        }
    }

    /// Those of a router that knows all models.
    pub(crate) fn refitted(&self, expected: &[Prediction]) -> Expected {
        let judged = &self.world.judged;
        Expected {
            score: judged.iter().map(|row| expected[*row].score.clone()).collect(),
            cost: judged.iter().map(|row| costs(&expected[*row])).collect(),
        }
    }

    /// See `FIGURES`.
    pub(crate) fn figures(&self, expected: &Expected) -> Vec<f64> {
        let world = self.world;
        let n = world.judged.len() as f64;
        let of = |i: usize| expected.score[i][self.model].clamp(0.0, 1.0);
        let rows = || world.judged.iter().enumerate();
        let brier = rows().map(|(i, row)| (of(i) - world.quality(*row, self.model)).powi(2));
        let uplift = |i: usize, row: usize| {
            let predicted = expected.score[i][self.model] - expected.score[i][self.reference];
            let real = world.quality(row, self.model) - world.quality(row, self.reference);
            (predicted, real)
        };
        let pairs: Vec<(f64, f64)> = rows().map(|(i, row)| uplift(i, *row)).collect();
        let mut points = Vec::new();
        for lambda in sweep() {
            points.push(self.point(expected, lambda));
        }
        let quality = points[0].1;
        vec![brier.sum::<f64>() / n, correlation(&pairs), self.aiq(points), quality]
    }

    /// Mean cost and quality of the choices at λ.
    fn point(&self, expected: &Expected, lambda: f64) -> (f64, f64) {
        let world = self.world;
        let reference = |i: usize| expected.cost[i][self.reference];
        let n = world.judged.len() as f64;
        let scale = (0..world.judged.len()).map(reference).sum::<f64>() / n;
        let mut sum = (0.0, 0.0);
        for (i, row) in world.judged.iter().enumerate() {
            let (score, cost) = (&expected.score[i], &expected.cost[i]);
            let utility = |j: usize| score[j] - lambda * cost[j] / scale;
            let best = (0..score.len()).fold(0, |b, j| if utility(j) > utility(b) { j } else { b });
            sum = (sum.0 + world.cost(*row, best), sum.1 + world.quality(*row, best));
        }
        (sum.0 / n, sum.1 / n)
    }

    /// Mean height of the hull between the cost of the cheapest and of the best single model.
    fn aiq(&self, mut points: Vec<(f64, f64)>) -> f64 {
        let world = self.world;
        let n = world.judged.len() as f64;
        let single = |j: usize| {
            let of = |value: &dyn Fn(usize) -> f64| {
                world.judged.iter().map(|row| value(*row)).sum::<f64>() / n
            };
            (of(&|row| world.cost(row, j)), of(&|row| world.quality(row, j)))
        };
        let singles: Vec<(f64, f64)> = (0..world.table.models.len()).map(single).collect();
        let by_cost = |a: &&(f64, f64), b: &&(f64, f64)| a.0.total_cmp(&b.0);
        let by_quality = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let (Some(low), Some(high)) =
            (singles.iter().min_by(by_cost), singles.iter().max_by(by_quality))
        else {
            return f64::NAN;
        };
        points.push(*low);
        points.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
        let mut hull: Vec<(f64, f64)> = Vec::new();
        for (x, y) in points {
            if hull.last().is_some_and(|(_, last)| y <= *last) {
                continue;
            }
            while let [.., (x0, y0), (x1, y1)] = hull[..] {
                if (y1 - y0) * (x - x0) > (y - y0) * (x1 - x0) {
                    break;
                }
                hull.pop();
            }
            hull.push((x, y));
        }
        let last = hull.last().copied().unwrap_or_default();
        hull.push((f64::max(high.0, last.0), last.1));
        let area: f64 = hull
            .windows(2)
            .map(|w| {
                let ((x0, y0), (x1, y1)) = (w[0], w[1]);
                let at = |x: f64| if x1 > x0 { y0 + (y1 - y0) * (x - x0) / (x1 - x0) } else { y0 };
                let (a, b) = (x0.clamp(low.0, high.0), x1.clamp(low.0, high.0));
                (b - a) * (at(a) + at(b)) / 2.0
            })
            .sum();
        if high.0 > low.0 { area / (high.0 - low.0) } else { f64::NAN }
    }
}

fn costs(expected: &Prediction) -> Vec<f64> {
    expected.cost.iter().map(|cost| cost.unwrap_or(1.0)).collect()
}

fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len() as f64;
    let (mx, my) =
        (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
    let sum =
        |f: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|(x, y)| f(x - mx, y - my)).sum::<f64>();
    sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
}
