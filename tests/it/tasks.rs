//! A task classifier from labelled prompts to the label of a decision.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Parser;
use datasets::prompts::{Caps, Taxonomy, read};
use datasets::synthetic::{World, WorldParams};
use datasets::{Dataset, Opened, Source};
use rand_pcg::Pcg64;
use rand_pcg::rand_core::SeedableRng;
use router_core::{Ask, RequestView, Router, Scratch, TaskPart, Tier, testing};
use trainer::config::{Config, Overrides};
use trainer::tasks::cli::{FitTasks, Fitted, run, write};
use trainer::tasks::data::{Corpus, Dealing};
use trainer::tasks::evaluate::{figures, judged_by};
use trainer::tasks::fit::{Confidence, TaskParams, fit, score};
use trainer::tasks::vectors::vectors;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: FitTasks,
}

fn args(line: &[&str]) -> FitTasks {
    Line::try_parse_from(["fit-tasks"].iter().chain(line)).unwrap().args
}

/// 320 prompts: four things that may be wanted of one of eighty objects, in two wordings each.
fn prompts(folder: &Path) -> PathBuf {
    const WORDINGS: [(&str, [&str; 2]); 4] = [
        ("translation", ["Translate into French: the", "How do you say in Spanish: the"]),
        ("summarization", ["Summarize in one line this text on a", "Give me a summary of the"]),
        ("code_repair", ["Fix the bug in this code: let", "Why does this fail? fn"]),
        ("tool_use", ["Turn on the", "Switch off the"]),
    ];
    let mut csv = "text,label\n".to_owned();
    for object in 0..80u8 {
        let name: String = (0..3).map(|i| char::from(b'a' + (object + 11 * i) % 26)).collect();
        for (label, wordings) in WORDINGS {
            let wording = wordings[usize::from(object % 2)];
            let end = if label == "code_repair" { " = f(x[0]);" } else { " of today" };
            writeln!(csv, "\"{wording} {name}{object}{end}\",{label}").unwrap();
        }
    }
    let path = folder.join("prompts.csv");
    std::fs::write(&path, csv).unwrap();
    path
}

fn fitted(folder: &Path) -> Fitted {
    let path = prompts(folder);
    let line = [path.to_str().unwrap(), "--tool-label", "tool_use"];
    run(&args(&line), &|_, _| {}).unwrap()
}

#[test]
fn a_classifier_of_300_prompts_names_the_task_of_a_decision() {
    let folder = tempfile::tempdir().unwrap();
    let fitted = fitted(folder.path());
    let report = &fitted.report;
    assert_eq!((report.n_prompts, report.labels.len(), report.all.n), (320, 4, 320));
    assert!(report.all.accuracy.value > 0.98, "{report:?}");
    assert!(report.unseen.is_empty() && report.natural.is_none(), "there is one source");
    let out = folder.path().join("out");
    write(&out, &fitted, 0.92).unwrap();
    for name in ["tasks.json", "report.md", "abstention.svg"] {
        assert!(out.join(name).metadata().unwrap().len() > 500, "{name}");
    }
    let part =
        TaskPart::from_bytes(&std::fs::read(out.join("tasks.safetensors")).unwrap()).unwrap();
    let router = part.carried_by(&testing::random_linear_bytes(3, 2, 1)).unwrap();
    let router = Router::from_bytes(&router).unwrap();
    let task = |view: &RequestView<'_>| {
        let mut scratch = Scratch::default();
        let mut rng = Pcg64::seed_from_u64(1);
        let decision =
            router.decide(view, &Ask::tier(Tier::Balanced), &mut scratch, &mut rng).unwrap();
        router.explain(view, &decision, &mut scratch).task.unwrap()
    };
    let text = "Translate into French: the violin of tomorrow";
    let translation = task(&RequestView::from_text(text));
    assert_eq!(translation.label.as_deref(), Some("translation"));
    assert!(translation.probability > 0.9);
    // Words of a tool request without tools name no tool request; tools do, whatever the words.
    let words = task(&RequestView::from_text("Turn on the violin of tomorrow"));
    assert_ne!(words.label.as_deref(), Some("tool_use"));
    let tools = task(&RequestView { n_tools: 1, ..RequestView::from_text(text) });
    assert_eq!(tools.label.as_deref(), Some("tool_use"));
}

#[test]
fn fitted_routers_carry_the_classifier_and_decide_as_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let part = fitted(folder.path()).part;
    let table = World::new(WorldParams { seed: 5, n_models: 2 }).unwrap().table(0..150);
    let source = Source { name: "logs.parquet".into(), sha256: "5e".into(), n_rows: 1 };
    let opened = Opened { data: Dataset::Table(table), sources: vec![source] };
    let overrides = Overrides { cross_fit: Some("3".into()), ..Overrides::default() };
    let config = Config::resolve([overrides]).unwrap();
    let mut with = trainer::run::fit(opened, &config, &|_, _| {}).unwrap();
    let without = Router::from_bytes(&with.all).unwrap();
    with.carry(&part).unwrap();
    assert_eq!(with.folds.len(), 3);
    for bytes in with.folds.iter().map(|(_, bytes)| bytes).chain([&with.all]) {
        assert_eq!(Router::from_bytes(bytes).unwrap().tasks(), Some(&part));
    }
    let with = Router::from_bytes(&with.all).unwrap();
    let view = RequestView::from_text("Fix the bug in this code: let y = f(x[1]);");
    let mut scratch = Scratch::default();
    let mut expected = without.predict(&view, &mut scratch);
    let predicted = with.predict(&view, &mut scratch);
    assert_eq!(predicted.task.as_ref().unwrap().label.as_deref(), Some("code_repair"));
    expected.task.clone_from(&predicted.task);
    assert_eq!(predicted, expected);
}

#[test]
fn the_same_prompts_make_the_same_bytes_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = || fitted(folder.path()).part.to_bytes().unwrap();
    let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
    assert!(pool(1).install(bytes) == pool(3).install(bytes), "other bytes");
}

#[test]
fn options_out_of_range_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = prompts(folder.path());
    for (option, value, expected) in [
        ("--cost", "0", "cost must be above 0 and finite, got 0"),
        ("--accuracy", "1.5", "accuracy must be in [0, 1], got 1.5"),
        ("--cross-fit", "1", "cross-fit must be at least 2, got 1"),
        ("--natural", "web", "natural source web is none of the sources: prompts"),
        ("--tool-label", "act", "no act for requests with tools"),
        ("--source", "web", "at least 2 labels are needed to fit, got 0"),
    ] {
        let args = args(&[path.to_str().unwrap(), option, value]);
        let error = run(&args, &|_, _| {}).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// The floors of `routing-baselines.md`, on one of the five folds.
#[test]
fn the_floors_hold_on_held_out_prompts() {
    let Some(shared) = std::env::var_os("SEXTANT_SHARED").map(PathBuf::from) else {
        println!("skipped: SEXTANT_SHARED does not name the shared data");
        return;
    };
    let data = shared.join("data");
    let files = [data.join("task_type/prompts.parquet"), data.join("bfcl/logs.parquet")];
    let taxonomy = Taxonomy::read(&data.join("task_type/taxonomy.csv")).unwrap();
    let caps = Caps::parse(&["400", "clinc150=15"]).unwrap();
    let dealing = Dealing { n_folds: 5, min_head: 100 };
    let corpus = Corpus::new(read(&files).unwrap().rows, Some(&taxonomy), &caps, &dealing).unwrap();
    let natural = ["autoj_scenario", "stack_eval"];
    let source_weights = natural.map(|source| (source.to_owned(), 4.0)).into();
    let params = TaskParams { source_weights, ..TaskParams::default() };
    let rows = |held: bool| -> Vec<usize> {
        corpus.rows(|row| corpus.is_train[row] && (corpus.fold[row] == 4) == held).collect()
    };
    let tasks = fit(&corpus, &vectors(&corpus.texts), &rows(false), &params).unwrap();
    let n_bytes = tasks.parts().weights.len() + 4 * tasks.parts().buckets.len();
    assert!(n_bytes <= 3_000_000, "{n_bytes}");
    let held = score(&tasks, &corpus, &rows(true));
    let confidence = Confidence::fit(&held, &corpus);
    let judged: Vec<_> = held.iter().map(|held| judged_by(held, &confidence)).collect();
    let is_natural = |row: usize| natural.contains(&corpus.sources[corpus.source[row]].as_str());
    let of_people: Vec<_> = judged.iter().filter(|j| is_natural(j.row)).copied().collect();
    for (judged, f1, accuracy, coverage) in
        [(&judged, 0.74, 0.86, 0.87), (&of_people, 0.55, 0.64, 0.24)]
    {
        let figures = figures(&corpus, judged, 0.92);
        println!(
            "{} {:?} {:?} {}",
            figures.n, figures.macro_f1, figures.accuracy, figures.coverage
        );
        assert!(figures.macro_f1.value >= f1, "{figures:?}");
        assert!(figures.accuracy.value >= accuracy, "{figures:?}");
        assert!(figures.coverage >= coverage, "{figures:?}");
    }
}
