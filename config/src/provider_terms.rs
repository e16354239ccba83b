//! What providers take and cost unless their sections say otherwise.

use crate::raw::RawProvider;
use crate::settings::ProviderKind;
use florin_actors::options::{Options, ProviderCaps, ProviderTerms};
use florin_domain::time::Millis;

/// Requests under way and calls that may wait, by kind of provider (POOL-1, POOL-2).
const fn caps(kind: ProviderKind) -> ProviderCaps {
    let (permits, queue_max) = match kind {
        ProviderKind::Stripe => (100, 50),
        ProviderKind::Adyen => (80, 40),
    };
    ProviderCaps { permits, queue_max }
}

impl RawProvider {
    /// Its own word, else that of its kind.
    pub(crate) fn terms(&self) -> ProviderTerms {
        let usual = caps(self.kind);
        ProviderTerms {
            caps: ProviderCaps {
                permits: self.permits.unwrap_or(usual.permits),
                queue_max: self.queue_max.unwrap_or(usual.queue_max),
            },
            cost_bps: self
                .cost_bps
                .unwrap_or_else(|| Options::default().provider_terms.cost_bps),
            settles_within: self.overdue_after_s.map(Millis::from_s),
        }
    }
}
