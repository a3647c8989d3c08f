//! What an artifact says of itself, as JSON beside its weights.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::calibration::Calibration;
use crate::catalog::{Catalog, ModelId};
use crate::objective::{Objective, Tier};
use crate::policy::PolicySpec;
use crate::predictor::Constant;
use crate::uncertainty::Uncertainty;

/// The artifact format that this crate writes and reads.
pub const FORMAT_VERSION: u32 = 1;

/// The manifest. Unknown keys are refused: they would be obeyed by nobody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// [`FEATURE_SCHEMA_VERSION`](crate::features::FEATURE_SCHEMA_VERSION).
    pub feature_schema_version: u32,
    /// The candidates.
    pub catalog: Catalog,
    /// What the weights are.
    pub predictor: PredictorSpec,
    /// How a model is drawn.
    pub policy: PolicySpec,
    /// The exchange rates; λ is that of the balanced tier.
    pub objective: Objective,
    /// λ of each tier.
    pub tiers: BTreeMap<Tier, f64>,
    /// ω of the speed tier.
    pub speed_latency_weight: f64,
    /// How sure it is of what it expects; absent if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertainty: Option<Uncertainty>,
    /// Points of the cost–quality curve that were chosen by inner validation.
    pub operating_points: Vec<OperatingPoint>,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// The kind of predictor, and what of it is not a tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum PredictorSpec {
    /// The mean of each model.
    Constant(Constant),
    /// Linear heads; their weights are tensors named `linear.…`.
    Linear(LinearSpec),
}

/// What of linear heads is not a tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearSpec {
    /// Whether there is an output for complexity.
    pub has_complexity: bool,
    /// Names of the tasks.
    pub tasks: Vec<String>,
    /// Multiplies task scores before the softmax.
    pub task_sharpness: f64,
    /// Whether tasks have effects on arms.
    pub has_task_effects: bool,
    /// `[n_arms]`.
    pub calibrations: Vec<Calibration>,
    /// Of the complexity output.
    pub complexity_calibration: Calibration,
    /// `[n_arms]`: `ln` dollars at mean features; `None` where costs are unknown.
    pub cost_biases: Vec<Option<f64>>,
    /// `[n_arms]`.
    pub latency_ms: Vec<Option<f64>>,
    /// Hidden dimensions of the embedding bag, whose weights are tensors named `bag.…`; absent
    /// without a bag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bag_hidden: Option<usize>,
    /// How neighbors are looked for, whose weights are tensors named `neighbors.…`; absent without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neighbors: Option<NeighborSpec>,
}

/// What of [`NeighborParts`](crate::predictor::NeighborParts) is not a tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeighborSpec {
    /// The hidden unit of the bag that is the first dimension.
    pub first: usize,
    /// Dimensions of a point.
    pub dimensions: usize,
    /// Neighbors that are taken.
    pub k: usize,
    /// The power of a similarity that is a weight.
    pub power: u32,
    /// Similarity to a point that adds nothing.
    pub shrinkage: f32,
    /// Clusters that are searched.
    pub probes: usize,
}

/// A point of the cost–quality curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatingPoint {
    /// The target, e.g. `retention=0.95`.
    pub name: String,
    /// λ that was chosen for it.
    pub lambda: f64,
    /// Quality over that of the reference model, on inner validation.
    pub retention: f64,
    /// Cost over that of the reference model, on inner validation; `None` if costs are unknown.
    pub cost_ratio: Option<f64>,
    /// Whether inner validation reached the target.
    pub reached: bool,
}

/// Where a router comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The files it was fitted on.
    pub data: Vec<DataSource>,
    /// Number of requests it was fitted on.
    pub n_requests: usize,
    /// The seed.
    pub seed: u64,
    /// In a fold router: which requests it did not see.
    pub cross_fit: Option<CrossFit>,
    /// The resolved configuration.
    pub config: serde_json::Value,
    /// The model that retention and cost ratios refer to.
    pub reference: ModelId,
    /// The cheapest model; `None` if costs are unknown.
    pub cheapest: Option<ModelId>,
    /// Version of the crate that fitted it.
    pub crate_version: String,
    /// Figures on held-out data, by name.
    pub metrics: BTreeMap<String, f64>,
}

/// A file that a router was fitted on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSource {
    /// Its name, without the folder.
    pub name: String,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// Number of rows.
    pub n_rows: usize,
}

/// How the rows were cut into folds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FoldKind {
    /// By the column `fold`.
    Fold,
    /// By the first 8 hex digits of SHA-256(group), modulo `k`; with a seed, of SHA-256(group@seed).
    Hash,
    /// The same of SHA-256(task).
    Task,
    /// The same of SHA-256(domain).
    Domain,
}

/// Which requests a fold router did not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrossFit {
    /// How the rows were cut.
    pub kind: FoldKind,
    /// Into how many folds.
    pub k: u32,
    /// Of the hash; 0 for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub seed: u64,
    /// The fold that was held out.
    pub held_out: i32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(seed: &u64) -> bool {
    *seed == 0
}
