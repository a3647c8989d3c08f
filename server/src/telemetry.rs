//! Log lines on standard error: one for each request, without anybody's text.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Writes log lines from now on; `RUST_LOG` selects them, `info` by default.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // An error means that a subscriber is set already, which is then the caller's choice.
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init()
        .ok();
}
