//! Whether predicted qualities mean what they say: `spec/routing.md`, section 4.

/// Bins of equal count.
pub const N_BINS: usize = 15;

/// Predictions of one model in the order of (prediction, request id), with what happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Sorted {
    requests: Vec<usize>,
    predicted: Vec<f64>,
    observed: Vec<f64>,
}

/// One bin of a reliability diagram.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// Requests in it, with multiplicity.
    pub n: f64,
    /// Mean prediction.
    pub predicted: f64,
    /// Mean observation.
    pub observed: f64,
}

impl Sorted {
    /// Sorts; `ids` break ties.
    pub fn new(predicted: &[f64], observed: &[f64], ids: &[&str]) -> Self {
        let mut requests: Vec<usize> = (0..predicted.len()).collect();
        requests.sort_by(|a, b| predicted[*a].total_cmp(&predicted[*b]).then(ids[*a].cmp(ids[*b])));
        Self {
            predicted: requests.iter().map(|i| predicted[*i]).collect(),
            observed: requests.iter().map(|i| observed[*i]).collect(),
            requests,
        }
    }

    /// Contiguous bins whose sizes differ by at most one, larger first. `copies` is how often each
    /// request counts: a whole number.
    pub fn bins(&self, n_bins: usize, copies: impl Fn(usize) -> f64) -> Vec<Bin> {
        let total: f64 = self.requests.iter().map(|request| copies(*request)).sum();
        let base = (total / n_bins as f64).floor();
        let larger = total - base * n_bins as f64;
        let room = |bin: usize| if (bin as f64) < larger { base + 1.0 } else { base };
        let mut bins = vec![Bin::default(); n_bins];
        let mut bin = 0;
        for (i, request) in self.requests.iter().enumerate() {
            let mut left = copies(*request);
            while left > 0.0 {
                while bin + 1 < n_bins && bins[bin].n >= room(bin) {
                    bin += 1;
                }
                let free = if bin + 1 < n_bins { room(bin) - bins[bin].n } else { left };
                let take = left.min(free);
                bins[bin].n += take;
                bins[bin].predicted += take * self.predicted[i];
                bins[bin].observed += take * self.observed[i];
                left -= take;
            }
        }
        bins.retain(|bin| bin.n > 0.0);
        for bin in &mut bins {
            bin.predicted /= bin.n;
            bin.observed /= bin.n;
        }
        bins
    }

    /// Expected calibration error: `Σ_b (n_b/N) · |mean prediction − mean quality|`.
    pub fn ece(&self, n_bins: usize, copies: impl Fn(usize) -> f64) -> f64 {
        let bins = self.bins(n_bins, copies);
        let total: f64 = bins.iter().map(|bin| bin.n).sum();
        bins.iter().map(|bin| bin.n / total * (bin.predicted - bin.observed).abs()).sum()
    }

    /// The ECE to expect of perfect predictions with as many requests of the same spread:
    /// `Σ_b (n_b/N) · √(2 s_b² / (π n_b))`, where `s_b²` is the variance of what was observed in a
    /// bin. An error of this size says nothing against the predictions.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a bin holds a whole, small number of requests"
    )]
    pub fn ece_floor(&self, n_bins: usize) -> f64 {
        let bins = self.bins(n_bins, |_| 1.0);
        let mut at = 0;
        let mut floor = 0.0;
        for bin in &bins {
            // Whole requests, so the number is exact.
            let end = self.observed.len().min(at + bin.n.round() as usize);
            let squares = self.observed[at..end].iter().map(|y| (y - bin.observed).powi(2));
            floor += (2.0 * squares.sum::<f64>() / std::f64::consts::PI).sqrt();
            at = end;
        }
        floor / self.observed.len().max(1) as f64
    }
}

/// `(prediction − quality)²`, whose mean is the Brier score.
pub fn squared_error(predicted: f64, quality: f64) -> f64 {
    (predicted - quality).powi(2)
}

/// `−ln` of the probability given to what happened, predictions clipped to `[1e-6, 1 − 1e-6]`.
/// For binary quality only.
pub fn log_loss(predicted: f64, quality: f64) -> f64 {
    let p = predicted.clamp(1e-6, 1.0 - 1e-6);
    -(quality * p.ln() + (1.0 - quality) * (1.0 - p).ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_example_of_calibration() {
        let (predicted, observed) = ([0.7, 0.1, 0.9, 0.3], [1.0, 0.0, 1.0, 1.0]);
        let sorted = Sorted::new(&predicted, &observed, &["c", "a", "d", "b"]);
        assert!((sorted.ece(2, |_| 1.0) - 0.25).abs() < 1e-12);
        let brier: f64 =
            predicted.iter().zip(observed).map(|(p, q)| squared_error(*p, q)).sum::<f64>() / 4.0;
        assert!((brier - 0.15).abs() < 1e-12);
    }

    #[test]
    fn bins_differ_by_at_most_one_and_the_larger_come_first() {
        let values: Vec<f64> = (0..17).map(f64::from).collect();
        let ids = vec![""; 17];
        let bins = Sorted::new(&values, &values, &ids).bins(5, |_| 1.0);
        let sizes: Vec<f64> = bins.iter().map(|bin| bin.n).collect();
        assert_eq!(sizes, [4.0, 4.0, 3.0, 3.0, 3.0]);
    }

    #[test]
    fn perfect_predictions_have_the_error_of_their_floor() {
        // 3,000 coins that fall as predicted, by a fixed sequence of uniform numbers.
        let n = 3000;
        let uniform = |i: usize| (i as f64 * 0.618_033_988_749_895).fract();
        let noise = |i: usize| ((i * i) as f64 * 0.414_213_562_373_095_1 + 0.3).fract();
        let predicted: Vec<f64> = (0..n).map(|i| 0.2 + 0.6 * uniform(i)).collect();
        let observed: Vec<f64> =
            (0..n).map(|i| f64::from(u8::from(noise(i) < predicted[i]))).collect();
        let ids = vec![""; n];
        let sorted = Sorted::new(&predicted, &observed, &ids);
        let (ece, floor) = (sorted.ece(15, |_| 1.0), sorted.ece_floor(15));
        // √(2/π · 0.22 / 200) = 0.026; the mean of 15 absolute errors is within half of it.
        assert!((floor - 0.026).abs() < 0.003, "{floor}");
        assert!((ece / floor - 1.0).abs() < 0.5, "{ece} {floor}");
        assert!(Sorted::new(&[0.5; 4], &[1.0; 4], &[""; 4]).ece_floor(2).abs() < 1e-12);
    }

    #[test]
    fn a_copy_counts_like_a_request() {
        let doubled = Sorted::new(&[0.1, 0.1, 0.8], &[0.0, 0.0, 1.0], &["a", "b", "c"]);
        let single = Sorted::new(&[0.1, 0.8], &[0.0, 1.0], &["a", "c"]);
        let copies = single.ece(2, |request| if request == 0 { 2.0 } else { 1.0 });
        assert!((copies - doubled.ece(2, |_| 1.0)).abs() < 1e-12);
        assert!((log_loss(1.0, 0.0) - -(1e-6f64.ln())).abs() < 1e-6);
    }
}
