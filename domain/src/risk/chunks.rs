//! An ordered map whose copies share almost everything: a change copies one chunk, so that whoever still reads the map of before
//! is not disturbed, and a map of a hundred thousand entries changes in microseconds.

use std::fmt;
use std::sync::Arc;

/// Entries of a chunk at most: what one change copies.
const CHUNK_MAX: usize = 512;

/// The map. It is never empty inside: no chunk is.
#[derive(Clone)]
pub(super) struct Chunks<K, V> {
    chunks: Vec<Arc<Vec<(K, V)>>>,
    len: usize,
}

impl<K, V> Default for Chunks<K, V> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            len: 0,
        }
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Chunks<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.chunks
                    .iter()
                    .flat_map(|chunk| chunk.iter())
                    .map(|(k, v)| (k, v)),
            )
            .finish()
    }
}

/// How it is cut into chunks depends on the order of changes, and says nothing.
impl<K: Ord + Clone, V: Clone + PartialEq> PartialEq for Chunks<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Ord + Clone, V: Clone> Chunks<K, V> {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The chunk where a key is, if it is anywhere.
    fn place(&self, key: &K) -> usize {
        self.chunks
            .partition_point(|chunk| chunk.first().is_some_and(|(first, _)| first <= key))
            .saturating_sub(1)
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let chunk = self.chunks.get(self.place(key))?;
        let at = chunk.binary_search_by(|(other, _)| other.cmp(key)).ok()?;
        chunk.get(at).map(|(_, value)| value)
    }

    /// Puts a value in the place of the one under this key, if there is one.
    pub(super) fn insert(&mut self, key: K, value: V) {
        let place = self.place(&key);
        let Some(shared) = self.chunks.get_mut(place) else {
            self.chunks.push(Arc::new(vec![(key, value)]));
            self.len = 1;
            return;
        };
        let chunk = Arc::make_mut(shared);
        match chunk.binary_search_by(|(other, _)| other.cmp(&key)) {
            Ok(at) => {
                if let Some(entry) = chunk.get_mut(at) {
                    entry.1 = value;
                }
            }
            Err(at) => {
                chunk.insert(at, (key, value));
                self.len = self.len.saturating_add(1);
                if chunk.len() > CHUNK_MAX {
                    let upper = chunk.split_off(CHUNK_MAX / 2);
                    self.chunks.insert(place.saturating_add(1), Arc::new(upper));
                }
            }
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let place = self.place(key);
        let shared = self.chunks.get_mut(place)?;
        let at = shared.binary_search_by(|(other, _)| other.cmp(key)).ok()?;
        let chunk = Arc::make_mut(shared);
        let (_, value) = chunk.remove(at);
        if chunk.is_empty() {
            self.chunks.remove(place);
        }
        self.len = self.len.saturating_sub(1);
        Some(value)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.chunks
            .iter()
            .flat_map(|chunk| chunk.iter())
            .map(|(key, value)| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_is_the_ordered_map_that_its_changes_make(
            changes in prop::collection::vec((any::<bool>(), 0_u16..2000, any::<u8>()), 0..4000),
        ) {
            let (mut map, mut expected) = (Chunks::default(), BTreeMap::new());
            for (inserts, key, value) in changes {
                if inserts {
                    map.insert(key, value);
                    expected.insert(key, value);
                } else {
                    prop_assert_eq!(map.remove(&key), expected.remove(&key));
                }
                prop_assert_eq!(map.get(&key), expected.get(&key));
            }
            prop_assert_eq!(map.len(), expected.len());
            prop_assert!(map.iter().eq(expected.iter()));
        }
    }

    #[test]
    fn a_copy_does_not_see_later_changes_and_shares_what_did_not_change() {
        let mut map = Chunks::default();
        for key in 0..10_000_u32 {
            map.insert(key, key);
        }
        let copy = map.clone();
        map.insert(5000, 0);
        map.remove(&1);
        assert_eq!((copy.get(&5000), copy.get(&1)), (Some(&5000), Some(&1)));
        let shared = map
            .chunks
            .iter()
            .filter(|chunk| copy.chunks.iter().any(|other| Arc::ptr_eq(chunk, other)));
        assert_eq!(shared.count(), map.chunks.len() - 2);
        assert_ne!(map, copy);
    }
}
