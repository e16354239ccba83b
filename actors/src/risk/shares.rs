//! A bounded memory that is shared between owners: when there is too much, whoever has most gives way first, with what was heard of
//! longest ago. So one owner, however busy, loses its own memories and not those of others; and it makes no difference in which order
//! things are told: after a start the newest come first.

use super::Subject;
use florin_domain::time::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// What is remembered for each subject that may be known, on average.
pub(super) const HELD_PER_SUBJECT: usize = 8;

/// What is remembered of one subject.
pub(super) trait Remembered: Default {
    /// How much it holds.
    fn held(&self) -> usize;
}

#[derive(Debug)]
struct Entry<R> {
    /// When something was heard of it last, in milliseconds: its place in the order.
    latest_ms: u64,
    record: R,
}

/// One owner's.
#[derive(Debug)]
struct Share<R> {
    subjects: HashMap<Subject, Entry<R>>,
    /// Those, in the order last heard of.
    order: BTreeSet<(u64, Subject)>,
    /// What all records hold together.
    held: usize,
}

impl<R> Default for Share<R> {
    fn default() -> Self {
        Self {
            subjects: HashMap::new(),
            order: BTreeSet::new(),
            held: 0,
        }
    }
}

/// How much of the memory an owner has, as what each bound allows counts; the same for two, then since when.
type Rank<O> = (usize, Reverse<u64>, O);

impl<R> Share<R> {
    fn rank<O>(&self, owner: O) -> Rank<O> {
        let load = self
            .held
            .max(self.subjects.len().saturating_mul(HELD_PER_SUBJECT));
        let oldest = self.order.first().map_or(0, |(latest_ms, _)| *latest_ms);
        (load, Reverse(oldest), owner)
    }
}

/// The memory of all owners.
#[derive(Debug)]
pub(super) struct Shares<O, R> {
    subjects_max: usize,
    owners: HashMap<O, Share<R>>,
    /// Whoever has most is last.
    ranks: BTreeSet<Rank<O>>,
    subjects: usize,
    held: usize,
}

impl<O: Copy + Ord + Hash, R: Remembered> Shares<O, R> {
    pub(super) fn new(subjects_max: usize) -> Self {
        Self {
            subjects_max: subjects_max.max(1),
            owners: HashMap::new(),
            ranks: BTreeSet::new(),
            subjects: 0,
            held: 0,
        }
    }

    /// The record of a subject that is remembered.
    pub(super) fn get(&self, owner: O, subject: Subject) -> Option<&R> {
        let entry = self.owners.get(&owner)?.subjects.get(&subject)?;
        Some(&entry.record)
    }

    /// Changes the record of a subject that is remembered.
    pub(super) fn known<T>(
        &mut self,
        (owner, subject): (O, Subject),
        change: impl FnOnce(&mut R) -> T,
    ) -> Option<T> {
        self.change(owner, |share| {
            let entry = share.subjects.get_mut(&subject)?;
            let before = entry.record.held();
            let changed = change(&mut entry.record);
            share.held = (share.held + entry.record.held()).saturating_sub(before);
            Some(changed)
        })
    }

    /// Changes the record of a subject, of which something is heard that was so at this time.
    pub(super) fn with<T>(
        &mut self,
        (owner, subject): (O, Subject),
        at: Timestamp,
        change: impl FnOnce(&mut R) -> T,
    ) -> Option<T> {
        self.owners.entry(owner).or_default();
        self.change(owner, |share| {
            let mut is_new = false;
            let entry = share.subjects.entry(subject).or_insert_with(|| {
                is_new = true;
                Entry {
                    latest_ms: 0,
                    record: R::default(),
                }
            });
            let before = entry.record.held();
            let changed = change(&mut entry.record);
            share.held = (share.held + entry.record.held()).saturating_sub(before);
            let latest_ms = entry.latest_ms.max(at.unix_ms());
            // What is read back is older than what was heard of it already, so its place mostly stays.
            if latest_ms > entry.latest_ms || is_new {
                share.order.remove(&(entry.latest_ms, subject));
                entry.latest_ms = latest_ms;
                share.order.insert((latest_ms, subject));
            }
            Some(changed)
        })
    }

    /// Changes what an owner has, then forgets while there is too much.
    fn change<T>(&mut self, owner: O, change: impl FnOnce(&mut Share<R>) -> Option<T>) -> Option<T> {
        let share = self.owners.get_mut(&owner)?;
        let (rank, subjects, held) = (share.rank(owner), share.subjects.len(), share.held);
        let changed = change(share);
        self.subjects = (self.subjects + share.subjects.len()).saturating_sub(subjects);
        self.held = (self.held + share.held).saturating_sub(held);
        let ranks_now = share.rank(owner);
        // A new owner's is the rank of one who has nothing, and is in no list yet.
        if ranks_now != rank || subjects == 0 {
            self.ranks.remove(&rank);
            self.ranks.insert(ranks_now);
        }
        let held_max = self.subjects_max.saturating_mul(HELD_PER_SUBJECT);
        while self.subjects > self.subjects_max || (self.held > held_max && self.subjects > 1) {
            if !self.forgets_one() {
                break;
            }
        }
        changed
    }

    /// Forgets the subject that was heard of longest ago of whoever has most.
    fn forgets_one(&mut self) -> bool {
        let Some((.., owner)) = self.ranks.pop_last() else {
            return false;
        };
        let Some(share) = self.owners.get_mut(&owner) else {
            return false;
        };
        let oldest = share.order.pop_first();
        let forgotten = oldest.and_then(|(_, subject)| share.subjects.remove(&subject));
        if let Some(forgotten) = forgotten {
            let held = forgotten.record.held();
            share.held = share.held.saturating_sub(held);
            self.held = self.held.saturating_sub(held);
            self.subjects = self.subjects.saturating_sub(1);
        }
        if share.subjects.is_empty() {
            self.owners.remove(&owner);
        } else {
            self.ranks.insert(share.rank(owner));
        }
        true
    }

    #[cfg(test)]
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// What is counted along the way is what is there.
    #[cfg(test)]
    pub(super) fn check(&self) {
        assert_eq!(self.owners.len(), self.ranks.len());
        let (mut subjects, mut held) = (0, 0);
        for (owner, share) in &self.owners {
            assert!(self.ranks.contains(&share.rank(*owner)));
            assert_eq!(share.order.len(), share.subjects.len());
            let of_share = share.subjects.values().map(|entry| entry.record.held());
            assert_eq!(share.held, of_share.sum::<usize>());
            subjects += share.subjects.len();
            held += share.held;
        }
        assert_eq!((self.subjects, self.held), (subjects, held));
        assert!(subjects <= self.subjects_max);
        assert!(subjects <= 1 || held <= self.subjects_max * HELD_PER_SUBJECT);
    }
}
