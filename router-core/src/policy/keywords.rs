//! Words and phrases that make a request complex or simple, counted.

use super::{ActionDistribution, Context, Policy, Reasons};

/// Phrases that make a request complex where none are configured.
const COMPLEX: [&str; 24] = [
    "algorithm",
    "analyze",
    "architecture",
    "compare",
    "complexity",
    "debug",
    "derive",
    "design",
    "distributed",
    "evaluate",
    "explain why",
    "implement",
    "integral",
    "optimize",
    "proof",
    "prove",
    "reason",
    "refactor",
    "root cause",
    "step by step",
    "strategy",
    "theorem",
    "trade-off",
    "```",
];

/// Phrases that make a request simple where none are configured.
const SIMPLE: [&str; 12] = [
    "classify",
    "define",
    "extract",
    "hello",
    "list",
    "rephrase",
    "spell",
    "summarize",
    "thanks",
    "translate",
    "what is",
    "who is",
];

/// Normalized phrases, each once.
///
/// A phrase occurs where it stands as whole words, in any case and with any white space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Phrases(Vec<String>);

impl Phrases {
    fn new(phrases: &[String]) -> Self {
        let mut folded: Vec<String> = phrases.iter().map(|phrase| fold(phrase)).collect();
        folded.sort_unstable();
        folded.dedup();
        Self(folded)
    }

    /// Those that occur in a folded text.
    fn found<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().map(String::as_str).filter(|phrase| occurs(phrase, text))
    }
}

/// Lower case, with white space folded.
fn fold(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a phrase stands in a text, not within a longer word.
fn occurs(phrase: &str, text: &str) -> bool {
    let joins = |a: Option<char>, b: Option<char>| {
        a.zip(b).is_some_and(|(a, b)| a.is_alphanumeric() && b.is_alphanumeric())
    };
    text.match_indices(phrase).any(|(start, _)| {
        let (before, after) = (&text[..start], &text[start + phrase.len()..]);
        !joins(before.chars().next_back(), phrase.chars().next())
            && !joins(phrase.chars().next_back(), after.chars().next())
    })
}

/// `complex − simple` is the level of a request: the number of different complex phrases that
/// occur in its text, less the number of different simple ones. From `strong_from` on it goes to
/// `strong`, from `middle_from` on to `middle` if there is one, else to `cheap`.
///
/// Where the arm that it wants is not eligible it takes the next stronger of the three, then the
/// next weaker, and without any what [`CostAware`](super::CostAware) would do.
#[derive(Clone, Debug)]
pub struct Keywords {
    cheap: usize,
    middle: Option<(usize, i32)>,
    strong: usize,
    strong_from: i32,
    complex: Phrases,
    simple: Phrases,
}

/// Levels at which the model changes, where none are configured: `(middle_from, strong_from)`.
pub(super) const LEVELS: (i32, i32) = (1, 2);

/// The complex phrases where none are configured.
pub(super) fn complex() -> Vec<String> {
    COMPLEX.map(ToOwned::to_owned).into()
}

/// The simple phrases where none are configured.
pub(super) fn simple() -> Vec<String> {
    SIMPLE.map(ToOwned::to_owned).into()
}

impl Keywords {
    /// `middle` is an arm and the level from which it answers. Phrases must not be blank.
    pub(super) fn new(
        cheap: usize,
        middle: Option<(usize, i32)>,
        (strong, strong_from): (usize, i32),
        complex: &[String],
        simple: &[String],
    ) -> Self {
        let (complex, simple) = (Phrases::new(complex), Phrases::new(simple));
        Self { cheap, middle, strong, strong_from, complex, simple }
    }

    fn level(&self, text: &str) -> i32 {
        let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        count(self.complex.found(text).count()) - count(self.simple.found(text).count())
    }

    /// The arms from cheap to strong, and the place of the one that a level wants.
    fn ladder(&self, level: i32) -> (Vec<usize>, usize) {
        let mut arms = vec![self.cheap];
        arms.extend(self.middle.map(|(arm, _)| arm));
        arms.push(self.strong);
        let at = match self.middle {
            _ if level >= self.strong_from => arms.len() - 1,
            Some((_, from)) if level >= from => 1,
            _ => 0,
        };
        (arms, at)
    }
}

impl Policy for Keywords {
    fn distribution(&self, context: &Context<'_>) -> ActionDistribution {
        let (arms, at) = self.ladder(self.level(&fold(context.request.text)));
        context.first_eligible(arms[at..].iter().chain(arms[..at].iter().rev()).copied())
    }

    fn reasons(&self, context: &Context<'_>) -> Reasons {
        let text = fold(context.request.text);
        let level = self.level(&text);
        let (arms, at) = self.ladder(level);
        let wants = match at {
            0 => "cheap",
            _ if at + 1 == arms.len() => "strong",
            _ => "middle",
        };
        let list = |phrases: &Phrases| match phrases.found(&text).collect::<Vec<_>>() {
            found if found.is_empty() => "nothing".to_owned(),
            found => found.join(", "),
        };
        let rule = format!(
            "complex: {}; simple: {}; level {level}: the {wants} model",
            list(&self.complex),
            list(&self.simple)
        );
        Reasons { rule: Some(rule), ..Reasons::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(text: &str) -> i32 {
        Keywords::new(0, None, (1, 2), &complex(), &simple()).level(&fold(text))
    }

    #[test]
    fn a_phrase_counts_once_and_only_as_whole_words() {
        assert_eq!(level("PROVE it step\n by  STEP, then prove it again"), 2);
        assert_eq!(level("improved proofs of the treason"), 0);
        assert_eq!(level("what is a proof? list three"), -1);
        assert_eq!(level("fix this:\n```rust\nfn main() {}\n```"), 1);
        assert_eq!(level(""), 0);
    }
}
