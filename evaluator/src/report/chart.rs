//! Figures as SVG. They draw a finished report and compute nothing but axes.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{CurvePoint, PolicyReport, Report};
use crate::metric::calibration::Bin;
use crate::metric::hull::{Hull, Point};

/// Ink of axes and text; the HTML report replaces it by the color of its theme.
pub const INK: RGBColor = RGBColor(91, 102, 117);
/// Lines of the grid; replaced likewise.
pub const GRID: RGBColor = RGBColor(223, 228, 234);

/// Colors of routers; the first is replaced likewise.
pub const ROUTERS: [RGBColor; 4] =
    [RGBColor(31, 95, 214), RGBColor(204, 51, 102), RGBColor(0, 130, 140), RGBColor(110, 60, 160)];
const LOOKUP: RGBColor = RGBColor(221, 132, 36);
const KNN: RGBColor = RGBColor(48, 150, 92);
const ZERO: RGBColor = RGBColor(120, 130, 142);
const ORACLE: RGBColor = RGBColor(178, 124, 204);
const LENGTH: RGBColor = RGBColor(160, 110, 70);

/// Why a figure could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw {figure}: {reason}")]
pub struct ChartError {
    /// Which one.
    pub figure: &'static str,
    /// What the drawing library said.
    pub reason: String,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn svg(
    figure: &'static str,
    size: (u32, u32),
    draw: impl Fn(&Area<'_>) -> Result<(), Box<dyn std::error::Error>>,
) -> Result<String, ChartError> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        draw(&area).map_err(|error| ChartError { figure, reason: error.to_string() })?;
        area.present().map_err(|error| ChartError { figure, reason: error.to_string() })?;
    }
    Ok(text)
}

fn text(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

fn color_of(report: &Report, policy: &PolicyReport) -> RGBColor {
    match policy.name.as_str() {
        "lookup" => LOOKUP,
        "knn" => KNN,
        "oracle" => ORACLE,
        "length" => LENGTH,
        name => report
            .routers
            .iter()
            .position(|router| router.name == name)
            .map_or(ZERO, |i| ROUTERS[i % ROUTERS.len()]),
    }
}

/// The policies that are drawn as curves: what matters most comes last, on top.
fn curves(report: &Report) -> Vec<&PolicyReport> {
    let named = |name: &str| report.baselines.iter().find(|policy| policy.name == name);
    let baselines = ["oracle", "zero_router", "knn", "lookup"].into_iter().filter_map(named);
    baselines.chain(&report.routers).collect()
}

fn plain(policy: &PolicyReport) -> Vec<Point> {
    policy.curve.iter().map(|at| at.point).collect()
}

/// Cost against quality: routers with their bands, baselines, single models with their intervals.
/// `None` if costs are unknown or all 0, which no logarithm can show; a single cost of 0 lies on
/// the left edge.
///
/// # Errors
///
/// If drawing fails.
#[expect(clippy::too_many_lines, reason = "one drawing, from axes to labels, in drawing order")]
pub fn frontier(report: &Report) -> Result<Option<String>, ChartError> {
    if report.cheapest.is_none() {
        return Ok(None);
    }
    let shown = curves(report);
    let all = shown.iter().flat_map(|policy| plain(policy));
    let singles = report
        .models
        .iter()
        .filter_map(|model| Some(Point { cost: model.cost?, quality: model.quality }));
    let points: Vec<Point> = all.chain(singles).filter(|point| point.cost > 0.0).collect();
    if points.is_empty() {
        return Ok(None);
    }
    let fold = |of: fn(&Point) -> f64| {
        let values = || points.iter().map(of);
        (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max))
    };
    let ((c_lo, c_hi), (q_lo, q_hi)) = (fold(|p| 1000.0 * p.cost), fold(|p| p.quality));
    let margin = 0.06 * (q_hi - q_lo).max(0.01);
    let left = c_lo / 1.25;
    let x = (left..(c_hi * 1.25)).log_scale();
    let y = (q_lo - margin).max(0.0)..(q_hi + margin).min(1.0);
    svg("the frontier", (980, 540), |area| {
        let plot = legend(area, shown.iter().rev().map(|policy| entry(report, policy)))?;
        let mut chart = ChartBuilder::on(&plot)
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(58)
            .build_cartesian_2d(x.clone(), y.clone())?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(GRID)
            .label_style(text(14))
            .axis_desc_style(text(14))
            .x_desc("dollars per 1,000 requests (logarithmic)")
            .y_desc("quality")
            .x_label_formatter(&dollars)
            .y_label_formatter(&|quality| format!("{quality:.2}"))
            .draw()?;
        for model in &report.models {
            let Some(cost) = model.cost.map(|cost| (1000.0 * cost).max(left)) else { continue };
            let (low, high) = model.band.unwrap_or((model.quality, model.quality));
            chart.draw_series(LineSeries::new([(cost, low), (cost, high)], ZERO.mix(0.55)))?;
            chart.draw_series([Circle::new((cost, model.quality), 3, ZERO.filled())])?;
        }
        for policy in &shown {
            let color = color_of(report, policy);
            let is_router = report.routers.iter().any(|router| router.name == policy.name);
            let curve = within(&policy.curve, left / 1000.0);
            if is_router {
                chart.draw_series(std::iter::once(Polygon::new(
                    band(&curve),
                    color.mix(0.14).filled(),
                )))?;
            }
            let line: Vec<(f64, f64)> =
                if policy.name == "zero_router" { mixed(&curve) } else { staircase(&curve) };
            let width = if is_router { 3 } else { 2 };
            chart.draw_series(LineSeries::new(line, color.stroke_width(width)))?;
            if is_router {
                let marks = marks(policy, report);
                chart.draw_series(
                    marks.iter().map(|(x, y, _)| Circle::new((*x, *y), 6, color.filled())),
                )?;
                chart.draw_series(marks.iter().map(|(x, y, name)| {
                    Text::new(name.clone(), (*x * 1.03, *y - 0.35 * margin), text(14))
                }))?;
            }
        }
        Ok(())
    })
    .map(Some)
}

/// Names of curves in one row above a plot, where they hide nothing; the plot gets the rest.
fn legend<'a>(
    area: &Area<'a>,
    entries: impl Iterator<Item = (String, RGBColor)>,
) -> Result<Area<'a>, Box<dyn std::error::Error>> {
    let (row, plot) = area.split_vertically(30);
    let mut x = 70;
    for (name, color) in entries {
        row.draw(&PathElement::new([(x, 18), (x + 22, 18)], color.stroke_width(3)))?;
        row.draw(&Text::new(name.clone(), (x + 28, 11), text(14)))?;
        x += 54 + 7 * i32::try_from(name.chars().count())?;
    }
    Ok(plot)
}

fn entry(report: &Report, policy: &PolicyReport) -> (String, RGBColor) {
    (policy.name.replace('_', " "), color_of(report, policy))
}

/// A label at 1, 2 and 5 of each decade; elsewhere they would overlap.
fn dollars(value: &f64) -> String {
    let decade = 10f64.powf(value.log10().floor());
    let leading = (value / decade).round();
    if [1.0, 2.0, 5.0].iter().any(|digit: &f64| (leading - digit).abs() < 0.5) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 9")]
        let decimals = (-decade.log10().round()).clamp(0.0, 9.0) as usize;
        format!("${:.decimals$}", leading * decade)
    } else {
        String::new()
    }
}

/// The points of a curve, none left of `cost` dollars per request.
fn within(curve: &[CurvePoint], cost: f64) -> Vec<CurvePoint> {
    let mut moved = curve.to_vec();
    for at in &mut moved {
        at.point.cost = at.point.cost.max(cost);
    }
    moved
}

/// The points of a sweep from cheap to dear, without those that cost more for less.
fn staircase(curve: &[CurvePoint]) -> Vec<(f64, f64)> {
    ordered(curve).iter().map(|at| (1000.0 * at.point.cost, at.point.quality)).collect()
}

fn ordered(curve: &[CurvePoint]) -> Vec<CurvePoint> {
    let mut sorted: Vec<CurvePoint> = curve.to_vec();
    sorted.sort_by(|a, b| a.point.cost.total_cmp(&b.point.cost));
    let mut best = f64::NEG_INFINITY;
    sorted.retain(|at| {
        let rises = at.point.quality >= best;
        best = best.max(at.point.quality);
        rises
    });
    sorted
}

/// The hull of a curve with the mixes between its corners: straight in cost, curved in its logarithm.
fn mixed(curve: &[CurvePoint]) -> Vec<(f64, f64)> {
    let hull = Hull::new(&curve.iter().map(|at| at.point).collect::<Vec<_>>());
    let (Some(first), Some(last)) = (hull.points().first(), hull.points().last()) else {
        return Vec::new();
    };
    let ratio = (last.cost / first.cost).max(1.0);
    let cost = |i: i32| first.cost * ratio.powf(f64::from(i) / 120.0);
    (0..=120)
        .filter_map(|i| Some((1000.0 * cost(i), hull.quality_at(cost(i).min(last.cost))?)))
        .collect()
}

fn band(curve: &[CurvePoint]) -> Vec<(f64, f64)> {
    let at = ordered(curve);
    let end = |at: &CurvePoint, of: fn((f64, f64)) -> f64| {
        (1000.0 * at.point.cost, at.band.map_or(at.point.quality, of))
    };
    let upper = at.iter().map(|at| end(at, |band| band.1));
    let lower = at.iter().rev().map(|at| end(at, |band| band.0));
    upper.chain(lower).collect()
}

/// Where the validated points of a router lie, in dollars per 1,000 requests.
fn marks(policy: &PolicyReport, report: &Report) -> Vec<(f64, f64, String)> {
    let reference = report.models.iter().find(|model| model.id == report.reference);
    let Some((quality, cost)) = reference.and_then(|m| Some((m.quality, m.cost?))) else {
        return Vec::new();
    };
    ["0.90", "0.95", "0.99"]
        .iter()
        .filter_map(|target| {
            let point =
                policy.validated.iter().find(|p| p.name == format!("retention={target}"))?;
            let x = 1000.0 * cost * point.cost_ratio?.value;
            let percent = target.trim_start_matches("0.");
            let mark = (x, quality * point.retention?.value, format!("{percent} %"));
            (x > 0.0).then_some(mark)
        })
        .collect()
}

/// Predicted against observed, in bins of equal count.
///
/// # Errors
///
/// If drawing fails.
pub fn reliability(
    bins: &[Bin],
    labels: (&str, &str),
    range: (f64, f64),
) -> Result<String, ChartError> {
    svg("calibration", (480, 400), |area| {
        let axis = range.0..range.1;
        let mut chart = ChartBuilder::on(area)
            .margin(10)
            .x_label_area_size(44)
            .y_label_area_size(56)
            .build_cartesian_2d(axis.clone(), axis)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(GRID)
            .label_style(text(13))
            .axis_desc_style(text(14))
            .x_labels(6)
            .y_labels(6)
            .x_desc(labels.0)
            .y_desc(labels.1)
            .x_label_formatter(&|v| format!("{v:.1}"))
            .y_label_formatter(&|v| format!("{v:.1}"))
            .draw()?;
        let diagonal = [(range.0, range.0), (range.1, range.1)];
        chart.draw_series(LineSeries::new(diagonal, ZERO.stroke_width(1)))?;
        let points: Vec<(f64, f64)> = bins.iter().map(|b| (b.predicted, b.observed)).collect();
        chart.draw_series(LineSeries::new(points.clone(), ROUTERS[0].stroke_width(2)))?;
        chart.draw_series(points.into_iter().map(|p| Circle::new(p, 4, ROUTERS[0].filled())))?;
        Ok(())
    })
}

/// Share of the quality gap recovered against the share of strong calls. `None` if there are not
/// two models.
///
/// # Errors
///
/// If drawing fails.
pub fn two_model(report: &Report) -> Result<Option<String>, ChartError> {
    let named = |name: &str| report.baselines.iter().find(|policy| policy.name == name);
    let baselines = ["length", "knn", "lookup"].into_iter().filter_map(named);
    let shown: Vec<&PolicyReport> =
        baselines.chain(&report.routers).filter(|policy| !policy.two_model.is_empty()).collect();
    if shown.is_empty() {
        return Ok(None);
    }
    let points = || shown.iter().flat_map(|policy| policy.two_model.iter().map(|p| p.1));
    let (low, high) = (points().fold(0.0, f64::min), points().fold(1.0, f64::max));
    svg("the two-model curve", (980, 460), |area| {
        let names = shown.iter().rev().map(|policy| entry(report, policy));
        let plot = legend(area, names.chain([("random".to_owned(), ZERO)]))?;
        let mut chart = ChartBuilder::on(&plot)
            .margin(12)
            .margin_right(30)
            .x_label_area_size(44)
            .y_label_area_size(58)
            .build_cartesian_2d(0.0..1.0, (low - 0.02)..(high + 0.05))?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(GRID)
            .label_style(text(14))
            .axis_desc_style(text(14))
            .x_desc("share of requests sent to the strong model")
            .y_desc("share of the quality gap recovered")
            .x_label_formatter(&|share| format!("{:.0} %", 100.0 * share))
            .y_label_formatter(&|share| format!("{:.0} %", 100.0 * share))
            .draw()?;
        chart.draw_series(LineSeries::new([(0.0, 0.0), (1.0, 1.0)], ZERO.stroke_width(2)))?;
        for policy in &shown {
            let color = color_of(report, policy);
            let is_router = report.routers.iter().any(|router| router.name == policy.name);
            let width = if is_router { 3 } else { 2 };
            let line = policy.two_model.iter().copied();
            chart.draw_series(LineSeries::new(line, color.stroke_width(width)))?;
        }
        Ok(())
    })
    .map(Some)
}

#[cfg(test)]
mod tests;
