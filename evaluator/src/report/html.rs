//! `report.html`: one file that needs no network.

mod first;
mod tables;

use std::fmt::Write as _;

use super::chart::{self, ChartError};
use super::format::{count, escape};
use super::{CalibrationReport, PolicyReport, Report};

/// A figure under its file name, without the ending.
pub struct Figure {
    /// E.g. `frontier`.
    pub name: String,
    /// The drawing.
    pub svg: String,
}

/// Draws all figures of a report.
///
/// # Errors
///
/// If drawing fails.
pub fn figures(report: &Report) -> Result<Vec<Figure>, ChartError> {
    let mut figures = Vec::new();
    let mut push = |name: String, svg: String| figures.push(Figure { name, svg });
    if let Some(svg) = chart::frontier(report)? {
        push("frontier".to_owned(), svg);
    }
    if let Some(svg) = chart::two_model(report)? {
        push("two-model".to_owned(), svg);
    }
    for (i, router) in report.routers.iter().enumerate() {
        let Some(calibration) = &router.calibration else { continue };
        let suffix = if i == 0 { String::new() } else { format!("-{}", i + 1) };
        let labels = ("predicted quality", "observed quality");
        let svg = chart::reliability(&calibration.pooled, labels, (0.0, 1.0))?;
        push(format!("calibration{suffix}"), svg);
        let labels = ("predicted uplift", "observed uplift");
        let svg = chart::reliability(&calibration.uplift, labels, uplift_range(calibration))?;
        push(format!("uplift{suffix}"), svg);
    }
    Ok(figures)
}

fn uplift_range(calibration: &CalibrationReport) -> (f64, f64) {
    let ends = || calibration.uplift.iter().flat_map(|bin| [bin.predicted, bin.observed]);
    let low = ends().fold(0.0, f64::min);
    let high = ends().fold(0.1, f64::max);
    let tenth = |value: f64, round: fn(f64) -> f64| round(10.0 * value) / 10.0;
    (tenth(low, f64::floor), tenth(high, f64::ceil))
}

/// The report as one HTML document with its figures inside.
pub fn to_html(report: &Report, figures: &[Figure]) -> String {
    let mut page = String::new();
    let title = format!("Sextant benchmark: {}", escape(&report.dataset));
    let style = include_str!("style.css");
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
    );
    page.push_str(&first::screen(report));
    let figure = |name: &str| figures.iter().find(|figure| figure.name == name);
    if let Some(figure) = figure("frontier") {
        heading(&mut page, "Cost against quality");
        embed(
            &mut page,
            figure,
            "Up and to the left is better. Each curve is a sweep over the exchange rate between \
             quality and cost, drawn on the judged requests; the shaded band is the 95 % interval \
             of the router. Large dots are operating points chosen in training. Gray dots are the \
             single models with their 95 % intervals. The oracle sees all outcomes and cannot be \
             deployed.",
        );
    }
    if let Some(figure) = figure("two-model") {
        heading(&mut page, "How many strong calls recover how much");
        embed(
            &mut page,
            figure,
            "The share of the quality gap between the weak and the strong model that is recovered \
             when the requests of highest score go to the strong model.",
        );
    }
    page.push_str(&tables::savings(report));
    page.push_str(&tables::policies(report));
    page.push_str(&tables::differences(report));
    for (i, router) in report.routers.iter().enumerate() {
        calibration(&mut page, router, i, figures);
        page.push_str(&tables::tasks(router, report));
    }
    page.push_str(&tables::models(report));
    page.push_str(&provenance(report));
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn heading(page: &mut String, text: &str) {
    let _ = writeln!(page, "<h2>{}</h2>", escape(text));
}

/// The drawing in the colors of the page.
fn embed(page: &mut String, figure: &Figure, caption: &str) {
    let hex = |color: plotters::style::RGBColor| {
        format!("#{:02X}{:02X}{:02X}", color.0, color.1, color.2)
    };
    let svg = figure
        .svg
        .replace(&hex(chart::INK), "var(--soft)")
        .replace(&hex(chart::GRID), "var(--line)")
        .replace(&hex(chart::ROUTERS[0]), "var(--router)")
        .replacen("<svg ", "<svg role=\"img\" ", 1);
    let _ = writeln!(page, "<figure>{svg}<figcaption>{}</figcaption></figure>", escape(caption));
}

fn calibration(page: &mut String, router: &PolicyReport, i: usize, figures: &[Figure]) {
    let Some(calibration) = &router.calibration else { return };
    heading(page, &format!("Calibration of {}", router.name));
    page.push_str(
        "<p>Whether a predicted quality of 0.8 means that 80 % of such answers are good. Points \
         on the diagonal are honest.</p>\n<div class=\"two\">\n",
    );
    let suffix = if i == 0 { String::new() } else { format!("-{}", i + 1) };
    let captions = [
        ("calibration", "All predictions of all models, in 15 bins of equal count.".to_owned()),
        (
            "uplift",
            format!(
                "Predicted and realised difference of {} over {}: what routing acts on.",
                calibration.uplift_models.0, calibration.uplift_models.1
            ),
        ),
    ];
    for (name, caption) in captions {
        let name = format!("{name}{suffix}");
        if let Some(figure) = figures.iter().find(|figure| figure.name == name) {
            embed(page, figure, &caption);
        }
    }
    page.push_str("</div>\n");
    page.push_str(&tables::calibration(calibration));
}

fn provenance(report: &Report) -> String {
    let mut html = String::from("<h2>Where these numbers come from</h2>\n<dl>\n");
    let mut item = |name: &str, text: String| {
        let _ = writeln!(html, "<dt>{}</dt><dd>{text}</dd>", escape(name));
    };
    item("data", escape(&report.dataset));
    for source in &report.sources {
        item(
            &escape(&source.name),
            format!("{} rows, SHA-256 <code>{}</code>", count(source.n_rows), source.sha256),
        );
    }
    item(
        "requests",
        format!(
            "{} judged in {} groups; {} left out because an outcome was unknown",
            count(report.n_requests),
            count(report.n_groups),
            count(report.n_dropped)
        ),
    );
    if !report.unpriced.is_empty() {
        item("no cost figures", format!("no known cost: {}", escape(&report.unpriced.join(", "))));
    }
    let folds: Vec<String> = report.folds.iter().map(ToString::to_string).collect();
    item("folds", folds.join(", "));
    item("baselines", escape(&report.baselines_fitted));
    for router in &report.routers {
        let artifacts: Vec<String> =
            router.artifacts.iter().map(|a| format!("<code>{}</code>", escape(a))).collect();
        let text = format!("{}: {}", artifacts.join(" "), escape(&router.note));
        item(&router.name, text);
    }
    item(
        "intervals",
        format!(
            "95 % percentile bootstrap over groups, {} paired draws, seed {}; they cover the \
             sampling of requests, not the randomness of training",
            count(report.replicates),
            report.seed
        ),
    );
    item(
        "undefined figures",
        "left out: a dash means not reached or not applicable, n/r an end that more than 2.5 % of \
         draws do not reach"
            .to_owned(),
    );
    item("evaluator", env!("CARGO_PKG_VERSION").to_owned());
    html.push_str("</dl>\n");
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::ModelReport;

    #[test]
    fn names_from_the_data_cannot_inject_markup() {
        let report = Report {
            dataset: "<script>alert(1)</script>".to_owned(),
            reference: "<b>".to_owned(),
            models: vec![ModelReport { id: "<img>".to_owned(), ..ModelReport::default() }],
            routers: vec![PolicyReport { name: "<i>".to_owned(), ..PolicyReport::default() }],
            ..Report::default()
        };
        let html = to_html(&report, &figures(&report).unwrap());
        for markup in ["<script", "<b>", "<img>", "<i>", "http://", "https://"] {
            assert!(!html.contains(markup), "{markup}");
        }
    }

    #[test]
    fn costs_of_nothing_are_not_called_unknown() {
        let page = |cheapest: Option<&str>| {
            let routers = vec![PolicyReport::default()];
            let cheapest = cheapest.map(ToOwned::to_owned);
            to_html(&Report { cheapest, routers, ..Report::default() }, &[])
        };
        assert!(page(None).contains("Costs are unknown"));
        let free = page(Some("free"));
        assert!(!free.contains("Costs are unknown") && free.contains("costs nothing"));
    }
}
