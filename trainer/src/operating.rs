//! Operating points: λ for a target, chosen on held-out predictions only.

use router_core::OperatingPoint;
use serde::Serialize;

use crate::heads::mean;
use crate::problem::Problem;

/// What is asked of an operating point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The cheapest point that keeps this share of the reference model's quality.
    Retention(f64),
    /// The best point that costs at most this share of the reference model's cost.
    CostRatio(f64),
    /// This λ.
    Lambda(f64),
}

/// A target that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "target must be retention=R with R in (0, 2], cost-ratio=C with C > 0 or lambda=L with L >= 0, got {0:?}"
)]
pub struct TargetError(pub String);

impl std::str::FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let error = || TargetError(text.to_owned());
        let (name, value) = text.split_once('=').ok_or_else(error)?;
        let value: f64 = value.parse().map_err(|_| error())?;
        match name {
            "retention" if value > 0.0 && value <= 2.0 => Ok(Self::Retention(value)),
            "cost-ratio" if value > 0.0 && value.is_finite() => Ok(Self::CostRatio(value)),
            "lambda" if (0.0..=MAX_LAMBDA).contains(&value) => Ok(Self::Lambda(value)),
            _ => Err(error()),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Retention(value) => write!(f, "retention={value:.2}"),
            Self::CostRatio(value) => write!(f, "cost-ratio={value}"),
            Self::Lambda(value) => write!(f, "lambda={value}"),
        }
    }
}

/// Stands for infinity: only cost counts.
const MAX_LAMBDA: f64 = 1e6;

/// The sweep of `spec/routing.md` 3.1: 0, 85 values from 1e-4 to 1e3 evenly in the logarithm, and
/// one at which only cost counts.
pub fn sweep() -> Vec<f64> {
    let between = (0..85).map(|i| 10f64.powf(-4.0 + 7.0 * f64::from(i) / 84.0));
    std::iter::once(0.0).chain(between).chain([MAX_LAMBDA]).collect()
}

/// A held-out row: what was predicted for each model, and which row it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// The row.
    pub row: usize,
    /// `[n_models]` predicted qualities.
    pub score: Vec<f64>,
    /// `[n_models]` predicted dollars; `None` where unknown.
    pub cost: Vec<Option<f64>>,
}

/// What held-out data say of one λ.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    lambda: f64,
    retention: f64,
    cost_ratio: Option<f64>,
}

/// The cost–quality curve on held-out rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    points: Vec<Point>,
}

/// The model that everything is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reference {
    /// The model.
    pub model: usize,
    /// Its mean dollars per request; 1 if unknown.
    pub cost: f64,
}

/// Margins that the guard may ask for.
const MARGINS: [f64; 10] = [0.0, 0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.2];

/// Differences in quality that no margin is worth.
const MARGIN_SLACK: f64 = 5e-4;

/// The guard: how much better than the reference model another one must look before it is
/// preferred on quality alone.
///
/// Among many models the best-looking one is often only lucky. The margin is the smallest one
/// whose quality on held-out rows, when cost does not count, is as good as that of any other.
pub fn guard(problem: &Problem, held: &[Held], reference: Reference) -> f64 {
    let quality = |margin: f64| {
        let arm = |held: &Held| {
            let mut guarded = held.clone();
            guarded.score[reference.model] += margin;
            choose(&guarded, 0.0, reference.cost)
        };
        value(problem, held, &arm).0
    };
    let qualities = MARGINS.map(quality);
    let best = qualities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let good_enough = qualities.iter().position(|quality| *quality >= best - MARGIN_SLACK);
    good_enough.map_or(0.0, |at| MARGINS[at])
}

/// Mean quality and cost of choosing `arm` on held-out rows.
fn value(problem: &Problem, held: &[Held], arm: &dyn Fn(&Held) -> usize) -> (f64, Option<f64>) {
    if problem.drawn.is_empty() {
        value_table(problem, held, arm)
    } else {
        value_log(problem, held, arm)
    }
}

impl Curve {
    /// Values every λ on held-out rows.
    ///
    /// On an outcome table the rows that every model answered are averaged. On a log each λ is
    /// valued by the doubly robust estimate with the held-out scores as its reward model.
    pub fn new(problem: &Problem, held: &[Held], reference: Reference) -> Self {
        let (best_quality, best_cost) = value(problem, held, &|_| reference.model);
        let points = sweep()
            .into_iter()
            .map(|lambda| {
                let (quality, cost) =
                    value(problem, held, &|held| choose(held, lambda, reference.cost));
                let ratio = cost.zip(best_cost).map(|(cost, best)| cost / best);
                Point {
                    lambda,
                    retention: quality / best_quality.max(f64::MIN_POSITIVE),
                    cost_ratio: ratio.filter(|ratio| ratio.is_finite()),
                }
            })
            .collect();
        Self { points }
    }

    /// The point for a target.
    pub fn point(&self, target: Target) -> OperatingPoint {
        let cost = |point: &&Point| point.cost_ratio.unwrap_or(0.0);
        let best = || {
            // The highest quality, then the lowest cost.
            self.points.iter().max_by(|a, b| {
                a.retention.total_cmp(&b.retention).then(cost(b).total_cmp(&cost(a)))
            })
        };
        let found = match target {
            Target::Retention(goal) => {
                let good = self.points.iter().filter(|point| point.retention >= goal);
                good.min_by(|a, b| {
                    cost(a).total_cmp(&cost(b)).then(b.retention.total_cmp(&a.retention))
                })
            }
            Target::CostRatio(goal) => {
                let cheap = self.points.iter().filter(|point| cost(point) <= goal);
                cheap.max_by(|a, b| a.retention.total_cmp(&b.retention))
            }
            Target::Lambda(goal) => {
                let gap = |point: &&Point| (point.lambda - goal).abs();
                self.points.iter().min_by(|a, b| gap(a).total_cmp(&gap(b)))
            }
        };
        let point = found.or_else(best);
        let reached = found.is_some();
        let lambda = match (target, point) {
            (Target::Lambda(lambda), _) => lambda,
            (_, Some(point)) => point.lambda,
            (_, None) => 0.0,
        };
        OperatingPoint {
            name: target.to_string(),
            lambda,
            retention: point.map_or(0.0, |point| point.retention),
            cost_ratio: point.and_then(|point| point.cost_ratio),
            reached,
        }
    }
}

/// `argmax score − λ · cost / c_ref`; ties to the lower cost, then to the first model.
fn choose(held: &Held, lambda: f64, reference_cost: f64) -> usize {
    let dearest = held.cost.iter().flatten().copied().fold(0.0, f64::max);
    let cost = |j: usize| held.cost[j].unwrap_or(dearest);
    let utility = |j: usize| {
        let paid = if lambda > 0.0 { lambda * cost(j) / reference_cost } else { 0.0 };
        held.score[j] - paid
    };
    let better = |a: &usize, b: &usize| {
        let by_utility = utility(*b).total_cmp(&utility(*a));
        by_utility.then(cost(*a).total_cmp(&cost(*b))).then(a.cmp(b))
    };
    (0..held.score.len()).min_by(better).unwrap_or(0)
}

fn value_table(
    problem: &Problem,
    held: &[Held],
    arm: &dyn Fn(&Held) -> usize,
) -> (f64, Option<f64>) {
    let complete: Vec<&Held> = held.iter().filter(|held| problem.is_complete(held.row)).collect();
    let rows = if complete.is_empty() { held.iter().collect() } else { complete };
    let cells: Vec<_> = rows.iter().map(|held| problem.cell(held.row, arm(held))).collect();
    let quality = mean(cells.iter().filter_map(|cell| cell.quality).map(f64::from));
    let costs: Option<Vec<f64>> = cells.iter().map(|cell| cell.cost).collect();
    (quality, costs.map(|costs| mean(costs.into_iter())))
}

fn value_log(problem: &Problem, held: &[Held], arm: &dyn Fn(&Held) -> usize) -> (f64, Option<f64>) {
    let judged: Vec<(&Held, f64, Option<f64>)> = held
        .iter()
        .filter_map(|held| {
            let drawn = problem.drawn[held.row];
            let cell = problem.cell(held.row, drawn.model);
            let chosen = arm(held);
            let weight = if chosen == drawn.model { 1.0 / drawn.propensity } else { 0.0 };
            let quality =
                held.score[chosen] + weight * (f64::from(cell.quality?) - held.score[drawn.model]);
            let cost = held.cost[chosen].map(|predicted| {
                let residual = cell.cost.zip(held.cost[drawn.model]).map_or(0.0, |(c, p)| c - p);
                predicted + weight * residual
            });
            Some((held, quality, cost))
        })
        .collect();
    let costs: Option<Vec<f64>> = judged.iter().map(|(_, _, cost)| *cost).collect();
    (mean(judged.iter().map(|(_, quality, _)| *quality)), costs.map(|c| mean(c.into_iter())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Cell;

    /// Two models at costs 1 and 4; the dear one is right always, the cheap one on half the rows,
    /// and the scores know on which.
    fn problem() -> (Problem, Vec<Held>) {
        let mut problem = Problem {
            models: ["cheap", "dear"].map(|id| router_core::ModelId::new(id).unwrap()).to_vec(),
            ..Problem::default()
        };
        let mut held = Vec::new();
        for row in 0..100 {
            let easy = f64::from(row % 2);
            for (quality, cost) in [(easy, 1.0), (1.0, 4.0)] {
                #[expect(clippy::cast_possible_truncation, reason = "0 or 1")]
                let quality = Some(quality as f32);
                problem.cells.push(Cell { quality, cost: Some(cost), latency_ms: None });
            }
            held.push(Held {
                row: usize::try_from(row).unwrap(),
                score: vec![0.2 + 0.6 * easy, 0.9],
                cost: vec![Some(1.0), Some(4.0)],
            });
        }
        (problem, held)
    }

    const DEAR: Reference = Reference { model: 1, cost: 4.0 };

    #[test]
    fn the_cheapest_point_that_keeps_the_target_is_chosen() {
        let (problem, held) = problem();
        let curve = Curve::new(&problem, &held, DEAR);
        let point = curve.point(Target::Retention(1.0));
        // Easy rows go to the cheap model: 0.8 − λ/4 > 0.9 − λ from λ = 0.134 on.
        assert!(point.reached && (point.retention - 1.0).abs() < 1e-12);
        assert!((point.cost_ratio.unwrap() - 0.625).abs() < 1e-12);
        assert!(point.lambda > 0.13 && point.lambda < 0.94, "{}", point.lambda);
        assert!((curve.point(Target::CostRatio(0.3)).retention - 0.5).abs() < 1e-12);
        let unreachable = curve.point(Target::Retention(1.5));
        assert!(!unreachable.reached && (unreachable.retention - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_log_is_valued_without_bias_whatever_the_scores_say() {
        let (mut problem, mut held) = problem();
        // Each row twice, once drawn each way with probability 1/2: the truth exactly.
        let mut cells = Vec::new();
        let mut doubled = Vec::new();
        for (i, one) in held.iter_mut().enumerate() {
            one.score = vec![0.3, 0.3001];
            for model in 0..2 {
                let mut row = vec![Cell::default(); 2];
                row[model] = problem.cell(i, model);
                cells.extend(row);
                problem.drawn.push(crate::problem::Drawn { model, propensity: 0.5 });
                doubled.push(Held { row: 2 * i + model, ..one.clone() });
            }
        }
        problem.cells = cells;
        let curve = Curve::new(&problem, &doubled, DEAR);
        let cheapest = curve.point(Target::CostRatio(0.3));
        assert!((cheapest.retention - 0.5).abs() < 1e-9, "{cheapest:?}");
        assert!((cheapest.cost_ratio.unwrap() - 0.25).abs() < 1e-9);
    }

    #[test]
    fn targets_are_read_and_refused() {
        assert_eq!("retention=0.95".parse(), Ok(Target::Retention(0.95)));
        assert_eq!("cost-ratio=0.4".parse(), Ok(Target::CostRatio(0.4)));
        assert_eq!("lambda=0.2".parse(), Ok(Target::Lambda(0.2)));
        for bad in ["retention=0", "retention=3", "lambda=-1", "speed=1", "retention", "lambda=x"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
