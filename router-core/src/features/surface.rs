//! Surface features: what a request looks like, whatever its words.

use super::tools::{self, N_TOOL, TOOL_NAMES};
use crate::request::RequestView;

/// Number of surface features: of the text and the request, then of its tools.
pub const N_SURFACE: usize = N_PLAIN + N_TOOL;

/// Number of surface features that are not about tools; they come first.
pub const N_PLAIN: usize = 16;

/// Their names, in order.
pub const SURFACE_NAMES: [&str; N_SURFACE] = {
    let mut names = [""; N_SURFACE];
    let (plain, of_tools) = names.split_at_mut(N_PLAIN);
    plain.copy_from_slice(&PLAIN_NAMES);
    of_tools.copy_from_slice(&TOOL_NAMES);
    names
};

const PLAIN_NAMES: [&str; N_PLAIN] = [
    "length_chars",
    "length_words",
    "length_lines",
    "mean_word_length",
    "digit_share",
    "number_count",
    "math_share",
    "code_share",
    "code_marks",
    "options",
    "questions",
    "non_ascii_share",
    "tools",
    "tool_schema_length",
    "tool_nesting",
    "turns",
];

/// Counts of one pass over the text.
#[derive(Default)]
struct Counts {
    chars: u32,
    words: u32,
    lines: u32,
    digits: u32,
    numbers: u32,
    math: u32,
    code: u32,
    questions: u32,
    non_ascii: u32,
}

fn count(text: &str) -> Counts {
    let mut counts = Counts::default();
    let mut previous = ' ';
    for character in text.chars() {
        if character.is_whitespace() {
            counts.lines += u32::from(character == '\n');
        } else {
            counts.chars += 1;
            counts.words += u32::from(previous.is_whitespace());
            counts.non_ascii += u32::from(!character.is_ascii());
        }
        if character.is_ascii_digit() {
            counts.digits += 1;
            counts.numbers += u32::from(!previous.is_ascii_digit());
        }
        match character {
            '+' | '*' | '/' | '^' | '=' | '<' | '>' | '\\' | '$' | '%' | '√' | '∫' | '≤' | '≥' =>
            {
                counts.math += 1;
            }
            '{' | '}' | '(' | ')' | '[' | ']' | ';' | '_' | '#' | '&' | '|' | '`' => {
                counts.code += 1;
            }
            '?' | '？' => counts.questions += 1,
            _ => {}
        }
        previous = character;
    }
    counts
}

/// A count, up to what `u32` holds.
fn saturate(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Lines that begin like an option of a multiple-choice question: `A.`, `(b)`, `C)`, `D:`.
fn option_lines(text: &str) -> u32 {
    let is_option = |line: &&str| {
        let line = line.trim_start().as_bytes();
        let line = line.strip_prefix(b"(").unwrap_or(line);
        match line {
            [letter, mark, ..] => {
                letter.is_ascii_alphabetic() && matches!(mark, b'.' | b')' | b':')
            }
            _ => false,
        }
    };
    saturate(text.lines().filter(is_option).count())
}

/// Code fences and beginnings of lines that are code in common languages.
fn code_marks(text: &str) -> u32 {
    const STARTS: [&str; 12] = [
        "```",
        "def ",
        "class ",
        "import ",
        "from ",
        "#include",
        "public ",
        "fn ",
        "func ",
        "function ",
        "return ",
        "select ",
    ];
    let is_code = |line: &&str| {
        let line = line.trim_start().as_bytes();
        STARTS.iter().any(|start| {
            line.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
        })
    };
    saturate(text.lines().filter(is_code).count())
}

/// The features of a request, unscaled: logarithms `ln(1 + n)` of counts, and shares of characters.
pub fn features(view: &RequestView<'_>) -> [f32; N_SURFACE] {
    let mut features = [0.0; N_SURFACE];
    let (plain, of_tools) = features.split_at_mut(N_PLAIN);
    plain.copy_from_slice(&plain_features(view));
    if !view.tool_schemas.is_empty() {
        of_tools.copy_from_slice(&tools::features(view));
    }
    features
}

fn plain_features(view: &RequestView<'_>) -> [f32; N_PLAIN] {
    let counts = count(view.text);
    let log = |n: u32| (n as f32).ln_1p();
    let share = |n: u32| n as f32 / counts.chars.max(1) as f32;
    let nesting = saturate(view.tool_schemas.matches("\"properties\"").count());
    [
        log(counts.chars),
        log(counts.words),
        log(counts.lines),
        counts.chars as f32 / counts.words.max(1) as f32,
        share(counts.digits),
        log(counts.numbers),
        share(counts.math),
        share(counts.code),
        log(code_marks(view.text)),
        log(option_lines(view.text)),
        log(counts.questions),
        share(counts.non_ascii),
        log(view.n_tools),
        log(u32::try_from(view.tool_schemas.len()).unwrap_or(u32::MAX)),
        log(nesting),
        log(view.n_messages.max(1)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, name: &str) -> f32 {
        let at = SURFACE_NAMES.iter().position(|n| *n == name).unwrap();
        features(&RequestView::from_text(text))[at]
    }

    #[test]
    fn each_feature_reacts_to_what_it_is_named_after() {
        assert!((value("a b c", "length_words") - 4f32.ln()).abs() < 1e-6);
        assert!((value("12 plus 345", "number_count") - 3f32.ln()).abs() < 1e-6);
        assert!((value("12 plus 345", "digit_share") - 5.0 / 9.0).abs() < 1e-6);
        assert!((value("pick\nA. x\n(b) y\nC) z", "options") - 4f32.ln()).abs() < 1e-6);
        assert!(
            value("```\ndef f(x):\n  return x\n```", "code_marks")
                > value("define f", "code_marks")
        );
        assert!(value("x^2 = 4", "math_share") > 0.3);
        assert!((value("日本", "non_ascii_share") - 1.0).abs() < 1e-6);
    }

    #[test]
    fn capital_letters_and_spaces_do_not_matter() {
        let plain = features(&RequestView::from_text("is 3 < 4? say why"));
        let loud = features(&RequestView::from_text("IS 3  <  4?  SAY WHY"));
        assert_eq!(plain.map(f32::to_bits), loud.map(f32::to_bits));
    }
}
