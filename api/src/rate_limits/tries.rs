//! Cards that are tried under a payment link. Whoever has a link could find out with it which of many cards are good, so those that come to
//! nothing are few. While nobody knows what comes of a try it counts as none of them: many customers come together, and none of them is to be
//! refused because the others wait for their banks. How many are under way together has a bound of its own, and what comes to nothing of those
//! is owed in full.

use super::keyed::KeyedBuckets;
use super::{Since, over};
use crate::errors::ApiError;
use florin_domain::ids::PaymentLinkId;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Tries under one link that come to nothing, in short order.
pub(super) const VAIN_AT_ONCE: NonZeroU32 = NonZeroU32::new(20).expect("not zero");
/// After so long, one more.
pub(super) const VAIN_EACH: Duration = Duration::from_secs(6);
/// Tries under one link that are under way together.
pub(super) const UNDER_WAY_MAX: u32 = 50;
/// After so long a bank has answered somebody.
const BANK_S: u64 = 1;

/// The tries of all links.
#[derive(Debug)]
pub(super) struct Tries {
    vain: KeyedBuckets<PaymentLinkId>,
    /// Only of links of which one is under way.
    under_way: Mutex<HashMap<PaymentLinkId, u32>>,
}

impl Tries {
    pub(super) fn new(clock: Since) -> Self {
        Self {
            vain: KeyedBuckets::new((VAIN_AT_ONCE, VAIN_EACH), clock),
            under_way: Mutex::default(),
        }
    }

    /// Begins a try, if one that comes to nothing is still allowed.
    pub(super) fn begin(&self, link: PaymentLinkId) -> Result<Try<'_>, ApiError> {
        self.vain.check(link).map_err(over)?;
        let mut under_way = self.under_way();
        let count = under_way.entry(link).or_insert(0);
        if *count >= UNDER_WAY_MAX {
            return Err(over(BANK_S));
        }
        *count = count.saturating_add(1);
        Ok(Try { tries: self, link })
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<PaymentLinkId, u32>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A try that is under way, until this is dropped.
#[derive(Debug)]
pub(crate) struct Try<'a> {
    tries: &'a Tries,
    link: PaymentLinkId,
}

impl Try<'_> {
    /// It has come to nothing.
    pub(crate) fn was_in_vain(self) {
        self.tries.vain.owe(self.link);
    }
}

impl Drop for Try<'_> {
    fn drop(&mut self) {
        let mut under_way = self.tries.under_way();
        if let Some(count) = under_way.get_mut(&self.link) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                under_way.remove(&self.link);
            }
        }
    }
}
