//! The encoder tuned on all folds but the last two, and measured on the last.

use std::path::Path;

use anyhow::{Result, ensure};
use router_encoder::{Encoder, Sets, TuneParams, tune};

use super::EncoderArgs;
use super::fit::{Data, Embedded, write};
use super::fused::{fuse, pairs, weights};
use super::report::TunedReport;
use crate::tasks::evaluate::{Judged, judged_by};
use crate::tasks::fit::{Confidence, Held};

/// Tunes, measures, and writes the encoder with its heads to `out/encoder`.
pub(super) fn run(
    args: &EncoderArgs,
    encoder: &Encoder,
    data: &Data<'_>,
    (ngrams, embedded): (&[Held], &Embedded),
    out: &Path,
) -> Result<TunedReport> {
    let corpus = data.corpus;
    let folds = corpus.folds();
    ensure!(folds.len() >= 3, "fine-tuning needs at least 3 folds, got {}", folds.len());
    let (stop, test) = (folds[folds.len() - 2], folds[folds.len() - 1]);
    let is_fitted = |fold: i32| fold != stop && fold != test;
    let rows = |keep: &dyn Fn(i32) -> bool| -> Vec<usize> {
        corpus.rows(|row| corpus.is_train[row] && keep(corpus.fold[row])).collect()
    };
    let [fitted, stopping, testing] =
        [rows(&is_fitted), rows(&|fold| fold == stop), rows(&|fold| fold == test)];
    let params = TuneParams {
        n_blocks: args.tune_blocks,
        max_epochs: args.tune_epochs,
        learning_rate: args.tune_rate,
        seed: data.measures.seed,
        ..TuneParams::default()
    };
    let examples =
        (data.examples(&fitted, is_fitted), data.examples(&stopping, |fold| fold == stop));
    let n_classes = corpus.labels.len();
    let sets = Sets { fitted: &examples.0, held: &examples.1, n_classes };
    let tuned = tune(encoder, &sets, &data.options, &params, &|_, _| {})?;
    let folder = out.join("encoder");
    tuned.encoder.save(&folder)?;
    write(&folder.join("heads.json"), &tuned.heads, corpus)?;
    let after = Embedded::new(&tuned.encoder, data)?;
    let before = embedded.heads(data, &fitted, is_fitted)?;
    let held = |of: &Embedded, heads, rows: &[usize]| of.scores(heads, rows);
    let [stopped, tested] = [&stopping, &testing].map(|rows| held(&after, &tuned.heads, rows));
    let of_fold = |fold: i32| -> Vec<Held> {
        ngrams.iter().filter(|held| corpus.fold[held.row] == fold).cloned().collect()
    };
    let (ngrams_stop, ngrams_test) = (of_fold(stop), of_fold(test));
    let fusion = weights(&pairs(&ngrams_stop, &stopped), corpus);
    let fused = |first: &[Held], second: &[Held]| -> Vec<Held> {
        pairs(first, second).into_iter().map(|pair| fuse(pair, fusion)).collect()
    };
    let classifiers = [
        ("n-grams", ngrams_stop.clone(), ngrams_test.clone()),
        ("encoder", held(embedded, &before, &stopping), held(embedded, &before, &testing)),
        ("tuned encoder", stopped.clone(), tested.clone()),
        ("n-grams and tuned encoder", fused(&ngrams_stop, &stopped), fused(&ngrams_test, &tested)),
    ];
    let classifiers = classifiers.map(|(name, stop, test)| {
        let confidence = Confidence::fit(&stop, corpus);
        let judged: Vec<Judged> = test.iter().map(|held| judged_by(held, &confidence)).collect();
        let (all, natural) = data.split(&judged);
        (name.to_owned(), all, natural)
    });
    let answered = data.answered_rows(|fold| fold == test);
    let complexity = data
        .explained_by(&answered, &embedded.complexities(&before, &answered))
        .zip(data.explained_by(&answered, &after.complexities(&tuned.heads, &answered)));
    Ok(TunedReport {
        n_fitted: fitted.len(),
        classifiers: classifiers.to_vec(),
        complexity,
        curve: tuned.curve.iter().map(|epoch| (epoch.epoch, epoch.fitted, epoch.held)).collect(),
    })
}
