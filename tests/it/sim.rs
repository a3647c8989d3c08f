//! The binary `sim` on both sides of the real server, with the recorded outcomes of a file.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::served::{Setup, constant_router, world};

const N_MODELS: usize = 4;
const N_REQUESTS: u64 = 40;

/// An upstream that is killed when dropped.
struct Upstream(Child);

impl Drop for Upstream {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn sim(outcomes: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
    command.arg("--outcomes").arg(outcomes);
    command
}

fn start_upstream(outcomes: &Path) -> (Upstream, String) {
    let mut command = sim(outcomes);
    command.args(["upstream", "--latency-scale", "0", "--fault", "status=500,model=large,nth=1"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = format!("http://{}", line.trim().strip_prefix("listening on ").unwrap());
    (Upstream(child), url)
}

fn drive(outcomes: &Path, server: &str, more: &[&str]) -> Output {
    sim(outcomes).args(["drive", "--server", server]).args(more).output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test]
async fn recorded_outcomes_come_back_as_feedback() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outcomes.parquet");
    let table = world(N_MODELS).table(0..N_REQUESTS);
    datasets::write::write_table(&table, &path).unwrap();
    let (_upstream, url) = start_upstream(&path);
    let router = constant_router(&["large", "mini"]);
    let served = Setup::new(&url, N_MODELS).router(router).serve().await;
    // The first call of `large` fails as scripted, so another model answers.
    let first = said(&drive(&path, &served.url, &["--requests", "1"]));
    assert!(first.contains("mini         1"), "{first}");
    let rest = (N_REQUESTS - 1).to_string();
    let rest = ["--offset", "1", "--requests", &rest, "--stream"];
    let column = table.models.iter().position(|model| model.as_str() == "large").unwrap();
    let recorded = (1..table.requests.len()).filter_map(|request| table.quality(request, column));
    let mean = recorded.sum::<f64>() / (N_REQUESTS - 1) as f64;
    let expected =
        format!("39 requests answered, mean quality {mean:.3} of 39\n  large        39\n");
    assert_eq!(said(&drive(&path, &served.url, &rest)), expected);
    // What `mini` answered says nothing of `large`, which was drawn.
    let exported = served.exported();
    assert!(exported.contains(": 40 routed decisions, 39 of them judged"), "{exported}");
    let beyond = drive(&path, &served.url, &["--offset", "40", "--requests", "1"]);
    let error = String::from_utf8(beyond.stderr).unwrap();
    assert!(!beyond.status.success() && error.contains("there is no request 40"), "{error}");
}
