//! `Σ_g t_g w[g] / ‖t‖` of one block, for all heads.

use crate::features::term_weight;

/// Rows that 16 bits can add up: 255 · 128 is below 2^15.
const MAX_ROWS: u32 = 255;

/// Sums of rows of bytes.
///
/// Most n-grams occur once and have the weight 1: their rows are added as whole numbers, which is
/// exact and several times faster than as numbers with a fraction.
#[derive(Debug)]
pub(super) struct Sums {
    once: Vec<i16>,
    n_once: u32,
    /// Sums of earlier runs of `once`, and of rows that weigh more.
    others: Vec<f32>,
    /// `‖t‖²`, n-grams without a row included.
    square: f32,
}

impl Sums {
    pub(super) fn new(stride: usize) -> Self {
        Self { once: vec![0; stride], n_once: 0, others: vec![0.0; stride], square: 0.0 }
    }

    /// Adds an n-gram that occurs `count` times; `weights` is its row, or empty if it has none.
    pub(super) fn add(&mut self, count: u32, weights: &[i8]) {
        if count == 1 {
            self.square += 1.0;
            if weights.is_empty() {
                return;
            }
            for (sum, weight) in self.once.iter_mut().zip(weights) {
                *sum += i16::from(*weight);
            }
            self.n_once += 1;
            if self.n_once == MAX_ROWS {
                self.flush();
            }
            return;
        }
        let term = term_weight(count);
        self.square += term * term;
        for (sum, weight) in self.others.iter_mut().zip(weights) {
            *sum += term * f32::from(*weight);
        }
    }

    fn flush(&mut self) {
        for (sum, once) in self.others.iter_mut().zip(&mut self.once) {
            *sum += f32::from(std::mem::take(once));
        }
        self.n_once = 0;
    }

    /// The sums, divided by the length of the block.
    pub(super) fn finish(&mut self) -> &[f32] {
        self.flush();
        let length = self.square.sqrt().max(f32::MIN_POSITIVE);
        for sum in &mut self.others {
            *sum /= length;
        }
        &self.others
    }

    pub(super) fn clear(&mut self) {
        self.others.fill(0.0);
        self.square = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_rows_of_extreme_weights_add_up() {
        let mut sums = Sums::new(2);
        for _ in 0..1000 {
            sums.add(1, &[127, -128]);
        }
        sums.add(3, &[10, 0]);
        sums.add(2, &[]);
        let (three, two) = (1.0 + 3f32.ln(), 1.0 + 2f32.ln());
        let length = (1000.0 + three * three + two * two).sqrt();
        let expected = [(127_000.0 + 10.0 * three) / length, -128_000.0 / length];
        for (sum, expected) in sums.finish().iter().zip(expected) {
            assert!((sum - expected).abs() < 1e-2, "{sum} {expected}");
        }
        sums.clear();
        assert_eq!(sums.finish(), [0.0, 0.0]);
    }
}
