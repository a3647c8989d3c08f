//! What spans crates: the simulated upstream and a client that drives a server.

pub mod answers;
pub mod drive;
pub mod upstream;
