//! Policies on a panel, prepared so that a bootstrap draw is a product of sums.

mod figures;

use std::collections::BTreeMap;

use crate::bootstrap::{Column, Matrix, Sample, Sums};
use crate::metric::calibration::{Sorted, log_loss, squared_error};
use crate::metric::frontier::Span;
use crate::metric::hull::Point;
use crate::metric::two_model::{Pair, Ranking};
use crate::panel::Panel;
use crate::policy::{Plan, Policy, Roles};
use crate::split::best_single;
use crate::sweep::{Choice, REGRET_AT, index};

/// λ at which regret is measured where costs are known.
pub const REGRET_LAMBDA: f64 = 0.1;

/// Policies and the sums that their figures are made of.
pub struct Study<'a> {
    panel: &'a Panel,
    policies: Vec<Prepared>,
    /// Every single model.
    singles: Vec<At>,
    count: Column,
    oracle: Column,
    /// `max_j q − λ·c/c_ref`.
    best_utility: Column,
    reference_cost: f64,
    solvable: Column,
    pair: Option<Pair>,
    matrix: Matrix,
}

/// Sums of quality and dollars.
#[derive(Clone, Copy, Debug)]
struct At {
    quality: Column,
    cost: Column,
}

struct Prepared {
    plan: Plan,
    points: Vec<At>,
    regret: usize,
    deployed: Option<Deployed>,
    ranking: Option<Ranking>,
    calibration: Option<Calibration>,
    validated: Vec<At>,
}

struct Deployed {
    at: At,
    risk: Column,
    waste: Column,
    /// Over solvable requests: quality, perfect answers, cheapest perfect chosen.
    accuracy: Column,
    perfect: Column,
    selection: Column,
    /// Over those answered perfectly: cheapest perfect cost, and chosen cost.
    cheapest_cost: Column,
    chosen_cost: Column,
}

struct Calibration {
    models: Vec<Sorted>,
    uplift: Sorted,
    brier: Column,
    log_loss: Option<Column>,
}

/// The model that others are compared with, and what could be done for each request.
struct Truth {
    reference: usize,
    /// The cheapest model with a perfect answer.
    cheapest_perfect: Vec<Option<usize>>,
}

struct Builder<'a> {
    panel: &'a Panel,
    sums: Sums,
    known: BTreeMap<Choice, At>,
    truth: Truth,
}

impl<'a> Study<'a> {
    /// Prepares policies. `pair` says which of two models is the strong one.
    pub fn new(panel: &'a Panel, policies: &[Policy], pair: Option<Roles>) -> Self {
        let mut builder = Builder::new(panel);
        let rows: Vec<usize> = (0..panel.n()).collect();
        let reference_cost = panel.means(&rows)[builder.truth.reference].1;
        let singles: Vec<At> =
            (0..panel.m()).map(|j| builder.choice(&vec![index(j); panel.n()])).collect();
        let count = builder.column(|_| 1.0);
        let best = |i: usize| (0..panel.m()).map(|j| panel.q(i, j)).fold(0.0, f64::max);
        let oracle = builder.column(best);
        let utility = |i: usize, j: usize| {
            panel.q(i, j) - REGRET_LAMBDA * panel.c(i, j) / reference_cost.max(f64::MIN_POSITIVE)
        };
        let best_utility = builder
            .column(|i| (0..panel.m()).map(|j| utility(i, j)).fold(f64::NEG_INFINITY, f64::max));
        let perfect = builder.truth.cheapest_perfect.clone();
        let solvable = builder.column(|i| flag(perfect[i].is_some()));
        let pair = pair.map(|roles| pair_of(panel, roles));
        let policies = policies.iter().map(|policy| builder.policy(policy)).collect();
        Self {
            panel,
            policies,
            singles,
            count,
            oracle,
            best_utility,
            reference_cost,
            solvable,
            pair,
            matrix: builder.sums.freeze(),
        }
    }

    /// The sums, to draw from.
    pub fn matrix(&self) -> &Matrix {
        &self.matrix
    }

    /// What two models did, if there are two.
    pub fn pair(&self) -> Option<&Pair> {
        self.pair.as_ref()
    }

    fn point(&self, sample: &Sample, at: At) -> Point {
        let n = sample.total(self.count);
        Point { cost: sample.total(at.cost) / n, quality: sample.total(at.quality) / n }
    }

    fn single_points(&self, sample: &Sample) -> Vec<Point> {
        self.singles.iter().map(|at| self.point(sample, *at)).collect()
    }

    /// The points of a policy on a sample, in the order of its plan.
    pub fn points(&self, sample: &Sample, policy: usize) -> Vec<Point> {
        let singles = self.single_points(sample);
        match &self.policies[policy].plan {
            Plan::Choices(_) => {
                self.policies[policy].points.iter().map(|at| self.point(sample, *at)).collect()
            }
            Plan::Singles => singles,
            Plan::Mix => {
                Span::new(&singles).map_or_else(Vec::new, |span| vec![span.cheapest, span.best])
            }
            Plan::Uniform => vec![mean_point(&singles)],
        }
    }

    fn times<'s>(&'s self, sample: &'s Sample) -> impl Fn(usize) -> f64 + 's {
        |request| sample.times[self.panel.group[request]]
    }
}

fn mean_point(points: &[Point]) -> Point {
    let n = points.len() as f64;
    Point {
        cost: points.iter().map(|point| point.cost).sum::<f64>() / n,
        quality: points.iter().map(|point| point.quality).sum::<f64>() / n,
    }
}

fn pair_of(panel: &Panel, roles: Roles) -> Pair {
    let rows = 0..panel.n();
    let cost = |i| (panel.c(i, roles.weak), panel.c(i, roles.strong));
    Pair {
        weak: rows.clone().map(|i| panel.q(i, roles.weak)).collect(),
        strong: rows.clone().map(|i| panel.q(i, roles.strong)).collect(),
        costs: if panel.has_costs() { rows.map(cost).collect() } else { Vec::new() },
    }
}

fn flag(is_true: bool) -> f64 {
    f64::from(u8::from(is_true))
}

impl<'a> Builder<'a> {
    fn new(panel: &'a Panel) -> Self {
        let rows: Vec<usize> = (0..panel.n()).collect();
        let perfect = |i: usize| {
            let good = (0..panel.m()).filter(|j| panel.q(i, *j) >= 1.0);
            good.min_by(|a, b| panel.c(i, *a).total_cmp(&panel.c(i, *b)))
        };
        let truth = Truth {
            reference: best_single(&panel.means(&rows)),
            cheapest_perfect: rows.iter().map(|i| perfect(*i)).collect(),
        };
        Self { panel, sums: Sums::new(panel.n_groups), known: BTreeMap::new(), truth }
    }

    fn column(&mut self, value: impl Fn(usize) -> f64) -> Column {
        self.sums.add(&self.panel.group, value)
    }

    /// The sums of a choice; equal choices share them.
    fn choice(&mut self, choice: &Choice) -> At {
        if let Some(at) = self.known.get(choice) {
            return *at;
        }
        let panel = self.panel;
        let at = At {
            quality: self.column(|i| panel.q(i, usize::from(choice[i]))),
            cost: self.column(|i| panel.c(i, usize::from(choice[i]))),
        };
        self.known.insert(choice.clone(), at);
        at
    }

    fn policy(&mut self, policy: &Policy) -> Prepared {
        let points: Vec<At> = match &policy.plan {
            Plan::Choices(points) => points.iter().map(|(_, choice)| self.choice(choice)).collect(),
            Plan::Singles | Plan::Mix | Plan::Uniform => Vec::new(),
        };
        let is_mix = policy.plan == Plan::Mix;
        let constant = || is_mix.then(|| Ranking::new(&vec![0.0; self.panel.n()]));
        Prepared {
            plan: policy.plan.clone(),
            regret: if points.len() > REGRET_AT { REGRET_AT } else { 0 },
            ranking: policy.uplift.as_deref().map(Ranking::new).or_else(constant),
            calibration: policy.quality.as_deref().map(|quality| self.calibration(quality)),
            deployed: policy.deployed_choices().map(|choice| self.deployed(choice)),
            validated: policy.validated.iter().map(|v| self.choice(&v.choices)).collect(),
            points,
        }
    }

    fn deployed(&mut self, choice: &Choice) -> Deployed {
        let panel = self.panel;
        let chosen = |i: usize| usize::from(choice[i]);
        let reference = self.truth.reference;
        let perfect = std::mem::take(&mut self.truth.cheapest_perfect);
        let cheapest = |i: usize| perfect[i].filter(|_| panel.q(i, chosen(i)) >= 1.0);
        let is_risk = |i: usize| {
            panel.c(i, chosen(i)) < panel.c(i, reference)
                && panel.q(i, chosen(i)) < panel.q(i, reference)
        };
        let is_waste = |i: usize| {
            let (cost, quality) = (panel.c(i, chosen(i)), panel.q(i, chosen(i)));
            (0..panel.m()).any(|j| panel.c(i, j) < cost && panel.q(i, j) >= quality)
        };
        let is_selected =
            |i: usize| cheapest(i).is_some_and(|best| panel.c(i, chosen(i)) <= panel.c(i, best));
        let deployed = Deployed {
            at: self.choice(choice),
            risk: self.column(|i| flag(is_risk(i))),
            waste: self.column(|i| flag(is_waste(i))),
            accuracy: self.column(|i| perfect[i].map_or(0.0, |_| panel.q(i, chosen(i)))),
            perfect: self.column(|i| flag(cheapest(i).is_some())),
            selection: self.column(|i| flag(is_selected(i))),
            cheapest_cost: self.column(|i| cheapest(i).map_or(0.0, |best| panel.c(i, best))),
            chosen_cost: self.column(|i| cheapest(i).map_or(0.0, |_| panel.c(i, chosen(i)))),
        };
        self.truth.cheapest_perfect = perfect;
        deployed
    }

    fn calibration(&mut self, quality: &[f64]) -> Calibration {
        let panel = self.panel;
        let m = panel.m();
        let ids: Vec<&str> = panel.requests.iter().map(|row| row.request_id.as_str()).collect();
        let rows = || 0..panel.n();
        let of = |j: usize| {
            let predicted: Vec<f64> = rows().map(|i| quality[i * m + j]).collect();
            let observed: Vec<f64> = rows().map(|i| panel.q(i, j)).collect();
            Sorted::new(&predicted, &observed, &ids)
        };
        let mean = |i: usize, loss: fn(f64, f64) -> f64| {
            (0..m).map(|j| loss(quality[i * m + j], panel.q(i, j))).sum::<f64>() / m as f64
        };
        let binary = panel.is_binary();
        let (best, cheap) = uplift_models(panel, self.truth.reference);
        let predicted: Vec<f64> =
            rows().map(|i| quality[i * m + best] - quality[i * m + cheap]).collect();
        let observed: Vec<f64> = rows().map(|i| panel.q(i, best) - panel.q(i, cheap)).collect();
        Calibration {
            models: (0..m).map(of).collect(),
            uplift: Sorted::new(&predicted, &observed, &ids),
            brier: self.column(|i| mean(i, squared_error)),
            log_loss: binary.then(|| self.column(|i| mean(i, log_loss))),
        }
    }
}

/// The models whose difference is the uplift: the best single one, and the cheapest, or without
/// costs the weakest.
pub fn uplift_models(panel: &Panel, best: usize) -> (usize, usize) {
    let rows: Vec<usize> = (0..panel.n()).collect();
    let means = panel.means(&rows);
    let weight = |j: usize| if panel.has_costs() { means[j].1 } else { means[j].0 };
    let others = (0..panel.m()).filter(|j| *j != best);
    (best, others.min_by(|a, b| weight(*a).total_cmp(&weight(*b))).unwrap_or(best))
}
