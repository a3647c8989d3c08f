//! Weights as bytes, so that an artifact takes a quarter of the room.
//!
//! `w = column · row · byte` with a scale per output, a power of two, and one per n-gram, of so few
//! digits that the product is exact: rounded weights are written and read without another loss.

use super::linear::{LinearError, LinearParts, numbers};

/// The largest byte.
const LARGEST: f32 = 127.0;

/// The last digits of a scale that are 0: 16 of 24 remain, and a byte has 7.
const IDLE_DIGITS: u32 = 0xff;

/// Scales of rounded weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rounding {
    /// `[n_active]`.
    pub rows: Vec<f32>,
    /// `[width]`.
    pub columns: Vec<f32>,
}

impl Rounding {
    /// Scales for some weights: columns by their root mean square, rows by their largest weight.
    fn new(weights: &[f32], width: usize) -> Self {
        let rows = weights.chunks_exact(width.max(1));
        let column = |at: usize| {
            let squares: f32 = rows.clone().map(|row| row[at] * row[at]).sum();
            let typical = (squares / rows.len().max(1) as f32).sqrt();
            if typical > 0.0 { typical.log2().round().exp2() } else { 1.0 }
        };
        let columns: Vec<f32> = (0..width).map(column).collect();
        let row = |row: &[f32]| {
            let scaled = row.iter().zip(&columns).map(|(weight, column)| (weight / column).abs());
            round_up(scaled.fold(0.0, f32::max) / LARGEST)
        };
        Self { rows: rows.map(row).collect(), columns }
    }

    /// `[n_active * width]`: the nearest bytes; 0 where a row is.
    #[expect(clippy::cast_possible_truncation, reason = "in the range of a byte")]
    pub(crate) fn bytes(&self, weights: &[f32]) -> Vec<i8> {
        let rows = weights.chunks_exact(self.columns.len().max(1)).zip(&self.rows);
        rows.flat_map(|(weights, row)| {
            weights.iter().zip(&self.columns).map(move |(weight, column)| {
                let byte = if *row > 0.0 { weight / column / row } else { 0.0 };
                byte.round().clamp(-LARGEST, LARGEST) as i8
            })
        })
        .collect()
    }

    /// The weights of some bytes.
    pub(crate) fn weights(&self, bytes: &[i8]) -> Vec<f32> {
        let rows = bytes.chunks_exact(self.columns.len().max(1)).zip(&self.rows);
        rows.flat_map(|(bytes, row)| {
            bytes.iter().zip(&self.columns).map(move |(b, column)| f32::from(*b) * row * column)
        })
        .collect()
    }

    /// Checks shapes and finiteness.
    pub(super) fn check(&self, n: usize, width: usize) -> Result<(), LinearError> {
        numbers("row_scales", &self.rows, n)?;
        numbers("column_scales", &self.columns, width)
    }
}

/// To the next number whose idle digits are 0.
fn round_up(scale: f32) -> f32 {
    f32::from_bits((scale.to_bits() + IDLE_DIGITS) & !IDLE_DIGITS)
}

impl LinearParts {
    /// The same with weights that are bytes times scales.
    #[must_use]
    pub fn rounded(mut self) -> Self {
        let rounding = Rounding::new(&self.weights, self.width());
        self.weights = rounding.weights(&rounding.bytes(&self.weights));
        self.rounding = Some(rounding);
        self
    }

    /// The same for weights of which some columns are rounded already: with the scales of the rows,
    /// and of the columns that have one, those stay as they are.
    #[must_use]
    pub fn rounded_with(mut self, rows: &[f32], columns: &[Option<f32>]) -> Self {
        let width = columns.len().max(1);
        let fitting = |at: usize| {
            let of = self.weights.chunks_exact(width).zip(rows).filter(|(_, scale)| **scale > 0.0);
            let largest = of.map(|(row, scale)| (row[at] / scale).abs()).fold(0.0, f32::max);
            if largest > 0.0 { (largest / LARGEST).log2().ceil().exp2() } else { 1.0 }
        };
        let scale = |(at, known): (usize, &Option<f32>)| known.unwrap_or_else(|| fitting(at));
        let columns = columns.iter().enumerate().map(scale).collect();
        let rounding = Rounding { rows: rows.to_vec(), columns };
        self.weights = rounding.weights(&rounding.bytes(&self.weights));
        self.rounding = Some(rounding);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::{Weights, to_bytes};
    use crate::predictor::{Linear, Predictor, Scratch};
    use crate::request::RequestView;
    use crate::router::Router;
    use crate::testing::{manifest, random_linear_parts};

    #[test]
    fn rounding_is_off_by_half_a_step_and_happens_once() {
        let mut parts = random_linear_parts(3, 2, 1);
        // An output of another size, as task scores are beside deviations.
        let width = parts.width();
        parts.weights.iter_mut().step_by(width).for_each(|weight| *weight *= 100.0);
        parts.weights[..width].fill(0.0);
        let rounded = parts.clone().rounded();
        let rounding = rounded.rounding.clone().unwrap();
        for (i, (a, b)) in parts.weights.iter().zip(&rounded.weights).enumerate() {
            let step = rounding.rows[i / width] * rounding.columns[i % width];
            assert!((a - b).abs() <= 0.5001 * step, "{a} {b} {step}");
        }
        assert_eq!(rounding.weights(&rounding.bytes(&rounded.weights)), rounded.weights);
        assert!(rounded.weights[..width].iter().all(|weight| weight.abs() < 1e-30));
    }

    #[test]
    fn columns_that_have_a_scale_stay_and_others_get_one() {
        let parts = random_linear_parts(2, 0, 3).rounded();
        let old = parts.rounding.clone().unwrap();
        // The second arm becomes the mean of the first and itself.
        let mut changed = parts.clone();
        for row in changed.weights.chunks_exact_mut(3) {
            row[1] = 0.5 * (row[0] + row[1]);
        }
        let columns = [Some(old.columns[0]), None, Some(old.columns[2])];
        let again = changed.clone().rounded_with(&old.rows, &columns);
        let rounding = again.rounding.clone().unwrap();
        for (i, (a, b)) in changed.weights.iter().zip(&again.weights).enumerate() {
            let step = rounding.rows[i / 3] * rounding.columns[i % 3];
            assert!((a - b).abs() <= if i % 3 == 1 { 0.5001 * step } else { 0.0 }, "{a} {b}");
        }
    }

    #[test]
    fn rounded_weights_survive_the_round_trip_in_less_than_half_of_the_bytes() {
        let rounded = random_linear_parts(8, 8, 2).rounded();
        let write = |parts: &LinearParts| {
            let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
            to_bytes(manifest(&names), Weights::Linear(Box::new(parts.clone()))).unwrap()
        };
        let bytes = write(&rounded);
        let plain = write(&LinearParts { rounding: None, ..rounded.clone() });
        assert!(2 * bytes.len() < plain.len(), "{} {}", bytes.len(), plain.len());
        let view = RequestView::from_text("Why is the sky blue?");
        let before = Linear::new(rounded.clone()).unwrap().predict(&view, &mut Scratch::default());
        for bytes in [&bytes, &plain] {
            let router = Router::from_bytes(bytes).unwrap();
            assert_eq!(router.predict(&view, &mut Scratch::default()), before);
        }
        // Weights that are no longer bytes are written in full.
        let mut changed = rounded;
        changed.weights[5] += 0.001;
        assert_eq!(write(&changed).len(), plain.len());
    }
}
