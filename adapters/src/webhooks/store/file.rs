//! The ports on the file: a thread that writes, a few connections that read, and a bounded number that wait before each.

use super::reader;
use super::seal::{FileKey, Trouble};
use super::tables::{open_for_reading, open_for_writing};
use super::writer::{Letter, Writer};
use crate::mirror::{Mirror, MirrorIn};
use crate::store_file::Kept;
use florin_domain::ids::{EndpointId, ShardId};
use florin_domain::ports::{
    BoxFuture, Clock, DeliveryBook, EndpointChanged, EndpointError, EndpointPage, EndpointStore, Kek,
    ListedEndpoints, NumberedDeliveries,
};
use florin_domain::vault::{Once, Owner};
use florin_domain::webhook::{Endpoint, EndpointChange, KeptEndpoint, Noted, Progress};
use rusqlite::Connection;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Why the file cannot be used.
#[derive(Debug, Error)]
#[error("the webhook endpoints in {path} cannot be used: {why}", path = path.display())]
pub struct OpenError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

/// How the store runs.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Changes and notes that may wait; one more is refused as busy.
    pub changes_waiting_max: usize,
    /// Look-ups of merchants that may wait; one more is refused as busy.
    pub reads_waiting_max: usize,
    /// Connections that read.
    pub readers: usize,
    /// Where the rows are kept as well.
    pub mirror: Option<MirrorIn>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            changes_waiting_max: 4096,
            reads_waiting_max: 1024,
            readers: 2,
            mirror: None,
        }
    }
}

#[derive(Debug)]
struct Readers {
    /// Merchants that wait and those that read. Whoever delivers is not among them: their number is bounded before, and nobody's deliveries
    /// are held up by a crowd of look-ups.
    waiting: Arc<Semaphore>,
    free: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lend(&self) -> Option<Lent<'_>> {
        let file = self.idle().pop()?;
        Some(Lent {
            readers: self,
            file: Some(file),
        })
    }
}

/// A connection for one reading, given back however that ends: by a panic as well.
struct Lent<'a> {
    readers: &'a Readers,
    /// Taken when it is given back.
    file: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.readers.idle().extend(self.file.take());
    }
}

/// Webhook endpoints in a file.
pub struct EndpointFile {
    /// Taken when the store closes, which ends the thread.
    letters: Option<mpsc::Sender<Letter>>,
    readers: Arc<Readers>,
    key: Arc<FileKey>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for EndpointFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointFile").finish_non_exhaustive()
    }
}

fn ended() -> EndpointError {
    EndpointError::Store("its thread has ended".to_owned())
}

impl EndpointFile {
    /// Opens the file, or a new one. The first key-encryption key wraps what is new; all of them open what is there.
    ///
    /// # Errors
    /// If the file is damaged, of another version, or sealed under a key that is not here. It is left as it is then.
    pub fn open(
        path: &Path,
        keks: &[Arc<dyn Kek>],
        clock: Arc<dyn Clock>,
        options: &StoreOptions,
    ) -> Result<Self, OpenError> {
        let failed = |why| OpenError {
            path: path.to_owned(),
            why,
        };
        let mut file = open_for_writing(path, Kept::of(options.mirror.as_ref())).map_err(failed)?;
        let mut mirror = Mirror::open(options.mirror.as_ref(), "webhooks", &mut file).map_err(failed)?;
        let key = Arc::new(FileKey::of(&file, &mut mirror, keks).map_err(failed)?);
        let idle: Result<Vec<Connection>, String> = (0..options.readers.max(1))
            .map(|_| open_for_reading(path))
            .collect();
        let idle = idle.map_err(failed)?;
        let readers = Readers {
            waiting: Arc::new(Semaphore::new(options.reads_waiting_max)),
            free: Arc::new(Semaphore::new(idle.len())),
            idle: Mutex::new(idle),
        };
        let writer = Writer {
            file,
            mirror,
            key: Arc::clone(&key),
            clock,
            halted: None,
            is_sweeping: false,
        };
        let (letters, inbox) = mpsc::channel(options.changes_waiting_max.max(1));
        let thread = std::thread::Builder::new()
            .name("florin-webhooks".to_owned())
            .spawn(move || writer.run(inbox))
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            letters: Some(letters),
            readers: Arc::new(readers),
            key,
            thread: Some(thread),
        })
    }

    fn send(&self, letter: Letter) -> Result<(), EndpointError> {
        let letters = self.letters.as_ref().ok_or_else(ended)?;
        letters.try_send(letter).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => EndpointError::Busy,
            mpsc::error::TrySendError::Closed(_) => ended(),
        })
    }

    /// Reads for a merchant, of whom only so many may wait.
    async fn ask<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection, &FileKey) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, EndpointError> {
        let place = Arc::clone(&self.readers.waiting).try_acquire_owned();
        let place = place.map_err(|_| EndpointError::Busy)?;
        self.read(Some(place), read).await
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        place: Option<OwnedSemaphorePermit>,
        read: impl FnOnce(&Connection, &FileKey) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, EndpointError> {
        let free = Arc::clone(&self.readers.free);
        let free = free.acquire_owned().await.map_err(|_| ended())?;
        let (readers, key) = (Arc::clone(&self.readers), Arc::clone(&self.key));
        let reading = tokio::task::spawn_blocking(move || {
            // Given back with the connection, also if whoever asked has gone by then.
            let _places = (place, free);
            let lent = readers.lend();
            let file = lent.as_ref().and_then(|lent| lent.file.as_ref());
            Ok(read(file.ok_or(EndpointError::Busy)?, &key)?)
        });
        reading.await.map_err(|_| ended())?
    }
}

impl Drop for EndpointFile {
    /// What was taken on is finished first.
    fn drop(&mut self) {
        self.letters = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the webhook endpoints ended by a panic");
        }
    }
}

impl EndpointStore for EndpointFile {
    fn change(
        &self,
        owner: Owner,
        change: EndpointChange,
        once: Option<Once>,
    ) -> BoxFuture<'_, Result<EndpointChanged, EndpointError>> {
        let (reply, answer) = oneshot::channel();
        // Sent before anybody waits: changes and notes are made in the order in which they are called.
        let sent = self.send(Letter::Change(owner, Box::new(change), once, reply));
        Box::pin(async move {
            sent?;
            answer.await.map_err(|_| ended())?
        })
    }

    fn get(&self, owner: Owner, id: EndpointId) -> BoxFuture<'_, Result<Option<Endpoint>, EndpointError>> {
        Box::pin(self.ask(move |file, key| {
            let kept = reader::kept_of(file, key, (owner, id))?;
            Ok(kept.map(|kept| kept.endpoint))
        }))
    }

    fn list(
        &self,
        owner: Owner,
        page: EndpointPage,
    ) -> BoxFuture<'_, Result<Option<ListedEndpoints>, EndpointError>> {
        Box::pin(self.ask(move |file, key| reader::list(file, key, owner, page)))
    }

    fn deliveries(
        &self,
        owner: Owner,
        id: EndpointId,
        page: (usize, Option<u64>),
    ) -> BoxFuture<'_, Result<Option<NumberedDeliveries>, EndpointError>> {
        Box::pin(self.ask(move |file, _| reader::deliveries(file, (owner, id), page)))
    }
}

impl DeliveryBook for EndpointFile {
    fn endpoints(&self, shard: ShardId) -> BoxFuture<'_, Result<Vec<EndpointId>, EndpointError>> {
        Box::pin(self.read(None, move |file, _| reader::ids_in(file, shard)))
    }

    fn open(&self, id: EndpointId) -> BoxFuture<'_, Result<Option<(KeptEndpoint, Progress)>, EndpointError>> {
        Box::pin(self.read(None, move |file, key| reader::open(file, key, id)))
    }

    fn note(&self, noted: Noted) -> BoxFuture<'_, Result<(), EndpointError>> {
        let (reply, answer) = oneshot::channel();
        let sent = self.send(Letter::Note(Box::new(noted), reply));
        Box::pin(async move {
            sent?;
            answer.await.map_err(|_| ended())?
        })
    }
}
