//! Mean quality per label, shrunk to the global mean. The label is given: a live router must
//! infer it.

use std::collections::BTreeMap;

use crate::baseline::expected;
use crate::panel::Panel;
use crate::split::{Split, Splits};
use crate::sweep::Expected;

/// How many requests the global mean counts for.
const SHRINKAGE: f64 = 5.0;

/// `(sum + 5·mean)/(n + 5)` per label and model; an unseen label has the global mean. `fitted` and
/// `judged` are the labels of the requests of either panel.
pub fn lookup<L: AsRef<str>>(
    panel: &Panel,
    splits: &Splits<'_>,
    fitted: &[L],
    judged: &[L],
) -> Expected {
    let table = |part: &Split, means: &[(f64, f64)]| {
        let mut sums: BTreeMap<&str, (f64, Vec<f64>)> = BTreeMap::new();
        for &row in &part.fit {
            let (n, sum) =
                sums.entry(fitted[row].as_ref()).or_insert_with(|| (0.0, vec![0.0; means.len()]));
            *n += 1.0;
            for (j, sum) in sum.iter_mut().enumerate() {
                *sum += splits.source.q(row, j);
            }
        }
        let shrunk = |row: &usize| {
            let seen = sums.get(judged[*row].as_ref());
            let model = |(j, mean): (usize, &(f64, f64))| match seen {
                None => mean.0,
                Some((n, sum)) => (sum[j] + SHRINKAGE * mean.0) / (n + SHRINKAGE),
            };
            means.iter().enumerate().map(model).collect()
        };
        part.judge.iter().map(shrunk).collect()
    };
    expected(panel, splits, table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::panel;

    #[test]
    fn a_label_is_shrunk_and_an_unseen_one_has_the_global_mean() {
        let fitted = panel(&[&[1.0, 0.0], &[1.0, 0.0], &[0.0, 1.0], &[0.0, 0.0]], &[1.0, 2.0]);
        let judged = panel(&[&[0.0, 0.0], &[0.0, 0.0]], &[1.0, 2.0]);
        let splits = Splits::apart(&fitted, &judged);
        let expected = lookup(&judged, &splits, &["a", "a", "b", "b"], &["a", "new"]);
        // Global means 0.5 and 0.25; label a: (2 + 2.5)/7 and (0 + 1.25)/7.
        for (found, right) in expected.score.iter().zip([4.5 / 7.0, 1.25 / 7.0, 0.5, 0.25]) {
            assert!((found - right).abs() < 1e-12);
        }
        // The best single model costs 1.
        assert_eq!(expected.cost, [1.0, 2.0, 1.0, 2.0]);
    }
}
