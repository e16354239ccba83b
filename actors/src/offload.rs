//! Work that would hold up the threads that actors live on: heavy computing, and stores that block.

use crate::context::Context;
use florin_domain::ports::BoxFuture;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
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

impl Context {
    /// Runs it elsewhere. A panic there is one here.
    pub async fn aside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (reply, result) = oneshot::channel();
        let chore = move || drop(reply.send(catch_unwind(AssertUnwindSafe(work))));
        self.ports.offload.run(Box::new(chore)).await;
        match result.await {
            Ok(Ok(value)) => value,
            Ok(Err(panic)) => resume_unwind(panic),
            // The runtime ends, and with it whoever waits here.
            Err(_) => std::future::pending().await,
        }
    }
}
