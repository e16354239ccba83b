//! Who follows events: places for all merchants together, of which no merchant takes more than a few in one mode.

use florin_domain::ids::MerchantId;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Streams of events that are open at the same time; each asks the view some five times a second.
const STREAMS_MAX: usize = 256;

/// Streams of one merchant in one mode.
pub(crate) const STREAMS_PER_OWNER_MAX: usize = 8;

type Owner = (MerchantId, bool);

/// The open streams by whose they are. No owner is in it without one.
#[derive(Debug, Default)]
pub(crate) struct Streams(Mutex<BTreeMap<Owner, usize>>);

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// All places are taken.
    InAll,
    /// The merchant has taken all of its own.
    OfOwner,
}

impl Streams {
    /// A place for one more stream.
    pub(crate) fn open(self: &Arc<Self>, owner: Owner) -> Result<StreamPlace, NoPlace> {
        let mut open = self.counts();
        let own = open.get(&owner).copied().unwrap_or(0);
        if own >= STREAMS_PER_OWNER_MAX {
            return Err(NoPlace::OfOwner);
        }
        if open.values().sum::<usize>() >= STREAMS_MAX {
            return Err(NoPlace::InAll);
        }
        open.insert(owner, own.saturating_add(1));
        Ok(StreamPlace {
            streams: Arc::clone(self),
            owner,
        })
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<Owner, usize>> {
        // Each change is one step, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream's place, free again as soon as this is gone.
#[derive(Debug)]
pub(crate) struct StreamPlace {
    streams: Arc<Streams>,
    owner: Owner,
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        if let Entry::Occupied(mut own) = self.streams.counts().entry(self.owner) {
            match own.get().saturating_sub(1) {
                0 => {
                    own.remove();
                }
                left => *own.get_mut() = left,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(number: u128, livemode: bool) -> Owner {
        (MerchantId::from_bits(number), livemode)
    }

    #[test]
    fn a_merchant_has_a_few_places_in_each_mode_and_gets_them_back() {
        let streams = Arc::new(Streams::default());
        let mut taken: Vec<StreamPlace> = (0..STREAMS_PER_OWNER_MAX)
            .map(|_| streams.open(owner(1, false)).unwrap())
            .collect();
        assert_eq!(streams.open(owner(1, false)).unwrap_err(), NoPlace::OfOwner);
        let others = [owner(1, true), owner(2, false)].map(|other| streams.open(other));
        assert!(others.iter().all(Result::is_ok));
        taken.pop();
        taken.push(streams.open(owner(1, false)).unwrap());
        assert_eq!(streams.open(owner(1, false)).unwrap_err(), NoPlace::OfOwner);
        drop((taken, others));
        assert!(streams.counts().is_empty(), "nothing is kept of who left");
    }

    #[test]
    fn all_merchants_together_have_a_limit_too() {
        let streams = Arc::new(Streams::default());
        let owners = (0..STREAMS_MAX as u128).map(|number| owner(number, false));
        let mut taken: Vec<_> = owners.map(|own| streams.open(own).unwrap()).collect();
        let late = owner(STREAMS_MAX as u128, false);
        assert_eq!(streams.open(late).unwrap_err(), NoPlace::InAll);
        taken.pop();
        assert!(streams.open(late).is_ok());
    }
}
