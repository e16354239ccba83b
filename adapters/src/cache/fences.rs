//! Counts of changes, by which a copy is known to be as new as what it was made of.
//!
//! Whoever reads takes a mark first. Whoever changes something moves its fence once the change can be read, so that every mark of before is void,
//! and with it every copy that was made under it, whenever that copy is put into its place. Keys share fences: a change voids some copies that it
//! did not touch, which costs a read.

use std::hash::{BuildHasher, Hash, RandomState};
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

    /// The key is about to be changed by somebody whose change others may see before it has ended.
    pub(super) fn begin(&self, key: &impl Hash) {
        let (fence, moved) = self.of(key);
        self.changing[fence].fetch_add(1, Ordering::SeqCst);
        moved.fetch_add(1, Ordering::SeqCst);
    }

    /// That has ended, whatever came of it.
    pub(super) fn end(&self, key: &impl Hash) {
        let (fence, moved) = self.of(key);
        moved.fetch_add(1, Ordering::SeqCst);
        self.changing[fence].fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether the key may just be changing.
    pub(super) fn is_changing(&self, key: &impl Hash) -> bool {
        self.changing[self.of(key).0].load(Ordering::SeqCst) > 0
            || self.changing_any.load(Ordering::SeqCst) > 0
    }

    /// As [`Self::begin`] for any key.
    pub(super) fn begin_any(&self) {
        self.changing_any.fetch_add(1, Ordering::SeqCst);
        self.move_all();
    }

    /// As [`Self::end`] for any key.
    pub(super) fn end_any(&self) {
        self.move_all();
        self.changing_any.fetch_sub(1, Ordering::SeqCst);
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
