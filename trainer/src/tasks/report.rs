//! What was measured of a task classifier: `tasks.json` and `report.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::encoded::report::{self as encoder, EncoderReport};
use super::evaluate::{Figure, Figures};

/// Everything that `tasks.json` says. Shares are of prompts, from 0 to 1, higher better.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskReport {
    /// Version of this layout.
    pub schema: u32,
    /// The labels, in the order of `confusion`.
    pub labels: Vec<String>,
    /// Number of prompts that were fitted on.
    pub n_prompts: usize,
    /// The accuracy that `coverage` asks for.
    pub wanted_accuracy: f64,
    /// Below this confidence the classifier gives no label.
    pub min_confidence: f64,
    /// Bytes of `tasks.safetensors`.
    pub n_bytes: usize,
    /// Held-out folds: all prompts.
    pub all: Figures,
    /// Held-out folds: prompts that people wrote, if they were named.
    pub natural: Option<Figures>,
    /// Held-out folds, by source.
    pub by_source: BTreeMap<String, Figures>,
    /// Whole sources that were not fitted on.
    pub unseen: BTreeMap<String, Unseen>,
    /// What an encoder says, if one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder: Option<EncoderReport>,
    /// `[n_labels][n_labels]`: held-out prompts of the label of the row, by the label they got.
    pub confusion: Vec<Vec<u64>>,
    /// Accuracy of the most confident share of prompts: `(coverage, all, natural)`.
    pub abstention: Vec<(f64, f64, Option<f64>)>,
}

/// A source that the classifier was fitted without.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unseen {
    /// Whether its prompts are for testing only.
    pub is_eval: bool,
    /// Share of its prompts whose label another source teaches.
    pub taught: f64,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// Coverages at which [`TaskReport::abstention`] is stated.
pub const COVERAGES: [f64; 10] = [1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2];

/// Accuracy at a coverage: of the first `coverage · n` points of a curve, at least one.
pub fn accuracy_at(curve: &[(f64, f64)], coverage: f64) -> Option<f64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of rows")]
    let n = (coverage * curve.len() as f64).round() as usize;
    curve.get(n.max(1) - 1).map(|point| point.1)
}

/// The report for a person, as Markdown.
pub fn markdown(report: &TaskReport) -> String {
    let mut text = format!(
        "# Task classifier\n\n{} prompts, {} labels, {:.2} MiB. Held-out folds; ± is half the \
         95 % interval over groups.\n\n",
        report.n_prompts,
        report.labels.len(),
        report.n_bytes as f64 / f64::from(1 << 20)
    );
    let wanted = 100.0 * report.wanted_accuracy;
    let _ = writeln!(
        text,
        "| prompts | n | macro-F1 | accuracy | majority | ECE | coverage at {wanted:.0} % |"
    );
    let _ = writeln!(text, "| --- | --- | --- | --- | --- | --- | --- |");
    line(&mut text, "all", &report.all);
    if let Some(natural) = &report.natural {
        line(&mut text, "natural", natural);
    }
    for (source, figures) in &report.by_source {
        line(&mut text, source, figures);
    }
    text += "\n## Sources that were not fitted on\n\n";
    text += "`taught` is the share of prompts whose label another source teaches.\n\n";
    text += "| source | n | accuracy | macro-F1 | majority | taught |\n";
    text += "| --- | --- | --- | --- | --- | --- |\n";
    for (source, unseen) in &report.unseen {
        let Figures { n, accuracy, macro_f1, majority, .. } = &unseen.figures;
        let (accuracy, f1) = (figure(*accuracy), figure(*macro_f1));
        let taught = unseen.taught;
        let _ =
            writeln!(text, "| {source} | {n} | {accuracy} | {f1} | {majority:.3} | {taught:.2} |");
    }
    report.encoder.iter().for_each(|report| text += &encoder::markdown(report));
    abstention(&mut text, report);
    by_label(&mut text, report);
    confusion(&mut text, report);
    text
}

fn figure(figure: Figure) -> String {
    format!("{:.3} ±{:.3}", figure.value, figure.half_width)
}

fn line(text: &mut String, name: &str, figures: &Figures) {
    let Figures { n, accuracy, macro_f1, majority, ece, coverage, .. } = figures;
    let (accuracy, f1) = (figure(*accuracy), figure(*macro_f1));
    let ece = ece.map_or_else(String::new, |ece| format!("{ece:.3}"));
    let coverage = 100.0 * coverage;
    let _ = writeln!(
        text,
        "| {name} | {n} | {f1} | {accuracy} | {majority:.3} | {ece} | {coverage:.0} % |"
    );
}

fn abstention(text: &mut String, report: &TaskReport) {
    let _ = writeln!(
        text,
        "\n## Abstention\n\nBelow a confidence of {:.2} there is no label.\n",
        report.min_confidence
    );
    *text += "| coverage | accuracy | natural |\n| --- | --- | --- |\n";
    for (coverage, all, natural) in &report.abstention {
        let natural = natural.map_or_else(String::new, |natural| format!("{natural:.3}"));
        let _ = writeln!(text, "| {:.0} % | {all:.3} | {natural} |", 100.0 * coverage);
    }
}

fn by_label(text: &mut String, report: &TaskReport) {
    *text += "\n## F1 by label\n\n| label | all | natural |\n| --- | --- | --- |\n";
    let show = |f1: Option<&f64>| f1.map_or_else(|| "-".to_owned(), |f1| format!("{f1:.2}"));
    for label in &report.labels {
        let natural = report.natural.as_ref().and_then(|figures| figures.f1.get(label));
        let _ =
            writeln!(text, "| {label} | {} | {} |", show(report.all.f1.get(label)), show(natural));
    }
}

fn confusion(text: &mut String, report: &TaskReport) {
    *text += "\n## Confusion\n\nRows are the labels of the prompts, columns what they got, numbered in the same order.\n\n|  |";
    for column in 1..=report.labels.len() {
        let _ = write!(text, " {column} |");
    }
    *text += "\n| --- |";
    *text += &" --- |".repeat(report.labels.len());
    for (row, (label, counts)) in report.labels.iter().zip(&report.confusion).enumerate() {
        let _ = write!(text, "\n| {} {label} |", row + 1);
        for count in counts {
            let _ = write!(text, " {count} |");
        }
    }
    *text += "\n";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracy_at_a_coverage_is_that_of_so_many_prompts() {
        let curve = [(0.25, 1.0), (0.5, 0.5), (0.75, 0.6), (1.0, 0.7)];
        assert_eq!(accuracy_at(&curve, 1.0), Some(0.7));
        assert_eq!(accuracy_at(&curve, 0.5), Some(0.5));
        assert_eq!(accuracy_at(&curve, 0.01), Some(1.0));
        assert_eq!(accuracy_at(&[], 0.5), None);
    }
}
