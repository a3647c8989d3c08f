//! The abstention curve as SVG.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

const INK: RGBColor = RGBColor(91, 102, 117);
const GRID: RGBColor = RGBColor(223, 228, 234);
const COLORS: [RGBColor; 2] = [RGBColor(31, 95, 214), RGBColor(204, 51, 102)];
/// Points of a curve that are drawn: more would not be seen.
const MAX_POINTS: usize = 400;

/// A curve, by name.
pub type Named<'a> = (&'a str, &'a [(f64, f64)]);

/// Coverage against accuracy of the most confident prompts, and the accuracy that is wanted.
///
/// # Errors
///
/// If the drawing library fails.
pub fn abstention(curves: &[Named<'_>], wanted: f64) -> Result<String> {
    let mut svg = String::new();
    draw(&mut svg, curves, wanted).map_err(|e| anyhow!("cannot draw the abstention curve: {e}"))?;
    Ok(svg)
}

fn draw(
    svg: &mut String,
    curves: &[Named<'_>],
    wanted: f64,
) -> Result<(), Box<dyn std::error::Error>> {
    let accuracies = curves.iter().flat_map(|(_, curve)| curve.iter().map(|point| point.1));
    let lowest = accuracies.fold(wanted, f64::min);
    let bottom = ((lowest * 20.0).floor() / 20.0 - 0.05).max(0.0);
    let text = |size: i32| ("sans-serif", size).into_font().color(&INK);
    let area = SVGBackend::with_string(svg, (720, 440)).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(58)
        .build_cartesian_2d(0.0..1.0, bottom..1.0)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style(text(13))
        .x_desc("share of prompts that get a label")
        .y_desc("share of right labels")
        .draw()?;
    chart.draw_series([PathElement::new([(0.0, wanted), (1.0, wanted)], INK)])?;
    for (at, (name, curve)) in curves.iter().enumerate() {
        let color = COLORS[at % COLORS.len()];
        // The first few prompts say nothing of an accuracy.
        let step = curve.len().div_ceil(MAX_POINTS).max(1);
        let mut points: Vec<(f64, f64)> = curve.iter().skip(19).step_by(step).copied().collect();
        points.extend(curve.last());
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .label_font(text(13))
        .border_style(GRID)
        .draw()?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_curve_is_drawn_and_named() {
        let curve: Vec<(f64, f64)> =
            (1..=100).map(|i| (f64::from(i) / 100.0, 1.0 - f64::from(i) / 300.0)).collect();
        let svg = abstention(&[("all", &curve), ("natural", &curve)], 0.92).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(svg.matches("<polyline").count() >= 3, "{svg}");
        assert!(svg.contains("natural"));
    }
}
