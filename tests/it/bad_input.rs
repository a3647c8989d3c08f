//! Bad input to the real binaries: the exit code, and a message that names the file or row, the
//! quantity, its bound and the value.

use std::path::Path;
use std::process::Command;

use datasets::write::{Column, write_columns};
use router_core::testing::random_linear_bytes;
use tempfile::TempDir;

use crate::served::{Setup, client};

/// Every command that reads logs.
const READERS: [&str; 3] = [
    "datasets check logs.parquet",
    "trainer fit logs.parquet",
    "evaluator benchmark logs.parquet --router router.safetensors",
];

type Columns = Vec<(&'static str, Column)>;

fn texts(values: [&str; 4]) -> Column {
    Column::Text(values.map(str::to_owned).to_vec())
}

/// Two requests and two models, with some columns replaced or added.
fn table(replaced: Columns) -> Columns {
    let mut columns = vec![
        ("request_id", texts(["r1", "r1", "r2", "r2"])),
        ("prompt", texts(["one", "one", "two", "two"])),
        ("model", texts(["large", "small", "large", "small"])),
        ("quality", Column::F64(vec![1.0, 0.0, 1.0, 0.5])),
        ("cost_usd", Column::F64(vec![0.01, 0.001, 0.01, 0.001])),
    ];
    for (name, column) in replaced {
        columns.retain(|(known, _)| *known != name);
        columns.push((name, column));
    }
    columns
}

/// A folder with `logs.parquet`, and an artifact for the commands that need one.
fn folder(columns: &Columns) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_columns(&folder.path().join("logs.parquet"), columns).unwrap();
    put(&folder, "router.safetensors", router());
    folder
}

fn put(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) {
    std::fs::write(folder.path().join(name), bytes).unwrap();
}

/// The artifact of a router of `model-00` and `model-01`.
fn router() -> Vec<u8> {
    random_linear_bytes(2, 0, 1)
}

/// Runs a command line in a folder: its exit code, and its errors without what surrounds them.
fn run(folder: &TempDir, line: &str) -> (Option<i32>, String) {
    let mut words = line.split(' ');
    // Cargo builds the binaries of the workspace beside its tests.
    let tests = std::env::current_exe().unwrap();
    let binary = tests.parent().and_then(Path::parent).unwrap().join(words.next().unwrap());
    assert!(binary.exists(), "build it first: cargo build --workspace --bins");
    let output = Command::new(binary).current_dir(folder.path()).args(words).output().unwrap();
    let (stdout, stderr) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    let said = match line.starts_with("datasets check") {
        // The errors end its report.
        true => stdout.unwrap().split_once("(rows count from 0)\n").unwrap().1.trim().to_owned(),
        false => stderr.unwrap().split_once("error: ").unwrap().1.trim_end().to_owned(),
    };
    (output.status.code(), said)
}

/// Asserts that each command refuses what is in the folder with one and the same message.
fn assert_refused(folder: &TempDir, lines: &[&str], message: &str) {
    for line in lines {
        assert_eq!(run(folder, line), (Some(1), message.to_owned()), "{line}");
    }
}

/// Asserts what every reader says of `logs.parquet` with these columns replaced.
fn assert_row_refused(replaced: Columns, message: &str) {
    let message = format!("logs.parquet: {message} (rows count from 0)");
    assert_refused(&folder(&table(replaced)), &READERS, &message);
}

#[test]
fn an_empty_file() {
    let folder = folder(&table(Vec::new()));
    put(&folder, "logs.parquet", "");
    let message =
        "logs.parquet is not a complete parquet file: at least 12 bytes are needed, got 0";
    assert_refused(&folder, &READERS, message);
}

#[test]
fn a_file_without_rows() {
    let text = || Column::Text(Vec::new());
    let columns = vec![
        ("request_id", text()),
        ("prompt", text()),
        ("model", text()),
        ("quality", Column::F64(Vec::new())),
    ];
    let message = "logs.parquet has 0 rows, at least 1 is needed";
    assert_refused(&folder(&columns), &READERS, message);
}

#[test]
fn a_truncated_file() {
    let folder = folder(&table(Vec::new()));
    let bytes = std::fs::read(folder.path().join("logs.parquet")).unwrap();
    put(&folder, "logs.parquet", &bytes[..bytes.len() / 2]);
    let message = "logs.parquet is not a complete parquet file: The file must end with PAR1";
    assert_refused(&folder, &READERS, message);
}

#[test]
fn a_file_without_quality() {
    let mut columns = table(Vec::new());
    columns.retain(|(name, _)| *name != "quality");
    let message = "logs.parquet has no column `quality`; its columns are request_id, prompt, \
                   model, cost_usd";
    assert_refused(&folder(&columns), &READERS, message);
}

#[test]
fn a_quality_above_1() {
    let quality = Column::F64(vec![1.0, 0.0, 1.2, 0.5]);
    let message = "row 2: quality must be in [0, 1], got 1.2";
    assert_row_refused(vec![("quality", quality)], message);
}

#[test]
fn a_quality_that_is_not_a_number() {
    let quality = Column::F64(vec![1.0, f64::NAN, 1.0, 0.5]);
    let message = "row 1: quality must be in [0, 1], got NaN";
    assert_row_refused(vec![("quality", quality)], message);
}

#[test]
fn a_negative_cost() {
    let cost = Column::F64(vec![0.01, 0.001, 0.01, -0.001]);
    let message = "row 3: cost_usd must be at least 0 and at most 1e9, got -0.001";
    assert_row_refused(vec![("cost_usd", cost)], message);
}

#[test]
fn a_propensity_of_0() {
    let replaced = vec![
        ("request_id", texts(["r1", "r2", "r3", "r4"])),
        ("propensity", Column::F64(vec![0.5, 0.5, 0.0, 0.5])),
    ];
    assert_row_refused(replaced, "row 2: propensity must be in (0, 1], got 0");
}

#[test]
fn a_request_and_model_twice() {
    let model = texts(["large", "large", "large", "small"]);
    let message = "row 1: model must occur once per request (first in row 0), got large again for \
                   request r1";
    assert_row_refused(vec![("model", model)], message);
}

#[test]
fn one_model_only() {
    let replaced =
        vec![("request_id", texts(["r1", "r2", "r3", "r4"])), ("model", texts(["model-00"; 4]))];
    let folder = folder(&table(replaced));
    let message = "at least 2 models are needed to learn a choice, got 1";
    assert_refused(&folder, &["trainer fit logs.parquet"], message);
    let message = format!("{message} (model-00)");
    assert_refused(&folder, &READERS[2..], &message);
}

/// A log of two decisions.
fn log() -> TempDir {
    folder(&table(vec![
        ("request_id", texts(["r1", "r2", "r3", "r4"])),
        ("propensity", Column::F64(vec![0.5; 4])),
    ]))
}

#[test]
fn a_log_where_every_answer_is_needed() {
    let message = "a benchmark needs an outcome table (each model's answer to each request), but \
                   logs.parquet is a log (only the drawn model's)";
    assert_refused(&log(), &READERS[2..], message);
    let message = "--models: complete and common need an outcome table, got a log";
    assert_refused(&log(), &["trainer fit logs.parquet --models complete"], message);
}

#[test]
fn a_model_that_is_not_there() {
    let message = "--models: gpt-* is none of the 2 models (large, small)";
    let line = "trainer fit logs.parquet --models gpt-*";
    assert_refused(&log(), &[line], message);
    assert_refused(&folder(&table(Vec::new())), &[line], message);
}

#[test]
fn a_server_that_has_not_served() {
    let message = "there is no database sextant.db: database.path must name one that a server has \
                   written";
    assert_refused(&tempfile::tempdir().unwrap(), &["server export -o log.parquet"], message);
}

/// The commands that load `router.safetensors`.
const LOADERS: [(&str, &str); 2] = [
    ("trainer inspect router.safetensors", "in router.safetensors"),
    (READERS[2], "router.safetensors"),
];

fn assert_artifact_refused(bytes: &[u8], message: &str) {
    let folder = folder(&table(Vec::new()));
    put(&folder, "router.safetensors", bytes);
    for (line, place) in LOADERS {
        assert_refused(&folder, &[line], &format!("{place}: {message}"));
    }
}

#[test]
fn a_truncated_artifact() {
    let bytes = router();
    let message = "not a router artifact: incomplete metadata, file not fully covered";
    assert_artifact_refused(&bytes[..bytes.len() / 2], message);
    assert_artifact_refused(&bytes[..100], "not a router artifact: invalid header length");
    assert_artifact_refused(b"", "not a router artifact: header too small");
}

/// An artifact with its format version raised by one.
fn newer() -> Vec<u8> {
    let mut bytes = router();
    let version = br#"\"format_version\":1"#;
    let at = bytes.windows(version.len()).position(|window| window == version).unwrap();
    bytes[at + version.len() - 1] = b'2';
    bytes
}

#[test]
fn a_newer_artifact() {
    let message = "format_version must be 1, got 2: this program does not know it";
    assert_artifact_refused(&newer(), message);
}

#[tokio::test]
async fn a_server_says_why_it_does_not_use_its_router() {
    let cut = &router()[..100];
    for (bytes, message) in [
        (cut, "not a router artifact: invalid header length"),
        (&newer(), "format_version must be 1, got 2: this program does not know it"),
    ] {
        let served = Setup::new("http://127.0.0.1:1", 2).router(bytes).serve().await;
        let ready = client().get(format!("{}/readyz", served.url)).send().await.unwrap();
        let ready: serde_json::Value = ready.json().await.unwrap();
        assert_eq!(ready["status"], "degraded");
        let begin = "fallback: cannot use router router.safetensors: ";
        assert_eq!(ready["router"], format!("{begin}{message}"));
        let log = served.log();
        assert!(log.contains("static fallback") && log.contains(message), "{log}");
    }
}

#[test]
fn an_unknown_key_of_an_experiment() {
    let folder = folder(&table(Vec::new()));
    put(&folder, "experiment.toml", "seed = 1\nsead = 3\n");
    let (code, said) = run(&folder, "trainer fit logs.parquet --config experiment.toml");
    assert_eq!(code, Some(1));
    let begin = "in experiment.toml: line 2: unknown field `sead`, expected one of `target`, ";
    assert!(said.starts_with(begin), "{said}");
    assert!(said.contains("`seed`") && said.lines().count() == 1, "{said}");
}

#[test]
fn an_unknown_key_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    put(&folder, "server.toml", "[log]\nstore_prompt = true\n");
    let message = "server.toml: unknown field `store_prompt`, expected one of `store_prompts`, \
                   `queue_rows`, `batch_rows` in `log`";
    let lines = ["server", "server run", "server check-config", "server export -o log.parquet"]
        .map(|line| format!("{line} --config server.toml"));
    assert_refused(&folder, &lines.each_ref().map(String::as_str), message);
    assert_eq!(folder.path().read_dir().unwrap().count(), 1, "no database is made");
}

#[test]
fn a_command_line_that_is_wrong() {
    let folder = folder(&table(Vec::new()));
    for (line, message) in [
        ("datasets import csv x.csv -o y.parquet", "invalid value 'csv' for '<FORMAT>'"),
        ("trainer fit", "the following required arguments were not provided:\n  <LOGS>..."),
        ("trainer fit logs.parquet --seed -1", "unexpected argument '-1' found"),
        (
            "evaluator benchmark logs.parquet",
            "the following required arguments were not provided:\n  --router <ROUTER>...",
        ),
        (
            "evaluator benchmark logs.parquet --router r --pair large,large",
            "invalid value 'large,large' for '--pair <WEAK,STRONG>': a pair must be two different models, got \"large,large\"",
        ),
        ("server --router", "a value is required for '--router <ROUTER>' but none was supplied"),
        ("sim drive", "the following required arguments were not provided:\n  --server <SERVER>"),
    ] {
        let (code, said) = run(&folder, line);
        assert_eq!(code, Some(2), "{line}");
        assert!(said.starts_with(message), "{line}: {said}");
    }
}
