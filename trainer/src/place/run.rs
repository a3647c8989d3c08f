//! From a run folder and logs to a run folder whose routers know more models.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use datasets::{Dataset, fold_of, open_choices};
use router_core::{DataSource, RequestRow, Router};

use super::{Enlarged, Labels, Report, enlarge};

/// Routers that know more models.
#[derive(Debug)]
pub struct PlacedRun {
    /// The router for all rows.
    pub all: Enlarged,
    /// The fold routers: the name of each file, and its bytes.
    pub folds: Vec<(String, Vec<u8>)>,
}

/// Adds the models of some logs to the routers of a run folder, or to one artifact.
///
/// A fold router learns nothing of the requests of its fold, so that it can still be judged on
/// them.
///
/// # Errors
///
/// If a file cannot be read, the weight is out of range, nothing is new, or too little is known of
/// a new model, also in a fold router.
pub fn place(run: &Path, logs: &[PathBuf], uncertainty_weight: Option<f64>) -> Result<PlacedRun> {
    if let Some(weight) = uncertainty_weight {
        ensure!(
            (0.0..=10.0).contains(&weight),
            "--uncertainty-weight must be in [0, 10], got {weight}"
        );
    }
    let is_folder = run.is_dir();
    let file = if is_folder { run.join("router.safetensors") } else { run.to_path_buf() };
    let opened = open_choices(logs)?;
    let source =
        |s: datasets::Source| DataSource { name: s.name, sha256: s.sha256, n_rows: s.n_rows };
    let sources: Vec<DataSource> = opened.sources.into_iter().map(source).collect();
    let labels = Labels { data: &opened.data, sources: &sources, uncertainty_weight };
    let all = enlarge(&read(&file)?, &labels, &|_| true)
        .with_context(|| format!("cannot place models in {}", file.display()))?;
    let mut folds = Vec::new();
    for path in if is_folder { fold_files(&run.join("folds"))? } else { Vec::new() } {
        let bytes = read(&path)?;
        let router =
            Router::from_bytes(&bytes).with_context(|| format!("in {}", path.display()))?;
        let cut = router.manifest().provenance.cross_fit;
        let is_judged = |request: &RequestRow| {
            cut.is_some_and(|cut| fold_of(request, cut.into()) == Some(cut.held_out))
        };
        let judged: HashSet<&str> = requests(&opened.data)
            .filter(|request| is_judged(request))
            .map(|request| request.group.as_str())
            .collect();
        let is_unseen = |request: &RequestRow| !judged.contains(request.group.as_str());
        let enlarged = enlarge(&bytes, &labels, &is_unseen).with_context(|| {
            format!("cannot place models in {}, which must not see its fold", path.display())
        })?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        folds.push((name, enlarged.bytes));
    }
    Ok(PlacedRun { all, folds })
}

/// Writes `router.safetensors`, `folds/` and `placed.json`.
///
/// # Errors
///
/// If a file cannot be written, or the folder has fold routers of another run.
pub fn write(out: &Path, run: &PlacedRun) -> Result<()> {
    let folds = out.join("folds");
    let stale = fold_files(&folds)?;
    let is_ours = |path: &PathBuf| {
        run.folds.iter().any(|(name, _)| path.file_name().is_some_and(|file| file == name.as_str()))
    };
    let other = stale.iter().find(|path| !is_ours(path));
    ensure!(
        other.is_none(),
        "{} must not hold fold routers of another run, but has {}",
        folds.display(),
        other.map(|path| path.display().to_string()).unwrap_or_default()
    );
    let write = |path: &Path, bytes: &[u8]| {
        let parent = path.parent().unwrap_or(out);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(path, bytes))
            .with_context(|| format!("cannot write {}", path.display()))
    };
    write(&out.join("router.safetensors"), &run.all.bytes)?;
    for (name, bytes) in &run.folds {
        write(&folds.join(name), bytes)?;
    }
    let mut json = serde_json::to_string_pretty(&run.all.reports)?;
    json.push('\n');
    write(&out.join("placed.json"), json.as_bytes())
}

/// One line per new model.
pub fn summary(reports: &[Report]) -> String {
    let dollars = |cost: f64| format!(", ${cost:.6} per request");
    let line = |r: &Report| {
        format!(
            "{}: quality {:.3} ± {:.3} by {} prompts (mean of labels {:.3}, before them {:.3} ± \
             {:.3}){}",
            r.model,
            r.quality,
            r.quality_sd,
            r.n_prompts,
            r.label_mean,
            r.prior_quality,
            r.prior_sd,
            r.cost_usd.map_or_else(|| ", cost unknown".to_owned(), dollars)
        )
    };
    reports.iter().map(line).collect::<Vec<String>>().join("\n")
}

fn requests(data: &Dataset) -> Box<dyn Iterator<Item = &RequestRow> + '_> {
    match data {
        Dataset::Table(table) => Box::new(table.requests.iter()),
        Dataset::Log(log) => Box::new(log.iter().map(|row| &row.request)),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The fold routers of a folder, by name; none if there is no such folder.
fn fold_files(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
