//! What a chat answer says of itself: usage, finish reason, error, content.
//!
//! Reads leniently (`spec/wire.md`, sections 8 and 13): odd values decode, and never fail an answer.

use router_core::{Tokens, Usage};
use serde_json::Value;

use crate::fault::{Fault, FaultClass};

/// What has been seen of one answer so far, buffered or streamed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tap {
    /// The last usage that was not empty, each of its numbers by itself.
    pub(crate) usage: Option<Usage>,
    /// The last finish reason that was not empty.
    pub(crate) finish_reason: Option<String>,
    /// Characters of content, to estimate tokens when there is no usage.
    pub(crate) n_chars: u64,
}

/// What one event of a stream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Text, a tool call, a refusal or a finish reason: worth committing to.
    Content,
    /// A role, an empty delta, or whatever else a client may want.
    Other,
    /// Nothing but usage.
    UsageOnly,
    /// `[DONE]`.
    Done,
    /// A typed error.
    Error(Value),
    /// Not JSON.
    Malformed,
}

impl Tap {
    /// Reads the data of one event of a stream.
    pub(crate) fn event(&mut self, data: &[u8]) -> Seen {
        if data.trim_ascii() == b"[DONE]" {
            return Seen::Done;
        }
        let Ok(mut chunk) = serde_json::from_slice::<Value>(data) else { return Seen::Malformed };
        if let Some(error) = chunk.get_mut("error").filter(|error| !error.is_null()) {
            return Seen::Error(error.take());
        }
        let had_usage = self.usage_of(&chunk);
        match chunk.get("choices").and_then(Value::as_array) {
            Some(choices) if !choices.is_empty() => {
                let content = choices
                    .iter()
                    .fold(false, |content, choice| self.choice(choice, "delta") | content);
                if content { Seen::Content } else { Seen::Other }
            }
            _ if had_usage => Seen::UsageOnly,
            _ => Seen::Other,
        }
    }

    /// Reads a buffered answer.
    ///
    /// # Errors
    ///
    /// If it is not JSON, cut, without a choice, or an error instead of an answer.
    pub(crate) fn answer(&mut self, body: &[u8]) -> Result<(), Fault> {
        let malformed = "the upstream's answer is not a JSON object";
        let mut answer = serde_json::from_slice::<Value>(body)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| Fault::new(FaultClass::Provider, malformed))?;
        if let Some(error) = answer.get_mut("error").filter(|error| !error.is_null()) {
            return Err(Fault::said(error.take()));
        }
        self.usage_of(&answer);
        let choices = answer.get("choices").and_then(Value::as_array);
        let choices = choices.filter(|choices| !choices.is_empty()).ok_or_else(|| {
            Fault::new(FaultClass::Provider, "the upstream's answer has no choices")
        })?;
        for choice in choices {
            self.choice(choice, "message");
        }
        Ok(())
    }

    /// The usage, or an estimate from the characters of prompt and answer.
    pub(crate) fn estimated(&self, prompt: Tokens) -> Usage {
        let completion = Tokens(self.n_chars.div_ceil(4));
        Usage { prompt, cached: Tokens(0), completion }
    }

    fn usage_of(&mut self, chunk: &Value) -> bool {
        let Some(said) = chunk.get("usage").and_then(read_usage) else { return false };
        let before = self.usage.unwrap_or_default();
        let last = |said: Tokens, before: Tokens| if said.0 > 0 { said } else { before };
        let prompt = last(said.prompt, before.prompt);
        self.usage = Some(Usage {
            prompt,
            cached: last(said.cached, before.cached).min(prompt),
            completion: last(said.completion, before.completion),
        });
        true
    }

    /// Reads one choice; whether it carries content.
    fn choice(&mut self, choice: &Value, part: &str) -> bool {
        let reason = choice.get("finish_reason").and_then(Value::as_str).filter(|r| !r.is_empty());
        if let Some(reason) = reason {
            self.finish_reason = Some(reason.to_owned());
        }
        let mut content = reason.is_some();
        for (key, value) in choice.get(part).and_then(Value::as_object).into_iter().flatten() {
            if key != "role" && key != "obfuscation" {
                let n_chars = count_chars(value);
                self.n_chars += n_chars;
                content |= n_chars > 0;
            }
        }
        content
    }
}

fn count_chars(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.chars().count() as u64,
        Value::Array(values) => values.iter().map(count_chars).sum(),
        Value::Object(members) => members.values().map(count_chars).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// `null`, `{}` and all zeros are absent usage; numbers may be strings or have a fraction of zero.
fn read_usage(usage: &Value) -> Option<Usage> {
    let number = |path: &[&str]| {
        let value = path.iter().try_fold(usage, |value, key| value.get(key))?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok()).or_else(|| whole(value.as_f64()?))
    };
    let prompt = number(&["prompt_tokens"]).unwrap_or(0);
    let completion = number(&["completion_tokens"]).unwrap_or(0);
    let cached = number(&["prompt_tokens_details", "cached_tokens"])
        .or_else(|| number(&["prompt_cache_hit_tokens"]))
        .unwrap_or(0);
    (prompt > 0 || completion > 0).then_some(Usage {
        prompt: Tokens(prompt),
        cached: Tokens(cached),
        completion: Tokens(completion),
    })
}

fn whole(number: f64) -> Option<u64> {
    /// Up to here every whole number is one of the floats.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole and in range, checked first"
    )]
    ((0.0..=EXACT).contains(&number) && number.trunc().total_cmp(&number).is_eq())
        .then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(prompt: u64, cached: u64, completion: u64) -> Usage {
        let [prompt, cached, completion] = [prompt, cached, completion].map(Tokens);
        Usage { prompt, cached, completion }
    }

    #[test]
    fn usage_is_read_wherever_it_stands() {
        let cached = r#"{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":2,
            "prompt_tokens_details":{"cached_tokens":8}}}"#;
        let with_choice = r#"{"choices":[{"delta":{},"finish_reason":"stop"}],
            "usage":{"prompt_tokens":"10","completion_tokens":2,"prompt_cache_hit_tokens":8}}"#;
        for (event, seen) in [(cached, Seen::UsageOnly), (with_choice, Seen::Content)] {
            let mut tap = Tap::default();
            assert_eq!(tap.event(event.as_bytes()), seen);
            assert_eq!(tap.usage, Some(usage(10, 8, 2)));
            // An empty usage afterwards does not erase it.
            tap.event(br#"{"choices":null,"usage":{}}"#);
            tap.event(br#"{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}"#);
            assert_eq!(tap.usage, Some(usage(10, 8, 2)));
        }
    }

    #[test]
    fn usage_may_come_in_pieces_and_as_floats() {
        let mut tap = Tap::default();
        tap.event(br#"{"choices":[],"usage":{"prompt_tokens":100.0,"prompt_cache_hit_tokens":8}}"#);
        tap.event(br#"{"choices":[],"usage":{"prompt_tokens":null,"completion_tokens":20.0}}"#);
        assert_eq!(tap.usage, Some(usage(100, 8, 20)));
        tap.event(br#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":20.5}}"#);
        assert_eq!(tap.usage, Some(usage(5, 5, 20)));
    }

    #[test]
    fn a_role_or_an_empty_delta_is_not_content() {
        for (event, seen) in [
            (r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#, Seen::Other),
            (r#"{"choices":[{"delta":{},"finish_reason":""}],"usage":null}"#, Seen::Other),
            (r#"{"choices":[{"delta":{"content":"x"}}]}"#, Seen::Content),
            (r#"{"choices":[{"delta":{"tool_calls":[{"id":"c"}]}}]}"#, Seen::Content),
            (r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#, Seen::Content),
            ("[DONE] ", Seen::Done),
            ("{", Seen::Malformed),
            (r#"{"error":"overloaded"}"#, Seen::Error(Value::from("overloaded"))),
        ] {
            assert_eq!(Tap::default().event(event.as_bytes()), seen, "{event}");
        }
    }

    #[test]
    fn a_buffered_answer_is_counted_like_a_streamed_one() {
        let mut buffered = Tap::default();
        let answer = br#"{"choices":[{"message":{"role":"assistant","content":"12345678"},
            "finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
        assert_eq!(buffered.answer(answer), Ok(()));
        assert_eq!(buffered.usage, Some(usage(3, 0, 2)));
        assert_eq!(buffered.finish_reason.as_deref(), Some("stop"));
        assert_eq!(buffered.estimated(Tokens(3)), usage(3, 0, 2));
    }

    #[test]
    fn what_is_no_answer_is_a_fault_that_says_why() {
        let fault = |body: &[u8]| Tap::default().answer(body).unwrap_err();
        for body in [&b"<html>"[..], b"[]", br#"{"choices":[{"mess"#] {
            assert!(fault(body).to_string().contains("not a JSON object"));
        }
        let said = fault(br#"{"error":{"message":"overloaded"}}"#);
        assert_eq!(said.error.unwrap()["message"], "overloaded");
    }
}
