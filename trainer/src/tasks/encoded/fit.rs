//! Heads on embeddings, held out fold by fold and source by source.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use datasets::split::{Folds, fold_of};
use datasets::{Dataset, open};
use router_core::RequestRow;
use router_encoder::{EmbedOptions, Encoder, Example, Heads, Window, fit_heads};
use serde_json::json;

use super::fused::{cross_fused, fuse, pairs, weights};
use super::report::{EncoderReport, Sections};
use super::{EncoderArgs, Measures, NgramScores, tuned};
use crate::tasks::data::Corpus;
use crate::tasks::evaluate::{Figures, Judged, figures, judge, judged_by};
use crate::tasks::fit::{Confidence, Held, row_weights};

/// Prompts whose complexity is known.
#[derive(Debug, Default)]
pub(super) struct Answered {
    pub(super) texts: Vec<String>,
    /// 1 minus the mean quality of the models that answered.
    pub(super) complexity: Vec<f32>,
    pub(super) fold: Vec<i32>,
}

/// Everything that a fit reads.
pub(super) struct Data<'a> {
    pub(super) corpus: &'a Corpus,
    pub(super) measures: &'a Measures<'a>,
    pub(super) answered: Answered,
    pub(super) options: EmbedOptions,
}

/// Embeddings of both kinds of prompts, `[n * n_dimensions]` each.
pub(super) struct Embedded {
    pub(super) corpus: Vec<f32>,
    pub(super) answered: Vec<f32>,
    n_dimensions: usize,
}

pub(super) fn run(
    args: &EncoderArgs,
    corpus: &Corpus,
    ngrams: &NgramScores<'_>,
    measures: &Measures<'_>,
    out: &Path,
) -> Result<EncoderReport> {
    let name = args.encoder.as_deref().unwrap_or_default();
    let window: Window = args.encoder_window.parse().map_err(anyhow::Error::msg)?;
    let options = EmbedOptions { max_tokens: args.encoder_tokens, window };
    let encoder = Encoder::open(name)?;
    let answered = answered(&args.complexity, &corpus.folds())?;
    let data = Data { corpus, measures, answered, options };
    let embedded = Embedded::new(&encoder, &data)?;
    let held = embedded.cross_fit(&data)?;
    let complexity = embedded.explained(&data)?;
    let mut sources = BTreeMap::new();
    for source in ngrams.sources.keys() {
        sources.insert(*source, embedded.leave_out(&data, *source)?);
    }
    let fusion = weights(&pairs(ngrams.folds, &held), corpus);
    let fused = cross_fused(ngrams.folds, &held, corpus);
    let fused_sources: BTreeMap<usize, Vec<Held>> = ngrams
        .sources
        .iter()
        .map(|(source, first)| {
            let pairs = pairs(first, &sources[source]);
            (*source, pairs.into_iter().map(|pair| fuse(pair, fusion)).collect())
        })
        .collect();
    let all: Vec<usize> = corpus.rows(|row| corpus.is_train[row]).collect();
    let heads = embedded.heads(&data, &all, |_| true)?;
    let tuned =
        args.fine_tune.then(|| tuned::run(args, &encoder, &data, (ngrams.folds, &embedded), out));
    write(&out.join("heads.json"), &heads, corpus)?;
    Ok(EncoderReport {
        encoder: name.to_owned(),
        max_tokens: options.max_tokens,
        window: args.encoder_window.clone(),
        alone: sections(&data, &held, &sources),
        both: sections(&data, &fused, &fused_sources),
        weights: fusion,
        complexity,
        tuned: tuned.transpose()?,
    })
}

/// Writes heads with the names of the labels, as JSON.
pub(super) fn write(path: &Path, heads: &Heads, corpus: &Corpus) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let mut text = json!({ "labels": corpus.labels, "heads": heads }).to_string();
    text.push('\n');
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Prompts of outcome tables with the complexity that answers show; folds as the corpus has them.
fn answered(logs: &[PathBuf], folds: &[i32]) -> Result<Answered> {
    let mut answered = Answered::default();
    if logs.is_empty() {
        return Ok(answered);
    }
    let Dataset::Table(table) = open(logs)?.data else {
        anyhow::bail!("complexity needs logs where every model answered each request");
    };
    let dealt = Folds::Hash(u32::try_from(folds.len()).unwrap_or(2).max(2));
    let has_folds = table.requests.iter().all(|request| request.fold.is_some());
    let fold = |request: &RequestRow| {
        fold_of(request, if has_folds { Folds::Column } else { dealt }).unwrap_or(0)
    };
    for (at, request) in table.requests.iter().enumerate() {
        let known = (0..table.models.len()).filter_map(|model| table.quality(at, model));
        let (n, sum) = known.fold((0.0, 0.0), |(n, sum), quality| (n + 1.0, sum + quality));
        if n > 0.0 {
            #[expect(clippy::cast_possible_truncation, reason = "a share")]
            answered.complexity.push((1.0 - sum / n).clamp(0.0, 1.0) as f32);
            answered.texts.push(request.prompt.clone());
            answered.fold.push(fold(request));
        }
    }
    ensure!(!answered.texts.is_empty(), "complexity needs logs with qualities, got none");
    Ok(answered)
}

impl Data<'_> {
    /// Prompts to fit on: those rows of the corpus, and the answered prompts of the folds to keep.
    /// Both kinds weigh the same in all.
    pub(super) fn examples(&self, rows: &[usize], keep: impl Fn(i32) -> bool) -> Vec<Example<'_>> {
        let weights = row_weights(self.corpus, rows, self.measures.params);
        let labeled = rows.iter().zip(weights).map(|(row, weight)| Example {
            text: &self.corpus.texts[*row],
            class: Some(self.corpus.label[*row]),
            complexity: None,
            weight: narrow(weight),
        });
        let mut examples: Vec<Example<'_>> = labeled.collect();
        let answered: Vec<usize> = self.answered_rows(keep);
        let weight = narrow(rows.len() as f64 / answered.len().max(1) as f64);
        examples.extend(answered.into_iter().map(|row| Example {
            text: &self.answered.texts[row],
            class: None,
            complexity: Some(self.answered.complexity[row]),
            weight,
        }));
        examples
    }

    pub(super) fn answered_rows(&self, keep: impl Fn(i32) -> bool) -> Vec<usize> {
        let fold = &self.answered.fold;
        (0..fold.len()).filter(|row| keep(fold[*row])).collect()
    }

    /// Figures of some judged prompts: all, and those that people wrote.
    pub(super) fn split(&self, judged: &[Judged]) -> (Figures, Option<Figures>) {
        let Measures { natural, accuracy, .. } = *self.measures;
        let source = |judged: &Judged| &self.corpus.sources[self.corpus.source[judged.row]];
        let written: Vec<Judged> =
            judged.iter().filter(|j| natural.contains(source(j))).copied().collect();
        let of_written = || figures(self.corpus, &written, accuracy);
        (figures(self.corpus, judged, accuracy), (!written.is_empty()).then(of_written))
    }

    /// Share of the variance of complexity that predictions of answered prompts explain.
    pub(super) fn explained_by(&self, rows: &[usize], predicted: &[f32]) -> Option<f64> {
        let truth = |row: &usize| f64::from(self.answered.complexity[*row]);
        let mean = rows.iter().map(truth).sum::<f64>() / rows.len().max(1) as f64;
        let total: f64 = rows.iter().map(|row| (truth(row) - mean).powi(2)).sum();
        let pairs = rows.iter().zip(predicted);
        let left: f64 = pairs.map(|(row, p)| (truth(row) - f64::from(*p)).powi(2)).sum();
        (total > 0.0).then(|| 1.0 - left / total)
    }
}

impl Embedded {
    pub(super) fn new(encoder: &Encoder, data: &Data<'_>) -> Result<Self> {
        Ok(Self {
            corpus: encoder.embed(&data.corpus.texts, &data.options)?,
            answered: encoder.embed(&data.answered.texts, &data.options)?,
            n_dimensions: encoder.n_dimensions(),
        })
    }

    fn row<'a>(&self, of: &'a [f32], row: usize) -> &'a [f32] {
        &of[row * self.n_dimensions..][..self.n_dimensions]
    }

    /// Heads fitted on rows of the corpus, and answered prompts of folds to keep.
    pub(super) fn heads(
        &self,
        data: &Data<'_>,
        rows: &[usize],
        keep: impl Fn(i32) -> bool,
    ) -> Result<Heads> {
        let answered = data.answered_rows(&keep);
        let labeled = rows.iter().map(|row| self.row(&self.corpus, *row));
        let all = labeled.chain(answered.iter().map(|row| self.row(&self.answered, *row)));
        let embeddings: Vec<f32> = all.flatten().copied().collect();
        let examples = data.examples(rows, keep);
        Ok(fit_heads(&embeddings, &examples, data.corpus.labels.len())?)
    }

    pub(super) fn scores(&self, heads: &Heads, rows: &[usize]) -> Vec<Held> {
        let of = |row: &usize| {
            let scores = heads.of(self.row(&self.corpus, *row)).0;
            Held { row: *row, scores }
        };
        rows.iter().map(of).collect()
    }

    pub(super) fn complexities(&self, heads: &Heads, rows: &[usize]) -> Vec<f32> {
        rows.iter().map(|row| heads.of(self.row(&self.answered, *row)).1).collect()
    }

    fn cross_fit(&self, data: &Data<'_>) -> Result<Vec<Held>> {
        let corpus = data.corpus;
        let mut held = Vec::new();
        for fold in corpus.folds() {
            let rows = |is_out: bool| -> Vec<usize> {
                corpus.rows(|r| corpus.is_train[r] && (corpus.fold[r] == fold) == is_out).collect()
            };
            let heads = self.heads(data, &rows(false), |other| other != fold)?;
            held.extend(self.scores(&heads, &rows(true)));
        }
        Ok(held)
    }

    /// Share of the variance of complexity that heads explain on folds they did not see.
    fn explained(&self, data: &Data<'_>) -> Result<Option<f64>> {
        let (mut rows, mut predicted) = (Vec::new(), Vec::new());
        for fold in data.corpus.folds() {
            let out = data.answered_rows(|other| other == fold);
            if out.is_empty() {
                continue;
            }
            let corpus = data.corpus;
            let labeled: Vec<usize> =
                corpus.rows(|row| corpus.is_train[row] && corpus.fold[row] != fold).collect();
            let heads = self.heads(data, &labeled, |other| other != fold)?;
            predicted.extend(self.complexities(&heads, &out));
            rows.extend(out);
        }
        Ok(data.explained_by(&rows, &predicted))
    }

    /// What heads that were fitted without a source say of its prompts.
    fn leave_out(&self, data: &Data<'_>, source: usize) -> Result<Vec<Held>> {
        let corpus = data.corpus;
        let out: Vec<usize> = corpus.rows(|row| corpus.source[row] == source).collect();
        let rows: Vec<usize> =
            corpus.rows(|row| corpus.is_train[row] && corpus.source[row] != source).collect();
        Ok(self.scores(&self.heads(data, &rows, |_| false)?, &out))
    }
}

fn sections(data: &Data<'_>, held: &[Held], sources: &BTreeMap<usize, Vec<Held>>) -> Sections {
    let (corpus, wanted) = (data.corpus, data.measures.accuracy);
    let judged = judge(corpus, held);
    let confidence = Confidence::fit(held, corpus);
    let (all, natural) = data.split(&judged);
    let of = |source: usize| -> Vec<Judged> {
        judged.iter().filter(|j| corpus.source[j.row] == source).copied().collect()
    };
    let by_source = (0..corpus.sources.len()).filter_map(|source| {
        let judged = of(source);
        let name = corpus.sources[source].clone();
        (!judged.is_empty()).then(|| (name, figures(corpus, &judged, wanted)))
    });
    let unseen = sources.iter().map(|(source, held)| {
        let judged: Vec<Judged> = held.iter().map(|held| judged_by(held, &confidence)).collect();
        (corpus.sources[*source].clone(), figures(corpus, &judged, wanted))
    });
    Sections { all, natural, by_source: by_source.collect(), unseen: unseen.collect() }
}

#[expect(clippy::cast_possible_truncation, reason = "weights of gradients are f32")]
fn narrow(value: f64) -> f32 {
    value as f32
}
