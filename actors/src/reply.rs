//! Answering whoever asked: they may have left, and that is nobody's fault.

use tokio::sync::oneshot;

/// Answers, if anybody still listens.
pub fn tell<T>(reply: oneshot::Sender<T>, value: T) {
    if reply.send(value).is_err() {
        tracing::trace!("whoever asked has left");
    }
}
