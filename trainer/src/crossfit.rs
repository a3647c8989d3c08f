//! Nested cross-fitting: everything that is chosen for a router is chosen on rows that neither its
//! fits nor its test fold contain.
//!
//! For test fold `k`, the rows of every other fold `v` are predicted by a fit without `k` and `v`.
//! A fit without `{k, v}` serves both, so five folds need ten such pairs, five single fits and the
//! final one.

use std::collections::BTreeMap;

use datasets::{Folds, Label};
use router_core::{CrossFit, FoldKind};

use crate::build::{Built, Recipe, build};
use crate::heads::Heads;
use crate::parts::{FitParams, fit};
use crate::problem::Problem;
use crate::stack::HeldOut;

/// A router for all rows, and those for the folds.
#[derive(Debug)]
pub struct CrossFitted {
    /// Fitted on all rows.
    pub all: Built,
    /// Fitted without a fold each; empty without cross-fitting.
    pub folds: Vec<(i32, Built)>,
}

/// How the rows were cut, as a fold router says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// By what.
    pub kind: FoldKind,
    /// Into how many folds.
    pub k: u32,
    /// Of the hash; 0 for none.
    pub seed: u64,
}

impl Cut {
    /// Of `n_folds` folds.
    pub fn new(folds: Folds, n_folds: usize) -> Self {
        let (kind, k, seed) = match folds {
            Folds::Column => (FoldKind::Fold, u32::try_from(n_folds).unwrap_or(u32::MAX), 0),
            Folds::Hash(k) => (FoldKind::Hash, k, 0),
            Folds::Seeded(k, seed) => (FoldKind::Hash, k, seed),
            Folds::Label(Label::Task, k) => (FoldKind::Task, k, 0),
            Folds::Label(Label::Domain, k) => (FoldKind::Domain, k, 0),
        };
        Self { kind, k, seed }
    }
}

/// How many fits [`cross_fit`] will make.
pub fn n_fits(n_folds: usize, is_nested: bool) -> usize {
    let pairs = if is_nested { n_folds * (n_folds - 1) / 2 } else { 0 };
    pairs + n_folds + 1
}

/// The fewest judged requests that are left to fit on when one fold, or two where fits are nested,
/// are held out, with these folds: groups that reach into them are left out too.
pub fn fewest_rows(problem: &Problem, is_nested: bool) -> (usize, Vec<i32>) {
    let folds = problem.folds();
    let pairs = folds.iter().enumerate().flat_map(|(i, a)| {
        let others = if is_nested { &folds[i + 1..] } else { &folds[..0] };
        std::iter::once(vec![*a]).chain(others.iter().map(move |b| vec![*a, *b]))
    });
    let n_left = |held: &Vec<i32>| {
        let is_left = |row: &usize| {
            held.iter().all(|fold| !problem.touches(*row, *fold))
                && (0..problem.n_models()).any(|m| problem.cell(*row, m).quality.is_some())
        };
        (0..problem.n_requests()).filter(is_left).count()
    };
    pairs.map(|held| (n_left(&held), held)).min().unwrap_or_default()
}

/// Fits the final router and, if `nested` says how the rows were cut, one per fold.
///
/// `done` is called after each fit.
pub fn cross_fit(
    problem: &Problem,
    params: &FitParams,
    recipe: &Recipe,
    nested: Option<Cut>,
    done: &dyn Fn(),
) -> CrossFitted {
    let folds = problem.folds();
    let of = |fold: i32| -> Vec<usize> {
        (0..problem.n_requests()).filter(|row| problem.fold[*row] == fold).collect()
    };
    let without = |folds: &[i32]| -> Vec<usize> {
        let is_seen = |row: &usize| folds.iter().all(|fold| !problem.touches(*row, *fold));
        (0..problem.n_requests()).filter(is_seen).collect()
    };
    let fit_rows = |seen: &[usize]| -> Heads {
        let heads = fit(problem, seen, params);
        done();
        heads
    };
    // (test fold, validation fold) → predictions of the validation fold.
    let mut inner: BTreeMap<(i32, i32), HeldOut> = BTreeMap::new();
    if nested.is_some() {
        for (i, &a) in folds.iter().enumerate() {
            for &b in &folds[i + 1..] {
                let seen = without(&[a, b]);
                let heads = fit_rows(&seen);
                for (test, validation) in [(a, b), (b, a)] {
                    let mut rows = of(validation);
                    // Nothing is chosen on the group of a test row either.
                    rows.retain(|row| !problem.touches(*row, test));
                    let held = HeldOut::new(problem, &heads, rows);
                    inner.insert((test, validation), held);
                }
            }
        }
    }
    let mut outer = Vec::new();
    let mut routers = Vec::new();
    for &fold in &folds {
        let seen = without(&[fold]);
        let heads = fit_rows(&seen);
        outer.push(HeldOut::new(problem, &heads, of(fold)));
        if let Some(Cut { kind, k, seed }) = nested {
            let validation = folds.iter().filter(|v| **v != fold);
            let held: Vec<HeldOut> = validation.filter_map(|v| inner.remove(&(fold, *v))).collect();
            let cut = Some(CrossFit { kind, k, seed, held_out: fold });
            routers.push((fold, build(problem, &heads, &seen, &held, recipe, cut)));
        }
    }
    let seen = without(&[]);
    let heads = fit_rows(&seen);
    let all = build(problem, &heads, &seen, &outer, recipe, None);
    CrossFitted { all, folds: routers }
}
