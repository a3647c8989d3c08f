//! The life of a real `server` process: drain, clients and upstreams that go away, a bad router.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Response;
use serde_json::{Value, json};
use system_tests::upstream::{Gate, Simulated, Upstream};

use crate::served::{Served, Setup, answers, client, constant_router, eventually};

const N_MODELS: usize = 4;

async fn upstream(is_open: bool) -> Upstream {
    let simulated = Simulated { gate: Gate::new(is_open), ..Simulated::new(answers(N_MODELS)) };
    Upstream::start(simulated).await.unwrap()
}

fn routed(upstream: &Upstream) -> Setup {
    Setup::new(&upstream.url, N_MODELS).router(constant_router(&["large", "mini"]))
}

async fn ask(url: String, model: &str, is_streamed: bool) -> reqwest::Result<Response> {
    let messages = json!([{"role": "user", "content": "What is 2 + 2?"}]);
    let body = json!({"model": model, "stream": is_streamed, "messages": messages});
    client().post(url + "/v1/chat/completions").json(&body).send().await
}

async fn ready(served: &Served) -> (u16, Value) {
    let answer = client().get(served.url.clone() + "/readyz").send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn a_drain_finishes_every_request_in_flight() {
    const N_EACH: usize = 12;
    let upstream = upstream(false).await;
    let mut served =
        routed(&upstream).replace("pre_stop_ms = 0", "pre_stop_ms = 400").serve().await;
    // A connection that is kept, but idle, must not delay the end.
    let idle = client();
    idle.get(served.url.clone() + "/healthz").send().await.unwrap().bytes().await.unwrap();
    let ask_one = |number: usize| {
        let url = served.url.clone();
        async move { ask(url, "auto", number.is_multiple_of(2)).await.unwrap().text().await.unwrap() }
    };
    let in_flight = join_all((0..2 * N_EACH).map(ask_one));
    let meanwhile = async {
        upstream.until(|counts| counts.at_gate == 2 * N_EACH).await;
        served.signal("TERM");
        let draining = async || (ready(&served).await.0 == 503).then_some(());
        eventually("/readyz says that it drains", draining).await;
        // Until accepting stops, a balancer that has not noticed yet is served.
        let late = ask(served.url.clone(), "mini", true).await.unwrap();
        assert_eq!(late.headers()["connection"], "close");
        let refused = async || client().get(served.url.clone() + "/healthz").send().await.err();
        eventually("new connections are refused", refused).await;
        assert_eq!(upstream.counts().dropped, 0);
        upstream.gate.open();
        late.text().await.unwrap()
    };
    let (texts, late) = tokio::join!(in_flight, meanwhile);
    for (number, text) in texts.iter().enumerate() {
        let end = if number.is_multiple_of(2) { "data: [DONE]\n\n" } else { "}" };
        assert!(text.contains("Result:") && text.ends_with(end), "{number}: {text}");
        assert!(!text.contains("\"error\""), "{number}: {text}");
    }
    assert!(late.ends_with("data: [DONE]\n\n"), "{late}");
    assert!(served.ended().await.success(), "{}", served.log());
    drop(idle);
    let exported = served.exported();
    assert!(exported.contains(&format!(": {} routed decisions", 2 * N_EACH)), "{exported}");
    assert!(!exported.contains("left out"), "{exported}");
}

#[tokio::test]
async fn a_client_that_hangs_up_cancels_its_upstream_calls_and_is_logged() {
    let upstream = upstream(false).await;
    let mut served = routed(&upstream).serve().await;
    let mut streamed = ask(served.url.clone(), "auto", true).await.unwrap();
    let buffered = ask(served.url.clone(), "auto", false);
    let first = streamed.chunk().await.unwrap().unwrap();
    assert!(first.starts_with(b"data: {"));
    let both = upstream.until(|counts| counts.at_gate == 2);
    tokio::select! {
        _ = buffered => unreachable!("the gate is closed"),
        () = both => {}
    }
    drop(streamed);
    upstream.until(|counts| counts.dropped == 2).await;
    // One decision with an answer, since there is nothing to export of the others alone.
    upstream.gate.open();
    ask(served.url.clone(), "auto", false).await.unwrap().text().await.unwrap();
    served.signal("TERM");
    assert!(served.ended().await.success(), "{}", served.log());
    let exported = served.exported();
    assert!(exported.contains(": 1 routed decisions"), "{exported}");
    assert!(exported.contains("left out 2 whose client went away"), "{exported}");
}

#[tokio::test]
async fn an_unreachable_upstream_is_named_and_auto_falls_back() {
    let upstream = upstream(true).await;
    // The port is reserved and refuses connections.
    let dead = "[upstreams.dead]\nbase_url = \"http://127.0.0.1:1/v1\"\n[upstreams.sim]";
    let models = "[[models]]\nid = \"large\"\nupstream = \"dead\"\n[[models]]\nid = \"mini\"\nupstream = \"sim\"\n";
    let served = routed(&upstream)
        .replace("[upstreams.sim]", dead)
        .replace("[catalog]\nfile = \"catalog.toml\"\n", models)
        .serve()
        .await;
    for is_streamed in [false, true] {
        let answer = ask(served.url.clone(), "large", is_streamed).await.unwrap();
        assert_eq!(answer.status().as_u16(), 502);
        assert_eq!(answer.headers()["x-should-retry"], "false");
        let error = &answer.json::<Value>().await.unwrap()["error"];
        assert_eq!(error["code"], "router_upstream_unreachable");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("no model answered: transport: cannot connect"), "{message}");
        assert!(["type", "param"].iter().all(|key| error.get(key).is_some()), "{error}");
        let answer = ask(served.url.clone(), "auto", is_streamed).await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        assert_eq!(answer.headers()["x-sextant-model"], "mini");
        assert_eq!(answer.headers()["x-sextant-fallbacks"], "1");
        assert!(answer.text().await.unwrap().contains("Result:"));
    }
}

#[tokio::test]
async fn an_upstream_that_hangs_is_given_up_in_time() {
    let faults = vec!["hang,model=large".parse().unwrap()];
    let simulated = Simulated { faults, ..Simulated::new(answers(N_MODELS)) };
    let upstream = Upstream::start(simulated).await.unwrap();
    let limits = "idle_ms = 5000\nheaders_ms = 200\ntotal_ms = 5000\n[log]";
    let served = routed(&upstream).replace("[log]", &format!("[timeouts]\n{limits}")).serve().await;
    let answer = ask(served.url.clone(), "large", true).await.unwrap();
    assert_eq!(answer.status().as_u16(), 504);
    let error = answer.json::<Value>().await.unwrap();
    assert!(error["error"]["message"].as_str().unwrap().contains("within 200 ms"), "{error}");
    let answer = ask(served.url.clone(), "auto", true).await.unwrap();
    assert_eq!(answer.headers()["x-sextant-model"], "mini");
    upstream.until(|counts| counts.dropped == 2).await;
}

#[tokio::test]
async fn without_a_usable_router_it_falls_back_and_says_so() {
    let whole = constant_router(&["large", "mini"]);
    let cut = &whole[..whole.len() / 2];
    for (router, why) in [(None, "cannot read router"), (Some(cut), "cannot use router")] {
        let upstream = upstream(true).await;
        let setup = Setup::new(&upstream.url, N_MODELS);
        let setup = match router {
            Some(bytes) => setup.router(bytes),
            None => setup,
        };
        let fallback = "[routing]\nfallback_model = \"nano\"\n";
        let served = setup.replace("[routing]\n", fallback).serve().await;
        let log = served.log();
        let warning = log.lines().find(|line| line.contains("static fallback")).unwrap_or_default();
        assert!(warning.contains("WARN") && warning.contains(why), "{log}");
        let (status, readiness) = ready(&served).await;
        let state = readiness["router"].as_str().unwrap();
        assert!(state.starts_with("fallback: ") && state.contains(why), "{readiness}");
        assert!(state.contains("router.safetensors"), "{readiness}");
        assert_eq!((status, &readiness["status"]), (200, &json!("degraded")));
        assert_eq!(readiness["policy"], "static-fallback");
        let answer = ask(served.url.clone(), "auto:quality", false).await.unwrap();
        assert_eq!(answer.headers()["x-sextant-model"], "nano");
        assert_eq!(answer.headers()["x-sextant-policy"], "static-fallback");
        // A good router takes over at SIGHUP, without a restart.
        std::fs::write(served.path("router.safetensors"), &whole).unwrap();
        served.signal("HUP");
        let is_ok = async || (ready(&served).await.1["status"] == "ok").then_some(());
        eventually("the router is loaded", is_ok).await;
        let answer = ask(served.url.clone(), "auto:quality", false).await.unwrap();
        assert_eq!(answer.headers()["x-sextant-model"], "large");
    }
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_told_and_the_process_ends() {
    let upstream = upstream(false).await;
    let drain = "pre_stop_ms = 0\ndrain_ms = 100";
    let mut served = routed(&upstream).replace("pre_stop_ms = 0", drain).serve().await;
    let streamed = ask(served.url.clone(), "auto", true).await.unwrap();
    let buffered = ask(served.url.clone(), "auto", false);
    let stop = async {
        upstream.until(|counts| counts.at_gate == 2).await;
        served.signal("TERM");
    };
    let (buffered, ()) = tokio::join!(buffered, stop);
    let buffered = buffered.unwrap();
    assert_eq!(buffered.status().as_u16(), 503);
    assert!(buffered.text().await.unwrap().contains("router_stopping"));
    let mut streamed = streamed;
    let mut text = String::new();
    while let Ok(Some(piece)) = streamed.chunk().await {
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    assert!(text.contains("router_stopping") && !text.contains("[DONE]"), "{text}");
    let ended = tokio::time::timeout(Duration::from_secs(30), served.ended()).await;
    assert!(ended.unwrap().success(), "{}", served.log());
}
