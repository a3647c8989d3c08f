//! Answers in one piece, and who is asked for them.

use sqlx::Row as _;

use super::*;

#[tokio::test]
async fn a_routed_request_is_answered_and_logged_with_its_propensity() {
    let rig = Rig::routed(&[("large", "good"), ("small", "cheap")], "").await;
    let got = rig.chat("auto").await;
    assert_eq!(got.status, StatusCode::OK);
    assert_eq!(got.json()["choices"][0]["message"]["content"], "Hello world");
    assert_eq!(got.header("x-sextant-model"), Some("large"));
    assert_eq!(got.header("x-sextant-provider"), Some("sim"));
    assert_eq!(got.header("x-sextant-propensity"), Some("1"));
    assert_eq!(got.header("x-sextant-tier"), Some("balanced"));
    assert_eq!(got.header("x-sextant-cost-usd"), Some("0.0035"));
    assert!(got.header("x-sextant-reason").unwrap().starts_with("balanced tier"));
    assert!(got.header("x-request-id").is_some() && got.header("x-sextant-policy").is_some());
    let log = rig.log().await;
    let row = &log[0];
    assert_eq!(row.get::<&str, _>("id"), got.header("x-sextant-decision-id").unwrap());
    assert_eq!(row.get::<f64, _>("propensity").to_string(), "1");
    assert_eq!(row.get::<&str, _>("pmf"), r#"[["large",1.0],["small",0.0]]"#);
    assert_eq!(row.get::<&str, _>("prompt"), "What is 2 + 2?");
    assert_eq!(row.get::<i64, _>("cost_nanos"), 3_500_000);
    assert_eq!(row.get::<&str, _>("status"), "ok");
    assert_eq!(row.get::<&str, _>("answered_model"), "large");
    assert!((row.get::<f64, _>("predicted_quality") - 0.9).abs() < 1e-12);
}

#[tokio::test]
async fn an_explicit_model_is_never_replaced() {
    // `large` is what the router would take; `small` is named, and fails.
    let rig = Rig::routed(&[("large", "good"), ("small", "broken")], "").await;
    let got = rig.chat("small").await;
    assert_eq!(got.status, StatusCode::BAD_GATEWAY);
    assert_eq!(rig.sim.asked(), ["broken"]);
    assert_eq!(got.header("x-sextant-policy"), Some("explicit"));
    assert_eq!(got.header("x-sextant-propensity"), None);
    let log = rig.log().await;
    assert_eq!(log[0].get::<Option<f64>, _>("propensity"), None);
    assert_eq!(log[0].get::<&str, _>("status"), "error");
}

#[tokio::test]
async fn the_body_is_passed_on_but_for_the_model() {
    let rig = Rig::new(&[("m", "good")], "").await;
    let body =
        r#"{ "model":"m" ,"seed":18446744073709551615,"x":1E+300,"messages":[{"content":"é"}]}"#;
    let got = rig.request("POST", "/v1/chat/completions", body).await;
    assert_eq!(got.status, StatusCode::OK);
    assert_eq!(rig.sim.last_body(), body.replace("\"m\"", "\"good\""));
}

#[tokio::test]
async fn without_usage_the_cost_is_unknown_and_tokens_are_an_estimate() {
    let rig = Rig::new(&[("m", "bare")], "").await;
    for body in [chat("m"), streamed("m")] {
        let got = rig.post("/v1/chat/completions", body).await;
        assert_eq!((got.status, got.header("x-sextant-cost-usd")), (StatusCode::OK, None));
    }
    for row in rig.log().await {
        assert_eq!(row.get::<Option<i64>, _>("cost_nanos"), None);
        assert_eq!(row.get::<&str, _>("usage_source"), "estimated");
        // "What is 2 + 2?" has 14 characters, "Hello world" 11: a quarter, rounded up.
        let tokens = ["prompt_tokens", "completion_tokens"].map(|name| row.get::<i64, _>(name));
        assert_eq!(tokens, [4, 3]);
    }
}

#[tokio::test]
async fn prompts_are_not_stored_unless_switched_on() {
    let rig = Rig::new(&[("m", "good")], "").await;
    let rig = rig.changed(|config| config.log.store_prompts = false).await;
    assert_eq!(rig.chat("auto").await.status, StatusCode::OK);
    assert_eq!(rig.log().await[0].get::<Option<&str>, _>("prompt"), None);
    let exported = crate::export(&rig.app.config, &rig.folder.path().join("x.parquet")).await;
    let message = exported.unwrap_err().to_string();
    assert!(message.contains("set log.store_prompts = true"), "{message}");
}
