//! The first screen: what it saves, and how sure that is.

use std::fmt::Write as _;

use crate::bootstrap::Interval;
use crate::metric::Metric;
use crate::report::format::{count, escape, percent, percent_range};
use crate::report::json::opposite;
use crate::report::{PolicyReport, Report, ValidatedReport};

/// The promises that have a card.
const PROMISES: [(&str, f64); 3] = [("0.90", 0.90), ("0.95", 0.95), ("0.99", 0.99)];

pub(super) fn screen(report: &Report) -> String {
    let mut html = String::new();
    let _ = writeln!(
        html,
        "<div class=\"kicker\">Sextant benchmark · {} · {} requests · {} models</div>",
        escape(&report.dataset),
        count(report.n_requests),
        report.models.len()
    );
    for router in &report.routers {
        let _ = writeln!(html, "<h1>{}</h1>", headline(router, report));
        let _ = writeln!(html, "{}", cards(router, report));
        let _ = writeln!(html, "{}", checks(router));
    }
    html
}

fn point<'a>(router: &'a PolicyReport, target: &str) -> Option<&'a ValidatedReport> {
    router.validated.iter().find(|point| point.name == format!("retention={target}"))
}

fn headline(router: &PolicyReport, report: &Report) -> String {
    let (name, reference) = (escape(&router.name), escape(&report.reference));
    let balanced = point(router, "0.95").and_then(|p| Some((p.retention?, p.cost_ratio?)));
    if let Some((retention, cost)) = balanced {
        let saved = 1.0 - cost.value;
        let change = if saved >= 0.0 {
            format!("saves {} of the cost", percent(saved))
        } else {
            format!("costs {} more", percent(-saved))
        };
        return format!(
            "{name} keeps {} of the quality of {reference} and {change}.",
            percent(retention.value)
        );
    }
    match router.metric(Metric::GainOverBestSingle) {
        Some(gain) => format!(
            "{name} is {:.1} points {} than {reference}, the best single model.",
            100.0 * gain.value.abs(),
            if gain.value >= 0.0 { "better" } else { "worse" }
        ),
        None => format!("{name} on {} requests", count(report.n_requests)),
    }
}

fn cards(router: &PolicyReport, report: &Report) -> String {
    let mut html = String::from("<div class=\"cards\">\n");
    let mut n_cards = 0;
    for (target, promised) in PROMISES {
        let Some((retention, cost)) =
            point(router, target).and_then(|p| Some((p.retention?, p.cost_ratio?)))
        else {
            continue;
        };
        n_cards += 1;
        let savings = opposite(cost);
        let main = if target == "0.95" { " main" } else { "" };
        let _ = writeln!(
            html,
            "<div class=\"card{main}\"><div class=\"label\">saved when asked to keep {:.0} %</div>\
             <div class=\"big\">{}</div><div class=\"how\">95 % interval {}<br>kept {} ({}){}</div>\
             </div>",
            100.0 * promised,
            percent(savings.value),
            percent_range(savings),
            percent(retention.value),
            percent_range(retention),
            kept(retention, promised)
        );
    }
    if n_cards == 0 {
        html.push_str(&quality_cards(router));
    }
    html.push_str("</div>\n");
    let _ = writeln!(
        html,
        "<p class=\"note\">Compared with sending every request to {}, the best single model here. \
         {}</p>",
        escape(&report.reference),
        if n_cards > 0 {
            "These operating points were chosen in training, without the requests they are judged \
             on: this is what a deployment would have got."
        } else if report.cheapest.is_some() {
            "That model costs nothing, so there is no cost to save, and only quality is compared."
        } else {
            "Costs are unknown, so only quality is compared."
        }
    );
    html
}

fn kept(retention: Interval, promised: f64) -> String {
    let (class, text) = if retention.value >= promised {
        ("good", "promise kept")
    } else if retention.high.is_some_and(|high| high < promised) {
        ("bad", "promise missed")
    } else {
        ("even", "below the promise, within the interval")
    };
    format!("<br><span class=\"{class}\">{text}</span>")
}

fn quality_cards(router: &PolicyReport) -> String {
    let mut html = String::new();
    for (metric, label) in [
        (Metric::QualityAtLambda0, "quality"),
        (Metric::GainOverBestSingle, "gain over the best single model"),
        (Metric::GapClosed, "of the gap to the oracle closed"),
        (Metric::Apgr, "APGR (random is 50 %)"),
    ] {
        let Some(figure) = router.metric(metric) else { continue };
        let _ = writeln!(
            html,
            "<div class=\"card\"><div class=\"label\">{label}</div><div class=\"big\">{}</div>\
             <div class=\"how\">95 % interval {}</div></div>",
            percent(figure.value),
            percent_range(figure)
        );
    }
    html
}

/// What of the router is better than policies that need no learning, said whichever way it is.
#[expect(clippy::wildcard_enum_match_arm, reason = "only three metrics are told in words")]
fn checks(router: &PolicyReport) -> String {
    let mut html = String::from("<ul class=\"checks\">\n");
    for difference in &router.differences {
        let with = match difference.to.as_str() {
            "zero_router" => "mixing single models without looking at requests (zero router)",
            "lookup" => "a lookup that is told each request's label",
            "best_single" => "always the best single model",
            other => other,
        };
        for (metric, figure) in &difference.values {
            let name = match metric {
                Metric::Aiq => "average quality over costs (AIQ)",
                Metric::Apgr => "gap recovered (APGR)",
                Metric::QualityAtLambda0 if difference.to == "best_single" => {
                    "quality when cost does not count"
                }
                _ => continue,
            };
            let (class, verdict) = verdict(*figure);
            let end = |end: Option<f64>| {
                end.map_or_else(|| "open".to_owned(), |end| format!("{:+.2}", 100.0 * end))
            };
            let _ = writeln!(
                html,
                "<li class=\"{class}\"><span>{verdict} than {with}: {name} {:+.2} points \
                 <span class=\"soft\">[{}, {}]</span></span></li>",
                100.0 * figure.value,
                end(figure.low),
                end(figure.high)
            );
        }
    }
    html.push_str("</ul>\n");
    html
}

fn verdict(figure: Interval) -> (&'static str, &'static str) {
    if figure.low.is_some_and(|low| low > 0.0) {
        ("good", "Better")
    } else if figure.high.is_some_and(|high| high < 0.0) {
        ("bad", "Worse")
    } else {
        ("even", "Not clearly better or worse")
    }
}
