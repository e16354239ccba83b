//! One kind of thing in memory and, if there is one, in Redis behind it.

use super::fences::{Changing, Fences, Mark};
use super::kind::Kind;
use super::shared::{Entry, Shared};
use moka::sync::Cache;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What can be remembered.
pub(super) trait Remembered: Clone + Send + Sync + 'static {
    type Key: Hash + Eq + Clone + Send + Sync + 'static;

    /// The key as text, behind the kind's own.
    fn name(key: &Self::Key) -> String;
    /// As it is kept in Redis; nothing if it cannot be.
    fn write(&self) -> Option<Zeroizing<Vec<u8>>>;
    /// What was kept there under this key, if it is that.
    fn read(key: &Self::Key, bytes: &[u8]) -> Option<Self>;
}

/// A copy, and the mark under which it was made.
#[derive(Clone)]
struct Copied<V> {
    mark: Mark,
    value: V,
}

/// What became of a look-up.
pub(super) enum Found<V> {
    /// It is remembered.
    Here(V),
    /// It is not, and has to be read. The mark was taken before.
    Missing(Mark),
    /// It is just changing, and has to be read and not remembered.
    Changing,
}

impl<V> Found<V> {
    /// What is remembered.
    pub(super) fn here(self) -> Option<V> {
        match self {
            Self::Here(value) => Some(value),
            Self::Missing(_) | Self::Changing => None,
        }
    }
}

/// One kind of thing.
pub(super) struct Tiers<V: Remembered> {
    kind: Kind,
    local: Cache<V::Key, Copied<V>>,
    fences: Arc<Fences>,
    shared: Option<Arc<Shared>>,
}

impl<V: Remembered> fmt::Debug for Tiers<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tiers")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl<V: Remembered> Tiers<V> {
    pub(super) fn new(kind: Kind, shared: Option<Arc<Shared>>) -> Self {
        let local = Cache::builder()
            .name(kind.name)
            .max_capacity(kind.entries_max)
            .time_to_live(kind.lifetime)
            .build();
        Self {
            kind,
            local,
            fences: Arc::new(Fences::new()),
            shared,
        }
    }

    fn count(&self, tier: &'static str) {
        metrics::counter!("florin_cache_reads_total", "cache" => self.kind.name, "tier" => tier).increment(1);
    }

    /// What is in memory, as it is now.
    pub(super) fn in_memory(&self, key: &V::Key) -> Option<V> {
        let copied = self.local.get(key)?;
        self.fences.holds(copied.mark).then_some(copied.value)
    }

    /// Looks everywhere that is nearer than the store.
    pub(super) async fn find(&self, key: &V::Key) -> Found<V> {
        let found = self.find_all(std::slice::from_ref(key)).await;
        found.into_iter().next().unwrap_or(Found::Changing)
    }

    /// The same for several at once, in their order.
    pub(super) async fn find_all(&self, keys: &[V::Key]) -> Vec<Found<V>> {
        let mut found: Vec<Found<V>> = keys.iter().map(|key| self.look(key)).collect();
        let missing: Vec<usize> = (0..keys.len())
            .filter(|at| matches!(found[*at], Found::Missing(_)))
            .collect();
        let shared = self.shared.as_ref().filter(|shared| shared.is_worth_asking());
        if let Some(shared) = shared.filter(|_| !missing.is_empty()) {
            let names: Vec<String> = missing.iter().map(|at| self.name(&keys[*at])).collect();
            for (at, bytes) in missing.into_iter().zip(shared.read(&names).await) {
                let (key, Found::Missing(mark)) = (&keys[at], &found[at]) else {
                    continue;
                };
                let value = bytes.and_then(|bytes| V::read(key, &bytes));
                // It may have begun to change meanwhile.
                if let Some(value) = value.filter(|_| self.fences.holds(*mark)) {
                    self.keep(*mark, key, &value);
                    self.count("redis");
                    found[at] = Found::Here(value);
                }
            }
        }
        for each in &found {
            if !matches!(each, Found::Here(_)) {
                self.count("store");
            }
        }
        found
    }

    /// What is in memory, or how the key stands.
    fn look(&self, key: &V::Key) -> Found<V> {
        // First: whatever begins to change from now on voids it.
        let mark = self.fences.mark(key);
        if self.fences.is_changing(key) {
            return Found::Changing;
        }
        match self.in_memory(key) {
            Some(value) => {
                self.count("memory");
                Found::Here(value)
            }
            None => Found::Missing(mark),
        }
    }

    fn name(&self, key: &V::Key) -> String {
        format!("{}:{}", self.kind.key, V::name(key))
    }

    fn keep(&self, mark: Mark, key: &V::Key, value: &V) {
        let value = value.clone();
        self.local.insert(key.clone(), Copied { mark, value });
    }

    /// Remembers what was read after the mark.
    pub(super) fn fill(&self, mark: Mark, key: &V::Key, value: &V) {
        self.keep(mark, key, value);
        if let Some(shared) = &self.shared {
            let (fences, entry) = (Arc::clone(&self.fences), self.entry(key, Some(value)));
            shared.fill(entry, Box::new(move || fences.holds(mark)));
        }
    }

    fn entry(&self, key: &V::Key, value: Option<&V>) -> Entry {
        Entry {
            key: self.name(key),
            value: value.and_then(V::write),
            lifetime: self.kind.lifetime,
        }
    }

    /// These are about to change.
    pub(super) fn changing<'a>(&self, keys: impl Iterator<Item = &'a V::Key>) -> Changing {
        Changing::begin(&self.fences, keys)
    }

    /// Nobody knows yet which are about to change.
    pub(super) fn changing_any(&self) -> Changing {
        Changing::begin_any(&self.fences)
    }

    /// These have changed, and can be read as they are now: remembers what they have become, or that they have to be read. After it nothing older is
    /// found. If it is given up half way, everything is forgotten.
    pub(super) async fn changed(&self, changes: Vec<(V::Key, Option<V>)>) {
        if changes.is_empty() {
            return;
        }
        for (key, _) in &changes {
            self.fences.move_on(key);
        }
        if let Some(shared) = &self.shared {
            let doubt = self.in_doubt();
            let entries = changes.iter().map(|(key, value)| self.entry(key, value.as_ref()));
            shared.change(entries).await;
            doubt.settle();
            // Whoever took a mark meanwhile may have found there what was there before.
            for (key, _) in &changes {
                self.fences.move_on(key);
            }
        }
        for (key, value) in changes {
            match value {
                Some(value) => self.keep(self.fences.mark(&key), &key, &value),
                None => self.local.invalidate(&key),
            }
        }
    }

    /// Forgets everything, wherever it is.
    pub(super) fn forget(&self) {
        self.fences.move_all();
        self.local.invalidate_all();
        if let Some(shared) = &self.shared {
            shared.forget();
        }
    }

    /// Where in Redis everything is.
    #[cfg(test)]
    pub(super) fn space(&self) -> Option<String> {
        self.shared.as_ref().map(|shared| shared.space())
    }

    /// As if the time of everything in memory had run out.
    #[cfg(test)]
    pub(super) fn forget_memory(&self) {
        self.local.invalidate_all();
    }

    /// From now on until it is settled nobody knows what the store has.
    pub(super) fn in_doubt(&self) -> Doubt<'_, V> {
        Doubt { tiers: Some(self) }
    }
}

/// Forgets everything unless it is settled.
pub(super) struct Doubt<'a, V: Remembered> {
    tiers: Option<&'a Tiers<V>>,
}

impl<V: Remembered> Doubt<'_, V> {
    pub(super) fn settle(mut self) {
        self.tiers = None;
    }
}

impl<V: Remembered> Drop for Doubt<'_, V> {
    fn drop(&mut self) {
        if let Some(tiers) = self.tiers {
            tiers.forget();
        }
    }
}
