//! The only place that prints.

/// A line of the result.
#[expect(clippy::print_stdout, reason = "the result of a command goes to standard output")]
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// A line about what went wrong.
#[expect(clippy::print_stderr, reason = "errors go to standard error")]
pub(crate) fn error(text: &str) {
    eprintln!("{text}");
}
