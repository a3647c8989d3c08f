//! The online bandit end to end: on a simulated world, and on recorded outcomes under a budget.

#![expect(clippy::print_stderr, reason = "says that it is skipped, and what it measured")]

use std::path::{Path, PathBuf};

use trainer::simulate::options::Options;
use trainer::simulate::policy::PolicyKind;
use trainer::simulate::report::{PolicyReport, Simulation};
use trainer::simulate::{simulate, write};

use crate::served::world;

const N_MODELS: usize = 4;

fn run(stream: &Path, train: &Path, more: &[&str]) -> Simulation {
    let paths = [stream.to_str().unwrap(), "--train", train.to_str().unwrap()];
    let line = paths.into_iter().chain(more.iter().copied());
    simulate(&Options::from_arguments(line).unwrap(), &|_, _| {}).unwrap()
}

fn of(simulation: &Simulation, policy: PolicyKind) -> &PolicyReport {
    simulation.policies.iter().find(|report| report.policy == policy).unwrap()
}

/// Training rows and a stream of a simulated world.
fn tables(folder: &Path) -> (PathBuf, PathBuf) {
    let (stream, train) = (folder.join("stream.parquet"), folder.join("train.parquet"));
    datasets::write::write_table(&world(N_MODELS).table(0..400), &train).unwrap();
    datasets::write::write_table(&world(N_MODELS).table(400..900), &stream).unwrap();
    (stream, train)
}

#[test]
fn a_learner_keeps_to_the_budget_beats_chance_and_leaves_honest_logs() {
    let folder = tempfile::tempdir().unwrap();
    let (stream, train) = tables(folder.path());
    // As much as drawing at random costs, which by itself buys less.
    let table = world(N_MODELS).table(400..900);
    let costs = (0..500).flat_map(|row| (0..N_MODELS).map(move |model| (row, model)));
    let costs: Vec<f64> =
        costs.filter_map(|(row, model)| Some(table.cost(row, model)?.dollars())).collect();
    let budget = (costs.iter().sum::<f64>() / costs.len() as f64).to_string();
    let more = ["--budget", &budget, "--rounds", "1200", "--seeds", "6", "--floor", "0.05"];
    let more = [&more[..], &["--delay", "5", "--missing", "0.2"]].concat();
    let simulation = run(&stream, &train, &more);
    let thompson = of(&simulation, PolicyKind::Thompson);
    let reward = |kind| of(&simulation, kind).reward.mean;
    assert!(thompson.utilization.unwrap().mean < 1.02, "{:?}", thompson.utilization);
    assert!(thompson.reward.mean > reward(PolicyKind::Uniform), "{:?}", thompson.reward);
    assert!(thompson.reward.mean > reward(PolicyKind::Cheapest), "{:?}", thompson.reward);
    assert!(reward(PolicyKind::Oracle) > thompson.reward.mean);
    assert!(of(&simulation, PolicyKind::Oracle).regret_to_oracle.mean.abs() < 1e-12);
    for check in &thompson.off_policy {
        let weight = check.mean_weight;
        assert!((weight.mean - 1.0).abs() <= 2.0 * weight.half_width, "{check:?}");
        // Six seeds say little of their own spread, so each seed's interval is asked.
        assert!(check.dr_covered >= 0.8, "{check:?}");
    }
    // Seeds are independent of who else runs: the same figures alone.
    let alone = run(&stream, &train, &[&more[..], &["--policy", "thompson"]].concat());
    assert_eq!(alone.policies[0].series, thompson.series);
    let out = folder.path().join("out");
    write(&out, &simulation).unwrap();
    let csv = std::fs::read_to_string(out.join("series.csv")).unwrap();
    assert!(csv.starts_with("policy,round,reward,cost_usd,utilization,lambda\nthompson,10,"));
    let svg = std::fs::read_to_string(out.join("simulation.svg")).unwrap();
    assert!(svg.contains("spend so far") && !svg.contains("NaN"));
}

#[test]
fn a_learner_without_a_budget_finds_a_model_that_appears() {
    let folder = tempfile::tempdir().unwrap();
    let (stream, train) = tables(folder.path());
    let more = ["--policy", "thompson,best_single", "--seeds", "4", "--rounds", "1500"];
    let simulation =
        run(&stream, &train, &[&more[..], &["--scenario", "new-model", "--at", "300"]].concat());
    let thompson = of(&simulation, PolicyKind::Thompson);
    let recovery = &thompson.recoveries[0];
    assert_eq!(recovery.round, 300);
    assert!(recovery.rounds.is_some_and(|rounds| rounds <= 500), "{recovery:?}");
    let subject = simulation.subject.clone().unwrap();
    let at = simulation.models.iter().position(|model| model.model == subject).unwrap();
    assert!(thompson.shares[at] > 0.2, "{:?}", thompson.shares);
}

/// The folders of recorded outcomes: what is served, and what came before.
fn recorded() -> Option<(PathBuf, PathBuf)> {
    let Some(shared) = std::env::var_os("SEXTANT_SHARED") else {
        eprintln!("skipped: SEXTANT_SHARED is not set");
        return None;
    };
    let data = PathBuf::from(shared).join("data");
    Some((data.join("paretobandit_test"), data.join("paretobandit_val")))
}

const BUDGET: [&str; 6] = ["--budget", "6.6e-4", "--seeds", "20", "--policy", "thompson"];

#[test]
fn recorded_outcomes_are_served_within_the_budget() {
    let Some((stream, train)) = recorded() else { return };
    let simulation = run(&stream, &train, &BUDGET);
    let thompson = of(&simulation, PolicyKind::Thompson);
    let (reward, overshoot) = (thompson.reward, thompson.overshoot.unwrap());
    eprintln!("quality {:.4} ± {:.4}", reward.mean, reward.half_width);
    eprintln!("overshoot {:.4} ± {:.4}", overshoot.mean, overshoot.half_width);
    assert!(reward.mean - reward.half_width >= 0.898, "{reward:?}");
    assert!(overshoot.mean <= 0.004, "{overshoot:?}");
    for check in &thompson.off_policy {
        let [weight, error] = [check.mean_weight, check.dr_error];
        assert!((weight.mean - 1.0).abs() <= weight.half_width, "{check:?}");
        assert!(error.mean.abs() <= error.half_width, "{check:?}");
    }
}
