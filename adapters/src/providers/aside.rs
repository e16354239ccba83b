//! What a provider tells besides, and nothing is decided by: where it is not as it should be, it is as if it was not told. An answer that
//! says what became of a charge is not thrown away for it.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// Something told besides.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Aside<T> {
    /// As it should be.
    Told(T),
    /// Something else.
    Other(IgnoredAny),
}

impl<T> Aside<T> {
    /// What it tells.
    pub(super) const fn told(&self) -> Option<&T> {
        match self {
            Self::Told(told) => Some(told),
            Self::Other(_) => None,
        }
    }
}
