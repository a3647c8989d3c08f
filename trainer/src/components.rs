//! Directions in which models differ, strongest first.
//!
//! Deviations of models go together: what one strong model can do, another often can too. Along
//! the few directions that explain most of them there is more to learn per row than along the
//! many that are mostly noise, so each group of directions gets a penalty and weights of its own.

use linfa_linalg::eigh::{EigSort, EighInto};
use ndarray::Array2;

use crate::heads::shared;
use crate::problem::Problem;

/// The first rank of each group after the first, as far as there are [`PER_START`] models for each
/// rank; the last group takes the rest.
const STARTS: [usize; 4] = [1, 2, 3, 8];

/// Models per rank that is told apart.
const PER_START: usize = 4;

/// Complete rows per model below which directions are not told apart.
const MIN_ROWS_PER_MODEL: usize = 10;

/// Orthonormal directions in the space of models, in groups.
#[derive(Clone, Debug, PartialEq)]
pub struct Basis {
    /// Per group: directions of `[n_models]` each; a single empty group for all of the space.
    groups: Vec<Vec<Vec<f64>>>,
}

impl Basis {
    /// One group of all directions.
    pub const WHOLE: Self = Self { groups: Vec::new() };

    /// The principal directions of the deviations of some rows; one group of all without enough
    /// rows that every model answered.
    ///
    /// # Shapes
    ///
    /// - `model_means`: `[n_models]`
    pub fn fit(problem: &Problem, rows: &[usize], model_means: &[f64]) -> Self {
        let m = model_means.len();
        let complete: Vec<usize> =
            rows.iter().copied().filter(|row| problem.is_complete(*row)).collect();
        if m < 3 || complete.len() < MIN_ROWS_PER_MODEL * m {
            return Self::WHOLE;
        }
        let mut moments = Array2::<f64>::zeros((m, m));
        for row in complete {
            let Some(deviations) = deviations(problem, row, model_means) else { continue };
            for (i, a) in deviations.iter().enumerate() {
                for (j, b) in deviations.iter().enumerate() {
                    moments[[i, j]] += a * b;
                }
            }
        }
        let Ok(found) = moments.eigh_into() else { return Self::WHOLE };
        let (_, vectors) = found.sort_eig_desc();
        let direction = |rank: usize| vectors.column(rank).to_vec();
        let starts = STARTS.into_iter().filter(|start| PER_START * *start <= m);
        let bounds: Vec<usize> = std::iter::once(0).chain(starts).chain([m]).collect();
        let groups = bounds.windows(2).map(|w| (w[0]..w[1]).map(direction).collect());
        Self { groups: groups.collect() }
    }

    /// Whether there is one group of all directions.
    pub fn is_whole(&self) -> bool {
        self.groups.is_empty()
    }

    /// Number of groups.
    pub fn n_groups(&self) -> usize {
        self.groups.len().max(1)
    }

    /// The coordinates of a vector along the directions of a group.
    pub fn coordinates(&self, group: usize, vector: &[f64]) -> Vec<f64> {
        match self.groups.get(group) {
            None => vector.to_vec(),
            Some(directions) => directions.iter().map(|d| dot(d, vector)).collect(),
        }
    }

    /// Adds the part of `vector` that lies in a group, times `weight`, to `sum`.
    pub fn add_part(&self, group: usize, vector: &[f64], weight: f64, sum: &mut [f64]) {
        if weight <= 0.0 {
            return;
        }
        let Some(directions) = self.groups.get(group) else {
            sum.iter_mut().zip(vector).for_each(|(sum, x)| *sum += weight * x);
            return;
        };
        for direction in directions {
            let coordinate = weight * dot(direction, vector);
            sum.iter_mut().zip(direction).for_each(|(sum, d)| *sum += coordinate * d);
        }
    }
}

/// How each model's quality deviates from its mean and from what the row shares; `None` unless
/// every model answered the row.
pub fn deviations(problem: &Problem, row: usize, model_means: &[f64]) -> Option<Vec<f64>> {
    let shared = shared(problem, row, model_means)?;
    let known = model_means.iter().enumerate();
    known.map(|(j, mean)| Some(f64::from(problem.cell(row, j).quality?) - mean - shared)).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Cell;

    /// Four models that differ in one way only: the first two against the last two.
    fn problem(n_requests: usize) -> Problem {
        let quality = |row: usize, model: usize| {
            let sign = if row.is_multiple_of(2) == (model < 2) { 0.3 } else { -0.3 };
            Some(0.5 + sign + 0.01 * ((row * 7 + model * 3) % 5) as f32)
        };
        let cell = |i: usize| Cell { quality: quality(i / 4, i % 4), ..Cell::default() };
        Problem {
            models: ["a", "b", "c", "d"].map(|id| router_core::ModelId::new(id).unwrap()).to_vec(),
            cells: (0..n_requests * 4).map(cell).collect(),
            ..Problem::default()
        }
    }

    #[test]
    fn the_first_direction_is_the_one_in_which_models_differ_most() {
        let rows: Vec<usize> = (0..60).collect();
        let basis = Basis::fit(&problem(60), &rows, &[0.52; 4]);
        assert_eq!(basis.n_groups(), 2);
        let along = basis.coordinates(0, &[0.5, 0.5, -0.5, -0.5])[0].abs();
        assert!((along - 1.0).abs() < 1e-3, "{along}");
    }

    #[test]
    fn the_parts_of_a_vector_sum_to_it() {
        let rows: Vec<usize> = (0..60).collect();
        let vector = [0.3, -0.2, 0.7, 0.1];
        for basis in [Basis::fit(&problem(60), &rows, &[0.52; 4]), Basis::WHOLE] {
            let mut sum = vec![0.0; 4];
            for group in 0..basis.n_groups() {
                basis.add_part(group, &vector, 1.0, &mut sum);
            }
            for (sum, x) in sum.iter().zip(vector) {
                assert!((sum - x).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn few_rows_are_not_taken_apart() {
        let rows: Vec<usize> = (0..39).collect();
        assert!(Basis::fit(&problem(39), &rows, &[0.52; 4]).is_whole());
    }
}
