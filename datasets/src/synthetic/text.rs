//! Prompts of the synthetic world: written from a latent difficulty, and read back.
//!
//! The difficulty of a prompt is *defined* by its text, so that anyone who holds the prompt can
//! recover it: the mean hardness of its marked tokens. A word of the vocabulary is marked 0, ½ or
//! 1 (easy, middling, hard), a number by its digits (one digit 0, five or more 1).

use std::collections::HashMap;

use rand::{Rng, RngExt};

use super::vocabulary::{TASKS, Task};

/// What a prompt is about, and how hard it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latent {
    /// Index of the kind of task.
    pub task: usize,
    /// In `[0, 1]`.
    pub difficulty: f64,
}

impl Latent {
    /// The label of its task.
    pub fn task_name(&self) -> &'static str {
        TASKS[self.task].name
    }

    /// The label of its difficulty: easy below 1/3, hard above 2/3.
    pub fn difficulty_name(&self) -> &'static str {
        if self.difficulty < 1.0 / 3.0 {
            "easy"
        } else if self.difficulty <= 2.0 / 3.0 {
            "medium"
        } else {
            "hard"
        }
    }

    /// The probability that a random guess is right.
    pub(crate) fn guess(&self) -> f64 {
        if TASKS[self.task].has_options { 0.25 } else { 0.0 }
    }
}

/// Reads prompts.
#[derive(Debug)]
pub(crate) struct Reader {
    /// Word → task and hardness.
    words: HashMap<&'static str, (usize, f64)>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        let mut words = HashMap::new();
        for (task, kind) in TASKS.iter().enumerate() {
            for (level, list) in kind.words.iter().enumerate() {
                for word in *list {
                    words.insert(*word, (task, level as f64 / 2.0));
                }
            }
        }
        Self { words }
    }

    /// Task: that of most marked words, the first one if equal. A text without marked tokens is
    /// the first task at difficulty ½.
    pub(crate) fn read(&self, prompt: &str) -> Latent {
        let mut votes = vec![0_u32; TASKS.len()];
        let (mut sum, mut n_marked) = (0.0, 0_u32);
        for token in prompt.split(|c: char| !c.is_ascii_alphanumeric()) {
            if let Some((task, hardness)) = self.words.get(token) {
                votes[*task] += 1;
                sum += hardness;
                n_marked += 1;
            } else if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit()) {
                sum += ((token.len() - 1) as f64 / 4.0).min(1.0);
                n_marked += 1;
            }
        }
        let most = votes.iter().max().copied().unwrap_or_default();
        let task = votes.iter().position(|votes| *votes == most).unwrap_or_default();
        let difficulty = if n_marked == 0 { 0.5 } else { sum / f64::from(n_marked) };
        Latent { task, difficulty }
    }
}

/// Writes a prompt: its task by the shares, its difficulty mostly low, its length by difficulty.
pub(crate) fn write(rng: &mut impl Rng) -> String {
    let task = draw_task(rng);
    let hardness = rng.random::<f64>().powf(1.6);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 6")]
    let n_sentences = 2 + (hardness * 6.0).round() as usize + rng.random_range(0..3);
    let mut lines = vec![pick(task.openings, rng).to_owned()];
    for _ in 0..n_sentences {
        lines.push(fill(pick(task.sentences, rng), task, hardness, rng));
    }
    if task.has_options {
        for letter in ["A", "B", "C", "D"] {
            lines.push(format!("{letter}) {}", word(task, hardness, rng)));
        }
    }
    lines.push(pick(task.closings, rng).to_owned());
    lines.join(if task.has_options { "\n" } else { " " })
}

fn draw_task(rng: &mut impl Rng) -> &'static Task {
    let mut ticket = rng.random_range(0..TASKS.iter().map(|task| task.percent).sum());
    for task in TASKS {
        if ticket < task.percent {
            return task;
        }
        ticket -= task.percent;
    }
    &TASKS[0]
}

fn pick<'a>(list: &[&'a str], rng: &mut impl Rng) -> &'a str {
    list[rng.random_range(0..list.len())]
}

fn fill(sentence: &str, task: &Task, hardness: f64, rng: &mut impl Rng) -> String {
    let mut text = String::new();
    let mut rest = sentence;
    while let Some(at) = rest.find('{') {
        text.push_str(&rest[..at]);
        if rest[at..].starts_with("{w}") {
            text.push_str(word(task, hardness, rng));
        } else {
            text.push_str(&number(hardness, rng));
        }
        rest = &rest[at + 3..];
    }
    text.push_str(rest);
    text
}

/// Two coins of probability `hardness` choose the list.
fn word(task: &Task, hardness: f64, rng: &mut impl Rng) -> &'static str {
    pick(task.words[heads(2, hardness, rng)], rng)
}

/// One digit, and one more for each of four coins.
fn number(hardness: f64, rng: &mut impl Rng) -> String {
    let n_more = heads(4, hardness, rng);
    let mut digits = rng.random_range(1..10_u32).to_string();
    for _ in 0..n_more {
        digits.push_str(&rng.random_range(0..10_u32).to_string());
    }
    digits
}

fn heads(n_coins: usize, probability: f64, rng: &mut impl Rng) -> usize {
    (0..n_coins).filter(|_| rng.random::<f64>() < probability).count()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_word_is_marked_twice_or_part_of_a_sentence() {
        let lists = TASKS.iter().flat_map(|task| task.words);
        let words: Vec<_> = lists.flatten().copied().collect();
        let distinct: BTreeSet<_> = words.iter().collect();
        assert_eq!(words.len(), distinct.len());
        let reader = Reader::new();
        for task in TASKS {
            for line in [task.openings, task.sentences, task.closings].into_iter().flatten() {
                assert_eq!(reader.read(line).difficulty.to_bits(), 0.5_f64.to_bits(), "{line}");
            }
        }
    }

    #[test]
    fn difficulty_is_the_mean_hardness_of_the_marked_tokens() {
        let latent = Reader::new().read("Mia has 123 apples and the integral of a ratio.");
        // 3 digits: 1/2; apples: 0; integral: 1; ratio: 1/2.
        assert_eq!(latent.task_name(), "math");
        assert!((latent.difficulty - 0.5).abs() < 1e-15);
        let unmarked = Reader::new().read("Hello there");
        assert_eq!((unmarked.task, unmarked.difficulty_name()), (0, "medium"));
    }
}
