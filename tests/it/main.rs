//! System tests: what spans crates.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod architecture;
mod bad_input;
mod bandit_parity;
mod cascade;
mod encoder;
mod floors;
mod lifecycle;
mod loop_closes;
mod no_peeking;
mod offline_online;
mod openai_client;
mod place;
mod predictors;
mod python;
mod quickstart;
mod reproducible;
mod served;
mod sim;
mod simulate;
mod streaming;
mod tasks;
