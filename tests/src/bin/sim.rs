//! `sim`: simulated models behind a real HTTP server, and a client that drives a server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};
use datasets::synthetic::WorldParams;
use system_tests::answers::Answers;
use system_tests::drive::{Requests, drive};
use system_tests::upstream::{Rule, Simulated, serve};

#[derive(Parser)]
#[command(name = "sim", version, about = "Simulated models, and a client that judges answers")]
struct Args {
    /// Seed of the world.
    #[arg(long, default_value_t = 0, global = true)]
    seed: u64,
    /// Number of models in the world.
    #[arg(long, default_value_t = 4, global = true)]
    models: usize,
    /// Take prompts and answers from this outcome table instead of the world.
    #[arg(long, value_name = "FILE", global = true, conflicts_with_all = ["seed", "models"])]
    outcomes: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answers chat completions.
    Upstream {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// Multiplies the latencies of the answers.
        #[arg(long, default_value_t = 0.01)]
        latency_scale: f64,
        /// Between two pieces of content of a stream, milliseconds.
        #[arg(long, default_value_t = 0)]
        between_ms: u64,
        /// What goes wrong: status=CODE[,retry-after=SECONDS], hang, cut=N, end=N or garbage
        /// (N pieces of content pass), each with ,model=NAME and ,nth=N or ,every=N; repeatable.
        #[arg(long = "fault", value_name = "RULE")]
        faults: Vec<Rule>,
    },
    /// Sends requests through a server, judges the answers and posts feedback.
    Drive {
        /// The server, e.g. `http://127.0.0.1:8013`.
        #[arg(long)]
        server: String,
        /// How many requests.
        #[arg(long, default_value_t = 300)]
        requests: u64,
        /// Number of the first request.
        #[arg(long, default_value_t = 0)]
        offset: u64,
        /// Ask for streamed answers.
        #[arg(long)]
        stream: bool,
    },
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the result of a command")]
async fn main() -> Result<()> {
    let args = Args::parse();
    let answers = match &args.outcomes {
        Some(path) => Answers::of_file(path)?,
        None => Answers::of_world(WorldParams { seed: args.seed, n_models: args.models })?,
    };
    match args.command {
        Command::Upstream { listen, latency_scale, between_ms, faults } => {
            let listener = tokio::net::TcpListener::bind(listen).await?;
            println!("listening on {}", listener.local_addr()?);
            let between_events = Duration::from_millis(between_ms);
            let simulated = Simulated::new(answers);
            Ok(serve(listener, Simulated { latency_scale, between_events, faults, ..simulated })
                .await?)
        }
        Command::Drive { server, requests, offset, stream } => {
            // The provider of TLS must be named once, also where only plain HTTP is spoken.
            drop(rustls::crypto::ring::default_provider().install_default());
            let which = Requests { offset, n: requests, is_streamed: stream };
            let summary = drive(&server, &answers, which).await?;
            let (quality, n_judged) = (summary.quality, summary.n_judged);
            println!("{requests} requests answered, mean quality {quality:.3} of {n_judged}");
            for (model, n) in summary.models {
                println!("  {model:<12} {n}");
            }
            Ok(())
        }
    }
}
