//! Short requests without tools to a cheap model, the others to a strong one.

use super::{ActionDistribution, Context, Policy, Reasons};
use crate::units::Tokens;

/// `cheap` where the request has fewer than `tokens` estimated prompt tokens and no tools, else
/// `strong`.
///
/// Where the one it wants is not eligible it takes the other, and without both what
/// [`CostAware`](super::CostAware) would do.
#[derive(Clone, Copy, Debug)]
pub struct TokenHeuristic {
    /// The arm for short requests.
    pub cheap: usize,
    /// The arm for the rest.
    pub strong: usize,
    /// Requests shorter than this are short.
    pub tokens: Tokens,
}

impl TokenHeuristic {
    /// The threshold where none is configured.
    pub const TOKENS: Tokens = Tokens(500);

    fn is_easy(&self, context: &Context<'_>) -> bool {
        context.request.n_tools == 0 && context.request.estimated_prompt_tokens().0 < self.tokens.0
    }
}

impl Policy for TokenHeuristic {
    fn distribution(&self, context: &Context<'_>) -> ActionDistribution {
        let wanted = if self.is_easy(context) {
            [self.cheap, self.strong]
        } else {
            [self.strong, self.cheap]
        };
        context.first_eligible(wanted)
    }

    fn reasons(&self, context: &Context<'_>) -> Reasons {
        let wants = if self.is_easy(context) { "cheap" } else { "strong" };
        let rule = format!(
            "{} estimated prompt tokens (short: fewer than {}) and {} tools: the {wants} model",
            context.request.estimated_prompt_tokens().0,
            self.tokens.0,
            context.request.n_tools,
        );
        Reasons { rule: Some(rule), ..Reasons::default() }
    }
}
