//! The key-value pairs that callers attach to objects, kept as the JSON text that answers contain.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::error::ApiError;

const KEYS_MAX: usize = 50;
const KEY_CHARS_MAX: usize = 40;
const VALUE_CHARS_MAX: usize = 500;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Metadata(Box<RawValue>);

/// What a request wants changed: an empty value removes its key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MetadataPatch {
    pub(crate) clear: bool,
    pub(crate) pairs: Vec<(Box<str>, Box<str>)>,
}

/// The keys by which callers find their own operations again.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct References<'a> {
    #[serde(borrow, default)]
    pub(crate) payment_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) operation_id: Option<Cow<'a, str>>,
}

impl MetadataPatch {
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        for (key, value) in &self.pairs {
            let param = || format!("metadata[{key}]");
            if key.chars().count() > KEY_CHARS_MAX {
                let message = format!("Metadata keys have at most {KEY_CHARS_MAX} characters.");
                return Err(ApiError::invalid("parameter_invalid_string", param(), message));
            }
            if value.chars().count() > VALUE_CHARS_MAX {
                let message = format!("Metadata values have at most {VALUE_CHARS_MAX} characters.");
                return Err(ApiError::invalid("parameter_invalid_string", param(), message));
            }
        }
        if self.pairs.len() > KEYS_MAX {
            return Err(too_many_keys());
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.clear && self.pairs.is_empty()
    }
}

impl Metadata {
    pub(crate) fn new(patch: &MetadataPatch) -> Self {
        let pairs: BTreeMap<&str, &str> = patch
            .pairs
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| (&**key, &**value))
            .collect();
        Self::from_map(&pairs)
    }

    fn from_map<S: Serialize + Ord>(pairs: &BTreeMap<S, S>) -> Self {
        Self(serde_json::value::to_raw_value(pairs).expect("a map of strings is JSON"))
    }

    /// The pairs after `patch`; refused when there would be too many.
    pub(crate) fn patched(&self, patch: &MetadataPatch) -> Result<Self, ApiError> {
        let mut pairs: BTreeMap<Cow<'_, str>, Cow<'_, str>> = if patch.clear {
            BTreeMap::new()
        } else {
            serde_json::from_str(self.json()).expect("metadata is written as a map of strings")
        };
        for (key, value) in &patch.pairs {
            if value.is_empty() {
                pairs.remove(&**key);
            } else {
                pairs.insert(Cow::Borrowed(key), Cow::Borrowed(value));
            }
        }
        if pairs.len() > KEYS_MAX {
            return Err(too_many_keys());
        }
        Ok(Self::from_map(&pairs))
    }

    pub(crate) fn json(&self) -> &str {
        self.0.get()
    }

    pub(crate) fn references(&self) -> References<'_> {
        serde_json::from_str(self.json()).expect("metadata is written as a map of strings")
    }
}

fn too_many_keys() -> ApiError {
    ApiError::invalid(
        "parameter_invalid",
        "metadata",
        format!("Objects have at most {KEYS_MAX} metadata keys."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(clear: bool, pairs: &[(&str, &str)]) -> MetadataPatch {
        let pairs = pairs
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect();
        MetadataPatch { clear, pairs }
    }

    #[test]
    fn a_patch_merges_replaces_and_removes() {
        let metadata = Metadata::new(&patch(false, &[("b", "1"), ("a", "say \"hi\"\n"), ("gone", "")]));
        assert_eq!(metadata.json(), r#"{"a":"say \"hi\"\n","b":"1"}"#);
        let merged = metadata
            .patched(&patch(false, &[("b", ""), ("c", "3"), ("a", "2")]))
            .unwrap();
        assert_eq!(merged.json(), r#"{"a":"2","c":"3"}"#);
        assert_eq!(merged.patched(&patch(true, &[])).unwrap().json(), "{}");
    }

    #[test]
    fn references_are_found_among_other_pairs() {
        let metadata = Metadata::new(&patch(
            false,
            &[("x", "y"), ("operation_id", "pay_\"1"), ("payment_id", "p")],
        ));
        let references = metadata.references();
        assert_eq!(references.operation_id.as_deref(), Some("pay_\"1"));
        assert_eq!(references.payment_id.as_deref(), Some("p"));
        assert_eq!(
            Metadata::new(&patch(false, &[])).references(),
            References::default()
        );
    }

    #[test]
    fn limits_are_those_of_the_provider() {
        let long = "x".repeat(501);
        assert!(patch(false, &[("k", &long)]).check().is_err());
        assert!(patch(false, &[(&long[..41], "v")]).check().is_err());
        assert!(patch(false, &[(&long[..40], &long[..500])]).check().is_ok());
        let names: Vec<String> = (0..51).map(|n| n.to_string()).collect();
        let pairs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
        assert!(patch(false, &pairs).check().is_err());
        let fifty = Metadata::new(&patch(false, &pairs[..50]));
        assert!(fifty.patched(&patch(false, &pairs[50..])).is_err());
    }
}
