//! A chat request: the bytes as sent, the few members that are read, and the splices.
//!
//! Nothing is re-serialised (`spec/gateway.md`, 5.2): what goes upstream is what came, except
//! for the model's name and the request for usage, replaced at byte offsets.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use router_core::{RequestView, Tokens};
use serde::Deserialize;
use serde_json::value::RawValue;

mod members;
mod messages;

use members::Members;

/// What is wrong with a request, and in which member.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct RequestError {
    /// What the client can change.
    pub(crate) message: String,
    /// The member.
    pub(crate) param: Option<&'static str>,
}

impl RequestError {
    fn new(param: &'static str, message: impl Into<String>) -> Self {
        Self { message: message.into(), param: Some(param) }
    }
}

/// Bytes that replace a range of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Splice {
    at: Range<usize>,
    with: Vec<u8>,
}

/// A chat request that can be routed and forwarded.
#[derive(Clone, Debug)]
pub(crate) struct ChatRequest {
    body: Bytes,
    /// The model as asked for.
    pub(crate) model: String,
    model_at: Range<usize>,
    /// Whether the answer is to be streamed.
    pub(crate) streamed: bool,
    usage: Option<Splice>,
    /// The text of all messages, joined by blank lines.
    pub(crate) text: String,
    /// Number of messages.
    pub(crate) n_messages: u32,
    /// Number of tool definitions.
    pub(crate) n_tools: u32,
    /// The tool definitions as sent; empty without any.
    pub(crate) tool_schemas: String,
    max_output_tokens: Option<Tokens>,
}

impl ChatRequest {
    /// Reads the members that matter.
    ///
    /// # Errors
    ///
    /// If the body is not a JSON object, an interpreted member is missing, twice or of a wrong type.
    pub(crate) fn parse(body: Bytes) -> Result<Self, RequestError> {
        let members = Members::parse(&body)?;
        let model_raw =
            members.get("model")?.ok_or_else(|| RequestError::new("model", "model is missing"))?;
        let model: String = typed("model", "a string", model_raw)?;
        let messages_raw = members
            .get("messages")?
            .ok_or_else(|| RequestError::new("messages", "messages is missing"))?;
        let (text, n_messages) = messages::text_of(messages_raw)?;
        let streamed = match members.get("stream")? {
            Some(raw) => typed::<Option<bool>>("stream", "true or false", raw)?.unwrap_or_default(),
            None => false,
        };
        let (n_tools, tool_schemas) = tools(&members)?;
        let usage = if streamed { usage_splice(&members)? } else { None };
        let max_output_tokens = max_output_tokens(&members)?;
        let model_at = members.range(model_raw);
        Ok(Self {
            model,
            model_at,
            streamed,
            usage,
            text,
            n_messages,
            n_tools,
            tool_schemas,
            max_output_tokens,
            body,
        })
    }

    /// What a router may see of it.
    pub(crate) fn view(&self) -> RequestView<'_> {
        RequestView {
            text: &self.text,
            n_tools: self.n_tools,
            tool_schemas: &self.tool_schemas,
            n_messages: self.n_messages,
            prompt_tokens: None,
            max_output_tokens: self.max_output_tokens,
        }
    }

    /// Whether usage in the stream was requested by us and not by the client.
    pub(crate) fn asks_usage_for_us(&self) -> bool {
        self.usage.is_some()
    }

    /// The body for an upstream that knows the model as `upstream_model`.
    pub(crate) fn body_for(&self, upstream_model: &str) -> Bytes {
        let name = (upstream_model != self.model).then(|| Splice {
            at: self.model_at.clone(),
            with: serde_json::Value::from(upstream_model).to_string().into_bytes(),
        });
        let mut splices: Vec<Splice> = name.into_iter().chain(self.usage.clone()).collect();
        if splices.is_empty() {
            return self.body.clone();
        }
        splices.sort_by_key(|splice| splice.at.start);
        let mut out = BytesMut::with_capacity(self.body.len() + 128);
        let mut done = 0;
        for splice in splices {
            out.extend_from_slice(&self.body[done..splice.at.start]);
            out.extend_from_slice(&splice.with);
            done = splice.at.end;
        }
        out.extend_from_slice(&self.body[done..]);
        out.freeze()
    }
}

fn typed<'a, T: Deserialize<'a>>(
    name: &'static str,
    expected: &str,
    raw: &'a RawValue,
) -> Result<T, RequestError> {
    serde_json::from_str(raw.get())
        .map_err(|_| RequestError::new(name, format!("{name} must be {expected}")))
}

fn tools(members: &Members<'_>) -> Result<(u32, String), RequestError> {
    let Some(raw) = members.get("tools")? else { return Ok((0, String::new())) };
    let list: Option<Vec<&RawValue>> = typed("tools", "a list of tool definitions", raw)?;
    let n_tools = list.map_or(0, |list| u32::try_from(list.len()).unwrap_or(u32::MAX));
    let schemas = if n_tools == 0 { String::new() } else { raw.get().to_owned() };
    Ok((n_tools, schemas))
}

fn max_output_tokens(members: &Members<'_>) -> Result<Option<Tokens>, RequestError> {
    for name in ["max_completion_tokens", "max_tokens"] {
        if let Some(raw) = members.get(name)?
            && let Ok(Some(limit)) = serde_json::from_str::<Option<u64>>(raw.get())
        {
            return Ok(Some(Tokens(limit)));
        }
    }
    Ok(None)
}

/// What must change so that the stream ends with usage; `None` if the client asked for it.
fn usage_splice(members: &Members<'_>) -> Result<Option<Splice>, RequestError> {
    const OPTIONS: &str = "stream_options";
    let Some(raw) = members.get(OPTIONS)? else {
        let with = b",\"stream_options\":{\"include_usage\":true}".to_vec();
        return Ok(Some(Splice { at: members.end()..members.end(), with }));
    };
    let at = members.range(raw);
    if raw.get() == "null" {
        return Ok(Some(Splice { at, with: b"{\"include_usage\":true}".to_vec() }));
    }
    let options = Members::parse(raw.get().as_bytes())
        .map_err(|_| RequestError::new(OPTIONS, "stream_options must be an object"))?;
    let Some(flag) = options.get("include_usage")? else {
        let comma = if options.is_empty() { "" } else { "," };
        let insert = at.start + 1;
        let with = format!("\"include_usage\":true{comma}").into_bytes();
        return Ok(Some(Splice { at: insert..insert, with }));
    };
    if typed::<Option<bool>>(OPTIONS, "an object with a boolean include_usage", flag)? == Some(true)
    {
        return Ok(None);
    }
    let flag_at = options.range(flag);
    let at = at.start + flag_at.start..at.start + flag_at.end;
    Ok(Some(Splice { at, with: b"true".to_vec() }))
}

#[cfg(test)]
mod tests;
