//! What a log is taken for before it is learned from: propensities, clip, and what is missing.

use router_core::LoggedDecision;
use serde::Serialize;

use crate::learn::Learn;
use crate::loggers::balance;
use crate::problem::Problem;

/// The smallest propensity that is believed: a row counts at most for 200.
const MIN_CLIP: f64 = 0.005;
/// The same for fitted propensities.
const MIN_FITTED_CLIP: f64 = 0.01;
/// Share of rows below the clip, or of the weight that it takes away, that is worth a warning.
const CLIP_WARNING: f64 = 0.01;

/// Where propensities are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The log.
    Logged,
    /// Estimated from the log: see [`crate::propensity`].
    Fitted,
}

/// What a log was taken for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Partial {
    /// How it was learned from.
    pub learn: Learn,
    /// Where propensities are from.
    pub propensities: Source,
    /// Number of policy versions that wrote it.
    pub n_versions: usize,
    /// Share of rows whose propensity is that of the mixture of all versions.
    pub balanced_share: f64,
    /// Propensities below this count as this: the logger's floor, but at least 0.005 (fitted 0.01).
    pub clip: f64,
    /// Share of rows below the clip.
    pub clipped_share: f64,
    /// Share of the total weight `Σ 1/p` that the clip takes away.
    pub clipped_mass: f64,
    /// Share of rows without a quality: they teach costs and latencies only.
    pub unjudged_share: f64,
}

/// Sets the propensities that a log is learned from.
pub fn prepare(problem: &mut Problem, log: &[LoggedDecision], is_fitted: bool) -> Partial {
    let balanced = balance(log);
    let least = if is_fitted { MIN_FITTED_CLIP } else { MIN_CLIP };
    let clip = floor(log).max(least).min(1.0);
    let n = log.len().max(1) as f64;
    let share = |count: usize| count as f64 / n;
    let (mut n_clipped, mut lost, mut total) = (0, 0.0, 0.0);
    for (drawn, &propensity) in problem.drawn.iter_mut().zip(&balanced.propensities) {
        let clipped = propensity.max(clip);
        n_clipped += usize::from(propensity < clip);
        lost += propensity.recip() - clipped.recip();
        total += propensity.recip();
        drawn.propensity = clipped;
    }
    Partial {
        learn: problem.learn,
        propensities: if is_fitted { Source::Fitted } else { Source::Logged },
        n_versions: balanced.n_versions,
        balanced_share: share(balanced.n_balanced),
        clip,
        clipped_share: share(n_clipped),
        clipped_mass: if total > 0.0 { lost / total } else { 0.0 },
        unjudged_share: share(log.iter().filter(|row| row.outcome.quality.is_none()).count()),
    }
}

/// The logger's floor: the smallest positive probability that it recorded.
fn floor(log: &[LoggedDecision]) -> f64 {
    let recorded = |row: &LoggedDecision| {
        let least = row.pmf.iter().map(|(_, p)| *p).filter(|p| *p > 0.0).reduce(f64::min);
        least.unwrap_or(row.propensity.get())
    };
    log.iter().map(recorded).fold(1.0, f64::min)
}

impl Partial {
    /// What a person should know.
    pub fn lines(&self) -> Vec<String> {
        let percent = |share: f64| format!("{:.1}%", 100.0 * share);
        let mut lines = vec![format!(
            "a log: one model drawn per request, learned by {}, propensities: {}, clipped at {:.4}",
            match self.learn {
                Learn::Dr => "dr",
                Learn::Ips => "ips",
                Learn::Dm => "dm",
                Learn::Mtr => "mtr",
            },
            match self.propensities {
                Source::Logged => "logged",
                Source::Fitted => "FITTED, not known",
            },
            self.clip
        )];
        if self.clipped_share > CLIP_WARNING || self.clipped_mass > CLIP_WARNING {
            lines.push(format!(
                "warning: {} of rows are below the clip; it takes {} of the weight away, and the \
                 fit is biased by as much",
                percent(self.clipped_share),
                percent(self.clipped_mass)
            ));
        }
        if self.n_versions > 1 {
            lines.push(format!(
                "{} policy versions; {} of rows have the propensity of their mixture, the others \
                 their own, because a version's probabilities elsewhere are not known",
                self.n_versions,
                percent(self.balanced_share)
            ));
        }
        if self.unjudged_share > 0.0 {
            let share = percent(self.unjudged_share);
            lines.push(format!("{share} of rows have no quality; they teach costs only"));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use datasets::logging::simulate_log;
    use datasets::synthetic::{World, WorldParams};
    use datasets::{Dataset, Folds};

    use super::*;

    fn prepared(change: impl Fn(&mut Vec<LoggedDecision>)) -> (Problem, Partial) {
        let table = World::new(WorldParams { seed: 1, n_models: 2 }).unwrap().table(0..100);
        let mut log = simulate_log(&table, &"uniform".parse().unwrap(), 1).unwrap();
        change(&mut log);
        let data = Dataset::Log(log);
        let mut problem = Problem::new(&data, Folds::Hash(3)).unwrap();
        let Dataset::Log(log) = data else { unreachable!() };
        let partial = prepare(&mut problem, &log, false);
        (problem, partial)
    }

    #[test]
    fn a_uniform_log_is_taken_as_it_is() {
        let (problem, partial) = prepared(|_| {});
        assert!(problem.drawn.iter().all(|drawn| (drawn.propensity - 0.5).abs() < 1e-12));
        assert!((partial.clip - 0.5).abs() < 1e-12 && partial.clipped_share < 1e-12);
        assert_eq!(partial.lines().len(), 1);
    }

    #[test]
    fn the_clip_and_what_it_takes_away_are_reported() {
        let (problem, partial) = prepared(|log| {
            for row in &mut log[..2] {
                row.propensity = 0.001.try_into().unwrap();
                row.pmf.clear();
            }
            log[5].outcome.quality = None;
        });
        assert!((problem.drawn[0].propensity - 0.005).abs() < 1e-12);
        assert!((partial.clipped_share - 0.02).abs() < 1e-12);
        // Of 2·1000 + 98·2, 2·800 are lost.
        assert!((partial.clipped_mass - 1600.0 / 2196.0).abs() < 1e-9, "{partial:?}");
        assert!((partial.unjudged_share - 0.01).abs() < 1e-12);
        let lines = partial.lines().join("\n");
        assert!(lines.contains("warning: 2.0% of rows are below the clip; it takes 72.9%"));
        assert!(lines.contains("1.0% of rows have no quality"), "{lines}");
    }
}
