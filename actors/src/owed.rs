//! What a task owes the actor that started it: if the task panics, the actor hears that instead of waiting for ever.

use crate::mailbox::Mailbox;

/// The word of a task, with what is said if there is none.
pub(crate) struct Owed<M: Send + 'static> {
    to: Mailbox<M>,
    instead: Option<M>,
}

impl<M: Send + 'static> Owed<M> {
    /// Owed to `to`, which hears `instead` if the task that holds this panics.
    pub(crate) fn new(to: Mailbox<M>, instead: M) -> Self {
        Self {
            to,
            instead: Some(instead),
        }
    }

    /// Says what there is to say.
    pub(crate) fn say(mut self, message: M) {
        self.instead = None;
        self.to.step(message);
    }
}

impl<M: Send + 'static> Drop for Owed<M> {
    fn drop(&mut self) {
        // A runtime that ends drops its tasks as well: that is nobody's failure.
        if std::thread::panicking()
            && let Some(instead) = self.instead.take()
        {
            self.to.step(instead);
        }
    }
}
