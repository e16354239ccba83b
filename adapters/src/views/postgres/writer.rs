//! Owns writing a shard's view: over a connection of its own, one call for each batch, asked again as long as nobody knows what became of it.
//!
//! The same batch once more changes nothing, so an answer that was lost does no harm. What is given in parts is given so that an end in between
//! leaves nothing out: announcements first, because the follower passes over commits whose payments are there already, and the watermark last. Each part
//! says up to where the batch goes, so that nothing is written of commits that the journal has not, and it is known how far rows may reach.

use super::claiming::fenced;
use super::columns::{self, Columns};
use super::{FORM, Turn};
use crate::postgres::{Database, Link, Outcome, Trouble, described};
use florin_domain::ids::{PaymentId, Seq};
use florin_domain::ports::{AnnouncingCommit, PaymentRow, ViewError};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql, Type};

/// Payments, and announcing commits, in one call.
const ROWS_MAX: usize = if cfg!(test) { 4 } else { 4096 };

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

const APPLIED: i16 = 0;
const FENCED: i16 = 2;
const LACKS: i16 = 3;
const NO_RECORD: i16 = 4;

type Parameters<'a> = [&'a (dyn ToSql + Sync)];

/// Which commits a batch has: those behind `from` up to `up_to`, or a part of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) from: Seq,
    pub(super) up_to: Seq,
    pub(super) is_whole: bool,
}

/// The only one of this process that changes the view.
#[derive(Debug)]
pub(super) struct Writer {
    database: Database,
    turn: Turn,
    link: Option<Link>,
    lacks: bool,
}

impl Writer {
    pub(super) fn new(database: Database, turn: Turn) -> Self {
        Self {
            database,
            turn,
            link: None,
            lacks: false,
        }
    }

    pub(super) fn turn(&self) -> Turn {
        self.turn
    }

    /// Whether the view was found to have less than it was given.
    pub(super) fn lacks(&self) -> bool {
        self.lacks
    }

    /// Applies a batch of all that happened behind `from`.
    pub(super) async fn apply(
        &mut self,
        rows: Vec<PaymentRow>,
        announced: &[AnnouncingCommit],
        (from, up_to): (Seq, Seq),
    ) -> Result<(), ViewError> {
        let rows = newest(rows);
        let whole = Extent {
            from,
            up_to,
            is_whole: true,
        };
        let part_of_it = Extent {
            is_whole: false,
            ..whole
        };
        if rows.len() <= ROWS_MAX && announced.len() <= ROWS_MAX {
            return self.put(&rows, announced, whole).await;
        }
        for part in announced.chunks(ROWS_MAX) {
            self.put(&[], part, part_of_it).await?;
        }
        for part in rows.chunks(ROWS_MAX) {
            self.put(part, &[], part_of_it).await?;
        }
        self.put(&[], &[], whole).await
    }

    async fn put(
        &mut self,
        rows: &[PaymentRow],
        announced: &[AnnouncingCommit],
        extent: Extent,
    ) -> Result<(), ViewError> {
        let columns = Columns::of(rows, announced);
        let Turn { shard, epoch } = self.turn;
        let (from, last) = (extent.from.0.cast_signed(), extent.up_to.0.cast_signed());
        let mut parameters: Vec<&(dyn ToSql + Sync)> =
            vec![&shard, &epoch, &FORM, &from, &last, &extent.is_whole];
        parameters.extend(columns.parameters());
        let answer = self.call(columns::APPLY, &columns::types(), &parameters).await?;
        let answer: Option<i16> = answer.first().map(|row| cell(row, 0)).transpose()?;
        match answer {
            Some(APPLIED) => Ok(()),
            Some(FENCED) => Err(fenced()),
            // Not for a follower to mend: the next start reads how far the view has come.
            Some(LACKS) => {
                self.lacks = true;
                Err(store(
                    "the view has lost what it had; the next start goes on from what is left",
                ))
            }
            Some(NO_RECORD) => Err(store(
                "the journal has no such record; its database has lost commits",
            )),
            Some(_) | None => Err(store("the database answers something else")),
        }
    }

    /// Calls a function that may be called again, until it is known what became of it, or for as long as an append would be tried.
    pub(super) async fn call(
        &mut self,
        sql: &'static str,
        types: &[Type],
        parameters: &Parameters<'_>,
    ) -> Result<Vec<Row>, ViewError> {
        let began = Instant::now();
        let patience = self.database.options().append_patience;
        loop {
            let why = match self.once(sql, types, parameters).await {
                Outcome::Done(rows) => return Ok(rows),
                Outcome::Failed(Trouble::Halt, why) => return Err(ViewError::Store(why)),
                Outcome::Failed(Trouble::Again | Trouble::NoRoom, why) => why,
            };
            if began.elapsed() >= patience {
                return Err(ViewError::Store(why));
            }
            tracing::debug!(why, "the view's batch is asked for again");
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn once(
        &mut self,
        sql: &'static str,
        types: &[Type],
        parameters: &Parameters<'_>,
    ) -> Outcome<Vec<Row>> {
        // Taken out, so that one whose answer stayed out is not asked again.
        let mut link = match self.link.take().filter(|link| !link.is_closed()) {
            Some(link) => link,
            None => match self.database.link().await {
                Ok(link) => link,
                Err(why) => return Outcome::Failed(Trouble::Again, why),
            },
        };
        let limit = self.database.options().statement_timeout * 2;
        match tokio::time::timeout(limit, link.call(sql, types, parameters)).await {
            Err(_) => Outcome::Failed(Trouble::Again, "the database does not answer".to_owned()),
            Ok(outcome) => {
                self.link = Some(link);
                outcome
            }
        }
    }
}

/// The latest of each payment: one statement cannot replace a row twice.
fn newest(rows: Vec<PaymentRow>) -> Vec<PaymentRow> {
    let mut newest: BTreeMap<PaymentId, PaymentRow> = BTreeMap::new();
    for row in rows {
        match newest.get(&row.payment.id()) {
            Some(held) if held.seq >= row.seq => {}
            Some(_) | None => drop(newest.insert(row.payment.id(), row)),
        }
    }
    newest.into_values().collect()
}

fn store(why: &str) -> ViewError {
    ViewError::Store(why.to_owned())
}

/// A cell of a row.
pub(super) fn cell<'a, T: FromSql<'a>>(row: &'a Row, place: usize) -> Result<T, ViewError> {
    row.try_get(place)
        .map_err(|error| ViewError::Store(described(&error)))
}
