//! Strict JSON: one object and nothing after it, no unknown or repeated names, no number that is not exactly what was meant.
//! The first pass is the fast one; only what it refuses is read again to find out where and why.

use crate::errors::{Code, Invalid};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

mod at_most;
mod lines;
mod numbers;
mod words;

pub(crate) use at_most::AtMost;
pub(crate) use lines::Lines;
pub(crate) use numbers::Numbers;

/// What a body's values are, as messages name it.
const OBJECT: &str = "a JSON object";
const STRING: &str = "a string";
const INTEGER: &str = "an integer";
const ARRAY: &str = "an array";
const STRINGS: &str = "an object whose values are strings";
const NUMBERS: &str = "an object whose values are integers";
/// Of an object of limits.
pub(crate) const INTEGERS: &str = "an object whose values are integers or null";

/// Reads a body.
pub(crate) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Invalid> {
    match serde_json::from_slice::<Object<T>>(bytes) {
        Ok(object) => Ok(object.0),
        Err(error) => Err(explain::<T>(bytes).unwrap_or_else(|| malformed(&error, None))),
    }
}

fn malformed(error: &serde_json::Error, param: Option<String>) -> Invalid {
    Invalid {
        code: Code::BodyInvalid,
        message: words::malformed(error, param.as_deref()),
        param,
    }
}

/// Reads the body again, watching where it fails.
fn explain<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<Invalid> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        let message = "The body is empty; send a JSON object.".to_owned();
        return Some(Invalid {
            param: None,
            code: Code::BodyInvalid,
            message,
        });
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let error = serde_path_to_error::deserialize::<_, Object<T>>(&mut deserializer).err()?;
    let path = place(error.path());
    let inner = error.into_inner();
    let param = (!path.is_empty()).then(|| path.clone());
    if inner.classify() != Category::Data {
        return Some(malformed(&inner, param));
    }
    let text = words::without_place(&inner);
    // These three are told by serde's own words, since its errors have no other shape.
    if let Some(name) = quoted(&text, "missing field `") {
        let name = joined(&path, name);
        return Some(Invalid::new(
            name.as_str(),
            Code::ParameterMissing,
            format!("`{name}` is required."),
        ));
    }
    if let Some(name) = quoted(&text, "duplicate field `") {
        let name = joined(&path, name);
        return Some(Invalid::new(
            name.as_str(),
            Code::ParameterInvalid,
            format!("`{name}` appears twice."),
        ));
    }
    if text.starts_with("unknown field `") {
        return Some(Invalid::new(
            path.as_str(),
            Code::ParameterUnknown,
            format!("Unknown parameter `{path}`."),
        ));
    }
    let subject = if path.is_empty() {
        "The body".to_owned()
    } else {
        format!("`{path}`")
    };
    Some(Invalid {
        param,
        code: Code::ParameterInvalid,
        message: words::misfit(&subject, &text),
    })
}

/// The names down to where it failed; a name that was still being read is none.
fn place(path: &Path) -> String {
    let mut place = String::new();
    for segment in path {
        match segment {
            Segment::Map { key } => place = joined(&place, key),
            Segment::Seq { index } => place = joined(&place, &index.to_string()),
            Segment::Enum { variant } => place = joined(&place, variant),
            Segment::Unknown => break,
        }
    }
    words::shortened(&place)
}

fn quoted<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.strip_prefix(start)?.split('`').next()
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// A `T` that is written as an object. Derived structs would also take their fields from an array.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(OBJECT)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

/// A text without control characters, borrowed from the body where it holds no escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl Text<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

struct TextVisitor;

fn printable<E: serde::de::Error>(text: &str) -> Result<(), E> {
    if text.chars().any(char::is_control) {
        Err(E::custom(format_args!(
            "{}must not hold control characters",
            words::OURS
        )))
    } else {
        Ok(())
    }
}

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STRING)
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        printable(text).map(|()| Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        printable(text).map(|()| Text(Cow::Owned(text.to_owned())))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

/// A number as it was written, as far as an amount of money needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// A whole number.
    Whole(i128),
    /// Whole, and beyond what is kept; the sign is.
    Beyond { negative: bool },
    /// With a fraction, an exponent or a negative zero: written as a float.
    Float,
}

/// From here on a number written without a point also arrives as a float, because it fits no 64-bit integer.
const FLOAT_WHOLE_MIN: f64 = 9_000_000_000_000_000_000.0;

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(INTEGER)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Number, E> {
        Ok(Number::Whole(i128::from(number)))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Number, E> {
        Ok(Number::Whole(i128::from(number)))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Number, E> {
        let beyond = number.abs() >= FLOAT_WHOLE_MIN;
        Ok(if beyond {
            Number::Beyond {
                negative: number < 0.0,
            }
        } else {
            Number::Float
        })
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

/// An object of texts, in the order written, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pairs<'a>(pub(crate) Vec<(Text<'a>, Text<'a>)>);

/// Pairs that an object of texts may have before it is refused; whoever reads it sets the real limit below this.
const PAIRS_MAX: usize = 64;

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STRINGS)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs: Vec<(Text<'de>, Text<'de>)> = Vec::new();
        while let Some(name) = map.next_key::<Text<'de>>()? {
            if pairs.iter().any(|pair| pair.0 == name) {
                return Err(A::Error::custom(format_args!(
                    "{}names `{}` twice",
                    words::OURS,
                    name.as_str()
                )));
            }
            if pairs.len() == PAIRS_MAX {
                return Err(A::Error::custom(format_args!(
                    "{}has too many entries",
                    words::OURS
                )));
            }
            pairs.push((name, map.next_value()?));
        }
        Ok(Pairs(pairs))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}
