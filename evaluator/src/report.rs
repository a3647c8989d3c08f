//! The result of a benchmark; its children write it.

pub mod chart;
pub mod files;
mod format;
pub mod html;
pub mod json;
pub mod text;

use datasets::Source;

use crate::bootstrap::Interval;
use crate::cascade::CascadeReport;
use crate::metric::Metric;
use crate::metric::calibration::Bin;
use crate::metric::hull::Point;
use crate::metric::two_model::Endpoints;
use crate::policy::Plan;

/// Everything that a benchmark found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Name of the judged data.
    pub dataset: String,
    /// Their files.
    pub sources: Vec<Source>,
    /// Judged requests.
    pub n_requests: usize,
    /// Groups of requests that are drawn together.
    pub n_groups: usize,
    /// Requests left out because an outcome was unknown.
    pub n_dropped: usize,
    /// The models.
    pub models: Vec<ModelReport>,
    /// Models without known costs, which hide all cost figures.
    pub unpriced: Vec<String>,
    /// The best single model on the judged requests: `Q_ref` and `c_hi`.
    pub reference: String,
    /// The cheapest single model.
    pub cheapest: Option<String>,
    /// The pair, if there are two models.
    pub pair: Option<PairReport>,
    /// The folds.
    pub folds: Vec<i32>,
    /// Where the baselines were fitted.
    pub baselines_fitted: String,
    /// Seed of the bootstrap.
    pub seed: u64,
    /// Bootstrap draws.
    pub replicates: usize,
    /// The routers.
    pub routers: Vec<PolicyReport>,
    /// What they are compared with.
    pub baselines: Vec<PolicyReport>,
    /// The cascade of the first router.
    pub cascade: Option<CascadeReport>,
}

/// A single model on the judged requests.
#[derive(Clone, Debug, Default)]
pub struct ModelReport {
    /// Its name.
    pub id: String,
    /// Mean quality.
    pub quality: f64,
    /// Ends of its interval.
    pub band: Option<(f64, f64)>,
    /// Mean dollars per request.
    pub cost: Option<f64>,
}

/// Two models.
#[derive(Clone, Debug, Default)]
pub struct PairReport {
    /// The weak one.
    pub weak: String,
    /// The strong one.
    pub strong: String,
    /// Mean quality of the weak one.
    pub weak_quality: f64,
    /// Mean quality of the strong one.
    pub strong_quality: f64,
    /// Whether the gap is at least two standard errors.
    pub is_gap_significant: bool,
    /// Who is right how often; binary quality only.
    pub endpoints: Option<Endpoints>,
}

/// What a policy is worth.
#[derive(Clone, Debug, Default)]
pub struct PolicyReport {
    /// Its name.
    pub name: String,
    /// What a reader must know of it.
    pub note: String,
    /// Versions of its artifacts.
    pub artifacts: Vec<String>,
    /// The point at which single-point figures are read.
    pub deployed: Option<String>,
    /// The figures that are defined.
    pub metrics: Vec<(Metric, Interval)>,
    /// Paired differences to other policies.
    pub differences: Vec<Difference>,
    /// Its points.
    pub curve: Vec<CurvePoint>,
    /// `(share of strong calls, share of the gap recovered)`.
    pub two_model: Vec<(f64, f64)>,
    /// Operating points chosen in training.
    pub validated: Vec<ValidatedReport>,
    /// Reliability.
    pub calibration: Option<CalibrationReport>,
    /// Retention of each task.
    pub tasks: Option<TaskReport>,
}

impl PolicyReport {
    /// A figure, if it is defined.
    pub fn metric(&self, metric: Metric) -> Option<Interval> {
        self.metrics.iter().find(|(of, _)| *of == metric).map(|(_, interval)| *interval)
    }
}

/// Figures of a policy minus those of another, draw by draw.
#[derive(Clone, Debug, Default)]
pub struct Difference {
    /// The other.
    pub to: String,
    /// The differences.
    pub values: Vec<(Metric, Interval)>,
}

/// A point of a sweep.
#[derive(Clone, Copy, Debug)]
pub struct CurvePoint {
    /// λ; absent where there is none.
    pub lambda: Option<f64>,
    /// Mean dollars per request and mean quality.
    pub point: Point,
    /// Ends of the interval of quality, where it was computed.
    pub band: Option<(f64, f64)>,
}

impl CurvePoint {
    /// The points of a plan with their λ.
    pub fn of(plan: &Plan, points: &[Point]) -> Vec<Self> {
        let lambda = |i: usize| match plan {
            Plan::Choices(choices) => choices.get(i).map(|choice| choice.0),
            Plan::Singles | Plan::Mix | Plan::Uniform => None,
        };
        let point =
            |(i, point): (usize, &Point)| Self { lambda: lambda(i), point: *point, band: None };
        points.iter().enumerate().map(point).collect()
    }
}

/// An operating point chosen in training, and what it made of the judged requests.
#[derive(Clone, Debug, Default)]
pub struct ValidatedReport {
    /// Its target.
    pub name: String,
    /// λ of each fold router.
    pub lambdas: Vec<f64>,
    /// Whether inner validation reached the target in each.
    pub reached: bool,
    /// Realised retention.
    pub retention: Option<Interval>,
    /// Realised cost over that of the best single model.
    pub cost_ratio: Option<Interval>,
}

/// Reliability of predicted qualities.
#[derive(Clone, Debug, Default)]
pub struct CalibrationReport {
    /// Figures of each model.
    pub models: Vec<ModelCalibration>,
    /// All predictions of all models.
    pub pooled: Vec<Bin>,
    /// Predicted and realised difference of two models.
    pub uplift: Vec<Bin>,
    /// Which two: the best, minus the cheapest.
    pub uplift_models: (String, String),
    /// `(task, requests, mean ECE over models)`.
    pub slices: Vec<(String, usize, f64)>,
}

/// Calibration of one model.
#[derive(Clone, Debug, Default)]
pub struct ModelCalibration {
    /// The model.
    pub model: String,
    /// Expected calibration error.
    pub ece: f64,
    /// The ECE to expect of perfect predictions of as many requests.
    pub ece_floor: f64,
    /// Brier score.
    pub brier: f64,
    /// Binary quality only.
    pub log_loss: Option<f64>,
}

/// Retention of each task.
#[derive(Clone, Debug, Default)]
pub struct TaskReport {
    /// The retention that was promised.
    pub target: f64,
    /// Mean over tasks.
    pub macro_retention: Option<Interval>,
    /// Over requests.
    pub micro_retention: Option<Interval>,
    /// The tasks.
    pub rows: Vec<TaskRow>,
}

/// One task.
#[derive(Clone, Debug, Default)]
pub struct TaskRow {
    /// Its label.
    pub task: String,
    /// Requests.
    pub n: usize,
    /// Mean quality of the reference model.
    pub reference_quality: f64,
    /// Mean quality of the policy.
    pub quality: f64,
    /// Mean dollars of the reference model.
    pub reference_cost: Option<f64>,
    /// Cost over that of the reference model.
    pub cost_ratio: Option<Interval>,
    /// Quality over that of the reference model.
    pub retention: Option<Interval>,
    /// Whether the upper end of retention is below the target.
    pub is_flagged: bool,
    /// Share of each chosen model, most frequent first.
    pub mix: Vec<(String, f64)>,
}
