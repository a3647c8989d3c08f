//! Learning curves of a run, as a table and as a figure.

use std::fmt::Write as _;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::Epoch;
use super::targets::KINDS;

const INK: RGBColor = RGBColor(91, 102, 117);
const GRID: RGBColor = RGBColor(223, 228, 234);
const FIRST: RGBColor = RGBColor(31, 95, 214);
const OTHERS: RGBColor = RGBColor(160, 178, 204);
const WIDTH: u32 = 980;
const PANEL: u32 = 220;
const LEGEND: u32 = 40;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// The learning curve of one network of one router.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// `all`, or the fold that the router did not see.
    pub router: String,
    /// Which of its networks.
    pub network: usize,
    /// From the linear start on.
    pub epochs: Vec<Epoch>,
}

/// A loss of an epoch, by kind or their sum.
fn loss(losses: &[f64; 5], kind: Option<usize>) -> f64 {
    kind.map_or_else(|| losses.iter().sum(), |kind| losses[kind])
}

/// CSV: router, network, epoch, then the held-out and the fitted loss of each kind.
pub fn csv(curves: &[Curve]) -> String {
    let mut text = "router,network,epoch".to_owned();
    for side in ["held", "fitted"] {
        for kind in KINDS {
            let _ = write!(text, ",{side}_{kind}");
        }
    }
    for curve in curves {
        for epoch in &curve.epochs {
            let _ = write!(text, "\n{},{},{}", curve.router, curve.network, epoch.epoch);
            for value in epoch.held.iter().chain(&epoch.fitted) {
                let _ = write!(text, ",{value}");
            }
        }
    }
    text.push('\n');
    text
}

/// SVG: the sum of the losses, and each kind of loss that there is, over the epochs; held-out rows
/// as thick lines, fitted rows as thin ones.
///
/// # Errors
///
/// If drawing fails.
pub fn svg(curves: &[Curve]) -> Result<String> {
    let epochs = || curves.iter().flat_map(|curve| &curve.epochs);
    let is_there = |kind: &usize| epochs().any(|epoch| epoch.held[*kind] > 0.0);
    let kinds: Vec<Option<usize>> =
        std::iter::once(None).chain((0..KINDS.len()).filter(is_there).map(Some)).collect();
    let height = LEGEND + PANEL * u32::try_from(kinds.len())?;
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (WIDTH, height)).into_drawing_area();
        all(&area, curves, &kinds)
            .and_then(|()| Ok(area.present()?))
            .map_err(|error| anyhow!("cannot draw the learning curves: {error}"))?;
    }
    Ok(text)
}

fn all(area: &Area<'_>, curves: &[Curve], kinds: &[Option<usize>]) -> Drawn {
    area.fill(&WHITE)?;
    let (top, rest) = area.split_vertically(LEGEND);
    let legend = "held-out loss (thick) and fitted loss (thin); blue: the router for all rows";
    top.draw(&Text::new(legend, (66, 14), font(13)))?;
    for (kind, area) in kinds.iter().zip(rest.split_evenly((kinds.len(), 1))) {
        panel(&area, curves, *kind)?;
    }
    Ok(())
}

fn font(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

fn panel(area: &Area<'_>, curves: &[Curve], kind: Option<usize>) -> Drawn {
    let epochs = || curves.iter().flat_map(|curve| &curve.epochs);
    let values = || epochs().flat_map(|epoch| [&epoch.held, &epoch.fitted]).map(|l| loss(l, kind));
    let (low, high) = values().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
    let margin = (0.08 * (high - low)).max(1e-4);
    let last = epochs().map(|epoch| epoch.epoch).max().unwrap_or(0).max(1) as f64;
    let title = kind.map_or("sum of all losses", |kind| KINDS[kind]);
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .margin_right(18)
        .caption(title, font(14))
        .x_label_area_size(26)
        .y_label_area_size(58)
        .build_cartesian_2d(0.0..last, (low - margin)..(high + margin))?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .label_style(font(13))
        .y_labels(5)
        .x_label_formatter(&|epoch| format!("{epoch:.0}"))
        .y_label_formatter(&|value| format!("{value:.3}"))
        .draw()?;
    // The router for all rows comes last, on top.
    let (first, others): (Vec<&Curve>, Vec<&Curve>) =
        curves.iter().partition(|curve| curve.router == "all");
    for curve in others.into_iter().chain(first) {
        let color = if curve.router == "all" { FIRST } else { OTHERS };
        let at = |of: fn(&Epoch) -> &[f64; 5]| -> Vec<(f64, f64)> {
            curve.epochs.iter().map(|e| (e.epoch as f64, loss(of(e), kind))).collect()
        };
        chart.draw_series(LineSeries::new(at(|e| &e.held), color.stroke_width(2)))?;
        let fitted = at(|e| &e.fitted);
        chart.draw_series(LineSeries::new(fitted, color.stroke_width(1)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_per_epoch_and_a_panel_per_kind_that_there_is() {
        let epoch = |epoch: usize| Epoch {
            epoch,
            held: [0.1, 0.2, 0.0, 0.25, 0.5],
            fitted: [0.5, 0.4, 0.0, 0.3, 0.2],
        };
        let curve = |router: &str| Curve {
            router: router.to_owned(),
            network: 0,
            epochs: (0..3).map(epoch).collect(),
        };
        let curves = [curve("fold-0"), curve("all")];
        let table = csv(&curves);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 1 + 2 * 3);
        assert!(lines[0].starts_with("router,network,epoch,held_shared"), "{}", lines[0]);
        assert_eq!(lines[6], "all,0,2,0.1,0.2,0,0.25,0.5,0.5,0.4,0,0.3,0.2");
        let figure = svg(&curves).unwrap();
        assert!(figure.contains("sum of all losses") && figure.contains("costs"));
        assert!(!figure.contains("complexity"), "nobody learned it");
    }
}
