//! How the limits of several processes come to one. Each decides by its own buckets and waits for nobody. Whose bucket something was taken from is
//! noted; a task tells the shared place of them, together and ten times a second at most, and drains each as far as it hears that others have.
//!
//! What was told and not answered is not told again: it may have been counted. It is not lost either, since each telling says what the process
//! itself has taken lately.

use super::RateLimits;
use super::bucket::Bucket;
use florin_domain::ports::{LimitedBy, SharedLimits, Spent};
use governor::clock::Clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// Buckets that wait to be told of. Of those beyond it others hear nothing until something is taken from them again.
pub(super) const WAITING_MAX: usize = 8_192;
/// Buckets that are told of at once.
pub(super) const AT_ONCE: usize = 256;
/// Between one telling and the next.
const PAUSE: Duration = Duration::from_millis(100);

/// Where it is noted whose bucket something was taken from.
#[derive(Clone, Debug)]
pub(super) struct Notes {
    waiting: mpsc::Sender<LimitedBy>,
    somebody_is_new: Arc<Notify>,
}

impl Notes {
    /// Notes whose bucket it is, which something was just taken from, if that is not noted yet.
    pub(super) fn take(&self, whose: LimitedBy, bucket: &mut Bucket) {
        if bucket.is_waiting {
            return;
        }
        bucket.is_waiting = self.waiting.try_send(whose).is_ok();
        if !bucket.is_waiting {
            metrics::counter!("florin_shared_limits_left_out_total").increment(1);
        } else if !bucket.is_known {
            // Others may have emptied it: that is better heard before more is taken.
            self.somebody_is_new.notify_one();
        }
    }
}

/// The telling and hearing.
#[derive(Debug)]
pub(crate) struct Exchanges {
    shared: Arc<dyn SharedLimits>,
    waiting: mpsc::Receiver<LimitedBy>,
    somebody_is_new: Arc<Notify>,
}

impl Exchanges {
    pub(super) fn new(shared: Arc<dyn SharedLimits>) -> (Notes, Self) {
        let (notes, waiting) = mpsc::channel(WAITING_MAX);
        let somebody_is_new = Arc::<Notify>::default();
        let notes = Notes {
            waiting: notes,
            somebody_is_new: Arc::clone(&somebody_is_new),
        };
        let exchanges = Self {
            shared,
            waiting,
            somebody_is_new,
        };
        (notes, exchanges)
    }

    /// Goes on as long as anybody waits for it.
    pub(crate) async fn run(mut self, limits: Arc<RateLimits>) {
        loop {
            let told = self.next(&limits).await;
            if told < AT_ONCE {
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = self.somebody_is_new.notified() => {}
                }
            }
        }
    }

    /// Waits until something was taken, and tells and hears of it once. Of how many buckets.
    pub(super) async fn next(&mut self, limits: &RateLimits) -> usize {
        let mut whose = Vec::with_capacity(AT_ONCE);
        self.waiting.recv_many(&mut whose, AT_ONCE).await;
        // Whoever is new by now is among them.
        let _told = tokio::time::timeout(Duration::ZERO, self.somebody_is_new.notified()).await;
        // Before it is asked: what is heard is then never taken for later than it was.
        let asked_at = limits.clock.now();
        let tell = |whose: &LimitedBy| limits.tell(*whose, asked_at);
        let spent: Vec<Spent> = whose.iter().map(tell).collect();
        let Some(full_after_us) = self.shared.exchange(spent).await else {
            metrics::counter!("florin_shared_limits_unheard_total").increment(1);
            return whose.len();
        };
        for (whose, after_us) in whose.iter().zip(full_after_us) {
            limits.hear(*whose, asked_at.saturating_add(Duration::from_micros(after_us)));
        }
        whose.len()
    }
}

#[cfg(test)]
mod tests;
