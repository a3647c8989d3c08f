//! The real `server` as a process of its own, with its files in a folder of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use datasets::synthetic::{World, WorldParams};
use router_core::predictor::Constant;
use router_core::{Catalog, Weights, artifact, testing};
use system_tests::answers::Answers;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// How long a condition may take to come true on a machine with better things to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at what can only be polled.
const LOOK: Duration = Duration::from_millis(10);

/// A server that is killed when dropped.
pub(crate) struct Served {
    /// `http://address:port`.
    pub(crate) url: String,
    child: Child,
    folder: TempDir,
}

/// What a server is started with.
pub(crate) struct Setup {
    folder: TempDir,
    config: String,
}

impl Setup {
    /// In front of the upstream at this URL, with the catalog of the world's first models.
    pub(crate) fn new(upstream: &str, n_models: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let catalog = world(n_models).catalog();
        write(folder.path(), "catalog.toml", toml::to_string::<Catalog>(&catalog).unwrap());
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\npre_stop_ms = 0\n\
             [routing]\nrouter = \"router.safetensors\"\n[catalog]\nfile = \"catalog.toml\"\n\
             [log]\nstore_prompts = true\n[upstreams.sim]\nbase_url = \"{upstream}/v1\"\n"
        );
        Self { folder, config }
    }

    /// With a router.
    pub(crate) fn router(self, bytes: impl AsRef<[u8]>) -> Self {
        write(self.folder.path(), "router.safetensors", bytes);
        self
    }

    /// With one text of the configuration replaced by another.
    pub(crate) fn replace(mut self, from: &str, to: &str) -> Self {
        assert!(self.config.contains(from), "{from} is not in {}", self.config);
        self.config = self.config.replace(from, to);
        self
    }

    /// Starts the server and waits until it listens.
    pub(crate) async fn serve(self) -> Served {
        let Self { folder, config } = self;
        write(folder.path(), "server.toml", config);
        let log = File::create(folder.path().join("server.log")).unwrap();
        let mut command = server();
        command.current_dir(folder.path()).args(["--config", "server.toml"]).stderr(log);
        let child = command.spawn().unwrap();
        let mut served = Served { url: String::new(), child, folder };
        let until = Instant::now() + PATIENCE;
        while served.url.is_empty() {
            let exited = served.child.try_wait().unwrap();
            assert!(exited.is_none() && Instant::now() < until, "{exited:?}: {}", served.log());
            sleep(LOOK).await;
            let log = served.log();
            let address = log
                .lines()
                .find_map(|line| line.split_once("listening address=")?.1.split(' ').next());
            served.url = address.map(|address| format!("http://{address}")).unwrap_or_default();
        }
        served
    }
}

/// The binary, which cargo builds beside the tests of the whole workspace.
fn server() -> Command {
    let tests = std::env::current_exe().unwrap();
    let binary = tests.parent().and_then(Path::parent).unwrap().join("server");
    assert!(binary.exists(), "build it first: cargo build --workspace --bins");
    let mut command = Command::new(binary);
    command.env("RUST_LOG", "info").stdin(Stdio::null()).stdout(Stdio::null());
    command
}

impl Served {
    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("server.log")).unwrap()
    }

    /// A file of its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the server does not end: {}", self.log());
            sleep(LOOK).await;
        }
    }

    /// What `server export` says of its decisions.
    pub(crate) fn exported(&self) -> String {
        let export = ["export", "--config", "server.toml", "-o", "served.parquet"];
        let mut command = server();
        let output = command.current_dir(self.folder.path()).args(export).stdout(Stdio::piped());
        let output = output.stderr(Stdio::piped()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8(text).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Looks at something again and again until it is there.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < until, "{what}: not within {PATIENCE:?}");
        sleep(LOOK).await;
    }
}

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    std::fs::write(folder.join(name), bytes).unwrap();
}

/// The world that simulated upstreams of tests answer from.
pub(crate) fn world(n_models: usize) -> World {
    World::new(WorldParams { seed: 11, n_models }).unwrap()
}

/// The answers of [`world`].
pub(crate) fn answers(n_models: usize) -> Answers {
    Answers::World { world: world(n_models), seed: 11 }
}

/// A router that expects the same of a model whatever the text; the first one is the best.
pub(crate) fn constant_router(models: &[&str]) -> Vec<u8> {
    let n = models.len();
    let constant = Constant {
        quality: (0..n).map(|i| 0.9 - 0.2 * i as f64).collect(),
        cost: vec![Some(0.001); n],
        latency_ms: vec![None; n],
    };
    artifact::to_bytes(testing::manifest(models), Weights::Constant(constant)).unwrap()
}

/// A client that goes straight to where it is sent.
pub(crate) fn client() -> reqwest::Client {
    // An error means that a provider is installed already.
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().no_proxy().tls_certs_only([]).tcp_nodelay(true).build().unwrap()
}
