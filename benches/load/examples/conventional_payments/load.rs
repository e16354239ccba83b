//! The load on the conventional design: the payments of `florin bench engine`, from callers that each wait for one answer at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use florin_load::histogram::Histogram;
use tokio::sync::Semaphore;

use crate::Fault;
use crate::books::Payment;
use crate::service::{Service, scattered};

/// What a load gave; every payment counted is committed.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) payments: u64,
    pub(crate) elapsed: Duration,
    pub(crate) latencies: Histogram,
}

/// One load, shared by its callers.
pub(crate) struct Load {
    service: Arc<Service>,
    merchants: u64,
    /// Requests that are worked on; the others wait in the order in which they came, as in front of a server with so many workers.
    workers: Semaphore,
    counter: AtomicU64,
    stop: AtomicBool,
}

impl Load {
    pub(crate) fn new(service: Arc<Service>, merchants: u64, workers: usize) -> Arc<Self> {
        Arc::new(Self {
            service,
            merchants,
            workers: Semaphore::new(workers),
            counter: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        })
    }

    /// Drives all callers for the given time, and waits for what is then under way.
    pub(crate) async fn run(self: Arc<Self>, callers: usize, duration: Duration) -> Result<Measured, Fault> {
        let began = Instant::now();
        let callers: Vec<_> = (0..callers)
            .map(|_| tokio::spawn(Arc::clone(&self).call()))
            .collect();
        tokio::time::sleep(duration).await;
        self.stop.store(true, Ordering::Relaxed);
        let mut latencies = Histogram::new();
        for caller in callers {
            latencies.merge(&caller.await??);
        }
        Ok(Measured {
            payments: latencies.count(),
            elapsed: began.elapsed(),
            latencies,
        })
    }

    async fn call(self: Arc<Self>) -> Result<Histogram, Fault> {
        let mut latencies = Histogram::new();
        while !self.stop.load(Ordering::Relaxed) {
            let payment = payment(self.counter.fetch_add(1, Ordering::Relaxed), self.merchants)?;
            let began = Instant::now();
            let worker = self.workers.acquire().await?;
            let answer = self.service.pay(&payment).await?;
            drop(worker);
            if answer.id != payment.id {
                return Err(format!("{} was answered with {}", payment.key, answer.id).into());
            }
            latencies.record(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
        Ok(latencies)
    }
}

/// The payment of that number: merchants in turn, amounts and customers as `florin bench engine` has them, the standard fee of 2.9 % and
/// 0.30. Fingerprints are not computed but as long as ours, and ids are scattered: in their order, transactions that read the end of an
/// index in which others write would be in each other's way.
pub(crate) fn payment(number: u64, merchants: u64) -> Result<Payment, Fault> {
    let amount_minor = i64::try_from(100 + number % 49_999)?;
    let mut fingerprint = [0; 32];
    for (place, part) in (0..).zip(fingerprint.chunks_exact_mut(8)) {
        part.copy_from_slice(&scattered(number * 4 + place).to_le_bytes());
    }
    let id = scattered(number).cast_signed();
    Ok(Payment {
        id,
        key: format!("m{merchants}-{number}"),
        fingerprint,
        merchant: i64::try_from(number % merchants)?,
        customer: format!("cus_{}", number % 100_000),
        amount_minor,
        fee_minor: (amount_minor * 29 + 500) / 1_000 + 30,
        reference: format!("op_{id:x}"),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn payments_go_to_merchants_in_turn_and_no_two_have_the_same_id_or_key() {
        let payments: Vec<Payment> = (0..5_000).map(|number| payment(number, 1_000).unwrap()).collect();
        let ids: BTreeSet<i64> = payments.iter().map(|payment| payment.id).collect();
        let keys: BTreeSet<&str> = payments.iter().map(|payment| payment.key.as_str()).collect();
        assert_eq!((ids.len(), keys.len()), (5_000, 5_000));
        let first: Vec<i64> = payments.iter().take(3).map(|payment| payment.merchant).collect();
        assert_eq!(first, [0, 1, 2]);
        assert_eq!(payments[1_000].merchant, 0);
        assert!(
            payments
                .iter()
                .all(|payment| (100..=50_098).contains(&payment.amount_minor))
        );
    }

    #[test]
    fn a_fee_is_what_the_standard_says_and_of_one_merchant_all_are_his() {
        let hot = payment(9_900, 1).unwrap();
        assert_eq!((hot.amount_minor, hot.fee_minor, hot.merchant), (10_000, 320, 0));
    }
}
