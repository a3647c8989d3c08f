//! `trainer fit-tasks`: prompts → `tasks.safetensors`, `tasks.json`, `report.md`, `abstention.svg`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use datasets::prompts::{Caps, Taxonomy, read};
use router_core::predictor::tasks::part::{TaskPart, TaskProvenance};
use router_core::predictor::tasks::{TaskParts, Tasks};
use router_core::{DataSource, TaskPart as Part};
use serde_json::json;

use super::data::{Corpus, Dealing};
use super::encoded::{self, EncoderArgs, Measures, NgramScores};
use super::evaluate::{
    Judged, confusion, cross_fit, curve, figures, judge, judged_by, min_confidence,
};
use super::figure;
use super::fit::{Confidence, Held, TaskParams, fit, score};
use super::report::{COVERAGES, TaskReport, Unseen, accuracy_at, markdown};
use super::svm::SvmParams;
use super::vectors::{SparseRow, vectors};

/// Fits a task classifier on labelled prompts, and measures it on prompts it did not see.
#[derive(Clone, Debug, clap::Args)]
pub struct FitTasks {
    /// Files of prompts, parquet or CSV, with columns `text` and `label` (`source`, `group` and
    /// `fold` if there are any), or logs with `prompt` and `task`.
    #[arg(required = true)]
    pub prompts: Vec<PathBuf>,
    /// A CSV of `source, field, label, canonical, use` that maps the labels of each source; without
    /// it labels are as they are.
    #[arg(long)]
    pub taxonomy: Option<PathBuf>,
    /// Only prompts of this source; may be repeated.
    #[arg(long = "source", value_name = "NAME")]
    pub sources: Vec<String>,
    /// Prompts of one source and label at most: a number, or `source=number`; may be repeated.
    #[arg(long = "cap", value_name = "N|SOURCE=N")]
    pub caps: Vec<String>,
    /// A source of prompts that people wrote: measured apart, and weighted more; may be repeated.
    #[arg(long = "natural", value_name = "SOURCE")]
    pub natural: Vec<String>,
    /// What a natural prompt weighs beside one of another source.
    #[arg(long, default_value_t = 4.0)]
    pub natural_weight: f64,
    /// The label of requests that bring tools, and of no other.
    #[arg(long, value_name = "LABEL")]
    pub tool_label: Option<String>,
    /// Prompts that a head of its own needs: a label of a source with as many is told apart from
    /// the others of its canonical label; 0 for one head per label.
    #[arg(long, default_value_t = 100)]
    pub min_head: usize,
    /// Number of folds; files with a column `fold` keep theirs.
    #[arg(long, default_value_t = 5)]
    pub cross_fit: u32,
    /// Labels are given only as far as so many of them are right on held-out prompts.
    #[arg(long, default_value_t = 0.92)]
    pub accuracy: f64,
    /// Do not also fit without each source in turn.
    #[arg(long)]
    pub skip_unseen: bool,
    /// How far heads are balanced: 0 for prompts that weigh the same, 1 for heads that do.
    #[arg(long, default_value_t = 0.5)]
    pub balance: f64,
    /// Bytes of weights, at most: n-grams that matter least are left out.
    #[arg(long, default_value_t = 3_000_000)]
    pub max_bytes: usize,
    /// Cost of a violated margin.
    #[arg(long, default_value_t = 0.5)]
    pub cost: f64,
    /// Seed of the order of prompts.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// A transformer encoder to compare with, and to tune.
    #[command(flatten)]
    pub encoder: EncoderArgs,
    /// The folder to write.
    #[arg(long, default_value = "tasks")]
    pub out: PathBuf,
}

/// Coverage against accuracy.
type Curve = Vec<(f64, f64)>;

/// A fitted part and what was measured of it.
#[derive(Debug)]
pub struct Fitted {
    /// The classifier.
    pub part: TaskPart,
    /// Its figures.
    pub report: TaskReport,
    /// `(coverage, accuracy)` of all and of natural prompts.
    pub curves: (Curve, Option<Curve>),
}

/// Fits and measures.
///
/// # Errors
///
/// If a file cannot be read, an option is out of range, or there are too few labels or folds.
pub fn run(args: &FitTasks, progress: &dyn Fn(usize, usize)) -> Result<Fitted> {
    check(args)?;
    let (corpus, data) = load(args)?;
    let params = params(args);
    let vectors = vectors(&corpus.texts);
    let left_out = if args.skip_unseen { Vec::new() } else { left_out(&corpus) };
    let total = corpus.folds().len() + left_out.len() + 1;
    let done = std::cell::Cell::new(0);
    let tick = || {
        done.set(done.get() + 1);
        progress(done.get(), total);
    };
    let held = cross_fit(&corpus, &vectors, &params, &tick)?;
    let judged = judge(&corpus, &held);
    let confidence = Confidence::fit(&held, &corpus);
    let all: Vec<usize> = corpus.rows(|row| corpus.is_train[row]).collect();
    let fitted = fit(&corpus, &vectors, &all, &params)?;
    tick();
    let (mut unseen, mut unseen_held) = (BTreeMap::new(), BTreeMap::new());
    for source in left_out {
        let (held, taught) = leave_out(&corpus, &vectors, (&params, &fitted), source)?;
        let judged: Vec<Judged> = held.iter().map(|held| judged_by(held, &confidence)).collect();
        let figures = figures(&corpus, &judged, args.accuracy);
        let is_eval = held.iter().all(|held| !corpus.is_train[held.row]);
        let name = corpus.sources[source].clone();
        unseen.insert(name, Unseen { is_eval, taught, figures });
        unseen_held.insert(source, held);
        tick();
    }
    let threshold = min_confidence(&corpus, &judged, args.accuracy);
    let parts = TaskParts {
        sharpness: confidence.sharpness,
        confidence: confidence.map,
        min_confidence: threshold,
        tool_label: args.tool_label.clone(),
        ..fitted.parts().clone()
    };
    let mut report = measure(&corpus, &judged, args);
    report.unseen = unseen;
    report.min_confidence = threshold;
    let ngrams = NgramScores { folds: &held, sources: &unseen_held };
    let (natural_sources, accuracy) = (args.natural.as_slice(), args.accuracy);
    let measures =
        Measures { params: &params, natural: natural_sources, accuracy, seed: args.seed };
    report.encoder = encoded::run(&args.encoder, &corpus, &ngrams, &measures, &args.out)?;
    let part = Part::new(Tasks::new(parts)?, provenance(args, data, &report));
    report.n_bytes = part.to_bytes()?.len();
    let natural: Vec<Judged> = natural(&corpus, &judged, args);
    let curves = (curve(&corpus, &judged), (!natural.is_empty()).then(|| curve(&corpus, &natural)));
    Ok(Fitted { part, report, curves })
}

/// Writes the folder.
///
/// # Errors
///
/// If a file cannot be written, or the figure not drawn.
pub fn write(out: &Path, fitted: &Fitted, wanted: f64) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    let mut json = serde_json::to_string_pretty(&fitted.report)?;
    json.push('\n');
    let (all, natural) = &fitted.curves;
    let named = [Some(("all", all.as_slice())), natural.as_deref().map(|curve| ("natural", curve))];
    let named: Vec<figure::Named<'_>> = named.into_iter().flatten().collect();
    for (name, bytes) in [
        ("tasks.safetensors", fitted.part.to_bytes()?),
        ("tasks.json", json.into_bytes()),
        ("report.md", markdown(&fitted.report).into_bytes()),
        ("abstention.svg", figure::abstention(&named, wanted)?.into_bytes()),
    ] {
        let path = out.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn check(args: &FitTasks) -> Result<()> {
    for (name, value) in [("natural-weight", args.natural_weight), ("cost", args.cost)] {
        ensure!(value > 0.0 && value.is_finite(), "{name} must be above 0 and finite, got {value}");
    }
    let accuracy = args.accuracy;
    ensure!((0.0..=1.0).contains(&accuracy), "accuracy must be in [0, 1], got {accuracy}");
    ensure!(args.cross_fit >= 2, "cross-fit must be at least 2, got {}", args.cross_fit);
    Ok(())
}

fn load(args: &FitTasks) -> Result<(Corpus, Vec<DataSource>)> {
    let taxonomy = args.taxonomy.as_deref().map(Taxonomy::read).transpose()?;
    let mut prompts = read(&args.prompts)?;
    let is_wanted = |name: &String| args.sources.is_empty() || args.sources.contains(name);
    prompts.rows.retain(|prompt| is_wanted(&prompt.source));
    let mut data = prompts.sources;
    data.extend(args.taxonomy.as_deref().map(|path| datasets::open::source(path, 0)).transpose()?);
    let source =
        |s: datasets::Source| DataSource { name: s.name, sha256: s.sha256, n_rows: s.n_rows };
    let caps = Caps::parse(&args.caps)?;
    let dealing = Dealing { n_folds: args.cross_fit, min_head: args.min_head };
    let corpus = Corpus::new(prompts.rows, taxonomy.as_ref(), &caps, &dealing)?;
    for natural in &args.natural {
        let known = corpus.sources.join(", ");
        ensure!(
            corpus.sources.contains(natural),
            "natural source {natural} is none of the sources: {known}"
        );
    }
    Ok((corpus, data.into_iter().map(source).collect()))
}

fn params(args: &FitTasks) -> TaskParams {
    let weights = args.natural.iter().map(|source| (source.clone(), args.natural_weight));
    TaskParams {
        source_weights: weights.collect(),
        svm: SvmParams { cost: args.cost, seed: args.seed, ..SvmParams::default() },
        balance: args.balance,
        max_bytes: args.max_bytes,
    }
}

/// Sources to leave out in turn: all, if there is more than one to fit on.
fn left_out(corpus: &Corpus) -> Vec<usize> {
    let is_fitted = |source: &usize| {
        corpus.rows(|row| corpus.source[row] == *source && corpus.is_train[row]).next().is_some()
    };
    let sources = 0..corpus.sources.len();
    let n_fitted = sources.clone().filter(is_fitted).count();
    sources.filter(|source| n_fitted > 1 || !is_fitted(source)).collect()
}

/// What a classifier that was fitted without a source says of its prompts, and the share of them
/// whose label another source teaches. `full` was fitted on all prompts that may be.
fn leave_out(
    corpus: &Corpus,
    vectors: &[SparseRow],
    (params, full): (&TaskParams, &Tasks),
    source: usize,
) -> Result<(Vec<Held>, f64)> {
    let out: Vec<usize> = corpus.rows(|row| corpus.source[row] == source).collect();
    let rows: Vec<usize> =
        corpus.rows(|row| corpus.is_train[row] && corpus.source[row] != source).collect();
    let taught: BTreeSet<usize> = rows.iter().map(|row| corpus.label[*row]).collect();
    let n_taught = out.iter().filter(|row| taught.contains(&corpus.label[**row])).count();
    let held = if out.iter().any(|row| corpus.is_train[*row]) {
        score(&fit(corpus, vectors, &rows, params)?, corpus, &out)
    } else {
        score(full, corpus, &out)
    };
    Ok((held, n_taught as f64 / out.len().max(1) as f64))
}

fn natural(corpus: &Corpus, judged: &[Judged], args: &FitTasks) -> Vec<Judged> {
    let is_natural = |j: &&Judged| args.natural.contains(&corpus.sources[corpus.source[j.row]]);
    judged.iter().filter(is_natural).copied().collect()
}

fn measure(corpus: &Corpus, judged: &[Judged], args: &FitTasks) -> TaskReport {
    let natural = natural(corpus, judged, args);
    let of = |source: usize| -> Vec<Judged> {
        judged.iter().filter(|j| corpus.source[j.row] == source).copied().collect()
    };
    let by_source = (0..corpus.sources.len()).filter_map(|source| {
        let judged = of(source);
        let name = corpus.sources[source].clone();
        (!judged.is_empty()).then(|| (name, figures(corpus, &judged, args.accuracy)))
    });
    let (all_curve, natural_curve) = (curve(corpus, judged), curve(corpus, &natural));
    let abstention = COVERAGES.iter().filter_map(|&coverage| {
        let all = accuracy_at(&all_curve, coverage)?;
        Some((coverage, all, accuracy_at(&natural_curve, coverage)))
    });
    TaskReport {
        schema: 1,
        labels: corpus.labels.clone(),
        n_prompts: corpus.is_train.iter().filter(|is_train| **is_train).count(),
        wanted_accuracy: args.accuracy,
        min_confidence: 0.0,
        n_bytes: 0,
        all: figures(corpus, judged, args.accuracy),
        natural: (!natural.is_empty()).then(|| figures(corpus, &natural, args.accuracy)),
        by_source: by_source.collect(),
        unseen: BTreeMap::new(),
        encoder: None,
        confusion: confusion(corpus, judged)
            .chunks_exact(corpus.labels.len())
            .map(<[u64]>::to_vec)
            .collect(),
        abstention: abstention.collect(),
    }
}

fn provenance(args: &FitTasks, data: Vec<DataSource>, report: &TaskReport) -> TaskProvenance {
    let mut metrics = BTreeMap::new();
    for (name, figures) in [("", Some(&report.all)), ("natural_", report.natural.as_ref())] {
        let Some(figures) = figures else { continue };
        metrics.insert(format!("{name}accuracy"), figures.accuracy.value);
        metrics.insert(format!("{name}macro_f1"), figures.macro_f1.value);
        metrics.insert(format!("{name}coverage"), figures.coverage);
        metrics.extend(figures.ece.map(|ece| (format!("{name}ece"), ece)));
    }
    TaskProvenance {
        data,
        n_prompts: report.n_prompts,
        config: json!({
            "sources": args.sources,
            "caps": args.caps,
            "natural": args.natural,
            "natural_weight": args.natural_weight,
            "tool_label": args.tool_label,
            "min_head": args.min_head,
            "balance": args.balance,
            "max_bytes": args.max_bytes,
            "cross_fit": args.cross_fit,
            "accuracy": args.accuracy,
            "cost": args.cost,
            "seed": args.seed,
        }),
        crate_version: env!("CARGO_PKG_VERSION").to_owned(),
        metrics,
    }
}

/// What a person wants to see at once: the report without its long tables.
pub fn summary(fitted: &Fitted) -> String {
    let text = markdown(&fitted.report);
    text.split("\n## F1 by label").next().unwrap_or(&text).trim_end().to_owned()
}
