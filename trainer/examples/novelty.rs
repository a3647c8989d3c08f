//! What it is worth to count uncertainty against a model, above all for unfamiliar requests.
//!
//! ```text
//! cargo run --example novelty -- logs.parquet [models] [column|hash]
//! ```
//!
//! For each fold a router is fitted on the others; what is chosen on held-out rows is chosen on
//! folds by the column (so that a column of left-out domains holds out domains there too) or by
//! hash. For requests of the fold it shows the quality of the best-looking model at several `κ`.

#![expect(clippy::print_stdout, reason = "results")]

use anyhow::{Context, Result};
use datasets::{Dataset, Folds, ModelSelection};
use rayon::prelude::*;
use router_core::{OutcomeTable, Prediction, Router, Scratch, Weights, artifact};
use trainer::build::Recipe;
use trainer::config::Config;
use trainer::crossfit::cross_fit;
use trainer::operating::Target;
use trainer::policy::PolicyChoice;
use trainer::problem::Problem;

const KAPPAS: [f64; 7] = [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0];

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let path = args.next().context("which logs?")?;
    let Dataset::Table(table) = datasets::open(&[path.into()])?.data else {
        anyhow::bail!("an outcome table is needed");
    };
    let selection: ModelSelection = args.next().unwrap_or_else(|| "*".to_owned()).parse()?;
    let table = selection.select(&table)?;
    let inner = if args.next().as_deref() == Some("hash") { Folds::Hash(5) } else { Folds::Column };
    let fold = table.requests.iter().map(|row| row.fold.context("a fold is needed"));
    let fold: Vec<i32> = fold.collect::<Result<_>>()?;
    let folds: std::collections::BTreeSet<i32> = fold.iter().copied().collect();
    let mut rows = Vec::new();
    for test in folds {
        rows.extend(judge(&table, &fold, test, inner)?);
    }
    let n = rows.len() as f64;
    let mean = |of: &dyn Fn(&Row) -> f64| rows.iter().map(of).sum::<f64>() / n;
    println!("{n} rows, {:.3} unfamiliar", mean(&|row| f64::from(u8::from(row.is_unfamiliar))));
    println!("best single of the fit {:.4}", mean(&|row| row.quality[row.reference]));
    for kappa in KAPPAS {
        println!("κ {kappa:<5} quality {:.4}", mean(&|row| row.greedy(kappa)));
    }
    Ok(())
}

struct Row {
    reference: usize,
    is_unfamiliar: bool,
    prediction: Prediction,
    quality: Vec<f64>,
}

impl Row {
    fn greedy(&self, kappa: f64) -> f64 {
        let of = |j: usize| self.prediction.score[j] - kappa * self.prediction.sd_of(j);
        let best = (0..self.quality.len()).fold(0, |b, j| if of(j) > of(b) { j } else { b });
        self.quality[best]
    }
}

fn judge(table: &OutcomeTable, fold: &[i32], test: i32, inner: Folds) -> Result<Vec<Row>> {
    let m = table.models.len();
    let kept: Vec<usize> = (0..fold.len()).filter(|i| fold[*i] != test).collect();
    let seen = OutcomeTable {
        models: table.models.clone(),
        requests: kept.iter().map(|i| table.requests[*i].clone()).collect(),
        outcomes: kept.iter().flat_map(|i| table.outcomes[i * m..][..m].iter().copied()).collect(),
    };
    let problem = Problem::new(&Dataset::Table(seen), inner)?;
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
    let known = built.manifest.uncertainty.clone().unwrap_or_default();
    let novelty = known.novelty.unwrap_or_default();
    let guard = built.manifest.provenance.metrics["guard"];
    let usual = known.quality_sd.iter().sum::<f64>() / m as f64;
    println!("fold {test}: guard {guard:.3}, sd {usual:.4}, {novelty:?}");
    let reference = built.manifest.provenance.reference.clone();
    let reference = table.models.iter().position(|id| *id == reference).unwrap_or(0);
    let bytes = artifact::to_bytes(built.manifest, Weights::Linear(Box::new(built.parts)))?;
    let router = Router::from_bytes(&bytes)?;
    let of = |scratch: &mut Scratch, row: usize| -> Option<Row> {
        let quality: Option<Vec<f64>> = (0..m).map(|j| table.quality(row, j)).collect();
        let prediction = router.predict(&table.requests[row].view(), scratch);
        let other = usize::from(reference == 0);
        let is_unfamiliar = prediction.sd_of(other) > known.quality_sd[other];
        Some(Row { reference, is_unfamiliar, prediction, quality: quality? })
    };
    let rows: Vec<usize> = (0..fold.len()).filter(|i| fold[*i] == test).collect();
    let rows: Vec<Option<Row>> = rows.into_par_iter().map_init(Scratch::default, of).collect();
    Ok(rows.into_iter().flatten().collect())
}
