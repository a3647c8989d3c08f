//! Streams: what passes, what is dropped, and how they end.

use futures_util::StreamExt as _;
use sqlx::Row as _;

use super::*;

#[tokio::test]
async fn usage_asked_for_by_us_does_not_reach_the_client() {
    let rig = Rig::new(&[("m", "good")], "").await;
    let ours = rig.post("/v1/chat/completions", streamed("m")).await;
    assert_eq!(ours.header("content-type"), Some("text/event-stream"));
    assert_eq!(ours.header("cache-control"), Some("no-cache"));
    assert_eq!(ours.header("x-sextant-cost-usd"), None);
    assert!(!ours.text().contains("usage"), "{}", ours.text());
    assert!(ours.text().contains(" world") && ours.text().ends_with("data: [DONE]\n\n"));
    let sent: Value = serde_json::from_slice(&rig.sim.last_body()).unwrap();
    assert_eq!(sent["stream_options"]["include_usage"], true);
    let mut body = streamed("m");
    body["stream_options"] = json!({ "include_usage": true });
    let theirs = rig.post("/v1/chat/completions", body).await;
    assert!(theirs.text().contains("usage"), "{}", theirs.text());
}

#[tokio::test]
async fn a_streamed_answer_costs_what_a_buffered_one_costs() {
    let rig = Rig::new(&[("m", "good")], "").await;
    rig.chat("m").await;
    rig.post("/v1/chat/completions", streamed("m")).await;
    let log = rig.log().await;
    for row in &log {
        // 200 plain at 2.50, 800 cached at 1.25, 200 output at 10 dollars per million.
        assert_eq!(row.get::<i64, _>("cost_nanos"), 3_500_000);
        assert_eq!(row.get::<&str, _>("usage_source"), "provider");
        assert_eq!(row.get::<&str, _>("finish_reason"), "stop");
    }
    assert_eq!(log.len(), 2);
}

/// Reads a stream to its end: the text, and whether it broke.
async fn read(response: Response) -> (String, bool) {
    let mut stream = response.into_body().into_data_stream();
    let mut text = String::new();
    while let Some(piece) = stream.next().await {
        match piece {
            Ok(piece) => text.push_str(std::str::from_utf8(&piece).unwrap()),
            Err(_) => return (text, true),
        }
    }
    (text, false)
}

#[tokio::test]
async fn a_failure_after_the_first_content_is_a_typed_error_in_the_stream() {
    for (behavior, code) in [
        ("cut", "router_stream_cut"),
        ("unfinished", "router_stream_cut"),
        ("malformed", "router_stream_malformed"),
        ("stalling", "router_stream_stalled"),
    ] {
        let rig = Rig::routed(&[("large", behavior), ("small", "good")], "").await;
        let idle = std::time::Duration::from_millis(200);
        let rig = rig
            .changed(|config| {
                config.upstreams.get_mut("sim").unwrap().timeouts.idle = idle;
            })
            .await;
        let body = streamed("auto").to_string();
        let response = rig.send("POST", "/v1/chat/completions", body).await;
        assert_eq!(response.status(), StatusCode::OK);
        let (text, is_broken) = read(response).await;
        assert!(is_broken && text.contains("Hello") && !text.contains("[DONE]"), "{text}");
        let last = text.trim_end().rsplit("data: ").next().unwrap();
        let error = &serde_json::from_str::<Value>(last).unwrap()["error"];
        assert_eq!(error["code"], code, "{behavior}");
        for key in ["message", "type", "param", "request_id", "retryable"] {
            assert!(error.get(key).is_some(), "{key} is missing in {error}");
        }
        assert_eq!(rig.log().await[0].get::<&str, _>("status"), "interrupted");
        assert_eq!(rig.sim.asked(), [behavior]);
    }
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_the_upstream_and_is_logged_as_censored() {
    let rig = Rig::new(&[("m", "stalling")], "").await;
    let body = streamed("m").to_string();
    let response = rig.send("POST", "/v1/chat/completions", body).await;
    let mut stream = response.into_body().into_data_stream();
    let first = stream.next().await.unwrap().unwrap();
    assert!(std::str::from_utf8(&first).unwrap().contains("Hello"));
    drop(stream);
    rig.sim.seen.canceled.notified().await;
    let log = rig.log().await;
    assert_eq!(log[0].get::<&str, _>("status"), "canceled");
    assert_eq!(log[0].get::<&str, _>("usage_source"), "estimated");
    assert_eq!(log[0].get::<Option<i64>, _>("cost_nanos"), None);
}

#[tokio::test]
async fn a_client_that_goes_away_before_content_is_logged_too() {
    let rig = Rig::new(&[("m", "hanging")], "").await;
    let body = streamed("m").to_string();
    let waiting = rig.send("POST", "/v1/chat/completions", body);
    let asked = async {
        while rig.sim.asked().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = waiting => unreachable!("the upstream hangs"),
        () = asked => {}
    }
    assert_eq!(rig.log().await[0].get::<&str, _>("status"), "canceled");
}

#[tokio::test]
async fn a_stream_that_outlasts_the_request_is_not_called_stalled() {
    let rig = Rig::new(&[("m", "stalling")], "timeouts.total_ms = 200").await;
    let body = streamed("m").to_string();
    let (text, is_broken) = read(rig.send("POST", "/v1/chat/completions", body).await).await;
    assert!(text.contains("the answer took longer than 200 ms") && is_broken, "{text}");
    assert!(text.contains("router_upstream_timeout"), "{text}");
    assert_eq!(rig.log().await[0].get::<&str, _>("status"), "interrupted");
}
