//! What routing *is*: units, candidates, features, prediction, policies and the decision.
//!
//! Pure and synchronous: no I/O, no clock, no randomness of its own, no data frame and no tensor
//! library. Everything else in Sextant hangs from this crate.
//!
//! ```
//! use rand::SeedableRng;
//! use router_core::testing::two_model_router;
//! use router_core::{Ask, RequestView, Scratch, Tier};
//!
//! let router = two_model_router();
//! let view = RequestView::from_text("Prove that the square root of 2 is irrational.");
//! let mut rng = rand_pcg::Pcg64::seed_from_u64(7);
//! let decision =
//!     router.decide(&view, &Ask::tier(Tier::Balanced), &mut Scratch::default(), &mut rng)?;
//! assert_eq!(decision.model().as_str(), "large");
//! assert_eq!(decision.pmf().len(), 2);
//! # Ok::<(), router_core::DecideError>(())
//! ```

pub mod artifact;
pub mod bandit;
pub mod calibration;
pub mod cascade;
pub mod catalog;
pub mod decision;
pub mod explain;
pub mod exploration;
pub mod features;
pub mod manifest;
pub mod objective;
pub mod outcome;
pub mod policy;
pub mod predictor;
mod quadrature;
pub mod request;
pub mod router;
pub mod testing;
pub mod uncertainty;
pub mod units;

pub use artifact::{ArtifactError, Weights};
pub use calibration::Calibration;
pub use catalog::{Catalog, ModelId, ModelSpec, Prices, Usage};
pub use decision::{Ask, DecideError, Decision, Exclusion};
pub use explain::Explanation;
pub use manifest::{CrossFit, DataSource, FoldKind, Manifest, OperatingPoint, Provenance};
pub use objective::{Objective, Tier};
pub use outcome::{LoggedDecision, Outcome, OutcomeTable, RequestRow, Status};
pub use policy::{ActionDistribution, Policy, PolicySpec};
pub use predictor::tasks::part::TaskPart;
pub use predictor::{Part, Prediction, Predictor, Scratch, TaskPrediction};
pub use request::RequestView;
pub use router::Router;
pub use uncertainty::Uncertainty;
pub use units::{Propensity, Quality, Tokens, UnitError, Usd, UsdPerMillionTokens};
