//! Fits task classifiers on labelled prompts: a part that any router can carry.
//!
//! [`data`] takes prompts and maps their labels by a taxonomy; [`vectors`] turns texts into sparse
//! rows; [`svm`] solves one machine per head; [`fit`] weights prompts, quantizes the machines and
//! calibrates their confidence on held-out prompts; [`prune`] keeps the n-grams that matter;
//! [`evaluate`] measures on folds and on sources that were left out; [`report`] and [`figure`]
//! write what was measured; [`encoded`] compares with a transformer encoder; [`cli`] is the command.
//!
//! The canonical labels of the taxonomy stand for other names too: `conversation` for chat,
//! `knowledge_qa` for question answering and analysis, `code_repair` for debugging and refactoring,
//! `code_generation` for code completion, `code_explanation` for documentation of code,
//! `functional_writing` for other documents, `extraction` for analysis of a given text or table.

pub mod cli;
pub mod data;
pub mod encoded;
pub mod evaluate;
pub mod figure;
pub mod fit;
pub mod prune;
pub mod report;
pub mod svm;
pub mod vectors;
