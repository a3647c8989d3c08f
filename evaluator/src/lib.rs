//! Says what a policy is worth: figures, baselines, intervals and a report.
//!
//! [`benchmark()`] values routers and every baseline on an outcome table; the figures themselves
//! are plain functions under [`metric`].
//!
//! ```
//! use evaluator::metric::frontier::{Frontier, Span};
//! use evaluator::metric::hull::Point;
//!
//! let point = |cost, quality| Point { cost, quality };
//! let singles = [point(1.0, 0.25), point(2.0, 0.5), point(4.0, 0.75)];
//! let span = Span::new(&singles).unwrap();
//! let router = Frontier::new(&[point(2.0, 0.75)], span);
//! // It keeps all of the best single quality for half of the cost.
//! assert_eq!(router.cost_at_retention(1.0), Some(0.5));
//! ```

pub mod baseline;
pub mod benchmark;
pub mod bootstrap;
pub mod cascade;
pub mod judge;
pub mod metric;
mod own_policy;
pub mod panel;
pub mod policy;
pub mod report;
pub mod split;
pub mod study;
pub mod sweep;
pub mod testing;

pub use benchmark::{BenchmarkError, Options, benchmark};
pub use report::Report;
