//! An embedding bag: a small network on the same n-grams as the linear heads.
//!
//! With `x` the weighted n-grams and surface features that the linear heads see (see
//! [`linear`](super::linear)), `h = tanh(b + x·E)` has `hidden` dimensions, and every output of the
//! linear heads gets `h·V + c` added. The embeddings `E` are bytes with a scale per n-gram. If it
//! knows of costs, it multiplies the expected cost of each arm by `exp(h·V_cost + c_cost)`.

use super::linear::{LinearError, LinearParts};
use crate::features::N_SURFACE;

/// Most hidden dimensions.
pub const MAX_HIDDEN: usize = 64;

/// Everything that a bag is made of, as plain numbers.
///
/// # Shapes
///
/// `n_active` is the number of buckets of the linear heads that the bag belongs to, `width` their
/// number of outputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BagParts {
    /// Hidden dimensions.
    pub hidden: usize,
    /// `[n_active * hidden]`: in units of the n-gram's scale.
    pub embeddings: Vec<i8>,
    /// `[n_active]`: what 1 means in each row of embeddings.
    pub scales: Vec<f32>,
    /// `[N_SURFACE * hidden]`: of standardised surface features.
    pub surface_weights: Vec<f32>,
    /// `[hidden]`: `b`.
    pub hidden_bias: Vec<f32>,
    /// `[hidden * width]`: `V`.
    pub weights: Vec<f32>,
    /// `[width]`: `c`.
    pub bias: Vec<f32>,
    /// `[hidden * n_arms]`: `V_cost`; empty if it says nothing of costs.
    pub cost_weights: Vec<f32>,
    /// `[n_arms]`: `c_cost`; empty with the former.
    pub cost_bias: Vec<f32>,
}

impl BagParts {
    /// Rounds rows of embeddings, `[n_active * hidden]`, to bytes and their scales.
    ///
    /// A row's largest number becomes ±127, so that no number is off by more than 1/254 of it.
    pub fn quantize(embeddings: &[f32], hidden: usize) -> (Vec<i8>, Vec<f32>) {
        let mut scales = Vec::with_capacity(embeddings.len() / hidden.max(1));
        let mut bytes = Vec::with_capacity(embeddings.len());
        for row in embeddings.chunks_exact(hidden.max(1)) {
            let largest = row.iter().fold(0.0f32, |most, number| most.max(number.abs()));
            let scale = largest / 127.0;
            scales.push(scale);
            let per = if scale > 0.0 { 1.0 / scale } else { 0.0 };
            #[expect(clippy::cast_possible_truncation, reason = "rounded to ±127")]
            bytes.extend(row.iter().map(|number| (number * per).round() as i8));
        }
        (bytes, scales)
    }

    /// Checks shapes and finiteness for heads of `n_active` buckets.
    pub(crate) fn check(&self, heads: &LinearParts) -> Result<(), LinearError> {
        let (n_active, width, hidden) = (heads.buckets.len(), heads.width(), self.hidden);
        let n_costs = if self.cost_weights.is_empty() { 0 } else { heads.n_arms };
        if !(1..=MAX_HIDDEN).contains(&hidden) {
            return Err(LinearError::Hidden(hidden));
        }
        if self.embeddings.len() != n_active * hidden {
            let found = self.embeddings.len();
            return Err(LinearError::Shape("bag embeddings", n_active * hidden, found));
        }
        let numbers: [(&'static str, &[f32], usize); 7] = [
            ("bag scales", &self.scales, n_active),
            ("bag surface_weights", &self.surface_weights, N_SURFACE * hidden),
            ("bag hidden_bias", &self.hidden_bias, hidden),
            ("bag weights", &self.weights, hidden * width),
            ("bag bias", &self.bias, width),
            ("bag cost_weights", &self.cost_weights, hidden * n_costs),
            ("bag cost_bias", &self.cost_bias, n_costs),
        ];
        numbers
            .into_iter()
            .try_for_each(|(name, values, n)| super::linear::numbers(name, values, n))
    }

    /// Writes the embedding of a row.
    pub(crate) fn write_row(&self, row: usize, to: &mut [f32]) {
        let bytes = &self.embeddings[row * self.hidden..][..self.hidden];
        for (to, byte) in to.iter_mut().zip(bytes) {
            *to = f32::from(*byte) * self.scales[row];
        }
    }

    /// Adds `h·V + c` to the outputs, `[width]`, and leaves `h` in `hidden`.
    ///
    /// `bags` yields, for each block, the sum of its embeddings, `[hidden]`.
    pub(crate) fn add_outputs<'a>(
        &self,
        bags: impl Iterator<Item = &'a [f32]>,
        surface: &[f32; N_SURFACE],
        hidden: &mut Vec<f32>,
        outputs: &mut [f32],
    ) {
        hidden.clear();
        hidden.extend_from_slice(&self.hidden_bias);
        for bag in bags {
            for (hidden, bag) in hidden.iter_mut().zip(bag) {
                *hidden += bag;
            }
        }
        for (feature, weights) in surface.iter().zip(self.surface_weights.chunks_exact(self.hidden))
        {
            for (hidden, weight) in hidden.iter_mut().zip(weights) {
                *hidden += feature * weight;
            }
        }
        for (output, bias) in outputs.iter_mut().zip(&self.bias) {
            *output += bias;
        }
        hidden.iter_mut().for_each(|unit| *unit = libm::tanhf(*unit));
        for (unit, weights) in hidden.iter().zip(self.weights.chunks_exact(outputs.len())) {
            for (output, weight) in outputs.iter_mut().zip(weights) {
                *output += unit * weight;
            }
        }
    }

    /// What multiplies the expected cost of an arm, given `h`.
    pub(crate) fn cost_factor(&self, hidden: &[f32], arm: usize) -> f64 {
        let Some(bias) = self.cost_bias.get(arm) else { return 1.0 };
        let weights = self.cost_weights.iter().skip(arm).step_by(self.cost_bias.len());
        let sum: f64 = hidden.iter().zip(weights).map(|(h, w)| f64::from(h * w)).sum();
        (f64::from(*bias) + sum).clamp(-20.0, 20.0).exp()
    }
}

#[cfg(test)]
mod tests;
