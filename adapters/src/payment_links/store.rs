//! The port on the file: a bounded queue before the thread that has it.

use super::file::open;
use super::writer::{Letter, Order, ReplyTo, Writer};
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

/// What may wait for the thread; one more is refused as busy.
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
    clock: Arc<dyn Clock>,
    thread: Option<JoinHandle<()>>,
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
    pub fn open(
        path: Option<&Path>,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
    ) -> Result<Self, OpenError> {
        let failed = |why| OpenError {
            path: path.map_or_else(|| PathBuf::from("in memory"), Path::to_owned),
            why,
        };
        let writer = Writer {
            file: open(path).map_err(failed)?,
            clock: Arc::clone(&clock),
            entropy,
            halted: None,
        };
        let (letters, inbox) = mpsc::channel(LINKS_WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("florin-links".to_owned())
            .spawn(move || writer.run(inbox))
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            letters: Some(letters),
            clock,
            thread: Some(thread),
        })
    }

    async fn ask<T>(&self, letter: impl FnOnce(ReplyTo<T>) -> Letter) -> Result<T, LinksError> {
        let (reply, answer) = oneshot::channel();
        let letters = self.letters.as_ref().ok_or_else(ended)?;
        letters.try_send(letter(reply)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => LinksError::Busy,
            mpsc::error::TrySendError::Closed(_) => ended(),
        })?;
        answer.await.map_err(|_| ended())?
    }
}

impl Drop for LinkStore {
    /// What was taken on is finished first.
    fn drop(&mut self) {
        self.letters = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of payment links ended by a panic");
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
        Box::pin(self.ask(|reply| Letter::Change(order, reply)))
    }

    fn find(&self, id: PaymentLinkId) -> BoxFuture<'_, Result<Option<PaymentLink>, LinksError>> {
        Box::pin(self.ask(move |reply| Letter::Find(id, reply)))
    }

    fn list(
        &self,
        owner: Owner,
        page: LinkPage,
    ) -> BoxFuture<'_, Result<(Vec<PaymentLink>, bool), LinksError>> {
        Box::pin(self.ask(move |reply| Letter::List(owner, page, reply)))
    }

    fn claim(&self, claim: LinkClaim) -> BoxFuture<'_, Result<PaymentLink, LinksError>> {
        Box::pin(async move {
            let made = self
                .ask(|reply| Letter::Change(Order::Claim(claim), reply))
                .await?;
            Ok(made.link)
        })
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
