//! What the evaluator says of the shared data, and of a small benchmark from end to end.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod end_to_end;
mod golden;
