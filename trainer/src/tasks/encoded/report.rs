//! What was measured of an encoder: the member `encoder` of `tasks.json`, a section of `report.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::tasks::evaluate::{Figure, Figures};

/// What an encoder says of the prompts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EncoderReport {
    /// What it was called.
    pub encoder: String,
    /// Tokens of a prompt that it reads.
    pub max_tokens: usize,
    /// Which tokens of a longer prompt.
    pub window: String,
    /// By its heads alone.
    pub alone: Sections,
    /// Beside the n-grams.
    pub both: Sections,
    /// What scores of the n-grams and logits are multiplied by, on all held-out prompts.
    pub weights: (f32, f32),
    /// Share of the variance of complexity that its head explains on held-out prompts.
    pub complexity: Option<f64>,
    /// The tuned encoder.
    pub tuned: Option<TunedReport>,
}

/// Figures of one classifier.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sections {
    /// Held-out folds: all prompts.
    pub all: Figures,
    /// Held-out folds: prompts that people wrote, if they were named.
    pub natural: Option<Figures>,
    /// Held-out folds, by source.
    pub by_source: BTreeMap<String, Figures>,
    /// Whole sources that were not fitted on.
    pub unseen: BTreeMap<String, Figures>,
}

/// A tuned encoder, on the last fold, which nothing was fitted on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TunedReport {
    /// Prompts that were tuned on.
    pub n_fitted: usize,
    /// Classifiers by name: `n-grams`, `encoder`, `tuned encoder`, `n-grams and tuned encoder`.
    pub classifiers: Vec<(String, Figures, Option<Figures>)>,
    /// Share of the variance of complexity that is explained, before and after.
    pub complexity: Option<(f64, f64)>,
    /// `(epoch, loss of fitted prompts, loss of held-out prompts)`.
    pub curve: Vec<(usize, f64, f64)>,
}

/// The section for a person.
pub fn markdown(report: &EncoderReport) -> String {
    let EncoderReport { encoder, max_tokens, window, weights, .. } = report;
    let mut text = format!(
        "\n## Encoder\n\n{encoder}, {max_tokens} tokens ({window}); held-out folds. Beside the \
         n-grams their scores weigh {:.2}, its logits {:.2}.\n\n",
        weights.0, weights.1
    );
    text += "| prompts | n | encoder macro-F1 | accuracy | both macro-F1 | accuracy |\n";
    text += "| --- | --- | --- | --- | --- | --- |\n";
    let mut line = |name: &str, alone: &Figures, both: &Figures| {
        let [a, b] = [alone, both].map(|f| (figure(f.macro_f1), figure(f.accuracy)));
        let _ = writeln!(text, "| {name} | {} | {} | {} | {} | {} |", alone.n, a.0, a.1, b.0, b.1);
    };
    let (alone, both) = (&report.alone, &report.both);
    line("all", &alone.all, &both.all);
    if let (Some(alone), Some(both)) = (&alone.natural, &both.natural) {
        line("natural", alone, both);
    }
    for (source, alone) in &alone.by_source {
        both.by_source.get(source).into_iter().for_each(|both| line(source, alone, both));
    }
    for (source, alone) in &alone.unseen {
        let name = format!("{source}, not fitted on");
        both.unseen.get(source).into_iter().for_each(|both| line(&name, alone, both));
    }
    if let Some(share) = report.complexity {
        let _ = writeln!(text, "\nComplexity: {:.1} % of the variance.", 100.0 * share);
    }
    if let Some(tuned) = &report.tuned {
        tuned_section(&mut text, tuned);
    }
    text
}

fn tuned_section(text: &mut String, tuned: &TunedReport) {
    let _ = writeln!(
        text,
        "\n### Tuned on {} prompts; the last fold\n\n| classifier | n | macro-F1 | accuracy | \
         natural macro-F1 | accuracy |\n| --- | --- | --- | --- | --- | --- |",
        tuned.n_fitted
    );
    for (name, all, natural) in &tuned.classifiers {
        let natural = natural.as_ref().map(|f| (figure(f.macro_f1), figure(f.accuracy)));
        let natural = natural.unwrap_or_default();
        let (f1, accuracy) = (figure(all.macro_f1), figure(all.accuracy));
        let (n, (natural_f1, share)) = (all.n, natural);
        let _ = writeln!(text, "| {name} | {n} | {f1} | {accuracy} | {natural_f1} | {share} |");
    }
    if let Some((before, after)) = tuned.complexity {
        let (before, after) = (100.0 * before, 100.0 * after);
        let _ = writeln!(text, "\nComplexity: {before:.1} % of the variance, tuned {after:.1} %.");
    }
    *text += "\n| epoch | loss, fitted | loss, held out |\n| --- | --- | --- |\n";
    for (epoch, fitted, held) in &tuned.curve {
        let _ = writeln!(text, "| {epoch} | {fitted:.3} | {held:.3} |");
    }
}

fn figure(figure: Figure) -> String {
    format!("{:.3} ±{:.3}", figure.value, figure.half_width)
}
