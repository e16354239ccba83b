//! The port on the file: a bounded queue before each of the threads that have it, the one that writes and the one that looks things up.

use super::file::{open, open_for_reading};
use super::writer::{Letter, LookUp, Order, ReplyTo, Writer};
use crate::mirror::{Mirror, MirrorIn};
use crate::store_file::Kept;
use florin_domain::ids::PaymentLinkId;
use florin_domain::payment_link::{LinkChange, PaymentLink};
use florin_domain::ports::{
    BoxFuture, ChangedLink, Clock, Entropy, LinkClaim, LinkOnce, LinkPage, LinksError, PaymentLinks,
};
use florin_domain::time::Timestamp;
use florin_domain::vault::Owner;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

/// What may wait for a thread; one more is refused as busy.
pub const LINKS_WAITING_MAX: usize = 1024;

/// Why the file cannot be used.
#[derive(Debug, Error)]
#[error("the store of payment links {path} cannot be used: {why}", path = path.display())]
pub struct OpenError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

/// Payment links in a file, or in memory.
pub struct LinkStore {
    /// Taken when the store closes, which ends the thread.
    letters: Option<mpsc::Sender<Letter>>,
    /// The same of the thread that looks things up. None in memory, where there is one connection only.
    look_ups: Option<mpsc::Sender<LookUp>>,
    clock: Arc<dyn Clock>,
    threads: Vec<JoinHandle<()>>,
}

impl fmt::Debug for LinkStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkStore").finish_non_exhaustive()
    }
}

fn ended() -> LinksError {
    LinksError::Store("its thread has ended".to_owned())
}

impl LinkStore {
    /// Opens the file, or a new one; without a path, one in memory.
    ///
    /// # Errors
    /// If the file is damaged or of another version.
    pub fn open(path: Option<&Path>, world: (Arc<dyn Clock>, Arc<dyn Entropy>)) -> Result<Self, OpenError> {
        Self::open_mirrored(path, world, None)
    }

    /// The same of links that are kept elsewhere as well.
    ///
    /// # Errors
    /// If the file is damaged or of another version, or its second copy cannot be had.
    pub fn open_mirrored(
        path: Option<&Path>,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
        mirror: Option<&MirrorIn>,
    ) -> Result<Self, OpenError> {
        let failed = |why| OpenError {
            path: path.map_or_else(|| PathBuf::from("in memory"), Path::to_owned),
            why,
        };
        let mut file = open(path, Kept::of(mirror)).map_err(failed)?;
        let writer = Writer {
            mirror: Mirror::open(mirror, "links", &mut file).map_err(failed)?,
            file,
            clock: Arc::clone(&clock),
            entropy,
            halted: None,
            is_sweeping: false,
        };
        let look_up = path.map(open_for_reading).transpose().map_err(failed)?;
        let mut store = Self {
            letters: None,
            look_ups: None,
            clock,
            threads: Vec::new(),
        };
        let (letters, inbox) = mpsc::channel(LINKS_WAITING_MAX);
        store
            .spawn("florin-links", move || writer.run(inbox))
            .map_err(failed)?;
        store.letters = Some(letters);
        if let Some(file) = look_up {
            let (look_ups, inbox) = mpsc::channel(LINKS_WAITING_MAX);
            store
                .spawn("florin-links-rd", move || LookUp::answer_all(&file, inbox))
                .map_err(failed)?;
            store.look_ups = Some(look_ups);
        }
        Ok(store)
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), String> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
        self.threads.push(thread.map_err(|error| error.to_string())?);
        Ok(())
    }

    async fn change_by(&self, order: Order) -> Result<ChangedLink, LinksError> {
        let (reply, answer) = oneshot::channel();
        send(self.letters.as_ref(), Letter::Change(order, reply))?;
        answer.await.map_err(|_| ended())?
    }

    async fn look_up<T>(&self, asked: impl FnOnce(ReplyTo<T>) -> LookUp) -> Result<T, LinksError> {
        let (reply, answer) = oneshot::channel();
        let asked = asked(reply);
        match &self.look_ups {
            Some(look_ups) => send(Some(look_ups), asked)?,
            None => send(self.letters.as_ref(), Letter::LookUp(asked))?,
        }
        answer.await.map_err(|_| ended())?
    }
}

fn send<T>(queue: Option<&mpsc::Sender<T>>, letter: T) -> Result<(), LinksError> {
    let queue = queue.ok_or_else(ended)?;
    queue.try_send(letter).map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => LinksError::Busy,
        mpsc::error::TrySendError::Closed(_) => ended(),
    })
}

impl Drop for LinkStore {
    /// What was taken on is finished first.
    fn drop(&mut self) {
        self.letters = None;
        self.look_ups = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of payment links ended by a panic");
            }
        }
    }
}

impl PaymentLinks for LinkStore {
    fn change(
        &self,
        owner: Owner,
        change: LinkChange,
        once: Option<LinkOnce>,
    ) -> BoxFuture<'_, Result<ChangedLink, LinksError>> {
        let order = Order::Merchant(owner, change, once);
        Box::pin(self.change_by(order))
    }

    fn find(&self, id: PaymentLinkId) -> BoxFuture<'_, Result<Option<PaymentLink>, LinksError>> {
        Box::pin(self.look_up(move |reply| LookUp::Find(id, reply)))
    }

    fn list(
        &self,
        owner: Owner,
        page: LinkPage,
    ) -> BoxFuture<'_, Result<(Vec<PaymentLink>, bool), LinksError>> {
        Box::pin(self.look_up(move |reply| LookUp::List(owner, page, reply)))
    }

    fn claim(&self, claim: LinkClaim) -> BoxFuture<'_, Result<PaymentLink, LinksError>> {
        Box::pin(async move {
            let made = self.change_by(Order::Claim(claim)).await?;
            Ok(made.link)
        })
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
