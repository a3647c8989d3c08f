//! RouterBench: one wide row per sample, with three columns per model.

use super::source::{number, required, text};
use super::{Reason, Record, outcome, push as push_row};
use crate::assemble::Assembler;
use crate::validate::Row;

/// What follows a model's name in the column of its costs.
const COST: &str = "|total_cost";

/// Adds a row: each column `M|total_cost` makes `M` a model.
pub(super) fn push(record: &Record, row: usize, assembler: &mut Assembler) -> Result<(), Reason> {
    let request_id = required(record, "sample_id")?;
    let prompt = required(record, "prompt")?;
    let task = text(record, "eval_name");
    let models = record.keys().filter_map(|name| name.strip_suffix(COST));
    let mut n_models = 0;
    for model in models {
        n_models += 1;
        let quality = number(record.get(model), model)?;
        let cost = number(record.get(&format!("{model}{COST}")), model)?;
        if quality.is_none() && cost.is_none() {
            continue;
        }
        let (request_id, prompt, task) = (request_id.as_str(), prompt.as_str(), task.as_deref());
        let outcome = outcome(quality, cost)?;
        push_row(
            Row { row, request_id, prompt, model, outcome, task, ..Row::default() },
            assembler,
        )?;
    }
    if n_models == 0 {
        return Err(format!("at least one column must end in {COST}, got none"));
    }
    Ok(())
}
