//! A text of several lines.

use super::{STRING, words};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use std::borrow::Cow;
use std::fmt;

/// A text whose only control characters are ends of lines and tabs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lines<'a>(Cow<'a, str>);

impl Lines<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

struct LinesVisitor;

fn checked<E: Error>(text: &str) -> Result<(), E> {
    let is_foreign = |char: char| char.is_control() && !matches!(char, '\n' | '\r' | '\t');
    if text.chars().any(is_foreign) {
        return Err(E::custom(format_args!(
            "{}must not hold control characters besides line ends and tabs",
            words::OURS
        )));
    }
    Ok(())
}

impl<'de> Visitor<'de> for LinesVisitor {
    type Value = Lines<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STRING)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        checked(text).map(|()| Lines(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        checked(text).map(|()| Lines(Cow::Owned(text.to_owned())))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Lines<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(LinesVisitor)
    }
}
