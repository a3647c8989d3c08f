//! The columns of `logs.parquet`, version 1, named once.

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Strings.
    Text,
    /// Numbers that may have a fraction.
    Number,
    /// Whole numbers.
    Integer,
    /// Instants, microseconds UTC.
    Timestamp,
    /// Lists of strings.
    TextList,
    /// Lists of numbers.
    NumberList,
}

impl Kind {
    /// What it holds, in words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Text => "strings",
            Self::Number => "numbers",
            Self::Integer => "whole numbers",
            Self::Timestamp => "timestamps",
            Self::TextList => "lists of strings",
            Self::NumberList => "lists of numbers",
        }
    }
}

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether a file without it is refused.
    pub is_required: bool,
}

pub const REQUEST_ID: &str = "request_id";
pub const PROMPT: &str = "prompt";
pub const MODEL: &str = "model";
pub const QUALITY: &str = "quality";
pub const COST_USD: &str = "cost_usd";
pub const PROMPT_TOKENS: &str = "prompt_tokens";
pub const COMPLETION_TOKENS: &str = "completion_tokens";
pub const LATENCY_MS: &str = "latency_ms";
pub const TASK: &str = "task";
pub const DOMAIN: &str = "domain";
pub const DIFFICULTY: &str = "difficulty";
pub const GROUP: &str = "group";
pub const FOLD: &str = "fold";
pub const TIMESTAMP: &str = "timestamp";
pub const PROPENSITY: &str = "propensity";
pub const POLICY: &str = "policy";
pub const ELIGIBLE: &str = "eligible";
pub const PMF: &str = "pmf";
pub const STATUS: &str = "status";
pub const QUALITY_SOURCE: &str = "quality_source";
pub const TENANT: &str = "tenant";
pub const TIER: &str = "tier";
pub const MESSAGES: &str = "messages";
pub const TOOLS: &str = "tools";
pub const TOOL_SCHEMAS: &str = "tool_schemas";

const fn required(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, is_required: true }
}

const fn optional(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, is_required: false }
}

/// Every column, in the order in which they are written.
pub const FIELDS: &[Field] = &[
    required(REQUEST_ID, Kind::Text),
    required(PROMPT, Kind::Text),
    required(MODEL, Kind::Text),
    required(QUALITY, Kind::Number),
    optional(COST_USD, Kind::Number),
    optional(PROMPT_TOKENS, Kind::Integer),
    optional(COMPLETION_TOKENS, Kind::Integer),
    optional(LATENCY_MS, Kind::Number),
    optional(TASK, Kind::Text),
    optional(DOMAIN, Kind::Text),
    optional(DIFFICULTY, Kind::Text),
    optional(GROUP, Kind::Text),
    optional(FOLD, Kind::Integer),
    optional(TIMESTAMP, Kind::Timestamp),
    optional(PROPENSITY, Kind::Number),
    optional(POLICY, Kind::Text),
    optional(ELIGIBLE, Kind::TextList),
    optional(PMF, Kind::NumberList),
    optional(STATUS, Kind::Text),
    optional(QUALITY_SOURCE, Kind::Text),
    optional(TENANT, Kind::Text),
    optional(TIER, Kind::Text),
    optional(MESSAGES, Kind::Integer),
    optional(TOOLS, Kind::Integer),
    optional(TOOL_SCHEMAS, Kind::Text),
];

/// The values that `quality_source` may have.
pub const QUALITY_SOURCES: &[&str] = &["label", "feedback", "judge", "check", "implicit"];

/// The column of that name.
pub fn field(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}
