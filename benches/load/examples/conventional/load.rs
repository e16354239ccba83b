//! The load on the conventional ledger: the same walk over the accounts as `florin bench ledger`, from a number of connections
//! that each wait for one answer at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use florin_load::histogram::Histogram;

use crate::Fault;
use crate::ledger::{Ledger, Transfer};

/// Neighbouring transfers touch distant accounts; prime.
const ACCOUNT_STRIDE: u64 = 7_919;

/// Which accounts a load touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    Uniform,
    /// Every transfer credits account 0.
    Hot,
}

/// How many transfers are in a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Single,
    Batched(usize),
}

/// What a load gave; every transfer counted is committed.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) transfers: u64,
    pub(crate) elapsed: Duration,
    /// Of transactions.
    pub(crate) latencies: Histogram,
}

/// One load, shared by its connections.
#[derive(Debug)]
pub(crate) struct Load {
    shape: Shape,
    pattern: Pattern,
    accounts: u64,
    counter: AtomicU64,
    stop: AtomicBool,
}

impl Load {
    /// Over the accounts from 0 up to, without, `accounts`, of which there are three or more.
    pub(crate) fn new(shape: Shape, pattern: Pattern, accounts: u64) -> Arc<Self> {
        assert!(accounts > 2, "a walk needs accounts");
        Arc::new(Self {
            shape,
            pattern,
            accounts,
            counter: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        })
    }

    /// Drives all connections for the given time, and waits for what is then under way.
    pub(crate) async fn run(
        self: Arc<Self>,
        ledgers: Vec<Ledger>,
        duration: Duration,
    ) -> Result<Measured, Fault> {
        let began = Instant::now();
        let callers: Vec<_> = ledgers
            .into_iter()
            .map(|ledger| tokio::spawn(Arc::clone(&self).call(ledger)))
            .collect();
        tokio::time::sleep(duration).await;
        self.stop.store(true, Ordering::Relaxed);
        let mut measured = Measured {
            transfers: 0,
            elapsed: Duration::ZERO,
            latencies: Histogram::new(),
        };
        for caller in callers {
            let (transfers, latencies) = caller.await??;
            measured.transfers += transfers;
            measured.latencies.merge(&latencies);
        }
        measured.elapsed = began.elapsed();
        Ok(measured)
    }

    async fn call(self: Arc<Self>, mut ledger: Ledger) -> Result<(u64, Histogram), Fault> {
        let (mut transfers, mut latencies) = (0, Histogram::new());
        while !self.stop.load(Ordering::Relaxed) {
            let size = match self.shape {
                Shape::Single => 1,
                Shape::Batched(size) => size as u64,
            };
            let first = self.counter.fetch_add(size, Ordering::Relaxed);
            let mut batch = Vec::new();
            for number in first..first + size {
                batch.push(self.transfer(number)?);
            }
            let began = Instant::now();
            match (self.shape, batch.as_slice()) {
                (Shape::Single, [transfer]) => ledger.transfer(*transfer).await?,
                (Shape::Single | Shape::Batched(_), all) => ledger.transfer_all(all).await?,
            }
            latencies.record(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
            transfers += size;
        }
        Ok((transfers, latencies))
    }

    fn transfer(&self, number: u64) -> Result<Transfer, Fault> {
        let debit = 1 + (number * ACCOUNT_STRIDE) % (self.accounts - 1);
        let credit = match self.pattern {
            Pattern::Uniform => (debit + 1) % self.accounts,
            Pattern::Hot => 0,
        };
        Ok(Transfer {
            id: i64::try_from(number)?,
            debit: i64::try_from(debit)?,
            credit: i64::try_from(credit)?,
            amount_minor: i64::try_from(1 + number % 10_000)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn walk(pattern: Pattern, accounts: u64) -> Vec<Transfer> {
        let load = Load::new(Shape::Single, pattern, accounts);
        (0..accounts - 1)
            .map(|number| load.transfer(number).unwrap())
            .collect()
    }

    #[test]
    fn the_uniform_walk_debits_every_account_but_the_first_once_and_never_pays_itself() {
        let transfers = walk(Pattern::Uniform, 10_000);
        let debits: BTreeSet<i64> = transfers.iter().map(|transfer| transfer.debit).collect();
        let credits: BTreeSet<i64> = transfers.iter().map(|transfer| transfer.credit).collect();
        assert_eq!(debits, (1..10_000).collect());
        assert_eq!(credits.len(), 9_999);
        assert!(transfers.iter().all(|transfer| transfer.debit != transfer.credit));
    }

    #[test]
    fn the_hot_walk_credits_the_first_account_only_and_never_debits_it() {
        let transfers = walk(Pattern::Hot, 10_000);
        assert!(
            transfers
                .iter()
                .all(|transfer| transfer.credit == 0 && transfer.debit > 0)
        );
    }

    #[test]
    fn amounts_are_positive_and_ids_are_the_numbers() {
        for (number, transfer) in (0..).zip(walk(Pattern::Uniform, 20_001)) {
            assert_eq!(transfer.id, number);
            assert!((1..=10_000).contains(&transfer.amount_minor), "{transfer:?}");
        }
    }
}
