//! What goes to Nameless and what it answers with, as far as it matters here; other fields are skipped.

use serde::Deserialize;
use std::borrow::Cow;

/// Every refusal.
#[derive(Debug, Deserialize)]
pub(super) struct ApiError<'a> {
    #[serde(borrow)]
    pub(super) code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) message: Option<Cow<'a, str>>,
}
