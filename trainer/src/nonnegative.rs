//! Least squares with weights that are not negative and have a prior, for a handful of sources.

/// What is believed of a weight before any row is seen: normal, with this mean and deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// Its mean, at least 0.
    pub mean: f64,
    /// Its standard deviation, above 0; infinite for no belief.
    pub deviation: f64,
}

impl Prior {
    /// No belief.
    pub const NONE: Self = Self { mean: 0.0, deviation: f64::INFINITY };
}

/// Sums over rows: what least squares needs to know of `k` sources `x` and a target `y`.
#[derive(Clone, Debug)]
pub struct Moments {
    k: usize,
    xx: Vec<f64>,
    xy: Vec<f64>,
    yy: f64,
    n_rows: f64,
}

impl Moments {
    /// Of no row.
    pub fn new(k: usize) -> Self {
        Self { k, xx: vec![0.0; k * k], xy: vec![0.0; k], yy: 0.0, n_rows: 0.0 }
    }

    /// Adds a row; `x` is `[k]`.
    pub fn add(&mut self, x: &[f64], y: f64) {
        debug_assert_eq!(x.len(), self.k, "one value per source");
        for (i, a) in x.iter().enumerate() {
            for (xx, b) in self.xx[i * self.k..][..self.k].iter_mut().zip(x) {
                *xx += a * b;
            }
            self.xy[i] += a * y;
        }
        self.yy += y * y;
        self.n_rows += 1.0;
    }

    /// Adds what is believed of each weight; `priors` is `[k]`. The variance of a row around its
    /// prediction is taken to be the mean square of the rows so far.
    pub fn believe(&mut self, priors: &[Prior]) {
        let variance = self.yy / f64::max(self.n_rows, 1.0);
        for (i, prior) in priors.iter().enumerate() {
            let precision = variance / (prior.deviation * prior.deviation);
            self.xx[i * self.k + i] += precision;
            self.xy[i] += precision * prior.mean;
            self.yy += precision * prior.mean * prior.mean;
        }
    }

    /// The weights in `[0, ∞)` with the least squared error, and that error.
    ///
    /// Every subset of sources is solved without bounds; the best one whose weights are all
    /// positive is the answer. Meant for `k` of at most 6.
    pub fn solve(&self) -> (Vec<f64>, f64) {
        self.solve_among(usize::MAX)
    }

    /// The same, but only sources whose bit is set in `allowed` may have a weight.
    pub fn solve_among(&self, allowed: usize) -> (Vec<f64>, f64) {
        let mut best = (vec![0.0; self.k], self.yy);
        for subset in (1..1usize << self.k).filter(|subset| subset & allowed == *subset) {
            let members: Vec<usize> = (0..self.k).filter(|i| subset >> i & 1 == 1).collect();
            let Some(solution) = self.solve_subset(&members) else { continue };
            if solution.iter().any(|weight| *weight <= 0.0) {
                continue;
            }
            let mut weights = vec![0.0; self.k];
            for (member, weight) in members.iter().zip(solution) {
                weights[*member] = weight;
            }
            let error = self.error(&weights);
            if error < best.1 {
                best = (weights, error);
            }
        }
        best
    }

    /// The squared error of some weights.
    pub fn error(&self, weights: &[f64]) -> f64 {
        let k = self.k;
        let quadratic = |i: usize| {
            (0..k).map(|j| weights[i] * weights[j] * self.xx[i * k + j]).sum::<f64>()
                - 2.0 * weights[i] * self.xy[i]
        };
        self.yy + (0..k).map(quadratic).sum::<f64>()
    }

    /// Gaussian elimination; `None` if the sources are nearly dependent.
    fn solve_subset(&self, members: &[usize]) -> Option<Vec<f64>> {
        let n = members.len();
        let mut rows: Vec<Vec<f64>> = members
            .iter()
            .map(|i| {
                let left = members.iter().map(|j| self.xx[i * self.k + j]);
                left.chain([self.xy[*i]]).collect()
            })
            .collect();
        for at in 0..n {
            let scale = self.xx[members[at] * self.k + members[at]];
            if rows[at][at] <= 1e-9 * scale || scale <= 0.0 {
                return None;
            }
            for below in at + 1..n {
                let factor = rows[below][at] / rows[at][at];
                let (upper, lower) = rows.split_at_mut(below);
                for (to, from) in lower[0].iter_mut().zip(&upper[at]).skip(at) {
                    *to -= factor * from;
                }
            }
        }
        let mut solution = vec![0.0; n];
        for at in (0..n).rev() {
            let known: f64 = (at + 1..n).map(|j| rows[at][j] * solution[j]).sum();
            solution[at] = (rows[at][n] - known) / rows[at][at];
        }
        Some(solution)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(rows: &[([f64; 2], f64)]) -> Moments {
        let mut moments = Moments::new(2);
        rows.iter().for_each(|(x, y)| moments.add(x, *y));
        moments
    }

    #[test]
    fn weights_that_explain_everything_are_found() {
        let rows = [([1.0, 0.0], 2.0), ([0.0, 1.0], 3.0), ([1.0, 1.0], 5.0)];
        let (weights, error) = moments(&rows).solve();
        assert!((weights[0] - 2.0).abs() < 1e-9 && (weights[1] - 3.0).abs() < 1e-9, "{weights:?}");
        assert!(error.abs() < 1e-9);
    }

    #[test]
    fn a_source_that_would_count_negatively_is_left_out() {
        // Unbounded: 2·x₀ − 1·x₁; bounded: x₀ alone with Σxy/Σxx = (2 + 1) / 2.
        let rows = [([1.0, 0.0], 2.0), ([1.0, 1.0], 1.0)];
        let (weights, error) = moments(&rows).solve();
        assert_eq!(weights[1].to_bits(), 0);
        assert!((weights[0] - 1.5).abs() < 1e-12 && (error - 0.5).abs() < 1e-12, "{weights:?}");
    }

    #[test]
    fn only_allowed_sources_have_a_weight() {
        let rows = [([1.0, 0.0], 2.0), ([0.0, 1.0], 3.0)];
        assert_eq!(moments(&rows).solve_among(0b10).0, [0.0, 3.0]);
        assert_eq!(moments(&rows).solve_among(0).0, [0.0, 0.0]);
    }

    #[test]
    fn a_prior_counts_as_much_as_rows_of_its_precision() {
        // Four rows of x = 1, y = ±2 with mean 1: variance 4, so a deviation of 1 is four such rows.
        let rows = [2.0, 2.0, 2.0, -2.0].map(|y| ([1.0, 0.0], y));
        let mut moments = moments(&rows);
        moments.believe(&[Prior { mean: 0.5, deviation: 2.0 }, Prior::NONE]);
        // (Σxy + P·0.5) / (Σxx + P) with P = 4 / 4.
        assert!((moments.solve().0[0] - 4.5 / 5.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_that_helps_gives_nothing() {
        let (weights, error) = moments(&[([1.0, 2.0], -1.0)]).solve();
        assert_eq!(weights, [0.0, 0.0]);
        assert!((error - 1.0).abs() < 1e-12);
        assert_eq!(moments(&[([1.0, 1.0], 1.0)]).solve().0, [1.0, 0.0], "dependent sources");
    }
}
