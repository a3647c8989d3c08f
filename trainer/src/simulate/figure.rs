//! The figure: quality, spend and the price of money over the rounds.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::policy::PolicyKind;
use super::report::{Point, PolicyReport, Simulation, window};

const INK: RGBColor = RGBColor(91, 102, 117);
const GRID: RGBColor = RGBColor(223, 228, 234);
const WIDTH: u32 = 980;
const PANEL: u32 = 260;
const LEGEND: u32 = 40;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

fn color(policy: PolicyKind) -> RGBColor {
    match policy {
        PolicyKind::Thompson => RGBColor(31, 95, 214),
        PolicyKind::SquareCb => RGBColor(204, 51, 102),
        PolicyKind::EpsilonGreedy => RGBColor(0, 130, 140),
        PolicyKind::Offline => RGBColor(221, 132, 36),
        PolicyKind::Uniform => RGBColor(160, 110, 70),
        PolicyKind::BestSingle => RGBColor(48, 150, 92),
        PolicyKind::Cheapest => RGBColor(120, 130, 142),
        PolicyKind::Oracle => RGBColor(178, 124, 204),
    }
}

/// A panel: what is drawn of each point, of which policies, and the value that is marked.
struct Panel {
    title: String,
    of: fn(&Point) -> Option<f64>,
    only_paced: bool,
    mark: Option<f64>,
    decimals: usize,
}

fn panels(simulation: &Simulation) -> Vec<Panel> {
    let quality = Panel {
        title: format!("expected quality, mean of {} rounds", window(simulation.n_rounds)),
        of: |point| Some(point.reward),
        only_paced: false,
        mark: None,
        decimals: 2,
    };
    if simulation.options.budget.is_none() {
        return vec![quality];
    }
    let spend = Panel {
        title: "spend so far, share of the budget".to_owned(),
        of: |point| point.utilization,
        only_paced: true,
        mark: Some(1.0),
        decimals: 2,
    };
    let price = Panel {
        title: "price of money, λ".to_owned(),
        of: |point| Some(point.lambda),
        only_paced: true,
        mark: None,
        decimals: 2,
    };
    vec![quality, spend, price]
}

/// Draws a finished simulation as SVG.
///
/// # Errors
///
/// If drawing fails.
pub fn draw(simulation: &Simulation) -> Result<String> {
    let panels = panels(simulation);
    let height = LEGEND + PANEL * u32::try_from(panels.len())?;
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (WIDTH, height)).into_drawing_area();
        all(&area, simulation, &panels)
            .and_then(|()| Ok(area.present()?))
            .map_err(|error| anyhow!("cannot draw the simulation: {error}"))?;
    }
    Ok(text)
}

fn all(area: &Area<'_>, simulation: &Simulation, panels: &[Panel]) -> Drawn {
    area.fill(&WHITE)?;
    let (top, rest) = area.split_vertically(LEGEND);
    let width = i32::try_from(WIDTH)?;
    let slot = (width - 70) / i32::try_from(simulation.policies.len().max(1))?;
    for (i, policy) in simulation.policies.iter().enumerate() {
        let x = 66 + slot * i32::try_from(i)?;
        let line = [(x, 24), (x + 18, 24)];
        top.draw(&PathElement::new(line.to_vec(), color(policy.policy).stroke_width(3)))?;
        let name = policy.policy.name().replace('_', " ");
        top.draw(&Text::new(name, (x + 23, 17), text(13)))?;
    }
    for (panel, area) in panels.iter().zip(rest.split_evenly((panels.len(), 1))) {
        draw_panel(&area, simulation, panel)?;
    }
    Ok(())
}

fn text(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

fn draw_panel(area: &Area<'_>, simulation: &Simulation, panel: &Panel) -> Drawn {
    let is_shown = |policy: &&PolicyReport| policy.policy.is_paced() || !panel.only_paced;
    let shown: Vec<&PolicyReport> = simulation.policies.iter().filter(is_shown).collect();
    let points = |policy: &PolicyReport| -> Vec<(f64, f64)> {
        let at = |point: &Point| Some((point.round as f64, (panel.of)(point)?));
        policy.series.iter().filter_map(at).collect()
    };
    let values = || shown.iter().flat_map(|policy| points(policy)).map(|(_, y)| y);
    let low = values().chain(panel.mark).fold(f64::INFINITY, f64::min).min(f64::MAX);
    let high = values().chain(panel.mark).fold(f64::NEG_INFINITY, f64::max).max(low);
    let margin = (0.08 * (high - low)).max(0.005);
    let n_rounds = simulation.n_rounds as f64;
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .margin_right(18)
        .caption(&panel.title, text(14))
        .x_label_area_size(26)
        .y_label_area_size(58)
        .build_cartesian_2d(0.0..n_rounds, (low - margin)..(high + margin))?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .label_style(text(13))
        .x_labels(9)
        .y_labels(6)
        .x_label_formatter(&|round| format!("{round:.0}"))
        .y_label_formatter(&|value| format!("{value:.*}", panel.decimals))
        .draw()?;
    for turn in &simulation.turns {
        let x = *turn as f64;
        let line = [(x, low - margin), (x, high + margin)];
        chart.draw_series(DashedLineSeries::new(line, 5, 4, INK.stroke_width(1)))?;
    }
    if let Some(mark) = panel.mark {
        let line = [(0.0, mark), (n_rounds, mark)];
        chart.draw_series(DashedLineSeries::new(line, 5, 4, INK.stroke_width(1)))?;
    }
    // What learns comes last, on top.
    for policy in shown.iter().rev() {
        let style = color(policy.policy).stroke_width(2);
        chart.draw_series(LineSeries::new(points(policy), style))?;
    }
    Ok(())
}
