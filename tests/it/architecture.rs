//! Who may know whom, and how long a file may be.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Which workspace crates each may depend on.
const LAYERS: &[(&str, &[&str])] = &[
    ("router-core", &[]),
    ("router-encoder", &[]),
    ("datasets", &["router-core"]),
    ("trainer", &["router-core", "router-encoder", "datasets"]),
    ("evaluator", &["router-core", "datasets"]),
    // `datasets` for `server export` only: one schema, one writer.
    ("server", &["router-core", "datasets"]),
    (
        "system-tests",
        &["router-core", "router-encoder", "datasets", "trainer", "evaluator", "server"],
    ),
];

/// Which crates alone may name each heavy dependency.
const CONFINED: &[(&str, &[&str])] = &[
    ("burn", &["trainer", "router-encoder"]),
    ("tokenizers", &["router-encoder"]),
    ("linfa", &["trainer"]),
    ("linfa-linear", &["trainer"]),
    ("ndarray", &["trainer", "evaluator"]),
    // The tests read reference results in parquet of other columns than a log's.
    ("polars", &["datasets", "system-tests"]),
    ("plotters", &["evaluator", "trainer"]),
    ("sqlx", &["server"]),
    ("axum", &["server", "system-tests"]),
    ("reqwest", &["server", "system-tests"]),
    ("tokio", &["server", "system-tests"]),
];

/// Lines that a source file may have.
const MAX_LINES: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn packages() -> Vec<(String, Vec<String>)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            (name(package), dependencies.map(name).collect())
        })
        .collect()
}

#[test]
fn crates_depend_only_downwards_and_heavy_dependencies_are_confined() {
    let packages = packages();
    assert_eq!(packages.len(), LAYERS.len(), "a new crate needs its place in LAYERS");
    for (package, dependencies) in packages {
        let (_, allowed) = LAYERS.iter().find(|(name, _)| *name == package).unwrap();
        for dependency in dependencies {
            let is_ours = LAYERS.iter().any(|(name, _)| *name == dependency);
            assert!(
                !is_ours || allowed.contains(&dependency.as_str()),
                "{package} must not depend on {dependency}"
            );
            if let Some((_, users)) = CONFINED.iter().find(|(name, _)| *name == dependency) {
                assert!(users.contains(&package.as_str()), "{package} must not use {dependency}");
            }
        }
    }
}

fn sources() -> Vec<String> {
    let output =
        Command::new("git").args(["ls-files", "*.rs"]).current_dir(root()).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn files_are_short_and_named_after_their_module() {
    let sources = sources();
    assert!(sources.len() > 50, "git lists the sources");
    for source in sources {
        assert!(!source.ends_with("/mod.rs"), "{source}: use name.rs and name/");
        let n_lines = std::fs::read_to_string(root().join(&source)).unwrap().lines().count();
        assert!(n_lines <= MAX_LINES, "{source} has {n_lines} lines, at most {MAX_LINES}");
    }
}

#[test]
fn the_core_touches_nothing_outside_itself() {
    for source in sources().iter().filter(|source| source.starts_with("router-core/src/")) {
        let text = std::fs::read_to_string(root().join(source)).unwrap();
        for module in ["std::fs", "std::net", "std::env", "std::time", "std::thread", "rand::rng("]
        {
            assert!(!text.contains(module), "{source} must not use {module}");
        }
    }
}
