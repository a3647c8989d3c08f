//! The binary `datasets`: check, import, simulate.

mod cli;
mod output;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;
use datasets::check::check;
use datasets::import::import;
use datasets::logging::{resample, simulate_log};
use datasets::synthetic::{World, WorldParams};
use datasets::{Dataset, write};
use router_core::OutcomeTable;

use cli::{CheckArgs, Cli, Command, ImportArgs, SimulateArgs};

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Check(args) => run_check(&args),
        Command::Import(args) => run_import(&args),
        Command::Simulate(args) => run_simulate(&args),
    };
    result.unwrap_or_else(|error| {
        output::error(&format!("error: {error:#}"));
        ExitCode::FAILURE
    })
}

fn run_check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let report = check(&args.files);
    if args.json {
        output::print(&format!("{}\n", serde_json::to_string_pretty(&report)?));
    } else {
        output::print(&report.to_string());
    }
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_import(args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let data = import(args.format.into(), &args.paths, &args.maps)?;
    save(&data, &args.output)
}

fn run_simulate(args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    let table = match &args.from {
        Some(path) => {
            let table = table_of(path)?;
            let table = match &args.select {
                Some(selection) => selection.select(&table)?,
                None => table,
            };
            match args.rounds {
                Some(n_rounds) => resample(&table, n_rounds, args.seed),
                None => table,
            }
        }
        None => simulated(args)?,
    };
    let data = match &args.log {
        Some(policy) => Dataset::Log(simulate_log(&table, policy, args.seed)?),
        None => Dataset::Table(table),
    };
    save(&data, &args.output)
}

fn table_of(path: &Path) -> anyhow::Result<OutcomeTable> {
    match datasets::open(&[path.to_owned()])?.data {
        Dataset::Table(table) => Ok(table),
        Dataset::Log(_) => bail!("--from must be an outcome table, got a log: {}", path.display()),
    }
}

fn simulated(args: &SimulateArgs) -> anyhow::Result<OutcomeTable> {
    let world = World::new(WorldParams { seed: args.seed, n_models: args.models })?;
    let range = args.offset..args.offset.saturating_add(args.requests);
    if let Some(path) = &args.truth {
        if !(args.lambda >= 0.0 && args.lambda.is_finite()) {
            bail!("lambda must be at least 0 and finite, got {}", args.lambda);
        }
        let truth = world
            .truth(range.clone(), args.lambda)
            .with_context(|| format!("requests must be at least 1, got {}", args.requests))?;
        store(path, &serde_json::to_string_pretty(&truth)?)?;
    }
    if let Some(path) = &args.catalog {
        store(path, &toml::to_string(&world.catalog())?)?;
    }
    Ok(world.table(range))
}

fn store(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn save(data: &Dataset, path: &Path) -> anyhow::Result<ExitCode> {
    let (n_requests, n_rows) = match data {
        Dataset::Table(table) => {
            write::write_table(table, path)?;
            (table.requests.len(), table.outcomes.iter().flatten().count())
        }
        Dataset::Log(log) => {
            write::write_log(log, path)?;
            (log.len(), log.len())
        }
    };
    let kind = data.kind();
    output::print(&format!("{}: {kind}, {n_rows} rows, {n_requests} requests\n", path.display()));
    Ok(ExitCode::SUCCESS)
}
