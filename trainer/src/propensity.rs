//! Propensities for decisions that recorded none: what is assumed, not what is known.

use std::collections::BTreeMap;

use datasets::{Folds, fold_of};
use router_core::{LoggedDecision, ModelId, OutcomeTable, Propensity, RequestRow};

/// Decisions that count as much as the overall shares do in a stratum.
const PRIOR_ROWS: f64 = 20.0;

/// What a logger may have looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stratum {
    label: Option<String>,
    tier: Option<String>,
    has_tools: bool,
    /// Third of the lengths.
    length: usize,
}

/// How often each model was drawn, per fold.
type Counts = BTreeMap<i32, Vec<f64>>;

/// Whether each request was answered by one of several models, as in a log.
pub fn is_choices(table: &OutcomeTable) -> bool {
    let m = table.models.len();
    m > 1 && table.outcomes.chunks(m).all(|row| row.iter().flatten().count() == 1)
}

/// A table of one answer per request as a log, with fitted propensities.
///
/// The probability of a model is its share of the stratum (task or domain, tier, tools or none,
/// third of the lengths) in the other folds, shrunk towards its share of all of them:
/// `p_j = (n_sj + 20 g_j) / (n_s + 20)`, `g_j = (n_j + 1/m) / (n + 1)`. What the logger looked at
/// beyond that stays unseen, and biases every figure.
pub fn fit_choices(table: OutcomeTable, folds: Folds) -> Vec<LoggedDecision> {
    let m = table.models.len();
    let drawn: Vec<Option<usize>> =
        table.outcomes.chunks(m).map(|row| row.iter().position(Option::is_some)).collect();
    let strata = strata(&table.requests);
    let fold = |request: &RequestRow| fold_of(request, folds).unwrap_or(-1);
    let mut counts: BTreeMap<&Stratum, Counts> = BTreeMap::new();
    let mut overall = Counts::new();
    for ((request, stratum), drawn) in table.requests.iter().zip(&strata).zip(&drawn) {
        if let Some(model) = *drawn {
            let fold = fold(request);
            for counts in [counts.entry(stratum).or_default(), &mut overall] {
                counts.entry(fold).or_insert_with(|| vec![0.0; m])[model] += 1.0;
            }
        }
    }
    let decision = |(row, request): (usize, &RequestRow)| {
        let model = drawn[row]?;
        let fold = fold(request);
        let of = counts.get(&strata[row])?;
        let pmf = shares(&without(of, fold, m), &without(&overall, fold, m));
        Some(LoggedDecision {
            model: table.models[model].clone(),
            propensity: Propensity::try_from(pmf[model].min(1.0)).ok()?,
            policy: "fitted".to_owned(),
            pmf: table.models.iter().cloned().zip(pmf).collect::<Vec<(ModelId, f64)>>(),
            outcome: table.outcomes[row * m + model]?,
            request: request.clone(),
            timestamp_us: None,
            quality_source: None,
        })
    };
    table.requests.iter().enumerate().filter_map(decision).collect()
}

/// Counts of all folds but one.
fn without(counts: &Counts, fold: i32, n_models: usize) -> Vec<f64> {
    let mut sum = vec![0.0; n_models];
    for (_, counts) in counts.iter().filter(|(other, _)| **other != fold) {
        sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    sum
}

/// Shares of a stratum, shrunk towards the overall ones; they sum to 1 and none is 0.
fn shares(stratum: &[f64], overall: &[f64]) -> Vec<f64> {
    let (n, all): (f64, f64) = (stratum.iter().sum(), overall.iter().sum());
    let m = overall.len() as f64;
    let share = |(count, total): (&f64, &f64)| {
        let prior = (total + 1.0 / m) / (all + 1.0);
        (count + PRIOR_ROWS * prior) / (n + PRIOR_ROWS)
    };
    stratum.iter().zip(overall).map(share).collect()
}

fn strata(requests: &[RequestRow]) -> Vec<Stratum> {
    let lengths: Vec<usize> = requests.iter().map(|r| r.prompt.chars().count()).collect();
    let mut sorted = lengths.clone();
    sorted.sort_unstable();
    let cut = |third: usize| sorted.get(third * sorted.len() / 3).copied().unwrap_or(0);
    let cuts = [cut(1), cut(2)];
    let stratum = |(request, length): (&RequestRow, usize)| Stratum {
        label: request.task.clone().or_else(|| request.domain.clone()),
        tier: request.tier.clone(),
        has_tools: request.n_tools > 0,
        length: cuts.iter().filter(|cut| length >= **cut).count(),
    };
    requests.iter().zip(lengths).map(stratum).collect()
}

#[cfg(test)]
mod tests {
    use datasets::logging::simulate_log;
    use datasets::synthetic::{World, WorldParams};

    use super::*;

    #[test]
    fn shares_are_shrunk_towards_those_of_all() {
        // g = (30.5, 10.5) / 41; p = (5 + 20 g) / 25.
        let shares = shares(&[5.0, 0.0], &[30.0, 10.0]);
        assert!((shares[0] - (5.0 + 20.0 * 30.5 / 41.0) / 25.0).abs() < 1e-12);
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_own_fold_is_not_counted() {
        let counts = Counts::from([(0, vec![1.0, 2.0]), (1, vec![4.0, 0.0])]);
        assert_eq!(without(&counts, 0, 2), [4.0, 0.0]);
        assert_eq!(without(&counts, 7, 2), [5.0, 2.0]);
    }

    #[test]
    fn a_logger_that_looks_at_the_length_is_recovered() {
        let table = World::new(WorldParams { seed: 3, n_models: 3 }).unwrap().table(0..3_000);
        let lengths = table.requests.iter().map(|r| r.prompt.chars().count());
        let mut lengths: Vec<usize> = lengths.collect();
        lengths.sort_unstable();
        let names = [table.models[0].clone(), table.models[2].clone()];
        let policy = format!("by-length:0.3:{}:{}:{}", lengths[1_000], names[0], names[1]);
        let log = simulate_log(&table, &policy.parse().unwrap(), 5).unwrap();
        let mut choices = table.clone();
        for (row, decision) in log.iter().enumerate() {
            for (arm, model) in table.models.iter().enumerate() {
                if *model != decision.model {
                    choices.outcomes[row * 3 + arm] = None;
                }
            }
        }
        assert!(is_choices(&choices) && !is_choices(&table));
        let fitted = fit_choices(choices, Folds::Hash(5));
        let errors = log.iter().zip(&fitted).map(|(known, fitted)| {
            assert_eq!(known.model, fitted.model);
            (known.propensity.get() - fitted.propensity.get()).abs()
        });
        let error = crate::heads::mean(errors);
        // A share that looked at nothing would be off by 0.3 on average.
        assert!(error < 0.06, "mean error {error}");
    }
}
