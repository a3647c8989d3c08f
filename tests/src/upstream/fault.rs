//! Scripted faults: what goes wrong, for which model, at which request.

use std::str::FromStr;

use anyhow::{Context, Result, bail};
use axum::http::StatusCode;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An error of OpenAI's shape.
    Status {
        /// Its status.
        code: StatusCode,
        /// Its `retry-after`.
        retry_after_s: Option<u64>,
    },
    /// The request is taken and never answered.
    Hang,
    /// The connection breaks after this many pieces of content.
    Cut(usize),
    /// The body ends as if complete after this many pieces of content, without `[DONE]`.
    End(usize),
    /// A success whose body, or first event, is not JSON.
    Garbage,
}

/// Which of the requests that a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// All.
    Always,
    /// Only the n-th, from 1.
    Nth(u64),
    /// The n-th, the 2n-th, and so on.
    Every(u64),
}

/// A fault and when it strikes.
///
/// As text: the fault, then what limits it, separated by commas, as in `status=429,retry-after=2`,
/// `hang,nth=3`, `cut=2,model=large`, `end=0` or `garbage,every=10`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What goes wrong.
    pub fault: Fault,
    /// The model it is about; `None` for all.
    pub model: Option<String>,
    /// Which of the requests for it.
    pub when: When,
}

impl Rule {
    /// A fault of every request for a model.
    pub fn of_model(model: &str, fault: Fault) -> Self {
        Self { fault, model: Some(model.to_owned()), when: When::Always }
    }

    /// Whether it is about a model.
    pub fn is_about(&self, model: &str) -> bool {
        self.model.as_deref().is_none_or(|name| name == model)
    }

    /// Whether it strikes at the n-th request that it is about, from 1.
    pub fn strikes(&self, n: u64) -> bool {
        match self.when {
            When::Always => true,
            When::Nth(nth) => n == nth,
            When::Every(every) => n.is_multiple_of(every),
        }
    }
}

impl FromStr for Rule {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split(',').map(|part| part.split_once('=').unwrap_or((part, "")));
        let (kind, value) = parts.next().unwrap_or_default();
        let fault = match kind {
            "status" => Fault::Status { code: status(value)?, retry_after_s: None },
            "hang" => Fault::Hang,
            "cut" => Fault::Cut(number("cut", value)?),
            "end" => Fault::End(number("end", value)?),
            "garbage" => Fault::Garbage,
            _ => bail!("a fault must be status=CODE, hang, cut=N, end=N or garbage, got {kind:?}"),
        };
        let mut rule = Self { fault, model: None, when: When::Always };
        for (key, value) in parts {
            match (key, &mut rule.fault) {
                ("retry-after", Fault::Status { retry_after_s, .. }) => {
                    *retry_after_s = Some(number("retry-after", value)?);
                }
                ("model", _) => rule.model = Some(value.to_owned()),
                ("nth", _) => rule.when = When::Nth(positive("nth", value)?),
                ("every", _) => rule.when = When::Every(positive("every", value)?),
                _ => bail!(
                    "a fault may have model=NAME, nth=N, every=N and, with status, \
                     retry-after=SECONDS, got {key:?}"
                ),
            }
        }
        Ok(rule)
    }
}

fn number<T: FromStr>(key: &str, value: &str) -> Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    value.parse().with_context(|| format!("{key} must be a whole number, got {value:?}"))
}

fn positive(key: &str, value: &str) -> Result<u64> {
    match number(key, value)? {
        0 => bail!("{key} must be at least 1, got 0"),
        n => Ok(n),
    }
}

fn status(value: &str) -> Result<StatusCode> {
    let code = value.parse().ok().and_then(|code| StatusCode::from_u16(code).ok());
    let code = code.filter(|code| code.is_client_error() || code.is_server_error());
    code.with_context(|| format!("status must be at least 400 and at most 599, got {value:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        text.parse().unwrap()
    }

    #[test]
    fn a_rule_is_read_from_text() {
        let code = StatusCode::TOO_MANY_REQUESTS;
        let throttled = Fault::Status { code, retry_after_s: Some(2) };
        assert_eq!(rule("status=429,retry-after=2").fault, throttled);
        assert_eq!(rule("cut=2,model=large"), Rule::of_model("large", Fault::Cut(2)));
        assert_eq!(rule("hang,nth=3").when, When::Nth(3));
        assert_eq!(rule("end=0,every=10").fault, Fault::End(0));
        for (text, expected) in [
            ("", "a fault must be"),
            ("teapot", "got \"teapot\""),
            ("status=200", "status must be at least 400 and at most 599, got \"200\""),
            ("status", "got \"\""),
            ("cut=-1", "cut must be a whole number, got \"-1\""),
            ("hang,nth=0", "nth must be at least 1, got 0"),
            ("hang,retry-after=2", "got \"retry-after\""),
        ] {
            let error = text.parse::<Rule>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_rule_strikes_when_it_says() {
        let struck = |text: &str| (1..=6).filter(|n| rule(text).strikes(*n)).collect::<Vec<_>>();
        assert_eq!(struck("hang"), [1, 2, 3, 4, 5, 6]);
        assert_eq!(struck("hang,nth=2"), [2]);
        assert_eq!(struck("hang,every=3"), [3, 6]);
        assert!(rule("hang,model=m").is_about("m") && !rule("hang,model=m").is_about("n"));
    }
}
