//! `trainer`: fits a router on logged outcomes.

mod output;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use router_core::TaskPart;
use trainer::cascade;
use trainer::config::{Assume, Config, Overrides};
use trainer::learn::Learn;
use trainer::operating::Target;
use trainer::parts::Extra;
use trainer::place;
use trainer::policy::PolicyChoice;
use trainer::run;
use trainer::simulate::{self, options::Options};
use trainer::tasks;
use trainer::tasks::cli::FitTasks;

/// Learns from logged outcomes which model is good enough for which request.
#[derive(Parser)]
#[command(name = "trainer", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fits a router, chooses its operating points, and writes a run folder.
    Fit(Box<FitArgs>),
    /// Fits a task classifier, a part that any router can carry, and writes a run folder.
    FitTasks(Box<FitTasks>),
    /// Fits when the answer of a cheap model is kept and when a better one is asked.
    FitCascade(CascadeArgs),
    /// Adds models that a router does not know, by 20 to 50 prompts with a label each.
    Place(PlaceArgs),
    /// Writes the embeddings of the prompts of logs, so that they are computed once.
    #[cfg(feature = "encoder")]
    Embed(trainer::embed::Embed),
    /// Replays an outcome table to policies that learn while they serve.
    Simulate(Box<Options>),
    /// Shows what an artifact says of itself, as JSON.
    Inspect {
        /// A `router.safetensors` or `tasks.safetensors`.
        router: PathBuf,
    },
}

#[derive(clap::Args)]
struct CascadeArgs {
    /// A run folder of `fit --cross-fit`.
    run: PathBuf,
    /// The outcome table that it was fitted on: parquet files or folders of them.
    #[arg(required = true)]
    logs: Vec<PathBuf>,
    /// Operating point: `retention=0.95`, `cost-ratio=0.4` or `lambda=0.1`.
    #[arg(long, default_value = "retention=0.95")]
    target: Target,
    /// Dollars that all calls of a request may cost together.
    #[arg(long)]
    max_cost: Option<f64>,
    /// The file to write; `cascade.json` in the run folder by default.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(clap::Args)]
struct PlaceArgs {
    /// A run folder of `fit`, or an artifact.
    run: PathBuf,
    /// Parquet files or folders of them (log schema, version 1): answers of the new models, and, if
    /// there are any, of known ones to the same prompts.
    #[arg(required = true)]
    logs: Vec<PathBuf>,
    /// Standard deviations of its expected quality that count against a model; as the run's by
    /// default.
    #[arg(long)]
    uncertainty_weight: Option<f64>,
    /// The folder of the routers that know the new models too.
    #[arg(long, default_value = "placed")]
    out: PathBuf,
}

#[derive(clap::Args)]
struct FitArgs {
    /// Parquet files or folders of them (log schema, version 1).
    #[arg(required = true)]
    logs: Vec<PathBuf>,
    /// The run folder.
    #[arg(long, default_value = "run")]
    out: PathBuf,
    /// Also fit one router per fold: `fold` (the column), `5`, `5@SEED` (dealt anew), or `task`,
    /// `domain`, `task/5`, `domain/5` (whole labels left out).
    #[arg(long, value_name = "FOLDS")]
    cross_fit: Option<String>,
    /// Operating point: `retention=0.95`, `cost-ratio=0.4` or `lambda=0.1`.
    #[arg(long)]
    target: Option<String>,
    /// Models: names or globs, `!glob` to leave out, `priced`, `complete`, `common`;
    /// `task=GLOB` and `domain=GLOB` select requests.
    #[arg(long)]
    models: Option<String>,
    /// The model to compare with; the best single one by default.
    #[arg(long)]
    reference: Option<String>,
    /// Seed of everything random.
    #[arg(long)]
    seed: Option<u64>,
    /// Share of requests that the router draws uniformly, so that its log can be evaluated.
    #[arg(long)]
    exploration: Option<f64>,
    /// Standard deviations of its expected quality that count against a model.
    #[arg(long)]
    uncertainty_weight: Option<f64>,
    /// How a log, where one model was drawn per request, is learned from: `dr`, `ips`, `dm`, `mtr`.
    #[arg(long)]
    learn: Option<Learn>,
    /// `fitted`: take a log that records no propensities, and estimate them from the shares of
    /// models among similar requests. The router is marked, and its figures are only as good.
    #[arg(long, value_name = "fitted")]
    assume_propensities: Option<Assume>,
    /// Parts of a score: `auto` (the simplest within one standard error of the best), `means`,
    /// `length`, `task`, `ridge`, `ridge+task`, `bag`, `neighbors`, `stack` (these first three, and
    /// of the other parts that are fitted those that held-out rows show to help), `stack+bag`,
    /// `stack+neighbors` or `stack+bag+neighbors`.
    #[arg(long)]
    predictor: Option<String>,
    /// How a model is drawn: `cost_aware`; exploring where it is least known what is best,
    /// `squarecb` or `thompson` (`--exploration` is then their floor); to compare with these,
    /// `uniform`, `token_heuristic`, `keywords`, `weighted`; or a TOML file with a policy in full.
    #[arg(long)]
    policy: Option<PolicyChoice>,
    /// Parts that are fitted beside the linear heads, separated by commas: `bag`, a small network
    /// of the words, for quality, task and cost; `neighbors`, what models made of the most similar
    /// requests.
    #[arg(long, value_delimiter = ',', value_name = "bag,neighbors")]
    parts: Option<Vec<Extra>>,
    /// Negative control: outcomes are shuffled among requests before the fit, so that nothing can
    /// be learned. A benchmark of it must show an APGR of 0.5.
    #[arg(long)]
    shuffle_labels: bool,
    /// A `tasks.safetensors` of `fit-tasks` that the routers carry.
    #[arg(long, value_name = "TASKS")]
    tasks: Option<PathBuf>,
    /// An experiment file (TOML); the command line overrides it.
    #[arg(long)]
    config: Option<PathBuf>,
}

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Fit(args) => fit(*args),
        Command::FitTasks(args) => fit_tasks(&args),
        Command::FitCascade(args) => fit_cascade(&args),
        Command::Place(args) => place(&args),
        #[cfg(feature = "encoder")]
        Command::Embed(options) => embed(&options),
        Command::Simulate(options) => simulate(&options),
        Command::Inspect { router } => inspect(&router),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn fit(args: FitArgs) -> Result<()> {
    let file = match &args.config {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            Overrides::from_toml(&text).with_context(|| format!("in {}", path.display()))?
        }
        None => Overrides::default(),
    };
    let line = Overrides {
        cross_fit: args.cross_fit,
        target: args.target,
        models: args.models,
        reference: args.reference,
        seed: args.seed,
        exploration: args.exploration,
        uncertainty_weight: args.uncertainty_weight,
        learn: args.learn,
        assume_propensities: args.assume_propensities,
        predictor: args.predictor,
        policy: args.policy,
        parts: args.parts,
        shuffle_labels: args.shuffle_labels.then_some(true),
        ..Overrides::default()
    };
    let config = Config::resolve([file, line])?;
    let tasks = args.tasks.as_deref().map(read_tasks).transpose()?;
    let opened = run::open(&args.logs, &config)?;
    let bar = progress_bar();
    let mut fitted = run::fit(opened, &config, &|done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    if let Some(part) = &tasks {
        fitted.carry(part)?;
    }
    run::write(&args.out, &fitted, &config)?;
    output::line(&trainer::summary::text(&fitted.metrics, fitted.folds.len()));
    output::line(&format!("wrote {}", args.out.join("router.safetensors").display()));
    Ok(())
}

fn fit_cascade(args: &CascadeArgs) -> Result<()> {
    let ask = cascade::run::Ask { target: args.target, max_cost: args.max_cost };
    let fitted = cascade::run::run(&args.run, &args.logs, ask)?;
    let out = args.out.clone().unwrap_or_else(|| args.run.join("cascade.json"));
    let json = serde_json::to_string_pretty(&fitted.file)? + "\n";
    std::fs::write(&out, json).with_context(|| format!("cannot write {}", out.display()))?;
    output::line(&cascade::run::summary(&fitted, args.target));
    output::line(&format!("wrote {}", out.display()));
    Ok(())
}

fn place(args: &PlaceArgs) -> Result<()> {
    let placed = place::run::place(&args.run, &args.logs, args.uncertainty_weight)?;
    place::run::write(&args.out, &placed)?;
    output::line(&place::run::summary(&placed.all.reports));
    output::line(&format!("wrote {}", args.out.join("router.safetensors").display()));
    Ok(())
}

#[cfg(feature = "encoder")]
fn embed(options: &trainer::embed::Embed) -> Result<()> {
    let bar = progress_bar();
    let n = trainer::embed::run(options, &|done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    output::line(&format!("wrote {n} embeddings to {}", options.out.display()));
    Ok(())
}

fn simulate(options: &Options) -> Result<()> {
    let bar = progress_bar();
    let simulation = simulate::simulate(options, &|done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    simulate::write(&options.out, &simulation)?;
    output::line(&simulation.summary());
    output::line(&format!("wrote {}", options.out.join("simulation.json").display()));
    Ok(())
}

fn read_tasks(path: &std::path::Path) -> Result<TaskPart> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    TaskPart::from_bytes(&bytes).with_context(|| format!("in {}", path.display()))
}

fn fit_tasks(args: &FitTasks) -> Result<()> {
    let bar = progress_bar();
    let fitted = tasks::cli::run(args, &|done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    tasks::cli::write(&args.out, &fitted, args.accuracy)?;
    output::line(&tasks::cli::summary(&fitted));
    output::line(&format!("wrote {}", args.out.join("tasks.safetensors").display()));
    Ok(())
}

fn inspect(path: &std::path::Path) -> Result<()> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    if let Ok(part) = TaskPart::from_bytes(&bytes) {
        output::line(&serde_json::to_string_pretty(part.manifest())?);
        return Ok(());
    }
    let router = router_core::Router::from_bytes(&bytes)
        .with_context(|| format!("in {}", path.display()))?;
    let mut manifest = serde_json::to_value(router.manifest())?;
    if let Some(part) = router.tasks() {
        manifest["tasks"] = serde_json::to_value(part.manifest())?;
    }
    output::line(&serde_json::to_string_pretty(&manifest)?);
    Ok(())
}

fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) =
        ProgressStyle::with_template("fitting {bar:30} {pos}/{len} fits, {elapsed}, {eta} left")
    {
        bar.set_style(style);
    }
    bar
}
