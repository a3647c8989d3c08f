//! On real sockets: broken streams, drain and cut-off.

use sqlx::Row as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::*;

struct Running {
    url: String,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<anyhow::Result<()>>,
}

async fn run(app: &Arc<App>) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel();
    let shutdown = async { stopped.await.unwrap_or_default() };
    let served = TaskTracker::new().spawn(crate::serve(listener, Arc::clone(app), shutdown));
    Running { url, stop, served }
}

async fn stream(running: &Running) -> reqwest::Response {
    let url = format!("{}/v1/chat/completions", running.url);
    client().post(url).body(streamed("m").to_string()).send().await.unwrap()
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap()
}

async fn read(mut response: reqwest::Response) -> (String, bool) {
    let mut text = String::new();
    loop {
        match response.chunk().await {
            Ok(Some(piece)) => text.push_str(std::str::from_utf8(&piece).unwrap()),
            Ok(None) => return (text, false),
            Err(_) => return (text, true),
        }
    }
}

#[tokio::test]
async fn a_broken_stream_brings_its_error_and_then_no_last_chunk() {
    let rig = Rig::new(&[("m", "cut")], "").await;
    let running = run(&rig.app).await;
    for _ in 0..20 {
        let (text, is_broken) = read(stream(&running).await).await;
        assert!(text.contains("Hello") && text.contains("router_stream_cut"), "{text}");
        assert!(is_broken, "{text}");
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_cancels_a_buffered_call() {
    let rig = Rig::new(&[("m", "hanging")], "").await;
    let running = run(&rig.app).await;
    let url = format!("{}/v1/chat/completions", running.url);
    let waiting = client().post(url).body(chat("m").to_string()).send();
    let asked = async {
        while rig.sim.asked().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = waiting => unreachable!("the upstream hangs"),
        () = asked => {}
    }
    let mut log = rig.log().await;
    while log.is_empty() {
        log = rig.log().await;
    }
    assert_eq!(log[0].get::<&str, _>("status"), "canceled");
}

#[tokio::test]
async fn a_drain_finishes_what_is_in_flight_and_writes_the_log() {
    let rig = Rig::new(&[("m", "slow")], "server.pre_stop_ms = 200").await;
    let running = run(&rig.app).await;
    let response = stream(&running).await;
    running.stop.send(()).unwrap();
    rig.app.draining.cancelled().await;
    let url = format!("{}/readyz", running.url);
    let ready = client().get(url).send().await.unwrap();
    assert_eq!(ready.status().as_u16(), 503);
    assert_eq!(ready.headers()["connection"], "close");
    rig.sim.seen.go_on.notify_one();
    let (text, is_broken) = read(response).await;
    assert!(text.ends_with("data: [DONE]\n\n") && !is_broken, "{text}");
    running.served.await.unwrap().unwrap();
    let db = crate::db::Db::existing(&rig.app.config.database);
    let log = crate::db::decisions::all(db.pool().await.unwrap()).await;
    assert_eq!(log[0].get::<&str, _>("status"), "ok");
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_told() {
    let rig = Rig::new(&[("m", "stalling")], "server.drain_ms = 50").await;
    let running = run(&rig.app).await;
    let response = stream(&running).await;
    running.stop.send(()).unwrap();
    let (text, _) = read(response).await;
    assert!(text.contains("router_stopping") && !text.contains("[DONE]"), "{text}");
    running.served.await.unwrap().unwrap();
}
