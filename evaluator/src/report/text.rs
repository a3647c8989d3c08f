//! The compact summary on standard output.

use std::fmt::Write as _;

use super::{PolicyReport, Report};
use crate::bootstrap::Interval;
use crate::cascade::CascadeReport;
use crate::metric::Metric;

/// Columns: a heading and its figure.
const COLUMNS: [(&str, Metric); 8] = [
    ("AIQ", Metric::Aiq),
    ("hypervol", Metric::Hypervolume),
    ("cost@.95", Metric::CostAt95),
    ("cost@.99", Metric::CostAt99),
    ("q(λ=0)", Metric::QualityAtLambda0),
    ("APGR", Metric::Apgr),
    ("CPT50", Metric::Cpt50),
    ("CPT80", Metric::Cpt80),
];

/// The report in a few lines.
pub fn summary(report: &Report) -> String {
    let mut text = String::new();
    let dropped = match report.n_dropped {
        0 => String::new(),
        n => format!(", {n} dropped as incomplete"),
    };
    line(
        &mut text,
        &format!(
            "{}: {} requests{dropped}, {} models, reference {}",
            report.dataset,
            report.n_requests,
            report.models.len(),
            report.reference
        ),
    );
    if let Some(pair) = &report.pair {
        let doubt = if pair.is_gap_significant { "" } else { " (gap not significant)" };
        line(
            &mut text,
            &format!(
                "{} {:.4} -> {} {:.4}{doubt}",
                pair.weak, pair.weak_quality, pair.strong, pair.strong_quality
            ),
        );
    }
    let all = || report.routers.iter().chain(&report.baselines);
    let shown: Vec<_> =
        COLUMNS.into_iter().filter(|(_, m)| all().any(|p| p.metric(*m).is_some())).collect();
    let mut heading = format!("{:<18}", "policy");
    for (name, _) in &shown {
        let _ = write!(heading, "{name:>16}");
    }
    line(&mut text, &heading);
    for policy in all() {
        let mut row = format!("{:<18}", policy.name);
        for (_, metric) in &shown {
            let _ = write!(row, "{:>16}", cell(policy.metric(*metric)));
        }
        line(&mut text, row.trim_end());
    }
    for router in &report.routers {
        of_router(&mut text, router);
    }
    if let Some(cascade) = &report.cascade {
        of_cascade(&mut text, cascade);
    }
    text
}

fn of_cascade(text: &mut String, cascade: &CascadeReport) {
    let share = 100.0 * cascade.second_calls;
    let heading =
        format!("cascade of {}, {share:.1} % of requests with a second call", cascade.router);
    line(text, &heading);
    for figure in &cascade.figures {
        let [own, router, gap] =
            [figure.cascade, figure.router, figure.difference].map(with_interval);
        line(
            text,
            &format!("  {:<22}{own:>26}  router {router:>26}  difference {gap:>28}", figure.name),
        );
    }
}

fn with_interval(of: Option<Interval>) -> String {
    let end = |end: Option<f64>| end.map_or_else(|| "n/r".to_owned(), |end| format!("{end:.4}"));
    of.map_or_else(
        || "n/r".to_owned(),
        |of| format!("{:.4} [{}, {}]", of.value, end(of.low), end(of.high)),
    )
}

fn of_router(text: &mut String, router: &PolicyReport) {
    for point in &router.validated {
        let retention = point.retention.map_or_else(|| "-".to_owned(), percent);
        let cost =
            point.cost_ratio.map_or_else(String::new, |c| format!(" at cost ratio {}", percent(c)));
        let missed = if point.reached { "" } else { " (not reached in training)" };
        line(
            text,
            &format!("{} validated {}: keeps {retention}{cost}{missed}", router.name, point.name),
        );
    }
    for (name, metric) in
        [("ECE", Metric::Ece), ("Brier", Metric::Brier), ("uplift ECE", Metric::UpliftEce)]
    {
        if let Some(figure) = router.metric(metric) {
            line(text, &format!("{} {name} {:.4}", router.name, figure.value));
        }
    }
    for difference in &router.differences {
        for (metric, figure) in &difference.values {
            if matches!(metric, Metric::Aiq | Metric::Apgr | Metric::QualityAtLambda0) {
                let (low, high) = (end(figure.low), end(figure.high));
                line(
                    text,
                    &format!(
                        "{} {} minus {}: {:+.4} [{low}, {high}]",
                        router.name,
                        metric.name(),
                        difference.to,
                        figure.value
                    ),
                );
            }
        }
    }
}

fn end(value: Option<f64>) -> String {
    value.map_or_else(|| "open".to_owned(), |value| format!("{value:+.4}"))
}

/// Value and half of the interval's width.
fn cell(figure: Option<Interval>) -> String {
    let Some(figure) = figure else { return "-".to_owned() };
    match (figure.low, figure.high) {
        (Some(low), Some(high)) => format!("{:.4} ±{:.3}", figure.value, (high - low) / 2.0),
        _ => format!("{:.4} *", figure.value),
    }
}

fn percent(figure: Interval) -> String {
    let end =
        |end: Option<f64>| end.map_or_else(|| "open".to_owned(), |e| format!("{:.1}", 100.0 * e));
    format!("{:.1} % [{}, {}]", 100.0 * figure.value, end(figure.low), end(figure.high))
}

fn line(text: &mut String, content: &str) {
    text.push_str(content);
    text.push('\n');
}
