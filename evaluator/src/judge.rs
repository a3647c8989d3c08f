//! Routers from files, and what they expect of requests that they did not see.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use datasets::{Folds, Source, fold_of};
use rayon::prelude::*;
use router_core::{ArtifactError, ModelId, Objective, Prediction, RequestRow, Router, Scratch};

use crate::panel::Panel;
use crate::sweep::{Choice, Expected, index};

/// A router to benchmark: one artifact for all requests, or one for each fold.
#[derive(Debug)]
pub struct Judged {
    /// Its name in reports.
    pub name: String,
    /// Version of the router for all requests.
    pub version: String,
    /// How the rows were cut, if it is one router for each fold.
    pub folds: Option<Folds>,
    /// By held-out fold; a single one has the key 0.
    routers: BTreeMap<i32, Router>,
}

/// Why a router cannot be benchmarked. A message holds its cause, so there is no source.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// A file cannot be read.
    #[error("cannot read {path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file is not a router.
    #[error("{path}: {error}")]
    Artifact {
        /// The file.
        path: PathBuf,
        /// Why.
        error: ArtifactError,
    },
    /// The router saw what it would be judged on.
    #[error(
        "router {router} was fitted on {data}, and no fold routers stand beside it, so it would \
         be judged on rows that it saw; fit it with `trainer fit --cross-fit fold`"
    )]
    Seen {
        /// The router.
        router: String,
        /// The file that it was fitted on.
        data: String,
    },
    /// Fold routers do not fit together.
    #[error("{0} must be a fold router of the same data and cross-fit as its neighbors")]
    Mixed(PathBuf),
    /// A request has no router that did not see it.
    #[error("router {router} has no fold router for request {request} (fold {fold:?})")]
    NoFold {
        /// The router.
        router: String,
        /// The request.
        request: String,
        /// Its fold.
        fold: Option<i32>,
    },
    /// A model that is unknown to the router.
    #[error("router {router} does not know model {model}; select models with --models")]
    UnknownModel {
        /// The router.
        router: String,
        /// The model.
        model: ModelId,
    },
}

/// Loads a router: a run folder of the trainer, or an artifact. The fold routers beside it are
/// taken if it was fitted on one of the `sources` that it will be judged on.
///
/// # Errors
///
/// If a file is missing or refused, or fold routers are needed and absent.
pub fn load(path: &Path, sources: &[Source]) -> Result<Judged, JudgeError> {
    let is_folder = path.is_dir();
    let file = if is_folder { path.join("router.safetensors") } else { path.to_path_buf() };
    let router = read(&file)?;
    let name = if is_folder { path.file_name() } else { path.file_stem() };
    let name = name.map_or_else(|| "router".to_owned(), |n| n.to_string_lossy().into_owned());
    let version = router.version().to_owned();
    let fitted = &router.manifest().provenance.data;
    let seen = fitted.iter().find(|data| sources.iter().any(|s| s.sha256 == data.sha256));
    let Some(data) = seen else {
        return Ok(Judged { name, version, folds: None, routers: BTreeMap::from([(0, router)]) });
    };
    let refused = JudgeError::Seen { router: name.clone(), data: data.name.clone() };
    let folder = file.parent().unwrap_or(path).join("folds");
    let Some(files) = fold_files(&folder) else { return Err(refused) };
    let mut routers = BTreeMap::new();
    let mut cut = None;
    for file in files {
        let router = read(&file)?;
        let Some(fit) = router.manifest().provenance.cross_fit else {
            return Err(JudgeError::Mixed(file));
        };
        let folds = Folds::from(fit);
        // Fold routers of other data may have seen what these should not.
        let is_of_other_data = router.manifest().provenance.data != *fitted;
        if is_of_other_data || cut.is_some_and(|cut| cut != folds) {
            return Err(JudgeError::Mixed(file));
        }
        cut = Some(folds);
        routers.insert(fit.held_out, router);
    }
    match cut {
        None => Err(refused),
        Some(_) => Ok(Judged { name, version, folds: cut, routers }),
    }
}

fn fold_files(folder: &Path) -> Option<Vec<PathBuf>> {
    let entries = folder.read_dir().ok()?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
        .collect();
    files.sort();
    Some(files)
}

fn read(path: &Path) -> Result<Router, JudgeError> {
    let bytes = std::fs::read(path)
        .map_err(|error| JudgeError::File { path: path.to_path_buf(), error })?;
    Router::from_bytes(&bytes)
        .map_err(|error| JudgeError::Artifact { path: path.to_path_buf(), error })
}

/// What a router expects of every request of a panel, from the router that did not see it.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// What the policy ranks by.
    pub expected: Expected,
    /// `[n * m]`: calibrated quality.
    pub quality: Vec<f64>,
    /// Points chosen in training, with the choices of each request's router at its own λ.
    pub validated: Vec<Validated>,
}

/// An operating point that was chosen without the judged requests.
#[derive(Clone, Debug)]
pub struct Validated {
    /// Its target, e.g. `retention=0.95`.
    pub name: String,
    /// λ of each router.
    pub lambdas: Vec<f64>,
    /// Whether every router's inner validation reached the target.
    pub reached: bool,
    /// The choices.
    pub choices: Choice,
}

impl Judged {
    /// The models that it knows.
    pub fn models(&self) -> impl Iterator<Item = &ModelId> {
        self.first().catalog().models().iter().map(|model| &model.id)
    }

    /// Versions of its artifacts.
    pub fn versions(&self) -> Vec<String> {
        self.routers.values().map(|router| router.version().to_owned()).collect()
    }

    /// What the first artifact says of itself.
    pub fn first(&self) -> &Router {
        self.routers.values().next().expect("a judged router has at least one artifact")
    }

    /// The router that did not see a request.
    pub(crate) fn for_request(&self, request: &RequestRow) -> Result<&Router, JudgeError> {
        let fold = match self.folds {
            None => Some(0),
            Some(folds) => fold_of(request, folds),
        };
        fold.and_then(|fold| self.routers.get(&fold)).ok_or_else(|| JudgeError::NoFold {
            router: self.name.clone(),
            request: request.request_id.clone(),
            fold,
        })
    }

    /// Predicts every request with the router that did not see it.
    ///
    /// # Errors
    ///
    /// If a model is unknown to it, or a request has no router.
    pub fn judge(&self, panel: &Panel) -> Result<Judgement, JudgeError> {
        let m = panel.m();
        let routers: Vec<&Router> = panel
            .requests
            .iter()
            .map(|request| self.for_request(request))
            .collect::<Result<_, _>>()?;
        for router in self.routers.values() {
            self.arms(router, panel)?;
        }
        let predicted: Vec<Row> = routers
            .par_iter()
            .zip(&panel.requests)
            .map_init(Scratch::default, |scratch, (router, request)| {
                let arms = self.arms(router, panel).unwrap_or_default();
                let prediction = router.predict(&request.view(), scratch);
                Row::new(&prediction, &arms, &router.manifest().objective)
            })
            .collect();
        let mut judgement =
            Judgement { expected: Expected { m, ..Expected::default() }, ..Judgement::default() };
        for row in predicted {
            judgement.expected.score.extend(row.score);
            judgement.quality.extend(row.quality);
            if panel.has_costs() {
                judgement.expected.cost.extend(row.cost);
            }
        }
        judgement.validated = self.validated(&judgement.expected, &routers);
        Ok(judgement)
    }

    /// `[m]`: the arm of each model of the panel.
    pub(crate) fn arms(&self, router: &Router, panel: &Panel) -> Result<Vec<usize>, JudgeError> {
        let arm = |model: &ModelId| {
            router.catalog().arm(model.as_str()).ok_or_else(|| JudgeError::UnknownModel {
                router: self.name.clone(),
                model: model.clone(),
            })
        };
        panel.models.iter().map(arm).collect()
    }

    fn validated(&self, expected: &Expected, routers: &[&Router]) -> Vec<Validated> {
        let mut names: Vec<&str> =
            self.first().manifest().operating_points.iter().map(|p| p.name.as_str()).collect();
        names.push("balanced");
        let point = |router: &Router, name: &str| {
            let manifest = router.manifest();
            match manifest.operating_points.iter().find(|point| point.name == name) {
                Some(point) => Some((point.lambda, point.reached)),
                None if name == "balanced" => Some((manifest.objective.lambda, true)),
                None => None,
            }
        };
        let of = |name: &str| {
            let points: Option<Vec<(f64, bool)>> =
                self.routers.values().map(|router| point(router, name)).collect();
            let choices: Option<Choice> = routers
                .iter()
                .enumerate()
                .map(|(i, router)| Some(index(expected.choose(i, point(router, name)?.0))))
                .collect();
            let (points, choices) = (points?, choices?);
            Some(Validated {
                name: name.to_owned(),
                lambdas: points.iter().map(|point| point.0).collect(),
                reached: points.iter().all(|point| point.1),
                choices,
            })
        };
        names.into_iter().filter_map(of).collect()
    }
}

struct Row {
    score: Vec<f64>,
    quality: Vec<f64>,
    cost: Vec<f64>,
}

impl Row {
    /// An unknown cost counts as the highest known one, as in the served policy.
    fn new(prediction: &Prediction, arms: &[usize], objective: &Objective) -> Self {
        let dearest = prediction.cost.iter().flatten().copied().fold(0.0, f64::max);
        let cost =
            |arm: &usize| prediction.cost[*arm].unwrap_or(dearest) / objective.reference_cost;
        let score = |arm: &usize| {
            prediction.score[*arm] - objective.uncertainty_weight * prediction.sd_of(*arm)
        };
        Self {
            score: arms.iter().map(score).collect(),
            quality: arms.iter().map(|arm| prediction.quality[*arm]).collect(),
            cost: arms.iter().map(cost).collect(),
        }
    }
}
