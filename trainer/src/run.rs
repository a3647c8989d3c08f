//! From files to a run folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use datasets::{Dataset, DatasetError, Folds, Opened, divided_group};
use router_core::{DataSource, RequestRow, TaskPart, Weights, artifact};
use serde::Serialize;

use crate::auto::Candidate;
use crate::bag::curve::{self, Curve};
use crate::build::{Built, Recipe};
use crate::config::{Assume, Config};
use crate::costs::mix::CostMix;
use crate::crossfit::{CrossFitted, Cut, cross_fit, fewest_rows, n_fits};
use crate::partial::{self, Partial};
use crate::problem::Problem;
use crate::propensity::{fit_choices, is_choices};
use crate::stack::Stack;

/// More folds take as many fits as half their square.
const MAX_FOLDS: usize = 20;

/// Judged requests without which a fit says nothing.
const MIN_ROWS: usize = 5;

/// The bytes of the fitted routers, and what to say of them.
#[derive(Debug)]
pub struct Fitted {
    /// The router for all rows.
    pub all: Vec<u8>,
    /// One router per held-out fold.
    pub folds: Vec<(i32, Vec<u8>)>,
    /// Figures on held-out rows.
    pub metrics: Metrics,
    /// Learning curves of the embedding bag; empty without one.
    pub curves: Vec<Curve>,
}

impl Fitted {
    /// Lets all routers carry a task classifier.
    ///
    /// # Errors
    ///
    /// If the part cannot be put into the bytes of a router.
    pub fn carry(&mut self, part: &TaskPart) -> Result<()> {
        for bytes in self.folds.iter_mut().map(|(_, bytes)| bytes).chain([&mut self.all]) {
            *bytes = part.carried_by(bytes)?;
        }
        Ok(())
    }
}

/// `metrics.json`.
#[derive(Debug, Serialize)]
pub struct Metrics {
    /// Number of requests.
    pub n_requests: usize,
    /// Whether this is the negative control.
    pub shuffle_labels: bool,
    /// The models.
    pub models: Vec<String>,
    /// The model that retention refers to.
    pub reference: String,
    /// What a log was taken for; absent for an outcome table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial: Option<Partial>,
    /// Held-out figures of the router for all rows.
    pub held_out: BTreeMap<String, Metric>,
    /// Chosen on held-out rows.
    pub operating_points: Vec<router_core::OperatingPoint>,
    /// What was chosen for the router for all rows.
    pub stack: Stack,
    /// The predictors that the router for all rows was chosen from, by utility on held-out rows.
    pub candidates: Vec<Candidate>,
    /// Per model, how the embedding bag is mixed into its cost; `None` where it is not.
    pub costs: Vec<Option<CostMix>>,
    /// Share of the nearest neighbors that the search finds; absent without neighbors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub neighbors_recall: Option<f64>,
    /// The penalties that `stack` indexes.
    pub penalties: Vec<f64>,
    /// Calibration maps per model, as `(score, expectation)` knots.
    pub reliability: BTreeMap<String, router_core::Calibration>,
}

/// A figure that needs no code to be interpreted.
#[derive(Debug, Serialize)]
pub struct Metric {
    /// Its value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// Which way is better; `None` where neither is.
    pub higher_is_better: Option<bool>,
}

/// Progress of a fit: `(done, total)`.
pub type Progress<'a> = &'a dyn Fn(usize, usize);

/// Opens the data of a fit.
///
/// # Errors
///
/// If they cannot be read, or are a log without propensities and the configuration assumes none.
pub fn open(paths: &[PathBuf], config: &Config) -> Result<Opened> {
    if config.assume_propensities.is_some() {
        return Ok(datasets::open_choices(paths)?);
    }
    datasets::open(paths).map_err(|error| {
        if !matches!(error, DatasetError::Neither(_)) {
            return error.into();
        }
        anyhow!(
            "{error}; --assume-propensities fitted estimates them from the shares of models among \
             similar requests, and marks the router"
        )
    })
}

/// Fits routers on opened data.
///
/// # Errors
///
/// If the data cannot support the fit, or the configuration names a model that they lack.
pub fn fit(opened: Opened, config: &Config, progress: Progress<'_>) -> Result<Fitted> {
    let wanted = config.folds()?;
    let (data, is_fitted) = with_propensities(opened.data, config, wanted);
    let data = select(data, config)?;
    let requests = requests(&data);
    let folds = wanted.unwrap_or_else(|| default_folds(&requests));
    check_groups(&requests, folds)?;
    let mut problem = Problem::new(&data, folds)?;
    problem.learn = config.learn;
    let partial = match &data {
        Dataset::Log(log) => Some(partial::prepare(&mut problem, log, is_fitted)),
        Dataset::Table(_) => None,
    };
    drop(data);
    if config.shuffle_labels {
        problem.shuffle(config.seed);
    }
    problem.reference =
        config.reference.as_deref().map(|name| model_named(&problem, name)).transpose()?;
    config.policy.check(&problem)?;
    let source =
        |s: datasets::Source| DataSource { name: s.name, sha256: s.sha256, n_rows: s.n_rows };
    let recipe = Recipe {
        data: opened.sources.into_iter().map(source).collect(),
        config: recorded(config, partial.as_ref())?,
        seed: config.seed,
        target: config.target()?,
        exploration: config.exploration,
        predictor: config.predictor()?,
        policy: config.policy.clone(),
        uncertainty_weight: config.uncertainty_weight,
    };
    let n_folds = problem.folds().len();
    let nested = wanted.map(|folds| Cut::new(folds, n_folds));
    if nested.is_some() {
        ensure!(
            (3..=MAX_FOLDS).contains(&n_folds),
            "3 to {MAX_FOLDS} folds are needed to cross-fit, got {n_folds}; task/5 or domain/5 \
             deals whole labels into five"
        );
    }
    let (n_left, held) = fewest_rows(&problem, nested.is_some());
    ensure!(
        n_left >= MIN_ROWS,
        "at least {MIN_ROWS} judged requests are needed outside folds {held:?} and their groups, \
         got {n_left}"
    );
    let total = n_fits(n_folds, nested.is_some());
    let done = std::cell::Cell::new(0);
    let tick = || {
        done.set(done.get() + 1);
        progress(done.get(), total);
    };
    let fitted = cross_fit(&problem, &config.fit_params(), &recipe, nested, &tick);
    let metrics = Metrics { partial, ..metrics(&problem, &fitted.all, config) };
    let curves = curves(&fitted);
    let folds = fitted.folds.into_iter().map(|(fold, built)| Ok((fold, bytes(built)?)));
    Ok(Fitted { folds: folds.collect::<Result<_>>()?, all: bytes(fitted.all)?, metrics, curves })
}

/// Writes `router.safetensors`, `folds/fold-K.safetensors`, `config.toml` and `metrics.json`, and
/// with an embedding bag `bag-curve.csv` and `bag-curve.svg`.
///
/// # Errors
///
/// If a file cannot be written.
pub fn write(out: &Path, fitted: &Fitted, config: &Config) -> Result<()> {
    let folds = out.join("folds");
    clear(&folds).with_context(|| format!("cannot clear {}", folds.display()))?;
    let write = |path: &Path, bytes: &[u8]| {
        let parent = path.parent().unwrap_or(out);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(path, bytes))
            .with_context(|| format!("cannot write {}", path.display()))
    };
    write(&out.join("config.toml"), toml::to_string_pretty(config)?.as_bytes())?;
    write(&out.join("router.safetensors"), &fitted.all)?;
    for (fold, bytes) in &fitted.folds {
        write(&folds.join(format!("fold-{fold}.safetensors")), bytes)?;
    }
    if !fitted.curves.is_empty() {
        write(&out.join("bag-curve.csv"), curve::csv(&fitted.curves).as_bytes())?;
        write(&out.join("bag-curve.svg"), curve::svg(&fitted.curves)?.as_bytes())?;
    }
    let mut json = serde_json::to_string_pretty(&fitted.metrics)?;
    json.push('\n');
    write(&out.join("metrics.json"), json.as_bytes())
}

fn curves(fitted: &CrossFitted) -> Vec<Curve> {
    let folds = fitted.folds.iter().map(|(fold, built)| (format!("fold-{fold}"), built));
    let routers = std::iter::once(("all".to_owned(), &fitted.all)).chain(folds);
    let of = |(router, built): (String, &Built)| -> Vec<Curve> {
        let networks = built.curves.iter().cloned().enumerate();
        networks
            .map(|(network, epochs)| Curve { router: router.clone(), network, epochs })
            .collect()
    };
    routers.flat_map(of).collect()
}

/// Removes the fold routers of an earlier run, which would be taken for this one's, and nothing
/// else: the folder may be the user's.
fn clear(folds: &Path) -> std::io::Result<()> {
    if !folds.exists() {
        return Ok(());
    }
    for entry in folds.read_dir()? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("fold-") && name.ends_with(".safetensors") {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn bytes(built: Built) -> Result<Vec<u8>> {
    Ok(artifact::to_bytes(built.manifest, Weights::Linear(Box::new(built.parts)))?)
}

fn select(data: Dataset, config: &Config) -> Result<Dataset> {
    let selection = config.selection()?;
    Ok(match data {
        Dataset::Table(table) => Dataset::Table(selection.select(&table)?),
        Dataset::Log(log) => Dataset::Log(selection.select_log(log)?),
    })
}

/// A log without propensities with fitted ones, if that is assumed; and whether it was.
fn with_propensities(data: Dataset, config: &Config, folds: Option<Folds>) -> (Dataset, bool) {
    let is_assumed = config.assume_propensities == Some(Assume::Fitted);
    match data {
        Dataset::Table(table) if is_assumed && is_choices(&table) => {
            let requests: Vec<&RequestRow> = table.requests.iter().collect();
            let folds = folds.unwrap_or_else(|| default_folds(&requests));
            (Dataset::Log(fit_choices(table, folds)), true)
        }
        data @ (Dataset::Table(_) | Dataset::Log(_)) => (data, false),
    }
}

/// The configuration, and whether propensities are logged or fitted.
fn recorded(config: &Config, partial: Option<&Partial>) -> Result<serde_json::Value> {
    let mut value = serde_json::to_value(config)?;
    if let (Some(partial), Some(map)) = (partial, value.as_object_mut()) {
        map.insert("propensities".to_owned(), serde_json::to_value(partial.propensities)?);
    }
    Ok(value)
}

fn requests(data: &Dataset) -> Vec<&RequestRow> {
    match data {
        Dataset::Table(table) => table.requests.iter().collect(),
        Dataset::Log(log) => log.iter().map(|row| &row.request).collect(),
    }
}

/// The column, if every request has a fold, there are at least two and none divides a group; else
/// five folds by hash.
fn default_folds(requests: &[&RequestRow]) -> Folds {
    let folds: BTreeSet<Option<i32>> = requests.iter().map(|request| request.fold).collect();
    let is_good = folds.len() >= 2
        && !folds.contains(&None)
        && divided_group(requests.iter().copied()).is_none();
    if is_good { Folds::Column } else { Folds::Hash(5) }
}

/// Refuses a column that would put requests of one group on both sides of a split.
fn check_groups(requests: &[&RequestRow], folds: Folds) -> Result<()> {
    let divided = divided_group(requests.iter().copied()).filter(|_| folds == Folds::Column);
    if let Some((group, a, b)) = divided {
        bail!(
            "fold must not divide a group, but group {group} is in folds {a} and {b}, so its \
             requests would be judged by a router that saw others of them; --cross-fit 5 deals \
             whole groups"
        );
    }
    Ok(())
}

fn model_named(problem: &Problem, name: &str) -> Result<usize> {
    let names: Vec<&str> = problem.models.iter().map(router_core::ModelId::as_str).collect();
    names
        .iter()
        .position(|model| *model == name)
        .with_context(|| format!("reference {name} is none of the models: {}", names.join(", ")))
}

fn metrics(problem: &Problem, built: &Built, config: &Config) -> Metrics {
    let describe = |(name, value): (&String, &f64)| {
        let (unit, higher_is_better) = match name.as_str() {
            "task_accuracy" => ("share of requests", Some(true)),
            "uplift_correlation" => ("correlation", Some(true)),
            "complexity_base_rate" => ("share of requests", None),
            "complexity_ece" => ("probability", Some(false)),
            "complexity_brier" => ("squared probability", Some(false)),
            "brier" => ("squared quality", Some(false)),
            "guard" => ("quality that a model must add to replace the reference", None),
            _ => ("quality", Some(false)),
        };
        (name.clone(), Metric { value: *value, unit, higher_is_better })
    };
    let names = problem.models.iter().map(ToString::to_string);
    let maps = built.parts.calibrations.iter().cloned();
    Metrics {
        n_requests: problem.n_requests(),
        shuffle_labels: config.shuffle_labels,
        models: names.clone().collect(),
        partial: None,
        reference: built.manifest.provenance.reference.to_string(),
        held_out: built.manifest.provenance.metrics.iter().map(describe).collect(),
        operating_points: built.manifest.operating_points.clone(),
        stack: built.stack.clone(),
        candidates: built.candidates.clone(),
        costs: built.costs.clone(),
        neighbors_recall: built.recall,
        penalties: config.penalties.clone(),
        reliability: names.zip(maps).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(group: &str, fold: Option<i32>) -> RequestRow {
        RequestRow { group: group.to_owned(), fold, ..RequestRow::default() }
    }

    #[test]
    fn the_column_deals_folds_unless_it_cannot() {
        let of = |rows: &[RequestRow]| default_folds(&rows.iter().collect::<Vec<_>>());
        let good = [request("a", Some(0)), request("b", Some(1))];
        assert_eq!(of(&good), Folds::Column);
        for bad in [
            [request("a", Some(0)), request("b", Some(0))],
            [request("a", Some(0)), request("b", None)],
            [request("a", Some(0)), request("a", Some(1))],
        ] {
            assert_eq!(of(&bad), Folds::Hash(5));
        }
    }

    #[test]
    fn a_column_that_divides_a_group_is_refused() {
        let rows = [request("a", Some(0)), request("a", Some(3))];
        let rows: Vec<&RequestRow> = rows.iter().collect();
        let error = check_groups(&rows, Folds::Column).unwrap_err().to_string();
        assert!(error.contains("group a is in folds 0 and 3"), "{error}");
        assert!(check_groups(&rows, Folds::Hash(5)).is_ok());
    }

    #[test]
    fn only_fold_routers_are_cleared() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["fold-0.safetensors", "fold-12.safetensors", "notes.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        clear(folder.path()).unwrap();
        let left: Vec<_> =
            folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["notes.txt"]);
        assert!(clear(&folder.path().join("none")).is_ok());
    }
}
