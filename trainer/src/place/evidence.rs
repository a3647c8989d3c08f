//! What a data set says of models that a router does not know.

use std::collections::BTreeMap;

use datasets::Dataset;
use rayon::prelude::*;
use router_core::{Catalog, ModelId, Outcome, Prediction, RequestRow, Router, Scratch};

/// One prompt that a new model answered.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// What the router expects of its models.
    pub prediction: Prediction,
    /// What came of the new model.
    pub outcome: Outcome,
    /// Quality less predicted quality of the known models that answered the prompt too.
    pub residuals: Vec<f64>,
}

/// The models of a data set that a catalog lacks, in the order of their ids.
pub fn new_models(data: &Dataset, catalog: &Catalog) -> Vec<ModelId> {
    let mut models: Vec<ModelId> = match data {
        Dataset::Table(table) => table.models.clone(),
        Dataset::Log(log) => log.iter().map(|row| row.model.clone()).collect(),
    };
    models.sort();
    models.dedup();
    models.retain(|model| catalog.arm(model.as_str()).is_none());
    models
}

/// What the requests that are kept say of each of some new models.
pub fn evidence(
    router: &Router,
    data: &Dataset,
    models: &[ModelId],
    keep: &(dyn Fn(&RequestRow) -> bool + Sync),
) -> BTreeMap<ModelId, Vec<Labelled>> {
    let rows: Vec<_> = rows(data).into_iter().filter(|(request, _)| keep(request)).collect();
    let read = |scratch: &mut Scratch, (request, answers): &Answered<'_>| {
        if !answers.iter().any(|(model, _)| models.contains(model)) {
            return Vec::new();
        }
        let prediction = router.predict(&request.view(), scratch);
        let residual = |(model, outcome): &(&ModelId, &Outcome)| {
            let arm = router.catalog().arm(model.as_str())?;
            Some(outcome.quality?.get() - prediction.quality[arm])
        };
        let residuals: Vec<f64> = answers.iter().filter_map(residual).collect();
        let new = answers.iter().filter(|(model, _)| models.contains(model));
        new.map(|(model, outcome)| {
            let (prediction, residuals) = (prediction.clone(), residuals.clone());
            ((*model).clone(), Labelled { prediction, outcome: **outcome, residuals })
        })
        .collect()
    };
    let read: Vec<Vec<(ModelId, Labelled)>> =
        rows.par_iter().map_init(Scratch::default, read).collect();
    let mut found: BTreeMap<ModelId, Vec<Labelled>> =
        models.iter().map(|model| (model.clone(), Vec::new())).collect();
    for (model, labelled) in read.into_iter().flatten() {
        found.entry(model).or_default().push(labelled);
    }
    found
}

/// A request, and the answers that are known.
type Answered<'a> = (&'a RequestRow, Vec<(&'a ModelId, &'a Outcome)>);

fn rows(data: &Dataset) -> Vec<Answered<'_>> {
    match data {
        Dataset::Table(table) => {
            let cells = table.outcomes.chunks_exact(table.models.len().max(1));
            let rows = table.requests.iter().zip(cells);
            rows.map(|(request, cells)| {
                let known = table.models.iter().zip(cells);
                (request, known.filter_map(|(m, outcome)| Some((m, outcome.as_ref()?))).collect())
            })
            .collect()
        }
        Dataset::Log(log) => {
            log.iter().map(|row| (&row.request, vec![(&row.model, &row.outcome)])).collect()
        }
    }
}
