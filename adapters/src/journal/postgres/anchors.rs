//! Owns the heads that this process knows the journal to have had: what it took, and what was acknowledged to it since. Whoever has the record of one of
//! them has our history up to there, since every hash covers all before it.

use crate::journal::chain::Hash;
use florin_domain::ids::Seq;
use florin_domain::ports::Head;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Heads that are kept: a copy that is further behind is compared by asking the primary once.
const KEPT: usize = 1024;

/// A record of the journal, by its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Anchor {
    pub(super) seq: Seq,
    pub(super) hash: Hash,
}

/// Those of one shard.
#[derive(Debug)]
pub(super) struct Anchors {
    /// The head that was taken.
    first: Anchor,
    /// Those after it, in order.
    later: Mutex<VecDeque<Anchor>>,
}

impl Anchors {
    pub(super) fn new(taken: &Head) -> Self {
        Self {
            first: Anchor {
                seq: taken.seq,
                hash: taken.hash,
            },
            later: Mutex::default(),
        }
    }

    /// Notes a head that the database has acknowledged.
    pub(super) fn note(&self, head: &Head) {
        let mut later = self.later.lock().unwrap_or_else(PoisonError::into_inner);
        if later.len() == KEPT {
            later.pop_front();
        }
        later.push_back(Anchor {
            seq: head.seq,
            hash: head.hash,
        });
    }

    /// The latest one from `from` up to `until`, if there is one.
    pub(super) fn latest(&self, from: Seq, until: Seq) -> Option<Anchor> {
        let later = self.later.lock().unwrap_or_else(PoisonError::into_inner);
        let behind = later.partition_point(|anchor| anchor.seq <= until);
        let last = behind.checked_sub(1).and_then(|place| later.get(place)).copied();
        let found = last.or_else(|| Some(self.first).filter(|first| first.seq <= until));
        found.filter(|anchor| anchor.seq >= from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(seq: u64) -> Head {
        Head {
            seq: Seq(seq),
            hash: [u8::try_from(seq % 251).unwrap(); 32],
            ..Head::default()
        }
    }

    #[test]
    fn the_latest_that_a_copy_has_and_that_covers_what_is_wanted_is_found() {
        let anchors = Anchors::new(&head(10));
        for seq in [13, 20, 21] {
            anchors.note(&head(seq));
        }
        let found = |from, until| anchors.latest(Seq(from), Seq(until)).map(|found| found.seq.0);
        for (from, until, expected) in [
            (1, 9, None),
            (1, 10, Some(10)),
            (10, 12, Some(10)),
            (11, 12, None),
            (11, 13, Some(13)),
            (14, 19, None),
            (13, 19, Some(13)),
            (1, 1000, Some(21)),
            (22, 1000, None),
        ] {
            assert_eq!(found(from, until), expected, "{from} {until}");
        }
        assert_eq!(anchors.latest(Seq(1), Seq(20)).unwrap().hash, head(20).hash);
    }

    #[test]
    fn no_more_than_so_many_are_kept_and_the_first_is_never_lost() {
        let anchors = Anchors::new(&head(5));
        for seq in 6..6 + 2 * KEPT as u64 {
            anchors.note(&head(seq));
        }
        assert_eq!(anchors.later.lock().unwrap().len(), KEPT);
        assert_eq!(anchors.latest(Seq(6), Seq(6)), None);
        assert_eq!(
            anchors.latest(Seq(1), Seq(6)).map(|found| found.seq),
            Some(Seq(5))
        );
    }
}
