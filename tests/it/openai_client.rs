//! The official Python client of OpenAI against the real server.

use std::process::Command;

use datasets::synthetic::World;
use datasets::{Dataset, Opened};
use system_tests::upstream::{Simulated, Upstream};
use trainer::config::Config;

use crate::python::{environment, or_skipped};
use crate::served::{Setup, answers, world};

/// Version of the package `openai` of the Python Package Index.
const VERSION: &str = "3.57.0";

/// What the script expects of the models that no router knows.
const FAULTS: [&str; 8] = [
    "status=429,retry-after=0,model=extra-1,every=2",
    "status=500,model=extra-2,nth=1",
    "cut=1,model=extra-3",
    "end=1,model=extra-4",
    "garbage,model=extra-5",
    "cut=0,model=extra-6",
    "status=400,model=extra-7",
    "end=0,model=extra-8",
];

/// Models of the world: those of the router, and one for each fault.
const N_MODELS: usize = N_ROUTED + FAULTS.len();
const N_ROUTED: usize = 4;

/// A router fitted on what every model of the world answered to some requests.
fn fitted(world: &World) -> Vec<u8> {
    let opened = Opened { data: Dataset::Table(world.table(0..300)), sources: Vec::new() };
    trainer::run::fit(opened, &Config::default(), &|_, _| {}).unwrap().all
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_python_client_gets_what_it_expects() {
    let Some(environment) = or_skipped(environment("openai", VERSION, &[])) else { return };
    let faults = FAULTS.iter().map(|rule| rule.parse().unwrap()).collect();
    let simulated = Simulated { faults, ..Simulated::new(answers(N_MODELS)) };
    let upstream = Upstream::start(simulated).await.unwrap();
    let router = tokio::task::spawn_blocking(|| fitted(&world(N_ROUTED))).await.unwrap();
    let served = Setup::new(&upstream.url, N_MODELS).router(router).serve().await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/it/openai_client.py");
    let output =
        Command::new(environment.join("bin/python")).arg(script).arg(&served.url).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let problem = String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    assert!(output.status.success(), "{said}\n{problem}\n{}", served.log());
    assert!(said.contains(&format!("openai {VERSION}: 14 of 14 as expected")), "{said}");
}
