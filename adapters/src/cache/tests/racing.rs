//! Reads and writes that meet: whatever was read while something changed, what is shown afterwards is what it has become.

use super::lossy::Lossy;
use super::{CUSTOMERS, PAYMENTS_MADE, cached, listed, row, settle, shown};
use crate::cache::payments::CachedViews;
use crate::views::MemoryViews;
use florin_domain::ids::{PaymentId, Seq};
use florin_domain::payment::Payment;
use florin_domain::ports::{
    AnnouncingCommit, BoxFuture, EventsPage, EventsQuery, Follower, MovedIndex, MovedPage, MovedQuery,
    PaymentRow, PaymentsPage, PaymentsQuery, ReadError, RefundPlace, RefundsQuery, ViewError, Views,
    WaitingQuery,
};
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

/// A view whose answers take their time: they are of when they were asked for.
#[derive(Debug)]
struct Slow {
    views: MemoryViews,
    /// Milliseconds that the next ones take.
    waits: Mutex<Vec<u64>>,
}

impl Slow {
    async fn wait(&self) {
        let wait = self.waits.lock().unwrap().pop().unwrap_or(1);
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
}

impl Follower for Slow {
    fn apply(
        &self,
        rows: Vec<PaymentRow>,
        announced: Vec<AnnouncingCommit>,
        up_to: Seq,
    ) -> BoxFuture<'_, Result<(), ViewError>> {
        Box::pin(async move {
            self.wait().await;
            self.views.apply(rows, announced, up_to).await?;
            self.wait().await;
            Ok(())
        })
    }

    fn watermark(&self) -> Result<Seq, ReadError> {
        self.views.watermark()
    }
}

impl MovedIndex for Slow {
    fn moved(&self, query: MovedQuery) -> BoxFuture<'_, Result<MovedPage, ViewError>> {
        self.views.moved(query)
    }
}

impl Views for Slow {
    fn payment(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<PaymentRow>, ViewError>> {
        Box::pin(async move {
            let found = self.views.payment(id).await;
            self.wait().await;
            found
        })
    }

    fn payments(&self, query: PaymentsQuery) -> BoxFuture<'_, Result<PaymentsPage, ViewError>> {
        Box::pin(async move {
            let found = self.views.payments(query).await;
            self.wait().await;
            found
        })
    }

    fn waiting(&self, query: WaitingQuery) -> BoxFuture<'_, Result<Vec<PaymentRow>, ViewError>> {
        self.views.waiting(query)
    }

    fn events(&self, query: EventsQuery) -> BoxFuture<'_, Result<EventsPage, ViewError>> {
        self.views.events(query)
    }

    fn refunds(&self, query: RefundsQuery) -> BoxFuture<'_, Result<Vec<RefundPlace>, ViewError>> {
        self.views.refunds(query)
    }
}

/// What somebody reads.
#[derive(Clone, Copy, Debug)]
enum Reading {
    Payment,
    /// A customer's list.
    List,
    /// The payment, after the time of everything in memory has run out.
    Cold,
}

/// Somebody who reads: after so long, and about which payment.
type Reader = (u64, u64, Reading);

/// The view without its waits, to which nothing is new.
fn inner(views: &CachedViews<Slow>) -> &MemoryViews {
    &views.inner().views
}

/// By commit, whatever it is of.
fn newest(rows: &[(PaymentId, Seq, Payment)]) -> Option<Seq> {
    rows.iter().map(|row| row.1).max()
}

async fn race(
    batches: Vec<Vec<u64>>,
    readers: Vec<Reader>,
    waits: Vec<u64>,
    (write_takes_ms, given_up): (u64, Option<u64>),
) {
    let slow = Slow {
        views: MemoryViews::default(),
        waits: Mutex::new(waits),
    };
    let (views, cache) = cached(slow, Arc::new(Lossy::slow(Duration::from_millis(write_takes_ms))));
    let (views, plain) = (Arc::new(views), MemoryViews::default());
    let mut head = 0;
    let mut reading = Vec::new();
    for (after_ms, n, what) in readers {
        let (views, cache) = (Arc::clone(&views), Arc::clone(&cache));
        reading.push(tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            let customer = CUSTOMERS[(n % 2) as usize];
            // Whatever the view had before is in what is shown, also while caches are still told of it.
            match what {
                Reading::List => {
                    let before = newest(&listed(inner(&views), customer, 3).await);
                    let after = newest(&listed(&*views, customer, 3).await);
                    assert!(after >= before, "{after:?} after {before:?}");
                }
                Reading::Payment | Reading::Cold => {
                    if matches!(what, Reading::Cold) {
                        cache.forget_memory();
                    }
                    let before = shown(inner(&views), n).await.map(|found| found.1);
                    let after = shown(&*views, n).await.map(|found| found.1);
                    assert!(after >= before, "{after:?} after {before:?}");
                }
            }
        }));
    }
    for batch in batches {
        let rows: Vec<PaymentRow> = batch
            .into_iter()
            .map(|n| {
                head += 1;
                row(n, head)
            })
            .collect();
        let apply = || views.apply(rows.clone(), Vec::new(), Seq(head));
        // Whoever follows may be ended at any moment, and its successor gives the batch once more.
        if let Some(ms) = given_up {
            drop(tokio::time::timeout(Duration::from_millis(ms), apply()).await);
        }
        apply().await.unwrap();
        plain.apply(rows.clone(), Vec::new(), Seq(head)).await.unwrap();
    }
    for reader in reading {
        reader.await.unwrap();
    }
    settle().await;
    for tier in ["in memory", "in the store"] {
        for n in 0..PAYMENTS_MADE {
            assert_eq!(shown(&*views, n).await, shown(&plain, n).await, "{tier}");
        }
        for customer in CUSTOMERS {
            let with = listed(&*views, customer, 3).await;
            assert_eq!(with, listed(&plain, customer, 3).await, "{tier}");
        }
        settle().await;
        cache.forget_memory();
    }
}

fn any_reading() -> impl Strategy<Value = Reading> {
    prop::sample::select(&[Reading::Payment, Reading::List, Reading::Cold, Reading::Cold][..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_was_read_while_it_changed_is_not_what_is_shown_afterwards(
        batches in prop::collection::vec(prop::collection::vec(0..PAYMENTS_MADE, 1..4), 1..8),
        readers in prop::collection::vec((0..40_u64, 0..PAYMENTS_MADE, any_reading()), 0..40),
        waits in prop::collection::vec(0..8_u64, 0..60),
        write_takes_ms in 0..4_u64,
        given_up in prop::option::of(0..12_u64),
    ) {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(race(batches, readers, waits, (write_takes_ms, given_up)));
    }
}
