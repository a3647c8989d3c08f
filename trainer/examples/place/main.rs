//! What a model is worth to a router that knows it by a few labels only.
//!
//! ```text
//! cargo run --example place -- logs.parquet [models] [draws] [left out]
//! ```
//!
//! Each model in turn is left out of the fit. Fold 0 is judged, prompts of fold 1 are labelled, the
//! other folds are fitted. From 20, 35 or 50 labels the model is placed among the others, and that
//! is compared with the mean of its labels, a ridge regression of its own on them (at its best
//! penalty on the judged rows, so favored), the prior without labels, and a router fitted on all
//! rows but fold 0 with the model in it. Differences are means over left-out models, each averaged
//! over draws of labels, with 1.96 standard errors over models.

#![expect(clippy::print_stdout, reason = "results")]

mod judge;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use datasets::{Dataset, Folds, ModelSelection};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64;
use rayon::prelude::*;
use router_core::{OutcomeTable, Prediction, Router, Scratch, Weights, artifact};
use trainer::build::Recipe;
use trainer::config::Config;
use trainer::crossfit::cross_fit;
use trainer::design::{Design, Vectorizer};
use trainer::operating::Target;
use trainer::place::member::Peers;
use trainer::place::population;
use trainer::policy::PolicyChoice;
use trainer::problem::Problem;
use trainer::ridge::{Targets, solve};

use judge::Judge;

const LABELS: [usize; 3] = [20, 35, 50];

/// Of each number of labels and method.
type Figures = BTreeMap<(usize, &'static str), Vec<f64>>;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let path = args.next().context("which logs?")?;
    let Dataset::Table(table) = datasets::open(&[path.into()])?.data else {
        anyhow::bail!("an outcome table is needed");
    };
    let selection: ModelSelection = args.next().unwrap_or_else(|| "*".to_owned()).parse()?;
    let table = selection.select(&table)?;
    let draws: usize = args.next().map_or(Ok(20), |n| n.parse())?;
    let m = table.models.len();
    let n_left_out: usize = args.next().map_or(Ok(m), |n| n.parse())?.min(m);
    let world = World::new(table)?;
    println!(
        "{} models, {} judged prompts, {} to label",
        m,
        world.judged.len(),
        world.labelled.len()
    );
    let refitted = world.fit(&world.table, |fold| fold != 0)?;
    let refitted = world.predict(&refitted);
    let mut results: BTreeMap<(usize, &'static str), Vec<Vec<f64>>> = BTreeMap::new();
    for step in 0..n_left_out {
        let model = step * m / n_left_out;
        for (key, figures) in world.leave_out(model, draws, &refitted)? {
            results.entry(key).or_default().push(figures);
        }
    }
    report(&results);
    Ok(())
}

/// Judged figures: squared error, correlation of uplift, area under the curve, quality at λ = 0.
const FIGURES: [&str; 4] = ["Brier", "uplift corr.", "AIQ", "quality"];

fn report(results: &BTreeMap<(usize, &'static str), Vec<Vec<f64>>>) {
    for (&(n, name), models) in results {
        let placed = &results[&(n, "placed")];
        let line: Vec<String> = (0..FIGURES.len())
            .map(|i| {
                let (value, _) = moments(models.iter().map(|figures| figures[i]));
                let gaps = placed.iter().zip(models).map(|(a, b)| a[i] - b[i]);
                let (gap, error) = moments(gaps);
                format!("{} {value:.4} ({gap:+.4} ±{:.4})", FIGURES[i], 1.96 * error)
            })
            .collect();
        println!("{n:>3} labels  {name:<22} {}", line.join("  "));
    }
}

/// The mean of known values, and its standard error.
fn moments(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let known: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    let n = known.len().max(1) as f64;
    let mean = known.iter().sum::<f64>() / n;
    let square: f64 = known.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (square / f64::max(n - 1.0, 1.0) / n).sqrt())
}

struct World {
    table: OutcomeTable,
    /// Complete requests of fold 0.
    judged: Vec<usize>,
    /// Complete requests of fold 1.
    labelled: Vec<usize>,
    fold: Vec<i32>,
}

impl World {
    fn new(table: OutcomeTable) -> Result<Self> {
        let m = table.models.len();
        let has_costs =
            (0..m).all(|j| (0..table.requests.len()).any(|i| table.cost(i, j).is_some()));
        let is_complete = |i: usize| {
            (0..m).all(|j| {
                table.quality(i, j).is_some() && (!has_costs || table.cost(i, j).is_some())
            })
        };
        let fold = table.requests.iter().map(|row| row.fold.context("a fold is needed"));
        let fold: Vec<i32> = fold.collect::<Result<_>>()?;
        let of = |wanted: i32| -> Vec<usize> {
            (0..fold.len()).filter(|i| fold[*i] == wanted && is_complete(*i)).collect()
        };
        Ok(Self { judged: of(0), labelled: of(1), fold, table })
    }

    /// A router fitted on some folds.
    fn fit(&self, table: &OutcomeTable, keep: impl Fn(i32) -> bool) -> Result<Router> {
        let m = table.models.len();
        let kept: Vec<usize> = (0..self.fold.len()).filter(|i| keep(self.fold[*i])).collect();
        let seen = OutcomeTable {
            models: table.models.clone(),
            requests: kept.iter().map(|i| table.requests[*i].clone()).collect(),
            outcomes: kept
                .iter()
                .flat_map(|i| table.outcomes[i * m..][..m].iter().copied())
                .collect(),
        };
        let problem = Problem::new(&Dataset::Table(seen), Folds::Column)?;
        let recipe = Recipe {
            data: Vec::new(),
            config: serde_json::Value::Null,
            seed: 0,
            target: Target::Retention(0.95),
            exploration: 0.0,
            predictor: "stack".parse().map_err(anyhow::Error::msg)?,
            policy: PolicyChoice::default(),
            uncertainty_weight: 0.0,
        };
        let built = cross_fit(&problem, &Config::default().fit_params(), &recipe, None, &|| {}).all;
        let bytes = artifact::to_bytes(built.manifest, Weights::Linear(Box::new(built.parts)))?;
        Ok(Router::from_bytes(&bytes)?)
    }

    fn predict(&self, router: &Router) -> Vec<Prediction> {
        let predict = |scratch: &mut Scratch, row: &router_core::RequestRow| {
            router.predict(&row.view(), scratch)
        };
        self.table.requests.par_iter().map_init(Scratch::default, predict).collect()
    }

    fn quality(&self, row: usize, model: usize) -> f64 {
        self.table.quality(row, model).unwrap_or(f64::NAN)
    }

    fn cost(&self, row: usize, model: usize) -> f64 {
        self.table.cost(row, model).map_or(1.0, router_core::Usd::dollars)
    }

    /// Mean figures of each method over draws of labels for one model.
    fn leave_out(&self, model: usize, draws: usize, refitted: &[Prediction]) -> Result<Figures> {
        let others: Vec<usize> = (0..self.table.models.len()).filter(|j| *j != model).collect();
        let table = OutcomeTable {
            models: others.iter().map(|j| self.table.models[*j].clone()).collect(),
            requests: self.table.requests.clone(),
            outcomes: (0..self.fold.len())
                .flat_map(|i| others.iter().map(move |j| (i, *j)))
                .map(|(i, j)| self.table.outcome(i, j).copied())
                .collect(),
        };
        let router = self.fit(&table, |fold| fold > 1)?;
        let reference = router.manifest().provenance.reference.as_str();
        let reference = self.table.models.iter().position(|id| id.as_str() == reference);
        let left_out = LeftOut {
            peers: Peers::new(router.manifest()),
            expected: self.predict(&router),
            others,
            judge: Judge { world: self, model, reference: reference.unwrap_or(0) },
        };
        let all = left_out.judge.figures(&left_out.judge.refitted(refitted));
        let mut sums: BTreeMap<(usize, &'static str), Vec<Vec<f64>>> = BTreeMap::new();
        let mut rng = Pcg64::seed_from_u64(model as u64);
        for _ in 0..draws {
            let mut order = self.labelled.clone();
            order.shuffle(&mut rng);
            for n in LABELS {
                for (name, figures) in left_out.methods(&order[..n.min(order.len())]) {
                    sums.entry((n, name)).or_default().push(figures);
                }
                sums.entry((n, "all rows, fitted again")).or_default().push(all.clone());
            }
        }
        let mean = |draws: Vec<Vec<f64>>| -> Vec<f64> {
            (0..FIGURES.len()).map(|i| moments(draws.iter().map(|d| d[i])).0).collect()
        };
        Ok(sums.into_iter().map(|(key, draws)| (key, mean(draws))).collect())
    }

    /// Ridge regression on the labelled rows alone, per penalty: scores of the judged rows.
    fn own_ridge(&self, rows: &[usize], labels: &[f64]) -> Vec<Vec<f64>> {
        let params = Config::default().fit_params();
        let raw = |rows: &[usize]| -> Vec<_> {
            let read = |row: &usize| {
                let view = self.table.requests[*row].view();
                router_core::features::raw_features(&view, &mut Default::default())
            };
            rows.par_iter().map(read).collect()
        };
        let (raw, judged) = (raw(rows), raw(&self.judged));
        let raw: Vec<_> = raw.iter().collect();
        let vectorizer = Vectorizer::fit(params.vectorizer, &raw);
        let mean = labels.iter().sum::<f64>() / labels.len() as f64;
        #[expect(clippy::cast_possible_truncation, reason = "targets are f32")]
        let values = labels.iter().map(|label| (label - mean) as f32).collect();
        let targets = Targets { k: 1, values, weights: vec![1.0; labels.len()] };
        let solutions = solve(&Design::new(&vectorizer, &raw), &targets, &params.ridge);
        let vectors: Vec<_> = judged.iter().map(|raw| vectorizer.row(raw)).collect();
        let score = |solution: &Vec<f32>, row: &[(u32, f32)]| {
            mean + row.iter().map(|(c, x)| f64::from(solution[*c as usize] * x)).sum::<f64>()
        };
        let of = |solution| vectors.iter().map(|row| score(solution, row)).collect();
        solutions.iter().map(of).collect()
    }
}

/// A model that a router does not know.
struct LeftOut<'a> {
    peers: Peers,
    /// What the router expects of every request.
    expected: Vec<Prediction>,
    others: Vec<usize>,
    judge: Judge<'a>,
}

impl LeftOut<'_> {
    fn known(&self, row: usize) -> Vec<f64> {
        self.peers.unguarded(&self.expected[row].score)
    }

    /// The figures of each method from labels of these rows.
    fn methods(&self, rows: &[usize]) -> Vec<(&'static str, Vec<f64>)> {
        let (world, model) = (self.judge.world, self.judge.model);
        let labels: Vec<f64> = rows.iter().map(|row| world.quality(*row, model)).collect();
        let n = labels.len() as f64;
        let cost = rows.iter().map(|row| world.cost(*row, model)).sum::<f64>() / n;
        let mean = labels.iter().sum::<f64>() / n;
        let scores: Vec<Vec<f64>> = rows.iter().map(|row| self.known(*row)).collect();
        let residual = |row: &usize| -> Vec<f64> {
            let of = self.others.iter().zip(&self.expected[*row].quality);
            of.map(|(j, expected)| world.quality(*row, *j) - expected).collect()
        };
        let residuals: Vec<Vec<f64>> = rows.iter().map(residual).collect();
        let nothing = vec![Vec::new(); rows.len()];
        let (placed, _) = self.peers.quality(&scores, &labels, &residuals);
        let (alone, _) = self.peers.quality(&scores, &labels, &nothing);
        let prior = population::place(self.others.len(), &[], &[], self.peers.prior(&scores));
        let figures = |own: &dyn Fn(usize) -> f64| {
            let own: Vec<f64> = world.judged.iter().map(|row| own(*row)).collect();
            self.judge.figures(&self.judge.enlarged(&self.expected, &own, cost))
        };
        let less = |sds: f64| {
            figures(&|row| placed.mean(&self.known(row)) - sds * placed.sd(&self.known(row)))
        };
        let ridge = world.own_ridge(rows, &labels).into_iter();
        let ridge =
            ridge.map(|own| self.judge.figures(&self.judge.enlarged(&self.expected, &own, cost)));
        vec![
            ("placed", less(0.0)),
            ("placed less sd / 2", less(0.5)),
            ("placed less sd", less(1.0)),
            ("placed, no difficulty", figures(&|row| alone.mean(&self.known(row)))),
            ("mean of labels", figures(&|_| mean)),
            ("prior alone", figures(&|row| prior.mean(&self.known(row)))),
            (
                "own ridge, best penalty",
                ridge.min_by(|a, b| a[0].total_cmp(&b[0])).unwrap_or_default(),
            ),
            ("without it", figures(&|_| -1e3)),
        ]
    }
}
