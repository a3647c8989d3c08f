//! The only place that prints.

use std::io::Write;

/// A line about what went wrong.
#[expect(clippy::print_stderr, reason = "errors go to standard error")]
pub(crate) fn error(text: &str) {
    eprintln!("{text}");
}

/// Prints a text to standard output. A reader that has gone away is not an error.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    drop(printed);
}
