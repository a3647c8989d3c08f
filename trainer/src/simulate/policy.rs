//! The policies that are compared: what each knows, and how likely it draws each model.

use anyhow::Result;
use clap::ValueEnum;
use router_core::bandit::{BurnIn, Learner, LearnerParams, LinearPosterior, Memory, Pacer, Scheme};
use router_core::exploration;
use serde::Serialize;

use super::pricing::{PACING, RESERVE, Scale};
use super::replay::{Moment, Setting};
use super::world::{World, by_preference};

/// Prior precision of each weight.
const RIDGE: f64 = 0.5;

/// A policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[value(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum PolicyKind {
    /// How likely each model's draw from its posterior is the best.
    Thompson,
    /// Inverse-gap weighting.
    #[value(name = "squarecb")]
    #[serde(rename = "squarecb")]
    SquareCb,
    /// The best mean, but a share uniformly.
    EpsilonGreedy,
    /// The best mean as of the training table; learns nothing, but keeps to the budget.
    Offline,
    /// Every model alike.
    Uniform,
    /// The best model that the budget affords.
    BestSingle,
    /// The cheapest model.
    Cheapest,
    /// Knows every outcome, and the price of money at which the budget is just spent.
    Oracle,
}

impl PolicyKind {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Thompson => "thompson",
            Self::SquareCb => "squarecb",
            Self::EpsilonGreedy => "epsilon_greedy",
            Self::Offline => "offline",
            Self::Uniform => "uniform",
            Self::BestSingle => "best_single",
            Self::Cheapest => "cheapest",
            Self::Oracle => "oracle",
        }
    }

    /// Whether it looks at contexts and keeps to the budget.
    pub fn is_paced(self) -> bool {
        match self {
            Self::Thompson | Self::SquareCb | Self::EpsilonGreedy | Self::Offline => true,
            Self::Uniform | Self::BestSingle | Self::Cheapest | Self::Oracle => false,
        }
    }
}

/// What a policy knows.
#[derive(Debug)]
pub enum Policy {
    /// Posteriors and a pacer.
    Bandit(Box<Bandit>),
    /// The first model of an order that can be asked.
    Order(Vec<usize>),
    /// Every model alike.
    Uniform,
    /// The price of money in each stretch of the scenario.
    Oracle(Oracle),
}

/// A distribution over the models, and what it came from.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// `[n_models]`.
    pub pmf: Vec<f64>,
    /// `[n_models]`: which models had a chance.
    pub eligible: Vec<bool>,
    /// `[n_models]`: expected quality; empty if it expects nothing.
    pub expected: Vec<f64>,
    /// `[n_models]`: what is subtracted from expected quality; empty likewise.
    pub price: Vec<f64>,
    /// The price of money.
    pub lambda: f64,
    /// Whether the budget left models out.
    pub is_capped: bool,
}

impl Policy {
    /// As it is before the first request.
    pub(super) fn new(setting: &Setting<'_>, kind: PolicyKind) -> Result<Self> {
        let train = &setting.prepared.train;
        Ok(match kind {
            PolicyKind::Uniform => Self::Uniform,
            PolicyKind::BestSingle => Self::Order(by_preference(train, setting.options.budget)),
            PolicyKind::Cheapest => {
                let cost = train.mean_cost();
                let mut order: Vec<usize> = (0..cost.len()).collect();
                order.sort_by(|a, b| cost[*a].total_cmp(&cost[*b]));
                Self::Order(order)
            }
            PolicyKind::Oracle => Self::Oracle(Oracle::new(setting)),
            PolicyKind::Thompson
            | PolicyKind::SquareCb
            | PolicyKind::EpsilonGreedy
            | PolicyKind::Offline => Self::Bandit(Box::new(Bandit::new(setting, kind)?)),
        })
    }

    /// How likely it draws each model.
    pub fn choose(&self, moment: &Moment<'_>) -> Choice {
        match self {
            Self::Bandit(bandit) => bandit.choose(moment),
            Self::Order(order) => {
                let first = order.iter().find(|model| moment.eligible[**model]);
                Choice::point(moment, first.copied().unwrap_or(0))
            }
            Self::Uniform => {
                let n = moment.eligible.iter().filter(|is| **is).count() as f64;
                let share = |is: &bool| if *is { 1.0 / n } else { 0.0 };
                Choice {
                    pmf: moment.eligible.iter().map(share).collect(),
                    eligible: moment.eligible.clone(),
                    ..Choice::default()
                }
            }
            Self::Oracle(oracle) => Choice::point(moment, oracle.best(moment)),
        }
    }
}

impl Choice {
    fn point(moment: &Moment<'_>, model: usize) -> Self {
        let eligible: Vec<bool> = (0..moment.eligible.len()).map(|at| at == model).collect();
        let pmf = eligible.iter().map(|is| f64::from(u8::from(*is))).collect();
        Self { pmf, eligible, ..Self::default() }
    }
}

/// A learner that keeps to a budget.
#[derive(Debug)]
pub struct Bandit {
    learner: Learner,
    burn_in: BurnIn,
    floor: f64,
    learns: bool,
    plays: Vec<u64>,
    pacer: Option<Pacer>,
    /// Mean cost over the training table: what is known of a price before a request is answered.
    costs: Vec<f64>,
    scale: Scale,
}

impl Bandit {
    fn new(setting: &Setting<'_>, kind: PolicyKind) -> Result<Self> {
        let (options, train) = (setting.options, &setting.prepared.train);
        let memory = Memory { gamma: options.memory, ..Memory::PERFECT };
        let learns = kind != PolicyKind::Offline;
        let floor = if learns { options.floor } else { 0.0 };
        let scheme = scheme(kind, options.prior, setting.n_rounds);
        let params = LearnerParams { scheme, floor, ridge: RIDGE, memory };
        let d = train.contexts.first().map_or(0, Vec::len);
        let mut learner = Learner::new(train.n_models(), d, params)?;
        let unknown = setting.change.is_unknown.then_some(setting.change.model());
        let mut plays = vec![u64::MAX; train.n_models()];
        for (model, plays) in plays.iter_mut().enumerate() {
            let posterior = if unknown == Some(model) {
                *plays = 0;
                LinearPosterior::expecting(&level(train, model, d), RIDGE, memory)?
            } else {
                offline(train, model)?.warm_start(options.prior, 0, RIDGE, memory)?
            };
            learner.set_arm(model, posterior)?;
        }
        let costs = train.mean_cost();
        let scale = Scale::new(options.prices, &costs);
        let pacer = match options.budget {
            Some(budget) => {
                let budget = (1.0 - RESERVE) * budget;
                let known: Vec<usize> =
                    (0..costs.len()).filter(|model| unknown != Some(*model)).collect();
                let start = scale.start(train, &learner, &known, budget);
                Some(Pacer::new(budget, PACING)?.starting_at(start))
            }
            None => None,
        };
        let burn_in = BurnIn::default();
        Ok(Self { learner, burn_in, floor, learns, plays, pacer, costs, scale })
    }

    fn choose(&self, moment: &Moment<'_>) -> Choice {
        let n_models = self.costs.len();
        let lambda = self.pacer.as_ref().map_or(0.0, Pacer::lambda);
        let costs: Vec<f64> =
            self.costs.iter().enumerate().map(|(m, cost)| moment.change(m, *cost)).collect();
        let eligible = match &self.pacer {
            Some(pacer) => pacer.ceiling(&costs, &moment.eligible),
            None => moment.eligible.clone(),
        };
        let price: Vec<f64> = costs.iter().map(|cost| lambda * self.scale.of(*cost)).collect();
        let pmf = self.learner.distribution(moment.context, &price, &eligible);
        let pmf = if self.learns {
            self.burn_in.lift(&pmf, &self.plays, &eligible, self.floor)
        } else {
            pmf
        };
        let expected = self.learner.arms().iter().map(|arm| arm.mean(moment.context));
        let is_capped = (0..n_models).any(|m| moment.eligible[m] && !eligible[m]);
        Choice { pmf, expected: expected.collect(), eligible, price, lambda, is_capped }
    }

    /// Notes that a model was asked, and what it cost.
    pub(super) fn play(&mut self, model: usize, cost: f64) -> Result<()> {
        self.learner.play(model);
        self.plays[model] = self.plays[model].saturating_add(1);
        if let Some(pacer) = &mut self.pacer {
            pacer.spend(cost)?;
        }
        Ok(())
    }

    /// Learns what an answer was worth.
    pub(super) fn learn(&mut self, model: usize, context: &[f64], quality: f64) -> Result<()> {
        if self.learns {
            self.learner.learn(model, context, quality)?;
        }
        Ok(())
    }
}

/// The scheme of a learner. `SquareCB`'s γ is what it would be halfway through the stream, had it
/// also lived through the requests that its prior counts for.
fn scheme(kind: PolicyKind, prior: f64, n_rounds: usize) -> Scheme {
    match kind {
        PolicyKind::Thompson => Scheme::Thompson { alpha: 0.2 },
        PolicyKind::SquareCb => {
            let scale = 10.0 * (prior + 0.5 * n_rounds as f64).sqrt();
            Scheme::SquareCb { scale, exponent: 0.0 }
        }
        PolicyKind::EpsilonGreedy => Scheme::EpsilonGreedy { epsilon: 0.02 },
        PolicyKind::Offline
        | PolicyKind::Uniform
        | PolicyKind::BestSingle
        | PolicyKind::Cheapest
        | PolicyKind::Oracle => Scheme::EpsilonGreedy { epsilon: 0.0 },
    }
}

/// What the training table says of a model.
fn offline(train: &World, model: usize) -> Result<LinearPosterior> {
    let d = train.contexts.first().map_or(0, Vec::len);
    let mut posterior = LinearPosterior::new(d, RIDGE, Memory::PERFECT)?;
    for (row, context) in train.contexts.iter().enumerate() {
        posterior.update(context, train.quality(row)[model], row as u64 + 1)?;
    }
    Ok(posterior)
}

/// What is expected of a model without rows: the mean quality of the others, whatever the request.
fn level(train: &World, model: usize, d: usize) -> Vec<f64> {
    let quality = train.mean_quality();
    let others = quality.iter().enumerate().filter(|(other, _)| *other != model);
    let n_others = (quality.len().max(2) - 1) as f64;
    let mean = others.map(|(_, quality)| quality).sum::<f64>() / n_others;
    (0..d).map(|i| if i == 0 { mean } else { 0.0 }).collect()
}

/// The most quality that the budget can buy, with every outcome known.
#[derive(Clone, Debug)]
pub struct Oracle {
    /// `(first round, quality that a dollar must add)`.
    prices: Vec<(usize, f64)>,
}

impl Oracle {
    /// Finds the price of money by bisection over all rows, for each stretch of the scenario.
    pub(super) fn new(setting: &Setting<'_>) -> Self {
        let starts = setting.change.stretches();
        let starts = starts.into_iter().filter(|start| *start < setting.n_rounds);
        let price =
            |start| (start, setting.options.budget.map_or(0.0, |b| dual(setting, start, b)));
        Self { prices: starts.map(price).collect() }
    }

    /// The model of the highest quality less price; ties to the cheaper one.
    pub(super) fn best(&self, moment: &Moment<'_>) -> usize {
        let price = self.prices.iter().rev().find(|(start, _)| *start <= moment.round);
        best(moment, price.map_or(0.0, |(_, price)| *price))
    }
}

fn best(moment: &Moment<'_>, price: f64) -> usize {
    let loss = |model: &usize| price * moment.cost[*model] - moment.quality[*model];
    let eligible = (0..moment.cost.len()).filter(|model| moment.eligible[*model]);
    let by_loss = |a: &usize, b: &usize| {
        loss(a).total_cmp(&loss(b)).then(moment.cost[*a].total_cmp(&moment.cost[*b]))
    };
    eligible.min_by(by_loss).unwrap_or(0)
}

/// The lowest price of money at which the rows' mean cost is within the budget, nearly.
fn dual(setting: &Setting<'_>, round: usize, budget: f64) -> f64 {
    let n_rows = setting.prepared.stream.n_rows();
    let moments: Vec<Moment<'_>> = (0..n_rows).map(|row| setting.moment(round, row)).collect();
    let spends = |price: f64| {
        let total: f64 = moments.iter().map(|moment| moment.cost[best(moment, price)]).sum();
        total / n_rows as f64
    };
    if spends(0.0) <= budget {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, 1.0 / budget);
    for _ in 0..60 {
        if spends(high) <= budget {
            break;
        }
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..40 {
        let middle = 0.5 * (low + high);
        if spends(middle) <= budget { high = middle } else { low = middle }
    }
    high
}

/// The model that a bandit expects most of, less its price.
pub(super) fn greedy(choice: &Choice) -> usize {
    let cost = |model: usize| {
        let loss = choice.price[model] - choice.expected[model];
        if choice.eligible[model] { loss } else { f64::INFINITY }
    };
    let costs: Vec<f64> = (0..choice.pmf.len()).map(cost).collect();
    exploration::greedy(&costs).iter().position(|p| *p > 0.0).unwrap_or(0)
}
