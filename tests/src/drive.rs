//! A client that sends requests through a server, judges the answers and feeds that back.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::{Client, Response};
use router_core::RequestRow;
use serde_json::{Value, json};

use crate::answers::Answers;

/// Requests in flight at once.
const CONCURRENCY: usize = 8;

/// Which requests, and how they ask.
#[derive(Clone, Copy, Debug)]
pub struct Requests {
    /// Number of the first one.
    pub offset: u64,
    /// How many.
    pub n: u64,
    /// Whether the answers are to be streamed.
    pub is_streamed: bool,
}

/// What came of the requests.
#[derive(Debug, Default)]
pub struct Summary {
    /// Requests per model that answered.
    pub models: BTreeMap<String, usize>,
    /// Answers that could be judged.
    pub n_judged: usize,
    /// Mean quality of those; 0 if there are none.
    pub quality: f64,
}

/// Sends requests to `auto`, and the quality of each answer as feedback.
///
/// # Errors
///
/// If there are not as many requests, or any of them fails.
pub async fn drive(server: &str, answers: &Answers, requests: Requests) -> Result<Summary> {
    let Requests { offset, n, is_streamed } = requests;
    ensure!(n > 0, "requests must be at least 1, got 0");
    let client = Client::builder().no_proxy().tcp_nodelay(true).build()?;
    let one = async |i: u64| {
        let request = answers.request(i).with_context(|| format!("there is no request {i}"))?;
        let answer = ask(&client, server, &request, is_streamed).await;
        let answer = answer.with_context(|| format!("request {i}"))?;
        let quality = answers.grade(&request.prompt, &answer.text);
        if let Some(quality) = quality {
            judge(&client, server, &answer.decision, quality).await?;
        }
        anyhow::Ok((answer.model, quality))
    };
    let results: Vec<(String, Option<f64>)> =
        stream::iter(offset..offset + n).map(one).buffered(CONCURRENCY).try_collect().await?;
    let mut summary = Summary::default();
    for (model, quality) in results {
        *summary.models.entry(model).or_default() += 1;
        summary.n_judged += usize::from(quality.is_some());
        summary.quality += quality.unwrap_or(0.0);
    }
    summary.quality /= summary.n_judged.max(1) as f64;
    Ok(summary)
}

struct Said {
    decision: String,
    model: String,
    text: String,
}

async fn ask(client: &Client, server: &str, request: &RequestRow, streamed: bool) -> Result<Said> {
    let mut body = json!({"model": "auto", "stream": streamed,
        "messages": [{"role": "user", "content": request.prompt}]});
    if let Ok(tools @ Value::Array(_)) = serde_json::from_str(&request.tool_schemas) {
        body["tools"] = tools;
    }
    let answer = client.post(format!("{server}/v1/chat/completions")).json(&body).send().await?;
    let answer = answer.error_for_status()?;
    let header = |name: &str| {
        let value = answer.headers().get(name).and_then(|value| value.to_str().ok());
        value.map(str::to_owned).with_context(|| format!("no header {name}"))
    };
    let (decision, model) = (header("x-sextant-decision-id")?, header("x-sextant-model")?);
    let text = if streamed { streamed_text(answer).await? } else { buffered_text(answer).await? };
    Ok(Said { decision, model, text })
}

async fn buffered_text(answer: Response) -> Result<String> {
    let answer: Value = answer.json().await?;
    let text = answer["choices"][0]["message"]["content"].as_str();
    Ok(text.unwrap_or_default().to_owned())
}

async fn streamed_text(answer: Response) -> Result<String> {
    let body = answer.text().await?;
    let mut text = String::new();
    for data in body.lines().filter_map(|line| line.strip_prefix("data: ")) {
        if data == "[DONE]" {
            return Ok(text);
        }
        let chunk: Value = serde_json::from_str(data)?;
        ensure!(chunk["error"].is_null(), "the stream says {}", chunk["error"]);
        text.push_str(chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
    }
    bail!("the stream ends without [DONE]")
}

async fn judge(client: &Client, server: &str, decision: &str, quality: f64) -> Result<()> {
    let feedback = json!({"decision_id": decision, "quality": quality});
    client
        .post(format!("{server}/v1/feedback"))
        .json(&feedback)
        .send()
        .await?
        .error_for_status()?;
    Ok(())
}
