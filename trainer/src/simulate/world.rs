//! Tables as numbers: contexts, qualities and costs.

use anyhow::{Result, bail, ensure};
use datasets::{Dataset, Folds, Opened, fold_of};
use router_core::features::{SURFACE_NAMES, surface};
use router_core::predictor::Scratch;
use router_core::{OutcomeTable, RequestRow, Router};

use super::options::{Options, Scenario};
use crate::config::{Config, Overrides};
use crate::run::{self, Progress};

/// Folds of the training table: its rows are described by routers that did not see them.
const FOLDS: u32 = 5;

/// Surface features of a context.
const SURFACE: [&str; 5] = ["length_chars", "digit_share", "math_share", "code_marks", "options"];

/// Where a standardized feature is cut.
const CUT: f64 = 4.0;

/// Rows of which every outcome is known.
///
/// # Shapes
///
/// - `contexts`: `[n_rows][d]`, the first entry 1
/// - `quality`, `cost` (dollars): `[n_rows * n_models]`
#[derive(Clone, Debug)]
pub struct World {
    /// The models, ordered by id.
    pub models: Vec<String>,
    /// What a learner sees.
    pub contexts: Vec<Vec<f64>>,
    quality: Vec<f64>,
    cost: Vec<f64>,
}

impl World {
    fn new(table: &OutcomeTable, contexts: Vec<Vec<f64>>, needs_costs: bool) -> Result<Self> {
        let n_models = table.models.len();
        let mut world = Self {
            models: table.models.iter().map(ToString::to_string).collect(),
            contexts: Vec::new(),
            quality: Vec::new(),
            cost: Vec::new(),
        };
        for (row, context) in contexts.into_iter().enumerate() {
            let quality: Option<Vec<f64>> = (0..n_models).map(|m| table.quality(row, m)).collect();
            let cost = |model| match table.cost(row, model) {
                Some(cost) => Some(cost.dollars()),
                None => (!needs_costs).then_some(0.0),
            };
            let cost: Option<Vec<f64>> = (0..n_models).map(cost).collect();
            if let (Some(quality), Some(cost)) = (quality, cost) {
                world.contexts.push(context);
                world.quality.extend(quality);
                world.cost.extend(cost);
            }
        }
        let what = if needs_costs { "quality and cost" } else { "quality" };
        ensure!(world.n_rows() > 0, "no request has the {what} of all {n_models} models");
        Ok(world)
    }

    /// Number of requests.
    pub fn n_rows(&self) -> usize {
        self.contexts.len()
    }

    /// Number of models.
    pub fn n_models(&self) -> usize {
        self.models.len()
    }

    /// `[n_models]`.
    pub fn quality(&self, row: usize) -> &[f64] {
        &self.quality[row * self.n_models()..][..self.n_models()]
    }

    /// `[n_models]`, dollars.
    pub fn cost(&self, row: usize) -> &[f64] {
        &self.cost[row * self.n_models()..][..self.n_models()]
    }

    /// `[n_models]`: mean quality.
    pub fn mean_quality(&self) -> Vec<f64> {
        self.means(&self.quality)
    }

    /// `[n_models]`: mean cost, dollars.
    pub fn mean_cost(&self) -> Vec<f64> {
        self.means(&self.cost)
    }

    fn means(&self, cells: &[f64]) -> Vec<f64> {
        let n = self.n_rows() as f64;
        let sum = |model: usize| cells.iter().skip(model).step_by(self.n_models()).sum::<f64>();
        (0..self.n_models()).map(|model| sum(model) / n).collect()
    }
}

/// Both tables, and the model that the scenario is about.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What the learners start from.
    pub train: World,
    /// What is replayed.
    pub stream: World,
    /// Index of the model that a scenario is about.
    pub subject: usize,
}

impl Prepared {
    /// Fits a router on the training table and describes both tables with it.
    pub(super) fn new(options: &Options, progress: Progress<'_>) -> Result<Self> {
        let opened = datasets::open(&options.train)?;
        let train = table(&opened, "--train")?;
        let stream_opened = datasets::open(&options.stream)?;
        let stream = table(&stream_opened, "the stream")?;
        ensure!(
            train.models == stream.models,
            "both tables must be of the same models, got {} for --train and {} for the stream",
            list(train),
            list(stream),
        );
        let needs_costs = options.budget.is_some();
        // Means and the subject need no contexts.
        let bare = World::new(train, vec![Vec::new(); train.requests.len()], needs_costs)?;
        let subject = subject(&bare, options)?;
        let mut overrides =
            Overrides { cross_fit: Some(FOLDS.to_string()), ..Overrides::default() };
        if options.scenario == Scenario::NewModel {
            overrides.models = Some(format!("!{}", bare.models[subject]));
        }
        let fitted = run::fit(opened.clone(), &Config::resolve([overrides])?, progress)?;
        let all = Router::from_bytes(&fitted.all)?;
        let folds = fitted
            .folds
            .iter()
            .map(|(fold, bytes)| Ok((*fold, Router::from_bytes(bytes)?)))
            .collect::<Result<Vec<(i32, Router)>>>()?;
        let mut scratch = Scratch::default();
        let unseen = |request: &RequestRow| {
            let own = fold_of(request, Folds::Hash(FOLDS));
            folds.iter().find(|(fold, _)| Some(*fold) == own).map_or(&all, |(_, router)| router)
        };
        let raw = train.requests.iter().map(|row| describe(unseen(row), row, &mut scratch));
        let raw: Vec<Vec<f64>> = raw.collect();
        let scale = Standard::of(&raw);
        let mut scratch = Scratch::default();
        let contexts =
            stream.requests.iter().map(|row| scale.apply(&describe(&all, row, &mut scratch)));
        Ok(Self {
            stream: World::new(stream, contexts.collect(), needs_costs)?,
            train: World::new(
                train,
                raw.iter().map(|row| scale.apply(row)).collect(),
                needs_costs,
            )?,
            subject,
        })
    }
}

fn table<'a>(opened: &'a Opened, what: &str) -> Result<&'a OutcomeTable> {
    match &opened.data {
        Dataset::Table(table) => Ok(table),
        Dataset::Log(_) => bail!("{what} must be an outcome table, got a log of drawn models"),
    }
}

fn list(table: &OutcomeTable) -> String {
    table.models.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The model that was asked for, or the best one that the budget affords.
fn subject(world: &World, options: &Options) -> Result<usize> {
    let Some(name) = &options.model else { return Ok(by_preference(world, options.budget)[0]) };
    let found = world.models.iter().position(|model| model == name);
    found.ok_or_else(|| {
        anyhow::anyhow!("model {name} is none of the models: {}", world.models.join(", "))
    })
}

/// Single models, best first: those that the budget affords by quality, then the others by cost.
pub(super) fn by_preference(world: &World, budget: Option<f64>) -> Vec<usize> {
    let (quality, cost) = (world.mean_quality(), world.mean_cost());
    let is_dear = |model: usize| budget.is_some_and(|budget| cost[model] > budget);
    let mut models: Vec<usize> = (0..world.n_models()).collect();
    models.sort_by(|&a, &b| {
        let by_worth = if is_dear(a) && is_dear(b) {
            cost[a].total_cmp(&cost[b])
        } else {
            quality[b].total_cmp(&quality[a])
        };
        is_dear(a).cmp(&is_dear(b)).then(by_worth)
    });
    models
}

/// Predicted scores and a few surface features.
fn describe(router: &Router, row: &RequestRow, scratch: &mut Scratch) -> Vec<f64> {
    let view = row.view();
    let mut values = router.predict(&view, scratch).score;
    let features = surface::features(&view);
    let named = SURFACE_NAMES.iter().zip(features);
    values.extend(named.filter(|(name, _)| SURFACE.contains(name)).map(|(_, v)| f64::from(v)));
    values
}

/// Mean and deviation of each feature over the training table.
struct Standard(Vec<(f64, f64)>);

impl Standard {
    fn of(rows: &[Vec<f64>]) -> Self {
        let n = rows.len() as f64;
        let d = rows.first().map_or(0, Vec::len);
        let of = |i: usize| {
            let mean = rows.iter().map(|row| row[i]).sum::<f64>() / n;
            let variance = rows.iter().map(|row| (row[i] - mean).powi(2)).sum::<f64>() / n;
            (mean, variance.sqrt())
        };
        Self((0..d).map(of).collect())
    }

    /// 1, then each feature standardized; 0 if it is the same in all rows.
    fn apply(&self, row: &[f64]) -> Vec<f64> {
        let scaled = row.iter().zip(&self.0).map(|(value, (mean, deviation))| {
            if *deviation > 0.0 { ((value - mean) / deviation).clamp(-CUT, CUT) } else { 0.0 }
        });
        std::iter::once(1.0).chain(scaled).collect()
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::World;

    /// Rows of `(quality, cost)` per model, all in the context `[1]`.
    pub(crate) fn world(rows: &[&[(f64, f64)]]) -> World {
        World {
            models: (0..rows[0].len()).map(|i| format!("model-{i}")).collect(),
            contexts: vec![vec![1.0]; rows.len()],
            quality: rows.iter().flat_map(|row| row.iter().map(|cell| cell.0)).collect(),
            cost: rows.iter().flat_map(|row| row.iter().map(|cell| cell.1)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_models_are_preferred_by_what_they_are_worth_within_the_budget() {
        let world = testing::world(&[&[(0.5, 1.0), (0.9, 9.0), (0.7, 2.0), (0.8, 5.0)]]);
        assert_eq!(by_preference(&world, Some(3.0)), [2, 0, 3, 1]);
        assert_eq!(by_preference(&world, None), [1, 3, 2, 0]);
    }

    #[test]
    fn features_are_centered_scaled_and_cut() {
        let standard = Standard::of(&[vec![1.0, 5.0], vec![3.0, 5.0]]);
        assert_eq!(standard.apply(&[4.0, 7.0]), [1.0, 2.0, 0.0]);
        assert_eq!(standard.apply(&[-99.0, 5.0]), [1.0, -4.0, 0.0]);
    }
}
