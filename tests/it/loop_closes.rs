//! Fit, serve, judge, export, fit again: what was decided is what is learned from.

use std::collections::BTreeMap;

use datasets::check::check;
use datasets::{Dataset, Opened};
use futures_util::{StreamExt, stream};
use reqwest::Client;
use router_core::{
    Ask, LoggedDecision, ModelId, Outcome, Propensity, RequestView, Router, Scratch, Status, Tier,
    Usage, Usd,
};
use serde_json::{Value, json};
use system_tests::upstream::{Simulated, Upstream};
use trainer::config::{Config, Overrides};
use trainer::run;

use crate::served::{Served, Setup, answers, client, world};

const N_MODELS: usize = 4;
const N_REQUESTS: u64 = 320;

/// Share of requests that are dealt uniformly.
const EXPLORATION: f64 = 0.3;

/// Fits a router that explores.
fn fitted(opened: Opened) -> Router {
    Router::from_bytes(&fitted_bytes(opened, EXPLORATION)).unwrap()
}

/// The artifact of a router that explores.
pub(crate) fn fitted_bytes(opened: Opened, exploration: f64) -> Vec<u8> {
    let overrides = Overrides { exploration: Some(exploration), ..Overrides::default() };
    run::fit(opened, &Config::resolve([overrides]).unwrap(), &|_, _| {}).unwrap().all
}

/// What every model answers to requests that are not served. They differ in turns and tools too, so
/// that these count in what is learned.
pub(crate) fn lesson() -> Opened {
    let mut table = world(N_MODELS).table(10_000..10_400);
    for (i, request) in (0..).zip(&mut table.requests) {
        request.n_messages = 1 + i % 3;
        if i % 4 == 0 {
            request.n_tools = 1;
            request.tool_schemas = r#"[{"function":{"name":"forecast"}}]"#.to_owned();
        }
    }
    Opened { data: Dataset::Table(table), sources: Vec::new() }
}

/// What a client was told, and told back.
#[derive(Debug, PartialEq)]
struct Told {
    prompt: String,
    model: String,
    propensity: f64,
    tier: String,
    policy: String,
    usage: Usage,
    cost: String,
    quality: f64,
}

/// Sends request number `i`, in one of the tiers, and the quality of its answer.
async fn ask(client: &Client, served: &Served, i: u64) -> (String, Told) {
    let world = world(N_MODELS);
    let prompt = world.request(i).prompt;
    let name = match i % 4 {
        0 => "auto",
        1 => "auto:cost",
        2 => "auto:quality",
        _ => "auto:speed",
    };
    let body = json!({"model": name, "messages": [{"role": "user", "content": prompt}]});
    let url = format!("{}/v1/chat/completions", served.url);
    let answer = client.post(url).json(&body).send().await.unwrap().error_for_status().unwrap();
    let headers = answer.headers().clone();
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let answer: Value = answer.json().await.unwrap();
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
    let tokens = |name: &str| router_core::Tokens(answer["usage"][name].as_u64().unwrap());
    let quality = world.grade(&prompt, text).get();
    let id = header("x-sextant-decision-id");
    let feedback = json!({"decision_id": id, "quality": quality});
    let url = format!("{}/v1/feedback", served.url);
    client.post(url).json(&feedback).send().await.unwrap().error_for_status().unwrap();
    let told = Told {
        model: header("x-sextant-model"),
        propensity: header("x-sextant-propensity").parse().unwrap(),
        tier: header("x-sextant-tier"),
        policy: header("x-sextant-policy"),
        usage: Usage {
            prompt: tokens("prompt_tokens"),
            completion: tokens("completion_tokens"),
            ..Usage::default()
        },
        cost: header("x-sextant-cost-usd"),
        quality,
        prompt,
    };
    (id, told)
}

/// Asserts that the log says of a decision what the client was told of it.
fn assert_same(row: &LoggedDecision, told: &Told) {
    let world = world(N_MODELS);
    assert_eq!((row.model.as_str(), &row.policy), (told.model.as_str(), &told.policy));
    assert_eq!(row.request.prompt, told.prompt);
    assert_eq!(row.request.tier.as_ref(), Some(&told.tier));
    assert_eq!(row.propensity.get().to_bits(), told.propensity.to_bits());
    let model = world.model(&told.model).unwrap();
    let nanos = model.input_nanos * told.usage.prompt.0 as i64
        + model.output_nanos * told.usage.completion.0 as i64;
    let cost = Usd::from_nanos(nanos);
    assert_eq!(cost.to_string(), format!("${}", told.cost));
    assert!(row.outcome.latency_ms.unwrap() > 0.0);
    let outcome = Outcome {
        quality: told.quality.try_into().ok(),
        cost: Some(cost),
        prompt_tokens: Some(told.usage.prompt),
        completion_tokens: Some(told.usage.completion),
        latency_ms: row.outcome.latency_ms,
        status: Status::Ok,
    };
    assert_eq!(row.outcome, outcome);
    assert_eq!(row.quality_source.as_deref(), Some("feedback"));
}

/// Asserts that the probabilities are those of a policy that keeps a floor, and has drawn by them.
fn assert_propensities(log: &[LoggedDecision]) {
    let mut expected: BTreeMap<&ModelId, f64> = BTreeMap::new();
    for row in log {
        assert_eq!(row.pmf.len(), N_MODELS);
        assert!((row.pmf.iter().map(|(_, p)| p).sum::<f64>() - 1.0).abs() < 1e-12);
        for (model, p) in &row.pmf {
            assert!(*p >= EXPLORATION / N_MODELS as f64 - 1e-12, "{model} {p}");
            *expected.entry(model).or_default() += p;
        }
        let own = row.pmf.iter().find(|(model, _)| *model == row.model).unwrap();
        assert_eq!(Propensity::try_from(own.1), Ok(row.propensity));
    }
    for (model, expected) in expected {
        let drawn = log.iter().filter(|row| row.model == *model).count() as f64;
        // A count of n independent draws deviates by at most √n / 2.
        let bound = 5.0 * (log.len() as f64).sqrt() / 2.0;
        assert!((drawn - expected).abs() < bound, "{model}: {drawn} drawn, {expected} expected");
    }
}

#[tokio::test]
async fn a_router_learns_from_what_it_served() {
    let first = fitted_bytes(lesson(), EXPLORATION);
    let upstream = Upstream::start(Simulated::new(answers(N_MODELS))).await.unwrap();
    let served = Setup::new(&upstream.url, N_MODELS).router(&first).serve().await;
    let client = client();
    let asked = stream::iter(0..N_REQUESTS).map(|i| ask(&client, &served, i));
    let told: BTreeMap<String, Told> = asked.buffer_unordered(8).collect().await;
    assert_eq!(told.len() as u64, N_REQUESTS, "each decision has its own id");

    let said = served.exported();
    assert!(said.contains(&format!("{N_REQUESTS} routed decisions, {N_REQUESTS} of them judged")));
    let path = served.path("served.parquet");
    let report = check(std::slice::from_ref(&path));
    assert_eq!((report.kind.as_deref(), report.n_errors), (Some("log"), 0), "{report}");
    assert_eq!(report.suspicious, Vec::new());
    let propensity = report.propensity.unwrap();
    assert_eq!(propensity.n_pmf as u64, N_REQUESTS);
    assert!(propensity.max_sum_error < 1e-12 && propensity.max_entry_error == 0.0);

    let opened = datasets::open(&[path]).unwrap();
    let Dataset::Log(log) = &opened.data else { unreachable!("datasets check says a log") };
    for row in log {
        assert_same(row, &told[&row.request.request_id]);
    }
    assert_propensities(log);

    let second = fitted(opened);
    let mut rng = rand_pcg::Pcg64::new(1, 1);
    let prompt = world(N_MODELS).request(20_000).prompt;
    let view = RequestView::from_text(&prompt);
    let decision =
        second.decide(&view, &Ask::tier(Tier::Balanced), &mut Scratch::default(), &mut rng);
    assert_eq!(decision.unwrap().pmf().len(), N_MODELS);
}
