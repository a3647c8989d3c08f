//! What is compared: routers and baselines, as choices of a model for each request.

use crate::judge::Validated;
use crate::sweep::{Choice, Expected};

/// How a policy spends its points.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// `(λ, choices)`, from quality alone (λ = 0) to cost alone.
    Choices(Vec<(f64, Choice)>),
    /// Every single model, and mixes of them: the zero router.
    Singles,
    /// A random mix of the cheapest and the best single model.
    Mix,
    /// A model at random for each request.
    Uniform,
}

/// A policy to be valued.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its name in reports.
    pub name: String,
    /// What a reader must know of it.
    pub note: String,
    /// Its choices.
    pub plan: Plan,
    /// The choices that a deployment would make; those of λ = 0 if absent.
    pub deployed: Option<Deployed>,
    /// `[n]`: higher where the strong of two models is wanted.
    pub uplift: Option<Vec<f64>>,
    /// `[n * m]`: calibrated qualities.
    pub quality: Option<Vec<f64>>,
    /// Operating points chosen in training.
    pub validated: Vec<Validated>,
}

/// The point at which single-point figures are read.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployed {
    /// How reports call it.
    pub name: String,
    /// The choices.
    pub choices: Choice,
}

impl Policy {
    /// A policy with a plan and nothing else.
    pub fn new(name: &str, note: &str, plan: Plan) -> Self {
        Self {
            name: name.to_owned(),
            note: note.to_owned(),
            plan,
            deployed: None,
            uplift: None,
            quality: None,
            validated: Vec::new(),
        }
    }

    /// A policy that always makes the same choices.
    pub fn fixed(name: &str, note: &str, choices: Choice) -> Self {
        Self::new(name, note, Plan::Choices(vec![(0.0, choices)]))
    }

    /// A policy that is swept, and ranks two models by uplift if there are two.
    pub fn swept(name: &str, note: &str, expected: &Expected, pair: Option<Roles>) -> Self {
        Self {
            uplift: pair.map(|pair| expected.uplift(pair.weak, pair.strong)),
            ..Self::new(name, note, Plan::Choices(expected.sweep()))
        }
    }

    /// The choices at the deployed point, if the policy chooses.
    pub fn deployed_choices(&self) -> Option<&Choice> {
        match (&self.deployed, &self.plan) {
            (Some(deployed), _) => Some(&deployed.choices),
            (None, Plan::Choices(points)) => points.first().map(|point| &point.1),
            (None, Plan::Singles | Plan::Mix | Plan::Uniform) => None,
        }
    }

    /// The name of the deployed point.
    pub fn deployed_name(&self) -> Option<&str> {
        match (&self.deployed, &self.plan) {
            (Some(deployed), _) => Some(&deployed.name),
            (None, Plan::Choices(points)) if points.len() > 1 => Some("lambda=0"),
            (None, Plan::Choices(_) | Plan::Uniform) => Some("its only point"),
            (None, Plan::Singles | Plan::Mix) => None,
        }
    }
}

/// Which of a panel's two models is which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Number of the weak model.
    pub weak: usize,
    /// Number of the strong model.
    pub strong: usize,
}
