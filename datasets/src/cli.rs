//! The command line of `datasets`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use datasets::ModelSelection;
use datasets::import::Format;
use datasets::logging::LoggingPolicy;

/// Logs and public benchmarks: check, import, simulate.
#[derive(Debug, Parser)]
#[command(name = "datasets", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say what files are, and what is wrong or odd; exit 1 on errors.
    Check(CheckArgs),
    /// Turn a public layout into logs.parquet.
    Import(ImportArgs),
    /// Make an outcome table or a log of a seeded world, or a log of any outcome table.
    Simulate(Box<SimulateArgs>),
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Files, or folders of *.parquet, read as one data set.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum FormatArg {
    /// Response CSVs of RouteLLM.
    Routellm,
    /// The wide table of RouterBench, CSV or parquet.
    Routerbench,
    /// Reward lines of ParetoBandit.
    Paretobandit,
    /// One row per (request, model): CSV, JSON, JSON lines, parquet; LLMRouterBench results.
    Long,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Routellm => Self::RouteLlm,
            FormatArg::Routerbench => Self::RouterBench,
            FormatArg::Paretobandit => Self::ParetoBandit,
            FormatArg::Long => Self::Long,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The layout.
    pub format: FormatArg,
    /// Files of that layout.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// Where to write.
    #[arg(short, long)]
    pub output: PathBuf,
    /// For `long`: a column of the schema and its name in the file, e.g. quality=score.
    #[arg(long = "map", value_name = "COLUMN=NAME")]
    pub maps: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Where to write.
    #[arg(short, long)]
    pub output: PathBuf,
    /// Number of requests.
    #[arg(long, default_value_t = 2_000)]
    pub requests: u64,
    /// Index of the first request; another range of one seed gives held-out requests.
    #[arg(long, default_value_t = 0)]
    pub offset: u64,
    /// Number of models.
    #[arg(long, default_value_t = 4)]
    pub models: usize,
    /// Seed of requests, outcomes and draws.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Write the log of this policy instead of a table: uniform, fixed:MODEL,
    /// epsilon-greedy:E:MODEL or by-length:E:N:SHORT:LONG.
    #[arg(long, value_name = "POLICY")]
    pub log: Option<LoggingPolicy>,
    /// Draw from this outcome table instead of the synthetic world; needs --log.
    #[arg(long, value_name = "TABLE", requires = "log", conflicts_with_all = ["requests", "offset", "models", "truth", "catalog"])]
    pub from: Option<PathBuf>,
    /// Models of that table: names or globs, `!glob` to leave out, `priced`, `complete`, `common`.
    #[arg(long, requires = "from", value_name = "SELECTION")]
    pub select: Option<ModelSelection>,
    /// Draw this many rounds from that table, with replacement, instead of each request once.
    #[arg(long, requires = "from")]
    pub rounds: Option<usize>,
    /// Write what is exactly known of the world, as JSON.
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,
    /// The weight of cost in `--truth`, in units of the best single model's mean cost.
    #[arg(long, default_value_t = 0.1)]
    pub lambda: f64,
    /// Write the world's models and prices, as a catalog in TOML.
    #[arg(long, value_name = "FILE")]
    pub catalog: Option<PathBuf>,
}
