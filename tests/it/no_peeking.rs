//! Nothing of the rows that a router is judged on reaches it, and nothing but text decides.

use std::path::PathBuf;

use datasets::split::hash_of;
use datasets::synthetic::{World, WorldParams};
use datasets::{Dataset, Opened, Source};
use evaluator::bootstrap::Interval;
use evaluator::metric::Metric;
use evaluator::{Options, Report, benchmark};
use router_core::{OutcomeTable, Quality, Usd};
use tempfile::TempDir;
use trainer::config::{Config, Overrides};
use trainer::run::{self, Fitted};

/// A world of two models whose texts say a lot about which of them is enough.
fn world(n: u64) -> OutcomeTable {
    World::new(WorldParams { seed: 5, n_models: 2 }).unwrap().table(0..n)
}

/// A table as if read from one and the same file, so that its rows are judged by fold routers
/// whatever has been done to them.
fn opened(table: OutcomeTable) -> Opened {
    let source = Source { name: "logs.parquet".into(), sha256: "5e".into(), n_rows: 1 };
    Opened { data: Dataset::Table(table), sources: vec![source] }
}

fn fitted(table: OutcomeTable) -> Fitted {
    // Without length: what is believed of it before any row ranks better than chance.
    let overrides = Overrides {
        cross_fit: Some("fold".into()),
        predictor: Some("ridge+task".into()),
        ..Overrides::default()
    };
    let config = Config::resolve([overrides]).unwrap();
    run::fit(opened(table), &config, &|_, _| {}).unwrap()
}

/// The run folder of a fit.
fn saved(fitted: &Fitted) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    run::write(folder.path(), fitted, &Config::default()).unwrap();
    folder
}

fn report(table: OutcomeTable, fitted: &Fitted) -> Report {
    let folder = saved(fitted);
    let routers = vec![folder.path().to_owned()];
    let options = Options { routers, replicates: 200, ..Options::default() };
    let report = benchmark(&opened(table), &options).unwrap();
    assert_eq!(report.routers[0].artifacts.len(), 5, "each fold has its router");
    report
}

fn apgr(table: &OutcomeTable, fitted: &Fitted) -> Interval {
    report(table.clone(), fitted).routers[0].metric(Metric::Apgr).unwrap()
}

/// The qualities of all models move together from request to request.
///
/// They move across folds. Within each fold its mean would stay, and where a fold is above the
/// mean the others are below it: routers that learned nothing else would rank pooled folds worse
/// than chance (measured: 0.47 over six permutations of each set).
fn permuted(table: &OutcomeTable, seed: usize) -> OutcomeTable {
    let m = table.models.len();
    let mut from: Vec<usize> = (0..table.requests.len()).collect();
    from.sort_by_key(|row| hash_of(&format!("{seed} {}", table.requests[*row].request_id)));
    let mut permuted = table.clone();
    for (cell, outcome) in permuted.outcomes.iter_mut().enumerate() {
        let quality = table.outcome(from[cell / m], cell % m).and_then(|outcome| outcome.quality);
        outcome.as_mut().unwrap().quality = quality;
    }
    permuted
}

/// Asserts that what is learned without the link from text to quality ranks as chance does.
///
/// Permutations scatter by 0.03, so that the mean of three does by 0.017: a fifth of an interval,
/// which is as wide as each of theirs.
fn assert_chance(table: &OutcomeTable) {
    const N: usize = 3;
    let intervals: Vec<Interval> =
        (0..N).map(|seed| apgr(table, &fitted(permuted(table, seed)))).collect();
    let mean = |of: fn(&Interval) -> f64| intervals.iter().map(of).sum::<f64>() / N as f64;
    let (low, high) = (mean(|i| i.low.unwrap()), mean(|i| i.high.unwrap()));
    assert!(low < 0.5 && 0.5 < high && high - low < 0.15, "[{low}, {high}] {intervals:?}");
}

#[test]
fn permuted_qualities_teach_nothing() {
    let table = world(800);
    assert!(apgr(&table, &fitted(table.clone())).low.unwrap() > 0.7);
    assert_chance(&table);
}

#[test]
fn permuted_qualities_of_gsm8k_teach_nothing() {
    let Some(shared) = std::env::var_os("SEXTANT_SHARED") else {
        eprintln!("skipped: SEXTANT_SHARED is not set");
        return;
    };
    let path = PathBuf::from(shared).join("data/routellm_gsm8k/logs.parquet");
    let Dataset::Table(table) = datasets::open(&[path]).unwrap().data else { unreachable!() };
    assert_chance(&table);
}

#[test]
fn a_fold_router_does_not_depend_on_what_its_fold_holds() {
    let table = world(300);
    let (mut other, m) = (table.clone(), table.models.len());
    for (row, request) in other.requests.iter_mut().enumerate() {
        if request.fold != Some(0) {
            continue;
        }
        request.prompt = format!("{} Answer in {row} words of Greek.", request.prompt);
        for model in 0..m {
            let outcome = other.outcomes[row * m + model].as_mut().unwrap();
            // The model that is best and dearest elsewhere is worst and for free.
            outcome.quality = Quality::try_from(model as f64).ok();
            outcome.cost = Some(Usd::from_nanos(100_000_000 * (1 - model as i64)));
            outcome.latency_ms = Some(1.0);
        }
    }
    let (one, two) = (fitted(table), fitted(other));
    assert_eq!(one.folds[0].0, 0);
    assert!(one.folds[0].1 == two.folds[0].1, "the router of fold 0 differs");
    assert!(one.folds[1].1 != two.folds[1].1, "the others have learned from fold 0");
}

#[test]
fn labels_do_not_decide() {
    let table = world(300);
    let fitted = fitted(table.clone());
    let mut relabeled = table.clone();
    for (row, request) in relabeled.requests.iter_mut().enumerate() {
        request.task = Some(["poetry", "law"][row % 2].to_owned());
        request.domain = Some(format!("domain {row}"));
        request.difficulty = None;
        request.tier = Some("quality".to_owned());
        request.tenant = Some("acme".to_owned());
    }
    let metrics = |table| report(table, &fitted).routers[0].metrics.clone();
    assert_eq!(metrics(table), metrics(relabeled));
}
