//! Outcome table + logging policy → the log that the policy would have left.

use rand::RngExt;
use rand_pcg::Pcg64;
use router_core::{LoggedDecision, ModelId, OutcomeTable, Propensity, RequestRow};

/// When the first decision of a simulated log is made: 2026-01-01, microseconds since 1970 UTC.
/// One decision follows each second.
pub const START_US: i64 = 1_767_225_600_000_000;

/// A policy whose probabilities are known.
///
/// Only models with an outcome for the request can be drawn; a request that the named model did
/// not answer is dealt uniformly.
#[derive(Clone, Debug, PartialEq)]
pub enum LoggingPolicy {
    /// `uniform`: every model alike.
    Uniform,
    /// `fixed:MODEL`: always this one; no other policy can be valued on such a log.
    Fixed(ModelId),
    /// `epsilon-greedy:E:MODEL`: this one, but with probability `E` a uniform draw.
    EpsilonGreedy {
        /// Share of uniform draws, in `(0, 1]`.
        epsilon: f64,
        /// The preferred model.
        model: ModelId,
    },
    /// `by-length:E:N:SHORT:LONG`: as above, preferring `SHORT` for prompts of fewer than `N`
    /// characters and `LONG` for the others. Its propensities depend on the request.
    ByLength {
        /// Share of uniform draws, in `(0, 1]`.
        epsilon: f64,
        /// Characters from which a prompt is long.
        n_chars: usize,
        /// Preferred for short prompts.
        short: ModelId,
        /// Preferred for long prompts.
        long: ModelId,
    },
}

/// Why a log cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoggingError {
    /// Not the text of a policy.
    #[error(
        "a logging policy must be uniform, fixed:MODEL, epsilon-greedy:E:MODEL with E in (0, 1] or \
         by-length:E:N:SHORT:LONG, got {0}"
    )]
    Syntax(String),
    /// It names a model that the table does not have.
    #[error("the logging policy draws {0}, which is none of the table's models")]
    NoSuchModel(String),
}

impl std::str::FromStr for LoggingPolicy {
    type Err = LoggingError;

    fn from_str(text: &str) -> Result<Self, LoggingError> {
        let wrong = || LoggingError::Syntax(text.to_owned());
        let model = |name: &str| ModelId::new(name).map_err(|_| wrong());
        let share = |share: &str| match share.parse::<f64>() {
            Ok(epsilon) if epsilon > 0.0 && epsilon <= 1.0 => Ok(epsilon),
            Ok(_) | Err(_) => Err(wrong()),
        };
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        match kind {
            "uniform" if rest.is_empty() => Ok(Self::Uniform),
            "fixed" => Ok(Self::Fixed(model(rest)?)),
            "epsilon-greedy" => {
                let (epsilon, name) = rest.split_once(':').ok_or_else(wrong)?;
                Ok(Self::EpsilonGreedy { epsilon: share(epsilon)?, model: model(name)? })
            }
            "by-length" => {
                let parts: Vec<_> = rest.split(':').collect();
                let [epsilon, n_chars, short, long] = parts[..] else { return Err(wrong()) };
                let n_chars = n_chars.parse().map_err(|_| wrong())?;
                let (short, long) = (model(short)?, model(long)?);
                Ok(Self::ByLength { epsilon: share(epsilon)?, n_chars, short, long })
            }
            _ => Err(wrong()),
        }
    }
}

impl std::fmt::Display for LoggingPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Uniform => f.write_str("uniform"),
            Self::Fixed(model) => write!(f, "fixed:{model}"),
            Self::EpsilonGreedy { epsilon, model } => write!(f, "epsilon-greedy:{epsilon}:{model}"),
            Self::ByLength { epsilon, n_chars, short, long } => {
                write!(f, "by-length:{epsilon}:{n_chars}:{short}:{long}")
            }
        }
    }
}

impl LoggingPolicy {
    /// The probability of each eligible model, in their order.
    pub fn distribution(&self, request: &RequestRow, eligible: &[ModelId]) -> Vec<f64> {
        let (epsilon, preferred) = match self {
            Self::Uniform => (1.0, None),
            Self::Fixed(model) => (0.0, Some(model)),
            Self::EpsilonGreedy { epsilon, model } => (*epsilon, Some(model)),
            Self::ByLength { epsilon, n_chars, short, long } => {
                let is_short = request.prompt.chars().count() < *n_chars;
                (*epsilon, Some(if is_short { short } else { long }))
            }
        };
        let preferred = eligible.iter().position(|model| Some(model) == preferred);
        let epsilon = if preferred.is_some() { epsilon } else { 1.0 };
        let floor = epsilon / eligible.len() as f64;
        let chosen = |arm: usize| if Some(arm) == preferred { 1.0 - epsilon } else { 0.0 };
        (0..eligible.len()).map(|arm| floor + chosen(arm)).collect()
    }

    fn models(&self) -> Vec<&ModelId> {
        match self {
            Self::Uniform => Vec::new(),
            Self::Fixed(model) | Self::EpsilonGreedy { model, .. } => vec![model],
            Self::ByLength { short, long, .. } => vec![short, long],
        }
    }
}

/// A table of `n_rounds` requests that are drawn from those of `table` with replacement.
///
/// A request that is drawn again keeps its group and its fold; `#` and the round follow its id.
pub fn resample(table: &OutcomeTable, n_rounds: usize, seed: u64) -> OutcomeTable {
    let mut rng = Pcg64::new(u128::from(seed), 0x7264);
    let m = table.models.len();
    let mut sample = OutcomeTable {
        models: table.models.clone(),
        requests: Vec::with_capacity(n_rounds),
        outcomes: Vec::with_capacity(n_rounds * m),
    };
    for round in (0..n_rounds).filter(|_| !table.requests.is_empty()) {
        let row = rng.random_range(0..table.requests.len());
        let request = &table.requests[row];
        let request_id = format!("{}#{round}", request.request_id);
        sample.requests.push(RequestRow { request_id, ..request.clone() });
        sample.outcomes.extend_from_slice(&table.outcomes[row * m..][..m]);
    }
    sample
}

/// Draws one model for each request of a table; requests without any outcome are left out.
///
/// # Errors
///
/// If the policy names a model that the table does not have.
pub fn simulate_log(
    table: &OutcomeTable,
    policy: &LoggingPolicy,
    seed: u64,
) -> Result<Vec<LoggedDecision>, LoggingError> {
    if let Some(model) = policy.models().into_iter().find(|model| !table.models.contains(model)) {
        return Err(LoggingError::NoSuchModel(model.to_string()));
    }
    let mut rng = Pcg64::new(u128::from(seed), 0x006c_6f67);
    let version = policy.to_string();
    let mut log = Vec::with_capacity(table.requests.len());
    for (row, request) in table.requests.iter().enumerate() {
        let arms = 0..table.models.len();
        let answered: Vec<_> =
            arms.filter_map(|arm| Some((arm, *table.outcome(row, arm)?))).collect();
        let eligible: Vec<_> = answered.iter().map(|(arm, _)| table.models[*arm].clone()).collect();
        let pmf = policy.distribution(request, &eligible);
        let Some(drawn) = draw(&pmf, rng.random()) else { continue };
        log.push(LoggedDecision {
            request: request.clone(),
            model: eligible[drawn].clone(),
            propensity: Propensity::try_from(pmf[drawn].min(1.0)).expect("only drawn if positive"),
            policy: version.clone(),
            outcome: answered[drawn].1,
            pmf: eligible.into_iter().zip(pmf).collect(),
            timestamp_us: i64::try_from(row).ok().map(|second| START_US + second * 1_000_000),
            quality_source: Some("label".to_owned()),
        });
    }
    Ok(log)
}

/// The index whose share of `[0, 1)` holds `u`; `None` if there is no positive probability.
fn draw(pmf: &[f64], u: f64) -> Option<usize> {
    let mut sum = 0.0;
    for (index, probability) in pmf.iter().enumerate() {
        sum += probability;
        if u < sum && *probability > 0.0 {
            return Some(index);
        }
    }
    pmf.iter().rposition(|probability| *probability > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{World, WorldParams};

    fn log(policy: &str) -> Vec<LoggedDecision> {
        let world = World::new(WorldParams { seed: 1, n_models: 4 }).unwrap();
        simulate_log(&world.table(0..4_000), &policy.parse().unwrap(), 1).unwrap()
    }

    #[test]
    fn propensities_are_the_entries_of_the_pmf_and_the_shares_of_the_draws() {
        for policy in ["uniform", "epsilon-greedy:0.2:large", "by-length:0.4:200:nano:large"] {
            let log = log(policy);
            let mut n_nano = 0.0;
            let mut expected = 0.0;
            for decision in &log {
                let sum: f64 = decision.pmf.iter().map(|(_, p)| p).sum();
                assert!((sum - 1.0).abs() < 1e-12);
                let entry = decision.pmf.iter().find(|(model, _)| *model == decision.model);
                assert_eq!(entry.unwrap().1.to_bits(), decision.propensity.get().to_bits());
                n_nano += f64::from(u8::from(decision.model.as_str() == "nano"));
                expected += decision.pmf[3].1;
            }
            // A count of independent draws deviates by at most √(n / 4) = 32.
            assert!((n_nano - expected).abs() < 5.0 * 32.0, "{policy}: {n_nano} {expected}");
        }
    }

    #[test]
    fn a_request_that_is_drawn_again_keeps_its_group_and_answers() {
        let table = crate::testing::table();
        let sample = resample(&table, 50, 3);
        assert_eq!((sample.requests.len(), sample.outcomes.len()), (50, 100));
        let ids: std::collections::BTreeSet<_> =
            sample.requests.iter().map(|request| &request.request_id).collect();
        assert_eq!(ids.len(), 50);
        for (row, request) in sample.requests.iter().enumerate() {
            let from = table.requests.iter().position(|r| r.prompt == request.prompt).unwrap();
            assert_eq!(request.group, table.requests[from].group);
            assert_eq!(sample.outcome(row, 1), table.outcome(from, 1));
        }
        assert_eq!(sample, resample(&table, 50, 3));
    }

    #[test]
    fn a_policy_reads_back_from_its_name() {
        for text in ["uniform", "fixed:a", "epsilon-greedy:0.1:a:b", "by-length:0.5:100:a:b"] {
            assert_eq!(text.parse::<LoggingPolicy>().unwrap().to_string(), text);
        }
        for text in ["unif", "fixed:", "epsilon-greedy:0:a", "epsilon-greedy:2:a", "by-length:1:a"]
        {
            let error = text.parse::<LoggingPolicy>().unwrap_err().to_string();
            assert!(error.ends_with(&format!("got {text}")), "{error}");
        }
    }

    #[test]
    fn an_unknown_model_is_refused_and_an_unanswered_one_not_drawn() {
        let table = crate::testing::table();
        let error = simulate_log(&table, &"fixed:other".parse().unwrap(), 0).unwrap_err();
        assert!(error.to_string().contains("draws other, which is none"), "{error}");
        let log = simulate_log(&table, &"fixed:small".parse().unwrap(), 0).unwrap();
        assert_eq!(log[0].model.as_str(), "small");
        assert_eq!(log[1].model.as_str(), "large");
        assert_eq!(log[1].pmf, vec![(crate::testing::id("large"), 1.0)]);
    }
}
