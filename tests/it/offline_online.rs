//! One artifact decides alike over HTTP, in the log, in process and in the evaluator.

use std::collections::BTreeMap;

use datasets::Dataset;
use evaluator::judge;
use evaluator::panel::Panel;
use rand_pcg::Pcg64;
use reqwest::Client;
use router_core::{
    Ask, LoggedDecision, ModelId, Outcome, OutcomeTable, Quality, Router, Scratch, Tier, Usd,
};
use serde_json::{Value, json};
use system_tests::upstream::{Simulated, Upstream};

use crate::loop_closes::{fitted_bytes, lesson};
use crate::served::{Setup, answers, client, world};

const N_MODELS: usize = 4;
const N_REQUESTS: usize = 60;
const EXPLORATION: f64 = 0.1;

/// How far probabilities and predictions may be apart.
const EXACT: f64 = 1e-12;

/// A request as clients send them: plain, with a system message, after other turns, in parts, and
/// with tools. Tiers and shapes meet in every combination.
fn body(i: usize) -> Value {
    let prompt = world(N_MODELS).request(i as u64).prompt;
    let message = |role: &str, content: &str| json!({"role": role, "content": content});
    let user = message("user", &prompt);
    let messages = match i % 5 {
        0 => json!([user]),
        1 => json!([message("system", "Answer in one word, in Ελληνικά.\n"), user]),
        2 => json!([message("user", "Hi  there"), {"role": "assistant", "content": null}, user]),
        3 => json!([{"role": "user", "content": [
            {"type": "text", "text": "  Look:"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "text", "text": prompt},
        ]}]),
        _ => json!([user]),
    };
    let model = format!("auto:{}", tier(i));
    if i % 5 < 4 {
        return json!({"model": model, "messages": messages});
    }
    let properties = json!({"city": {"type": "string"}, "days": {"type": "number"}});
    let parameters = json!({"type": "object", "properties": properties});
    let function = json!({"name": "weather", "description": "Weather", "parameters": parameters});
    let tools = json!([{"type": "function", "function": function}]);
    json!({"model": model, "messages": messages, "tools": tools})
}

fn tier(i: usize) -> Tier {
    Tier::ALL[i % 4]
}

async fn post(client: &Client, url: &str, body: &Value) -> reqwest::Response {
    client.post(url).json(body).send().await.unwrap().error_for_status().unwrap()
}

/// What the server said of a request, and what its log says of the same one.
struct Pair {
    tier: Tier,
    /// The answer of `/v1/route`.
    route: Value,
    logged: LoggedDecision,
}

/// Sends every request to `/v1/route` and to a model, and exports the log.
async fn online(artifact: &[u8]) -> Vec<Pair> {
    let upstream = Upstream::start(Simulated::new(answers(N_MODELS))).await.unwrap();
    let served = Setup::new(&upstream.url, N_MODELS).router(artifact).serve().await;
    let client = client();
    let mut said = BTreeMap::new();
    for i in 0..N_REQUESTS {
        let route = post(&client, &format!("{}/v1/route", served.url), &body(i)).await;
        let chat = post(&client, &format!("{}/v1/chat/completions", served.url), &body(i)).await;
        let id = chat.headers()["x-sextant-decision-id"].to_str().unwrap().to_owned();
        if i == N_REQUESTS - 1 {
            // A word on the last decision waits until it is written.
            let feedback = json!({"decision_id": id, "quality": 1});
            post(&client, &format!("{}/v1/feedback", served.url), &feedback).await;
        }
        said.insert(id, (tier(i), route.json().await.unwrap()));
    }
    assert!(served.exported().contains(&format!("{N_REQUESTS} routed decisions")));
    let log = datasets::open(&[served.path("served.parquet")]).unwrap().data;
    let Dataset::Log(log) = log else { unreachable!("the server exports logs") };
    let pair = |logged: LoggedDecision| {
        let (tier, route) = said.remove(&logged.request.request_id).unwrap();
        Pair { tier, route, logged }
    };
    log.into_iter().map(pair).collect()
}

/// A number of a candidate of `/v1/route`.
fn of(route: &Value, model: &ModelId, name: &str) -> f64 {
    let candidates = route["candidates"].as_array().unwrap();
    let candidate = candidates.iter().find(|c| c["model"] == model.as_str()).unwrap();
    candidate[name].as_f64().unwrap()
}

fn assert_close(a: f64, b: f64, what: &str) {
    assert!((a - b).abs() <= EXACT, "{what}: {a} {b}");
}

/// Asserts that the artifact in process expects and does what the server said and logged.
fn assert_core_agrees(router: &Router, pair: &Pair) {
    let Pair { tier, route, logged } = pair;
    let (view, mut scratch) = (logged.request.view(), Scratch::default());
    let decision =
        router.decide(&view, &Ask::tier(*tier), &mut scratch, &mut Pcg64::new(1, 1)).unwrap();
    assert_eq!(logged.policy, router.version());
    assert_eq!(route["policy"], router.version());
    assert_eq!(logged.request.tier.as_deref(), Some(tier.as_str()));
    assert_close(route["lambda"].as_f64().unwrap(), decision.lambda(), "lambda");
    assert_eq!(logged.pmf.len(), N_MODELS);
    for (arm, ((model, p), (same, q))) in logged.pmf.iter().zip(decision.pmf()).enumerate() {
        assert_eq!(model, same);
        assert_close(*p, *q, "logged probability");
        assert_close(of(route, model, "propensity"), *q, "probability over HTTP");
        let prediction = decision.prediction();
        assert_close(of(route, model, "predicted_quality"), prediction.quality[arm], "quality");
        assert_close(
            of(route, model, "predicted_cost_usd"),
            prediction.cost[arm].unwrap(),
            "dollars",
        );
    }
}

/// The requests as an outcome table; what came of them does not matter here.
fn table(pairs: &[Pair]) -> OutcomeTable {
    let outcome = Outcome {
        quality: Quality::try_from(1.0).ok(),
        cost: Some(Usd::from_nanos(1)),
        ..Outcome::default()
    };
    OutcomeTable {
        models: pairs[0].logged.pmf.iter().map(|(model, _)| model.clone()).collect(),
        requests: pairs.iter().map(|pair| pair.logged.request.clone()).collect(),
        outcomes: vec![Some(outcome); pairs.len() * N_MODELS],
    }
}

#[tokio::test]
async fn the_server_the_core_and_the_evaluator_decide_alike() {
    let bytes = fitted_bytes(lesson(), EXPLORATION);
    let router = Router::from_bytes(&bytes).unwrap();
    let pairs = online(&bytes).await;
    assert_eq!(pairs.len(), N_REQUESTS);
    for pair in &pairs {
        assert_core_agrees(&router, pair);
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("router.safetensors");
    std::fs::write(&path, &bytes).unwrap();
    let panel = Panel::new(&table(&pairs)).unwrap();
    let judgement = judge::load(&path, &[]).unwrap().judge(&panel).unwrap();
    let balanced = judgement.validated.iter().find(|point| point.name == "balanced").unwrap();
    let mut chosen = BTreeMap::new();
    for (i, pair) in pairs.iter().enumerate() {
        for (arm, model) in panel.models.iter().enumerate() {
            let quality = judgement.quality[i * N_MODELS + arm];
            assert_close(of(&pair.route, model, "predicted_quality"), quality, "quality");
        }
        // The evaluator does not price latency, which the speed tier does.
        if pair.tier == Tier::Speed {
            continue;
        }
        let lambda = pair.route["lambda"].as_f64().unwrap();
        let choice = judgement.expected.choose(i, lambda);
        if pair.tier == Tier::Balanced {
            assert_eq!(usize::from(balanced.choices[i]), choice);
        }
        for (arm, (_, p)) in pair.logged.pmf.iter().enumerate() {
            let floor = EXPLORATION / N_MODELS as f64;
            let greedy = if arm == choice { 1.0 - EXPLORATION } else { 0.0 };
            assert_close(*p, floor + greedy, "probability of the evaluator's choice");
        }
        *chosen.entry(choice).or_insert(0) += 1;
    }
    assert!(chosen.len() > 1, "these requests tell nothing apart: {chosen:?}");
}
