//! What `trainer fit` tells a person.

use std::fmt::Write as _;

use crate::run::Metrics;

/// A few lines: what was fitted, and what it promises on held-out rows.
pub fn text(metrics: &Metrics, n_fold_routers: usize) -> String {
    let mut text =
        format!("fitted {} models on {} requests", metrics.models.len(), metrics.n_requests);
    if n_fold_routers > 0 {
        let _ = write!(text, ", and {n_fold_routers} fold routers");
    }
    let _ = writeln!(text, "; reference model: {}", metrics.reference);
    if metrics.shuffle_labels {
        let _ = writeln!(text, "NEGATIVE CONTROL: outcomes were shuffled; not to be served");
    }
    if let Some(partial) = &metrics.partial {
        partial.lines().into_iter().for_each(|line| text += &format!("{line}\n"));
    }
    let _ = writeln!(text, "operating points, chosen on held-out rows:");
    let _ = writeln!(text, "  {:<18} {:>9} {:>10} {:>10}", "target", "lambda", "retention", "cost");
    for point in &metrics.operating_points {
        let cost =
            point.cost_ratio.map_or_else(|| "unknown".to_owned(), |c| format!("{:.1}%", 100.0 * c));
        let note = if point.reached { "" } else { "  not reached: the best there is" };
        let _ = writeln!(
            text,
            "  {:<18} {:>9.4} {:>9.1}% {:>10}{note}",
            point.name,
            point.lambda,
            100.0 * point.retention,
            cost
        );
    }
    let _ = writeln!(text, "predictors on held-out rows, by mean utility over several lambda:");
    let _ = writeln!(text, "  {:<20} {:>9} {:>12}", "parts", "utility", "behind best");
    for candidate in &metrics.candidates {
        let _ = writeln!(
            text,
            "  {:<20} {:>9.4} {:>12}{}",
            candidate.name,
            candidate.utility,
            format!("{:.4}±{:.4}", candidate.loss, candidate.standard_error),
            if candidate.chosen { "  taken" } else { "" }
        );
    }
    let mixed: Vec<f64> = metrics.costs.iter().flatten().map(|mix| mix.explained).collect();
    if !mixed.is_empty() {
        let _ = writeln!(
            text,
            "costs of {} of {} models by the bag too: {:.1}% less deviance on average",
            mixed.len(),
            metrics.costs.len(),
            100.0 * mixed.iter().sum::<f64>() / mixed.len() as f64
        );
    }
    if let Some(recall) = metrics.neighbors_recall {
        let _ = writeln!(text, "the search finds {:.1}% of the nearest neighbors", 100.0 * recall);
    }
    for (name, metric) in &metrics.held_out {
        let _ = writeln!(text, "  {name:<24} {:.4} {}", metric.value, metric.unit);
    }
    text.pop();
    text
}
