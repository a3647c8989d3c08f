//! Fits routers on logged outcomes: linear heads, calibration, operating points, artifact.
//!
//! The path of a fit: [`problem`] takes requests and outcomes from the data; [`crossfit`] plans
//! the nested fits; [`heads`] solves all heads at once by [`ridge`] regression on the sparse
//! [`design`]; [`stack`] chooses penalties and
//! weights on held-out predictions, apart for each group of [`components`]; [`operating`]
//! chooses λ; [`build`] puts the router together; [`run`] writes the folder.
//! [`parts`] adds what is not linear, where it is asked for: the [`bag`] and [`neighbors`].
//! [`cascade`] fits when to ask again; [`place`] adds models that a router does not know, by a few
//! labels; [`simulate`] replays a table to policies that go on learning.

pub mod auto;
pub mod bag;
pub mod build;
pub mod calibrate;
pub mod cascade;
pub mod components;
pub mod config;
pub mod costs;
pub mod crossfit;
pub mod design;
#[cfg(feature = "encoder")]
pub mod embed;
pub mod heads;
pub mod learn;
pub mod loggers;
pub mod metrics;
pub mod neighbors;
pub mod nonnegative;
pub mod operating;
pub mod partial;
pub mod parts;
pub mod place;
pub mod policy;
pub mod problem;
pub mod projection;
pub mod propensity;
pub mod ridge;
pub mod run;
pub mod simulate;
pub mod stack;
pub mod summary;
pub mod tasks;
pub mod uncertainty;
