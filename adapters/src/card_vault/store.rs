//! The ports on the file: a thread that writes, a few connections that read, and a bounded number that wait before each.

use super::codes::Codes;
use super::tables::{open_for_reading, open_for_writing};
use super::tenant::{KeyRing, unwrap};
use super::writer::{Found, Letter, Order, Question, Writer, find};
use crate::mirror::{Mirror, MirrorIn};
use crate::store_file::Kept;
use florin_domain::ids::{MerchantId, MethodId};
use florin_domain::ports::{
    BoxFuture, CardVault, ChargedCards, Clock, Entropy, Kek, KekId, VaultError, VaultKey, VaultObjects,
};
use florin_domain::time::Timestamp;
use florin_domain::vault::{Changed, ChargedCard, Once, Owner, VaultChange, VaultObject, VaultPage};
use rusqlite::Connection;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use thiserror::Error;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Why the file cannot be used.
#[derive(Debug, Error)]
#[error("the card vault {path} cannot be used: {why}", path = path.display())]
pub struct OpenError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

/// How the vault runs.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Changes that may wait; one more is refused as busy.
    pub changes_waiting_max: usize,
    /// Look-ups that may wait; one more is refused as busy.
    pub reads_waiting_max: usize,
    /// Connections that read.
    pub readers: usize,
    /// Where the rows are kept as well.
    pub mirror: Option<MirrorIn>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            changes_waiting_max: 1024,
            reads_waiting_max: 1024,
            readers: 2,
            mirror: None,
        }
    }
}

/// A connection that reads, with the keys that it has opened.
type Reader = (Connection, KeyRing);

#[derive(Debug)]
struct Readers {
    /// Of those that wait and those that read, but for charges: their number is bounded before, and none is given up for a crowd of look-ups.
    waiting: Arc<Semaphore>,
    free: Arc<Semaphore>,
    idle: Mutex<Vec<Reader>>,
}

/// Customers and saved cards in a file, or in memory.
pub struct CardStore {
    /// Taken when the vault closes, which ends the thread.
    letters: Option<mpsc::Sender<Letter>>,
    /// None in memory, where there is one connection only.
    readers: Option<Arc<Readers>>,
    clock: Arc<dyn Clock>,
    codes: Arc<Mutex<Codes>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for CardStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CardStore").finish_non_exhaustive()
    }
}

fn ended() -> VaultError {
    VaultError::Store("its thread has ended".to_owned())
}

impl CardStore {
    /// Opens the file, or a new one. The first key-encryption key wraps what is new; all of them open what is there.
    ///
    /// # Errors
    /// If the file is damaged, of another version, or something in it is sealed under a key that is not here.
    pub fn open(
        path: &Path,
        keks: Vec<Arc<dyn Kek>>,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
        options: &StoreOptions,
    ) -> Result<Self, OpenError> {
        let failed = |why| OpenError {
            path: path.to_owned(),
            why,
        };
        let mut file = open_for_writing(Some(path), Kept::of(options.mirror.as_ref())).map_err(failed)?;
        let mirror = Mirror::open(options.mirror.as_ref(), "cards", &mut file).map_err(failed)?;
        check_keys(&file, &keks).map_err(failed)?;
        let reader = || Ok((open_for_reading(path)?, KeyRing::new(keks.clone())));
        let idle: Result<Vec<Reader>, String> = (0..options.readers.max(1)).map(|_| reader()).collect();
        let idle = idle.map_err(failed)?;
        let readers = Readers {
            waiting: Arc::new(Semaphore::new(options.reads_waiting_max)),
            free: Arc::new(Semaphore::new(idle.len())),
            idle: Mutex::new(idle),
        };
        Self::start((file, mirror), keks, (clock, entropy), options, Some(readers)).map_err(failed)
    }

    /// The same in memory.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn in_memory(
        keks: Vec<Arc<dyn Kek>>,
        world: (Arc<dyn Clock>, Arc<dyn Entropy>),
        options: &StoreOptions,
    ) -> Result<Self, OpenError> {
        let failed = |why| OpenError {
            path: PathBuf::from("in memory"),
            why,
        };
        let file = open_for_writing(None, Kept::Here).map_err(failed)?;
        Self::start((file, Mirror::none()), keks, world, options, None).map_err(failed)
    }

    fn start(
        (file, mirror): (Connection, Mirror),
        keks: Vec<Arc<dyn Kek>>,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
        options: &StoreOptions,
        readers: Option<Readers>,
    ) -> Result<Self, String> {
        let codes = Arc::<Mutex<Codes>>::default();
        let writer = Writer {
            file,
            mirror,
            keys: KeyRing::new(keks),
            clock: Arc::clone(&clock),
            entropy,
            codes: Arc::clone(&codes),
            halted: None,
            is_sweeping: false,
            // The process before this one may have ended before it emptied the log.
            must_empty_log: true,
        };
        let (letters, inbox) = mpsc::channel(options.changes_waiting_max.max(1));
        let thread = std::thread::Builder::new()
            .name("florin-vault".to_owned())
            .spawn(move || writer.run(inbox))
            .map_err(|error| error.to_string())?;
        Ok(Self {
            letters: Some(letters),
            readers: readers.map(Arc::new),
            clock,
            codes,
            thread: Some(thread),
        })
    }

    fn send(&self, letter: Letter) -> Result<(), VaultError> {
        let letters = self.letters.as_ref().ok_or_else(ended)?;
        letters.try_send(letter).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => VaultError::Busy,
            mpsc::error::TrySendError::Closed(_) => ended(),
        })
    }

    async fn ask(&self, question: Question) -> Result<Found, VaultError> {
        let Some(readers) = &self.readers else {
            let (reply, answer) = oneshot::channel();
            self.send(Letter::Question(question, reply))?;
            return answer.await.map_err(|_| ended())?;
        };
        let waiting = match question {
            Question::Card(..) => None,
            Question::One(..) | Question::Page(..) => {
                let place = Arc::clone(&readers.waiting).try_acquire_owned();
                Some(place.map_err(|_| VaultError::Busy)?)
            }
        };
        let free = Arc::clone(&readers.free);
        let free = free.acquire_owned().await.map_err(|_| ended())?;
        let (idle, now) = (Arc::clone(readers), self.clock.now());
        let reading = tokio::task::spawn_blocking(move || {
            // Given back with the connection, also if whoever asked has gone by then.
            let _places = (waiting, free);
            let reader = idle.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some((file, mut keys)) = reader else {
                return Err(VaultError::Busy);
            };
            let found = find(&file, &mut keys, &question, now);
            idle.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((file, keys));
            found
        });
        reading.await.map_err(|_| ended())?
    }

    /// How many look-ups could begin while none may take or give back a connection and `then` runs.
    #[cfg(test)]
    pub(super) fn free_while_held(&self, then: impl FnOnce()) -> usize {
        let readers = self.readers.as_ref().expect("a file");
        let _held = readers.idle.lock().unwrap_or_else(PoisonError::into_inner);
        then();
        readers.free.available_permits()
    }

    #[cfg(test)]
    pub(super) fn codes_kept(&self) -> usize {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Every data key must open now, not when a customer pays.
fn check_keys(file: &Connection, keks: &[Arc<dyn Kek>]) -> Result<(), String> {
    let failed = |error: rusqlite::Error| error.to_string();
    let mut statement = file
        .prepare("SELECT merchant, livemode, kek, wrapped FROM data_key")
        .map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let owner = Owner {
            merchant: MerchantId::from_bits(u128::from_be_bytes(row.get(0).map_err(failed)?)),
            livemode: row.get(1).map_err(failed)?,
        };
        let (kek, wrapped): ([u8; 8], Vec<u8>) = (row.get(2).map_err(failed)?, row.get(3).map_err(failed)?);
        unwrap(keks, owner, KekId(kek), &wrapped)?;
    }
    Ok(())
}

impl Drop for CardStore {
    /// What was taken on is finished first.
    fn drop(&mut self) {
        self.letters = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the card vault's thread ended by a panic");
        }
    }
}

impl CardVault for CardStore {
    fn change(
        &self,
        owner: Owner,
        change: VaultChange,
        once: Option<Once>,
    ) -> BoxFuture<'_, Result<Changed, VaultError>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let order = Order {
                owner,
                change,
                once,
                reply,
            };
            self.send(Letter::Change(Box::new(order)))?;
            answer.await.map_err(|_| ended())?
        })
    }

    fn get(&self, owner: Owner, key: VaultKey) -> BoxFuture<'_, Result<Option<VaultObject>, VaultError>> {
        Box::pin(async move {
            match self.ask(Question::One(owner, key)).await? {
                Found::One(object) => Ok(object),
                Found::Page(_) | Found::Card(_) => Err(ended()),
            }
        })
    }

    fn list(&self, owner: Owner, page: VaultPage) -> BoxFuture<'_, Result<Option<VaultObjects>, VaultError>> {
        Box::pin(async move {
            match self.ask(Question::Page(owner, page)).await? {
                Found::Page(page) => Ok(page),
                Found::One(_) | Found::Card(_) => Err(ended()),
            }
        })
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl ChargedCards for CardStore {
    fn open(
        &self,
        merchant: MerchantId,
        method: MethodId,
    ) -> BoxFuture<'_, Result<Option<ChargedCard>, VaultError>> {
        Box::pin(async move {
            let card = match self.ask(Question::Card(merchant, method)).await? {
                Found::Card(card) => card,
                Found::One(_) | Found::Page(_) => return Err(ended()),
            };
            let now = self.clock.now();
            let code = || {
                self.codes
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .of(method, now)
            };
            Ok(card.map(|card| ChargedCard { card, code: code() }))
        })
    }

    fn answered(&self, method: MethodId) {
        self.codes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .forget(method);
    }
}
