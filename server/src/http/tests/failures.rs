//! What clients get when upstreams fail, and who else is asked.

use sqlx::Row as _;

use super::*;

fn assert_openai_shape(got: &Got) {
    let error = got.json()["error"].as_object().unwrap().clone();
    for key in ["message", "type", "param", "code"] {
        assert!(error.contains_key(key), "{key} is missing in {error:?}");
    }
}

#[tokio::test]
async fn each_fault_has_its_status_and_code_in_openai_shape() {
    let models = [
        ("a", "unreachable"),
        ("b", "broken"),
        ("c", "refusing"),
        ("d", "throttled"),
        ("e", "locked"),
        ("f", "hanging"),
    ];
    let rig = Rig::new(&models, "timeouts.total_ms = 300").await;
    for (model, status, code) in [
        ("a", 502, "router_upstream_unreachable"),
        ("b", 502, "router_upstream_failed"),
        ("c", 400, "bad"),
        ("d", 429, "router_upstream_throttled"),
        ("e", 502, "router_upstream_credential"),
        ("f", 504, "router_upstream_timeout"),
        ("g", 404, "model_not_found"),
        ("auto:best", 404, "model_not_found"),
    ] {
        let got = rig.chat(model).await;
        assert_eq!(
            (got.status.as_u16(), got.json()["error"]["code"].as_str().unwrap()),
            (status, code)
        );
        assert_openai_shape(&got);
        assert!(!got.text().contains("secret"), "{}", got.text());
    }
    assert_eq!(rig.chat("d").await.header("retry-after"), Some("7"));
    assert_eq!(rig.chat("a").await.header("x-should-retry"), Some("false"));
    let unknown = rig.chat("g").await.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(unknown.contains("/v1/models"), "{unknown}");
}

#[tokio::test]
async fn a_routed_request_fails_over_and_the_log_keeps_the_draw() {
    for behavior in ["broken", "unreachable", "throttled", "locked", "hanging"] {
        let models = [("large", behavior), ("small", "good")];
        let rig = Rig::routed(&models, "timeouts.headers_ms = 200").await;
        let got = rig.post("/v1/chat/completions", streamed("auto")).await;
        assert_eq!(got.status, StatusCode::OK, "{behavior}");
        assert!(got.text().ends_with("data: [DONE]\n\n"));
        assert_eq!(got.header("x-sextant-model"), Some("small"));
        assert_eq!(got.header("x-sextant-fallbacks"), Some("1"));
        let log = rig.log().await;
        assert_eq!(log.len(), 1);
        assert_eq!(log[0].get::<&str, _>("drawn_model"), "large");
        assert_eq!(log[0].get::<&str, _>("answered_model"), "small");
        let attempts: Value = serde_json::from_str(log[0].get("attempts")).unwrap();
        assert_eq!(attempts[0]["model"], "large");
        assert!(attempts[0]["fault"].is_string() && attempts[1]["fault"].is_null());
        assert_eq!(log[0].get::<f64, _>("propensity").to_string(), "1");
    }
}

#[tokio::test]
async fn nobody_else_is_asked_when_the_time_is_up() {
    let models = [("large", "hanging"), ("small", "good")];
    let rig = Rig::routed(&models, "timeouts.total_ms = 200").await;
    let got = rig.chat("auto").await;
    assert_eq!(got.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(got.header("x-sextant-fallbacks"), None);
    assert_eq!(rig.sim.asked(), ["hanging"]);
}

#[tokio::test]
async fn an_answer_without_a_choice_is_none() {
    let rig = Rig::routed(&[("large", "choiceless"), ("small", "good")], "").await;
    assert_eq!(rig.chat("auto").await.header("x-sextant-model"), Some("small"));
    let named = rig.chat("large").await;
    assert_eq!(named.status, StatusCode::BAD_GATEWAY);
    assert!(named.text().contains("the upstream's answer has no choices"), "{}", named.text());
}

#[tokio::test]
async fn a_stream_that_fails_before_its_content_fails_over_unseen() {
    for behavior in ["cut-early", "stalling-early", "malformed-early", "overloaded-early"] {
        let models = [("large", behavior), ("small", "good")];
        let rig = Rig::routed(&models, "timeouts.first_content_ms = 200").await;
        let got = rig.post("/v1/chat/completions", streamed("auto")).await;
        assert_eq!(got.status, StatusCode::OK, "{behavior}");
        assert_eq!(got.text().matches("\"role\"").count(), 1, "{behavior}");
        assert!(got.text().ends_with("data: [DONE]\n\n"));
        assert_eq!(rig.sim.asked(), [behavior, "good"]);
    }
}

#[tokio::test]
async fn a_client_fault_is_not_tried_elsewhere() {
    let rig = Rig::routed(&[("large", "refusing"), ("small", "good")], "").await;
    let got = rig.chat("auto").await;
    assert_eq!(got.status, StatusCode::BAD_REQUEST);
    assert_eq!(got.json()["error"]["message"], "no such parameter");
    assert_openai_shape(&got);
    assert_eq!(rig.sim.asked(), ["refusing"]);
}

#[tokio::test]
async fn a_model_that_cannot_use_tools_is_not_chosen() {
    let catalog = "[[models]]\nid = \"a\"\nupstream = \"sim\"\ntools = false\n\
                   [[models]]\nid = \"b\"\nupstream = \"sim\"";
    let catalog = router_core::Catalog::from_toml(catalog).unwrap();
    let rig = Rig::new(&[], "").await.changed(|config| config.catalog = Some(catalog)).await;
    assert_eq!(rig.post("/v1/route", chat("auto")).await.json()["model"], "a");
    let mut body = chat("auto");
    body["tools"] = json!([{ "type": "function" }]);
    assert_eq!(rig.post("/v1/route", body).await.json()["model"], "b");
}
