//! A small benchmark: the report, its bytes, and what is refused.

use std::path::{Path, PathBuf};

use datasets::{Dataset, Opened, Source};
use evaluator::metric::Metric;
use evaluator::{Options, Report, benchmark};
use router_core::artifact::to_bytes;
use router_core::predictor::Constant;
use router_core::testing::manifest;
use router_core::{CrossFit, DataSource, FoldKind, OperatingPoint, Weights};

const SHA: &str = "0123456789abcdef";

/// 60 requests: `a` is right on every third, `b` on two of three, at ten times the cost.
fn opened() -> Opened {
    let rows: Vec<[f64; 2]> = (0..60)
        .map(|i| [f64::from(u8::from(i % 3 == 0)), f64::from(u8::from(i % 3 != 1))])
        .collect();
    let rows: Vec<&[f64]> = rows.iter().map(|row| &row[..]).collect();
    let mut table = evaluator::testing::table(&rows, &[0.001, 0.01]);
    for (i, request) in table.requests.iter_mut().enumerate() {
        request.task = Some(if i % 2 == 0 { "code" } else { "prose" }.to_owned());
    }
    let source = Source { name: "logs.parquet".to_owned(), sha256: SHA.to_owned(), n_rows: 120 };
    Opened { data: Dataset::Table(table), sources: vec![source] }
}

/// An artifact that predicts the same for every request.
fn artifact(sha256: &str, held_out: Option<i32>) -> Vec<u8> {
    let mut manifest = manifest(&["a", "b"]);
    manifest.provenance.data = vec![DataSource {
        name: "logs.parquet".to_owned(),
        sha256: sha256.to_owned(),
        n_rows: 120,
    }];
    manifest.provenance.cross_fit =
        held_out.map(|held_out| CrossFit { kind: FoldKind::Fold, k: 5, seed: 0, held_out });
    manifest.operating_points = vec![OperatingPoint {
        name: "retention=0.95".to_owned(),
        lambda: 0.1,
        retention: 1.0,
        cost_ratio: Some(1.0),
        reached: true,
    }];
    let constant = Constant {
        quality: vec![0.4, 0.7],
        cost: vec![Some(0.001), Some(0.01)],
        latency_ms: vec![None, None],
    };
    to_bytes(manifest, Weights::Constant(constant)).unwrap()
}

fn run_folder(root: &Path, sha256: &str, n_folds: i32) -> PathBuf {
    let folder = root.join("run");
    std::fs::create_dir_all(folder.join("folds")).unwrap();
    std::fs::write(folder.join("router.safetensors"), artifact(sha256, None)).unwrap();
    for k in 0..n_folds {
        let file = folder.join("folds").join(format!("fold-{k}.safetensors"));
        std::fs::write(file, artifact(sha256, Some(k))).unwrap();
    }
    folder
}

fn options(router: PathBuf) -> Options {
    Options { routers: vec![router], replicates: 200, ..Options::default() }
}

fn report(router: PathBuf) -> Report {
    benchmark(&opened(), &options(router)).unwrap()
}

#[test]
fn a_report_has_every_baseline_and_the_same_bytes_twice() {
    let root = tempfile::tempdir().unwrap();
    let folder = run_folder(root.path(), SHA, 5);
    let first = report(folder.clone());
    let names: Vec<&str> = first.baselines.iter().map(|policy| policy.name.as_str()).collect();
    let expected = [
        "best_single",
        "cheapest_single",
        "random_mix",
        "uniform",
        "zero_router",
        "lookup",
        "token_heuristic",
        "weighted",
        "knn",
        "length",
        "oracle",
    ];
    assert_eq!(names, expected);
    let bytes = |report: &Report| evaluator::report::json::to_json(report);
    assert_eq!(bytes(&first), bytes(&report(folder)));
    let json: serde_json::Value = serde_json::from_str(&bytes(&first)).unwrap();
    assert_eq!((&json["schema"], &json["n_requests"]), (&1.into(), &60.into()));
    assert_eq!(json["reference"], "b");
    let metrics = &json["routers"][0]["metrics"];
    assert!((metrics["retention"]["value"].as_f64().unwrap() - 1.0).abs() < 1e-12);
    assert!((metrics["apgr"]["value"].as_f64().unwrap() - 0.5).abs() < 1e-12);
    assert!(metrics["cost_ratio_at_retention"]["0.95"]["low"].is_number());
    evaluator::report::files::write(&first, &root.path().join("out")).unwrap();
    for file in ["report.html", "report.json", "curve.parquet", "frontier.svg", "two-model.svg"] {
        assert!(root.path().join("out").join(file).exists(), "{file}");
    }
}

#[test]
fn a_policy_that_always_does_as_the_best_single_differs_by_exactly_nothing() {
    let root = tempfile::tempdir().unwrap();
    let report = report(run_folder(root.path(), SHA, 5));
    let best = report.routers[0].differences.iter().find(|d| d.to == "best_single").unwrap();
    for metric in [Metric::QualityAtLambda0, Metric::Retention] {
        let (_, difference) = best.values.iter().find(|(of, _)| *of == metric).unwrap();
        let ends = (difference.value, difference.low.unwrap(), difference.high.unwrap());
        assert_eq!(ends, (0.0, 0.0, 0.0), "{metric:?}");
    }
}

#[test]
fn every_interval_contains_its_point() {
    let root = tempfile::tempdir().unwrap();
    let report = report(run_folder(root.path(), SHA, 5));
    for policy in report.routers.iter().chain(&report.baselines) {
        for (metric, figure) in &policy.metrics {
            // A calibration error is biased upwards in every draw: its interval may lie above.
            if matches!(metric, Metric::Ece | Metric::UpliftEce) {
                continue;
            }
            let low = figure.low.unwrap_or(f64::NEG_INFINITY) - 1e-12;
            let high = figure.high.unwrap_or(f64::INFINITY) + 1e-12;
            assert!((low..=high).contains(&figure.value), "{} {metric:?} {figure:?}", policy.name);
        }
    }
}

#[test]
fn one_thread_and_two_give_the_same_bytes() {
    let root = tempfile::tempdir().unwrap();
    let folder = run_folder(root.path(), SHA, 5);
    let with = |n: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| evaluator::report::json::to_json(&report(folder.clone())))
    };
    assert_eq!(with(1), with(2));
}

#[test]
fn a_router_is_not_judged_on_what_it_saw() {
    let root = tempfile::tempdir().unwrap();
    let seen = run_folder(root.path(), SHA, 0);
    let error = benchmark(&opened(), &options(seen)).unwrap_err().to_string();
    assert!(error.contains("trainer fit --cross-fit fold"), "{error}");
    let other = tempfile::tempdir().unwrap();
    let unseen = report(run_folder(other.path(), "another file", 0));
    assert_eq!(unseen.routers[0].note, "fitted on other data");
    let partial = tempfile::tempdir().unwrap();
    let folder = run_folder(partial.path(), SHA, 4);
    let error = benchmark(&opened(), &options(folder)).unwrap_err().to_string();
    assert!(error.contains("no fold router for request"), "{error}");
}

#[test]
fn without_costs_there_are_no_cost_figures() {
    let root = tempfile::tempdir().unwrap();
    let mut opened = opened();
    if let Dataset::Table(table) = &mut opened.data {
        table.outcomes.iter_mut().flatten().for_each(|outcome| outcome.cost = None);
    }
    let report = benchmark(&opened, &options(run_folder(root.path(), SHA, 5))).unwrap();
    let router = &report.routers[0];
    assert!(router.metric(Metric::Aiq).is_none() && router.metric(Metric::CostAt95).is_none());
    assert!(router.metric(Metric::QualityAtLambda0).is_some());
    // Here the oracle is no better than `b`: there is a gap of 0, and nothing to close.
    assert!(router.metric(Metric::OracleGap).is_some());
    assert!(router.metric(Metric::GapClosed).is_none());
    assert!(report.cheapest.is_none());
}

#[test]
fn an_artifact_is_judged_by_the_fold_routers_beside_it_and_by_no_others() {
    let root = tempfile::tempdir().unwrap();
    let folder = run_folder(root.path(), SHA, 5);
    let report = report(folder.join("router.safetensors"));
    assert!(report.routers[0].note.contains("the fold router that did not see it"));
    // One that an earlier run left, fitted on other data.
    let stale = folder.join("folds").join("fold-3.safetensors");
    std::fs::write(stale, artifact("another file", Some(3))).unwrap();
    let error = benchmark(&opened(), &options(folder)).unwrap_err().to_string();
    assert!(error.contains("fold-3.safetensors must be a fold router of the same data"), "{error}");
}

#[test]
fn routers_of_one_name_are_told_apart_from_each_other_and_from_baselines() {
    let root = tempfile::tempdir().unwrap();
    let folder = run_folder(root.path(), SHA, 5);
    let oracle = root.path().join("oracle");
    std::fs::rename(run_folder(&root.path().join("other"), SHA, 5), &oracle).unwrap();
    let routers = vec![folder.clone(), folder, oracle];
    let options = Options { routers, replicates: 2, ..Options::default() };
    let report = benchmark(&opened(), &options).unwrap();
    let names: Vec<&str> = report.routers.iter().map(|router| router.name.as_str()).collect();
    assert_eq!(names, ["run", "run-2", "oracle-2"]);
}

#[test]
fn baselines_are_not_judged_on_what_they_saw() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("logs.parquet");
    let Dataset::Table(table) = opened().data else { unreachable!() };
    datasets::write::write_table(&table, &file).unwrap();
    let opened = datasets::open(std::slice::from_ref(&file)).unwrap();
    let router = run_folder(root.path(), &opened.sources[0].sha256, 5);
    let options = Options { fit_data: vec![file], ..options(router) };
    let error = benchmark(&opened, &options).unwrap_err().to_string();
    assert!(error.starts_with("--fit-data logs.parquet is judged, too"), "{error}");
}

#[test]
fn baselines_need_requests_to_be_fitted_on() {
    let root = tempfile::tempdir().unwrap();
    let mut opened = opened();
    if let Dataset::Table(table) = &mut opened.data {
        for request in &mut table.requests {
            (request.group, request.fold) = ("one".to_owned(), Some(0));
        }
    }
    let error = benchmark(&opened, &options(run_folder(root.path(), SHA, 5))).unwrap_err();
    assert!(error.to_string().starts_with("all 60 requests are in one fold"), "{error}");
}
