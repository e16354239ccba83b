//! Objects of numbers: amounts by their names.

use super::{Number, Text, words};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use std::fmt;

/// An object of numbers, in the order written, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbers<'a>(pub(crate) Vec<(Text<'a>, Number)>);

/// Entries that it may have before it is refused; whoever reads it knows the names that there can be.
const NUMBERS_MAX: usize = 64;

struct NumbersVisitor;

impl<'de> Visitor<'de> for NumbersVisitor {
    type Value = Numbers<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(super::NUMBERS)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut numbers: Vec<(Text<'de>, Number)> = Vec::new();
        while let Some(name) = map.next_key::<Text<'de>>()? {
            if numbers.iter().any(|entry| entry.0 == name) {
                let (ours, name) = (words::OURS, name.as_str());
                return Err(A::Error::custom(format_args!("{ours}names `{name}` twice")));
            }
            if numbers.len() == NUMBERS_MAX {
                return Err(A::Error::custom(format_args!(
                    "{}has too many entries",
                    words::OURS
                )));
            }
            numbers.push((name, map.next_value()?));
        }
        Ok(Numbers(numbers))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Numbers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NumbersVisitor)
    }
}
