//! Why a benchmark is refused.

use datasets::{DatasetError, SelectError};

use crate::cascade::JudgeCascadeError;
use crate::judge::JudgeError;
use crate::panel::PanelError;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum BenchmarkError {
    /// Data cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// Models cannot be selected.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// No complete case.
    #[error(transparent)]
    Panel(#[from] PanelError),
    /// A router cannot be judged.
    #[error(transparent)]
    Judge(#[from] JudgeError),
    /// A cascade cannot be judged.
    #[error(transparent)]
    Cascade(#[from] JudgeCascadeError),
    /// Partial information.
    #[error(
        "a benchmark needs an outcome table (each model's answer to each request), but {0} is a \
         log (only the drawn model's)"
    )]
    Log(String),
    /// No router.
    #[error("at least 1 router is needed, got 0")]
    NoRouter,
    /// Baselines would be judged on what they saw.
    #[error(
        "--fit-data {0} is judged, too, so baselines would be judged on rows that they saw; \
         without --fit-data each fold is judged by what the others taught"
    )]
    FitDataJudged(String),
    /// Nothing to fit baselines on.
    #[error(
        "all {0} requests are in one fold, so there are no others to fit baselines on; name some \
         with --fit-data"
    )]
    OneFold(usize),
    /// Too few draws.
    #[error("replicates must be at least 2, got {0}")]
    Replicates(usize),
}
