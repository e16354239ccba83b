//! The payments view in PostgreSQL, beside the journal that it is made from: whoever takes a shard goes on where the view stands, whoever made it.
//!
//! * `claiming` who may change a shard's view, and whether it is believed; `writer` batches, each one call of one function; `columns` what a row has
//! * `reader` payments and lists; `indexes` refunds, movements and announcements; `known` that what is read is what this process has made
//!
//! A batch is refused unless its epoch has the shard and the view has all that came before it; rows and watermark change together. A view that
//! was made in another form, or from another history, is cleared and made anew.

mod claiming;
mod columns;
mod indexes;
mod known;
mod reader;
mod writer;

use super::writer::VERSION;
use crate::postgres::{Database, DatabaseError, Taken};
use florin_domain::ids::{Epoch, PaymentId, Seq, ShardId};
use florin_domain::ports::{
    AnnouncingCommit, BoxFuture, EventsPage, EventsQuery, Follower, MovedIndex, MovedPage, MovedQuery,
    PaymentRow, PaymentsPage, PaymentsQuery, ReadError, RefundPlace, RefundsQuery, ViewError, Views,
    WaitingQuery,
};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};
use writer::Writer;

/// Of the rows and the states in them: a view of another form is made anew. The last digits are those of the tables.
const FORM: i64 = VERSION * 1000 + 1;

/// Reads under way or waiting for a connection; one more is refused as busy. Fewer than those that the database's pool lets wait, so that reads of
/// the journal are not refused because of lists.
const READS_MAX: usize = 512;

/// Whose view it is: the shard, and the epoch in which it was taken.
#[derive(Clone, Copy, Debug)]
struct Turn {
    shard: i32,
    epoch: i64,
}

impl Turn {
    fn of(taken: &Taken) -> Self {
        let (ShardId(shard), Epoch(epoch)) = (taken.shard, taken.head.epoch);
        Self {
            shard: i32::from(shard),
            epoch: epoch.cast_signed(),
        }
    }
}

/// The payments view of one shard in the database.
#[derive(Debug)]
pub struct PostgresViews {
    database: Database,
    turn: Turn,
    watermark: AtomicU64,
    writer: Mutex<Writer>,
    reads: Semaphore,
    /// Once it was seen not to be what this process has made.
    is_lost: AtomicBool,
}

impl PostgresViews {
    /// The view of a shard that was taken. One that is not of this build's form, or was not made from this journal, is made anew.
    pub async fn open(database: &Database, taken: &Taken) -> Result<Self, DatabaseError> {
        let turn = Turn::of(taken);
        let mut writer = Writer::new(database.clone(), turn);
        let watermark = claiming::begin(&mut writer).await.map_err(|error| {
            let shard = taken.shard.0;
            database.unfit(format!("the payments view of shard {shard} in it: {error}"))
        })?;
        Ok(Self {
            database: database.clone(),
            turn,
            watermark: AtomicU64::new(watermark.0),
            writer: Mutex::new(writer),
            reads: Semaphore::new(READS_MAX),
            is_lost: AtomicBool::new(false),
        })
    }

    /// Has the next one who opens the view of this shard make it anew.
    pub async fn discard(database: &Database, taken: &Taken) -> Result<(), DatabaseError> {
        let mut writer = Writer::new(database.clone(), Turn::of(taken));
        let discarded = claiming::discard(&mut writer).await;
        discarded.map_err(|error| database.unfit(error.to_string()))
    }

    /// All places among the reads.
    #[cfg(test)]
    pub(super) fn every_place(&self) -> SemaphorePermit<'_> {
        let all = u32::try_from(READS_MAX).unwrap();
        self.reads.try_acquire_many(all).unwrap()
    }

    /// A place among the reads.
    fn place(&self) -> Result<SemaphorePermit<'_>, ViewError> {
        self.reads.try_acquire().map_err(|_| ViewError::Busy)
    }
}

impl Follower for PostgresViews {
    fn apply(
        &self,
        rows: Vec<PaymentRow>,
        announced: Vec<AnnouncingCommit>,
        up_to: Seq,
    ) -> BoxFuture<'_, Result<(), ViewError>> {
        Box::pin(async move {
            let mut writer = self.writer.lock().await;
            self.still_ours()?;
            let from = Seq(self.watermark.load(Ordering::Acquire));
            let applied = writer.apply(rows, &announced, (from, up_to)).await;
            if writer.lacks() {
                self.lose();
            }
            applied?;
            self.watermark.fetch_max(up_to.0, Ordering::AcqRel);
            Ok(())
        })
    }

    fn watermark(&self) -> Result<Seq, ReadError> {
        Ok(Seq(self.watermark.load(Ordering::Acquire)))
    }
}

impl MovedIndex for PostgresViews {
    fn moved(&self, query: MovedQuery) -> BoxFuture<'_, Result<MovedPage, ViewError>> {
        Box::pin(async move {
            let _place = self.place()?;
            indexes::moved(self, &query).await
        })
    }
}

impl Views for PostgresViews {
    fn payment(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<PaymentRow>, ViewError>> {
        Box::pin(async move {
            let _place = self.place()?;
            reader::payment(self, id).await
        })
    }

    fn payments(&self, query: PaymentsQuery) -> BoxFuture<'_, Result<PaymentsPage, ViewError>> {
        Box::pin(async move {
            let _place = self.place()?;
            reader::payments(self, &query).await
        })
    }

    fn waiting(&self, query: WaitingQuery) -> BoxFuture<'_, Result<Vec<PaymentRow>, ViewError>> {
        Box::pin(async move {
            let _place = self.place()?;
            reader::waiting(self, &query).await
        })
    }

    fn events(&self, query: EventsQuery) -> BoxFuture<'_, Result<EventsPage, ViewError>> {
        Box::pin(async move {
            let _place = self.place()?;
            indexes::events(self, &query).await
        })
    }

    fn refunds(&self, query: RefundsQuery) -> BoxFuture<'_, Result<Vec<RefundPlace>, ViewError>> {
        Box::pin(async move {
            let _place = self.place()?;
            indexes::refunds(self, &query).await
        })
    }
}
