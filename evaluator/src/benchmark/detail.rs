//! What a report says beyond figures: the pair, calibration, and the two directions of error.

use crate::metric::calibration::{N_BINS, Sorted, log_loss, squared_error};
use crate::metric::two_model::{Curve, Endpoints, Ranking, is_gap_significant};
use crate::panel::Panel;
use crate::policy::{Policy, Roles};
use crate::report::{CalibrationReport, ModelCalibration, PairReport, PolicyReport, Report};
use crate::split::best_single;
use crate::study::{Study, uplift_models};

/// Requests below which a task slice has no calibration figure of its own.
const MIN_SLICE: usize = 200;
/// Points of a two-model curve that are kept for drawing.
const CURVE_POINTS: usize = 200;

pub(super) fn pair(report: &mut Report, panel: &Panel, roles: Option<Roles>, study: &Study<'_>) {
    let (Some(roles), Some(pair)) = (roles, study.pair()) else { return };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    report.pair = Some(PairReport {
        weak: panel.models[roles.weak].to_string(),
        strong: panel.models[roles.strong].to_string(),
        weak_quality: mean(&pair.weak),
        strong_quality: mean(&pair.strong),
        is_gap_significant: is_gap_significant(pair),
        endpoints: Endpoints::new(pair),
    });
}

pub(super) fn router(report: &mut PolicyReport, panel: &Panel, policy: &Policy) {
    let Some(quality) = &policy.quality else { return };
    let m = panel.m();
    let ids: Vec<&str> = panel.requests.iter().map(|row| row.request_id.as_str()).collect();
    let all: Vec<usize> = (0..panel.n()).collect();
    let sorted = |rows: &[usize], predicted: &dyn Fn(usize) -> f64, seen: &dyn Fn(usize) -> f64| {
        let ids: Vec<&str> = rows.iter().map(|i| ids[*i]).collect();
        let predicted: Vec<f64> = rows.iter().map(|i| predicted(*i)).collect();
        let seen: Vec<f64> = rows.iter().map(|i| seen(*i)).collect();
        Sorted::new(&predicted, &seen, &ids)
    };
    let model = |rows: &[usize], j: usize| {
        sorted(rows, &|i| quality[i * m + j], &|i| panel.q(i, j)).ece(N_BINS, |_| 1.0)
    };
    let is_binary = panel.is_binary();
    let models = (0..m).map(|j| {
        let mean = |loss: fn(f64, f64) -> f64| {
            all.iter().map(|&i| loss(quality[i * m + j], panel.q(i, j))).sum::<f64>()
                / panel.n() as f64
        };
        ModelCalibration {
            model: panel.models[j].to_string(),
            ece: model(&all, j),
            ece_floor: sorted(&all, &|i| quality[i * m + j], &|i| panel.q(i, j)).ece_floor(N_BINS),
            brier: mean(squared_error),
            log_loss: is_binary.then(|| mean(log_loss)),
        }
    });
    let (best, cheap) = uplift_models(panel, best_single(&panel.means(&all)));
    let uplift = sorted(&all, &|i| quality[i * m + best] - quality[i * m + cheap], &|i| {
        panel.q(i, best) - panel.q(i, cheap)
    });
    let cells: Vec<usize> = (0..panel.n() * m).collect();
    let cell_ids = vec![""; cells.len()];
    let pooled = Sorted::new(quality, &panel.quality, &cell_ids);
    let slices = slices(panel).into_iter().map(|(label, rows)| {
        let ece = (0..m).map(|j| model(&rows, j)).sum::<f64>() / m as f64;
        (label, rows.len(), ece)
    });
    report.calibration = Some(CalibrationReport {
        models: models.collect(),
        pooled: pooled.bins(N_BINS, |_| 1.0),
        uplift: uplift.bins(N_BINS, |_| 1.0),
        uplift_models: (panel.models[best].to_string(), panel.models[cheap].to_string()),
        slices: slices.collect(),
    });
}

/// The two-model curve of a score, thinned for drawing.
pub(super) fn two_model_curve(policy: &Policy, study: &Study<'_>) -> Vec<(f64, f64)> {
    let (Some(pair), Some(uplift)) = (study.pair(), &policy.uplift) else { return Vec::new() };
    let Some(curve) = Curve::new(&Ranking::new(uplift), pair, |_| 1.0) else { return Vec::new() };
    let last = curve.share.len() - 1;
    let step = (curve.share.len() / CURVE_POINTS).max(1);
    (0..=last)
        .filter(|i| i % step == 0 || *i == last)
        .map(|i| (curve.share[i], curve.recovered[i]))
        .collect()
}

/// The requests of each label that has enough of them.
fn slices(panel: &Panel) -> Vec<(String, Vec<usize>)> {
    let Some(labels) = panel.task_labels() else { return Vec::new() };
    let mut slices = std::collections::BTreeMap::<&str, Vec<usize>>::new();
    for (row, label) in labels.iter().enumerate() {
        slices.entry(label).or_default().push(row);
    }
    slices
        .into_iter()
        .filter(|(_, rows)| rows.len() >= MIN_SLICE)
        .map(|(label, rows)| (label.to_owned(), rows))
        .collect()
}
