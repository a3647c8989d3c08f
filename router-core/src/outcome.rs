//! Outcomes: of every model for each request (full information), or of the drawn one only.

use serde::{Deserialize, Serialize};

use crate::catalog::ModelId;
use crate::request::RequestView;
use crate::units::{Propensity, Quality, Tokens, Usd};

/// How a call ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A complete answer.
    #[default]
    Ok,
    /// No answer.
    Error,
    /// No answer in time.
    Timeout,
}

/// What one model's answer to one request was worth. `None` always means unknown, never zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// How good the answer was; `None` if nobody judged it.
    pub quality: Option<Quality>,
    /// Money for this answer.
    pub cost: Option<Usd>,
    /// Prompt tokens as billed.
    pub prompt_tokens: Option<Tokens>,
    /// Completion tokens as billed.
    pub completion_tokens: Option<Tokens>,
    /// Milliseconds until the last byte.
    pub latency_ms: Option<f64>,
    /// How the call ended.
    pub status: Status,
}

/// One request of a table or a log, with the labels of a benchmark that a router may not see.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestRow {
    /// Rows with the same id answer the same request.
    pub request_id: String,
    /// The text the router may see.
    pub prompt: String,
    /// Number of tool definitions.
    pub n_tools: u32,
    /// Tool definitions as JSON; empty when there are none.
    pub tool_schemas: String,
    /// Number of messages; 0 if unknown.
    pub n_messages: u32,
    /// Label: kind of task.
    pub task: Option<String>,
    /// Label: subject or category.
    pub domain: Option<String>,
    /// Label: difficulty.
    pub difficulty: Option<String>,
    /// Requests of one group are never split apart.
    pub group: String,
    /// The fold a benchmark gave.
    pub fold: Option<i32>,
    /// The objective tier that was asked for.
    pub tier: Option<String>,
    /// The tenant who asked.
    pub tenant: Option<String>,
}

impl RequestRow {
    /// What a router may see of it.
    pub fn view(&self) -> RequestView<'_> {
        RequestView {
            text: &self.prompt,
            n_tools: self.n_tools,
            tool_schemas: &self.tool_schemas,
            n_messages: self.n_messages,
            prompt_tokens: None,
            max_output_tokens: None,
        }
    }
}

/// Full information: what every model would have done with each request.
///
/// # Shapes
///
/// - `requests`: `[n_requests]`, in the order of their first row
/// - `outcomes`: `[n_requests * n_models]`, request-major; `None` where the model was not asked
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutcomeTable {
    /// The columns, ordered by id.
    pub models: Vec<ModelId>,
    /// The rows.
    pub requests: Vec<RequestRow>,
    /// The cells.
    pub outcomes: Vec<Option<Outcome>>,
}

impl OutcomeTable {
    /// What model number `model` did with request number `request`.
    pub fn outcome(&self, request: usize, model: usize) -> Option<&Outcome> {
        self.outcomes[request * self.models.len() + model].as_ref()
    }

    /// The known quality of that cell.
    pub fn quality(&self, request: usize, model: usize) -> Option<f64> {
        self.outcome(request, model).and_then(|outcome| outcome.quality).map(Quality::get)
    }

    /// The known cost of that cell.
    pub fn cost(&self, request: usize, model: usize) -> Option<Usd> {
        self.outcome(request, model).and_then(|outcome| outcome.cost)
    }
}

/// Partial information: the outcome of the model that was drawn, and how likely that was.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedDecision {
    /// The request.
    pub request: RequestRow,
    /// The model that was drawn.
    pub model: ModelId,
    /// The probability with which it was drawn.
    pub propensity: Propensity,
    /// Version of the policy that drew it.
    pub policy: String,
    /// The models it could draw, with their probabilities; empty if not recorded.
    pub pmf: Vec<(ModelId, f64)>,
    /// What came of it.
    pub outcome: Outcome,
    /// When it was decided, microseconds since 1970 UTC.
    pub timestamp_us: Option<i64>,
    /// Who judged it: `label`, `feedback`, `judge`, `check` or `implicit`.
    pub quality_source: Option<String>,
}
