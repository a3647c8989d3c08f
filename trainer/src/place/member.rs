//! Places one model among its peers: quality, cost and latency.

use router_core::{Manifest, ModelId};

use super::arms::NewArm;
use super::difficulty::difficulty;
use super::evidence::Labelled;
use super::population::{Placed, Prior, place};
use super::{MIN_PROMPTS, PlaceError, Report};
use crate::heads::mean;

/// How many labels the noise that is known of other models is worth.
const NOISE_LABELS: f64 = 10.0;

/// Variance of a label where a router does not say what its own are.
const USUAL_NOISE: f64 = 0.15;

/// Variance of the logarithm of a cost around its prediction, before any is known.
const COST_NOISE: f64 = 0.25;

/// Standard deviation of the logarithm of a price beyond that of its peers: a factor of `e²`.
const COST_LEVEL_SD: f64 = 2.0;

/// The models that a router knows.
#[derive(Clone, Debug)]
pub struct Peers {
    /// The arm whose score carries the margin of the guard, and that margin.
    guard: (usize, f64),
    /// Variance of a label around its prediction.
    noise: f64,
}

impl Peers {
    /// The models of a router.
    pub fn new(manifest: &Manifest) -> Self {
        let metric = |name: &str| manifest.provenance.metrics.get(name).copied();
        let reference = manifest.catalog.arm(manifest.provenance.reference.as_str());
        Self {
            guard: (reference.unwrap_or(0), metric("guard").unwrap_or(0.0)),
            noise: metric("brier").unwrap_or(USUAL_NOISE),
        }
    }

    /// Scores without the margin of the guard: `[m]`.
    pub fn unguarded(&self, scores: &[f64]) -> Vec<f64> {
        let mut scores = scores.to_vec();
        if let Some(score) = scores.get_mut(self.guard.0) {
            *score -= self.guard.1;
        }
        scores
    }

    /// What is believed of the quality of another model before its labels, for prompts of these
    /// unguarded scores.
    pub fn prior(&self, known: &[Vec<f64>]) -> Prior {
        Prior { level_sd: level_sd(known), noise: self.noise, noise_labels: NOISE_LABELS }
    }

    /// The posterior of the quality of another model, and the weight of difficulty in it.
    ///
    /// # Shapes
    ///
    /// Each has one entry per prompt; `residuals` are those of the peers that answered it.
    pub fn quality(
        &self,
        known: &[Vec<f64>],
        labels: &[f64],
        residuals: &[Vec<f64>],
    ) -> (Placed, f64) {
        let difficulty = difficulty(residuals);
        let rest = |(label, residual)| label - difficulty.weight * residual;
        let labels: Vec<f64> = labels.iter().zip(&difficulty.residuals).map(rest).collect();
        let m = known.first().map_or(0, Vec::len);
        (place(m, known, &labels, self.prior(known)), difficulty.weight)
    }

    /// Places a model by its labels.
    ///
    /// # Errors
    ///
    /// If fewer than [`MIN_PROMPTS`] have a known quality.
    pub fn place(
        &self,
        model: &ModelId,
        labelled: &[Labelled],
    ) -> Result<(NewArm, Report), PlaceError> {
        let judged: Vec<&Labelled> =
            labelled.iter().filter(|row| row.outcome.quality.is_some()).collect();
        let have = judged.len();
        if have < MIN_PROMPTS {
            return Err(PlaceError::TooFewPrompts { model: model.clone(), have });
        }
        let known: Vec<Vec<f64>> =
            judged.iter().map(|row| self.unguarded(&row.prediction.score)).collect();
        let labels: Vec<f64> =
            judged.iter().filter_map(|row| Some(row.outcome.quality?.get())).collect();
        let residuals: Vec<Vec<f64>> = judged.iter().map(|row| row.residuals.clone()).collect();
        let (placed, difficulty_weight) = self.quality(&known, &labels, &residuals);
        let prior = place(known[0].len(), &[], &[], self.prior(&known));
        let average = |of: &Placed| mean(known.iter().map(|known| of.mean(known)));
        let priced = cost(labelled);
        let latency_ms = known_mean(labelled.iter().map(|row| row.outcome.latency_ms));
        let report = Report {
            model: model.clone(),
            n_prompts: have,
            quality: average(&placed),
            quality_sd: placed.level_sd(&known),
            label_mean: mean(labels.iter().copied()),
            prior_quality: average(&prior),
            prior_sd: prior.level_sd(&known),
            difficulty_weight,
            cost_usd: known_mean(labelled.iter().map(dollars)),
            latency_ms,
        };
        let arm = NewArm {
            score_intercept: placed.intercept - placed.weights[self.guard.0] * self.guard.1,
            sd: mean(known.iter().map(|known| placed.sd(known))),
            score: placed.weights,
            cost: priced,
            latency_ms,
        };
        Ok((arm, report))
    }
}

/// Peers that are alike say little of a stranger: the least spread that is taken for theirs.
const MIN_LEVEL_SD: f64 = 0.1;

/// The spread of the mean scores of the peers.
fn level_sd(known: &[Vec<f64>]) -> f64 {
    let m = known.first().map_or(0, Vec::len);
    let levels: Vec<f64> = (0..m).map(|j| mean(known.iter().map(|known| known[j]))).collect();
    let center = mean(levels.iter().copied());
    let squares: f64 = levels.iter().map(|level| (level - center).powi(2)).sum();
    (squares / (m as f64 - 1.0).max(1.0)).sqrt().max(MIN_LEVEL_SD)
}

fn dollars(row: &Labelled) -> Option<f64> {
    row.outcome.cost.map(router_core::Usd::dollars)
}

fn known_mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let known: Vec<f64> = values.flatten().collect();
    (!known.is_empty()).then(|| mean(known.into_iter()))
}

/// The logarithm of the cost as a sum of those of the priced peers, and an intercept that keeps the
/// mean of the known costs (smearing); `None` without a known cost above 0.
fn cost(labelled: &[Labelled]) -> Option<(Vec<f64>, f64)> {
    let paid: Vec<(&Labelled, f64)> = labelled
        .iter()
        .filter_map(|row| Some((row, dollars(row).filter(|cost| *cost > 0.0)?)))
        .collect();
    let first = paid.first()?.0;
    let of = |row: &Labelled, arm: usize| row.prediction.cost[arm].filter(|cost| *cost > 0.0);
    let m = first.prediction.cost.len();
    let priced: Vec<usize> = (0..m).filter(|arm| of(first, *arm).is_some()).collect();
    let logs = |row: &Labelled| -> Vec<f64> {
        priced.iter().map(|arm| of(row, *arm).map_or(0.0, f64::ln)).collect()
    };
    let known: Vec<Vec<f64>> = paid.iter().map(|(row, _)| logs(row)).collect();
    let labels: Vec<f64> = paid.iter().map(|(_, cost)| cost.ln()).collect();
    let prior = Prior { level_sd: COST_LEVEL_SD, noise: COST_NOISE, noise_labels: NOISE_LABELS };
    let placed = place(priced.len(), &known, &labels, prior);
    let expected = mean(known.iter().map(|known| placed.mean(known).exp()));
    let smearing = (mean(paid.iter().map(|(_, cost)| *cost)) / expected).ln();
    let mut weights = vec![0.0; m];
    for (arm, weight) in priced.iter().zip(&placed.weights) {
        weights[*arm] = *weight;
    }
    Some((weights, placed.intercept + if smearing.is_finite() { smearing } else { 0.0 }))
}

#[cfg(test)]
mod tests {
    use router_core::testing::manifest;
    use router_core::{Outcome, Prediction, Quality, Usd};

    use super::*;

    fn labelled(quality: f64, cost: Option<f64>) -> Labelled {
        let prediction = Prediction {
            score: vec![0.8, 0.5],
            quality: vec![0.7, 0.5],
            cost: vec![Some(0.01), None],
            latency_ms: vec![None, None],
            ..Prediction::default()
        };
        let outcome = Outcome {
            quality: Quality::try_from(quality).ok(),
            cost: cost.and_then(|dollars| Usd::from_dollars(dollars).ok()),
            ..Outcome::default()
        };
        Labelled { prediction, outcome, residuals: vec![0.0, 0.0] }
    }

    /// `large` is the reference, whose score carries a margin of 0.1.
    fn peers() -> Peers {
        let mut manifest = manifest(&["large", "small"]);
        manifest.provenance.metrics.insert("guard".to_owned(), 0.1);
        Peers::new(&manifest)
    }

    #[test]
    fn the_margin_of_the_reference_is_no_quality_of_a_new_model() {
        let id = ModelId::new("new").unwrap();
        let rows: Vec<Labelled> = (0..2000).map(|_| labelled(0.6, Some(0.004))).collect();
        let (arm, report) = peers().place(&id, &rows).unwrap();
        let score = arm.score_intercept + 0.8 * arm.score[0] + 0.5 * arm.score[1];
        assert!((score - 0.6).abs() < 1e-3, "{score}");
        // Peers of unguarded scores 0.7 and 0.5.
        assert!((report.prior_quality - 0.6).abs() < 1e-12 && report.prior_sd > 0.1);
        assert!(report.quality_sd < 0.02 && report.difficulty_weight.abs() < 1e-12);
        let (weights, intercept) = arm.cost.unwrap();
        let cost = (intercept + weights[0] * 0.01f64.ln()).exp();
        assert!((cost / 0.004 - 1.0).abs() < 1e-9 && weights[1].abs() < 1e-12, "{cost}");
    }

    #[test]
    fn nine_prompts_are_too_few_and_costs_may_be_unknown() {
        let id = ModelId::new("new").unwrap();
        let rows: Vec<Labelled> = (0..9).map(|_| labelled(0.6, None)).collect();
        let error = peers().place(&id, &rows).unwrap_err().to_string();
        assert_eq!(
            error,
            "at least 10 prompts with a known quality are needed to place new, got 9"
        );
        let rows: Vec<Labelled> = (0..10).map(|_| labelled(0.6, None)).collect();
        let (arm, report) = peers().place(&id, &rows).unwrap();
        assert_eq!((arm.cost, report.cost_usd), (None, None));
    }
}
