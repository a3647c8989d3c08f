//! The simulated upstream over TCP: answers, faults and what it counts.

use datasets::synthetic::WorldParams;
use reqwest::Client;
use serde_json::json;

use super::*;

fn client() -> Client {
    // An error means that a provider is installed already.
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
}

async fn world(faults: &[&str]) -> Upstream {
    let answers = Answers::of_world(WorldParams::default()).unwrap();
    let faults = faults.iter().map(|rule| rule.parse().unwrap()).collect();
    Upstream::start(Simulated { faults, ..Simulated::new(answers) }).await.unwrap()
}

async fn ask(upstream: &Upstream, model: &str, is_streamed: bool) -> reqwest::Response {
    let body = json!({"model": model, "stream": is_streamed, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "What is 2 + 2?"}]});
    let url = format!("{}/v1/chat/completions", upstream.url);
    client().post(url).json(&body).send().await.unwrap()
}

/// The text, and whether the connection broke.
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
async fn streamed_and_buffered_answers_say_the_same() {
    let upstream = world(&[]).await;
    let whole: Value = ask(&upstream, "mini", false).await.json().await.unwrap();
    let (text, is_broken) = read(ask(&upstream, "mini", true).await).await;
    assert!(text.ends_with("data: [DONE]\n\n") && !is_broken);
    let chunks: Vec<Value> = text
        .split("\n\n")
        .filter_map(|event| serde_json::from_str(&event[6.min(event.len())..]).ok())
        .collect();
    let said: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(said, whole["choices"][0]["message"]["content"].as_str().unwrap());
    assert_eq!(chunks.last().unwrap()["usage"], whole["usage"]);
    assert!(whole["usage"]["completion_tokens"].as_u64() > Some(0));
}

#[tokio::test]
async fn faults_strike_as_scripted() {
    let faults = [
        "status=429,retry-after=7,model=nano",
        "garbage,model=large",
        "cut=1,model=base",
        "end=1,model=mini",
        "status=500,nth=6",
    ];
    let upstream = world(&faults).await;
    let throttled = ask(&upstream, "nano", false).await;
    assert_eq!(
        (throttled.status().as_u16(), &throttled.headers()["retry-after"]),
        (429, &"7".parse().unwrap())
    );
    assert!(throttled.text().await.unwrap().contains("rate_limit_error"));
    assert!(read(ask(&upstream, "large", true).await).await.0.contains("<html>"));
    let (text, is_broken) = read(ask(&upstream, "base", true).await).await;
    assert!(
        is_broken && text.matches("\"content\":").count() == 2,
        "the role and one piece: {text}"
    );
    let (text, is_broken) = read(ask(&upstream, "mini", true).await).await;
    assert!(!is_broken && !text.contains("[DONE]"), "{text}");
    // The last rule is about all models and counts the requests that others struck.
    let (text, is_broken) = read(ask(&upstream, "mini", false).await).await;
    assert!(!is_broken && serde_json::from_str::<Value>(&text).is_err(), "half an answer: {text}");
    assert_eq!(ask(&upstream, "no-such-model", false).await.status().as_u16(), 500);
    assert_eq!(ask(&upstream, "no-such-model", false).await.status().as_u16(), 404);
    assert_eq!(upstream.counts(), Counts { asked: 7, at_gate: 3, dropped: 0 });
}

#[tokio::test]
async fn the_gate_holds_and_a_client_that_goes_away_is_counted() {
    let answers = Answers::of_world(WorldParams::default()).unwrap();
    let simulated = Simulated { gate: Gate::new(false), ..Simulated::new(answers) };
    let upstream = Upstream::start(simulated).await.unwrap();
    let mut left = ask(&upstream, "mini", true).await;
    assert!(left.chunk().await.unwrap().is_some());
    let stays = ask(&upstream, "mini", true).await;
    upstream.until(|counts| counts.at_gate == 2).await;
    drop(left);
    upstream.until(|counts| counts.dropped == 1).await;
    upstream.gate.open();
    assert!(read(stays).await.0.ends_with("data: [DONE]\n\n"));
    assert_eq!(upstream.counts(), Counts { asked: 2, at_gate: 2, dropped: 1 });
}
