//! `evaluator`: says what a policy is worth.

mod args;
mod output;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;

use crate::args::{Args, BenchmarkArgs, Command};

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Benchmark(args) => benchmark(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn benchmark(args: &BenchmarkArgs) -> Result<()> {
    let start = now();
    let opened = datasets::open(&args.logs)?;
    output::note(&format!("read in {:.1} s", start.elapsed().as_secs_f64()));
    let report = evaluator::benchmark(&opened, &args.options())?;
    evaluator::report::files::write(&report, &args.out)?;
    output::text(&evaluator::report::text::summary(&report));
    output::text(&format!("wrote {}\n", args.out.join("report.html").display()));
    output::note(&format!("done in {:.1} s", start.elapsed().as_secs_f64()));
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the one clock: timings on standard error")]
fn now() -> Instant {
    Instant::now()
}
