//! Streams through the real server over TCP: no event waits for Nagle and a delayed acknowledgement.

use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use axum::routing::post;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use system_tests::upstream::{Gate, Simulated, Upstream};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::served::{Setup, answers, client, constant_router};

/// An event that comes this much later than it would directly has stalled (`spec/gateway.md`, 5.1).
const STALL_MS: f64 = 20.0;

/// Connections that stream at once.
const LANES: usize = 25;

/// Streams of each, one after the other: 1,000 in all.
const STREAMS_PER_LANE: usize = 40;

/// Pieces of content of a stream.
const N_EVENTS: usize = 12;

/// Two models of the world: one whose pieces come with pauses, one whose pieces come at once.
const PACED: &str = "mini";
const AT_ONCE: &str = "nano";

/// Between the pieces of a paced stream.
const PACE: Duration = Duration::from_millis(4);

/// A busy machine stalls some streams of some rounds. With Nagle's algorithm on, each round has
/// 475 stalls: every stream whose pieces come at once, except the first of each connection.
const ROUNDS: usize = 5;
const MAX_ADDED_STALLS: usize = LANES * STREAMS_PER_LANE / 100;

/// Nanoseconds since the first call.
fn now() -> u64 {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    let since = EPOCH.get_or_init(Instant::now).elapsed();
    u64::try_from(since.as_nanos()).unwrap()
}

/// Event `number` of a stream: pieces of content that say when they left, then its end.
async fn event(number: usize, pace: Duration) -> std::io::Result<String> {
    if number > 0 && !pace.is_zero() {
        sleep(pace).await;
    }
    let choice = match number {
        0..N_EVENTS => json!({"index": 0, "delta": {"content": now().to_string()}}),
        N_EVENTS => json!({"index": 0, "delta": {}, "finish_reason": "stop"}),
        _ => return Ok("data: [DONE]\n\n".to_owned()),
    };
    Ok(format!("data: {}\n\n", json!({"object": "chat.completion.chunk", "choices": [choice]})))
}

/// An upstream whose pieces of content are the times at which they left.
async fn clock(Json(body): Json<Value>) -> Response {
    let pace = if body["model"] == PACED { PACE } else { Duration::ZERO };
    let events = stream::iter(0..N_EVENTS + 2).then(move |number| event(number, pace));
    let mut response = Response::new(Body::from_stream(events));
    response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
    response
}

async fn start_clock(tasks: &mut JoinSet<()>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().route("/v1/chat/completions", post(clock));
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
    tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

/// The longest way of a piece of content from its upstream to here, milliseconds.
async fn worst_delay(client: &reqwest::Client, server: &str, model: &str) -> f64 {
    let body =
        json!({"model": model, "stream": true, "messages": [{"role": "user", "content": "?"}]});
    let url = format!("{server}/v1/chat/completions");
    let mut answer = client.post(url).json(&body).send().await.unwrap().error_for_status().unwrap();
    let (mut text, mut seen, mut worst) = (String::new(), 0, 0_u64);
    while let Some(piece) = answer.chunk().await.unwrap() {
        let arrived = now();
        text.push_str(std::str::from_utf8(&piece).unwrap());
        let sent = text.split("\"content\":\"").skip(1 + seen);
        for sent in sent.filter_map(|rest| rest.split_once('"')) {
            worst = worst.max(arrived - sent.0.parse::<u64>().unwrap());
            seen += 1;
        }
    }
    assert!(seen == N_EVENTS && text.ends_with("data: [DONE]\n\n"), "{text}");
    worst as f64 / 1e6
}

/// One stream, directly and through the server.
struct Pair {
    is_paced: bool,
    direct: f64,
    served: f64,
}

/// One lane: streams on kept connections, where acknowledgements are delayed.
async fn lane(upstream: &str, server: &str) -> Vec<Pair> {
    let client = client();
    let mut pairs = Vec::new();
    for number in 0..STREAMS_PER_LANE {
        let is_paced = number % 2 == 1;
        let model = if is_paced { PACED } else { AT_ONCE };
        let direct = worst_delay(&client, upstream, model).await;
        let served = worst_delay(&client, server, model).await;
        pairs.push(Pair { is_paced, direct, served });
    }
    pairs
}

/// Median, 99th percentile, largest, and how many are stalls.
fn described(delays: impl Iterator<Item = f64>) -> String {
    let mut delays: Vec<f64> = delays.collect();
    delays.sort_by(f64::total_cmp);
    let (n, stalls) = (delays.len(), delays.iter().filter(|delay| **delay >= STALL_MS).count());
    let [median, p99, most] = [n / 2, n * 99 / 100, n - 1].map(|rank| delays[rank]);
    format!("median {median:.2} ms, 99% {p99:.2} ms, most {most:.2} ms, {stalls} of {n} stall")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_streams_have_no_added_stall() {
    let mut tasks = JoinSet::new();
    let upstream = start_clock(&mut tasks).await;
    let served = Setup::new(&upstream, 4).router(constant_router(&["mini"])).serve().await;
    let mut least = usize::MAX;
    for round in 1..=ROUNDS {
        let lanes = (0..LANES).map(|_| lane(&upstream, &served.url));
        let pairs: Vec<Pair> = join_all(lanes).await.into_iter().flatten().collect();
        for is_paced in [false, true] {
            let kind = if is_paced { "every 4 ms" } else { "at once" };
            let of_kind = || pairs.iter().filter(|pair| pair.is_paced == is_paced);
            println!("longest delay of an event, {kind}, round {round}");
            println!("  direct: {}", described(of_kind().map(|pair| pair.direct)));
            println!("  served: {}", described(of_kind().map(|pair| pair.served)));
        }
        let stalls = pairs.iter().filter(|pair| pair.served - pair.direct >= STALL_MS).count();
        println!("round {round}: {stalls} of {} streams have an added stall", pairs.len());
        least = least.min(stalls);
        if least <= MAX_ADDED_STALLS {
            return;
        }
    }
    panic!("at least {least} streams of each round have an added stall of {STALL_MS} ms or more");
}

/// Local address, peer and `TCP_NODELAY` of each connection of a process, if it can be read.
fn sockets(process: u32) -> Result<Vec<(String, String, bool)>, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/it/nodelay.py");
    let output = Command::new("python3").args([script, &process.to_string()]).output();
    let output = output.map_err(|error| format!("python3: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    let line = |line: &str| {
        let [local, peer, nodelay] = line.split(' ').collect::<Vec<_>>()[..] else {
            unreachable!("{line}")
        };
        (local.to_owned(), peer.to_owned(), nodelay != "0")
    };
    Ok(String::from_utf8(output.stdout).unwrap().lines().map(line).collect())
}

#[tokio::test]
async fn accepted_and_upstream_sockets_send_at_once() {
    let simulated = Simulated { gate: Gate::new(false), ..Simulated::new(answers(4)) };
    let upstream = Upstream::start(simulated).await.unwrap();
    let served = Setup::new(&upstream.url, 4).router(constant_router(&["mini"])).serve().await;
    let body =
        json!({"model": "mini", "stream": true, "messages": [{"role": "user", "content": "?"}]});
    let url = format!("{}/v1/chat/completions", served.url);
    let _answer = client().post(url).json(&body).send().await.unwrap();
    upstream.until(|counts| counts.at_gate == 1).await;
    let sockets = match sockets(served.id()) {
        Ok(sockets) => sockets,
        // Another process's sockets are not for everybody to read: containers may forbid it.
        Err(missing) => {
            eprintln!("skipped: {missing}");
            return;
        }
    };
    let at = |url: &str| url.strip_prefix("http://").unwrap().to_owned();
    let accepted = sockets.iter().find(|(local, ..)| *local == at(&served.url));
    let asking = sockets.iter().find(|(_, peer, _)| *peer == at(&upstream.url));
    assert!(accepted.is_some_and(|(.., nodelay)| *nodelay), "accepted: {sockets:?}");
    assert!(asking.is_some_and(|(.., nodelay)| *nodelay), "upstream: {sockets:?}");
}
