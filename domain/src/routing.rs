//! Which provider gets a payment. First cut: the first configured provider that is available, with the reason written down.

use crate::provider::ProviderId;

/// One provider as routing sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub id: ProviderId,
    /// Enabled by configuration and operators.
    pub enabled: bool,
}

/// The first enabled candidate in configured order, or `None` when nobody can take the payment.
pub fn select(candidates: &[Candidate]) -> Option<ProviderId> {
    candidates
        .iter()
        .find(|candidate| candidate.enabled)
        .map(|candidate| candidate.id)
}
