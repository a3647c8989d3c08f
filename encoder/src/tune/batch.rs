//! What is to be learned of a batch, and which texts make one.

use rand::seq::SliceRandom;
use rand_pcg::Pcg64;

use super::Example;

/// Batches among which texts are sorted by length, so that a batch needs little padding.
const SORTED_BATCHES: usize = 8;

/// Targets of some texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Targets {
    pub(super) n: usize,
    pub(super) n_classes: usize,
    /// `[n * n_classes]`: the weight of a text at its class.
    pub(super) classes: Vec<f32>,
    /// `[n]`: the weight of a text whose complexity is known.
    pub(super) known: Vec<f32>,
    /// `[n]`: weight times complexity.
    pub(super) complexities: Vec<f32>,
}

impl Targets {
    pub(super) fn new(examples: &[Example<'_>], n_classes: usize) -> Self {
        let mut targets = Self { n: examples.len(), n_classes, ..Self::default() };
        for example in examples {
            let start = targets.classes.len();
            targets.classes.resize(start + n_classes, 0.0);
            if let Some(class) = example.class {
                targets.classes[start + class] = example.weight;
            }
            let complexity = example.complexity.map(|share| (example.weight, share));
            let (known, share) = complexity.unwrap_or((0.0, 0.0));
            targets.known.push(known);
            targets.complexities.push(known * share);
        }
        targets
    }

    pub(super) fn select(&self, rows: &[usize]) -> Self {
        let n = self.n_classes;
        Self {
            n: rows.len(),
            n_classes: n,
            classes: rows.iter().flat_map(|row| &self.classes[row * n..][..n]).copied().collect(),
            known: rows.iter().map(|row| self.known[*row]).collect(),
            complexities: rows.iter().map(|row| self.complexities[*row]).collect(),
        }
    }

    /// Sum of the weights of everything that is known.
    pub(super) fn total(&self) -> f64 {
        let all = self.classes.iter().chain(&self.known);
        all.map(|weight| f64::from(*weight)).sum::<f64>().max(f64::MIN_POSITIVE)
    }
}

/// All rows once, in batches of like length, in random order.
pub(super) fn batches(lengths: &[usize], n: usize, rng: &mut Pcg64) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.shuffle(rng);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for part in order.chunks_mut(n * SORTED_BATCHES) {
        part.sort_by_key(|row| lengths[*row]);
        batches.extend(part.chunks(n).map(<[usize]>::to_vec));
    }
    batches.shuffle(rng);
    batches
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn batches_hold_every_row_once_and_like_lengths() {
        let lengths: Vec<usize> = (0..1000).map(|row| 3 + row * 7 % 100).collect();
        let batches = batches(&lengths, 16, &mut Pcg64::seed_from_u64(1));
        let mut rows = batches.concat();
        rows.sort_unstable();
        assert!(rows.into_iter().eq(0..1000));
        let spread = |batch: &Vec<usize>| {
            let of = || batch.iter().map(|row| lengths[*row]);
            of().max().unwrap() - of().min().unwrap()
        };
        let mean = batches.iter().map(spread).sum::<usize>() / batches.len();
        assert!(mean < 25, "of 100: {mean}");
    }

    #[test]
    fn targets_weigh_what_is_known() {
        let known = |class, complexity, weight| Example { text: "", class, complexity, weight };
        let examples = [known(Some(1), None, 2.0), known(None, Some(0.25), 4.0)];
        let targets = Targets::new(&examples, 3);
        assert_eq!(targets.classes, [0.0, 2.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(
            (targets.known.clone(), targets.complexities.clone()),
            (vec![0.0, 4.0], vec![0.0, 1.0])
        );
        assert!((targets.total() - 6.0).abs() < 1e-12);
        assert_eq!(targets.select(&[1]).known, [4.0]);
    }
}
