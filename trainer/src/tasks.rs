//! Fits task classifiers on labelled prompts: a part that any router can carry.
//!
//! [`data`] takes prompts and maps their labels by a taxonomy; [`vectors`] turns texts into sparse
//! rows; [`svm`] solves one machine per head,
//! [`prune`] keeps the n-grams that matter; [`fit`] weights prompts, quantizes the machines and
//! calibrates their confidence on held-out prompts; [`evaluate`] measures on folds and on sources
//! that were left out; [`report`] and [`figure`] write what was measured; [`cli`] is the command.

pub mod cli;
pub mod data;
pub mod evaluate;
pub mod figure;
pub mod fit;
pub mod prune;
pub mod report;
pub mod svm;
pub mod vectors;
