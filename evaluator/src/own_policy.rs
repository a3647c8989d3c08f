//! What a router decides by the policy that it carries, where that is a rule of its own.

use router_core::policy::Context;
use router_core::{PolicySpec, Scratch};

use crate::judge::{JudgeError, Judged};
use crate::panel::Panel;
use crate::sweep::{Choice, index};

/// The name of the policy of a router, and its choices, exploration aside; `None` where it follows
/// its predictions, as the sweep does, explores around them, or draws every model alike.
///
/// Signals are unknown offline, so a policy that asks for them takes what stands in for them.
///
/// # Errors
///
/// If a model is unknown to the router, or a request has no router.
pub(crate) fn own_policy(
    judged: &Judged,
    panel: &Panel,
) -> Result<Option<(&'static str, Choice)>, JudgeError> {
    let name = match judged.first().manifest().policy.base() {
        PolicySpec::CostAware
        | PolicySpec::Uniform
        | PolicySpec::SquareCb { .. }
        | PolicySpec::Thompson { .. }
        | PolicySpec::EpsilonGreedy { .. } => return Ok(None),
        PolicySpec::Fixed { .. } => "fixed",
        PolicySpec::Threshold { .. } => "threshold",
        PolicySpec::TokenHeuristic { .. } => "token_heuristic",
        PolicySpec::Keywords { .. } => "keywords",
        PolicySpec::Weighted { .. } => "weighted",
    };
    let mut scratch = Scratch::default();
    let mut choices = Vec::with_capacity(panel.n());
    for request in &panel.requests {
        let router = judged.for_request(request)?;
        let arms = judged.arms(router, panel)?;
        let catalog = router.catalog();
        // An artifact was refused where its policy does not fit its catalog.
        let Ok(policy) = router.manifest().policy.base().build(catalog) else { return Ok(None) };
        let mut eligible = vec![false; catalog.models().len()];
        arms.iter().for_each(|arm| eligible[*arm] = true);
        let view = request.view();
        let prediction = router.predict(&view, &mut scratch);
        let context = Context {
            prediction: &prediction,
            eligible: &eligible,
            objective: &router.manifest().objective,
            request: &view,
            signals: &[],
            latency_target_ms: None,
        };
        let arm = policy.distribution(&context).at(0.0).0;
        choices.push(index(arms.iter().position(|known| *known == arm).unwrap_or(0)));
    }
    Ok(Some((name, choices)))
}
