//! Which policy a router carries: the learned one, or a rule that it is compared with.

use router_core::{Catalog, ModelSpec, PolicySpec};
use serde::{Deserialize, Serialize};

use crate::problem::{Ends, Problem};

/// A policy by name, with defaults, or in full: a table of [`PolicySpec`], such as
/// `kind = "weighted"` with `weights`, `sources` and `refresh` of each factor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, try_from = "Written")]
pub enum PolicyChoice {
    /// By name.
    Name(PolicyName),
    /// In full.
    Spec(Box<PolicySpec>),
}

/// As an experiment file has it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Name(String),
    Table(toml::Table),
}

impl TryFrom<Written> for PolicyChoice {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Name(name) => name.parse().map_err(|e: PolicyChoiceError| e.to_string()),
            Written::Table(table) => match table.try_into() {
                Ok(spec) => Ok(Self::Spec(Box::new(spec))),
                Err(error) => Err(format!("policy: {error}")),
            },
        }
    }
}

/// A policy that needs no more than the cheapest and the reference model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyName {
    /// The highest predicted utility.
    #[default]
    CostAware,
    /// Inverse-gap weighting of predicted utilities: near the best, models are drawn nearly alike.
    #[serde(rename = "squarecb")]
    SquareCb,
    /// As often as each model may be the best, by how sure predictions are.
    Thompson,
    /// Every model alike.
    Uniform,
    /// Short requests without tools to the cheapest model, others to the reference.
    TokenHeuristic,
    /// Phrases that make a request complex or simple.
    Keywords,
    /// Factors weighted by hand.
    Weighted,
}

/// Share of probability that all models divide under a policy that explores by itself, unless it is
/// asked for: `spec/statistics.md`, section 8.
const FLOOR: f64 = 0.05;

/// `γ = 10·√n` after `n` judged requests: the schedule of Vowpal Wabbit.
fn gamma(problem: &Problem) -> f64 {
    let is_judged = |row: &usize| {
        (0..problem.n_models()).any(|model| problem.cell(*row, model).quality.is_some())
    };
    10.0 * ((0..problem.n_requests()).filter(is_judged).count() as f64).sqrt()
}

/// Names, in the order of [`PolicyName`].
const NAMES: [(&str, PolicyName); 7] = [
    ("cost_aware", PolicyName::CostAware),
    ("squarecb", PolicyName::SquareCb),
    ("thompson", PolicyName::Thompson),
    ("uniform", PolicyName::Uniform),
    ("token_heuristic", PolicyName::TokenHeuristic),
    ("keywords", PolicyName::Keywords),
    ("weighted", PolicyName::Weighted),
];

/// Why there is no such policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyChoiceError {
    /// Neither a name nor a file.
    #[error("policy must be a .toml file or one of {names}, got {got:?}")]
    Name {
        /// The names there are.
        names: String,
        /// What was given.
        got: String,
    },
    /// A file that cannot be read.
    #[error("cannot read policy {0}: {1}")]
    File(String, std::io::Error),
    /// A file that says something else.
    #[error("policy {0}: {1}")]
    Syntax(String, toml::de::Error),
}

impl std::str::FromStr for PolicyChoice {
    type Err = PolicyChoiceError;

    /// A name, or the path of a TOML file that holds a policy in full.
    fn from_str(text: &str) -> Result<Self, PolicyChoiceError> {
        if let Some((_, name)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(Self::Name(*name));
        }
        let is_file = std::path::Path::new(text).extension().is_some_and(|end| end == "toml");
        if !is_file {
            let names = NAMES.map(|(name, _)| name).join(", ");
            return Err(PolicyChoiceError::Name { names, got: text.to_owned() });
        }
        let content = std::fs::read_to_string(text)
            .map_err(|error| PolicyChoiceError::File(text.to_owned(), error))?;
        toml::from_str(&content)
            .map(|spec| Self::Spec(Box::new(spec)))
            .map_err(|error| PolicyChoiceError::Syntax(text.to_owned(), error))
    }
}

impl Default for PolicyChoice {
    fn default() -> Self {
        Self::Name(PolicyName::default())
    }
}

impl PolicyChoice {
    /// The policy for the models of a problem. `exploration` is the share of probability that they
    /// divide evenly: mixed into a policy without exploration of its own, else a floor.
    pub fn spec(&self, problem: &Problem, ends: Ends, exploration: f64) -> PolicySpec {
        let base = match self {
            Self::Spec(spec) => {
                let mut spec = (**spec).clone();
                if let PolicySpec::SquareCb { floor, .. } | PolicySpec::Thompson { floor, .. } =
                    &mut spec
                {
                    *floor = floor.max(exploration);
                    return spec;
                }
                spec
            }
            Self::Name(name) => {
                let [cheap, strong] =
                    [ends.cheap, ends.reference].map(|at| problem.models[at].clone());
                let floor = if exploration > 0.0 { exploration } else { FLOOR };
                match name {
                    PolicyName::CostAware => PolicySpec::CostAware,
                    PolicyName::SquareCb => {
                        return PolicySpec::SquareCb { gamma: gamma(problem), floor };
                    }
                    PolicyName::Thompson => return PolicySpec::Thompson { scale: 1.0, floor },
                    PolicyName::Uniform => PolicySpec::Uniform,
                    PolicyName::TokenHeuristic => PolicySpec::token_heuristic(cheap, strong),
                    PolicyName::Keywords => PolicySpec::keywords(cheap, strong),
                    PolicyName::Weighted => PolicySpec::weighted(),
                }
            }
        };
        if exploration > 0.0 {
            let base = Box::new(base);
            return PolicySpec::EpsilonGreedy { epsilon: exploration, base };
        }
        base
    }

    /// Refuses what no router for these models could carry.
    ///
    /// # Errors
    ///
    /// If it names a model that the data lack, or a number is out of range.
    pub fn check(&self, problem: &Problem) -> anyhow::Result<()> {
        let specs = problem.models.iter().cloned().map(ModelSpec::named).collect();
        let catalog = Catalog::new("from training data".to_owned(), specs)?;
        self.spec(problem, Ends::default(), 0.0).build(&catalog)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use router_core::ModelId;
    use router_core::policy::PerFactor;

    use super::*;

    fn problem() -> Problem {
        let models = ["large", "small"].map(|id| ModelId::new(id).unwrap()).to_vec();
        Problem { models, ..Problem::default() }
    }

    #[test]
    fn rules_choose_between_the_cheapest_and_the_reference_model() {
        let ends = Ends { reference: 0, cheap: 1 };
        for (name, _) in NAMES {
            let choice: PolicyChoice = name.parse().unwrap();
            choice.check(&problem()).unwrap();
        }
        let spec = |exploration| {
            let choice: PolicyChoice = "token_heuristic".parse().unwrap();
            choice.spec(&problem(), ends, exploration)
        };
        let PolicySpec::TokenHeuristic { cheap, strong, tokens } = spec(0.0) else { panic!() };
        assert_eq!((cheap.as_str(), strong.as_str(), tokens.0), ("small", "large", 500));
        assert!(matches!(spec(0.1), PolicySpec::EpsilonGreedy { base, .. } if *base == spec(0.0)));
        let own = "thompson".parse::<PolicyChoice>().unwrap();
        let floors = [0.0, 0.2].map(|exploration| own.spec(&problem(), ends, exploration));
        for (spec, floor) in floors.iter().zip([FLOOR, 0.2]) {
            assert_eq!(*spec, PolicySpec::Thompson { scale: 1.0, floor });
        }
    }

    #[test]
    fn a_policy_in_full_is_read_and_checked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.toml");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().parse::<PolicyChoice>()
        };
        let text = "kind = \"weighted\"\n[weights]\ncomplexity = 0.5\nhistory = 0.5\ncost = 0.0\n\
                    latency = 0.0\navailability = 0.0\n[refresh]\nhistory = { seconds = 60 }\n";
        let choice = read(text).unwrap();
        choice.check(&problem()).unwrap();
        let PolicySpec::Weighted { weights, .. } = choice.spec(&problem(), Ends::default(), 0.0)
        else {
            panic!()
        };
        let half: PerFactor<f64> =
            PerFactor { complexity: 0.5, history: 0.5, cost: 0.0, latency: 0.0, availability: 0.0 };
        assert_eq!(weights, half);
        let heavy = read(&text.replacen("0.5", "0.7", 1)).unwrap();
        let error = heavy.check(&problem()).unwrap_err().to_string();
        assert!(error.contains("weights must sum to 1, got 1.2"), "{error}");
        let other = read("kind = \"fixed\"\nmodel = \"medium\"\n").unwrap();
        let error = other.check(&problem()).unwrap_err().to_string();
        assert!(error.contains("medium") && error.contains("not in the catalog"), "{error}");
        assert!(read("kind = \"magic\"\n").is_err());
        let refused = |text: &str| {
            let error = crate::config::Overrides::from_toml(text).unwrap_err().to_string();
            assert!(
                error.contains("squarecb, thompson") || error.contains("`weighted`"),
                "{error}"
            );
        };
        refused("policy = \"squarcb\"");
        refused("[policy]\nkind = \"magic\"");
        let floors = |text: &str| {
            let choice = crate::config::Overrides::from_toml(text).unwrap().policy.unwrap();
            choice.spec(&problem(), Ends::default(), 0.1)
        };
        assert_eq!(
            floors("[policy]\nkind = \"squarecb\"\ngamma = 9.0\nfloor = 0.0\n"),
            PolicySpec::SquareCb { gamma: 9.0, floor: 0.1 }
        );
        let error = "magic".parse::<PolicyChoice>().unwrap_err().to_string();
        assert!(
            error.contains("cost_aware, squarecb, thompson, uniform")
                && error.ends_with("got \"magic\"")
        );
    }
}
