//! What was said of decisions. Nothing is overwritten; readers take the last word of a source.

use anyhow::Context as _;
use router_core::Quality;
use serde::Deserialize;
use sqlx::SqlitePool;

/// Who judged an answer, most trusted first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    /// A known right answer.
    Label,
    /// The user.
    #[default]
    Feedback,
    /// Another model.
    Judge,
    /// A program.
    Check,
    /// What the user did next.
    Implicit,
}

impl Source {
    /// Its name in the database and in `logs.parquet`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Feedback => "feedback",
            Self::Judge => "judge",
            Self::Check => "check",
            Self::Implicit => "implicit",
        }
    }
}

/// One word on one decision.
#[derive(Clone, Debug)]
pub(crate) struct FeedbackRow {
    pub(crate) decision_id: String,
    pub(crate) source: Source,
    pub(crate) quality: Quality,
    pub(crate) comment: Option<String>,
    pub(crate) received_at_us: i64,
}

/// Writes it; `false` if there is no such decision.
///
/// # Errors
///
/// If the database is down.
pub(crate) async fn insert(pool: &SqlitePool, row: &FeedbackRow) -> anyhow::Result<bool> {
    let sql = "INSERT INTO feedback (decision_id, source, quality, comment, received_at_us)
               VALUES (?, ?, ?, ?, ?)";
    let inserted = sqlx::query(sql)
        .bind(&row.decision_id)
        .bind(row.source.as_str())
        .bind(row.quality.get())
        .bind(&row.comment)
        .bind(row.received_at_us)
        .execute(pool)
        .await;
    match inserted {
        Ok(_) => Ok(true),
        Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => Ok(false),
        Err(error) => Err(error).context("cannot insert feedback"),
    }
}
