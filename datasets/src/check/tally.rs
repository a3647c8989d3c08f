//! What a check counts, row by row.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use router_core::{Status, Usd};

use super::{MissingReport, ModelReport, PropensityReport, Report, Suspicion};
use crate::assemble::Conflict;
use crate::schema::{self, FIELDS};
use crate::split::default_group;
use crate::validate::Row;

/// A cost this many times its model's median is odd.
const DEAR: f64 = 100.0;

/// How far a sum of probabilities may be from 1.
const EXACT: f64 = 1e-9;

#[derive(Debug, Default)]
struct ModelTally {
    n_rows: usize,
    n_judged: usize,
    quality: f64,
    cost: Usd,
    /// Known costs in nano-dollars, with the place of each.
    costs: Vec<(i64, (usize, usize))>,
}

/// Counts of the accepted rows.
#[derive(Debug, Default)]
pub(super) struct Tally {
    file: usize,
    files: Vec<String>,
    columns: BTreeSet<String>,
    n_rows: usize,
    requests: HashSet<String>,
    /// Fold of the first request of each group.
    folds: HashMap<String, i32>,
    models: BTreeMap<String, ModelTally>,
    n_known: BTreeMap<&'static str, usize>,
    propensity: Option<PropensityReport>,
    n_propensities: usize,
    suspicious: BTreeMap<String, (usize, (usize, usize))>,
}

impl Tally {
    pub(super) fn start_file(&mut self, name: &str) {
        self.file = self.files.len();
        self.files.push(name.to_owned());
    }

    pub(super) fn add_columns(&mut self, columns: &[String]) {
        self.columns.extend(columns.iter().cloned());
    }

    pub(super) fn add(&mut self, row: &Row<'_>) {
        self.n_rows += 1;
        if !self.requests.contains(row.request_id) {
            self.requests.insert(row.request_id.to_owned());
            self.add_group(row);
        }
        for (column, is_known) in known(row) {
            *self.n_known.entry(column).or_default() += usize::from(is_known);
        }
        self.add_model(row);
        self.add_propensity(row);
        self.add_suspicions(row);
    }

    /// A split by `fold` must not separate a group.
    fn add_group(&mut self, row: &Row<'_>) {
        let Some(fold) = row.fold else { return };
        let group = row.group.map_or_else(|| default_group(row.prompt), ToOwned::to_owned);
        if *self.folds.entry(group).or_insert(fold) != fold {
            self.suspect("a group in more than one fold, which a split would separate", row.row);
        }
    }

    fn add_model(&mut self, row: &Row<'_>) {
        if !self.models.contains_key(row.model) {
            self.models.insert(row.model.to_owned(), ModelTally::default());
        }
        let Some(model) = self.models.get_mut(row.model) else { return };
        model.n_rows += 1;
        if let Some(quality) = row.outcome.quality {
            model.n_judged += 1;
            model.quality += quality.get();
        }
        if let Some(cost) = row.outcome.cost {
            model.cost += cost;
            model.costs.push((cost.nanos(), (self.file, row.row)));
        }
    }

    fn add_propensity(&mut self, row: &Row<'_>) {
        let Some(propensity) = row.propensity else { return };
        let p = propensity.get();
        self.n_propensities += 1;
        let report = self.propensity.get_or_insert(PropensityReport {
            min: p,
            max: p,
            mean_inverse: 0.0,
            n_pmf: 0,
            max_sum_error: 0.0,
            max_entry_error: 0.0,
        });
        report.min = report.min.min(p);
        report.max = report.max.max(p);
        report.mean_inverse += (1.0 / p - report.mean_inverse) / self.n_propensities as f64;
        let Some((_, entry)) = row.pmf.iter().find(|(model, _)| model.as_str() == row.model) else {
            return;
        };
        let sum: f64 = row.pmf.iter().map(|(_, probability)| probability).sum();
        let (sum_error, entry_error) = ((sum - 1.0).abs(), (entry - p).abs());
        report.n_pmf += 1;
        report.max_sum_error = report.max_sum_error.max(sum_error);
        report.max_entry_error = report.max_entry_error.max(entry_error);
        if sum_error > EXACT {
            self.suspect("the pmf misses 1 by more than 1e-9", row.row);
        }
        if entry_error > EXACT {
            self.suspect("the propensity misses its entry of the pmf by more than 1e-9", row.row);
        }
    }

    fn add_suspicions(&mut self, row: &Row<'_>) {
        let outcome = &row.outcome;
        if outcome.status != Status::Ok && outcome.quality.is_some_and(|q| q.get() > 0.0) {
            self.suspect("a quality above 0 although the call failed", row.row);
        }
        if outcome.cost == Some(Usd::ZERO) && outcome.status == Status::Ok {
            self.suspect("a cost of 0 (unknown is null)", row.row);
        }
        if row.prompt.trim().is_empty() {
            self.suspect("an empty prompt", row.row);
        }
        if outcome.completion_tokens.is_some_and(|tokens| tokens.0 == 0) {
            self.suspect("an answer of 0 completion tokens", row.row);
        }
        if row.propensity.is_some() && row.policy.is_none() {
            self.suspect("a propensity without the version of its policy", row.row);
        }
    }

    fn suspect(&mut self, what: &str, row: usize) {
        self.suspect_at(what.to_owned(), (self.file, row));
    }

    fn suspect_at(&mut self, what: String, place: (usize, usize)) {
        self.suspicious.entry(what).or_insert((0, place)).0 += 1;
    }

    pub(super) fn add_conflicts(&mut self, conflicts: &[Conflict], files: &[String]) {
        debug_assert_eq!(files, self.files);
        let mut requests = BTreeSet::new();
        let first = conflicts.first().map(|conflict| (conflict.file, conflict.row));
        for conflict in conflicts {
            requests.insert(conflict.request);
        }
        if let Some(first) = first {
            let n_requests = requests.len();
            let what =
                format!("another prompt than the first of its request ({n_requests} requests)");
            self.suspicious.insert(what, (conflicts.len(), first));
        }
    }

    fn add_dear(&mut self) {
        let mut dear = Vec::new();
        for (name, model) in &mut self.models {
            model.costs.sort_unstable();
            let Some((median, _)) = model.costs.get(model.costs.len() / 2) else { continue };
            let bound = *median as f64 * DEAR;
            for (nanos, place) in &model.costs {
                if *median > 0 && *nanos as f64 > bound {
                    dear.push((format!("{name}: a cost above 100 times its median"), *place));
                }
            }
        }
        for (what, place) in dear {
            self.suspect_at(what, place);
        }
    }

    pub(super) fn finish(mut self, report: &mut Report) {
        self.add_dear();
        report.n_requests = self.requests.len();
        report.n_models = self.models.len();
        if report.n_models == 1 {
            let what = "only one model: there is no choice to learn".to_owned();
            self.suspicious.insert(what, (self.n_rows, (0, 0)));
        }
        report.models = self.models.iter().map(|(name, model)| model.report(name)).collect();
        for field in FIELDS {
            if self.columns.is_empty() {
                break;
            } else if !self.columns.contains(field.name) {
                report.absent.push(field.name.to_owned());
            } else if let Some(n_known) = self.n_known.get(field.name)
                && *n_known < self.n_rows
            {
                let n_null = self.n_rows - n_known;
                report.missing.push(MissingReport { column: field.name.to_owned(), n_null });
            }
        }
        report.propensity = self.propensity;
        let files = &self.files;
        report.suspicious = self
            .suspicious
            .into_iter()
            .map(|(what, (n_rows, (file, row)))| {
                let first = format!("{}:{row}", files.get(file).map_or("", String::as_str));
                Suspicion { what, n_rows, first }
            })
            .collect();
    }
}

impl ModelTally {
    fn report(&self, name: &str) -> ModelReport {
        let mean = |sum: f64, n: usize| (n > 0).then(|| sum / n as f64);
        ModelReport {
            model: name.to_owned(),
            n_rows: self.n_rows,
            mean_quality: mean(self.quality, self.n_judged),
            mean_cost_usd: mean(self.cost.dollars(), self.costs.len()),
            n_unjudged: self.n_rows - self.n_judged,
            n_unpriced: self.n_rows - self.costs.len(),
        }
    }
}

/// Which of the columns that may be null are known in a row.
fn known(row: &Row<'_>) -> [(&'static str, bool); 17] {
    let outcome = &row.outcome;
    [
        (schema::QUALITY, outcome.quality.is_some()),
        (schema::COST_USD, outcome.cost.is_some()),
        (schema::PROMPT_TOKENS, outcome.prompt_tokens.is_some()),
        (schema::COMPLETION_TOKENS, outcome.completion_tokens.is_some()),
        (schema::LATENCY_MS, outcome.latency_ms.is_some()),
        (schema::TASK, row.task.is_some()),
        (schema::DOMAIN, row.domain.is_some()),
        (schema::DIFFICULTY, row.difficulty.is_some()),
        (schema::GROUP, row.group.is_some()),
        (schema::FOLD, row.fold.is_some()),
        (schema::TIMESTAMP, row.timestamp_us.is_some()),
        (schema::PROPENSITY, row.propensity.is_some()),
        (schema::POLICY, row.policy.is_some()),
        (schema::PMF, !row.pmf.is_empty()),
        (schema::QUALITY_SOURCE, row.quality_source.is_some()),
        (schema::TENANT, row.tenant.is_some()),
        (schema::TIER, row.tier.is_some()),
    ]
}
