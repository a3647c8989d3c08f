//! `auto`: which parts of a score to use, by what they are worth on held-out rows.
//!
//! Candidates range from means alone to everything. Each is valued by its utility on rows that its
//! fit did not see; the simplest one whose loss against the best is within one standard error of
//! that loss is taken.

use serde::Serialize;

use crate::costs::mix::{self, CostMix};
use crate::heads::Heads;
use crate::metrics::clustered_error;
use crate::operating::{self, Held, Reference};
use crate::problem::Problem;
use crate::stack::{HeldOut, Sources, Stack};

/// The candidates, the simplest first; those that need a part which is not fitted are left out.
pub const CANDIDATES: [(&str, Sources); 11] = [
    ("means", Sources::MEANS),
    ("length", Sources::LENGTH),
    ("task", Sources::TASK),
    ("ridge", Sources::RIDGE),
    ("ridge+task", Sources::RIDGE.and(Sources::TASK)),
    ("bag", Sources::BAG),
    ("neighbors", Sources::NEIGHBORS),
    ("stack", Sources::LINEAR),
    ("stack+bag", Sources::LINEAR.and(Sources::BAG)),
    ("stack+neighbors", Sources::LINEAR.and(Sources::NEIGHBORS)),
    ("stack+bag+neighbors", Sources::ALL),
];

/// Where the stacks begin, to which parts that are not linear are only added with evidence.
const STACK: usize = 7;

/// λ at which candidates are compared: from quality alone to mostly cost.
const LAMBDAS: [f64; 6] = [0.0, 0.01, 0.03, 0.1, 0.3, 1.0];

/// A line of the table that `auto` chose from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// Its name.
    pub name: &'static str,
    /// Mean of `quality − λ · cost / reference cost` over held-out rows and several λ.
    pub utility: f64,
    /// Utility of the best candidate less its own.
    pub loss: f64,
    /// Standard error of the loss, over groups of rows.
    pub standard_error: f64,
    /// Whether it was taken.
    pub chosen: bool,
}

/// The predictor to use: named, or `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// By the one-standard-error rule.
    Auto,
    /// A candidate.
    Only(usize),
}

impl std::str::FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let at = CANDIDATES.iter().position(|(name, _)| *name == text);
        at.map(Self::Only).ok_or_else(|| {
            let names: Vec<&str> = CANDIDATES.iter().map(|(name, _)| *name).collect();
            format!("predictor must be auto or one of {}, got {text:?}", names.join(", "))
        })
    }
}

/// The places in [`CANDIDATES`] of those that can be fitted, from one on.
fn available(fitted: Sources, from: usize) -> Vec<usize> {
    (from..CANDIDATES.len()).filter(|at| fitted.has(CANDIDATES[*at].1)).collect()
}

/// Values every candidate on held-out rows and takes one. A named one whose table nobody wants is
/// not compared with others.
///
/// `stack` is the simplest of the stacks within one standard error of the best of them: the bag and
/// the neighbors join where they are fitted and held-out rows show that they help.
pub fn choose(
    problem: &Problem,
    heads: &Heads,
    held: &[HeldOut],
    (mixes, reference): (&[Option<CostMix>], Reference),
    (choice, wants_table): (Choice, bool),
) -> (Stack, Vec<Candidate>) {
    let compared = match choice {
        Choice::Only(at) if !wants_table && at != STACK => vec![at],
        Choice::Only(_) if !wants_table => available(heads.fitted(), STACK),
        Choice::Only(_) | Choice::Auto => available(heads.fitted(), 0),
    };
    if let [only] = compared[..] {
        return (Stack::choose(problem, held, heads.layout, CANDIDATES[only].1), Vec::new());
    }
    let mut stacks = Vec::new();
    let mut utilities = Vec::new();
    let mut groups = Vec::new();
    for at in &compared {
        let stack = Stack::choose(problem, held, heads.layout, CANDIDATES[*at].1);
        let rows = held_rows(heads, held, &stack, mixes);
        let (values, of) = utilities_of(problem, &rows, reference).into_iter().unzip();
        utilities.push(values);
        groups = of;
        stacks.push(stack);
    }
    let among = |at: &usize| choice != Choice::Only(STACK) || *at >= STACK;
    let stacks_from = compared.iter().position(among).unwrap_or(0);
    let chosen = match choice {
        Choice::Only(at) if at != STACK => compared.iter().position(|other| *other == at),
        Choice::Only(_) | Choice::Auto => {
            simplest(&lines(&compared[stacks_from..], &utilities[stacks_from..], &groups))
                .map(|at| stacks_from + at)
        }
    };
    let mut table = lines(&compared, &utilities, &groups);
    let chosen = chosen.unwrap_or(stacks_from);
    table[chosen].chosen = true;
    let table = if wants_table || choice == Choice::Auto { table } else { Vec::new() };
    (stacks.swap_remove(chosen), table)
}

/// The table of some candidates, given the utility of each row and its group; none is chosen yet.
fn lines(compared: &[usize], utilities: &[Vec<f64>], groups: &[u32]) -> Vec<Candidate> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let means: Vec<f64> = utilities.iter().map(|values| mean(values)).collect();
    let best = (0..means.len()).fold(0, |best, at| if means[at] > means[best] { at } else { best });
    let line = |(at, candidate): (usize, &usize)| {
        let losses: Vec<f64> =
            utilities[best].iter().zip(&utilities[at]).map(|(best, own)| best - own).collect();
        let standard_error = clustered_error(&losses, groups);
        let name = CANDIDATES[*candidate].0;
        Candidate { name, utility: means[at], loss: mean(&losses), standard_error, chosen: false }
    };
    compared.iter().enumerate().map(line).collect()
}

/// The first candidate whose loss is within its standard error.
fn simplest(table: &[Candidate]) -> Option<usize> {
    table.iter().position(|candidate| candidate.loss <= candidate.standard_error)
}

/// What a stack predicts for held-out rows, by fits that did not see them.
pub fn held_rows(
    heads: &Heads,
    held: &[HeldOut],
    stack: &Stack,
    mixes: &[Option<CostMix>],
) -> Vec<Held> {
    let costs =
        held.iter().flat_map(|held| (0..held.rows.len()).map(|at| mix::predict(held, at, mixes)));
    stack
        .scores(held, heads.layout)
        .into_iter()
        .zip(costs)
        .map(|((row, score), cost)| Held { row, score, cost })
        .collect()
}

/// The utility of each row and its group, averaged over λ: on a table the realised one of rows that every model
/// answered, on a log the doubly robust estimate.
fn utilities_of(problem: &Problem, held: &[Held], reference: Reference) -> Vec<(f64, u32)> {
    held.iter()
        .filter_map(|held| {
            let of = |lambda| operating::row_utility(problem, held, lambda, reference);
            let known: Option<Vec<f64>> = LAMBDAS.into_iter().map(of).collect();
            let mean = known?.iter().sum::<f64>() / LAMBDAS.len() as f64;
            Some((mean, problem.group[held.row]))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(losses: &[(f64, f64)]) -> Vec<Candidate> {
        let line = |(loss, standard_error): &(f64, f64)| Candidate {
            name: "candidate",
            utility: 0.7 - loss,
            loss: *loss,
            standard_error: *standard_error,
            chosen: false,
        };
        losses.iter().map(line).collect()
    }

    #[test]
    fn the_simplest_candidate_within_a_standard_error_is_taken() {
        assert_eq!(simplest(&table(&[(0.02, 0.01), (0.004, 0.005), (0.0, 0.0)])), Some(1));
        assert_eq!(simplest(&table(&[(0.02, 0.01), (0.006, 0.005), (0.0, 0.0)])), Some(2));
        assert_eq!(simplest(&table(&[(0.001, 0.01), (0.0, 0.0)])), Some(0));
    }

    #[test]
    fn only_what_is_fitted_is_compared() {
        let names = |fitted: Sources, from: usize| -> Vec<&str> {
            available(fitted, from).into_iter().map(|at| CANDIDATES[at].0).collect()
        };
        assert_eq!(CANDIDATES[STACK].0, "stack");
        assert_eq!(names(Sources::LINEAR, STACK), ["stack"]);
        let with_bag = Sources::LINEAR.and(Sources::BAG);
        assert_eq!(names(with_bag, 0)[5..], ["bag", "stack", "stack+bag"]);
        assert_eq!(names(Sources::ALL, 0).len(), CANDIDATES.len());
    }

    #[test]
    fn a_standard_error_is_that_of_paired_differences() {
        let table = lines(&[0, STACK], &[vec![0.4, 0.5, 0.7], vec![0.5, 0.7, 0.7]], &[0, 1, 2]);
        // Losses of 0.1, 0.2 and 0: mean 0.1, variance 0.01.
        assert!((table[0].loss - 0.1).abs() < 1e-12 && table[1].loss.abs() < 1e-12);
        assert!((table[0].standard_error - (0.01f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(table[1].name, "stack");
        // The first two of one group: sums of 0.1 and -0.1 around the mean.
        let table = lines(&[0, STACK], &[vec![0.4, 0.5, 0.7], vec![0.5, 0.7, 0.7]], &[0, 0, 1]);
        assert!((table[0].standard_error - (0.02f64 * 2.0).sqrt() / 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_predictor_is_named_or_refused_with_the_names_there_are() {
        assert_eq!("auto".parse(), Ok(Choice::Auto));
        assert_eq!("ridge".parse(), Ok(Choice::Only(3)));
        let error = "forest".parse::<Choice>().unwrap_err();
        assert!(
            error.contains("means, length, task, ridge") && error.contains("forest"),
            "{error}"
        );
    }
}
