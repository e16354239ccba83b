//! The tier in Redis: its own space there, what was acknowledged, and what is written in order.

use crate::redis::Unreachable;
use crate::secrets::sealing;
use arc_swap::ArcSwap;
use florin_domain::ports::{BoxFuture, DataKey};
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use zeroize::Zeroizing;

/// Letters that wait for the task that writes: a fill that finds no place is left out.
const LETTERS_MAX: usize = 1024;
/// Entries of one write, some hundred kilobytes.
const PUTS_MAX: usize = 256;
/// After a failure nothing is asked for so long.
const REST: Duration = Duration::from_secs(1);
/// For how long the count of what was written is kept behind the last write: longer than every entry.
const COUNT_LIFETIME: Duration = Duration::from_hours(24);

const LOST: &str = "Redis has lost what it had acknowledged";

/// One entry that is written: with a value, or taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Where.
    pub key: String,
    /// What; nothing takes away what is there.
    pub value: Option<Vec<u8>>,
    /// For how long.
    pub lifetime: Duration,
}

/// The number of a write, under a key of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// Where the number is.
    pub key: String,
    /// That of the write before; zero if there is none, and nothing under the key.
    pub before: u64,
    /// That of this one.
    pub number: u64,
    /// For how long it is kept.
    pub lifetime: Duration,
}

/// A store of keys and values that may lose anything at any time, but only what came last: what it has at any moment is what some
/// first part of all writes came to, less what it has thrown away by itself.
///
/// It answers in a bounded time, if only that it does not know.
pub trait KeyValues: Send + Sync + fmt::Debug {
    /// What is under the keys at one moment.
    fn read(&self, keys: Vec<String>) -> BoxFuture<'_, Result<Vec<Option<Vec<u8>>>, Unreachable>>;

    /// Writes all of it at one moment, and the number with it; nothing, and `false`, if the number before is another one. After an error it may
    /// have been written, or be written later.
    fn write(&self, numbered: Numbered, puts: Vec<Put>) -> BoxFuture<'_, Result<bool, Unreachable>>;
}

/// What this process has there under one name, until something of it may be lost.
struct Space {
    prefix: String,
    key: DataKey,
    /// The number of the last write that was acknowledged; zero before the first.
    acknowledged: AtomicU64,
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Space")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl Space {
    fn new() -> std::io::Result<Self> {
        let name = sealing::new_key()?;
        let mut prefix = "florin:".to_owned();
        for byte in &name[..8] {
            write!(prefix, "{byte:02x}").map_err(std::io::Error::other)?;
        }
        prefix.push(':');
        Ok(Self {
            prefix,
            key: sealing::new_key()?,
            acknowledged: AtomicU64::new(0),
        })
    }

    fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn count(&self) -> String {
        self.name("written")
    }
}

/// What is to be written, of which nothing is sealed yet.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: Option<Zeroizing<Vec<u8>>>,
    pub(super) lifetime: Duration,
}

type StillHolds = Box<dyn Fn() -> bool + Send>;

enum Letter {
    /// Has to be there, or what is there be forgotten, before it is acknowledged.
    Change(Vec<Entry>, oneshot::Sender<()>),
    /// A copy of what was read, if it is still so when it is written.
    Fill(Entry, StillHolds),
}

/// The tier in Redis.
pub struct Shared {
    store: Arc<dyn KeyValues>,
    space: ArcSwap<Space>,
    /// No secret could be drawn: nothing is used any more.
    is_off: AtomicBool,
    rests_until: Mutex<Option<Instant>>,
    letters: mpsc::Sender<Letter>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// On this store. Belongs to the runtime that it is started on, and ends with its last owner.
    ///
    /// # Errors
    /// If the system gives no random bytes.
    pub fn start(store: Arc<dyn KeyValues>) -> std::io::Result<Arc<Self>> {
        let (letters, inbox) = mpsc::channel(LETTERS_MAX);
        let shared = Arc::new(Self {
            store,
            space: ArcSwap::from_pointee(Space::new()?),
            is_off: AtomicBool::new(false),
            rests_until: Mutex::new(None),
            letters,
        });
        // It must not keep alive what ends it.
        tokio::spawn(write_all(Arc::downgrade(&shared), inbox));
        Ok(shared)
    }

    /// Forgets everything: what is there can be found, and opened, by nobody any more.
    pub(super) fn forget(&self) {
        if self.space.load().acknowledged.load(Ordering::SeqCst) > 0 {
            metrics::counter!("florin_cache_forgotten_total").increment(1);
        }
        match Space::new() {
            Ok(space) => self.space.store(Arc::new(space)),
            Err(error) => {
                tracing::error!(%error, "Redis is no longer used: no name could be drawn for what is kept there");
                self.is_off.store(true, Ordering::SeqCst);
            }
        }
    }

    /// The name of everything.
    #[cfg(test)]
    pub(super) fn space(&self) -> String {
        self.space.load().prefix.clone()
    }

    /// The same, unless it was forgotten already.
    fn leave(&self, space: &Arc<Space>, why: &str) {
        if Arc::ptr_eq(&self.space.load(), space) {
            if space.acknowledged.load(Ordering::SeqCst) > 0 {
                tracing::warn!(why, "what was kept in Redis is forgotten");
            }
            self.forget();
        }
    }

    fn rests(&self) -> bool {
        let mut until = self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        match *until {
            Some(at) if Instant::now() < at => true,
            Some(_) => {
                *until = None;
                false
            }
            None => false,
        }
    }

    fn rest(&self) {
        metrics::counter!("florin_cache_failures_total").increment(1);
        let mut until = self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = Some(Instant::now() + REST);
    }

    /// Whether anything could be found there now.
    pub(super) fn is_worth_asking(&self) -> bool {
        !self.is_off.load(Ordering::SeqCst)
            && self.space.load().acknowledged.load(Ordering::SeqCst) > 0
            && !self.rests()
    }

    /// What is under these keys, as this process wrote it last.
    pub(super) async fn read(&self, keys: &[String]) -> Vec<Option<Zeroizing<Vec<u8>>>> {
        let nothing = || keys.iter().map(|_| None).collect();
        if !self.is_worth_asking() {
            return nothing();
        }
        let space = self.space.load_full();
        // Before it is asked: whatever is acknowledged meanwhile may be missing.
        let acknowledged = space.acknowledged.load(Ordering::SeqCst);
        let names: Vec<String> = std::iter::once(space.count())
            .chain(keys.iter().map(|key| space.name(key)))
            .collect();
        let Ok(values) = self.store.read(names.clone()).await else {
            self.rest();
            return nothing();
        };
        let mut values = values.into_iter();
        let counted = values.next().flatten().and_then(|count| number(&count));
        if counted.is_none_or(|counted| counted < acknowledged) {
            self.leave(&space, LOST);
            return nothing();
        }
        let found = names[1..].iter().map(|name| {
            let sealed = values.next().flatten()?;
            sealing::open(&space.key, name.as_bytes(), &sealed)
        });
        found.collect()
    }

    /// Whether it makes sense to write.
    fn takes_writes(&self) -> bool {
        !self.is_off.load(Ordering::SeqCst) && !self.rests()
    }

    /// Something has changed that cannot be put right, so it must not be found.
    fn leave_unwritten(&self) {
        // Also if nothing is acknowledged there: something older may be on its way.
        let space = self.space.load_full();
        self.leave(&space, "Redis does not answer, and something changed");
    }

    /// Writes what has changed, and returns once it is there or everything that was there is forgotten.
    pub(super) async fn change(&self, entries: impl Iterator<Item = Entry>) {
        if !self.takes_writes() {
            return self.leave_unwritten();
        }
        let entries = entries.collect();
        let (reply, done) = oneshot::channel();
        let space = self.space.load_full();
        let is_sent = self.letters.send(Letter::Change(entries, reply)).await.is_ok();
        if !is_sent || done.await.is_err() {
            self.leave(&space, "nobody writes there any more");
        }
    }

    /// Keeps a copy of what was read, if there is room and it is still so.
    pub(super) fn fill(&self, entry: Entry, still_holds: StillHolds) {
        if !self.is_off.load(Ordering::SeqCst) {
            // A copy less is a read more.
            drop(self.letters.try_send(Letter::Fill(entry, still_holds)));
        }
    }

    /// One write into a space that was the one in use before anybody was asked whether the entries still hold. Whatever becomes of it, nothing that
    /// is found afterwards is older than it.
    async fn write(&self, space: &Arc<Space>, entries: Vec<Entry>) {
        // What came in its place is empty, and what was found to hold before may hold no longer.
        if !Arc::ptr_eq(&self.space.load(), space) {
            return;
        }
        if !self.takes_writes() {
            self.leave_unwritten();
            return;
        }
        let before = space.acknowledged.load(Ordering::SeqCst);
        let sealed: Option<Vec<Put>> = entries.into_iter().map(|entry| put(space, entry)).collect();
        let Some(puts) = sealed else {
            self.leave(space, "something could not be sealed");
            return;
        };
        // Written only where nothing is missing: a number that went on over what was lost would hide it.
        let numbered = Numbered {
            key: space.count(),
            before,
            number: before + 1,
            lifetime: COUNT_LIFETIME,
        };
        let number = numbered.number;
        match self.store.write(numbered, puts).await {
            Ok(true) => space.acknowledged.store(number, Ordering::SeqCst),
            Ok(false) => self.leave(space, LOST),
            Err(error) => {
                self.rest();
                // It may have been written, or be written later.
                self.leave(space, &error.0);
            }
        }
    }
}

fn put(space: &Space, entry: Entry) -> Option<Put> {
    let key = space.name(&entry.key);
    let value = match entry.value {
        None => None,
        Some(plain) => {
            let mut sealed = Vec::with_capacity(plain.len() + sealing::NONCE_BYTES + sealing::TAG_BYTES);
            sealing::seal(&space.key, key.as_bytes(), &plain, &mut sealed).ok()?;
            Some(sealed)
        }
    };
    Some(Put {
        key,
        value,
        lifetime: entry.lifetime,
    })
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Writes what comes, in order, as much at once as there is.
async fn write_all(shared: std::sync::Weak<Shared>, mut inbox: mpsc::Receiver<Letter>) {
    while let Some(first) = inbox.recv().await {
        let Some(shared) = shared.upgrade() else { return };
        // Before anybody is asked whether it still holds: whatever is forgotten from here on is not written.
        let space = shared.space.load_full();
        let (mut entries, mut waiting) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        while let Some(letter) = next {
            match letter {
                Letter::Change(changed, reply) => {
                    entries.extend(changed);
                    waiting.push(reply);
                }
                // Asked as late as can be: a change that has begun by now makes it void, and one that begins later comes behind it.
                Letter::Fill(entry, still_holds) if still_holds() => entries.push(entry),
                Letter::Fill(..) => {}
            }
            next = (entries.len() < PUTS_MAX)
                .then(|| inbox.try_recv().ok())
                .flatten();
        }
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            shared
                .write(&space, entries.by_ref().take(PUTS_MAX).collect())
                .await;
        }
        for reply in waiting {
            // Who asked may have gone.
            let _gone = reply.send(());
        }
    }
}
