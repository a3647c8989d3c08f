//! Routers and baselines on one outcome table: `evaluator benchmark`.

mod detail;
mod error;
mod lineup;
mod tasks;

use std::path::PathBuf;

use datasets::{Dataset, Folds, ModelSelection, Opened, SelectError};
use router_core::{ModelId, OutcomeTable};

use crate::bootstrap::{Interval, interval};
use crate::cascade::{self, CascadeReport};
use crate::judge::{self, Judged};
use crate::metric::{Metric, Missing};
use crate::panel::{Panel, pair_of};
use crate::policy::{Plan, Policy, Roles};
use crate::report::{CurvePoint, Difference, PolicyReport, Report, ValidatedReport};
use crate::split::{Splits, best_single, cheapest_single, folds_of};
use crate::study::Study;

pub use error::BenchmarkError;

/// What to benchmark, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// What reports call the data; the names of the files by default.
    pub dataset: Option<String>,
    /// Run folders of the trainer, or artifacts.
    pub routers: Vec<PathBuf>,
    /// Files or folders that the routers were fitted on, if they are not the judged ones.
    pub fit_data: Vec<PathBuf>,
    /// A `cascade.json` of the first router.
    pub cascade: Option<PathBuf>,
    /// Which models; by default all that every router knows.
    pub models: Option<ModelSelection>,
    /// Weak and strong model, if only two are compared.
    pub pair: Option<(ModelId, ModelId)>,
    /// Bootstrap draws.
    pub replicates: usize,
    /// Seed of the bootstrap.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dataset: None,
            routers: Vec::new(),
            cascade: None,
            fit_data: Vec::new(),
            models: None,
            pair: None,
            replicates: 1000,
            seed: 0,
        }
    }
}

/// Values routers and all baselines on the complete cases of a table.
///
/// # Errors
///
/// If the data are not an outcome table with complete cases, or a router cannot be loaded, saw
/// what it would be judged on, or does not know a model.
pub fn benchmark(opened: &Opened, options: &Options) -> Result<Report, BenchmarkError> {
    if options.routers.is_empty() {
        return Err(BenchmarkError::NoRouter);
    }
    if options.replicates < 2 {
        return Err(BenchmarkError::Replicates(options.replicates));
    }
    // Before fold routers are asked for, which a log does not need.
    table(opened)?;
    let mut routers = options
        .routers
        .iter()
        .map(|path| judge::load(path, &opened.sources))
        .collect::<Result<Vec<_>, _>>()?;
    lineup::tell_apart(&mut routers);
    let panel = panel(opened, options, &routers)?;
    let fit_panel = match options.fit_data.is_empty() {
        true => None,
        false => Some(fit_panel(opened, &options.fit_data, &panel)?),
    };
    let asked = routers.iter().find_map(|router| router.folds);
    let folds = folds_of(&panel, asked);
    let splits = match &fit_panel {
        Some(fitted) => Splits::apart(fitted, &panel),
        None => Splits::crossed(&panel, folds),
    };
    if splits.parts.iter().any(|part| part.fit.is_empty()) {
        return Err(BenchmarkError::OneFold(panel.n()));
    }
    let roles = roles(&panel, options);
    let policies = lineup::lineup(&panel, &splits, &routers, roles)?;
    let study = Study::new(&panel, &policies, roles);
    let figures = Figures::new(&study, options);
    let mut report = header(opened, options, &panel, &splits);
    figures.bands(&mut report, &policies);
    report.folds = fold_names(&panel, folds);
    detail::pair(&mut report, &panel, roles, &study);
    report.cascade = cascade(opened, options, (&panel, &policies), &routers)?;
    for (i, policy) in policies.iter().enumerate() {
        let mut of_policy = figures.report(&study, &policies, i);
        of_policy.two_model = detail::two_model_curve(policy, &study);
        if i < routers.len() {
            of_policy.artifacts = routers[i].versions();
            detail::router(&mut of_policy, &panel, policy);
            figures.band(&mut of_policy, &policies, i, panel.m());
            of_policy.tasks = tasks::tasks(&panel, policy, options);
            report.routers.push(of_policy);
        } else {
            report.baselines.push(of_policy);
        }
    }
    Ok(report)
}

/// The cascade of the first router, which is the first policy.
fn cascade(
    opened: &Opened,
    options: &Options,
    (panel, policies): (&Panel, &[Policy]),
    routers: &[Judged],
) -> Result<Option<CascadeReport>, BenchmarkError> {
    let (Some(path), Some(router)) = (&options.cascade, routers.first()) else { return Ok(None) };
    let file = cascade::load(path, router)?;
    let single = match &policies[0].plan {
        Plan::Choices(points) => &points[..],
        Plan::Singles | Plan::Mix | Plan::Uniform => &[],
    };
    let draws = (options.seed, options.replicates);
    let single = (single, policies[0].deployed_choices());
    let table = (panel, table(opened)?);
    Ok(Some(cascade::judge((path, &file), router, table, draws, single)?))
}

fn table(opened: &Opened) -> Result<&OutcomeTable, BenchmarkError> {
    match &opened.data {
        Dataset::Table(table) => Ok(table),
        Dataset::Log(_) => Err(BenchmarkError::Log(source_names(opened))),
    }
}

fn source_names(opened: &Opened) -> String {
    opened.sources.iter().map(|source| source.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn panel(opened: &Opened, options: &Options, routers: &[Judged]) -> Result<Panel, BenchmarkError> {
    let table = table(opened)?;
    if let Some((weak, strong)) = &options.pair {
        let selected = options.models.as_ref().map(|models| models.select(table)).transpose()?;
        return Ok(Panel::new(&pair_of(selected.as_ref().unwrap_or(table), weak, strong)?)?);
    }
    let selection = match &options.models {
        Some(selection) => selection.clone(),
        None => known_to_all(table, routers)?,
    };
    let selected = selection.select(table)?;
    datasets::require_two_models(&selected)?;
    Ok(Panel::new(&selected)?)
}

/// The models of a table that every router knows; all, if there is no such model.
fn known_to_all(table: &OutcomeTable, routers: &[Judged]) -> Result<ModelSelection, SelectError> {
    let known = |model: &&ModelId| {
        routers.iter().all(|router| router.models().any(|known| known == *model))
    };
    let names: Vec<&str> = table.models.iter().filter(known).map(ModelId::as_str).collect();
    if names.is_empty() { Ok(ModelSelection::default()) } else { names.join(",").parse() }
}

fn fit_panel(
    judged_data: &Opened,
    paths: &[PathBuf],
    judged: &Panel,
) -> Result<Panel, BenchmarkError> {
    let opened = datasets::open(paths)?;
    let is_judged =
        |s: &&datasets::Source| judged_data.sources.iter().any(|j| j.sha256 == s.sha256);
    if let Some(source) = opened.sources.iter().find(is_judged) {
        return Err(BenchmarkError::FitDataJudged(source.name.clone()));
    }
    let names: Vec<&str> = judged.models.iter().map(ModelId::as_str).collect();
    let selection: ModelSelection = names.join(",").parse()?;
    Ok(Panel::new(&selection.select(table(&opened)?)?)?)
}

/// The two models of a pair; without one the better of two models is the strong one.
fn roles(panel: &Panel, options: &Options) -> Option<Roles> {
    if panel.m() != 2 {
        return None;
    }
    let strong = match &options.pair {
        Some((_, strong)) => panel.models.iter().position(|model| model == strong)?,
        None => best_single(&panel.means(&(0..panel.n()).collect::<Vec<_>>())),
    };
    Some(Roles { weak: 1 - strong, strong })
}

fn fold_names(panel: &Panel, folds: Folds) -> Vec<i32> {
    let mut names = crate::split::assign(panel, folds);
    names.sort_unstable();
    names.dedup();
    names
}

fn header(opened: &Opened, options: &Options, panel: &Panel, splits: &Splits<'_>) -> Report {
    let means = panel.means(&(0..panel.n()).collect::<Vec<_>>());
    let (best, cheap) = (best_single(&means), cheapest_single(&means));
    Report {
        dataset: options.dataset.clone().unwrap_or_else(|| source_names(opened)),
        sources: opened.sources.clone(),
        n_requests: panel.n(),
        n_groups: panel.n_groups,
        n_dropped: panel.n_dropped,
        models: panel
            .models
            .iter()
            .zip(&means)
            .map(|(id, (quality, cost))| crate::report::ModelReport {
                id: id.to_string(),
                quality: *quality,
                band: None,
                cost: panel.has_costs().then_some(*cost),
            })
            .collect(),
        unpriced: panel.unpriced.iter().map(ToString::to_string).collect(),
        reference: panel.models[best].to_string(),
        cheapest: panel.has_costs().then(|| panel.models[cheap].to_string()),
        baselines_fitted: splits.description.clone(),
        seed: options.seed,
        replicates: options.replicates,
        ..Report::default()
    }
}

/// The figures of all policies, on the data and on every draw.
struct Figures {
    whole: Vec<Option<f64>>,
    draws: Vec<Vec<Option<f64>>>,
}

/// Policies that every other is compared with, by name.
const COMPARED: [&str; 3] = ["zero_router", "lookup", "best_single"];

/// Figures whose differences are reported.
const DIFFERENCES: [Metric; 8] = [
    Metric::Aiq,
    Metric::Hypervolume,
    Metric::CostAt95,
    Metric::CostAt99,
    Metric::QualityAtLambda0,
    Metric::Retention,
    Metric::Apgr,
    Metric::Cpt50,
];

impl Figures {
    fn new(study: &Study<'_>, options: &Options) -> Self {
        let matrix = study.matrix();
        Self {
            whole: study.figures(&matrix.whole()),
            draws: matrix.replicate(options.seed, options.replicates, |s| study.figures(s)),
        }
    }

    fn interval(&self, slot: usize, missing: Missing) -> Option<Interval> {
        interval(self.whole[slot], self.draws.iter().map(|draw| draw[slot]), missing)
    }

    /// Paired: both figures of the same draw. Undefined draws do not count.
    fn difference(&self, a: usize, b: usize) -> Option<Interval> {
        let of = |figures: &[Option<f64>]| Some(figures[a]? - figures[b]?);
        interval(of(&self.whole), self.draws.iter().map(|draw| of(draw)), Missing::Nothing)
    }

    fn report(&self, study: &Study<'_>, policies: &[Policy], i: usize) -> PolicyReport {
        let width = Metric::ALL.len();
        let policy = &policies[i];
        let metric = |metric: &Metric| {
            let found = self.interval(i * width + *metric as usize, metric.missing())?;
            Some((*metric, found))
        };
        let against = |name: &&str| {
            let other = policies.iter().position(|policy| policy.name == *name)?;
            let values: Vec<(Metric, Interval)> = DIFFERENCES
                .iter()
                .filter_map(|metric| {
                    let slot = |policy: usize| policy * width + *metric as usize;
                    Some((*metric, self.difference(slot(i), slot(other))?))
                })
                .collect();
            (other != i && !values.is_empty())
                .then(|| Difference { to: (*name).to_owned(), values })
        };
        let points = study.points(&study.matrix().whole(), i);
        PolicyReport {
            name: policy.name.clone(),
            note: policy.note.clone(),
            deployed: policy.deployed_name().map(ToOwned::to_owned),
            metrics: Metric::ALL.iter().filter_map(metric).collect(),
            differences: COMPARED.iter().filter_map(against).collect(),
            curve: CurvePoint::of(&policy.plan, &points),
            validated: self.validated(policies, i),
            ..PolicyReport::default()
        }
    }

    /// Where the qualities of single models are.
    fn singles_at(policies: &[Policy]) -> usize {
        let n_validated: usize = policies.iter().map(|policy| policy.validated.len()).sum();
        policies.len() * Metric::ALL.len() + 2 * n_validated
    }

    fn ends(&self, slot: usize) -> Option<(f64, f64)> {
        let interval = self.interval(slot, Missing::Nothing)?;
        interval.low.zip(interval.high)
    }

    fn bands(&self, report: &mut Report, policies: &[Policy]) {
        let first = Self::singles_at(policies);
        for (j, model) in report.models.iter_mut().enumerate() {
            model.band = self.ends(first + j);
        }
    }

    /// The band of a router's curve; routers are the first policies.
    fn band(&self, report: &mut PolicyReport, policies: &[Policy], i: usize, n_models: usize) {
        let width = |policy: &Policy| match &policy.plan {
            Plan::Choices(points) => points.len(),
            Plan::Singles | Plan::Mix | Plan::Uniform => 0,
        };
        let before: usize = policies[..i].iter().map(width).sum();
        let first = Self::singles_at(policies) + n_models + before;
        for (k, point) in report.curve.iter_mut().enumerate() {
            point.band = self.ends(first + k);
        }
    }

    fn validated(&self, policies: &[Policy], i: usize) -> Vec<ValidatedReport> {
        let before: usize = policies[..i].iter().map(|policy| policy.validated.len()).sum();
        let first = policies.len() * Metric::ALL.len() + 2 * before;
        let of = |(k, validated): (usize, &judge::Validated)| ValidatedReport {
            name: validated.name.clone(),
            lambdas: validated.lambdas.clone(),
            reached: validated.reached,
            retention: self.interval(first + 2 * k, Missing::Nothing),
            cost_ratio: self.interval(first + 2 * k + 1, Missing::Nothing),
        };
        policies[i].validated.iter().enumerate().map(of).collect()
    }
}
