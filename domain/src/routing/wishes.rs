//! What a merchant wants for one payment, above all rules.

use super::Bar;
use crate::provider::ProviderId;

/// What a merchant wants for one payment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// This one or none.
    pub pin: Option<ProviderId>,
    /// These first, in this order.
    pub prefer: Vec<ProviderId>,
    /// None of these.
    pub exclude: Vec<ProviderId>,
}

impl Wishes {
    /// Nothing in particular.
    pub const fn is_empty(&self) -> bool {
        self.pin.is_none() && self.prefer.is_empty() && self.exclude.is_empty()
    }

    /// All that are named, in the order of the fields.
    pub fn named(&self) -> impl Iterator<Item = ProviderId> {
        self.pin.iter().chain(&self.prefer).chain(&self.exclude).copied()
    }

    pub(super) fn bar(&self, provider: ProviderId) -> Option<Bar> {
        let is_wanted = self.pin.is_none_or(|pin| pin == provider) && !self.exclude.contains(&provider);
        (!is_wanted).then_some(Bar::Unwanted)
    }
}
