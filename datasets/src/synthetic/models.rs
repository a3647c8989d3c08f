//! The models of the synthetic world: what they can do, what they charge, how fast they are.

use rand::RngExt;
use rand_pcg::Pcg64;
use router_core::{ModelId, ModelSpec, Prices, Tokens, UsdPerMillionTokens};

use super::text::Latent;
use super::vocabulary::TASKS;

/// Slope of the logistic curve of a right answer.
const SLOPE: f64 = 12.0;

/// One model. Prices are whole nano-dollars per token, so that every cost is exact.
#[derive(Clone, Debug)]
pub struct SimModel {
    /// Its name.
    pub id: ModelId,
    /// For each task the difficulty at which half of its answers are right.
    pub skill: Vec<f64>,
    /// Nano-dollars per prompt token.
    pub input_nanos: i64,
    /// Nano-dollars per completion token.
    pub output_nanos: i64,
    /// Length of its answers; 1 is usual.
    pub verbosity: f64,
    /// Milliseconds until the first token.
    pub first_token_ms: f64,
    /// Milliseconds for each further token.
    pub ms_per_token: f64,
}

impl SimModel {
    /// `P(right) = g + (1 − g) / (1 + exp(−12 (skill − difficulty)))`, `g` the share of guesses
    /// that are right: ¼ for multiple choice, else 0.
    pub fn quality(&self, latent: Latent) -> f64 {
        let guess = latent.guess();
        let margin = self.skill[latent.task] - latent.difficulty;
        guess + (1.0 - guess) / (1.0 + (-SLOPE * margin).exp())
    }

    /// The expected number of completion tokens, a whole number of at least 8.
    pub fn completion_tokens(&self, latent: Latent) -> u32 {
        let usual = [60.0, 70.0, 30.0, 120.0, 160.0, 240.0][latent.task];
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "8 to 1000")]
        let tokens = (usual * (0.5 + latent.difficulty) * self.verbosity).round() as u32;
        tokens.max(8)
    }

    /// Milliseconds for an answer of that many tokens.
    pub fn latency_ms(&self, completion_tokens: u32) -> f64 {
        self.first_token_ms + self.ms_per_token * f64::from(completion_tokens)
    }

    /// The catalog entry that prices it alike.
    pub fn spec(&self) -> ModelSpec {
        let price = |nanos: i64| {
            UsdPerMillionTokens::try_from(nanos as f64 / 1e3).expect("a small positive price")
        };
        let (input, output) = (price(self.input_nanos), price(self.output_nanos));
        ModelSpec {
            usd_per_million_tokens: Some(Prices { input, cached_input: None, output }),
            context_window: Some(Tokens(128_000)),
            ..ModelSpec::named(self.id.clone())
        }
    }
}

/// The four named models: skills by task (chat, extraction, knowledge, math, code, planning).
///
/// None is best at everything: `large` is wordy where an exact form is asked for, `base` knows
/// mathematics, `mini` was made for code and forms.
const NAMED: [(&str, [f64; 6], i64, f64); 4] = [
    ("nano", [0.80, 0.72, 0.68, 0.58, 0.54, 0.48], 100, 0.8),
    ("mini", [0.84, 1.16, 0.70, 0.62, 1.12, 0.54], 400, 0.9),
    ("base", [0.80, 0.68, 0.68, 1.20, 0.58, 0.62], 1_500, 1.0),
    ("large", [1.16, 0.80, 1.16, 0.78, 0.82, 1.16], 5_000, 1.2),
];

/// The first `n_models` models: `nano` and `large`, then `base`, `mini`, then `extra-1` and so on.
pub(crate) fn models(n_models: usize) -> Vec<SimModel> {
    let order = [0, 3, 2, 1];
    let mut models: Vec<_> = order.iter().take(n_models).map(|i| named(*i)).collect();
    models.extend((1..=n_models.saturating_sub(order.len())).map(extra));
    models.sort_by(|a, b| a.id.cmp(&b.id));
    models
}

fn named(i: usize) -> SimModel {
    let (name, skill, input_nanos, verbosity) = NAMED[i];
    SimModel {
        id: ModelId::new(name).expect("a plain name"),
        skill: skill.to_vec(),
        input_nanos,
        output_nanos: 4 * input_nanos,
        verbosity,
        first_token_ms: 80.0 + 60.0 * i as f64,
        ms_per_token: 2.0 + 4.0 * i as f64,
    }
}

/// A model between `nano` and `large` with skills of its own, the same in every world.
fn extra(number: usize) -> SimModel {
    let mut rng = Pcg64::new(number as u128, 0x0065_7874_7261);
    let level = rng.random::<f64>();
    let skill = TASKS.iter().map(|_| 0.35 + 0.55 * level + 0.25 * rng.random::<f64>()).collect();
    #[expect(clippy::cast_possible_truncation, reason = "at most 5,000")]
    let input_nanos = (100.0 * 50_f64.powf(level)).round() as i64;
    SimModel {
        id: ModelId::new(format!("extra-{number}")).expect("a plain name"),
        skill,
        input_nanos,
        output_nanos: 4 * input_nanos,
        verbosity: 0.8 + 0.4 * level,
        first_token_ms: 80.0 + 180.0 * level,
        ms_per_token: 2.0 + 12.0 * level,
    }
}
