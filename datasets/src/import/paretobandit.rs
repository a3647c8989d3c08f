//! ParetoBandit: JSON lines of a prompt and the reward and cost of each arm.

use serde_json::Value;

use super::source::{number, required, text};
use super::{Reason, Record, outcome, push as push_row};
use crate::assemble::Assembler;
use crate::validate::Row;

/// Adds a line. Its `difficulty` is left out: it is made from the rewards.
pub(super) fn push(record: &Record, row: usize, assembler: &mut Assembler) -> Result<(), Reason> {
    let prompt = required(record, "prompt")?;
    let task = text(record, "source");
    let Some(Value::Object(arms)) = record.get("arms") else {
        return Err("arms must be an object of models, got none".to_owned());
    };
    for (model, arm) in arms {
        let outcome =
            outcome(number(arm.get("reward"), "reward")?, number(arm.get("cost"), "cost")?)?;
        let (prompt, task) = (prompt.as_str(), task.as_deref());
        push_row(Row { row, prompt, model, outcome, task, ..Row::default() }, assembler)?;
    }
    Ok(())
}
