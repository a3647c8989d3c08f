//! Places a model that a router does not know, by 20 to 50 prompts with a label.
//!
//! The new model is a weighted sum of the known ones and a level of its own: see [`population`] for
//! the prior, which the known models give, and the posterior. Its cost is placed in the same way,
//! along the logarithms of known costs. Nothing is fitted again, so that no training data is needed.

pub mod arms;
pub mod difficulty;
pub mod evidence;
pub mod member;
pub mod population;
pub mod run;

use datasets::Dataset;
use router_core::uncertainty::Novelty;
use router_core::{
    ArtifactError, Catalog, DataSource, Manifest, ModelId, ModelSpec, RequestRow, Router,
    Uncertainty, Weights, artifact,
};
use serde::Serialize;

use arms::{Arm, NewArm};
use evidence::{evidence, new_models};
use member::Peers;

/// Prompts with a known quality below which a model is not placed.
pub const MIN_PROMPTS: usize = 10;

/// Why models cannot be placed.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Nothing new.
    #[error("the data must have a model that the router lacks, got only {0}")]
    NothingNew(String),
    /// Too little is known of a model.
    #[error(
        "at least {MIN_PROMPTS} prompts with a known quality are needed to place {model}, got {have}"
    )]
    TooFewPrompts {
        /// The model.
        model: ModelId,
        /// Prompts there are.
        have: usize,
    },
    /// There is no population to place it in.
    #[error("at least 2 models must be known to place another among them, got {0}")]
    TooFewModels(usize),
    /// The router cannot be read or written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
}

/// Where a model was placed, and how sure that is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The model.
    pub model: ModelId,
    /// Prompts with a known quality.
    pub n_prompts: usize,
    /// Expected quality on those prompts, by prior and labels.
    pub quality: f64,
    /// Its standard deviation.
    pub quality_sd: f64,
    /// The mean of its labels alone.
    pub label_mean: f64,
    /// Expected quality on those prompts by the prior alone.
    pub prior_quality: f64,
    /// Its standard deviation.
    pub prior_sd: f64,
    /// How much of the residuals of known models on the same prompts was taken for difficulty.
    pub difficulty_weight: f64,
    /// Mean dollars per request; `None` where unknown.
    pub cost_usd: Option<f64>,
    /// Mean milliseconds until the last byte; `None` where unknown.
    pub latency_ms: Option<f64>,
}

/// What new models are placed by.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    /// Answers of the new models, and, if there are any, of known ones to the same requests.
    pub data: &'a Dataset,
    /// Where they are from.
    pub sources: &'a [DataSource],
    /// κ of the objective; `None` to leave it.
    pub uncertainty_weight: Option<f64>,
}

/// A router that knows more models.
#[derive(Debug)]
pub struct Enlarged {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// One line for each new model.
    pub reports: Vec<Report>,
}

/// Adds the models of a data set that a router lacks, by the requests that are kept.
///
/// # Errors
///
/// If no model is new, a new one has fewer than [`MIN_PROMPTS`] prompts, the router knows only one
/// model, or its bytes are none of a router.
pub fn enlarge(
    bytes: &[u8],
    labels: &Labels<'_>,
    keep: &(dyn Fn(&RequestRow) -> bool + Sync),
) -> Result<Enlarged, PlaceError> {
    let router = Router::from_bytes(bytes)?;
    let (manifest, weights) = artifact::into_parts(bytes)?;
    let known = manifest.catalog.models();
    if known.len() < 2 {
        return Err(PlaceError::TooFewModels(known.len()));
    }
    let models = new_models(labels.data, &manifest.catalog);
    if models.is_empty() {
        let names: Vec<&str> = known.iter().map(|spec| spec.id.as_str()).collect();
        return Err(PlaceError::NothingNew(names.join(", ")));
    }
    let mut reports = Vec::new();
    let mut new: Vec<(ModelId, NewArm)> = Vec::new();
    let peers = Peers::new(&manifest);
    for (model, labelled) in evidence(&router, labels.data, &models, keep) {
        let (arm, report) = peers.place(&model, &labelled)?;
        new.push((model, arm));
        reports.push(report);
    }
    let old = known.iter().enumerate().map(|(arm, spec)| (spec.clone(), Arm::Known(arm)));
    let added = new.into_iter().map(|(id, arm)| (ModelSpec::named(id), Arm::New(Box::new(arm))));
    let mut all: Vec<(ModelSpec, Arm)> = old.chain(added).collect();
    all.sort_by(|a, b| a.0.id.cmp(&b.0.id));
    let (specs, arms): (Vec<ModelSpec>, Vec<Arm>) = all.into_iter().unzip();
    let weights = match weights {
        Weights::Constant(means) => Weights::Constant(arms::constant(&means, &arms)),
        Weights::Linear(parts) => Weights::Linear(Box::new(arms::linear(&parts, &arms))),
    };
    let sds = sds(&manifest, &arms);
    let mut manifest = with_models(manifest, specs, labels.sources, &reports)?;
    manifest.uncertainty = Some(sds);
    if let Some(weight) = labels.uncertainty_weight {
        manifest.objective.uncertainty_weight = weight;
    }
    let mut bytes = artifact::to_bytes(manifest, weights)?;
    if let Some(part) = router.tasks() {
        bytes = part.carried_by(&bytes)?;
    }
    Ok(Enlarged { bytes, reports })
}

/// The standard deviations of all arms; known ones of which none is recorded count as sure.
fn sds(manifest: &Manifest, arms: &[Arm]) -> Uncertainty {
    let before = manifest.uncertainty.clone().unwrap_or_default();
    let sd = |arm: &Arm| match arm {
        Arm::Known(at) => before.quality_sd.get(*at).copied().unwrap_or(0.0),
        Arm::New(new) => new.sd,
    };
    let moved = |novelty: Novelty| {
        let is_it = |arm: &Arm| *arm == Arm::Known(novelty.reference);
        Novelty { reference: arms.iter().position(is_it).unwrap_or(0), ..novelty }
    };
    let novelty = before.novelty.map(moved);
    Uncertainty { quality_sd: arms.iter().map(sd).collect(), novelty }
}

fn with_models(
    mut manifest: Manifest,
    specs: Vec<ModelSpec>,
    source: &[DataSource],
    reports: &[Report],
) -> Result<Manifest, ArtifactError> {
    let broken = |error: String| ArtifactError::Manifest(error);
    let version = manifest.catalog.version().to_owned();
    manifest.catalog = Catalog::new(version, specs).map_err(|e| broken(e.to_string()))?;
    manifest.provenance.data.extend_from_slice(source);
    let placed = serde_json::to_value(reports).map_err(|e| broken(e.to_string()))?;
    if let Some(config) = manifest.provenance.config.as_object_mut() {
        let before = config.get_mut("placed").and_then(serde_json::Value::as_array_mut);
        match (before, placed) {
            (Some(before), serde_json::Value::Array(mut placed)) => before.append(&mut placed),
            (_, placed) => drop(config.insert("placed".to_owned(), placed)),
        }
    }
    Ok(manifest)
}
