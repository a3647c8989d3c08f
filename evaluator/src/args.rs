//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use datasets::ModelSelection;
use evaluator::Options;
use router_core::ModelId;

/// Says what a policy is worth.
#[derive(Parser)]
#[command(name = "evaluator", version)]
pub(crate) struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Values routers and every baseline on an outcome table, and writes a report.
    Benchmark(BenchmarkArgs),
}

#[derive(clap::Args)]
pub(crate) struct BenchmarkArgs {
    /// Outcome table: parquet files or folders of them (log schema, version 1).
    #[arg(required = true)]
    pub logs: Vec<PathBuf>,
    /// Run folders of `trainer fit`, or artifacts.
    #[arg(long, required = true, num_args = 1..)]
    pub router: Vec<PathBuf>,
    /// A `cascade.json` of the first router: judged beside it, both calls paid.
    #[arg(long, value_name = "FILE")]
    pub cascade: Option<PathBuf>,
    /// Models: names or globs, `!glob` to leave out, `priced`, `complete`, `common`,
    /// `task=GLOB`, `domain=GLOB`; by default all that every router knows.
    #[arg(long)]
    pub models: Option<ModelSelection>,
    /// Compare two models only.
    #[arg(long, value_name = "WEAK,STRONG", value_parser = pair)]
    pub pair: Option<(ModelId, ModelId)>,
    /// What the routers were fitted on, if not on these logs: baselines are then fitted on it too.
    #[arg(long, num_args = 1..)]
    pub fit_data: Vec<PathBuf>,
    /// Where to write the report.
    #[arg(long, default_value = "report")]
    pub out: PathBuf,
    /// Bootstrap draws.
    #[arg(long, default_value_t = 1000)]
    pub replicates: usize,
    /// Seed of the bootstrap.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

impl BenchmarkArgs {
    /// What the library is asked for.
    pub(crate) fn options(&self) -> Options {
        Options {
            dataset: self.dataset(),
            routers: self.router.clone(),
            cascade: self.cascade.clone(),
            fit_data: self.fit_data.clone(),
            models: self.models.clone(),
            pair: self.pair.clone(),
            replicates: self.replicates,
            seed: self.seed,
        }
    }

    /// `logs.parquet` says little: the folder's name is taken where there is one file or folder.
    fn dataset(&self) -> Option<String> {
        let [path] = &self.logs[..] else { return None };
        let is_plain = path.file_name().is_some_and(|name| name == "logs.parquet");
        let named = if is_plain { path.parent()?.file_name() } else { path.file_name() };
        Some(named?.to_string_lossy().into_owned())
    }
}

fn pair(text: &str) -> Result<(ModelId, ModelId), String> {
    let (weak, strong) =
        text.split_once(',').ok_or_else(|| format!("a pair must be WEAK,STRONG, got {text:?}"))?;
    let id = |name: &str| ModelId::new(name.trim()).map_err(|error| error.to_string());
    if weak.trim() == strong.trim() {
        return Err(format!("a pair must be two different models, got {text:?}"));
    }
    Ok((id(weak)?, id(strong)?))
}
