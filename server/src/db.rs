//! The database: one pool, opened and migrated when first needed. SQL is in its children only.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::OnceCell;

pub(crate) mod decisions;
pub(crate) mod feedback;

/// How long a statement waits for another writer.
const BUSY: Duration = Duration::from_secs(5);

/// A database that may be down: every use asks for the pool, and may be told why there is none.
pub(crate) struct Db {
    options: SqliteConnectOptions,
    pool: OnceCell<SqlitePool>,
}

impl Db {
    /// The database in this file, created if missing.
    pub(crate) fn new(path: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY);
        Self { options, pool: OnceCell::new() }
    }

    /// The database in this file, which must exist.
    pub(crate) fn existing(path: &Path) -> Self {
        let Self { options, pool } = Self::new(path);
        Self { options: options.create_if_missing(false), pool }
    }

    /// The pool, migrated.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened or is of a newer version; the next call tries again.
    pub(crate) async fn pool(&self) -> anyhow::Result<&SqlitePool> {
        self.pool.get_or_try_init(|| self.open()).await
    }

    async fn open(&self) -> anyhow::Result<SqlitePool> {
        let file = || format!("database {}", self.options.get_filename().display());
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .acquire_timeout(BUSY)
            .connect_with(self.options.clone())
            .await
            .with_context(|| format!("cannot open {}", file()))?;
        sqlx::migrate!("./migrations")
            .run(&pool)
            .await
            .with_context(|| format!("cannot migrate {}", file()))?;
        Ok(pool)
    }

    /// Whether it answers.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub(crate) async fn ping(&self) -> anyhow::Result<()> {
        sqlx::query("SELECT 1").execute(self.pool().await?).await.context("no answer")?;
        Ok(())
    }

    /// Closes what is open, so that the write-ahead log is folded into the file.
    pub(crate) async fn close(&self) {
        if let Some(pool) = self.pool.get() {
            pool.close().await;
        }
    }
}
