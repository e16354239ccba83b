//! Keys whose last answer was that no provider was reached: the next request under one of them drives the payment again, and so
//! it repeats nobody's answer. The memory of them is bounded and the owner's own; a key that is forgotten is answered the same,
//! but its next answer is marked as a repetition.

use florin_domain::idempotency::KeyDigest;
use std::collections::{BTreeMap, HashMap};

/// A few megabytes of keys: those of an outage that are likely to be sent again.
const KEYS_MAX: usize = 50_000;

/// Those keys, each with when it was noted.
#[derive(Debug)]
pub(super) struct Unreached {
    noted: HashMap<KeyDigest, u64>,
    oldest_first: BTreeMap<u64, KeyDigest>,
    next: u64,
    keys_max: usize,
}

impl Default for Unreached {
    fn default() -> Self {
        Self::with_room_for(KEYS_MAX)
    }
}

impl Unreached {
    fn with_room_for(keys_max: usize) -> Self {
        Self {
            noted: HashMap::new(),
            oldest_first: BTreeMap::new(),
            next: 0,
            keys_max,
        }
    }

    /// No provider was reached for this key; where there is no more room the oldest one is forgotten.
    pub(super) fn note(&mut self, key: KeyDigest) {
        self.forget(key);
        if self.noted.len() >= self.keys_max
            && let Some((_, oldest)) = self.oldest_first.pop_first()
        {
            self.noted.remove(&oldest);
        }
        self.noted.insert(key, self.next);
        self.oldest_first.insert(self.next, key);
        self.next = self.next.saturating_add(1);
    }

    /// Whether that was the last answer to this key; from now on it is not.
    pub(super) fn forget(&mut self, key: KeyDigest) -> bool {
        let noted = self.noted.remove(&key);
        if let Some(number) = noted {
            self.oldest_first.remove(&number);
        }
        noted.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> KeyDigest {
        KeyDigest([number; 16])
    }

    #[test]
    fn a_key_is_told_once_for_each_time_it_was_noted() {
        let mut keys = Unreached::default();
        assert!(!keys.forget(key(1)));
        keys.note(key(1));
        keys.note(key(1));
        assert!(keys.forget(key(1)));
        assert!(!keys.forget(key(1)));
        keys.note(key(1));
        assert!(keys.forget(key(1)), "noted again");
        assert_eq!((keys.noted.len(), keys.oldest_first.len()), (0, 0));
    }

    #[test]
    fn without_room_the_key_that_was_noted_first_is_forgotten() {
        let mut keys = Unreached::with_room_for(2);
        for number in [1, 2, 1, 3] {
            keys.note(key(number));
        }
        assert!(!keys.forget(key(2)), "1 was noted again behind it");
        assert!(keys.forget(key(1)) && keys.forget(key(3)));
        assert_eq!((keys.noted.len(), keys.oldest_first.len()), (0, 0));
    }
}
