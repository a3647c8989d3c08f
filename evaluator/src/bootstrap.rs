//! Bootstrap over groups: every request of a drawn group comes along with its multiplicity.

use rand::RngExt;
use rand_pcg::Pcg64;
use rayon::prelude::*;

use crate::metric::Missing;

/// Draws that are gathered in one pass over the data.
const BLOCK: usize = 16;

/// How often each group is drawn: `n_groups` draws with replacement. The same seed and number of
/// the draw give the same answer on any machine and any number of threads.
pub fn multiplicities(seed: u64, draw: usize, n_groups: usize) -> Vec<f64> {
    let mut rng = Pcg64::new(u128::from(seed), draw as u128);
    let mut times = vec![0.0; n_groups];
    for _ in 0..n_groups {
        times[rng.random_range(0..n_groups)] += 1.0;
    }
    times
}

/// Sums by group of many quantities: a draw is then one product with its multiplicities.
///
/// # Shapes
///
/// `[n_groups, n_columns]`, group-major.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sums {
    n_groups: usize,
    columns: Vec<Vec<f64>>,
}

/// A quantity of [`Sums`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column(usize);

impl Sums {
    /// Without quantities.
    pub fn new(n_groups: usize) -> Self {
        Self { n_groups, columns: Vec::new() }
    }

    /// Adds a quantity: its value for each request, summed within `group`.
    pub fn add(&mut self, group: &[usize], value: impl Fn(usize) -> f64) -> Column {
        let mut sums = vec![0.0; self.n_groups];
        for (request, group) in group.iter().enumerate() {
            sums[*group] += value(request);
        }
        self.columns.push(sums);
        Column(self.columns.len() - 1)
    }

    /// The quantities as one group-major matrix.
    pub fn freeze(self) -> Matrix {
        let width = self.columns.len();
        let mut cells = vec![0.0; self.n_groups * width];
        for (j, column) in self.columns.iter().enumerate() {
            for (group, value) in column.iter().enumerate() {
                cells[group * width + j] = *value;
            }
        }
        Matrix { n_groups: self.n_groups, width, cells }
    }
}

/// [`Sums`] in the order in which draws read them.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    n_groups: usize,
    width: usize,
    cells: Vec<f64>,
}

/// One sample of the groups: the data themselves, or a bootstrap draw.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// `[n_groups]`: how often each group occurs.
    pub times: Vec<f64>,
    totals: Vec<f64>,
}

impl Sample {
    /// The total of a quantity.
    pub fn total(&self, column: Column) -> f64 {
        self.totals[column.0]
    }
}

impl Matrix {
    /// The data as they are.
    pub fn whole(&self) -> Sample {
        self.gather(vec![vec![1.0; self.n_groups]]).remove(0)
    }

    /// Evaluates `figures` on `replicates` draws, in the order of the draws.
    pub fn replicate<F>(&self, seed: u64, replicates: usize, figures: F) -> Vec<Vec<Option<f64>>>
    where
        F: Fn(&Sample) -> Vec<Option<f64>> + Sync,
    {
        let blocks = (0..replicates.div_ceil(BLOCK)).into_par_iter();
        let gathered: Vec<Vec<Vec<Option<f64>>>> = blocks
            .map(|block| {
                let draws = block * BLOCK..((block + 1) * BLOCK).min(replicates);
                let times = draws.map(|draw| multiplicities(seed, draw, self.n_groups)).collect();
                self.gather(times).iter().map(&figures).collect()
            })
            .collect();
        gathered.into_iter().flatten().collect()
    }

    fn gather(&self, draws: Vec<Vec<f64>>) -> Vec<Sample> {
        let mut totals = vec![vec![0.0; self.width]; draws.len()];
        for (group, row) in self.cells.chunks_exact(self.width.max(1)).enumerate() {
            for (times, totals) in draws.iter().zip(&mut totals) {
                let times = times[group];
                if times > 0.0 {
                    for (total, value) in totals.iter_mut().zip(row) {
                        *total += times * value;
                    }
                }
            }
        }
        draws.into_iter().zip(totals).map(|(times, totals)| Sample { times, totals }).collect()
    }
}

/// A 95 % percentile interval. An end that more than 2.5 % of draws do not reach is open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The figure on the data themselves.
    pub value: f64,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

/// The interval of a figure from its draws. `None` if it is undefined on the data themselves.
pub fn interval(
    value: Option<f64>,
    draws: impl Iterator<Item = Option<f64>>,
    missing: Missing,
) -> Option<Interval> {
    let value = value?;
    let mut sorted: Vec<f64> = draws
        .filter_map(|draw| match missing {
            Missing::Above => Some(draw.unwrap_or(f64::INFINITY)),
            Missing::Below => Some(draw.unwrap_or(f64::NEG_INFINITY)),
            Missing::Nothing => draw,
        })
        .collect();
    sorted.sort_by(f64::total_cmp);
    let end = |share: f64| percentile(&sorted, share).filter(|end| end.is_finite());
    Some(Interval { value, low: end(0.025), high: end(0.975) })
}

/// The value at `share` of sorted values, interpolated; the infinite neighbour if one is.
fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let position = share * sorted.len().checked_sub(1)? as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let below = position.floor() as usize;
    let (low, high) = (sorted[below], sorted[(below + 1).min(sorted.len() - 1)]);
    let rest = position - below as f64;
    if rest <= 0.0 || low.total_cmp(&high).is_eq() {
        return Some(low);
    }
    Some(low + rest * (high - low))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_interval(values: &[f64], group: &[usize], n_groups: usize) -> Interval {
        let mut sums = Sums::new(n_groups);
        let value = sums.add(group, |i| values[i]);
        let count = sums.add(group, |_| 1.0);
        let matrix = sums.freeze();
        let mean = |sample: &Sample| vec![Some(sample.total(value) / sample.total(count))];
        let draws = matrix.replicate(7, 1000, mean);
        let point = mean(&matrix.whole())[0];
        interval(point, draws.iter().map(|draw| draw[0]), Missing::Nothing).unwrap()
    }

    #[test]
    fn the_interval_of_a_mean_is_two_standard_errors() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 2)).collect();
        let group: Vec<usize> = (0..400).collect();
        let interval = mean_interval(&values, &group, 400);
        // σ/√n = 0.5/20 = 0.025; the ends of 1,000 draws vary by about 4 % of the width.
        assert!((interval.value - 0.5).abs() < 1e-12);
        assert!((interval.low.unwrap() - (0.5 - 1.96 * 0.025)).abs() < 0.01, "{interval:?}");
        assert!((interval.high.unwrap() - (0.5 + 1.96 * 0.025)).abs() < 0.01, "{interval:?}");
    }

    #[test]
    fn repeating_every_request_within_its_group_adds_no_certainty() {
        let values: Vec<f64> = (0..100).map(|i| f64::from(i % 3)).collect();
        let group: Vec<usize> = (0..100).collect();
        let once = mean_interval(&values, &group, 100);
        let twice = mean_interval(&[values.clone(), values].concat(), &group.repeat(2), 100);
        assert!((once.low.unwrap() - twice.low.unwrap()).abs() < 1e-12);
        assert!((once.high.unwrap() - twice.high.unwrap()).abs() < 1e-12);
    }

    #[test]
    fn a_level_that_too_many_draws_miss_has_an_open_end() {
        let draws =
            |n_missed: usize| (0..1000).map(move |i| if i < n_missed { None } else { Some(0.5) });
        let of = |n: usize| interval(Some(0.5), draws(n), Missing::Above).unwrap();
        assert_eq!(of(10).high, Some(0.5));
        assert_eq!((of(30).low, of(30).high), (Some(0.5), None));
        let below = interval(Some(0.5), draws(30), Missing::Below).unwrap();
        assert_eq!((below.low, below.high), (None, Some(0.5)));
        assert_eq!(interval(None, draws(0), Missing::Above), None);
    }

    #[test]
    fn a_draw_depends_on_its_seed_and_number_only() {
        let draw = multiplicities(1, 5, 50);
        assert_eq!(draw, multiplicities(1, 5, 50));
        assert_ne!(draw, multiplicities(1, 6, 50));
        assert!((draw.iter().sum::<f64>() - 50.0).abs() < 1e-12);
    }
}
