//! Learning while serving: what is known of each arm from the requests it answered, and what may
//! be spent.
//!
//! Nothing here draws or reads a clock: time is the number of requests, and a policy turns scores
//! into a distribution with [`crate::exploration`].

mod burn_in;
mod cholesky;
mod learner;
mod pacing;
mod posterior;

pub use burn_in::BurnIn;
pub use learner::{Learner, LearnerParams, Scheme};
pub use pacing::{Pacer, PacerError, PacerParams, log_normalized};
pub use posterior::{LinearPosterior, Memory, PosteriorError};
