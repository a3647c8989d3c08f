//! Functions of many numbers at once, written so that the compiler uses vector instructions; the
//! backend's call the C library's `erf` and `exp` for each.

/// `exp(x)` for `x <= 0`, to a relative 2e-7; 0 below about −87.
///
/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`, and a polynomial of degree 6 in `r`.
#[inline(always)]
fn exp_of_negative(x: f32) -> f32 {
    /// 1.5 · 2²³: what is added to it is rounded to a whole number in its lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.max(-87.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts, the first exact in few bits.
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let terms = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let polynomial = terms.iter().fold(0.0, |sum, term| sum * r + term);
    let power = (shifted.to_bits() << 23).wrapping_add(127 << 23);
    polynomial * f32::from_bits(power)
}

/// `x Φ(x)` of every number, in place; the error of `Φ` is below 2e-7.
///
/// # References
///
/// Abramowitz, Stegun, *Handbook of Mathematical Functions*, 7.1.26.
pub(crate) fn gelu(values: &mut [f32]) {
    for value in values {
        let z = (*value * std::f32::consts::FRAC_1_SQRT_2).abs();
        let t = 1.0 / (1.0 + 0.327_591_1 * z);
        let terms = [1.061_405_4, -1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6];
        let tail = terms.iter().fold(0.0, |sum, term| sum * t + term) * t;
        // The half of 1 − erf z that lies beyond z on one side.
        let beyond = 0.5 * tail * exp_of_negative(-z * z);
        let below = if *value < 0.0 { beyond } else { 1.0 - beyond };
        *value *= below;
    }
}

/// `exp(x − max) / Σ` of each row, in place.
pub(crate) fn softmax(values: &mut [f32], n_columns: usize) {
    for row in values.chunks_exact_mut(n_columns) {
        let highest = maximum(row);
        row.iter_mut().for_each(|value| *value = exp_of_negative(*value - highest));
        let scale = 1.0 / sum(row);
        row.iter_mut().for_each(|value| *value *= scale);
    }
}

/// Numbers that are reduced beside each other.
const LANES: usize = 16;

fn maximum(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder().iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    lanes.into_iter().fold(rest, f32::max)
}

fn sum(row: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, value)| *lane += value);
    }
    lanes.into_iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData, activation};

    use super::*;
    use crate::bert::floats;

    fn numbers() -> Vec<f32> {
        (-30_000i16..=0).step_by(3).map(|at| f32::from(at) / 300.0).collect()
    }

    #[test]
    fn the_exponential_is_that_of_the_library() {
        for x in numbers() {
            let exact = f64::from(x).exp();
            let found = f64::from(exp_of_negative(x));
            assert!((found - exact).abs() <= 3e-7 * exact + 2e-38, "{x}: {found} {exact}");
        }
        assert!((exp_of_negative(0.0) - 1.0).abs() < 1e-9);
        assert!(exp_of_negative(-1e9) < 2e-38);
    }

    #[test]
    fn gelu_and_softmax_are_those_of_the_backend() {
        let both_signs: Vec<f32> =
            numbers().iter().flat_map(|x| [x / 10.0, -x / 10.0]).chain([0.0]).collect();
        let n = both_signs.len();
        let tensor = |values: &[f32], shape: [usize; 2]| {
            Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
        };
        let expected = floats(activation::gelu(tensor(&both_signs, [1, n]))).unwrap();
        let mut found = both_signs.clone();
        gelu(&mut found);
        for ((x, found), expected) in both_signs.iter().zip(found).zip(expected) {
            assert!((found - expected).abs() < 2e-7 * (1.0 + x.abs()), "{x} {found} {expected}");
        }
        // Rows of 37, with padding in some.
        let mut rows: Vec<f32> = both_signs[..37 * 100].to_vec();
        rows.iter_mut().skip(5).step_by(11).for_each(|value| *value = -1e9);
        let expected = floats(activation::softmax(tensor(&rows, [100, 37]), 1)).unwrap();
        softmax(&mut rows, 37);
        for (found, expected) in rows.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }
}
