//! The policies of a benchmark: routers first, then every baseline.

use std::collections::BTreeSet;

use crate::baseline::{self, Singles, knn::knn, lookup::lookup, weighted::weighted};
use crate::judge::{JudgeError, Judged, Validated};
use crate::own_policy::own_policy;
use crate::panel::Panel;
use crate::policy::{Deployed, Plan, Policy, Roles};
use crate::split::Splits;

/// The default target of a fit.
const USUAL: &str = "retention=0.95";

/// Names of baselines, which no router may have.
const BASELINES: [&str; 11] = [
    "best_single",
    "cheapest_single",
    "random_mix",
    "uniform",
    "zero_router",
    "lookup",
    "token_heuristic",
    "weighted",
    "knn",
    "length",
    "oracle",
];

/// Numbers routers whose name is taken: a report finds policies by their names.
pub(super) fn tell_apart(routers: &mut [Judged]) {
    let mut taken: BTreeSet<String> = BASELINES.map(ToOwned::to_owned).into();
    for router in routers {
        let name = router.name.clone();
        let mut number = 2;
        while !taken.insert(router.name.clone()) {
            router.name = format!("{name}-{number}");
            number += 1;
        }
    }
}

pub(super) fn lineup(
    panel: &Panel,
    splits: &Splits<'_>,
    routers: &[Judged],
    roles: Option<Roles>,
) -> Result<Vec<Policy>, JudgeError> {
    let mut policies = Vec::new();
    for router in routers {
        policies.push(routed(router, panel, roles)?);
    }
    for router in routers {
        if let Some((policy, choices)) = own_policy(router, panel)? {
            let name = format!("{} {policy}", router.name);
            policies.push(Policy::fixed(&name, "the policy that the router carries", choices));
        }
    }
    policies.extend(baselines(panel, splits, roles));
    Ok(policies)
}

fn routed(router: &Judged, panel: &Panel, roles: Option<Roles>) -> Result<Policy, JudgeError> {
    let judgement = router.judge(panel)?;
    let note = match router.folds {
        Some(_) => "each request is judged by the fold router that did not see it",
        None => "fitted on other data",
    };
    let balanced = deployed(&judgement.validated).map(|point| {
        let name = format!("validated {}", point.name);
        Deployed { name, choices: point.choices.clone() }
    });
    Ok(Policy {
        deployed: balanced,
        quality: Some(judgement.quality),
        validated: judgement.validated,
        ..Policy::swept(&router.name, note, &judgement.expected, roles)
    })
}

/// The point at which single-point figures are read: what `model: "auto"` does by default, under
/// the name of the target that it was chosen for, if there is one.
fn deployed(points: &[Validated]) -> Option<&Validated> {
    let balanced = points.iter().find(|point| point.name == "balanced")?;
    let mut same = points.iter().filter(|point| point.lambdas == balanced.lambdas);
    // Several targets may have led to one λ; the usual one then names it.
    same.clone().find(|point| point.name == USUAL).or_else(|| same.next())
}

fn baselines(panel: &Panel, splits: &Splits<'_>, roles: Option<Roles>) -> Vec<Policy> {
    let singles = Singles::new(panel, splits);
    let mut policies = vec![
        Policy::fixed("best_single", "chosen on the fitting folds", singles.best.clone()),
        Policy::fixed(
            "cheapest_single",
            if panel.has_costs() {
                "chosen on the fitting folds"
            } else {
                "costs are unknown: the weakest, chosen on the fitting folds"
            },
            singles.cheapest.clone(),
        ),
        Policy::new("random_mix", "of the cheapest and the best single model", Plan::Mix),
        Policy::new("uniform", "any model with equal probability", Plan::Uniform),
        Policy::new("zero_router", "hull of the single models", Plan::Singles),
    ];
    if let (Some(judged), Some(fitted)) = (panel.finest_labels(), splits.source.finest_labels()) {
        let expected = lookup(panel, splits, &fitted, &judged);
        let note = "label given: a live router must infer it";
        policies.push(Policy::swept("lookup", note, &expected, roles));
    }
    let note = "fewer than 500 estimated tokens and no tools: cheapest, else best";
    policies.push(Policy::fixed("token_heuristic", note, singles.token_heuristic(panel)));
    let scored = weighted(panel, splits);
    let note = "complexity .35, history .25, cost .2, latency .15 and availability .05; no \
                latencies or outages in the data";
    policies.push(Policy {
        uplift: roles.map(|roles| scored.uplift(panel.m(), roles.weak, roles.strong)),
        ..Policy::fixed("weighted", note, scored.choices.clone())
    });
    let note = "k = 100, cosine over the router's hashed words, mean costs";
    policies.push(Policy::swept("knn", note, &knn(panel, splits), roles));
    if roles.is_some() {
        policies.push(length(panel, &singles));
    }
    let truth = baseline::oracle(panel, &singles.reference_cost);
    policies.push(Policy::swept("oracle", "sees all outcomes", &truth, roles));
    policies
}

/// Prompt length as a score; as choices it always takes the cheapest model.
fn length(panel: &Panel, singles: &Singles) -> Policy {
    let note = "prompt length in bytes as the score";
    Policy {
        uplift: Some(baseline::length(panel)),
        ..Policy::fixed("length", note, singles.cheapest.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_point_figures_are_read_where_auto_decides() {
        let point = |name: &str, lambda: f64| Validated {
            name: name.to_owned(),
            lambdas: vec![lambda],
            reached: true,
            choices: Vec::new(),
        };
        let at = |points: &[Validated]| deployed(points).map(|point| point.name.clone());
        let usual =
            [point("retention=0.90", 0.2), point("retention=0.95", 0.2), point("balanced", 0.2)];
        assert_eq!(at(&usual).as_deref(), Some("retention=0.95"));
        let other =
            [point("retention=0.95", 0.2), point("cost-ratio=0.4", 0.3), point("balanced", 0.3)];
        assert_eq!(at(&other).as_deref(), Some("cost-ratio=0.4"));
        assert_eq!(
            at(&[point("retention=0.95", 0.2), point("balanced", 0.7)]).as_deref(),
            Some("balanced")
        );
        assert_eq!(at(&[]), None);
    }
}
