//! Which requests a policy may be fitted on before it is judged on which others.

use std::collections::HashSet;

use datasets::{Folds, fold_of};

use crate::panel::Panel;

/// Requests that are judged by what was learned on `fit`.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Rows of the fitting panel.
    pub fit: Vec<usize>,
    /// Rows of the judged panel.
    pub judge: Vec<usize>,
}

/// How the judged requests are covered: each exactly once.
#[derive(Clone, Debug)]
pub struct Splits<'a> {
    /// Where `fit` rows are.
    pub source: &'a Panel,
    /// The parts.
    pub parts: Vec<Split>,
    /// How reports describe it.
    pub description: String,
}

/// The folds of a panel: as asked, else the column if every request has one, else five by hash.
/// Five by hash, too, where all requests would be in one fold: nothing could be learned on others.
pub fn folds_of(panel: &Panel, asked: Option<Folds>) -> Folds {
    let has_all = panel.requests.iter().all(|request| request.fold.is_some());
    let folds = asked.unwrap_or(if has_all { Folds::Column } else { Folds::Hash(5) });
    let names = assign(panel, folds);
    if names.iter().all(|name| Some(name) == names.first()) { Folds::Hash(5) } else { folds }
}

/// The fold of every request; a request without one is put by the hash of its group.
pub fn assign(panel: &Panel, folds: Folds) -> Vec<i32> {
    let fold = |request| fold_of(request, folds).or_else(|| fold_of(request, Folds::Hash(5)));
    panel.requests.iter().map(|request| fold(request).unwrap_or_default()).collect()
}

impl<'a> Splits<'a> {
    /// Each fold is judged by what was learned on the others.
    pub fn crossed(panel: &'a Panel, folds: Folds) -> Self {
        let fold = assign(panel, folds);
        let mut names = fold.clone();
        names.sort_unstable();
        names.dedup();
        let rows = |test: &dyn Fn(i32) -> bool| {
            (0..panel.n()).filter(|row| test(fold[*row])).collect::<Vec<_>>()
        };
        let part = |k: i32| {
            let judge = rows(&|f| f == k);
            // Folds by label may divide a group.
            let group = |row: &usize| panel.requests[*row].group.as_str();
            let judged: HashSet<&str> = judge.iter().map(group).collect();
            let mut fit = rows(&|f| f != k);
            fit.retain(|row| !judged.contains(group(row)));
            Split { fit, judge }
        };
        let description =
            format!("{} folds by {folds}: each is judged by what the others taught", names.len());
        Self { source: panel, parts: names.into_iter().map(part).collect(), description }
    }

    /// All requests are judged by what was learned on another panel.
    pub fn apart(fitted: &'a Panel, judged: &Panel) -> Self {
        let split = Split { fit: (0..fitted.n()).collect(), judge: (0..judged.n()).collect() };
        let description = format!("fitted on {} other requests", fitted.n());
        Self { source: fitted, parts: vec![split], description }
    }
}

/// The model of highest mean quality, ties to the lower cost, then to the first name.
pub fn best_single(means: &[(f64, f64)]) -> usize {
    let by = |a: &usize, b: &usize| {
        means[*b].0.total_cmp(&means[*a].0).then(means[*a].1.total_cmp(&means[*b].1))
    };
    (0..means.len()).min_by(by).unwrap_or(0)
}

/// The model of lowest mean cost, ties to the higher quality, then to the first name.
pub fn cheapest_single(means: &[(f64, f64)]) -> usize {
    let by = |a: &usize, b: &usize| {
        means[*a].1.total_cmp(&means[*b].1).then(means[*b].0.total_cmp(&means[*a].0))
    };
    (0..means.len()).min_by(by).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::panel;

    #[test]
    fn a_column_of_one_fold_divides_nothing_so_the_hash_does() {
        let mut panel = panel(&[&[0.0, 1.0] as &[f64]; 40], &[1.0, 2.0]);
        assert_eq!(folds_of(&panel, None), Folds::Column);
        for request in &mut panel.requests {
            request.fold = Some(3);
        }
        for asked in [None, Some(Folds::Column)] {
            let splits = Splits::crossed(&panel, folds_of(&panel, asked));
            assert!(splits.parts.len() > 1);
            assert!(splits.parts.iter().all(|part| !part.fit.is_empty()));
        }
    }
}
