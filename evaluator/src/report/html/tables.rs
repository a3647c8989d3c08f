//! The tables of the report.

use std::fmt::Write as _;

use crate::bootstrap::Interval;
use crate::metric::Metric;
use crate::report::format::{cell, count, escape, per_thousand, percent};
use crate::report::json::opposite;
use crate::report::{CalibrationReport, PolicyReport, Report};

/// Chosen models that a row of the per-task table names.
const MIX_SHOWN: usize = 3;

fn open(html: &mut String, headings: &[&str]) {
    html.push_str("<div class=\"table\"><table>\n<tr>");
    for heading in headings {
        let _ = write!(html, "<th>{heading}</th>");
    }
    html.push_str("</tr>\n");
}

const CLOSE: &str = "</table></div>\n";

/// Savings at each retention: promised by training, and read from the sweep.
pub(super) fn savings(report: &Report) -> String {
    if report.cheapest.is_none() {
        return String::new();
    }
    let mut html = String::from(
        "<h2>Savings</h2>\n<p><b>Validated</b> points were chosen in training and then judged: \
         claims may use these. <b>Sweep</b> is read from the curve on the judged requests, as \
         papers print it; it knows the answer and is a little flattering.</p>\n",
    );
    for router in &report.routers {
        if report.routers.len() > 1 {
            let _ = writeln!(html, "<h3>{}</h3>", escape(&router.name));
        }
        open(
            &mut html,
            &[
                "asked to keep",
                "validated: kept",
                "validated: saved",
                "sweep: saved",
                "zero router, sweep",
                "oracle, sweep",
            ],
        );
        let named = |name: &str| report.baselines.iter().find(|policy| policy.name == name);
        for (target, metric) in [
            ("0.90", Metric::SavingsAt90),
            ("0.95", Metric::SavingsAt95),
            ("0.99", Metric::SavingsAt99),
            ("1.00", Metric::SavingsAt100),
        ] {
            let name = format!("retention={target}");
            let point = router.validated.iter().find(|point| point.name == name);
            let of = |policy: Option<&PolicyReport>| {
                cell(policy.and_then(|policy| policy.metric(metric)), true)
            };
            let asked = target.parse::<f64>().unwrap_or_default();
            let missed = match point {
                Some(point) if !point.reached => "<small>not reached in training</small>",
                _ => "",
            };
            let _ = writeln!(
                html,
                "<tr><td>{:.0} %{missed}</td>{}{}{}{}{}</tr>",
                100.0 * asked,
                cell(point.and_then(|point| point.retention), true),
                cell(point.and_then(|point| point.cost_ratio).map(opposite), true),
                of(Some(router)),
                of(named("zero_router")),
                of(named("oracle"))
            );
        }
        html.push_str(CLOSE);
        html.push_str(&errors(router));
    }
    html
}

/// The two directions of error at the deployed point.
fn errors(router: &PolicyReport) -> String {
    let (Some(risk), Some(waste)) =
        (router.metric(Metric::QualityRisk), router.metric(Metric::Waste))
    else {
        return String::new();
    };
    format!(
        "<p>At the {} point, {} of requests went to a cheaper model and lost quality against the \
         best single model; for {} a cheaper model would have been at least as good.</p>\n",
        escape(router.deployed.as_deref().unwrap_or("deployed")),
        percent(risk.value),
        percent(waste.value)
    )
}

/// Columns of the table of policies.
const COLUMNS: [(&str, Metric, bool); 10] = [
    ("AIQ", Metric::Aiq, false),
    ("hyper&shy;volume", Metric::Hypervolume, false),
    ("cost at 95 %", Metric::CostAt95, true),
    ("cost at 99 %", Metric::CostAt99, true),
    ("quality, λ = 0", Metric::QualityAtLambda0, false),
    ("regret", Metric::Regret, false),
    ("APGR", Metric::Apgr, false),
    ("APGR-10", Metric::Apgr10, false),
    ("CPT50", Metric::Cpt50, true),
    ("CPT80", Metric::Cpt80, true),
];

/// Every policy with its figures and intervals.
pub(super) fn policies(report: &Report) -> String {
    let all = || report.routers.iter().chain(&report.baselines);
    let shown: Vec<_> =
        COLUMNS.into_iter().filter(|(_, m, _)| all().any(|p| p.metric(*m).is_some())).collect();
    let mut html = String::from(
        "<h2>Router and baselines</h2>\n<p class=\"note\">Small print: 95 % intervals. Cost ratios \
         are read from the sweep, relative to the best single model.</p>\n",
    );
    let mut headings = vec!["policy"];
    headings.extend(shown.iter().map(|(heading, _, _)| *heading));
    open(&mut html, &headings);
    for (i, policy) in all().enumerate() {
        let class = if i < report.routers.len() { " class=\"router\"" } else { "" };
        let name = escape(&policy.name.replace('_', " "));
        let _ = write!(html, "<tr{class}><td>{name}<small>{}</small></td>", escape(&policy.note));
        for (_, metric, is_percent) in &shown {
            html.push_str(&cell(policy.metric(*metric), *is_percent));
        }
        html.push_str("</tr>\n");
    }
    html.push_str(CLOSE);
    if let Some(pair) = &report.pair {
        let doubt = if pair.is_gap_significant {
            ""
        } else {
            " <b>The gap is below two standard errors: these figures say little.</b>"
        };
        let _ = writeln!(
            html,
            "<p class=\"note\">Weak: {} ({:.4}). Strong: {} ({:.4}).{doubt} APGR is exact, with \
             ties split at random; APGR-10 is the published ten-threshold convention.</p>",
            escape(&pair.weak),
            pair.weak_quality,
            escape(&pair.strong),
            pair.strong_quality
        );
    }
    html
}

/// Paired differences of each router to the policies that it must beat.
pub(super) fn differences(report: &Report) -> String {
    let mut html = String::new();
    for router in report.routers.iter().filter(|router| !router.differences.is_empty()) {
        let _ = writeln!(
            html,
            "<details><summary>Paired differences of {} to the baselines</summary>",
            escape(&router.name)
        );
        open(&mut html, &["figure", "minus", "difference"]);
        for difference in &router.differences {
            for (metric, figure) in &difference.values {
                let _ = writeln!(
                    html,
                    "<tr><td>{}</td><td>{}</td>{}</tr>",
                    escape(metric.name()),
                    escape(&difference.to),
                    cell(Some(*figure), false)
                );
            }
        }
        html.push_str(CLOSE);
        html.push_str("</details>\n");
    }
    html
}

/// Retention of each task.
pub(super) fn tasks(router: &PolicyReport, report: &Report) -> String {
    let Some(tasks) = &router.tasks else { return String::new() };
    let has_costs = report.cheapest.is_some();
    let mut html = format!(
        "<h2>Tasks of {}</h2>\n<p>At the {} point, against {}. A task is marked when even the \
         upper end of its interval is below {:.0} %.</p>\n",
        escape(&router.name),
        escape(router.deployed.as_deref().unwrap_or("deployed")),
        escape(&report.reference),
        100.0 * tasks.target
    );
    let mut headings = vec!["task", "requests", "reference quality", "quality", "kept"];
    if has_costs {
        headings.extend(["reference cost per 1,000", "cost ratio"]);
    }
    headings.push("most chosen");
    open(&mut html, &headings);
    for row in &tasks.rows {
        let flag = if row.is_flagged { "<small class=\"bad\">below target</small>" } else { "" };
        let _ = write!(
            html,
            "<tr><td>{}{flag}</td><td>{}</td><td>{:.3}</td><td>{:.3}</td>{}",
            escape(&row.task),
            count(row.n),
            row.reference_quality,
            row.quality,
            cell(row.retention, true)
        );
        if has_costs {
            let cost = row.reference_cost.map_or_else(|| "–".to_owned(), per_thousand);
            let _ = write!(html, "<td>{cost}</td>{}", cell(row.cost_ratio, true));
        }
        let mix: Vec<String> = row
            .mix
            .iter()
            .take(MIX_SHOWN)
            .map(|(model, share)| format!("{} {:.0} %", escape(model), 100.0 * share))
            .collect();
        let _ = writeln!(html, "<td class=\"text\">{}</td></tr>", mix.join(", "));
    }
    html.push_str(CLOSE);
    let line =
        |interval: Option<Interval>| interval.map_or_else(|| "–".to_owned(), |i| percent(i.value));
    let _ = writeln!(
        html,
        "<p class=\"note\">Over all requests (micro) it keeps {}; as the mean over tasks (macro) \
         {}.</p>",
        line(tasks.micro_retention),
        line(tasks.macro_retention)
    );
    html
}

/// Calibration of each model, folded away.
pub(super) fn calibration(calibration: &CalibrationReport) -> String {
    let mut html = String::from("<details><summary>Calibration of each model and task</summary>\n");
    open(&mut html, &["model", "ECE", "of perfect predictions", "Brier", "log-loss"]);
    for model in &calibration.models {
        let loss = model.log_loss.map_or_else(|| "–".to_owned(), |loss| format!("{loss:.3}"));
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td>{:.4}</td><td>{:.4}</td><td>{:.4}</td><td>{loss}</td></tr>",
            escape(&model.model),
            model.ece,
            model.ece_floor,
            model.brier
        );
    }
    html.push_str(CLOSE);
    if !calibration.slices.is_empty() {
        open(&mut html, &["task", "requests", "ECE, mean over models"]);
        for (task, n, ece) in &calibration.slices {
            let _ = writeln!(
                html,
                "<tr><td>{}</td><td>{}</td><td>{ece:.4}</td></tr>",
                escape(task),
                count(*n)
            );
        }
        html.push_str(CLOSE);
    }
    html.push_str("</details>\n");
    html
}

/// The single models, best first.
pub(super) fn models(report: &Report) -> String {
    let mut html = String::from("<h2>Single models</h2>\n");
    open(&mut html, &["model", "quality", "95 % interval", "cost per 1,000 requests"]);
    let mut models: Vec<_> = report.models.iter().collect();
    models.sort_by(|a, b| b.quality.total_cmp(&a.quality).then_with(|| a.id.cmp(&b.id)));
    for model in models {
        let role = match (model.id == report.reference, report.cheapest.as_ref() == Some(&model.id))
        {
            (true, _) => "<small>reference: best single</small>",
            (false, true) => "<small>cheapest</small>",
            (false, false) => "",
        };
        let band = model
            .band
            .map_or_else(|| "–".to_owned(), |(low, high)| format!("{low:.3} – {high:.3}"));
        let _ = writeln!(
            html,
            "<tr><td>{}{role}</td><td>{:.4}</td><td>{band}</td><td>{}</td></tr>",
            escape(&model.id),
            model.quality,
            model.cost.map_or_else(|| "unknown".to_owned(), per_thousand)
        );
    }
    html.push_str(CLOSE);
    html
}
