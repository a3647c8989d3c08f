//! The only place that prints.

/// A part of the result.
#[expect(clippy::print_stdout, reason = "the result of a command goes to standard output")]
pub(crate) fn text(text: &str) {
    print!("{text}");
}

/// A line about progress, or about what went wrong.
#[expect(clippy::print_stderr, reason = "errors and timings go to standard error")]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}
