//! Work that would hold up the threads that actors live on: heavy computing, and stores that block.

use crate::context::Context;
use florin_domain::ports::BoxFuture;
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use thiserror::Error;
use tokio::sync::oneshot;

/// Work to be done elsewhere. It does not panic.
pub type Chore = Box<dyn FnOnce() + Send>;

/// Where such work runs. A simulation runs it in its place in the order of things, so that the same seed is the same run.
pub trait Offload: Send + Sync + fmt::Debug {
    /// Runs it; ends when it has.
    fn run(&self, chore: Chore) -> BoxFuture<'static, ()>;
}

/// The product's choice: the runtime's threads for work that blocks.
#[derive(Clone, Copy, Debug)]
pub struct BlockingThreads;

impl Offload for BlockingThreads {
    fn run(&self, chore: Chore) -> BoxFuture<'static, ()> {
        let running = tokio::task::spawn_blocking(chore);
        Box::pin(async move { drop(running.await) })
    }
}

/// Work that was run elsewhere panicked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("it panicked: {0}")]
pub struct Panicked(pub String);

async fn caught<T: Send + 'static>(
    offload: &dyn Offload,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::thread::Result<T> {
    let (reply, result) = oneshot::channel();
    let chore = move || drop(reply.send(catch_unwind(AssertUnwindSafe(work))));
    offload.run(Box::new(chore)).await;
    match result.await {
        Ok(result) => result,
        // The runtime ends, and with it whoever waits here.
        Err(_) => std::future::pending().await,
    }
}

/// What a panic says; whoever panics with something else than text says nothing.
fn said(panic: &(dyn Any + Send)) -> Panicked {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    Panicked(text.unwrap_or_default())
}

impl Context {
    /// Runs it elsewhere. A panic there is one here.
    pub async fn aside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let result = caught(self.ports.offload.as_ref(), work).await;
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Runs it elsewhere, for whoever goes on if it panics there.
    pub async fn try_aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Panicked> {
        let result = caught(self.ports.offload.as_ref(), work).await;
        result.map_err(|panic| said(panic.as_ref()))
    }
}
