//! How long fits of many prompts take, and how much memory.
//!
//! ```text
//! cargo run --example speed -- [prompts=100000] [models=16] [linear|bag|both]
//! ```
//!
//! Prompts and outcomes are those of the synthetic world. The parts are to be run one at a time
//! for their memory.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "results, and their time")]

use std::time::Instant;

use anyhow::{Context, Result};
use datasets::synthetic::{World, WorldParams};
use datasets::{Dataset, Folds};
use trainer::bag::{self, BagParams, Lesson};
use trainer::config::Config;
use trainer::design::Vectorizer;
use trainer::heads;
use trainer::problem::Problem;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| {
        args.get(at).map_or(Ok(default), |text| text.parse().context("numbers, then linear or bag"))
    };
    let (n, n_models) = (number(0, 100_000)?, number(1, 16)?);
    let part = args.get(2).map_or("both", String::as_str);
    let started = Instant::now();
    let world = World::new(WorldParams { seed: 0, n_models: usize::try_from(n_models)? })?;
    let problem = Problem::new(&Dataset::Table(world.table(0..n)), Folds::Hash(5))?;
    report("prompts", started);
    let grams: usize = problem.raw.iter().map(|raw| raw.grams.len()).sum();
    println!("{} distinct n-grams per prompt", grams as u64 / n);
    let rows: Vec<usize> = (0..problem.n_requests()).collect();
    let params = Config::default().fit_params();
    if part != "bag" {
        let started = Instant::now();
        let heads = heads::fit(&problem, &rows, params.vectorizer, &params.ridge);
        report("linear heads", started);
        println!("{} active n-grams", heads.vectorizer.n_grams());
    }
    if part != "linear" {
        let started = Instant::now();
        let raw: Vec<_> = problem.raw.iter().collect();
        let vectorizer = Vectorizer::fit(params.vectorizer, &raw);
        let bag = BagParams::default();
        let taught = heads::teach(&problem, &rows, params.vectorizer, &params.ridge);
        let means = heads::centers(&problem, &rows, taught.means.clone());
        let lesson = Lesson { rows: &rows, taught: &taught, means: &means };
        let fit = bag::fit(&problem, &lesson, &vectorizer, &bag);
        report("embedding bag", started);
        println!("{} epochs", fit.curves[0].len() - 1);
        for epoch in &fit.curves[0] {
            println!("epoch {}: held-out loss {:.4}", epoch.epoch, epoch.held_sum());
        }
    }
    Ok(())
}

/// Prints the time since `started` and the most memory so far.
fn report(what: &str, started: Instant) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.map_or("unknown", str::trim);
    println!("{what}: {:.1} s, most memory so far {peak}", started.elapsed().as_secs_f64());
}
