//! What handlers share, and the tasks that run behind them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use rand::rngs::SysRng;
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::champion::Champion;
use crate::config::Config;
use crate::db::Db;
use crate::decision_log::DecisionLog;
use crate::upstream::{self, Deployment};

/// The running service, without its listener.
pub struct App {
    pub(crate) config: Config,
    pub(crate) champion: Champion,
    pub(crate) upstreams: BTreeMap<String, Deployment>,
    pub(crate) db: Arc<Db>,
    pub(crate) log: DecisionLog,
    /// Every background task; shutdown waits for them.
    pub(crate) tasks: TaskTracker,
    /// Readiness fails from now on.
    pub(crate) draining: CancellationToken,
    /// Requests still in flight end now.
    pub(crate) cutoff: CancellationToken,
    /// Background tasks end when their work is done.
    stop: CancellationToken,
    seeds: Mutex<Pcg64>,
}

impl App {
    /// Loads the router, prepares the upstreams and starts the decision log.
    ///
    /// A missing router or a database that is down does not stop the start.
    ///
    /// # Errors
    ///
    /// If an HTTP client cannot be built, or the system gives no random seed.
    pub async fn start(config: Config) -> anyhow::Result<Arc<Self>> {
        let seeds = Pcg64::try_from_rng(&mut SysRng).context("no random seed")?;
        let upstreams = upstream::all(&config)?;
        let champion = Champion::new(config.routing.router.clone(), config.catalog.clone());
        let db = Arc::new(Db::new(&config.database));
        if let Err(error) = db.pool().await {
            let error = format!("{error:#}");
            tracing::warn!(error, "the database is down; decisions wait");
        }
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let (log, writer) = DecisionLog::new(&config.log, Arc::clone(&db), stop.clone());
        tasks.spawn(writer);
        Ok(Arc::new(Self {
            config,
            champion,
            upstreams,
            db,
            log,
            tasks,
            draining: CancellationToken::new(),
            cutoff: CancellationToken::new(),
            stop,
            seeds: Mutex::new(seeds),
        }))
    }

    /// Reads the router's file again; a bad one leaves the last good router in place.
    pub fn reload_router(&self) {
        self.champion.reload();
    }

    /// Writes what is queued and ends the background tasks.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// A generator for one request.
    pub(crate) fn rng(&self) -> Pcg64 {
        let mut seeds = self.seeds.lock().unwrap_or_else(PoisonError::into_inner);
        seeds.fork()
    }

    /// A new id of 128 random bits, as 32 hex digits.
    pub(crate) fn new_id(&self) -> String {
        format!("{:032x}", self.rng().random::<u128>())
    }
}
