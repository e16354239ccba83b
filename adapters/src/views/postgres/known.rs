//! Owns asking the view: each answer is of the view that this process made, and has all that it was given, or it is no answer.
//!
//! A copy of the database that was behind may have become the primary under a living process: it has the journal's commits, and not the last batches
//! of the view. A payment read from it would be believed to be in a state that it has left, and be captured or refunded a second time.

use super::{FORM, PostgresViews};
use florin_domain::ports::ViewError;
use std::sync::atomic::Ordering;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

/// A question, whose own parameters begin with `$5`, of a view that stands as this process knows it: of the shard `$1`, claimed in the epoch `$2`,
/// in the form `$3`, with all up to `$4`. One statement, so one moment. No row if the view is not that one; a row that says so if nothing was found.
macro_rules! of_known {
    ($question:literal, $order:literal) => {
        concat!(
            "SELECT found.*, (found IS NULL) AS is_nothing FROM florin.view_progress AS known LEFT JOIN (",
            $question,
            ") AS found ON true WHERE known.shard = $1 AND known.epoch = $2 AND known.form = $3 AND known.watermark >= $4 ORDER BY ",
            $order
        )
    };
}
pub(super) use of_known;

/// A parameter with its type, so that one question needs one round trip.
pub(super) type Typed<'a> = (&'a (dyn ToSql + Sync), Type);

impl PostgresViews {
    /// The rows of a question that [`of_known`] asks.
    pub(super) async fn ask(
        &self,
        sql: &'static str,
        parameters: &[Typed<'_>],
    ) -> Result<Vec<Row>, ViewError> {
        let lent = self.database.lend().await.map_err(ViewError::Store)?;
        self.still_ours()?;
        let watermark = self.watermark.load(Ordering::Acquire).cast_signed();
        let mut all: Vec<Typed<'_>> = vec![
            (&self.turn.shard, Type::INT4),
            (&self.turn.epoch, Type::INT8),
            (&FORM, Type::INT8),
            (&watermark, Type::INT8),
        ];
        all.extend_from_slice(parameters);
        let mut found = lent
            .ask(async |client| client.query_typed(sql, &all).await)
            .await
            .map_err(ViewError::Store)?;
        let Some(first) = found.first() else {
            return Err(self.lose());
        };
        let is_nothing: bool = first
            .try_get("is_nothing")
            .map_err(|error| ViewError::Store(error.to_string()))?;
        if is_nothing {
            found.clear();
        }
        Ok(found)
    }

    /// Refuses once the view was seen not to be this process's: it may come to have a watermark again that would be believed.
    pub(super) fn still_ours(&self) -> Result<(), ViewError> {
        if self.is_lost.load(Ordering::Acquire) {
            return Err(not_ours());
        }
        Ok(())
    }

    /// From now on nothing is read from the view, nor written to it; the next start goes on from what is left.
    pub(super) fn lose(&self) -> ViewError {
        if !self.is_lost.swap(true, Ordering::AcqRel) {
            tracing::error!(
                shard = self.turn.shard,
                "the payments view in the database is not the one that this process made, or lacks what it was given; it is not asked any more"
            );
        }
        not_ours()
    }
}

fn not_ours() -> ViewError {
    ViewError::Store("the view in the database is not the one that this process made".to_owned())
}
