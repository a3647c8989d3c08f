//! What is known once a model has answered, as numbers.

use crate::outcome::Status;
use crate::predictor::Prediction;
use crate::units::Tokens;

/// Number of signals.
pub const N_SIGNALS: usize = 16;

/// How far a logarithmic ratio may go.
const CLIP: f64 = 3.0;

/// Beginnings and phrases of answers that refuse.
const REFUSALS: [&str; 10] = [
    "i cannot",
    "i can't",
    "i can’t",
    "i am unable",
    "i'm unable",
    "i’m unable",
    "i'm sorry",
    "i’m sorry",
    "as an ai",
    "i won't",
];

/// Words of answers that are not sure.
const HEDGES: [&str; 10] = [
    "maybe",
    "perhaps",
    "possibly",
    "probably",
    "not sure",
    "might be",
    "i think",
    "i believe",
    "unclear",
    "it seems",
];

/// Characters of an answer that are searched for refusals: they come first.
const REFUSAL_CHARS: usize = 200;

/// One answer, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Answered<'a> {
    /// How the call ended.
    pub status: Status,
    /// Completion tokens as billed.
    pub completion_tokens: Option<Tokens>,
    /// Dollars.
    pub cost: Option<f64>,
    /// Milliseconds until the last byte.
    pub latency_ms: Option<f64>,
    /// Whether the answer was cut at a limit of tokens.
    pub is_cut: bool,
    /// Its text; `None` where nobody kept it.
    pub text: Option<&'a str>,
    /// Whether the request asked for JSON.
    pub wants_json: bool,
}

impl Answered<'_> {
    /// Why no score is needed to tell that this is no answer.
    pub fn defect(&self) -> Option<&'static str> {
        match (self.status, self.text) {
            (Status::Error, _) => Some("the call failed"),
            (Status::Timeout, _) => Some("the call took too long"),
            (Status::Ok, Some(text)) if text.trim().is_empty() => Some("the answer is empty"),
            (Status::Ok, Some(text)) if self.wants_json && !is_json(text) => {
                Some("the answer is not the JSON that was asked for")
            }
            (Status::Ok, _) => None,
        }
    }
}

/// Signals of one answer of `arm`, if `other` would be asked next. What is unknown is 0.
///
/// `typical` is the mean of `ln(1 + completion tokens)` of the model.
pub fn signals(
    prediction: &Prediction,
    (arm, other): (usize, usize),
    answered: &Answered<'_>,
    typical: Option<f64>,
) -> [f64; N_SIGNALS] {
    let ratio = |real: Option<f64>, expected: Option<f64>| {
        let ratio = (real?.max(f64::MIN_POSITIVE) / expected?.max(f64::MIN_POSITIVE)).ln();
        ratio.is_finite().then(|| ratio.clamp(-CLIP, CLIP))
    };
    let cost = ratio(answered.cost, prediction.cost[arm]).unwrap_or(0.0);
    let tokens = answered.completion_tokens.map(|tokens| (1.0 + tokens.0 as f64).ln());
    let length = tokens.zip(typical).map_or(0.0, |(now, usual)| (now - usual).clamp(-CLIP, CLIP));
    let latency = ratio(answered.latency_ms, prediction.latency_ms[arm]).unwrap_or(0.0);
    let (own, next) = (prediction.quality[arm], prediction.quality[other]);
    let text = answered.text.unwrap_or_default().to_lowercase();
    let n_words = text.split_whitespace().count().max(1) as f64;
    let start: String = text.chars().take(REFUSAL_CHARS).collect();
    let hedges: usize = HEDGES.iter().map(|hedge| text.matches(hedge).count()).sum();
    [
        logit(own),
        logit(next),
        prediction.complexity.unwrap_or(0.5),
        own * (1.0 - own),
        cost,
        cost * cost,
        cost * own,
        length,
        length * length,
        length * own,
        latency,
        latency * latency,
        f64::from(u8::from(answered.is_cut)),
        f64::from(u8::from(REFUSALS.iter().any(|phrase| start.contains(phrase)))),
        (100.0 * hedges as f64 / n_words).min(10.0),
        f64::from(u8::from(answered.wants_json)),
    ]
}

/// `ln p/(1 − p)` of a probability, kept away from its ends.
fn logit(p: f64) -> f64 {
    let p = p.clamp(0.01, 0.99);
    (p / (1.0 - p)).ln()
}

/// Whether a text is one JSON value, bare or in a fence.
fn is_json(text: &str) -> bool {
    let text = text.trim();
    let inner = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    let inner = inner.map_or(text, |inner| inner.strip_prefix("json").unwrap_or(inner));
    serde_json::from_str::<serde::de::IgnoredAny>(inner.trim()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction() -> Prediction {
        Prediction {
            quality: vec![0.5, 0.9],
            score: vec![0.5, 0.9],
            cost: vec![Some(0.001), Some(0.01)],
            latency_ms: vec![None, None],
            complexity: Some(0.3),
            ..Prediction::default()
        }
    }

    #[test]
    fn ratios_are_logarithms_and_what_is_unknown_is_nothing() {
        let answered = Answered {
            cost: Some(0.001 * 2f64.exp()),
            completion_tokens: Some(Tokens(9)),
            latency_ms: Some(100.0),
            ..Answered::default()
        };
        let found = signals(&prediction(), (0, 1), &answered, Some(10f64.ln() - 1.0));
        let expected =
            [0.0, 9f64.ln(), 0.3, 0.25, 2.0, 4.0, 1.0, 1.0, 1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        let unknown = signals(&prediction(), (0, 1), &Answered::default(), None);
        assert!(unknown[4..].iter().all(|signal| signal.abs() < 1e-12), "{unknown:?}");
    }

    #[test]
    fn texts_that_refuse_or_hedge_are_seen() {
        let of = |text| {
            let answered = Answered { text: Some(text), ..Answered::default() };
            signals(&prediction(), (0, 1), &answered, None)
        };
        assert!((of("I'm sorry, but I cannot help with that.")[13] - 1.0).abs() < 1e-12);
        assert!((of("Perhaps it is four, probably.")[14] - 10.0).abs() < 1e-12);
        assert!(of("It is four.")[12..].iter().all(|signal| signal.abs() < 1e-12));
    }

    #[test]
    fn what_is_no_answer_is_named() {
        let text =
            |text, wants_json| Answered { text: Some(text), wants_json, ..Answered::default() };
        assert_eq!(text(" \n", false).defect(), Some("the answer is empty"));
        assert!(text("{\"a\": ", true).defect().is_some());
        assert_eq!(text("```json\n{\"a\": 1}\n```", true).defect(), None);
        assert_eq!(text("{\"a\": ", false).defect(), None);
        let failed = Answered { status: Status::Error, ..Answered::default() };
        assert_eq!(failed.defect(), Some("the call failed"));
        assert_eq!(Answered::default().defect(), None);
    }
}
