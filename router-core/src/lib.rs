//! What routing *is*: units, candidates, features, prediction, policies and the decision.
//!
//! Pure and synchronous: no I/O, no clock, no randomness of its own, no data frame and no tensor
//! library. Everything else in Sextant hangs from this crate.

pub mod catalog;
pub mod outcome;
pub mod request;
pub mod units;

pub use catalog::{Catalog, ModelId, ModelSpec, Prices};
pub use outcome::{LoggedDecision, Outcome, OutcomeTable, RequestRow, Status};
pub use request::RequestView;
pub use units::{Propensity, Quality, Tokens, UnitError, Usd, UsdPerMillionTokens};
