//! How much harder or easier prompts turned out to be than they looked, by the models that are
//! known.
//!
//! Where known models answered the prompts of a new one, their residuals tell part of its own: a
//! prompt that fewer of them solved than was predicted is hard for it too. Taking `β · ē` from each
//! label, with `ē` the mean residual of the known models (a control variate), leaves less noise.
//! `β` is estimated by leaving out one known model at a time.

/// How many prompts a weight of 0 is worth.
const PRIOR_PROMPTS: f64 = 5.0;

/// What the residuals of known models say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difficulty {
    /// `β`, in `[0, 1]`; 0 where no two known models answered a prompt.
    pub weight: f64,
    /// `[n]`: `ē`; 0 where no known model answered.
    pub residuals: Vec<f64>,
}

/// Compares known models with each other.
///
/// # Shapes
///
/// - `residuals`: per prompt, quality less prediction of the known models that answered it
pub fn difficulty(residuals: &[Vec<f64>]) -> Difficulty {
    let (mut product, mut square, mut n) = (0.0, 0.0, 0.0);
    for prompt in residuals.iter().filter(|prompt| prompt.len() > 1) {
        let (k, sum) = (prompt.len() as f64, prompt.iter().sum::<f64>());
        let others = |residual: &f64| (sum - residual) / (k - 1.0);
        product += prompt.iter().map(|r| r * others(r)).sum::<f64>() / k;
        square += prompt.iter().map(|r| others(r).powi(2)).sum::<f64>() / k;
        n += 1.0;
    }
    let weight = product / (square * (1.0 + PRIOR_PROMPTS / n));
    let average = |prompt: &Vec<f64>| prompt.iter().sum::<f64>() / prompt.len().max(1) as f64;
    Difficulty {
        weight: if weight.is_finite() { weight.clamp(0.0, 1.0) } else { 0.0 },
        residuals: residuals.iter().map(average).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_that_fail_together_give_a_weight_and_independent_ones_none() {
        // Three models that fail together: each is as far off as the mean of the others.
        let together: Vec<Vec<f64>> =
            (0..20).map(|i| vec![if i % 2 == 0 { 0.5 } else { -0.5 }; 3]).collect();
        let found = difficulty(&together);
        assert!((found.weight - 1.0 / (1.0 + 5.0 / 20.0)).abs() < 1e-12, "{}", found.weight);
        assert!((found.residuals[1] + 0.5).abs() < 1e-12);
        let opposed: Vec<Vec<f64>> = (0..20).map(|_| vec![0.5, -0.5]).collect();
        assert!(difficulty(&opposed).weight.abs() < 1e-12);
    }

    #[test]
    fn one_model_or_none_says_nothing() {
        let found = difficulty(&[vec![0.5], Vec::new()]);
        assert_eq!(found, Difficulty { weight: 0.0, residuals: vec![0.5, 0.0] });
        assert!(difficulty(&[]).weight.abs() < 1e-12);
    }
}
