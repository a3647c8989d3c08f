//! A model that a router does not know, placed by a few labels: from the binary to the server.

use std::path::Path;
use std::process::{Command, Output};

use datasets::write::write_table;
use datasets::{Dataset, Opened};
use router_core::{OutcomeTable, Router, Scratch};
use serde_json::{Value, json};
use system_tests::upstream::{Simulated, Upstream};
use trainer::config::{Config, Overrides};
use trainer::run;

use crate::served::{Setup, answers, client, world};

const N_MODELS: usize = 5;

/// The model that is new.
const NEW: usize = 2;

/// A table of some requests, with the models that are kept.
fn table(requests: std::ops::Range<u64>, keep: impl Fn(usize) -> bool) -> OutcomeTable {
    let table = world(N_MODELS).table(requests);
    let kept: Vec<usize> = (0..N_MODELS).filter(|model| keep(*model)).collect();
    let of = |row: usize| kept.iter().map(move |model| row * N_MODELS + model);
    OutcomeTable {
        models: kept.iter().map(|model| table.models[*model].clone()).collect(),
        outcomes: (0..table.requests.len()).flat_map(of).map(|cell| table.outcomes[cell]).collect(),
        requests: table.requests,
    }
}

/// A run folder of the others, with fold routers and exploration, and a folder to work in.
fn fitted() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let overrides = Overrides {
        cross_fit: Some("3".to_owned()),
        exploration: Some(0.3),
        ..Overrides::default()
    };
    let config = Config::resolve([overrides]).unwrap();
    let data = Dataset::Table(table(10_000..10_400, |model| model != NEW));
    let fitted = run::fit(Opened { data, sources: Vec::new() }, &config, &|_, _| {}).unwrap();
    run::write(&folder.path().join("run"), &fitted, &config).unwrap();
    folder
}

fn place(folder: &Path, logs: &str) -> Output {
    let tests = std::env::current_exe().unwrap();
    let binary = tests.parent().and_then(Path::parent).unwrap().join("trainer");
    assert!(binary.exists(), "build it first: cargo build --workspace --bins");
    Command::new(binary).current_dir(folder).args(["place", "run", logs]).output().unwrap()
}

fn read(folder: &Path, name: &str) -> Router {
    Router::from_bytes(&std::fs::read(folder.join(name)).unwrap()).unwrap()
}

#[tokio::test]
async fn a_placed_model_is_expected_near_its_quality_and_served() {
    let folder = fitted();
    write_table(&table(20_000..20_050, |_| true), &folder.path().join("few.parquet")).unwrap();
    let output = place(folder.path(), "few.parquet");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let name = world(N_MODELS).models()[NEW].id.clone();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with(&format!("{name}: quality 0.")), "{said}");

    let router = read(folder.path(), "placed/router.safetensors");
    let arm = router.catalog().arm(name.as_str()).unwrap();
    let judged = world(N_MODELS).table(30_000..30_300);
    let (mut expected, mut real, mut dollars) = (0.0, 0.0, [0.0; 2]);
    for (row, request) in judged.requests.iter().enumerate() {
        let prediction = router.predict(&request.view(), &mut Scratch::default());
        expected += prediction.quality[arm] / 300.0;
        dollars[0] += prediction.cost[arm].unwrap();
        real += judged.quality(row, NEW).unwrap() / 300.0;
        dollars[1] += judged.cost(row, NEW).unwrap().dollars();
    }
    // 50 labels of variance 0.2 leave 0.06, the 300 judged ones 0.03.
    assert!((expected - real).abs() < 0.15, "{expected} {real}");
    assert!((dollars[0] / dollars[1] - 1.0).abs() < 0.3, "{dollars:?}");
    let sd = &router.predict(&judged.requests[0].view(), &mut Scratch::default()).sd;
    let sure = |other: usize| other == arm || sd[other] < sd[arm];
    assert!(sd[arm] < 0.2 && (0..N_MODELS).all(sure), "{sd:?}");
    let before = read(folder.path(), "run/router.safetensors");
    let request = judged.requests[0].view();
    let (old, new) =
        [&before, &router].map(|r| r.predict(&request, &mut Scratch::default())).into();
    let at = |router: &Router, id: &str| router.catalog().arm(id).unwrap();
    for spec in before.catalog().models() {
        let (a, b) = (at(&before, spec.id.as_str()), at(&router, spec.id.as_str()));
        assert!((old.score[a] - new.score[b]).abs() < 1e-6);
    }
    for fold in 0..3 {
        let fold = read(folder.path(), &format!("placed/folds/fold-{fold}.safetensors"));
        assert!(fold.catalog().arm(name.as_str()).is_some());
    }

    let upstream = Upstream::start(Simulated::new(answers(N_MODELS))).await.unwrap();
    let bytes = std::fs::read(folder.path().join("placed/router.safetensors")).unwrap();
    let served = Setup::new(&upstream.url, N_MODELS).router(bytes).serve().await;
    let url = format!("{}/v1/route", served.url);
    let body =
        json!({"model": "auto", "messages": [{"role": "user", "content": "What is 2 + 2?"}]});
    let answer: Value = client().post(url).json(&body).send().await.unwrap().json().await.unwrap();
    let candidates = answer["candidates"].as_array().unwrap();
    let placed = candidates.iter().find(|candidate| candidate["model"] == name.as_str()).unwrap();
    assert!(placed["predicted_quality_sd"].as_f64().unwrap() > 0.0, "{placed}");
    assert!(placed["propensity"].as_f64().unwrap() >= 0.3 / 5.0 - 1e-12, "{placed}");
}

#[test]
fn what_cannot_be_placed_is_refused_with_the_bound() {
    let folder = fitted();
    let write = |name: &str, table: &OutcomeTable| {
        write_table(table, &folder.path().join(name)).unwrap();
    };
    write("nine.parquet", &table(20_000..20_009, |model| model == NEW));
    write("known.parquet", &table(20_000..20_050, |model| model != NEW));
    for (logs, said) in [
        ("nine.parquet", "at least 10 prompts with a known quality are needed to place "),
        ("known.parquet", "the data must have a model that the router lacks, got only "),
        ("none.parquet", "cannot use none.parquet"),
    ] {
        let output = place(folder.path(), logs);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.starts_with("error: ") && error.contains(said), "{error}");
    }
    assert!(!folder.path().join("placed").exists());
}
