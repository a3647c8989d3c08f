//! How a request is laid out: its first and last words, how its sentences begin, its shape.
//!
//! What a request wants is said at its beginning, at its end, or at the beginning of a sentence;
//! the same words in a pasted text mean little. So these n-grams know where they stand, each kind
//! in a block of buckets of its own. They complete the n-grams of
//! [`for_each_gram`](super::for_each_gram), which do not.

use super::ngrams::{bucket, mix};

/// Kinds of layout n-grams.
pub const N_LAYOUT_BLOCKS: usize = 6;

/// Names of the blocks, in the order of their buckets.
pub const LAYOUT_NAMES: [&str; N_LAYOUT_BLOCKS] =
    ["first_words", "last_words", "beginning", "sentences", "shape", "signs"];

/// Buckets of each block, a power of two.
pub const LAYOUT_BUCKETS: [usize; N_LAYOUT_BLOCKS] =
    [1 << 14, 1 << 14, 1 << 13, 1 << 13, 1 << 13, 1 << 10];

/// All buckets of this module.
pub const N_LAYOUT_BUCKETS: usize = 57_344 + 1024;

/// Longer texts keep their first and last half of this many characters.
const MAX_CHARS: usize = 8192;
/// Words at each end that make [`LAYOUT_NAMES`]`[0]` and `[1]`.
const END_WORDS: usize = 12;
/// Words of the beginning, each length of which is one n-gram.
const BEGIN_WORDS: usize = 4;
/// Sentences at each end whose beginnings are looked at.
const END_SENTENCES: usize = 8;
/// Symbols at each end that the shape is taken from.
const END_SHAPE: usize = 1000;

/// Buffers of [`for_each_layout`]; reuse one per thread to avoid allocation.
#[derive(Debug, Default)]
pub struct LayoutScratch {
    /// Hash of each word.
    words: Vec<u64>,
    /// Index of the first word of each sentence.
    sentences: Vec<u32>,
    /// The text with every run of letters as `a`, of digits as `0`, of blanks as one space.
    shape: Vec<u32>,
}

/// What one pass over the text counts.
#[derive(Clone, Copy, Default)]
struct Signs {
    chars: u64,
    ascii: u64,
    digits: u64,
    code: u64,
    lines: u64,
    questions: u64,
    fences: u64,
    /// The last character that is not white space.
    last: u32,
}

/// Calls `visit` with the block and the bucket, counted from the beginning of this module's
/// buckets, of every layout n-gram occurrence, in a fixed order.
pub fn for_each_layout(text: &str, scratch: &mut LayoutScratch, mut visit: impl FnMut(usize, u32)) {
    let signs = scan(text, scratch);
    let mut offset = 0;
    let mut offsets = [0u32; N_LAYOUT_BLOCKS];
    for (start, n) in offsets.iter_mut().zip(LAYOUT_BUCKETS) {
        *start = offset;
        offset += u32::try_from(n).unwrap_or(0);
    }
    let mut emit = |block: usize, hash: u64| {
        visit(block, offsets[block] + bucket(hash, LAYOUT_BUCKETS[block]));
    };
    let words = &scratch.words;
    grams(&words[..words.len().min(END_WORDS)], |hash| emit(0, hash));
    grams(&words[words.len().saturating_sub(END_WORDS)..], |hash| emit(1, hash));
    prefixes(words, BEGIN_WORDS, |hash| emit(2, hash));
    let n = scratch.sentences.len();
    for (i, &start) in scratch.sentences.iter().enumerate() {
        if i < END_SENTENCES || i + END_SENTENCES >= n {
            let end = scratch.sentences.get(i + 1).map_or(words.len(), |end| *end as usize);
            prefixes(&words[start as usize..end], 3, |hash| emit(3, hash));
        }
    }
    let shape = &scratch.shape;
    if shape.len() <= 2 * END_SHAPE {
        runs(shape, |hash| emit(4, hash));
    } else {
        runs(&shape[..END_SHAPE], |hash| emit(4, hash));
        runs(&shape[shape.len() - END_SHAPE..], |hash| emit(4, hash));
    }
    signs.visit(words.len() as u64, |hash| emit(5, hash));
}

/// The hashes of all runs of 1 to 3 words.
fn grams(words: &[u64], mut emit: impl FnMut(u64)) {
    for start in 0..words.len() {
        prefixes(&words[start..], 3, &mut emit);
    }
}

/// The hashes of the first word, the first two, and so on up to `n`.
fn prefixes(words: &[u64], n: usize, mut emit: impl FnMut(u64)) {
    let mut hash = 7;
    for word in words.iter().take(n) {
        hash = mix(hash, *word);
        // Mixed once more, because the bucket is taken from the upper bits.
        emit(mix(hash, 5));
    }
}

/// The hashes of all runs of 2 to 5 symbols.
fn runs(shape: &[u32], mut emit: impl FnMut(u64)) {
    for start in 0..shape.len().saturating_sub(1) {
        let run = &shape[start..shape.len().min(start + 5)];
        let mut hash = mix(11, u64::from(run[0]));
        for &symbol in &run[1..] {
            hash = mix(hash, u64::from(symbol));
            emit(hash);
        }
    }
}

impl Signs {
    /// One value of each sign, on scales where a step means something.
    fn visit(&self, n_words: u64, mut emit: impl FnMut(u64)) {
        let steps = |n: u64| u64::from((n + 1).ilog2());
        let share = |part: u64, parts: u64| parts * part / self.chars.max(1);
        let (words, lines) = (steps(n_words).min(10), steps(self.lines).min(8));
        let end = match char::from_u32(self.last) {
            Some(last @ ('.' | '?' | '!' | ':' | ';' | '}' | ')' | '`' | '"')) => u64::from(last),
            _ => 0,
        };
        let values = [
            words,
            lines,
            16 * words + lines,
            self.questions.min(3),
            u64::from(self.last == u32::from('?')),
            u64::from(self.fences > 0),
            share(self.ascii, 10),
            share(self.code, 20),
            share(self.digits, 20),
            end,
        ];
        for (sign, value) in (1..).zip(values) {
            emit(mix(mix(mix(13, sign), value), 5));
        }
    }
}

/// The two parts of a text that are looked at.
fn halves(text: &str) -> (&str, &str) {
    if text.len() <= MAX_CHARS {
        return (text, "");
    }
    let half = MAX_CHARS / 2;
    let head = text.char_indices().nth(half).map_or(text.len(), |(at, _)| at);
    let tail = text.char_indices().rev().nth(half - 1).map_or(0, |(at, _)| at);
    (&text[..head], &text[tail.max(head)..])
}

/// What the character before was.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Letter,
    Digit,
    Blank,
    Other,
}

/// One pass: words, beginnings of sentences, shape and counts.
fn scan(text: &str, scratch: &mut LayoutScratch) -> Signs {
    let LayoutScratch { words, sentences, shape } = scratch;
    words.clear();
    sentences.clear();
    shape.clear();
    let mut signs = Signs::default();
    let (head, tail) = halves(text);
    let mut word: Option<u64> = None;
    let mut kind = Kind::Other;
    let mut begins = true;
    let mut fence = 0;
    for character in head.chars().chain(tail.chars()) {
        let point = u32::from(lower(character));
        signs.chars += 1;
        signs.ascii += u64::from(character.is_ascii());
        let now = kind_of(character);
        if now == Kind::Letter || now == Kind::Digit || character == '_' {
            if word.is_none() && begins {
                sentences.push(u32::try_from(words.len()).unwrap_or(u32::MAX));
                begins = false;
            }
            word = Some(mix(word.unwrap_or(1), u64::from(point)));
        } else if let Some(hash) = word.take() {
            words.push(hash);
        }
        match now {
            Kind::Letter if kind != Kind::Letter => shape.push(u32::from('a')),
            Kind::Digit if kind != Kind::Digit => shape.push(u32::from('0')),
            Kind::Blank if kind != Kind::Blank => shape.push(u32::from(' ')),
            Kind::Letter | Kind::Digit | Kind::Blank => {}
            Kind::Other => {
                shape.push(point);
                signs.count(character);
                begins |= ends_sentence(character);
            }
        }
        signs.digits += u64::from(now == Kind::Digit);
        fence = if character == '`' { fence + 1 } else { 0 };
        signs.fences += u64::from(fence == 3);
        if !character.is_whitespace() {
            signs.last = point;
        }
        kind = now;
    }
    words.extend(word);
    signs
}

impl Signs {
    fn count(&mut self, character: char) {
        self.lines += u64::from(character == '\n');
        self.questions += u64::from(matches!(character, '?' | '？'));
        self.code += u64::from(matches!(
            character,
            '{' | '}' | '(' | ')' | ';' | '=' | '<' | '>' | '[' | ']'
        ));
    }
}

fn ends_sentence(character: char) -> bool {
    matches!(character, '.' | '!' | '?' | ':' | ';' | '\n' | '。' | '！' | '？' | '：' | '；')
}

fn lower(character: char) -> char {
    if character.is_ascii() {
        character.to_ascii_lowercase()
    } else {
        character.to_lowercase().next().unwrap_or(character)
    }
}

fn kind_of(character: char) -> Kind {
    if character.is_ascii() {
        return match character {
            'a'..='z' | 'A'..='Z' => Kind::Letter,
            '0'..='9' => Kind::Digit,
            ' ' | '\t' | '\r' => Kind::Blank,
            _ => Kind::Other,
        };
    }
    if character.is_alphabetic() {
        Kind::Letter
    } else if character.is_numeric() {
        Kind::Digit
    } else if character.is_whitespace() {
        Kind::Blank
    } else {
        Kind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of n-grams of each block.
    fn counts(text: &str) -> [usize; N_LAYOUT_BLOCKS] {
        let mut counts = [0; N_LAYOUT_BLOCKS];
        for_each_layout(text, &mut LayoutScratch::default(), |block, bucket| {
            assert!((bucket as usize) < N_LAYOUT_BUCKETS);
            counts[block] += 1;
        });
        counts
    }

    fn buckets(text: &str, wanted: usize) -> Vec<u32> {
        let mut found = Vec::new();
        for_each_layout(text, &mut LayoutScratch::default(), |block, bucket| {
            if block == wanted {
                found.push(bucket);
            }
        });
        found
    }

    #[test]
    fn blocks_fill_the_buckets() {
        assert_eq!(LAYOUT_BUCKETS.iter().sum::<usize>(), N_LAYOUT_BUCKETS);
    }

    #[test]
    fn counts_are_those_of_the_definition() {
        // 5 words: 5 + 4 + 3 grams at each end, 4 beginnings. Sentences "fix this" and
        // "it is 42": 2 + 3 beginnings. Shape `a a. a a 0`: 9 + 8 + 7 + 6... of 10 symbols.
        assert_eq!(counts("Fix this. It is 42"), [12, 12, 4, 5, 9 + 8 + 7 + 6, 10]);
        assert_eq!(counts(""), [0, 0, 0, 0, 0, 10]);
    }

    #[test]
    fn what_stands_elsewhere_is_another_gram() {
        let [a, b] = ["translate this", "please translate"].map(|text| buckets(text, 2));
        assert_ne!(a[0], b[0]);
        let sentence = buckets("Here it is. Translate it.", 3);
        assert!(sentence.contains(&buckets("translate", 3)[0]));
        // The middle of a long text is seen by no block of ends.
        let long = |middle: &str| format!("{} {middle} {}", "one ".repeat(20), "two ".repeat(20));
        for block in [0, 1, 2] {
            assert_eq!(buckets(&long("alpha"), block), buckets(&long("beta"), block));
        }
    }

    #[test]
    fn case_blanks_and_the_words_themselves_do_not_change_the_shape() {
        assert_eq!(buckets("Ab 12", 4), buckets("xyz  7", 4));
        assert_ne!(buckets("a(b)", 4), buckets("a[b]", 4));
        for block in 0..N_LAYOUT_BLOCKS {
            assert_eq!(buckets("What is  it?", block), buckets("WHAT IS it?", block));
        }
    }
}
