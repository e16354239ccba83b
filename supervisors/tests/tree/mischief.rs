//! What ports do on a test's word: panic so many times, and answer something else.

use crate::ports::lock;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// What injected panics say, so that the panic hook knows them.
pub(crate) const INJECTED: &str = "injected by the probe";

/// Takes down as many of the tasks that come by as it was told to.
#[derive(Debug, Default)]
pub(crate) struct Trap(AtomicU64);

impl Trap {
    pub(crate) fn set(&self, times: u64) {
        self.0.store(times, Ordering::SeqCst);
    }

    pub(crate) fn passed(&self) {
        assert!(!one_less(&self.0), "{INJECTED}");
    }
}

/// Takes one from what is left, if something is.
pub(crate) fn one_less(left: &AtomicU64) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
        .is_ok()
}

type Change<T> = Arc<dyn Fn(&mut T) + Send + Sync>;

/// Changes what a port answers, as long as a test wants it to.
pub(crate) struct Altered<T>(Mutex<Option<Change<T>>>);

impl<T> Altered<T> {
    pub(crate) fn set(&self, change: impl Fn(&mut T) + Send + Sync + 'static) {
        *lock(&self.0) = Some(Arc::new(change));
    }

    pub(crate) fn clear(&self) {
        *lock(&self.0) = None;
    }

    pub(crate) fn apply(&self, answer: &mut T) {
        let change = lock(&self.0).clone();
        if let Some(change) = change {
            change(answer);
        }
    }
}

impl<T> Default for Altered<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> fmt::Debug for Altered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Altered").finish_non_exhaustive()
    }
}
