//! RouteLLM: CSV files of a `prompt` and, per model, whether its answer was right.

use std::path::Path;

use super::source::{number, required};
use super::{Reason, Record, outcome, push as push_row, stem};
use crate::assemble::Assembler;
use crate::validate::Row;

/// Adds a row. `mmlu_<domain>.csv` gives the domain, the first word of the name the task.
///
/// Benchmarks repeat some prompts with other answers, so a request is a row of a file.
pub(super) fn push(
    record: &Record,
    (path, row): (&Path, usize),
    assembler: &mut Assembler,
) -> Result<(), Reason> {
    let name = stem(path);
    let prompt = required(record, "prompt")?;
    let request_id = format!("{name}-{row}");
    let (task, domain) = match name.split_once('_') {
        Some((task, "responses")) => (task, None),
        Some((task, domain)) => (task, Some(domain)),
        None => (name, None),
    };
    for (model, value) in record {
        if !is_model(model, record) {
            continue;
        }
        let outcome = outcome(number(Some(value), model)?, None)?;
        let request_id = request_id.as_str();
        let (task, prompt) = (Some(task), prompt.as_str());
        push_row(
            Row { row, request_id, prompt, model, outcome, task, domain, ..Row::default() },
            assembler,
        )?;
    }
    Ok(())
}

/// Whether a column says if a model was right: not the prompt, nor the text of an answer
/// (`M_response` beside `M`), nor the row number that pandas writes under no name.
fn is_model(column: &str, record: &Record) -> bool {
    let is_answer =
        column.strip_suffix("_response").is_some_and(|model| record.contains_key(model));
    let is_row_number = column.is_empty() || column.starts_with("Unnamed");
    column != "prompt" && !is_answer && !is_row_number
}
