//! The text of a conversation, as a router sees it.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::RequestError;

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Content,
}

#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
    Other(IgnoredAny),
    #[default]
    #[serde(skip)]
    Absent,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Part {
    Text { text: String },
    Other(IgnoredAny),
}

/// The text of all messages in order, joined by blank lines, and their number.
///
/// # Errors
///
/// If `messages` is not a list of objects with at least one entry.
pub(super) fn text_of(raw: &RawValue) -> Result<(String, u32), RequestError> {
    let messages: Vec<Message> =
        serde_json::from_str(raw.get()).map_err(|error| unreadable(&error))?;
    if messages.is_empty() {
        return Err(RequestError::new("messages", "messages must have at least 1 entry, got 0"));
    }
    let mut text = String::new();
    for message in &messages {
        match &message.content {
            Content::Text(content) => append(&mut text, content),
            Content::Parts(parts) => {
                for part in parts {
                    match part {
                        Part::Text { text: content } => append(&mut text, content),
                        Part::Other(_) => {}
                    }
                }
            }
            Content::Other(_) | Content::Absent => {}
        }
    }
    Ok((text, u32::try_from(messages.len()).unwrap_or(u32::MAX)))
}

/// Says what is wrong. The words of a syntax error quote nothing.
fn unreadable(error: &serde_json::Error) -> RequestError {
    let message = match error.classify() {
        Category::Data => "messages must be a list of objects, each member there once".to_owned(),
        Category::Syntax | Category::Eof | Category::Io => {
            format!("messages cannot be read: {error}")
        }
    };
    RequestError::new("messages", message)
}

fn append(text: &mut String, content: &str) {
    if !text.is_empty() && !content.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(content);
}
