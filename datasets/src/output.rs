//! The only place that prints.

use std::io::Write;

/// Prints a text to standard output. A reader that has gone away is not an error.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    drop(printed);
}
