//! Handlers in memory.
