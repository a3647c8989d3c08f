//! Operating points: λ for a target, chosen on held-out predictions only.

mod logged;

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
    /// The point that costs this share of the reference model's cost; less if more does not help.
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
            // Two decimals, so that 0.9 is named like its neighbors; more only where they differ.
            Self::Retention(value) if format!("{value:.2}").parse() == Ok(*value) => {
                write!(f, "retention={value:.2}")
            }
            Self::Retention(value) => write!(f, "retention={value}"),
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

/// Halvings of an interval of λ: far below what one request costs.
const BISECTIONS: usize = 24;

/// Retention that a cheaper point must add to be preferred to one that spends what it may.
const COST_SLACK: f64 = 0.005;

impl Point {
    fn new(problem: &Problem, held: &[Held], reference: Reference, lambda: f64) -> Self {
        let (best_quality, best_cost) = value(problem, held, &|_| reference.model);
        let (quality, cost) = value(problem, held, &|held| choose(held, lambda, reference.cost));
        let ratio = cost.zip(best_cost).map(|(cost, best)| cost / best);
        Self {
            lambda,
            retention: quality / best_quality.max(f64::MIN_POSITIVE),
            cost_ratio: ratio.filter(|ratio| ratio.is_finite()),
        }
    }
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
/// whose quality on held-out rows, when cost does not count, is as good as that of any other; on a
/// log, up to one standard error of the difference.
pub fn guard(problem: &Problem, held: &[Held], reference: Reference) -> f64 {
    let arm = |margin: f64, held: &Held| {
        let mut guarded = held.clone();
        guarded.score[reference.model] += margin;
        choose(&guarded, 0.0, reference.cost)
    };
    if !problem.drawn.is_empty() {
        let terms = MARGINS.map(|margin| logged::qualities(problem, held, &|h| arm(margin, h)));
        return MARGINS[logged::first_within_one_error(&terms, MARGIN_SLACK)];
    }
    let quality = |margin: f64| value(problem, held, &|held| arm(margin, held)).0;
    let qualities = MARGINS.map(quality);
    let best = qualities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let good_enough = qualities.iter().position(|quality| *quality >= best - MARGIN_SLACK);
    good_enough.map_or(0.0, |at| MARGINS[at])
}

/// `quality − λ · cost / reference cost` of what is chosen at λ for one held-out row: realised on a
/// table, estimated doubly robustly on a log. `None` where that is not known.
pub fn row_utility(
    problem: &Problem,
    held: &Held,
    lambda: f64,
    reference: Reference,
) -> Option<f64> {
    let arm = choose(held, lambda, reference.cost);
    let paid = |cost: Option<f64>| lambda * cost.unwrap_or(0.0) / reference.cost;
    let Some(drawn) = problem.drawn.get(held.row) else {
        let cells = || (0..problem.n_models()).map(|model| problem.cell(held.row, model));
        let is_priced = cells().all(|cell| cell.cost.is_some());
        if !problem.is_complete(held.row) || !(is_priced || cells().all(|c| c.cost.is_none())) {
            return None;
        }
        let cell = problem.cell(held.row, arm);
        return Some(f64::from(cell.quality?) - paid(cell.cost));
    };
    let cell = problem.cell(held.row, drawn.model);
    let predicted = |arm: usize| held.score[arm] - paid(held.cost[arm]);
    let weight = if arm == drawn.model { 1.0 / drawn.propensity } else { 0.0 };
    let realised = f64::from(cell.quality?) - paid(cell.cost);
    Some(predicted(arm) + weight * (realised - predicted(drawn.model)))
}

/// Mean quality and cost of choosing `arm` on held-out rows.
fn value(problem: &Problem, held: &[Held], arm: &dyn Fn(&Held) -> usize) -> (f64, Option<f64>) {
    if problem.drawn.is_empty() {
        value_table(problem, held, arm)
    } else {
        logged::value(problem, held, arm)
    }
}

impl Curve {
    /// Values every λ on held-out rows.
    ///
    /// On an outcome table the rows that every model answered are averaged, and the costs of those
    /// whose every price is known. On a log each λ is valued by the doubly robust estimate with the
    /// held-out scores as its reward model.
    pub fn new(problem: &Problem, held: &[Held], reference: Reference) -> Self {
        let points = sweep().into_iter().map(|lambda| Point::new(problem, held, reference, lambda));
        Self { points: points.collect() }
    }

    /// Adds points between those of the sweep whose cost is just below `goal`, a share of the
    /// reference model's: cost falls in steps as λ rises, and this finds the step.
    #[must_use]
    pub fn refined(
        mut self,
        problem: &Problem,
        held: &[Held],
        reference: Reference,
        goal: f64,
    ) -> Self {
        let is_cheap = |point: &Point| point.cost_ratio.is_some_and(|cost| cost <= goal);
        let first = self.points.iter().position(is_cheap);
        let Some(first) = first.filter(|first| *first > 0) else { return self };
        let (mut dear, mut cheap) = (self.points[first - 1].lambda, self.points[first].lambda);
        let mut between = Vec::new();
        for _ in 0..BISECTIONS {
            let point = Point::new(problem, held, reference, 0.5 * (dear + cheap));
            *if is_cheap(&point) { &mut cheap } else { &mut dear } = point.lambda;
            between.push(point);
        }
        between.sort_by(|a, b| a.lambda.total_cmp(&b.lambda));
        self.points.splice(first..first, between);
        self
    }

    /// The point for a target. A point of unknown cost is taken for the dearest.
    pub fn point(&self, target: Target) -> OperatingPoint {
        let cost = |point: &&Point| point.cost_ratio.unwrap_or(f64::INFINITY);
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
                let cheap = || self.points.iter().filter(|point| cost(point) <= goal);
                let dearest = cheap().min_by(|a, b| a.lambda.total_cmp(&b.lambda));
                let best = cheap().max_by(|a, b| a.retention.total_cmp(&b.retention));
                let is_clear = |(a, b): (&Point, &Point)| a.retention + COST_SLACK < b.retention;
                if dearest.zip(best).is_some_and(is_clear) { best } else { dearest }
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
    // One unknown cost must not hide the others, nor may it count for one λ and not for another.
    let cost = |held: &Held, model: usize| problem.cell(held.row, model).cost;
    let is_priced = |model: &usize| rows.iter().any(|held| cost(held, *model).is_some());
    let priced: Vec<usize> = (0..problem.n_models()).filter(is_priced).collect();
    let is_known = |held: &&Held| priced.iter().all(|model| cost(held, *model).is_some());
    let known = rows.iter().zip(&cells).filter(|(held, _)| is_known(held));
    let costs: Option<Vec<f64>> = known.map(|(_, cell)| cell.cost).collect();
    let costs = costs.filter(|costs| !costs.is_empty());
    (quality, costs.map(|costs| mean(costs.into_iter())))
}

#[cfg(test)]
mod tests;
