//! One fit of all parts: linear heads, cost heads, and what is asked for beside them.

use serde::{Deserialize, Serialize};

use crate::bag::{self, BagParams, Lesson};
use crate::costs;
use crate::design::VectorizerParams;
use crate::heads::{self, Heads};
use crate::neighbors::{self, NeighborParams};
use crate::problem::Problem;
use crate::ridge::RidgeParams;

/// A part that is not linear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Extra {
    /// The embedding bag: see [`crate::bag`].
    Bag,
    /// Nearest neighbors: see [`crate::neighbors`].
    Neighbors,
}

impl Extra {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bag => "bag",
            Self::Neighbors => "neighbors",
        }
    }
}

impl std::str::FromStr for Extra {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "bag" => Ok(Self::Bag),
            "neighbors" => Ok(Self::Neighbors),
            _ => Err(format!("parts must be bag or neighbors, got {text:?}")),
        }
    }
}

/// How all parts are fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct FitParams {
    /// Request → columns.
    pub vectorizer: VectorizerParams,
    /// Columns → heads.
    pub ridge: RidgeParams,
    /// The embedding bag, if it is wanted.
    pub bag: Option<BagParams>,
    /// Nearest neighbors, if they are wanted.
    pub neighbors: Option<NeighborParams>,
}

/// Fits all parts on some rows.
pub fn fit(problem: &Problem, rows: &[usize], params: &FitParams) -> Heads {
    let taught = heads::teach(problem, rows, params.vectorizer, &params.ridge);
    let mut heads = heads::fit_taught(problem, rows, &taught, params.vectorizer, &params.ridge);
    heads.costs = costs::fit(problem, rows, &heads.vectorizer);
    let lesson = Lesson { rows, taught: &taught, means: &heads.means };
    let bag = params.bag.as_ref();
    let bag = bag.map(|bag| bag::fit(problem, &lesson, &heads.vectorizer, bag));
    let near = params.neighbors.as_ref();
    let near = near.map(|near| neighbors::fit(problem, &lesson, &heads.vectorizer, near));
    Heads { bag, neighbors: near, ..heads }
}
