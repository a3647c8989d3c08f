//! A cascade from the fit of a run to the report of a benchmark.

use std::path::{Path, PathBuf};

use datasets::write::write_table;
use evaluator::{Options, benchmark};
use router_core::cascade::CascadeFile;
use trainer::cascade::run::{Ask, run};
use trainer::config::{Config, Overrides};
use trainer::operating::Target;

use crate::served::world;

/// A folder with logs of an outcome table and a cross-fitted run.
fn fitted() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs.parquet");
    write_table(&world(4).table(10_000..10_400), &logs).unwrap();
    let overrides = Overrides { cross_fit: Some("fold".to_owned()), ..Overrides::default() };
    let config = Config::resolve([overrides]).unwrap();
    let opened = datasets::open(std::slice::from_ref(&logs)).unwrap();
    let fitted = trainer::run::fit(opened, &config, &|_, _| {}).unwrap();
    trainer::run::write(&folder.path().join("run"), &fitted, &config).unwrap();
    (folder, logs)
}

const ASK: Ask = Ask { target: Target::Retention(0.95), max_cost: None };

fn write(folder: &Path, file: &CascadeFile) -> PathBuf {
    let path = folder.join("cascade.json");
    std::fs::write(&path, serde_json::to_string(file).unwrap()).unwrap();
    path
}

#[test]
fn a_cascade_is_judged_beside_its_router_with_both_calls_paid() {
    let (folder, logs) = fitted();
    let run_folder = folder.path().join("run");
    let mut file = run(&run_folder, std::slice::from_ref(&logs), ASK).unwrap().file;
    assert_eq!(file.folds.len(), 5);
    let opened = datasets::open(&[logs]).unwrap();
    let report = |file: &CascadeFile| {
        let options = Options {
            routers: vec![run_folder.clone()],
            cascade: Some(write(folder.path(), file)),
            replicates: 20,
            ..Options::default()
        };
        benchmark(&opened, &options).map(|report| report.cascade.unwrap())
    };
    let figure = |file: &CascadeFile, name: &str| {
        let report = report(file).unwrap();
        *report.figures.iter().find(|figure| figure.name == name).unwrap()
    };
    // Without second calls it is the router, in every draw.
    for cascade in file.folds.iter_mut().map(|of| &mut of.cascade) {
        (cascade.margin, cascade.first_ratio, cascade.lambda) = (1.0, 1.0, 0.0);
    }
    let same = figure(&file, "aiq").difference.unwrap();
    assert!(same.value.abs() < 1e-12 && same.low.unwrap().abs() < 1e-12, "{same:?}");
    assert!(report(&file).unwrap().second_calls < 1e-12);
    let cost = |file: &CascadeFile| figure(file, "validated_cost_ratio").cascade.unwrap().value;
    let once = cost(&file);
    // Where every answer is asked again, the first one is paid all the same.
    for cascade in file.folds.iter_mut().map(|of| &mut of.cascade) {
        cascade.margin = 0.0;
        cascade.by_model.clear();
        cascade.heads.answer.bias = -1e3;
    }
    let again = report(&file).unwrap();
    assert!((again.second_calls - 1.0).abs() < 1e-12);
    assert!(cost(&file) > 1.05 * once, "{} {once}", cost(&file));

    let last = file.folds.pop().unwrap();
    let error = report(&file).unwrap_err().to_string();
    let fold = last.cross_fit.held_out;
    assert!(error.contains(&format!("no cascade that did not see fold {fold}")), "{error}");
    file.router = "another".to_owned();
    let error = report(&file).unwrap_err().to_string();
    assert!(error.contains("was fitted for router another, but run is "), "{error}");
}

#[test]
fn what_cannot_teach_a_cascade_is_refused() {
    let (folder, logs) = fitted();
    let run_folder = folder.path().join("run");
    let error =
        |logs: PathBuf, ask: Ask| format!("{:#}", run(&run_folder, &[logs], ask).unwrap_err());
    let said = error(logs.clone(), Ask { max_cost: Some(0.0), ..ASK });
    assert_eq!(said, "--max-cost must be above 0, got 0");
    let few = folder.path().join("few.parquet");
    write_table(&world(4).table(0..50), &few).unwrap();
    // Whoever judges it could not know that it saw these.
    let said = error(few, ASK);
    assert!(
        said.starts_with("a cascade is fitted on the data of its run, but few.parquet"),
        "{said}"
    );
    std::fs::remove_dir_all(run_folder.join("folds")).unwrap();
    let said = error(logs, ASK);
    assert!(said.starts_with("at least 2 fold routers are needed"), "{said}");
}
