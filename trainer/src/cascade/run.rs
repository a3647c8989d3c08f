//! From a run folder and its outcome table to `cascade.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use datasets::{Dataset, Folds, fold_of};
use rayon::prelude::*;
use router_core::cascade::{CASCADE_FORMAT_VERSION, CascadeFile, FoldCascade};
use router_core::{FoldKind, Outcome, OutcomeTable, RequestRow, Router, Scratch};

use super::{Played, Point, Recipe, fit};
use crate::operating::Target;

/// Requests below which nothing is fitted.
const MIN_REQUESTS: usize = 100;

/// What is asked of a cascade.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The point to choose.
    pub target: Target,
    /// Dollars that all calls of a request may cost together.
    pub max_cost: Option<f64>,
}

/// A fitted cascade.
#[derive(Debug)]
pub struct Fitted {
    /// What is written.
    pub file: CascadeFile,
    /// The point that was chosen for the cascade to serve, and whether it reaches the target.
    pub point: (Point, bool),
    /// Requests that every model answered.
    pub n_requests: usize,
}

/// Fits a cascade for the routers of a run folder.
///
/// # Errors
///
/// If the folder has no fold routers, the logs are no outcome table of all models of the router with
/// costs, or a number is out of range.
pub fn run(folder: &Path, logs: &[PathBuf], ask: Ask) -> Result<Fitted> {
    if let Some(cost) = ask.max_cost {
        ensure!(cost > 0.0 && cost.is_finite(), "--max-cost must be above 0, got {cost}");
    }
    let router = read(&folder.join("router.safetensors"))?;
    let folds = fold_routers(&folder.join("folds"))?;
    let Dataset::Table(table) = datasets::open(logs)?.data else {
        bail!("a cascade is fitted on an outcome table, where every model answered, got a log");
    };
    let rows = play(&table, &router, &folds)?;
    ensure!(
        rows.len() >= MIN_REQUESTS,
        "at least {MIN_REQUESTS} requests with a known quality and cost of every model are needed \
         to fit a cascade, got {}",
        rows.len()
    );
    let manifest = router.manifest();
    let reference = router.catalog().arm(manifest.provenance.reference.as_str());
    let recipe = Recipe {
        target: ask.target,
        reference_cost: manifest.objective.reference_cost,
        reference: reference.context("the reference of the router is not in its catalog")?,
        max_cost: ask.max_cost,
    };
    let everything: Vec<&Played> = rows.iter().collect();
    let (all, point, reached) = fit(&everything, router.catalog(), recipe);
    let of = |fold: &Router| {
        let cross_fit = fold.manifest().provenance.cross_fit?;
        let seen: Vec<&Played> = rows.iter().filter(|row| row.fold != cross_fit.held_out).collect();
        let reference_cost = fold.manifest().objective.reference_cost;
        let recipe = Recipe { reference_cost, ..recipe };
        let (cascade, _, _) = fit(&seen, router.catalog(), recipe);
        Some(FoldCascade { cross_fit, cascade })
    };
    let file = CascadeFile {
        format_version: CASCADE_FORMAT_VERSION,
        router: router.version().to_owned(),
        all,
        folds: folds.values().filter_map(of).collect(),
    };
    Ok(Fitted { file, point: (point, reached), n_requests: rows.len() })
}

/// In a few words.
pub fn summary(fitted: &Fitted, target: Target) -> String {
    let ((lambda, retention, cost), reached) = fitted.point;
    format!(
        "cascade for {target}: retention {retention:.3} at {cost:.3} of the reference model's cost, \
         second calls paid, on {} requests that it was fitted on{}; lambda {lambda:.4}, first call \
         at {} times that, margin {}",
        fitted.n_requests,
        if reached { "" } else { " (not reached)" },
        fitted.file.all.first_ratio,
        fitted.file.all.margin
    )
}

fn read(path: &Path) -> Result<Router> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Router::from_bytes(&bytes).with_context(|| format!("in {}", path.display()))
}

/// The fold routers, by held-out fold.
fn fold_routers(folder: &Path) -> Result<BTreeMap<i32, Router>> {
    let mut routers = BTreeMap::new();
    let entries = folder.read_dir().into_iter().flatten();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            let router = read(&path)?;
            let cut = router.manifest().provenance.cross_fit;
            let cut = cut.with_context(|| format!("{} is no fold router", path.display()))?;
            routers.insert(cut.held_out, router);
        }
    }
    ensure!(
        routers.len() >= 2,
        "at least 2 fold routers are needed in {}, got {}: fit the run with --cross-fit fold",
        folder.display(),
        routers.len()
    );
    Ok(routers)
}

/// Requests whose every answer has a known quality and cost, each predicted by its fold router.
fn play(
    table: &OutcomeTable,
    router: &Router,
    folds: &BTreeMap<i32, Router>,
) -> Result<Vec<Played>> {
    let column = |spec: &router_core::ModelSpec| {
        let found = table.models.binary_search(&spec.id);
        found.ok().with_context(|| format!("the logs have no answer of model {}", spec.id))
    };
    let columns: Vec<usize> =
        router.catalog().models().iter().map(column).collect::<Result<_>>()?;
    let cut = folds.values().next().and_then(|fold| fold.manifest().provenance.cross_fit);
    let cut = match cut.map(|cut| (cut.kind, cut.k)) {
        Some((FoldKind::Hash, k)) => Folds::Hash(k),
        Some((FoldKind::Fold, _)) | None => Folds::Column,
    };
    let known = |outcome: &Outcome| outcome.quality.is_some() && outcome.cost.is_some();
    let one = |scratch: &mut Scratch, (i, request): (usize, &RequestRow)| {
        let outcomes: Option<Vec<Outcome>> =
            columns.iter().map(|column| table.outcome(i, *column).copied().filter(known)).collect();
        let outcomes = outcomes?;
        let fold = fold_of(request, cut)?;
        let prediction = folds.get(&fold)?.predict(&request.view(), scratch);
        Some(Played { prediction, outcomes, fold })
    };
    let rows: Vec<Option<Played>> =
        table.requests.par_iter().enumerate().map_init(Scratch::default, one).collect();
    Ok(rows.into_iter().flatten().collect())
}
