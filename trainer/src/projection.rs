//! Requests as points in a few dimensions: a truncated singular value decomposition of their
//! n-grams.
//!
//! The leading right singular vectors `V` of the centered rows `x` span the directions in which
//! requests differ most. They become hidden units `tanh(c·(x − x̄)·V·S^(−1/2))` of the network that a
//! router runs, so that one pass over the n-grams gives the point: half whitened, so that the few
//! strongest directions do not drown the others, and at a scale `c` where `tanh` is nearly linear.
//!
//! # References
//!
//! Halko, Martinsson, Tropp (2011), *Finding structure with randomness*: subspace iteration.

use linfa_linalg::eigh::{EigSort, EighInto};
use ndarray::Array2;
use rayon::prelude::*;

use crate::design::{Design, Sparse, Vectorizer};

/// Directions beyond those that are kept, for accuracy.
const OVERSAMPLING: usize = 8;

/// Passes over the rows, in both orders.
const ITERATIONS: usize = 3;

/// Root mean square of a hidden unit before `tanh`.
const DEVIATION: f64 = 0.5;

/// Embeddings of columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    /// Dimensions.
    pub dimensions: usize,
    /// `[n_columns * dimensions]`: 0 for what is not an n-gram.
    pub embeddings: Vec<f32>,
    /// `[dimensions]`.
    pub bias: Vec<f32>,
}

impl Projection {
    /// Finds the leading directions of some rows.
    pub fn fit(design: &Design, vectorizer: &Vectorizer, dimensions: usize) -> Self {
        let (n_grams, n_columns) = (vectorizer.n_grams(), vectorizer.n_columns());
        let k = dimensions + OVERSAMPLING;
        let center = center(&design.by_column, n_grams, design.by_row.n_rows());
        let only_grams = |basis: &mut Vec<f32>| basis[n_grams * k..].fill(0.0);
        let mut basis: Vec<f32> = (0..(n_columns * k) as u64).map(sign).collect();
        only_grams(&mut basis);
        for _ in 0..ITERATIONS {
            let image = centered(&design.by_row, &basis, &center, k);
            basis = adjoint(&design.by_column, &image, &center, k);
            only_grams(&mut basis);
            orthonormalize(&mut basis, k);
        }
        let image = centered(&design.by_row, &basis, &center, k);
        let (rotation, values) = principal(&image, k);
        let n = design.by_row.n_rows().max(1) as f64;
        let kept = dimensions.min(values.len());
        // The unit of direction d has mean square λ_d / n · c² / √λ_d.
        let powers = values[..kept].iter().map(|value| value.sqrt()).sum::<f64>();
        let c = DEVIATION * (n * kept as f64 / powers.max(f64::MIN_POSITIVE)).sqrt();
        let scale = |d: usize| {
            // Directions in which nothing differs are no directions.
            if values[d] > 1e-6 * values[0] { c / values[d].powf(0.25) } else { 0.0 }
        };
        let rotation: Vec<f64> = (0..k * dimensions)
            .map(|i| (i / dimensions, i % dimensions))
            .map(|(row, d)| if d < kept { rotation[row * k + d] * scale(d) } else { 0.0 })
            .collect();
        let embeddings: Vec<f32> = basis
            .par_chunks(k)
            .flat_map_iter(|row| {
                let of = |d: usize| {
                    let terms = row.iter().zip(rotation.iter().skip(d).step_by(dimensions));
                    narrow(terms.map(|(b, r)| f64::from(*b) * r).sum())
                };
                (0..dimensions).map(of).collect::<Vec<f32>>()
            })
            .collect();
        let bias = center_of(&embeddings, &center, dimensions).iter().map(|b| -b).collect();
        Self { dimensions, embeddings, bias }
    }

    /// Hidden units of rows: `[n_rows * dimensions]`.
    pub fn units(&self, rows: &Sparse) -> Vec<f32> {
        let mut units = rows.times(&self.embeddings, self.dimensions);
        for row in units.chunks_exact_mut(self.dimensions) {
            for (unit, bias) in row.iter_mut().zip(&self.bias) {
                *unit = (*unit + bias).tanh();
            }
        }
        units
    }
}

/// Mean of each column of n-grams: `[n_columns]`, 0 for the others.
fn center(by_column: &Sparse, n_grams: usize, n_rows: usize) -> Vec<f32> {
    let ones = vec![1.0f32; n_rows];
    let mut means = by_column.times(&ones, 1);
    means.iter_mut().for_each(|mean| *mean /= n_rows.max(1) as f32);
    means[n_grams..].fill(0.0);
    means
}

/// `x̄·B`: `[k]`.
fn center_of(basis: &[f32], center: &[f32], k: usize) -> Vec<f32> {
    let mut sum = vec![0.0f64; k];
    for (row, mean) in basis.chunks_exact(k).zip(center).filter(|(_, mean)| **mean > 0.0) {
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum += f64::from(value * mean);
        }
    }
    sum.into_iter().map(narrow).collect()
}

/// `(X − 1·x̄)·B`: `[n_rows * k]`.
fn centered(by_row: &Sparse, basis: &[f32], center: &[f32], k: usize) -> Vec<f32> {
    let shift = center_of(basis, center, k);
    let mut image = by_row.times(basis, k);
    for row in image.chunks_exact_mut(k) {
        row.iter_mut().zip(&shift).for_each(|(value, shift)| *value -= shift);
    }
    image
}

/// `(X − 1·x̄)ᵀ·A`: `[n_columns * k]`.
fn adjoint(by_column: &Sparse, image: &[f32], center: &[f32], k: usize) -> Vec<f32> {
    let mut sums = vec![0.0f64; k];
    for row in image.chunks_exact(k) {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    let mut basis = by_column.times(image, k);
    for (row, mean) in basis.chunks_exact_mut(k).zip(center) {
        for (value, sum) in row.iter_mut().zip(&sums) {
            *value -= narrow(f64::from(*mean) * sum);
        }
    }
    basis
}

/// Eigenvectors of `AᵀA`, `[k * k]` by columns, and its eigenvalues, largest first.
fn principal(image: &[f32], k: usize) -> (Vec<f64>, Vec<f64>) {
    let mut moments = Array2::<f64>::zeros((k, k));
    for row in image.chunks_exact(k) {
        for (i, a) in row.iter().enumerate() {
            for (j, b) in row.iter().enumerate() {
                moments[[i, j]] += f64::from(*a) * f64::from(*b);
            }
        }
    }
    match moments.eigh_into() {
        Ok(found) => {
            let (values, vectors) = found.sort_eig_desc();
            let vectors = (0..k * k).map(|i| vectors[[i / k, i % k]]).collect();
            (vectors, values.iter().map(|value| value.max(0.0)).collect())
        }
        Err(_) => (vec![0.0; k * k], vec![0.0; k]),
    }
}

/// A sign for each place, as good as random (the finalizer of `SplitMix64`).
pub fn sign(place: u64) -> f32 {
    let mixed = (place + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    if mixed >> 63 == 0 { 1.0 } else { -1.0 }
}

/// Modified Gram–Schmidt over the columns of a row-major `[n * k]` matrix; a column that depends on
/// those before becomes 0.
pub fn orthonormalize(matrix: &mut [f32], k: usize) {
    let n = matrix.len() / k;
    let mut columns: Vec<Vec<f32>> =
        (0..k).map(|j| (0..n).map(|i| matrix[i * k + j]).collect()).collect();
    let before: Vec<f32> = columns.par_iter().map(|column| dot(column, column).sqrt()).collect();
    for j in 0..k {
        let (done, rest) = columns.split_at_mut(j + 1);
        let length = dot(&done[j], &done[j]).sqrt();
        let factor = if length > 1e-5 * before[j] { 1.0 / length } else { 0.0 };
        done[j].iter_mut().for_each(|v| *v *= factor);
        let unit = &done[j];
        rest.par_iter_mut().for_each(|column| {
            let along = dot(column, unit);
            column.iter_mut().zip(unit).for_each(|(a, b)| *a -= along * b);
        });
    }
    for (j, column) in columns.iter().enumerate() {
        for (i, value) in column.iter().enumerate() {
            matrix[i * k + j] = *value;
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use router_core::RequestView;
    use router_core::features::{FeatureScratch, RawFeatures, raw_features};

    use super::*;
    use crate::config::Config;

    /// Requests about two things; what they are about is the strongest direction.
    fn requests(n: usize) -> Vec<RawFeatures> {
        const ABOUT: [&str; 2] = ["red apple tree garden", "matrix integral proof theorem"];
        let mut scratch = FeatureScratch::default();
        let text = |i: usize| format!("{} item{} note{}", ABOUT[i % 2], i % 7, i % 5);
        (0..n).map(|i| raw_features(&RequestView::from_text(&text(i)), &mut scratch)).collect()
    }

    #[test]
    fn the_first_unit_tells_apart_what_differs_most_and_units_are_centered() {
        let raw = requests(140);
        let raw: Vec<&RawFeatures> = raw.iter().collect();
        let vectorizer = Vectorizer::fit(Config::default().fit_params().vectorizer, &raw);
        let design = Design::new(&vectorizer, &raw);
        let projection = Projection::fit(&design, &vectorizer, 4);
        let units = projection.units(&design.by_row);
        let sign = units[0].signum();
        for (i, row) in units.chunks_exact(4).enumerate() {
            let side = if i.is_multiple_of(2) { sign } else { -sign };
            assert!(row[0] * side > 0.3, "{i}: {row:?}");
        }
        for d in 0..4 {
            let of = units.iter().skip(d).step_by(4);
            assert!((of.sum::<f32>() / 140.0).abs() < 0.05, "dimension {d}");
        }
        // What is not an n-gram has no place.
        let first = vectorizer.n_grams() * 4;
        assert!(projection.embeddings[first..].iter().all(|value| value.abs() < 1e-12));
    }

    #[test]
    fn directions_that_are_not_there_are_0() {
        let raw = requests(2);
        let raw: Vec<&RawFeatures> = raw.iter().collect();
        let params = Config { min_df: 1, ..Config::default() }.fit_params().vectorizer;
        let vectorizer = Vectorizer::fit(params, &raw);
        let design = Design::new(&vectorizer, &raw);
        let units = Projection::fit(&design, &vectorizer, 3).units(&design.by_row);
        assert!(units.iter().all(|unit| unit.is_finite()), "{units:?}");
        assert!(
            units[0].abs() > 0.1 && units[1].abs() < 1e-3 && units[2].abs() < 1e-3,
            "{units:?}"
        );
    }
}
