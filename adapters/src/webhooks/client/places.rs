//! Owns places: there are so many for all owners together, and fewer for each of them, so that one owner never has them all.

use florin_domain::vault::Owner;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Owners are known without a look at who of them is still there, up to here.
const OWNERS_BEFORE_SWEEP: usize = 64;

/// A place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _of_owner: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

/// The places for one kind of work.
#[derive(Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    of_each: usize,
    owners: Mutex<Owners>,
}

/// Those who hold places or wait for them; whoever does neither is forgotten before their number doubles.
#[derive(Debug)]
struct Owners {
    places: HashMap<Owner, Weak<Semaphore>>,
    sweep_at: usize,
}

impl Places {
    pub(super) fn new(of_all: usize, of_each: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(of_all)),
            of_each,
            owners: Mutex::new(Owners {
                places: HashMap::new(),
                sweep_at: OWNERS_BEFORE_SWEEP,
            }),
        }
    }

    /// A place for an owner, if there is one within this time. The owner's own is taken first: who has too many waits before the others' places.
    pub(super) async fn take(&self, owner: Owner, wait: Duration) -> Option<Place> {
        let (own, all) = (self.of(owner), Arc::clone(&self.all));
        let both = async {
            let of_owner = own.acquire_owned().await.ok()?;
            let of_all = all.acquire_owned().await.ok()?;
            Some(Place {
                _of_owner: of_owner,
                _of_all: of_all,
            })
        };
        timeout(wait, both).await.ok().flatten()
    }

    fn of(&self, owner: Owner) -> Arc<Semaphore> {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = owners.places.get(&owner).and_then(Weak::upgrade) {
            return known;
        }
        if owners.places.len() >= owners.sweep_at {
            owners.places.retain(|_, places| places.strong_count() > 0);
            owners.sweep_at = OWNERS_BEFORE_SWEEP.max(owners.places.len().saturating_mul(2));
        }
        let own = Arc::new(Semaphore::new(self.of_each));
        owners.places.insert(owner, Arc::downgrade(&own));
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_domain::ids::MerchantId;

    fn owner(number: u128) -> Owner {
        Owner {
            merchant: MerchantId::from_bits(number),
            livemode: false,
        }
    }

    #[tokio::test]
    async fn an_owner_has_so_many_places_and_all_of_them_have_so_many() {
        let places = Places::new(5, 2);
        let now = Duration::ZERO;
        let mut held = Vec::new();
        for number in [1, 1, 2, 2] {
            held.push(places.take(owner(number), now).await.unwrap());
        }
        assert!(places.take(owner(1), now).await.is_none());
        let test_and_live = Owner {
            livemode: true,
            ..owner(1)
        };
        let last = places.take(test_and_live, now).await.unwrap();
        assert!(places.take(owner(3), now).await.is_none());
        // Who waited in vain holds nothing.
        drop(last);
        drop(places.take(owner(3), now).await.unwrap());
        held.remove(0);
        let again = places.take(owner(1), now).await.unwrap();
        assert!(places.take(owner(1), now).await.is_none());
        drop(again);
    }

    #[tokio::test]
    async fn owners_who_hold_nothing_are_forgotten_and_those_who_do_are_not() {
        let places = Places::new(5, 1);
        let _held = places.take(owner(0), Duration::ZERO).await.unwrap();
        for number in 1..10_000 {
            drop(places.take(owner(number), Duration::ZERO).await.unwrap());
        }
        let known = places.owners.lock().unwrap().places.len();
        assert!(known <= OWNERS_BEFORE_SWEEP, "{known}");
        assert!(places.take(owner(0), Duration::ZERO).await.is_none());
    }
}
