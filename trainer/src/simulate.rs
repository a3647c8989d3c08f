//! The online bandit end to end: an outcome table is replayed as a stream of requests, of which
//! only the drawn model's outcome is seen.
//!
//! The path of a simulation: [`options`] are checked; [`world`] fits a router on the training
//! table and turns requests into contexts; [`change`] says what happens to the models meanwhile;
//! [`policy`] turns a context into a distribution, and [`replay`] draws, pays and learns, once per
//! seed; [`recovery`] compares with a twin that always lived after the change; [`report`] puts it
//! all together, [`figure`] draws it.

pub mod change;
pub mod figure;
pub mod off_policy;
pub mod options;
pub mod policy;
mod pricing;
pub mod recovery;
pub mod replay;
pub mod report;
pub mod world;

use std::path::Path;

use anyhow::{Context, Result};
use rayon::prelude::*;

use crate::run::Progress;

use change::Change;
use options::{Options, Scenario};
use policy::PolicyKind;
use recovery::Recovery;
use replay::{Run, Setting};
use report::{PolicyReport, Simulation};
use world::Prepared;

/// Fits, replays every policy for every seed, and reports.
///
/// # Errors
///
/// If an option is out of range, a file cannot be read, or the tables do not fit together.
pub fn simulate(options: &Options, progress: Progress<'_>) -> Result<Simulation> {
    options.check()?;
    let prepared = Prepared::new(options, progress)?;
    let change = Change::new(options, &prepared)?;
    let setting =
        Setting { options, prepared: &prepared, change, n_rounds: options.n_rounds(&prepared) };
    let mut policies = Vec::new();
    for kind in &options.policy {
        let runs = runs(&setting, *kind)?;
        let recoveries = recoveries(&setting, *kind, &runs)?;
        policies.push(PolicyReport::new(&setting, *kind, &runs, recoveries));
    }
    Ok(Simulation::new(&setting, policies))
}

/// One run per seed, in the order of seeds.
fn runs(setting: &Setting<'_>, kind: PolicyKind) -> Result<Vec<Run>> {
    (0..setting.options.seeds)
        .into_par_iter()
        .map(|seed| replay::run(setting, kind, seed))
        .collect()
}

/// How fast a policy that learns is as good as its twin after each turn of the scenario.
fn recoveries(setting: &Setting<'_>, kind: PolicyKind, runs: &[Run]) -> Result<Vec<Recovery>> {
    if !kind.is_paced() || setting.options.scenario == Scenario::None {
        return Ok(Vec::new());
    }
    let turns = setting.change.turns(setting.n_rounds);
    turns
        .into_iter()
        .map(|turn| {
            let twins = Setting { change: turn.twin.clone(), ..setting.clone() };
            Ok(Recovery::new(&turn, setting.options.budget, runs, &self::runs(&twins, kind)?))
        })
        .collect()
}

/// Writes `simulation.json`, `series.csv` and `simulation.svg`.
///
/// # Errors
///
/// If a file cannot be written.
pub fn write(out: &Path, simulation: &Simulation) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    let mut json = serde_json::to_string_pretty(simulation)?;
    json.push('\n');
    let files = [
        ("simulation.json", json),
        ("series.csv", simulation.series_csv()),
        ("simulation.svg", figure::draw(simulation)?),
    ];
    for (name, text) in files {
        let path = out.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
