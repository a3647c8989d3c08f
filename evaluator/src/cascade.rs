//! A cascade beside the router that it belongs to: both calls are paid.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use router_core::cascade::{Answered, Cascade, CascadeError, CascadeFile, Offer};
use router_core::{OutcomeTable, Router, Scratch, Usd};

use crate::bootstrap::{Column, Interval, Sample, Sums, interval};
use crate::judge::{JudgeError, Judged};
use crate::metric::Missing;
use crate::metric::frontier::{Frontier, Span};
use crate::metric::hull::Point;
use crate::panel::Panel;
use crate::sweep::{Choice, index, lambdas};

/// Why a cascade cannot be judged. A message holds its cause.
#[derive(Debug, thiserror::Error)]
pub enum JudgeCascadeError {
    /// A file cannot be read.
    #[error("cannot read {0}: {1}")]
    File(PathBuf, std::io::Error),
    /// A file is no cascade.
    #[error("{0}: {1}")]
    Cascade(PathBuf, CascadeError),
    /// It belongs to another router.
    #[error("{path} was fitted for router {fitted}, but {router} is {version}")]
    Router {
        /// The file.
        path: PathBuf,
        /// The version that it was fitted for.
        fitted: String,
        /// The judged router.
        router: String,
        /// Its version.
        version: String,
    },
    /// It saw what it would be judged on.
    #[error("{0} has no cascade that did not see fold {1}, which is judged")]
    Seen(PathBuf, i32),
    /// Without costs there is nothing to trade.
    #[error("a cascade needs the cost of every model, unknown of {0}")]
    NoCosts(String),
    /// A request has no router.
    #[error(transparent)]
    Judge(#[from] JudgeError),
}

/// One figure of the cascade, of the router, and their paired difference.
#[derive(Clone, Copy, Debug)]
pub struct Compared {
    /// Its name.
    pub name: &'static str,
    /// Of the cascade.
    pub cascade: Option<Interval>,
    /// Of the router, which asks once.
    pub router: Option<Interval>,
    /// Cascade minus router, draw by draw.
    pub difference: Option<Interval>,
}

/// What a cascade is worth.
#[derive(Clone, Debug, Default)]
pub struct CascadeReport {
    /// The router that it is compared with.
    pub router: String,
    /// The figures.
    pub figures: Vec<Compared>,
    /// At the point that was chosen in training: share of requests with a second call.
    pub second_calls: f64,
    /// Mean dollars and quality at each λ.
    pub curve: Vec<(f64, f64, f64)>,
}

/// Figures of a curve, then those of the validated point.
const FIGURES: [&str; 7] = [
    "aiq",
    "hypervolume",
    "cost_ratio_at_0.95",
    "cost_ratio_at_0.99",
    "peak_quality",
    "validated_retention",
    "validated_cost_ratio",
];

/// Reads `cascade.json`.
///
/// # Errors
///
/// If it cannot be read, is of another version or names another router.
pub fn load(path: &Path, router: &Judged) -> Result<CascadeFile, JudgeCascadeError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| JudgeCascadeError::File(path.to_path_buf(), error))?;
    let file = CascadeFile::from_json(&text)
        .map_err(|error| JudgeCascadeError::Cascade(path.to_path_buf(), error))?;
    if file.router != router.version {
        return Err(JudgeCascadeError::Router {
            path: path.to_path_buf(),
            fitted: file.router,
            router: router.name.clone(),
            version: router.version.clone(),
        });
    }
    Ok(file)
}

/// Judges a cascade on the requests of a panel, each by the router and the cascade of its fold.
///
/// # Errors
///
/// If costs are unknown, or a request has no router or cascade that did not see it.
pub fn judge(
    (path, file): (&Path, &CascadeFile),
    judged: &Judged,
    (panel, table): (&Panel, &OutcomeTable),
    (seed, replicates): (u64, usize),
    (single, validated): (&[(f64, Choice)], Option<&Choice>),
) -> Result<CascadeReport, JudgeCascadeError> {
    if !panel.has_costs() {
        let names: Vec<String> = panel.unpriced.iter().map(ToString::to_string).collect();
        return Err(JudgeCascadeError::NoCosts(names.join(", ")));
    }
    let played = play((path, file), judged, panel, table)?;
    let mut sums = Sums::new(panel.n_groups);
    let mut at = |of: &dyn Fn(usize) -> (f64, f64)| At {
        quality: sums.add(&panel.group, |i| of(i).0),
        cost: sums.add(&panel.group, |i| of(i).1),
    };
    let chosen = |choice: &Choice, i: usize| {
        let model = usize::from(choice[i]);
        (panel.q(i, model), panel.c(i, model))
    };
    let n_lambdas = lambdas().len();
    let cascade = Curve {
        points: (0..n_lambdas).map(|k| at(&|i| played[i].points[k])).collect(),
        validated: Some(at(&|i| played[i].validated)),
    };
    let router = Curve {
        points: single.iter().map(|(_, choice)| at(&|i| chosen(choice, i))).collect(),
        validated: validated.map(|choice| at(&|i| chosen(choice, i))),
    };
    let all = |model: usize| vec![index(model); panel.n()];
    let singles: Vec<At> = (0..panel.m()).map(|model| at(&|i| chosen(&all(model), i))).collect();
    let count = sums.add(&panel.group, |_| 1.0);
    let matrix = sums.freeze();
    let figures = |sample: &Sample| -> Vec<Option<f64>> {
        let n = sample.total(count);
        let singles: Vec<Point> = singles.iter().map(|at| at.point(sample, n)).collect();
        let Some(span) = Span::new(&singles) else { return vec![None; 2 * FIGURES.len()] };
        [cascade.figures(sample, n, span), router.figures(sample, n, span)].concat()
    };
    let whole = figures(&matrix.whole());
    let draws = matrix.replicate(seed, replicates, figures);
    let compared = |(k, name): (usize, &'static str)| {
        let other = k + FIGURES.len();
        let missing =
            if name.starts_with("cost_ratio_at") { Missing::Above } else { Missing::Nothing };
        let of = |slot: usize| interval(whole[slot], draws.iter().map(|draw| draw[slot]), missing);
        let gap = |figures: &[Option<f64>]| Some(figures[k]? - figures[other]?);
        Compared {
            name,
            cascade: of(k),
            router: of(other),
            difference: interval(gap(&whole), draws.iter().map(|d| gap(d)), Missing::Nothing),
        }
    };
    let sample = matrix.whole();
    let n = panel.n() as f64;
    let point = |(lambda, at): (f64, &At)| {
        let point = at.point(&sample, n);
        (lambda, point.cost, point.quality)
    };
    Ok(CascadeReport {
        router: judged.name.clone(),
        figures: FIGURES.into_iter().enumerate().map(compared).collect(),
        second_calls: played.iter().filter(|played| played.is_escalated).count() as f64 / n,
        curve: lambdas().into_iter().zip(&cascade.points).map(point).collect(),
    })
}

/// Sums of quality and dollars.
#[derive(Clone, Copy, Debug)]
struct At {
    quality: Column,
    cost: Column,
}

impl At {
    fn point(self, sample: &Sample, n: f64) -> Point {
        Point { cost: sample.total(self.cost) / n, quality: sample.total(self.quality) / n }
    }
}

struct Curve {
    points: Vec<At>,
    validated: Option<At>,
}

impl Curve {
    /// See [`FIGURES`].
    fn figures(&self, sample: &Sample, n: f64, span: Span) -> Vec<Option<f64>> {
        let points: Vec<Point> = self.points.iter().map(|at| at.point(sample, n)).collect();
        let frontier = Frontier::new(&points, span);
        let validated = self.validated.map(|at| at.point(sample, n));
        vec![
            frontier.aiq(),
            frontier.hypervolume(),
            frontier.cost_at_retention(0.95),
            frontier.cost_at_retention(0.99),
            Some(frontier.peak()),
            validated.map(|point| point.quality / span.best.quality),
            validated.map(|point| point.cost / span.best.cost),
        ]
    }
}

/// What came of one request.
struct Played {
    /// Quality and dollars at each λ.
    points: Vec<(f64, f64)>,
    /// At the λ that was chosen in training.
    validated: (f64, f64),
    is_escalated: bool,
}

fn play(
    (path, file): (&Path, &CascadeFile),
    judged: &Judged,
    panel: &Panel,
    table: &OutcomeTable,
) -> Result<Vec<Played>, JudgeCascadeError> {
    let rows: HashMap<&str, usize> =
        table.requests.iter().enumerate().map(|(i, row)| (row.request_id.as_str(), i)).collect();
    let mut sides: Vec<(&Router, &Cascade)> = Vec::with_capacity(panel.n());
    for request in &panel.requests {
        let router = judged.for_request(request)?;
        let cascade = match router.manifest().provenance.cross_fit {
            None => &file.all,
            Some(cut) => file
                .held_out(cut.held_out)
                .ok_or_else(|| JudgeCascadeError::Seen(path.to_path_buf(), cut.held_out))?,
        };
        sides.push((router, cascade));
    }
    let one = |scratch: &mut Scratch, (i, (router, cascade)): (usize, &(&Router, &Cascade))| {
        let request = &panel.requests[i];
        let prediction = router.predict(&request.view(), scratch);
        let specs = router.catalog().models();
        let model = |arm: usize| panel.models.binary_search(&specs[arm].id).ok();
        let models: Vec<Option<usize>> = (0..specs.len()).map(model).collect();
        let eligible: Vec<bool> = models.iter().map(Option::is_some).collect();
        let row = rows.get(request.request_id.as_str());
        let answer = |arm: usize| {
            let column = table.models.binary_search(&specs[arm].id).ok();
            let outcome = row.zip(column).and_then(|(row, column)| table.outcome(*row, column));
            outcome.map_or_else(Answered::default, |outcome| Answered {
                status: outcome.status,
                completion_tokens: outcome.completion_tokens,
                cost: outcome.cost.map(Usd::dollars),
                latency_ms: outcome.latency_ms,
                ..Answered::default()
            })
        };
        let run = |lambda: f64| {
            let offer = Offer {
                catalog: router.catalog(),
                prediction: &prediction,
                eligible: &eligible,
                lambda,
                uncertainty_weight: router.manifest().objective.uncertainty_weight,
            };
            let asked = cascade.run(&offer, answer).into_iter();
            let asked: Vec<usize> = asked.filter_map(|arm| models[arm]).collect();
            let cost = asked.iter().map(|model| panel.c(i, *model)).sum();
            ((asked.last().map_or(0.0, |model| panel.q(i, *model)), cost), asked.len() > 1)
        };
        let (validated, is_escalated) = run(cascade.lambda);
        let points = lambdas().into_iter().map(|lambda| run(lambda).0).collect();
        Played { points, validated, is_escalated }
    };
    Ok(sides.par_iter().enumerate().map_init(Scratch::default, one).collect())
}
