//! Router ⇄ bytes: weights as safetensors, with the manifest as JSON in its metadata.

mod bag;
mod neighbors;
mod rounded;

use std::collections::{BTreeMap, HashMap};

use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};
use sha2::{Digest, Sha256};

use crate::features::{FEATURE_SCHEMA_VERSION, N_BLOCKS, N_SURFACE};
use crate::manifest::{FORMAT_VERSION, LinearSpec, Manifest, PredictorSpec};
use crate::objective::Tier;
use crate::policy::PolicyError;
use crate::predictor::tasks::TasksError;
use crate::predictor::tasks::part::{TASKS_MEMBER, TENSOR_PREFIX, TaskPart};
use crate::predictor::{Constant, CostHead, Linear, LinearError, LinearParts, Predictor};
use crate::router::Router;

/// The metadata key of the manifest.
pub(crate) const MANIFEST_KEY: &str = "sextant";

/// Why bytes are not a router. A message holds its cause, so that there is no source to say it
/// again.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// Truncated, or not safetensors.
    #[error("not a router artifact: {0}")]
    Container(SafeTensorError),
    /// No manifest, or one that does not parse.
    #[error("router manifest: {0}")]
    Manifest(String),
    /// Written by a newer or older program.
    #[error("{what} must be {known}, got {found}: this program does not know it")]
    Version {
        /// Which version.
        what: &'static str,
        /// The one that is known.
        known: u32,
        /// The one that the artifact has.
        found: u64,
    },
    /// A tensor that is missing, unknown, or of another type.
    #[error("tensor {0}: {1}")]
    Tensor(String, &'static str),
    /// Weights of the wrong shape, or not finite.
    #[error("router weights: {0}")]
    Weights(LinearError),
    /// Task labels or weights that make no classifier.
    #[error(transparent)]
    Tasks(#[from] TasksError),
    /// A number of the manifest that is out of range.
    #[error("{0} must be {1}, got {2}")]
    Range(&'static str, &'static str, f64),
    /// A policy that does not fit the catalog.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl From<SafeTensorError> for ArtifactError {
    fn from(error: SafeTensorError) -> Self {
        Self::Container(error)
    }
}

impl From<LinearError> for ArtifactError {
    fn from(error: LinearError) -> Self {
        Self::Weights(error)
    }
}

/// The weights of a router, before they are bytes.
#[derive(Clone, Debug)]
pub enum Weights {
    /// Means.
    Constant(Constant),
    /// Linear heads.
    Linear(Box<LinearParts>),
}

/// Writes a router. `manifest.predictor` is filled in from the weights.
///
/// # Errors
///
/// If the weights are inconsistent, or the bytes could not be read back.
pub fn to_bytes(mut manifest: Manifest, weights: Weights) -> Result<Vec<u8>, ArtifactError> {
    let mut tensors: BTreeMap<&'static str, (Dtype, Vec<usize>, Vec<u8>)> = BTreeMap::new();
    match weights {
        Weights::Constant(constant) => manifest.predictor = PredictorSpec::Constant(constant),
        Weights::Linear(parts) => {
            let parts = Linear::new(*parts)?.into_parts();
            manifest.predictor = PredictorSpec::Linear(linear_spec(&parts));
            linear_tensors(&parts, &mut tensors);
            if let Some(bag) = &parts.bag {
                bag::write(bag, &mut tensors);
            }
            if let Some(parts) = &parts.neighbors {
                neighbors::write(parts, &mut tensors);
            }
        }
    }
    let json =
        serde_json::to_string(&manifest).map_err(|e| ArtifactError::Manifest(e.to_string()))?;
    let metadata = HashMap::from([(MANIFEST_KEY.to_owned(), json)]);
    let mut views = Vec::new();
    for (name, (dtype, shape, bytes)) in &tensors {
        views.push((*name, TensorView::new(*dtype, shape.clone(), bytes)?));
    }
    let bytes = safetensors::serialize(views, Some(metadata))?;
    Router::from_bytes(&bytes)?;
    Ok(bytes)
}

impl Router {
    /// Reads a router, and refuses what it does not know.
    ///
    /// # Errors
    ///
    /// If the bytes are truncated, of another version, have unknown keys or tensors, or hold
    /// numbers that are not finite or out of range.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ArtifactError> {
        let (manifest, weights, tasks) = read(bytes)?;
        let predictor: Box<dyn Predictor> = match weights {
            Weights::Constant(constant) => Box::new(constant),
            Weights::Linear(parts) => Box::new(Linear::new(*parts)?),
        };
        let version: String =
            Sha256::digest(bytes).iter().take(8).map(|b| format!("{b:02x}")).collect();
        let mut router = Self::new(manifest, predictor, version)?;
        router.tasks = tasks;
        Ok(router)
    }
}

/// Takes a router apart. A task classifier that it carries is left out.
///
/// # Errors
///
/// As [`Router::from_bytes`], except for weights of wrong shapes.
pub fn into_parts(bytes: &[u8]) -> Result<(Manifest, Weights), ArtifactError> {
    read(bytes).map(|(manifest, weights, _)| (manifest, weights))
}

fn read(bytes: &[u8]) -> Result<(Manifest, Weights, Option<TaskPart>), ArtifactError> {
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    let json = header.metadata().as_ref().and_then(|metadata| metadata.get(MANIFEST_KEY));
    let json = json.ok_or_else(|| ArtifactError::Manifest("there is none".to_owned()))?;
    check_versions(json)?;
    let (manifest, tasks) = read_manifest(json)?;
    check_ranges(&manifest)?;
    let tensors = SafeTensors::deserialize(bytes)?;
    let tasks = tasks.map(|tasks| TaskPart::of(tasks, &tensors)).transpose()?;
    let n_arms = manifest.catalog.models().len();
    let weights = match &manifest.predictor {
        PredictorSpec::Constant(constant) => {
            refuse_unknown(&tensors, &[], tasks.is_some())?;
            Weights::Constant(check_constant(constant, n_arms)?)
        }
        PredictorSpec::Linear(spec) => {
            let bag: &[&str] = if spec.bag_hidden.is_some() { &bag::TENSORS } else { &[] };
            let near: &[&str] = if spec.neighbors.is_some() { &neighbors::TENSORS } else { &[] };
            refuse_unknown(&tensors, &[&LINEAR_TENSORS, bag, near].concat(), tasks.is_some())?;
            Weights::Linear(Box::new(linear_parts(spec, n_arms, &tensors)?))
        }
    };
    Ok((manifest, weights, tasks))
}

/// The manifest, and that of the task classifier that the router carries, if it does.
fn read_manifest(json: &str) -> Result<(Manifest, Option<serde_json::Value>), ArtifactError> {
    let broken = |error: serde_json::Error| ArtifactError::Manifest(error.to_string());
    let mut value: serde_json::Value = serde_json::from_str(json).map_err(broken)?;
    let tasks = value.as_object_mut().and_then(|members| members.remove(TASKS_MEMBER));
    let manifest = match tasks {
        Some(_) => serde_json::from_value(value).map_err(broken)?,
        None => serde_json::from_str(json).map_err(broken)?,
    };
    Ok((manifest, tasks))
}

/// Versions are read first, so that a newer artifact is named as such and not as a syntax error.
fn check_versions(json: &str) -> Result<(), ArtifactError> {
    let value: serde_json::Value =
        serde_json::from_str(json).map_err(|e| ArtifactError::Manifest(e.to_string()))?;
    for (what, known) in
        [("format_version", FORMAT_VERSION), ("feature_schema_version", FEATURE_SCHEMA_VERSION)]
    {
        let found = value.get(what).and_then(serde_json::Value::as_u64);
        let found = found.ok_or_else(|| ArtifactError::Manifest(format!("{what} is missing")))?;
        if found != u64::from(known) {
            return Err(ArtifactError::Version { what, known, found });
        }
    }
    Ok(())
}

fn check_ranges(manifest: &Manifest) -> Result<(), ArtifactError> {
    let objective = &manifest.objective;
    for (name, value) in [
        ("reference_cost", objective.reference_cost),
        ("reference_latency_ms", objective.reference_latency_ms),
    ] {
        if !(value > 0.0 && value.is_finite()) {
            return Err(ArtifactError::Range(name, "above 0 and finite", value));
        }
    }
    let tiers = manifest.tiers.values().map(|lambda| ("lambda of a tier", *lambda));
    let points = manifest.operating_points.iter();
    let weights = [
        ("lambda", objective.lambda),
        ("latency_weight", objective.latency_weight),
        ("speed_latency_weight", manifest.speed_latency_weight),
        ("uncertainty_weight", objective.uncertainty_weight),
    ];
    let points = points.map(|point| ("lambda of an operating point", point.lambda));
    for (name, value) in tiers.chain(points).chain(weights) {
        if !(value >= 0.0 && value.is_finite()) {
            return Err(ArtifactError::Range(name, "at least 0 and finite", value));
        }
    }
    let n_arms = manifest.catalog.models().len();
    if manifest.uncertainty.as_ref().is_some_and(|known| !known.is_valid(n_arms)) {
        let bound = "one finite number of at least 0 per model";
        return Err(ArtifactError::Manifest(format!("uncertainty must be {bound}")));
    }
    match Tier::ALL.into_iter().find(|tier| !manifest.tiers.contains_key(tier)) {
        Some(tier) => Err(ArtifactError::Manifest(format!("tier {tier} is missing"))),
        None => Ok(()),
    }
}

fn check_constant(constant: &Constant, n_arms: usize) -> Result<Constant, ArtifactError> {
    for len in [constant.quality.len(), constant.cost.len(), constant.latency_ms.len()] {
        if len != n_arms {
            return Err(LinearError::Shape("constant means", n_arms, len).into());
        }
    }
    Ok(constant.clone())
}

fn refuse_unknown(
    tensors: &SafeTensors<'_>,
    known: &[&str],
    has_tasks: bool,
) -> Result<(), ArtifactError> {
    let is_known =
        |name: &str| known.contains(&name) || has_tasks && name.starts_with(TENSOR_PREFIX);
    match tensors.names().into_iter().find(|name| !is_known(name)) {
        Some(name) => Err(ArtifactError::Tensor(name.to_owned(), "is unknown to this program")),
        None => Ok(()),
    }
}

const LINEAR_TENSORS: [&str; 12] = [
    "linear.bias",
    "linear.block_scales",
    "linear.buckets",
    "linear.column_scales",
    "linear.cost_weights",
    "linear.idf",
    "linear.row_scales",
    "linear.surface_mean",
    "linear.surface_scale",
    "linear.surface_weights",
    "linear.task_effects",
    "linear.weights",
];

fn linear_spec(parts: &LinearParts) -> LinearSpec {
    LinearSpec {
        has_complexity: parts.has_complexity,
        tasks: parts.tasks.clone(),
        task_sharpness: parts.task_sharpness,
        has_task_effects: !parts.task_effects.is_empty(),
        calibrations: parts.calibrations.clone(),
        complexity_calibration: parts.complexity_calibration.clone(),
        cost_biases: parts.costs.iter().map(|head| head.as_ref().map(|head| head.bias)).collect(),
        latency_ms: parts.latency_ms.clone(),
        bag_hidden: parts.bag.as_ref().map(|bag| bag.hidden),
        neighbors: parts.neighbors.as_ref().map(neighbors::spec),
    }
}

type Tensors = BTreeMap<&'static str, (Dtype, Vec<usize>, Vec<u8>)>;

fn linear_tensors(parts: &LinearParts, tensors: &mut Tensors) {
    let width = parts.width();
    let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let buckets = parts.buckets.iter().flat_map(|bucket| bucket.to_le_bytes()).collect();
    let n = parts.buckets.len();
    tensors.insert("linear.buckets", (Dtype::U32, vec![n], buckets));
    let cost_weights: Vec<u8> = parts
        .costs
        .iter()
        .flat_map(|head| head.as_ref().map_or_else(|| vec![0.0; N_SURFACE], |h| h.weights.clone()))
        .flat_map(f64::to_le_bytes)
        .collect();
    tensors
        .insert("linear.cost_weights", (Dtype::F64, vec![parts.n_arms, N_SURFACE], cost_weights));
    let n_effects = parts.task_effects.len() / parts.n_arms.max(1);
    for (name, shape, values) in [
        ("linear.bias", vec![width], &parts.bias),
        ("linear.block_scales", vec![N_BLOCKS], &parts.block_scales),
        ("linear.idf", vec![n], &parts.idf),
        ("linear.surface_mean", vec![N_SURFACE], &parts.surface_mean),
        ("linear.surface_scale", vec![N_SURFACE], &parts.surface_scale),
        ("linear.surface_weights", vec![N_SURFACE, width], &parts.surface_weights),
        ("linear.task_effects", vec![n_effects, parts.n_arms], &parts.task_effects),
    ] {
        tensors.insert(name, (Dtype::F32, shape, bytes(values)));
    }
    rounded::write(parts, tensors);
}

fn linear_parts(
    spec: &LinearSpec,
    n_arms: usize,
    tensors: &SafeTensors<'_>,
) -> Result<LinearParts, ArtifactError> {
    let f32s = |name: &str| numbers(tensors, name, Dtype::F32, f32::from_le_bytes);
    let cost_weights = numbers(tensors, "linear.cost_weights", Dtype::F64, f64::from_le_bytes)?;
    if cost_weights.len() != n_arms * N_SURFACE || spec.cost_biases.len() != n_arms {
        return Err(
            LinearError::Shape("cost_weights", n_arms * N_SURFACE, cost_weights.len()).into()
        );
    }
    let heads = spec.cost_biases.iter().zip(cost_weights.chunks_exact(N_SURFACE));
    let effects = f32s("linear.task_effects")?;
    if spec.has_task_effects == effects.is_empty() {
        return Err(ArtifactError::Tensor(
            "linear.task_effects".to_owned(),
            "contradicts the manifest",
        ));
    }
    let (weights, rounding) = rounded::read(tensors)?;
    Ok(LinearParts {
        n_arms,
        has_complexity: spec.has_complexity,
        tasks: spec.tasks.clone(),
        task_sharpness: spec.task_sharpness,
        task_effects: effects,
        buckets: numbers(tensors, "linear.buckets", Dtype::U32, u32::from_le_bytes)?,
        idf: f32s("linear.idf")?,
        weights,
        rounding,
        block_scales: f32s("linear.block_scales")?,
        surface_mean: f32s("linear.surface_mean")?,
        surface_scale: f32s("linear.surface_scale")?,
        surface_weights: f32s("linear.surface_weights")?,
        bias: f32s("linear.bias")?,
        calibrations: spec.calibrations.clone(),
        complexity_calibration: spec.complexity_calibration.clone(),
        costs: heads
            .map(|(bias, weights)| bias.map(|bias| CostHead { bias, weights: weights.to_vec() }))
            .collect(),
        latency_ms: spec.latency_ms.clone(),
        bag: spec.bag_hidden.map(|hidden| bag::read(hidden, tensors)).transpose()?,
        neighbors: spec.neighbors.as_ref().map(|s| neighbors::read(s, tensors)).transpose()?,
    })
}

fn numbers<const N: usize, T>(
    tensors: &SafeTensors<'_>,
    name: &str,
    dtype: Dtype,
    decode: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>, ArtifactError> {
    let tensor =
        tensors.tensor(name).map_err(|_| ArtifactError::Tensor(name.to_owned(), "is missing"))?;
    if tensor.dtype() != dtype {
        return Err(ArtifactError::Tensor(name.to_owned(), "has another type of number"));
    }
    let (chunks, _) = tensor.data().as_chunks::<N>();
    Ok(chunks.iter().map(|chunk| decode(*chunk)).collect())
}

#[cfg(test)]
mod tests;
