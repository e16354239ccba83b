//! Something that a simulated provider says by itself, and that is to be sent now.

use crate::witness::Provider;

#[derive(Debug, Clone)]
pub(crate) struct Due {
    /// Whose it is, and its number there.
    pub(crate) of: (Provider, u64),
    pub(crate) url: Box<str>,
    pub(crate) copies: u8,
    /// A header with the signature.
    pub(crate) seal: Option<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}
