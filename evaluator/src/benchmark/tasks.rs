//! Cost and accuracy retention of each task: `spec/routing.md`, section 4.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::Options;
use crate::bootstrap::{interval, multiplicities};
use crate::metric::Missing;
use crate::panel::Panel;
use crate::policy::Policy;
use crate::report::{TaskReport, TaskRow};
use crate::split::best_single;

/// Tasks with fewer requests are pooled.
const MIN_TASK: usize = 30;
/// Where the small tasks are pooled.
const OTHER: &str = "other";
/// Reference qualities below this make a ratio meaningless; they are left out of the macro mean.
const MIN_REFERENCE: f64 = 0.05;

/// Sums over the requests of a task.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    n: f64,
    quality: f64,
    reference: f64,
    cost: f64,
    reference_cost: f64,
}

impl Totals {
    fn retention(&self) -> Option<f64> {
        (self.reference > 0.0).then(|| self.quality / self.reference)
    }

    fn cost_ratio(&self) -> Option<f64> {
        (self.reference_cost > 0.0).then(|| self.cost / self.reference_cost)
    }
}

/// The per-task table of a policy's deployed point; `None` without labels.
pub(super) fn tasks(panel: &Panel, policy: &Policy, options: &Options) -> Option<TaskReport> {
    let choices = policy.deployed_choices()?;
    let (names, task) = pooled(&panel.task_labels()?);
    let all: Vec<usize> = (0..panel.n()).collect();
    let reference = best_single(&panel.means(&all));
    let gather = |times: &[f64]| {
        let mut totals = vec![Totals::default(); names.len()];
        for (i, choice) in choices.iter().enumerate() {
            let (w, chosen) = (times[panel.group[i]], usize::from(*choice));
            let total = &mut totals[task[i]];
            total.n += w;
            total.quality += w * panel.q(i, chosen);
            total.reference += w * panel.q(i, reference);
            total.cost += w * panel.c(i, chosen);
            total.reference_cost += w * panel.c(i, reference);
        }
        totals
    };
    let whole = gather(&vec![1.0; panel.n_groups]);
    let draws: Vec<Vec<Totals>> = (0..options.replicates)
        .into_par_iter()
        .map(|draw| gather(&multiplicities(options.seed, draw, panel.n_groups)))
        .collect();
    let target = target(policy.deployed_name().unwrap_or_default());
    let row = |(t, name): (usize, &String)| {
        let total = whole[t];
        let of = |ratio: fn(&Totals) -> Option<f64>| {
            interval(ratio(&total), draws.iter().map(|d| ratio(&d[t])), Missing::Nothing)
        };
        let retention = of(Totals::retention);
        let mix = mix(panel, choices, &|i| task[i] == t);
        TaskRow {
            task: name.clone(),
            n: task.iter().filter(|of| **of == t).count(),
            reference_quality: total.reference / total.n,
            quality: total.quality / total.n,
            reference_cost: panel.has_costs().then(|| total.reference_cost / total.n),
            cost_ratio: of(Totals::cost_ratio),
            is_flagged: retention.and_then(|r| r.high).is_some_and(|high| high < target),
            retention,
            mix,
        }
    };
    let micro = |totals: &[Totals]| {
        let sum = |of: fn(&Totals) -> f64| totals.iter().map(of).sum::<f64>();
        let reference = sum(|t| t.reference);
        (reference > 0.0).then(|| sum(|t| t.quality) / reference)
    };
    let over = |mean: &dyn Fn(&[Totals]) -> Option<f64>| {
        interval(mean(&whole), draws.iter().map(|draw| mean(draw)), Missing::Nothing)
    };
    Some(TaskReport {
        target,
        macro_retention: over(&macro_mean),
        micro_retention: over(&micro),
        rows: names.iter().enumerate().map(row).collect(),
    })
}

/// Mean of per-task retention over tasks that the reference can do at all.
fn macro_mean(totals: &[Totals]) -> Option<f64> {
    let can = |total: &&Totals| total.n > 0.0 && total.reference / total.n >= MIN_REFERENCE;
    let retentions: Vec<f64> = totals.iter().filter(can).filter_map(Totals::retention).collect();
    (!retentions.is_empty()).then(|| retentions.iter().sum::<f64>() / retentions.len() as f64)
}

/// The retention that an operating point promises; 0.95 if it promises none.
fn target(name: &str) -> f64 {
    let promised = name.rsplit_once("retention=").and_then(|(_, value)| value.parse().ok());
    promised.unwrap_or(0.95)
}

/// Labels in order, the small ones pooled, and the label of each request.
fn pooled(labels: &[&str]) -> (Vec<String>, Vec<usize>) {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for label in labels {
        *count.entry(label).or_default() += 1;
    }
    let mut names: Vec<String> = count
        .iter()
        .filter(|(name, n)| **n >= MIN_TASK && **name != OTHER)
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let n_large = names.len();
    let place =
        |label: &&str| names.binary_search_by(|name| name.as_str().cmp(label)).unwrap_or(n_large);
    let task: Vec<usize> = labels.iter().map(place).collect();
    if task.contains(&n_large) {
        names.push(OTHER.to_owned());
    }
    (names, task)
}

/// Share of each model among the chosen ones, most frequent first.
fn mix(panel: &Panel, choices: &[u16], is_in: &dyn Fn(usize) -> bool) -> Vec<(String, f64)> {
    let mut count = vec![0usize; panel.m()];
    let mut n = 0usize;
    for (i, choice) in choices.iter().enumerate().filter(|(i, _)| is_in(*i)) {
        debug_assert!(i < panel.n());
        count[usize::from(*choice)] += 1;
        n += 1;
    }
    let mut mix: Vec<(String, f64)> = count
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0)
        .map(|(j, count)| (panel.models[j].to_string(), *count as f64 / n as f64))
        .collect();
    mix.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    mix
}
