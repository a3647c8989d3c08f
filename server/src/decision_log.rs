//! The decision log: a bounded queue and batched inserts. A request never waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use router_core::{ModelId, Propensity, Tier, Usage, Usd};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::config::LogConfig;
use crate::db::{Db, decisions};

/// Between two tries while the database is down.
const RETRY: Duration = Duration::from_millis(500);

/// Tries after the server was told to stop.
const LAST_TRIES: u32 = 6;

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Complete.
    Ok,
    /// There was none.
    Error,
    /// There was none in time.
    Timeout,
    /// It broke after its first content.
    Interrupted,
    /// The client went away: censored.
    Canceled,
}

impl Ended {
    /// Its name in the database.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Interrupted => "interrupted",
            Self::Canceled => "canceled",
        }
    }
}

/// One call of a model within a request.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Attempt {
    /// The model.
    pub(crate) model: ModelId,
    /// Class of the fault; `None` if it answered.
    pub(crate) fault: Option<&'static str>,
    /// Until the first content, or until it failed.
    pub(crate) latency_ms: f64,
}

/// One decision and what came of it. `None` means unknown, or not applicable.
#[derive(Clone, Debug)]
pub(crate) struct DecisionRow {
    pub(crate) id: String,
    pub(crate) decided_at_us: i64,
    pub(crate) requested_model: String,
    pub(crate) tier: Option<Tier>,
    pub(crate) drawn_model: ModelId,
    pub(crate) answered_model: Option<ModelId>,
    pub(crate) propensity: Option<Propensity>,
    pub(crate) pmf: Vec<(ModelId, f64)>,
    pub(crate) policy: String,
    pub(crate) prompt: Option<String>,
    pub(crate) n_tools: u32,
    pub(crate) tool_schemas: Option<String>,
    pub(crate) n_messages: u32,
    pub(crate) streamed: bool,
    pub(crate) usage: Option<Usage>,
    pub(crate) usage_is_estimated: bool,
    pub(crate) cost: Option<Usd>,
    pub(crate) latency_ms: f64,
    pub(crate) first_content_ms: Option<f64>,
    pub(crate) ended: Ended,
    pub(crate) finish_reason: Option<String>,
    pub(crate) fault: Option<String>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) predicted_quality: Option<f64>,
    pub(crate) predicted_cost_usd: Option<f64>,
}

enum Message {
    Row(Box<DecisionRow>),
    Flush(oneshot::Sender<()>),
}

/// The end of the queue that requests hold.
#[derive(Clone)]
pub(crate) struct DecisionLog {
    sender: mpsc::Sender<Message>,
    n_dropped: Arc<AtomicU64>,
}

impl DecisionLog {
    /// A queue, and the task that empties it until told to stop and everything is written.
    pub(crate) fn new(
        config: &LogConfig,
        db: Arc<Db>,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, receiver) = mpsc::channel(config.queue_rows);
        let n_dropped = Arc::new(AtomicU64::new(0));
        let writer = Writer { receiver, db, stop, n_dropped: Arc::clone(&n_dropped) };
        (Self { sender, n_dropped }, writer.run(config.batch_rows))
    }

    /// Queues a decision; drops and counts it if the queue is full.
    pub(crate) fn record(&self, row: DecisionRow) {
        if self.sender.try_send(Message::Row(Box::new(row))).is_err() {
            let n_dropped = self.n_dropped.fetch_add(1, Ordering::Relaxed) + 1;
            // At 1, 2, 4, 8, …: a full log must not become a full disk.
            if n_dropped.is_power_of_two() {
                tracing::warn!(n_dropped, "the decision log is full: decisions are dropped");
            }
        }
    }

    /// Waits until everything queued so far is written; `false` if that cannot be.
    pub(crate) async fn flush(&self) -> bool {
        let (done, written) = oneshot::channel();
        self.sender.send(Message::Flush(done)).await.is_ok() && written.await.is_ok()
    }

    /// Decisions lost since the start.
    pub(crate) fn n_dropped(&self) -> u64 {
        self.n_dropped.load(Ordering::Relaxed)
    }
}

struct Writer {
    receiver: mpsc::Receiver<Message>,
    db: Arc<Db>,
    stop: CancellationToken,
    n_dropped: Arc<AtomicU64>,
}

impl Writer {
    async fn run(mut self, batch_rows: usize) {
        let mut messages = Vec::with_capacity(batch_rows);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled(), if !self.receiver.is_closed() => {
                    self.receiver.close();
                    continue;
                }
                n_received = self.receiver.recv_many(&mut messages, batch_rows) => {
                    if n_received == 0 {
                        break;
                    }
                }
            }
            let (mut rows, mut waiting) = (Vec::new(), Vec::new());
            for message in messages.drain(..) {
                match message {
                    Message::Row(row) => rows.push(*row),
                    Message::Flush(done) => waiting.push(done),
                }
            }
            if self.write(&rows).await {
                // Whoever waited may have gone, which is no fault.
                waiting.into_iter().for_each(|done| done.send(()).unwrap_or_default());
            }
        }
        self.db.close().await;
    }

    /// Writes a batch, as often as needed; `false` if it was given up.
    async fn write(&self, rows: &[DecisionRow]) -> bool {
        let mut tries_left = LAST_TRIES;
        let mut n_failed = 0_u64;
        while let Err(error) = self.insert(rows).await {
            n_failed += 1;
            if n_failed == 1 {
                let error = format!("{error:#}");
                tracing::warn!(error, n_rows = rows.len(), "decisions wait for the database");
            }
            if self.stop.is_cancelled() {
                tries_left -= 1;
            }
            if tries_left == 0 {
                self.lose(rows.len() as u64);
                return false;
            }
            tokio::time::sleep(RETRY).await;
        }
        true
    }

    fn lose(&self, n_rows: u64) {
        self.n_dropped.fetch_add(n_rows, Ordering::Relaxed);
        tracing::error!(n_rows, "decisions are lost");
    }

    async fn insert(&self, rows: &[DecisionRow]) -> anyhow::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let n_refused = decisions::insert(self.db.pool().await?, rows).await?;
        if n_refused > 0 {
            self.lose(n_refused);
        }
        Ok(())
    }
}
