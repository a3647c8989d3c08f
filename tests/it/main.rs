//! System tests: what spans crates.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod architecture;
mod bad_input;
mod lifecycle;
mod no_peeking;
mod openai_client;
mod reproducible;
mod served;
mod sim;
mod streaming;
