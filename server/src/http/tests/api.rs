//! Models, route, feedback, export, health.

use datasets::Dataset;
use router_core::predictor::tasks::TaskScratch;

use super::*;

#[tokio::test]
async fn models_lists_auto_its_tiers_and_the_catalog() {
    let rig = Rig::new(&[("m", "good")], "").await;
    let list = rig.get("/v1/models").await.json();
    let ids: Vec<&str> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["auto", "auto:cost", "auto:balanced", "auto:quality", "auto:speed", "m"]);
    assert_eq!(list["object"], "list");
}

#[tokio::test]
async fn route_decides_and_explains_without_a_call() {
    let rig = Rig::routed(&[("large", "good"), ("small", "good")], "").await;
    let decided = rig.post("/v1/route", chat("auto:quality")).await.json();
    assert_eq!((&decided["model"], &decided["tier"]), (&json!("large"), &json!("quality")));
    let candidates = decided["candidates"].as_array().unwrap();
    assert_eq!(candidates.len(), 2);
    assert_eq!(candidates[1]["predicted_cost_usd"], 0.001);
    assert!(candidates[0]["factors"].as_array().unwrap().len() > 1);
    let explicit = rig.post("/v1/route", chat("small")).await.json();
    assert_eq!((&explicit["model"], &explicit["policy"]), (&json!("small"), &json!("explicit")));
    assert!(rig.sim.asked().is_empty() && rig.log().await.is_empty());
}

#[tokio::test]
async fn route_names_the_task_where_the_router_carries_a_classifier() {
    let part = router_core::testing::task_part(3);
    let bytes = part.carried_by(&two_model_router()).unwrap();
    let models = [("large", "good"), ("small", "good")];
    let rig = Rig::with_router(&models, "", Some(&bytes)).await;
    let text = "Translate this letter into French.";
    let body = json!({ "model": "auto", "messages": [{ "role": "user", "content": text }] });
    let decided = rig.post("/v1/route", body).await.json();
    let view = router_core::RequestView::from_text(text);
    let expected = part.tasks().predict(&view, &mut TaskScratch::default());
    assert!(expected.label.is_some());
    assert_eq!(decided["task"], serde_json::to_value(expected).unwrap());
    let plain = Rig::with_router(&models, "", Some(&two_model_router())).await;
    assert_eq!(plain.post("/v1/route", chat("auto")).await.json()["task"], Value::Null);
}

#[tokio::test]
async fn a_model_outside_the_servers_catalog_is_excluded() {
    let rig = Rig::routed(&[("small", "good")], "").await;
    let decided = rig.post("/v1/route", chat("auto")).await.json();
    assert_eq!(decided["model"], "small");
    let excluded = json!([{ "model": "large", "reason": "not in the server's catalog" }]);
    assert_eq!(decided["excluded"], excluded);
}

#[tokio::test]
async fn feedback_out_of_range_or_for_nothing_is_refused() {
    let rig = Rig::new(&[("m", "good")], "").await;
    let id = rig.chat("auto").await.header("x-sextant-decision-id").unwrap().to_owned();
    for (body, status, message) in [
        (json!({ "decision_id": id, "quality": 1.2 }), 400, "quality must be in [0, 1], got 1.2"),
        (json!({ "decision_id": id }), 400, "give either quality in [0, 1] or thumbs up or down"),
        (
            json!({ "decision_id": "none", "quality": 1 }),
            404,
            "there is no decision \"none\"; use the x-sextant-decision-id of an answer",
        ),
        (
            json!({ "decision_id": id, "qualty": 1 }),
            400,
            "the body is no feedback: unknown field `qualty`, expected one of `decision_id`, \
             `quality`, `thumbs`, `source`, `comment` at line 1 column 58",
        ),
    ] {
        let got = rig.post("/v1/feedback", body).await;
        assert_eq!(got.status.as_u16(), status);
        assert_eq!(got.json()["error"]["message"], message);
    }
    let good = rig.post("/v1/feedback", json!({ "decision_id": id, "thumbs": "up" })).await;
    assert_eq!((good.status, &good.json()["quality"]), (StatusCode::OK, &json!(1.0)));
}

#[tokio::test]
async fn export_round_trips_decisions_with_the_last_word_of_the_best_source() {
    let rig = Rig::routed(&[("large", "good"), ("small", "good")], "").await;
    let id = rig.chat("auto:cost").await.header("x-sextant-decision-id").unwrap().to_owned();
    rig.chat("small").await;
    for feedback in [
        json!({ "decision_id": id, "quality": 0.9 }),
        json!({ "decision_id": id, "quality": 0.4, "comment": "on second thought" }),
        json!({ "decision_id": id, "quality": 0.1, "source": "judge" }),
    ] {
        assert_eq!(rig.post("/v1/feedback", feedback).await.status, StatusCode::OK);
    }
    let out = rig.folder.path().join("logs.parquet");
    let exported = crate::export(&rig.app.config, &out).await.unwrap();
    assert_eq!((exported.n_rows, exported.n_judged), (1, 1));
    let Dataset::Log(log) = datasets::open(&[out]).unwrap().data else { unreachable!("a log") };
    let row = &log[0];
    assert_eq!(row.request.request_id, id);
    assert_eq!(row.request.prompt, "What is 2 + 2?");
    assert_eq!(row.request.tier.as_deref(), Some("cost"));
    assert_eq!(row.model.as_str(), "large");
    assert_eq!(row.outcome.quality.map(f64::from), Some(0.4));
    assert_eq!(row.outcome.cost.map(|cost| cost.nanos()), Some(3_500_000));
    assert_eq!(row.quality_source.as_deref(), Some("feedback"));
    assert_eq!(row.pmf.len(), 2);
    assert!(row.timestamp_us.is_some() && row.policy.len() == 16);
}

#[tokio::test]
async fn an_answer_of_another_model_never_teaches_about_the_drawn_one() {
    let rig = Rig::routed(&[("large", "broken"), ("small", "good")], "").await;
    let id = rig.chat("auto").await.header("x-sextant-decision-id").unwrap().to_owned();
    let up = json!({ "decision_id": id, "thumbs": "up" });
    assert_eq!(rig.post("/v1/feedback", up).await.status, StatusCode::OK);
    let out = rig.folder.path().join("logs.parquet");
    crate::export(&rig.app.config, &out).await.unwrap();
    let Dataset::Log(log) = datasets::open(&[out]).unwrap().data else { unreachable!("a log") };
    assert_eq!((log[0].model.as_str(), log[0].outcome.quality), ("large", None));
    assert_eq!(log[0].outcome.status, router_core::Status::Error);
}

#[tokio::test]
async fn what_the_client_did_wrong_is_no_outcome_of_a_model() {
    let rig = Rig::routed(&[("large", "refusing"), ("small", "good")], "").await;
    let out = rig.folder.path().join("logs.parquet");
    let nowhere = rig.app.config.clone();
    let nowhere = Config { database: rig.folder.path().join("none.db"), ..nowhere };
    let error = crate::export(&nowhere, &out).await.unwrap_err().to_string();
    assert!(error.starts_with("there is no database"), "{error}");
    assert_eq!(rig.chat("auto").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(rig.log().await.len(), 1);
    let error = crate::export(&rig.app.config, &out).await.unwrap_err().to_string();
    assert!(error.contains("1 failed by the client's fault or ours"), "{error}");
    assert!(!out.exists());
}

#[tokio::test]
async fn a_corrupt_router_means_the_static_fallback_and_readiness_says_so() {
    let bytes = two_model_router();
    let models = [("a", "good"), ("b", "good")];
    let extra = "routing.fallback_model = \"b\"";
    for (router, why) in [(Some(&bytes[..100]), "cannot use router"), (None, "cannot read router")]
    {
        let rig = Rig::with_router(&models, extra, router).await;
        let ready = rig.get("/readyz").await;
        assert_eq!((ready.status, &ready.json()["status"]), (StatusCode::OK, &json!("degraded")));
        let state = ready.json()["router"].as_str().unwrap().to_owned();
        assert!(state.starts_with(&format!("fallback: {why}")), "{state}");
        let got = rig.chat("auto").await;
        assert_eq!(got.header("x-sextant-model"), Some("b"));
        assert_eq!(got.header("x-sextant-propensity"), Some("1"));
        assert_eq!(got.header("x-sextant-policy"), Some("static-fallback"));
    }
}

#[tokio::test]
async fn a_router_that_knows_no_model_of_the_catalog_is_no_router() {
    let rig = Rig::routed(&[("other", "good")], "").await;
    let ready = rig.get("/readyz").await.json();
    let state = ready["router"].as_str().unwrap();
    assert!(state.starts_with("fallback: cannot use router"), "{state}");
    assert!(state.ends_with("none of its models is in the catalog; it knows large, small"));
    assert_eq!(rig.chat("auto").await.header("x-sextant-policy"), Some("static-fallback"));
}

#[tokio::test]
async fn a_reload_takes_a_good_router_and_keeps_the_last_good_one() {
    let rig = Rig::new(&[("large", "good"), ("small", "good")], "").await;
    std::fs::write(rig.router_file(), two_model_router()).unwrap();
    rig.app.reload_router();
    let good = rig.get("/readyz").await.json();
    assert_eq!((&good["router"], &good["status"]), (&json!("ok"), &json!("ok")));
    std::fs::write(rig.router_file(), "not a router").unwrap();
    rig.app.reload_router();
    let kept = rig.get("/readyz").await.json();
    assert_eq!((&kept["policy"], &kept["status"]), (&good["policy"], &json!("degraded")));
    assert!(kept["router"].as_str().unwrap().starts_with("ok, reload failed: "));
    assert_eq!(rig.chat("auto").await.header("x-sextant-policy"), good["policy"].as_str());
}

#[tokio::test]
async fn an_empty_configuration_serves_and_says_what_is_missing() {
    let rig = Rig::new(&[], "").await;
    let rig = rig
        .changed(|config| {
            let database = config.database.clone();
            *config = Config { database, ..Config::from_toml("").unwrap() };
        })
        .await;
    let got = rig.chat("auto").await;
    assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(got.text().contains("add [[models]]"), "{}", got.text());
    assert_eq!(got.header("x-should-retry"), Some("false"));
    assert_eq!(rig.get("/healthz").await.status, StatusCode::OK);
    let ready = rig.get("/readyz").await.json();
    assert_eq!((&ready["status"], &ready["upstreams"]), (&json!("degraded"), &json!([])));
}

#[tokio::test]
async fn what_is_not_there_is_told_in_openai_shape() {
    let rig = Rig::new(&[("m", "good")], "server.max_body_bytes = 1024").await;
    let large = chat(&"x".repeat(2000));
    for (got, status, code) in [
        (rig.get("/v1/nothing").await, 404, "router_no_such_route"),
        (rig.get("/v1/feedback").await, 405, "router_no_such_method"),
        (rig.post("/v1/chat/completions", large).await, 413, "router_bad_body"),
        (rig.post("/v1/chat/completions", json!([])).await, 400, "router_bad_request"),
    ] {
        assert_eq!(got.status.as_u16(), status);
        assert_eq!(got.json()["error"]["code"], code);
        assert!(got.header("x-request-id").is_some());
        if status == 413 {
            let message = "the body must have at most 1024 bytes, got more";
            assert_eq!(got.json()["error"]["message"], message);
        }
    }
}

#[tokio::test]
async fn a_database_that_is_down_costs_no_request() {
    let rig = Rig::new(&[("m", "good")], "").await;
    let rig = rig
        .changed(|config| {
            config.database = PathBuf::from("/nowhere/at/all.db");
            config.log.queue_rows = 1;
            config.log.batch_rows = 1;
        })
        .await;
    // One decision is being written, one waits, the others are dropped and counted.
    for _ in 0..5 {
        assert_eq!(rig.chat("auto").await.status, StatusCode::OK);
    }
    assert_eq!(rig.post("/v1/route", chat("auto")).await.status, StatusCode::OK);
    let ready = rig.get("/readyz").await.json();
    let database = ready["database"].as_str().unwrap();
    assert!(database.starts_with("error: cannot open database"), "{database}");
    assert!(ready["n_dropped_decisions"].as_u64().unwrap() >= 3);
}
