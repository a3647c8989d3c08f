//! Binary `server`: arguments, configuration, listener, `serve`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use server::config::Flags;
use server::{App, Config, signals, telemetry};
use tokio::net::TcpListener;

mod output;

/// Routes OpenAI-compatible traffic; `model: "auto"` is decided by a learned router.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

#[derive(Subcommand)]
enum Command {
    /// Serves (the default).
    Run(Run),
    /// Writes the routed decisions and their feedback for `trainer fit`.
    Export {
        /// The parquet file to write.
        #[arg(short, long)]
        out: PathBuf,
        /// Configuration file.
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// Checks a configuration and starts nothing.
    CheckConfig {
        /// Configuration file.
        #[arg(long)]
        config: Option<PathBuf>,
    },
}

#[derive(Args)]
struct Run {
    /// Configuration file; without one the defaults hold.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Router artifact, or the run folder of `trainer fit`; wins over the configuration.
    #[arg(long)]
    router: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::failed(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command.unwrap_or(Command::Run(cli.run)) {
        Command::Run(run) => serve(run).await,
        Command::Export { out, config } => {
            let flags = Flags { without_keys: true, ..Flags::default() };
            let config = Config::load(config.as_deref(), &flags)?;
            let exported = server::export(&config, &out).await?;
            output::exported(&exported, &out);
            Ok(())
        }
        Command::CheckConfig { config } => {
            output::checked(&Config::load(config.as_deref(), &Flags::default())?);
            Ok(())
        }
    }
}

async fn serve(run: Run) -> anyhow::Result<()> {
    telemetry::start();
    let config =
        Config::load(run.config.as_deref(), &Flags { router: run.router, ..Flags::default() })?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let app = App::start(config).await?;
    signals::reload_on_hangup(&app)?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    server::serve(listener, app, signals::terminated()).await
}
