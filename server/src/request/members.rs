//! The members of one JSON object, where they are, and which are there twice.

use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::RequestError;

/// The members of an object in the order they were sent, values unparsed.
pub(super) struct Members<'a> {
    body: &'a [u8],
    list: Vec<(String, &'a RawValue)>,
}

struct List<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for List<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = List<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(member) = map.next_entry::<String, &RawValue>()? {
                    list.push(member);
                }
                Ok(List(list))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

impl<'a> Members<'a> {
    /// Reads one object.
    ///
    /// # Errors
    ///
    /// If the bytes are not one JSON object. The message says where, and quotes nothing.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, RequestError> {
        let List(list) = serde_json::from_slice(body).map_err(|error| RequestError {
            message: format!(
                "the body must be one JSON object, error at line {} column {}",
                error.line(),
                error.column()
            ),
            param: None,
        })?;
        Ok(Self { body, list })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The value of an interpreted member.
    ///
    /// # Errors
    ///
    /// If it is there twice: two parsers may disagree on which one counts.
    pub(super) fn get(&self, name: &'static str) -> Result<Option<&'a RawValue>, RequestError> {
        let mut found = self.list.iter().filter(|(key, _)| key == name).map(|(_, raw)| *raw);
        let first = found.next();
        match found.next() {
            Some(_) => {
                Err(RequestError::new(name, format!("{name} must be there once, got twice")))
            }
            None => Ok(first),
        }
    }

    /// Where a value of this object lies in its bytes.
    pub(super) fn range(&self, raw: &RawValue) -> Range<usize> {
        let start = raw.get().as_ptr().addr() - self.body.as_ptr().addr();
        start..start + raw.get().len()
    }

    /// The end of the last value; 0 without members.
    pub(super) fn end(&self) -> usize {
        self.list.last().map_or(0, |(_, raw)| self.range(raw).end)
    }
}
