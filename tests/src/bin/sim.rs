//! `sim`: simulated models behind a real HTTP server, and a client that drives a server.

use std::net::SocketAddr;

use anyhow::Result;
use clap::{Parser, Subcommand};
use datasets::synthetic::{World, WorldParams};

#[derive(Parser)]
#[command(name = "sim", version, about = "Simulated models, and a client that judges answers")]
struct Args {
    /// Seed of the world.
    #[arg(long, default_value_t = 0, global = true)]
    seed: u64,
    /// Number of models in the world.
    #[arg(long, default_value_t = 4, global = true)]
    models: usize,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answers chat completions from the world.
    Upstream {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// Multiplies the world's latencies.
        #[arg(long, default_value_t = 0.01)]
        latency_scale: f64,
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
    },
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the result of a command")]
async fn main() -> Result<()> {
    let args = Args::parse();
    let params = WorldParams { seed: args.seed, n_models: args.models };
    match args.command {
        Command::Upstream { listen, latency_scale } => {
            let listener = tokio::net::TcpListener::bind(listen).await?;
            println!("listening on {}", listener.local_addr()?);
            system_tests::upstream::serve(listener, params, latency_scale).await
        }
        Command::Drive { server, requests, offset } => {
            // The provider of TLS must be named once, also where only plain HTTP is spoken.
            drop(rustls::crypto::ring::default_provider().install_default());
            let world = World::new(params)?;
            let summary = system_tests::drive::drive(&server, &world, offset, requests).await?;
            println!("{requests} requests answered, mean quality {:.3}", summary.quality);
            for (model, n) in summary.models {
                println!("  {model:<12} {n}");
            }
            Ok(())
        }
    }
}
