//! A seeded world whose expected qualities, costs and best policies are known exactly.
//!
//! A request is a text of one of six tasks. Its difficulty is a function of the text, and each
//! model answers it rightly with a known probability ([`SimModel::quality`]); what it costs is
//! known to the nano-dollar. Quality is drawn, so that a table of the world is noisy, as a real
//! one is; [`World::truth`] says what its expectation is.

mod models;
mod text;
mod truth;
mod vocabulary;

use std::ops::Range;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use router_core::{
    Catalog, ModelId, Outcome, OutcomeTable, Quality, RequestRow, Status, Tokens, Usd,
};
use sha2::{Digest, Sha256};

pub use models::SimModel;
pub use text::Latent;
pub use truth::{PolicyValue, Truth};

use crate::split::{default_group, hash_of};

/// Most models a world may have.
pub const MAX_MODELS: usize = 64;

/// Folds of a table of the world.
const FOLDS: u32 = 5;

/// Which world.
///
/// | Field | Default | Meaning | Range |
/// | --- | --- | --- | --- |
/// | `seed` | `0` | of the requests and of the draws | any |
/// | `n_models` | `4` | `nano`, `large`, `base`, `mini`, then `extra-1`, … | `[1, 64]` |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorldParams {
    /// Of the requests and of the draws; models do not depend on it.
    pub seed: u64,
    /// Number of models.
    pub n_models: usize,
}

impl Default for WorldParams {
    fn default() -> Self {
        Self { seed: 0, n_models: 4 }
    }
}

/// A number of models out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("n_models must be at least 1 and at most {MAX_MODELS}, got {0}")]
pub struct WorldError(pub usize);

/// Requests and models.
#[derive(Debug)]
pub struct World {
    seed: u64,
    models: Vec<SimModel>,
    reader: text::Reader,
}

/// What one model answers to one prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Quality (0 or 1), cost, tokens and latency.
    pub outcome: Outcome,
    /// The probability that it is right.
    pub expected_quality: f64,
    /// As many words as completion tokens; [`World::grade`] can tell whether it is right.
    pub text: String,
}

impl World {
    /// The world of these parameters.
    ///
    /// # Errors
    ///
    /// If the number of models is out of range.
    pub fn new(params: WorldParams) -> Result<Self, WorldError> {
        if !(1..=MAX_MODELS).contains(&params.n_models) {
            return Err(WorldError(params.n_models));
        }
        let models = models::models(params.n_models);
        Ok(Self { seed: params.seed, models, reader: text::Reader::new() })
    }

    /// The models, ordered by id.
    pub fn models(&self) -> &[SimModel] {
        &self.models
    }

    /// The model of that name.
    pub fn model(&self, id: &str) -> Option<&SimModel> {
        self.models.iter().find(|model| model.id.as_str() == id)
    }

    /// Names and prices.
    pub fn catalog(&self) -> Catalog {
        let specs = self.models.iter().map(SimModel::spec).collect();
        Catalog::new("synthetic".to_owned(), specs).expect("at least one model, each once")
    }

    /// The task and difficulty of any prompt.
    pub fn latent(&self, prompt: &str) -> Latent {
        self.reader.read(prompt)
    }

    /// Request number `index` of this world. Any index is valid, so that held-out requests are
    /// those of another range.
    pub fn request(&self, index: u64) -> RequestRow {
        let mut rng = Pcg64::new(u128::from(self.seed), u128::from(index));
        let prompt = text::write(&mut rng);
        let latent = self.latent(&prompt);
        let group = default_group(&prompt);
        RequestRow {
            request_id: format!("sim-{}-{index:06}", self.seed),
            n_messages: 1,
            task: Some(latent.task_name().to_owned()),
            difficulty: Some(latent.difficulty_name().to_owned()),
            fold: i32::try_from(hash_of(&group) % FOLDS).ok(),
            group,
            prompt,
            ..RequestRow::default()
        }
    }

    /// What every model answers to the requests of a range.
    pub fn table(&self, indices: Range<u64>) -> OutcomeTable {
        let mut table = OutcomeTable {
            models: self.models.iter().map(|model| model.id.clone()).collect(),
            ..OutcomeTable::default()
        };
        for index in indices {
            let request = self.request(index);
            for model in &self.models {
                let seed = self.seed.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                table.outcomes.push(Some(self.outcome(&request.prompt, model, seed).0));
            }
            table.requests.push(request);
        }
        table
    }

    /// What a model answers to a prompt; the same seed gives the same answer. `None` if the world
    /// has no such model.
    pub fn answer(&self, prompt: &str, model: &str, seed: u64) -> Option<Answer> {
        let model = self.model(model)?;
        let (outcome, expected_quality) = self.outcome(prompt, model, seed);
        let is_right = outcome.quality.is_some_and(|quality| quality.get() > 0.5);
        let n_words = outcome.completion_tokens.unwrap_or_default().0;
        let key = key(prompt);
        let result = if is_right { key } else { (key + 1) % KEYS };
        Some(Answer { outcome, expected_quality, text: answer_text(&model.id, result, n_words) })
    }

    /// How good the text of an answer is: 1 if its result is right, 0 if it is another one or
    /// none.
    pub fn grade(&self, prompt: &str, answer: &str) -> Quality {
        let result = answer
            .rsplit(RESULT)
            .next()
            .and_then(|rest| rest.trim().trim_end_matches('.').parse::<u32>().ok());
        let is_right = answer.contains(RESULT) && result == Some(key(prompt));
        Quality::try_from(f64::from(u8::from(is_right))).expect("0 or 1")
    }

    fn outcome(&self, prompt: &str, model: &SimModel, seed: u64) -> (Outcome, f64) {
        let latent = self.latent(prompt);
        let expected = model.quality(latent);
        let mut rng = Pcg64::seed_from_u64(draw_seed(prompt, &model.id, seed));
        let is_right = rng.random::<f64>() < expected;
        let mean_tokens = model.completion_tokens(latent);
        // Even around the mean, so that the expected cost is the cost of the expected length.
        let spread = mean_tokens / 4;
        let completion = mean_tokens - spread + rng.random_range(0..=2 * spread);
        let outcome = Outcome {
            quality: Quality::try_from(f64::from(u8::from(is_right))).ok(),
            cost: Some(cost(model, prompt_tokens(prompt), completion)),
            prompt_tokens: Some(Tokens(u64::from(prompt_tokens(prompt)))),
            completion_tokens: Some(Tokens(u64::from(completion))),
            latency_ms: Some(model.latency_ms(completion)),
            status: Status::Ok,
        };
        (outcome, expected)
    }
}

/// A quarter of the characters, rounded up.
pub(crate) fn prompt_tokens(prompt: &str) -> u32 {
    u32::try_from(prompt.chars().count().div_ceil(4)).unwrap_or(u32::MAX)
}

pub(crate) fn cost(model: &SimModel, prompt_tokens: u32, completion_tokens: u32) -> Usd {
    Usd::from_nanos(
        model.input_nanos * i64::from(prompt_tokens)
            + model.output_nanos * i64::from(completion_tokens),
    )
}

/// What precedes the result in an answer.
const RESULT: &str = "Result:";

/// Results are numbers below this.
const KEYS: u32 = 10_000;

/// The right result of a prompt.
fn key(prompt: &str) -> u32 {
    hash_of(&default_group(prompt)) % KEYS
}

/// `n_words` words, the last two of which are the result.
fn answer_text(model: &ModelId, result: u32, n_words: u64) -> String {
    let mut words = vec![model.as_str(), "says:"];
    let filler = ["this", "follows", "from", "what", "was", "asked,", "and", "so", "on,"];
    words.extend(
        filler.iter().cycle().take(usize::try_from(n_words).unwrap_or(0).saturating_sub(4)),
    );
    format!("{} {RESULT} {result}.", words.join(" "))
}

fn draw_seed(prompt: &str, model: &ModelId, seed: u64) -> u64 {
    let mut digest = Sha256::new();
    digest.update(seed.to_le_bytes());
    digest.update(model.as_str());
    digest.update([0]);
    digest.update(prompt);
    let digest = digest.finalize();
    digest.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests;
