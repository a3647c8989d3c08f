//! The binary: exit codes and what it writes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

fn run(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_datasets")).current_dir(folder).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_world_is_simulated_logged_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let world = ["simulate", "-o", "table.parquet", "--requests", "50", "--seed", "3"];
    let output = run(folder.path(), &[&world[..], &["--truth", "truth.json"]].concat());
    assert_eq!(text(&output.stdout), "table.parquet: outcome table, 200 rows, 50 requests\n");
    let truth = std::fs::read_to_string(folder.path().join("truth.json")).unwrap();
    assert!(truth.contains("\"best_single\": \"large\""), "{truth}");
    let bytes = std::fs::read(folder.path().join("table.parquet")).unwrap();
    run(folder.path(), &world);
    assert_eq!(std::fs::read(folder.path().join("table.parquet")).unwrap(), bytes);
    let log = ["simulate", "-o", "log.parquet", "--from", "table.parquet", "--log", "uniform"];
    assert!(run(folder.path(), &log).status.success());
    let output = run(folder.path(), &["check", "log.parquet", "--json"]);
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("\"mean_inverse\": 4.0"), "{output:?}");
}

#[test]
fn errors_exit_with_1_and_wrong_arguments_with_2() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.parquet"), "PAR1").unwrap();
    let output = run(folder.path(), &["check", "bad.parquet"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("bad.parquet is not a complete parquet file"));
    let output = run(folder.path(), &["import", "long", "none.csv", "-o", "logs.parquet"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cannot read none.csv"), "{output:?}");
    let output = run(folder.path(), &["simulate", "-o", "x", "--log", "greedy"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn an_imported_file_passes_the_check() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gsm8k_responses.csv"), "prompt,a,b\nWhy?,True,False\n")
        .unwrap();
    let import = ["import", "routellm", "gsm8k_responses.csv", "-o", "logs.parquet"];
    let output = run(folder.path(), &import);
    assert_eq!(text(&output.stdout), "logs.parquet: outcome table, 2 rows, 1 requests\n");
    assert!(run(folder.path(), &["check", "logs.parquet"]).status.success());
}
