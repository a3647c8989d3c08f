//! A client that sends requests of the synthetic world through a server and judges the answers.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use datasets::synthetic::World;
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::Client;
use serde_json::{Value, json};

/// Requests in flight at once.
const CONCURRENCY: usize = 8;

/// What came of the requests.
#[derive(Debug, Default)]
pub struct Summary {
    /// Requests per model that answered.
    pub models: BTreeMap<String, usize>,
    /// Mean judged quality.
    pub quality: f64,
}

/// Sends requests `offset..offset + n` of the world, and the quality of each answer as feedback.
///
/// # Errors
///
/// If any request fails.
pub async fn drive(server: &str, world: &World, offset: u64, n: u64) -> Result<Summary> {
    ensure!(n > 0, "requests must be at least 1, got 0");
    let client = Client::builder().no_proxy().tcp_nodelay(true).build()?;
    let one = |i: u64| one(&client, server, world, i);
    let results: Vec<(String, f64)> =
        stream::iter(offset..offset + n).map(one).buffered(CONCURRENCY).try_collect().await?;
    let mut summary = Summary::default();
    for (model, quality) in results {
        *summary.models.entry(model).or_default() += 1;
        summary.quality += quality / n as f64;
    }
    Ok(summary)
}

async fn one(client: &Client, server: &str, world: &World, i: u64) -> Result<(String, f64)> {
    let prompt = world.request(i).prompt;
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": prompt}]});
    let answer = client.post(format!("{server}/v1/chat/completions")).json(&body).send().await?;
    let header = |name: &str| {
        let value = answer.headers().get(name).and_then(|value| value.to_str().ok());
        value.map(str::to_owned).with_context(|| format!("request {i}: no header {name}"))
    };
    let (decision, model) = (header("x-sextant-decision-id")?, header("x-sextant-model")?);
    let answer: Value = answer.error_for_status()?.json().await?;
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap_or_default();
    let quality = world.grade(&prompt, text).get();
    let feedback = json!({"decision_id": decision, "quality": quality});
    let posted = client.post(format!("{server}/v1/feedback")).json(&feedback).send().await?;
    posted.error_for_status()?;
    Ok((model, quality))
}
