//! A task classifier ⇄ bytes: a file of its own, `tasks.safetensors`, or a part of a router.
//!
//! Both hold the same tensors, named `tasks.…`, and the same manifest: alone under the metadata key
//! `sextant_tasks`, in a router as the member `tasks` of its manifest. So any router can carry the
//! part and stays what it is otherwise. Metadata has one key, because the order of more is random.

use std::collections::{BTreeMap, HashMap};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::{N_TASK_BLOCKS, TASK_FEATURE_VERSION, TaskParts, Tasks};
use crate::artifact::{ArtifactError, MANIFEST_KEY};
use crate::calibration::Calibration;
use crate::features::FEATURE_SCHEMA_VERSION;
use crate::manifest::DataSource;

/// The metadata key of the manifest of a part alone.
const TASKS_KEY: &str = "sextant_tasks";
/// The member of a router's manifest.
pub(crate) const TASKS_MEMBER: &str = "tasks";
/// What the names of its tensors begin with.
pub(crate) const TENSOR_PREFIX: &str = "tasks.";
/// The format of the part that this crate writes and reads.
pub const TASK_FORMAT_VERSION: u32 = 1;

const TENSORS: [&str; 5] =
    ["tasks.bias", "tasks.buckets", "tasks.heads", "tasks.scales", "tasks.weights"];

/// What the part says of itself. Unknown keys are refused: they would be obeyed by nobody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskManifest {
    /// [`TASK_FORMAT_VERSION`].
    pub tasks_format_version: u32,
    /// [`FEATURE_SCHEMA_VERSION`].
    pub feature_schema_version: u32,
    /// [`TASK_FEATURE_VERSION`].
    pub task_feature_version: u32,
    /// `[n_labels]`.
    pub labels: Vec<String>,
    /// Multiplies scores before the softmax.
    pub sharpness: f64,
    /// Probability of the softmax → how often the label is right.
    pub confidence: Calibration,
    /// Below this confidence there is no label.
    pub min_confidence: f64,
    /// The label of requests that bring tools, and of no other.
    pub tool_label: Option<String>,
    /// Where it comes from.
    pub provenance: TaskProvenance,
}

/// Where a task classifier comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskProvenance {
    /// The files it was fitted on, taxonomy included.
    pub data: Vec<DataSource>,
    /// Number of prompts it was fitted on.
    pub n_prompts: usize,
    /// The resolved configuration.
    pub config: serde_json::Value,
    /// Version of the crate that fitted it.
    pub crate_version: String,
    /// Figures on held-out prompts, by name.
    pub metrics: BTreeMap<String, f64>,
}

/// A task classifier and what it says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskPart {
    pub(crate) manifest: TaskManifest,
    pub(crate) tasks: Tasks,
}

impl TaskPart {
    /// Puts a classifier and its provenance together.
    pub fn new(tasks: Tasks, provenance: TaskProvenance) -> Self {
        let parts = tasks.parts();
        let manifest = TaskManifest {
            tasks_format_version: TASK_FORMAT_VERSION,
            feature_schema_version: FEATURE_SCHEMA_VERSION,
            task_feature_version: TASK_FEATURE_VERSION,
            labels: parts.labels.clone(),
            sharpness: parts.sharpness,
            confidence: parts.confidence.clone(),
            min_confidence: parts.min_confidence,
            tool_label: parts.tool_label.clone(),
            provenance,
        };
        Self { manifest, tasks }
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &TaskManifest {
        &self.manifest
    }

    /// The classifier.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// The file of this part alone.
    ///
    /// # Errors
    ///
    /// If the manifest cannot be written as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ArtifactError> {
        let manifest = serde_json::to_value(&self.manifest).map_err(broken)?;
        self.add_to(Vec::new(), (TASKS_KEY, &manifest))
    }

    /// Reads the file of a part alone, and refuses what it does not know.
    ///
    /// # Errors
    ///
    /// If the bytes are truncated or no task classifier, of another version, have unknown keys or
    /// tensors, or hold numbers that are not finite or out of range.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ArtifactError> {
        let (_, header) = SafeTensors::read_metadata(bytes)?;
        let tensors = SafeTensors::deserialize(bytes)?;
        if let Some(name) = tensors.names().into_iter().find(|name| !TENSORS.contains(name)) {
            return Err(ArtifactError::Tensor(name.to_owned(), "is no part of a task classifier"));
        }
        let json = header.metadata().as_ref().and_then(|metadata| metadata.get(TASKS_KEY));
        let missing = || ArtifactError::Manifest("there is none of a task classifier".to_owned());
        Self::of(parse(json.ok_or_else(missing)?)?, &tensors)
    }

    /// The bytes of a router that carries this part instead of its own, if it has one.
    ///
    /// # Errors
    ///
    /// If the bytes are no router.
    pub fn carried_by(&self, router: &[u8]) -> Result<Vec<u8>, ArtifactError> {
        let (_, header) = SafeTensors::read_metadata(router)?;
        let tensors = SafeTensors::deserialize(router)?;
        let others = tensors.iter().filter(|(name, _)| !name.starts_with(TENSOR_PREFIX));
        let views = others.map(|(name, view)| (name.to_owned(), view)).collect();
        let json = header.metadata().as_ref().and_then(|metadata| metadata.get(MANIFEST_KEY));
        let missing = || ArtifactError::Manifest("there is none".to_owned());
        let mut manifest = parse(json.ok_or_else(missing)?)?;
        let members = manifest.as_object_mut().ok_or_else(missing)?;
        let tasks = serde_json::to_value(&self.manifest).map_err(broken)?;
        members.insert(TASKS_MEMBER.to_owned(), tasks);
        let bytes = self.add_to(views, (MANIFEST_KEY, &manifest))?;
        crate::Router::from_bytes(&bytes)?;
        Ok(bytes)
    }

    /// The part of a manifest. Tensors that the part does not know are refused.
    pub(crate) fn of(
        manifest: serde_json::Value,
        tensors: &SafeTensors<'_>,
    ) -> Result<Self, ArtifactError> {
        let manifest = read_manifest(manifest)?;
        let ours = |name: &&str| name.starts_with(TENSOR_PREFIX) && !TENSORS.contains(name);
        if let Some(name) = tensors.names().into_iter().find(ours) {
            return Err(ArtifactError::Tensor(name.to_owned(), "is unknown to this program"));
        }
        let f32s = |name: &str| {
            let (chunks, _) = data(tensors, name, Dtype::F32)?.as_chunks::<4>();
            Ok::<_, ArtifactError>(chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect())
        };
        let weights = data(tensors, "tasks.weights", Dtype::I8)?;
        let u32s = |name: &str| {
            let (chunks, _) = data(tensors, name, Dtype::U32)?.as_chunks::<4>();
            Ok::<_, ArtifactError>(chunks.iter().map(|chunk| u32::from_le_bytes(*chunk)).collect())
        };
        let parts = TaskParts {
            labels: manifest.labels.clone(),
            heads: u32s("tasks.heads")?,
            bias: f32s("tasks.bias")?,
            buckets: u32s("tasks.buckets")?,
            scales: f32s("tasks.scales")?,
            weights: weights.iter().map(|byte| byte.cast_signed()).collect(),
            sharpness: manifest.sharpness,
            confidence: manifest.confidence.clone(),
            min_confidence: manifest.min_confidence,
            tool_label: manifest.tool_label.clone(),
        };
        Ok(Self { manifest, tasks: Tasks::new(parts)? })
    }

    /// Serializes other tensors and metadata together with this part's.
    fn add_to(
        &self,
        others: Vec<(String, TensorView<'_>)>,
        (key, manifest): (&str, &serde_json::Value),
    ) -> Result<Vec<u8>, ArtifactError> {
        let parts = self.tasks.parts();
        let (n, n_rows) = (parts.heads.len(), parts.buckets.len());
        let f32s = |values: &[f32]| -> Vec<u8> {
            values.iter().flat_map(|value| value.to_le_bytes()).collect()
        };
        let (bias, scales) = (f32s(&parts.bias), f32s(&parts.scales));
        let u32s = |values: &[u32]| -> Vec<u8> {
            values.iter().flat_map(|value| value.to_le_bytes()).collect()
        };
        let (buckets, heads) = (u32s(&parts.buckets), u32s(&parts.heads));
        let weights: Vec<u8> = parts.weights.iter().map(|weight| weight.cast_unsigned()).collect();
        let mut views: Vec<(String, TensorView<'_>)> = others;
        for (name, dtype, shape, bytes) in [
            (TENSORS[0], Dtype::F32, vec![n], &bias),
            (TENSORS[1], Dtype::U32, vec![n_rows], &buckets),
            (TENSORS[2], Dtype::U32, vec![n], &heads),
            (TENSORS[3], Dtype::F32, vec![N_TASK_BLOCKS, n], &scales),
            (TENSORS[4], Dtype::I8, vec![n_rows, n], &weights),
        ] {
            views.push((name.to_owned(), TensorView::new(dtype, shape, bytes)?));
        }
        let metadata = HashMap::from([(key.to_owned(), manifest.to_string())]);
        Ok(safetensors::serialize(views, Some(metadata))?)
    }
}

fn broken(error: serde_json::Error) -> ArtifactError {
    ArtifactError::Manifest(error.to_string())
}

fn parse(json: &str) -> Result<serde_json::Value, ArtifactError> {
    serde_json::from_str(json).map_err(broken)
}

/// Versions are read first, so that a newer part is named as such and not as a syntax error.
fn read_manifest(value: serde_json::Value) -> Result<TaskManifest, ArtifactError> {
    for (what, known) in [
        ("tasks_format_version", TASK_FORMAT_VERSION),
        ("feature_schema_version", FEATURE_SCHEMA_VERSION),
        ("task_feature_version", TASK_FEATURE_VERSION),
    ] {
        let found = value.get(what).and_then(serde_json::Value::as_u64);
        let found = found.ok_or_else(|| ArtifactError::Manifest(format!("{what} is missing")))?;
        if found != u64::from(known) {
            return Err(ArtifactError::Version { what, known, found });
        }
    }
    serde_json::from_value(value).map_err(broken)
}

fn data<'a>(
    tensors: &SafeTensors<'a>,
    name: &str,
    dtype: Dtype,
) -> Result<&'a [u8], ArtifactError> {
    let tensor =
        tensors.tensor(name).map_err(|_| ArtifactError::Tensor(name.to_owned(), "is missing"))?;
    if tensor.dtype() == dtype {
        Ok(tensor.data())
    } else {
        Err(ArtifactError::Tensor(name.to_owned(), "has another type of number"))
    }
}
