//! The only place that prints.

use std::io::Write as _;

/// A part of the result. A reader who has seen enough and closed the pipe is no failure.
pub(crate) fn text(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A line about progress, or about what went wrong.
#[expect(clippy::print_stderr, reason = "errors and timings go to standard error")]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}
