//! Counts of changes, by which a copy is known to be as new as what it was made of.
//!
//! Whoever reads takes a mark first. Whoever changes something moves its fence once the change can be read, so that every mark of before is void,
//! and with it every copy that was made under it, whenever that copy is put into its place. Keys share fences: a change voids some copies that it
//! did not touch, which costs a read.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

const FENCES: usize = 1 << 14;

/// What was counted when something was about to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    fence: usize,
    moved: u64,
    era: u64,
}

/// One count for some keys each, and one for all.
#[derive(Debug)]
pub(super) struct Fences {
    spread: RandomState,
    moved: Box<[AtomicU64]>,
    /// How many changes are under way behind each.
    changing: Box<[AtomicUsize]>,
    era: AtomicU64,
    /// How many changes are under way of which nobody knows the keys.
    changing_any: AtomicUsize,
}

impl Fences {
    pub(super) fn new() -> Self {
        Self {
            spread: RandomState::new(),
            moved: (0..FENCES).map(|_| AtomicU64::new(0)).collect(),
            changing: (0..FENCES).map(|_| AtomicUsize::new(0)).collect(),
            era: AtomicU64::new(0),
            changing_any: AtomicUsize::new(0),
        }
    }

    fn of(&self, key: &impl Hash) -> (usize, &AtomicU64) {
        let spread = usize::try_from(self.spread.hash_one(key) % FENCES as u64).unwrap_or_default();
        (spread, &self.moved[spread])
    }

    /// Taken before the key is read.
    pub(super) fn mark(&self, key: &impl Hash) -> Mark {
        let (fence, moved) = self.of(key);
        Mark {
            fence,
            moved: moved.load(Ordering::SeqCst),
            era: self.era.load(Ordering::SeqCst),
        }
    }

    /// Whether what was read after this mark is still so.
    pub(super) fn holds(&self, mark: Mark) -> bool {
        self.moved[mark.fence].load(Ordering::SeqCst) == mark.moved
            && self.era.load(Ordering::SeqCst) == mark.era
    }

    /// Whether the key may just be changing: then only the store knows it.
    pub(super) fn is_changing(&self, key: &impl Hash) -> bool {
        self.changing[self.of(key).0].load(Ordering::SeqCst) > 0
            || self.changing_any.load(Ordering::SeqCst) > 0
    }

    /// The key has changed.
    pub(super) fn move_on(&self, key: &impl Hash) {
        self.of(key).1.fetch_add(1, Ordering::SeqCst);
    }

    /// Anything may have changed.
    pub(super) fn move_all(&self) {
        self.era.fetch_add(1, Ordering::SeqCst);
    }
}

/// A change under way: from before anybody can see it until whatever was copied is replaced or void. Meanwhile its keys are read from the store.
pub(super) struct Changing {
    fences: Arc<Fences>,
    /// Nothing for any key.
    places: Option<Vec<usize>>,
}

impl Changing {
    /// Of these keys.
    pub(super) fn begin<'a, K: Hash + 'a>(fences: &Arc<Fences>, keys: impl Iterator<Item = &'a K>) -> Self {
        let places: Vec<usize> = keys.map(|key| fences.of(key).0).collect();
        for place in &places {
            fences.changing[*place].fetch_add(1, Ordering::SeqCst);
            fences.moved[*place].fetch_add(1, Ordering::SeqCst);
        }
        Self {
            fences: Arc::clone(fences),
            places: Some(places),
        }
    }

    /// Of keys that nobody knows yet.
    pub(super) fn begin_any(fences: &Arc<Fences>) -> Self {
        fences.changing_any.fetch_add(1, Ordering::SeqCst);
        fences.move_all();
        Self {
            fences: Arc::clone(fences),
            places: None,
        }
    }
}

impl Drop for Changing {
    fn drop(&mut self) {
        match &self.places {
            None => {
                self.fences.changing_any.fetch_sub(1, Ordering::SeqCst);
            }
            Some(places) => {
                for place in places {
                    self.fences.changing[*place].fetch_sub(1, Ordering::SeqCst);
                }
            }
        }
    }
}
