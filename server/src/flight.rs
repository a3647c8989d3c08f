//! One request on its way to the decision log: whatever happens to it, one row comes of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use router_core::{ModelSpec, Prices};

use crate::app::App;
use crate::clock;
use crate::decision_log::{Attempt, DecisionRow, Ended};
use crate::fault::{Fault, FaultClass};
use crate::request::ChatRequest;
use crate::routing::{Choice, upstream_of};
use crate::usage::Tap;

/// A request between its decision and its log row. Dropped unfinished, it was canceled.
pub(crate) struct Flight {
    pub(crate) app: Arc<App>,
    pub(crate) request_id: String,
    /// What the answer has said so far.
    pub(crate) tap: Tap,
    /// The upstream that answered.
    pub(crate) provider: Option<String>,
    row: DecisionRow,
    started: Instant,
    prices: Option<Prices>,
    prompt_tokens: router_core::Tokens,
    is_finished: bool,
}

impl Flight {
    /// Begins with the decision.
    pub(crate) fn new(
        app: &Arc<App>,
        request: &ChatRequest,
        choice: &Choice,
        request_id: String,
    ) -> Self {
        let stored = |text: &str| app.config.log.store_prompts.then(|| text.to_owned());
        let (predicted_quality, predicted_cost_usd) = choice.predicted();
        let row = DecisionRow {
            id: app.new_id(),
            decided_at_us: clock::now_us(),
            requested_model: request.model.clone(),
            tier: choice.tier,
            drawn_model: choice.model.id.clone(),
            answered_model: None,
            propensity: choice.propensity(),
            pmf: choice.pmf(),
            policy: choice.policy().to_owned(),
            prompt: stored(&request.text),
            n_tools: request.n_tools,
            tool_schemas: stored(&request.tool_schemas),
            n_messages: request.n_messages,
            streamed: request.streamed,
            usage: None,
            usage_is_estimated: false,
            cost: None,
            latency_ms: 0.0,
            first_content_ms: None,
            ended: Ended::Canceled,
            finish_reason: None,
            fault: None,
            attempts: Vec::new(),
            predicted_quality,
            predicted_cost_usd,
        };
        Self {
            app: Arc::clone(app),
            request_id,
            tap: Tap::default(),
            provider: None,
            row,
            started: clock::instant(),
            prices: None,
            prompt_tokens: request.view().estimated_prompt_tokens(),
            is_finished: false,
        }
    }

    /// The decision as logged so far.
    pub(crate) fn row(&self) -> &DecisionRow {
        &self.row
    }

    /// What is left of a time limit that began with the request.
    pub(crate) fn left_of(&self, total: Duration) -> Duration {
        total.saturating_sub(clock::instant().duration_since(self.started))
    }

    /// Notes how a call of a model went, since `then`.
    pub(crate) fn attempted(&mut self, model: &ModelSpec, then: Instant, fault: Option<&Fault>) {
        let fault = fault.map(|fault| fault.class.as_str());
        let latency_ms = clock::millis_since(then);
        self.row.attempts.push(Attempt { model: model.id.clone(), fault, latency_ms });
        if fault.is_none() {
            self.row.answered_model = Some(model.id.clone());
            self.row.first_content_ms = Some(clock::millis_since(self.started));
            self.prices = model.usd_per_million_tokens;
            self.provider = upstream_of(&self.app, model).map(str::to_owned);
        } else {
            self.tap = Tap::default();
        }
    }

    /// Ends with a complete answer.
    pub(crate) fn complete(&mut self) {
        self.end(Ended::Ok, None);
    }

    /// Ends without an answer.
    pub(crate) fn failed(&mut self, fault: &Fault) {
        let ended = match fault.class {
            FaultClass::Timeout => Ended::Timeout,
            FaultClass::Client
            | FaultClass::ContextOverflow
            | FaultClass::ModelUnknown
            | FaultClass::Throttled
            | FaultClass::Quota
            | FaultClass::Credential
            | FaultClass::Provider
            | FaultClass::Transport
            | FaultClass::Stopping => Ended::Error,
        };
        self.end(ended, Some(fault));
    }

    /// Ends in the middle of an answer.
    pub(crate) fn interrupted(&mut self, fault: &Fault) {
        self.end(Ended::Interrupted, Some(fault));
    }

    fn end(&mut self, ended: Ended, fault: Option<&Fault>) {
        if std::mem::replace(&mut self.is_finished, true) {
            return;
        }
        let row = &mut self.row;
        row.ended = ended;
        row.fault = fault.map(ToString::to_string);
        row.latency_ms = clock::millis_since(self.started);
        row.finish_reason = self.tap.finish_reason.take();
        if row.answered_model.is_some() {
            row.usage_is_estimated = self.tap.usage.is_none();
            row.usage = Some(self.tap.usage.unwrap_or(self.tap.estimated(self.prompt_tokens)));
        }
        // An estimate is no bill: without the upstream's usage the cost stays unknown.
        row.cost = self.prices.zip(self.tap.usage).map(|(prices, usage)| prices.cost(usage));
        self.announce();
        self.app.log.record(self.row.clone());
    }

    /// The one log line of a request. It holds no text of anybody.
    fn announce(&self) {
        let row = &self.row;
        tracing::info!(
            request_id = self.request_id,
            decision_id = row.id,
            requested_model = row.requested_model,
            model = row.answered_model.as_ref().map(|model| model.as_str()),
            drawn_model = row.drawn_model.as_str(),
            policy = row.policy,
            propensity = row.propensity.map(f64::from),
            streamed = row.streamed,
            status = row.ended.as_str(),
            fault = row.fault,
            n_attempts = row.attempts.len(),
            prompt_tokens = row.usage.map(|usage| usage.prompt.0),
            completion_tokens = row.usage.map(|usage| usage.completion.0),
            cost_usd = row.cost.map(router_core::Usd::dollars),
            latency_ms = row.latency_ms,
            "chat completion"
        );
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.end(Ended::Canceled, None);
    }
}
