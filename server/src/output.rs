//! What the commands print.

use std::path::Path;

use server::config::Config;
use server::export::Exported;

/// The result of `server export`.
#[expect(clippy::print_stdout, reason = "the result of a command goes to standard output")]
pub(crate) fn exported(exported: &Exported, out: &Path) {
    let Exported { n_rows, n_judged, n_canceled, n_not_outcomes, n_without_prompt } = exported;
    println!("{}: {n_rows} routed decisions, {n_judged} of them judged", out.display());
    if *n_canceled > 0 {
        println!("left out {n_canceled} whose client went away (censored)");
    }
    if *n_not_outcomes > 0 {
        println!("left out {n_not_outcomes} that failed by the client's fault or ours");
    }
    if *n_without_prompt > 0 {
        println!("left out {n_without_prompt} whose prompt was not stored (log.store_prompts)");
    }
}

/// Why a command failed, each cause after its effect.
#[expect(clippy::print_stderr, reason = "the failure of a command goes to standard error")]
pub(crate) fn failed(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}

/// The result of `server check-config`.
#[expect(clippy::print_stdout, reason = "the result of a command goes to standard output")]
pub(crate) fn checked(config: &Config) {
    let n_models = config.catalog.as_ref().map_or(0, |catalog| catalog.models().len());
    let upstreams: Vec<&str> = config.upstreams.keys().map(String::as_str).collect();
    println!("the configuration is good: listen on {}", config.listen);
    println!("upstreams: [{}], models: {n_models}", upstreams.join(", "));
    println!("database: {}", config.database.display());
}
