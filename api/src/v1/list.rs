//! A page of a list.

use serde::ser::{Serialize, Serializer};
use std::fmt::Display;

/// The envelope of every list.
#[derive(Debug, serde::Serialize)]
pub(crate) struct List<'a, T> {
    object: &'static str,
    url: &'a str,
    has_more: bool,
    data: Vec<T>,
}

impl<'a, T> List<'a, T> {
    /// A page of the list at `url`.
    pub(crate) fn new(url: &'a str, data: Vec<T>, has_more: bool) -> Self {
        Self {
            object: "list",
            url,
            has_more,
            data,
        }
    }
}

/// A value that goes on the wire as it is displayed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Displayed<T>(pub(crate) T);

impl<T: Display> Serialize for Displayed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}
