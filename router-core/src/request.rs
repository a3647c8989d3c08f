//! What a router may see of a request.

use crate::units::Tokens;

/// The part of a request that features are made of. Labels of a benchmark are not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RequestView<'a> {
    /// The text of all messages, in order, joined by blank lines.
    pub text: &'a str,
    /// Number of tool definitions sent with the request.
    pub n_tools: u32,
    /// The tool definitions as JSON; empty when there are none.
    pub tool_schemas: &'a str,
    /// Number of messages; 0 counts as 1.
    pub n_messages: u32,
    /// Prompt tokens, if a tokenizer or the client said so.
    pub prompt_tokens: Option<Tokens>,
    /// The output limit that the client asked for.
    pub max_output_tokens: Option<Tokens>,
}

impl<'a> RequestView<'a> {
    /// A single message without tools.
    pub fn from_text(text: &'a str) -> Self {
        Self { text, n_messages: 1, ..Self::default() }
    }

    /// Prompt tokens: as known, else a quarter of the characters, rounded up.
    pub fn estimated_prompt_tokens(&self) -> Tokens {
        self.prompt_tokens.unwrap_or_else(|| {
            let n_chars = self.text.chars().count() + self.tool_schemas.chars().count();
            Tokens(n_chars.div_ceil(4) as u64)
        })
    }
}
