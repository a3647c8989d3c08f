//! `report.json`, schema 1: stable keys; a figure that does not apply is absent.

use serde_json::{Map, Value, json};

use super::{CalibrationReport, PolicyReport, Report, TaskReport};
use crate::bootstrap::Interval;
use crate::cascade::CascadeReport;
use crate::metric::calibration::Bin;
use crate::metric::{Metric, Missing};
use crate::study::REGRET_LAMBDA;

/// Version of the schema.
pub const SCHEMA: u32 = 1;

/// The report as JSON text. It holds no time and no path: the same data and options give the same
/// bytes.
pub fn to_json(report: &Report) -> String {
    let mut text = serde_json::to_string_pretty(&value(report)).unwrap_or_default();
    text.push('\n');
    text
}

fn value(report: &Report) -> Value {
    let mut root = Map::new();
    let mut set = |key: &str, value: Value| root.insert(key.to_owned(), value);
    set("schema", json!(SCHEMA));
    set("dataset", json!(report.dataset));
    set("n_requests", json!(report.n_requests));
    set("reference", json!(report.reference));
    set("routers", report.routers.iter().map(policy).collect());
    set("baselines", report.baselines.iter().map(policy).collect());
    if let Some(cascade) = &report.cascade {
        set("cascade", of_cascade(cascade));
    }
    set("n_groups", json!(report.n_groups));
    set("n_dropped", json!(report.n_dropped));
    set("cheapest", json!(report.cheapest));
    let model = |model: &super::ModelReport| json!({"id": model.id, "quality": model.quality, "cost_usd": model.cost});
    set("models", report.models.iter().map(model).collect());
    set("unpriced_models", json!(report.unpriced));
    if let Some(pair) = &report.pair {
        set(
            "pair",
            json!({
                "weak": pair.weak,
                "strong": pair.strong,
                "weak_quality": pair.weak_quality,
                "strong_quality": pair.strong_quality,
                "gap_not_significant": !pair.is_gap_significant,
                "endpoints": pair.endpoints.map(|cells| json!({
                    "both": cells.both,
                    "strong_only": cells.strong_only,
                    "weak_only": cells.weak_only,
                    "neither": cells.neither,
                })),
            }),
        );
    }
    let source =
        |s: &datasets::Source| json!({"name": s.name, "sha256": s.sha256, "n_rows": s.n_rows});
    set("sources", report.sources.iter().map(source).collect());
    set("folds", json!(report.folds));
    set("baselines_fitted", json!(report.baselines_fitted));
    set("regret_lambda", json!(if report.cheapest.is_some() { REGRET_LAMBDA } else { 0.0 }));
    set("interval", json!("95 % percentile bootstrap over groups, paired over policies"));
    set("replicates", json!(report.replicates));
    set("seed", json!(report.seed));
    set("evaluator_version", json!(env!("CARGO_PKG_VERSION")));
    Value::Object(root)
}

fn of_cascade(cascade: &CascadeReport) -> Value {
    let figures = cascade.figures.iter().map(|figure| {
        let sides = [
            ("cascade", figure.cascade),
            ("router", figure.router),
            ("difference", figure.difference),
        ];
        let known = sides
            .into_iter()
            .filter_map(|(name, of)| Some((name.to_owned(), interval(of?, Missing::Nothing))));
        (figure.name.to_owned(), Value::Object(known.collect()))
    });
    json!({
        "router": cascade.router,
        "figures": Value::Object(figures.collect()),
        "share_of_second_calls": cascade.second_calls,
        "curve": cascade.curve.iter().map(|(lambda, cost, quality)| {
            json!({"lambda": lambda.min(1e6), "cost_usd": cost, "quality": quality})
        }).collect::<Vec<Value>>(),
    })
}

fn policy(policy: &PolicyReport) -> Value {
    let mut object = Map::new();
    object.insert("name".to_owned(), json!(policy.name));
    object.insert("metrics".to_owned(), nest(&policy.metrics));
    object.insert("note".to_owned(), json!(policy.note));
    if let Some(deployed) = &policy.deployed {
        object.insert("deployed_point".to_owned(), json!(deployed));
    }
    if !policy.artifacts.is_empty() {
        object.insert("artifacts".to_owned(), json!(policy.artifacts));
    }
    if !policy.validated.is_empty() {
        object.insert("validated".to_owned(), validated(policy));
    }
    if !policy.differences.is_empty() {
        let of = policy.differences.iter().map(|d| (d.to.clone(), nest(&d.values)));
        object.insert("difference_to".to_owned(), Value::Object(of.collect()));
    }
    if let Some(calibration) = &policy.calibration {
        object.insert("calibration".to_owned(), calibrated(calibration));
    }
    if let Some(tasks) = &policy.tasks {
        object.insert("tasks".to_owned(), tasks_value(tasks));
    }
    Value::Object(object)
}

fn validated(policy: &PolicyReport) -> Value {
    let of = policy.validated.iter().map(|point| {
        let mut object = Map::new();
        object.insert("lambdas".to_owned(), json!(point.lambdas));
        object.insert("reached_in_training".to_owned(), json!(point.reached));
        if let Some(retention) = point.retention {
            object.insert("retention".to_owned(), interval(retention, Missing::Nothing));
        }
        if let Some(ratio) = point.cost_ratio {
            object.insert("cost_ratio".to_owned(), interval(ratio, Missing::Nothing));
            object.insert("savings".to_owned(), interval(opposite(ratio), Missing::Nothing));
        }
        (point.name.clone(), Value::Object(object))
    });
    Value::Object(of.collect())
}

/// One minus a ratio.
pub fn opposite(ratio: Interval) -> Interval {
    Interval {
        value: 1.0 - ratio.value,
        low: ratio.high.map(|high| 1.0 - high),
        high: ratio.low.map(|low| 1.0 - low),
    }
}

fn calibrated(calibration: &CalibrationReport) -> Value {
    let model = |model: &super::ModelCalibration| {
        let mut value = json!({
            "model": model.model,
            "ece": model.ece,
            "ece_floor": model.ece_floor,
            "brier": model.brier,
        });
        if let (Some(loss), Some(object)) = (model.log_loss, value.as_object_mut()) {
            object.insert("log_loss".to_owned(), json!(loss));
        }
        value
    };
    let bin = |b: &Bin| json!({"n": b.n, "predicted": b.predicted, "observed": b.observed});
    let slice = |(task, n, ece): &(String, usize, f64)| json!({"task": task, "n": n, "ece": ece});
    json!({
        "models": calibration.models.iter().map(model).collect::<Vec<_>>(),
        "pooled_bins": calibration.pooled.iter().map(bin).collect::<Vec<_>>(),
        "uplift_of": calibration.uplift_models.0,
        "uplift_over": calibration.uplift_models.1,
        "uplift_bins": calibration.uplift.iter().map(bin).collect::<Vec<_>>(),
        "slices": calibration.slices.iter().map(slice).collect::<Vec<_>>(),
    })
}

fn tasks_value(tasks: &TaskReport) -> Value {
    let optional = |value: Option<Interval>| value.map(|v| interval(v, Missing::Nothing));
    let row = |row: &super::TaskRow| {
        json!({
            "task": row.task,
            "n": row.n,
            "reference_quality": row.reference_quality,
            "quality": row.quality,
            "reference_cost_usd": row.reference_cost,
            "cost_ratio": optional(row.cost_ratio),
            "retention": optional(row.retention),
            "below_target": row.is_flagged,
            "mix": row.mix.iter().cloned().map(|(m, s)| (m, json!(s))).collect::<Map<_, _>>(),
        })
    };
    json!({
        "target": tasks.target,
        "macro_retention": optional(tasks.macro_retention),
        "micro_retention": optional(tasks.micro_retention),
        "rows": tasks.rows.iter().map(row).collect::<Vec<_>>(),
    })
}

/// Figures by name; `/` in a name separates nested keys.
fn nest(figures: &[(Metric, Interval)]) -> Value {
    let mut root = Map::new();
    for (metric, figure) in figures {
        let value = interval(*figure, metric.missing());
        match metric.name().split_once('/') {
            None => {
                root.insert(metric.name().to_owned(), value);
            }
            Some((outer, inner)) => {
                let nested = root.entry(outer).or_insert_with(|| json!({}));
                if let Some(object) = nested.as_object_mut() {
                    object.insert(inner.to_owned(), value);
                }
            }
        }
    }
    Value::Object(root)
}

fn interval(figure: Interval, missing: Missing) -> Value {
    let mut value = json!({"value": figure.value, "low": figure.low, "high": figure.high});
    let is_open = figure.low.is_none() || figure.high.is_none();
    if let (true, Some(object)) = (is_open, value.as_object_mut()) {
        let reason = match missing {
            Missing::Above | Missing::Below => "not reached in more than 2.5 % of draws",
            Missing::Nothing => "undefined in every draw",
        };
        object.insert("reason".to_owned(), json!(reason));
    }
    value
}
