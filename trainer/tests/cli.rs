//! The binary: exit codes and what it prints. With this file cargo builds it for `tests` too.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

use datasets::synthetic::{World, WorldParams};
use router_core::testing::random_linear_bytes;

fn run(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trainer")).current_dir(folder).args(args).output().unwrap()
}

#[test]
fn an_artifact_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("router.safetensors"), random_linear_bytes(2, 0, 1)).unwrap();
    let output = run(folder.path(), &["inspect", "router.safetensors"]);
    let manifest: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(manifest["catalog"]["models"][1]["id"], "model-01");
}

#[test]
fn errors_exit_with_1_and_wrong_arguments_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["fit", "none.parquet"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error: cannot use none.parquet: No such file"), "{said}");
    assert_eq!(run(folder.path(), &["fit"]).status.code(), Some(2));
    assert_eq!(run(folder.path(), &["learn"]).status.code(), Some(2));
}

#[test]
fn a_log_without_propensities_is_refused_unless_they_are_to_be_fitted() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = World::new(WorldParams { seed: 0, n_models: 2 }).unwrap().table(0..200);
    for (row, answers) in table.outcomes.chunks_mut(2).enumerate() {
        answers[row % 2] = None;
    }
    datasets::write::write_table(&table, &folder.path().join("choices.parquet")).unwrap();
    let output = run(folder.path(), &["fit", "choices.parquet"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("one of 2 models, and no propensity is recorded"), "{said}");
    assert!(said.contains("--assume-propensities fitted"), "{said}");
    let args = ["fit", "choices.parquet", "--assume-propensities", "fitted", "--learn", "mtr"];
    let output = run(folder.path(), &args);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("learned by mtr, propensities: FITTED, not known"), "{said}");
    let output = run(folder.path(), &["inspect", "run/router.safetensors"]);
    let manifest: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(manifest["provenance"]["config"]["propensities"], "fitted");
    assert_eq!(run(folder.path(), &["fit", "x", "--learn", "ppo"]).status.code(), Some(2));
}
