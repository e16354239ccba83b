//! What was announced to a merchant, in the order of the journal. The index says where; what an announcement shows is folded from the
//! payment's own commits up to the one that it comes from, so it is the same whenever it is asked for.

use super::past::PastError;
use super::pending::settle_view;
use super::{Cursor, ListError, PaymentsHandle};
use crate::context::Context;
use crate::load::{locate, walk};
use crate::source::ToShow;
use florin_domain::announcement::{AnnouncementKinds, EventPlace};
use florin_domain::commit::Body;
use florin_domain::ids::{EventId, MerchantId, PaymentId, Seq, ShardId};
use florin_domain::payment::{Payment, advance_shared};
use florin_domain::ports::{
    AnnouncingCommit, EventRow, EventsPage, EventsQuery, ListOrder, ReadError, ShownEvent, ViewError,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Reads of the index for one page, as for lists of payments.
const READS_MAX: usize = 500;

/// A page of announcements.
#[derive(Clone, Debug)]
pub struct EventsList {
    /// In the order asked for.
    pub events: Vec<ShownEvent>,
    /// There may be more in the direction of reading.
    pub has_more: bool,
}

/// Why there is no page of announcements.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventsError {
    /// The list cannot be read.
    #[error(transparent)]
    List(#[from] ListError),
    /// What was announced cannot be read.
    #[error(transparent)]
    Past(#[from] PastError),
}

impl From<ViewError> for EventsError {
    fn from(error: ViewError) -> Self {
        Self::List(error.into())
    }
}

impl PaymentsHandle {
    /// A page of what was announced to a merchant, the newest first. What was answered before is in it. With `OldestFirst` it is the
    /// page right before the stretch's end, as `ending_before` has it.
    pub async fn events(&self, query: EventsQuery) -> Result<EventsList, EventsError> {
        settle_view(&self.at(query.merchant.shard()).context).await?;
        let mut query = query;
        let limit = query.limit;
        query.limit = limit.saturating_add(1);
        let page = self.event_stretch(&query).await?;
        if page.rows.is_empty() && page.has_more {
            return Err(ListError::TooRare.into());
        }
        let mut rows = page.rows;
        rows.truncate(limit);
        if query.order == ListOrder::OldestFirst {
            rows.reverse();
        }
        Ok(EventsList {
            events: self.shown(query.merchant.shard(), &rows).await?,
            has_more: page.has_more,
        })
    }

    /// A stretch of the index. It waits for nothing, so it ends where the view does.
    pub async fn event_stretch(&self, query: &EventsQuery) -> Result<EventsPage, ViewError> {
        stretch(&self.at(query.merchant.shard()).context, query).await
    }

    /// The place of an announcement to a merchant; another merchant's is not there.
    pub async fn event_place(
        &self,
        (merchant, livemode): (MerchantId, bool),
        id: EventId,
    ) -> Result<Option<EventRow>, ViewError> {
        let shard = merchant.shard();
        if id.shard() != shard {
            return Ok(None);
        }
        let place = EventPlace::of(id);
        let query = EventsQuery {
            kinds: AnnouncementKinds::ALL,
            places: place..=place,
            ..EventsQuery::newest(merchant, livemode, 1)
        };
        settle_view(&self.at(shard).context).await?;
        let page = self.event_stretch(&query).await?;
        Ok(page.rows.into_iter().find(|row| row.id(shard) == id))
    }

    /// The place behind which a cursor has a list go on.
    pub async fn event_cursor(
        &self,
        owner: (MerchantId, bool),
        (cursor, id): (Cursor, EventId),
    ) -> Result<EventPlace, EventsError> {
        let row = self.event_place(owner, id).await?;
        let missing = ListError::NoSuchCursor(cursor);
        Ok(row.ok_or(missing)?.place)
    }

    /// An announcement to a merchant.
    pub async fn event(
        &self,
        owner: (MerchantId, bool),
        id: EventId,
    ) -> Result<Option<ShownEvent>, PastError> {
        let Some(row) = self.event_place(owner, id).await? else {
            return Ok(None);
        };
        Ok(self.shown(id.shard(), &[row]).await?.pop())
    }

    /// Announcements of a shard with what they show, in the order given. Each payment is read and folded once, however many are its own.
    pub async fn shown(&self, shard: ShardId, rows: &[EventRow]) -> Result<Vec<ShownEvent>, PastError> {
        shown(&self.at(shard).context, rows).await
    }
}

/// A stretch of the index of a shard.
pub(crate) async fn stretch(context: &Context, query: &EventsQuery) -> Result<EventsPage, ViewError> {
    let mut found = EventsPage::default();
    let mut next = query.clone();
    for _ in 0..READS_MAX {
        let page = context.ports.views.events(next.clone()).await?;
        next.limit = next.limit.saturating_sub(page.rows.len());
        found.rows.extend(page.rows);
        (found.last, found.has_more) = (page.last.or(found.last), page.has_more);
        match page.last {
            Some(at) if page.has_more && next.limit > 0 => next = next.behind(at),
            Some(_) | None => break,
        }
    }
    Ok(found)
}

/// The first wanted announcement of a payment from a number on that comes from no later than a place.
pub(crate) async fn announced_from(
    context: &Context,
    payment: PaymentId,
    (kinds, number, up_to): (AnnouncementKinds, u64, EventPlace),
) -> Result<Option<ShownEvent>, PastError> {
    let newest = locate(context, payment)
        .await
        .map_err(|error| ReadError::Store(error.to_string()))?;
    let Some(newest) = newest else {
        return Ok(None);
    };
    let mut folded: Option<Arc<Payment>> = None;
    for commit in walk(ToShow(context), payment, newest.seq).await? {
        let Body::Payment(body) = &commit.body else {
            continue;
        };
        let said = advance_shared(&mut folded, &body.events, commit.at)
            .map_err(|error| damaged(commit.seq, error.to_string()))?;
        let of_commit = folded
            .as_ref()
            .and_then(|state| AnnouncingCommit::of(&commit, state, &said));
        let rows = of_commit.iter().flat_map(AnnouncingCommit::rows).zip(&said);
        let mut wanted =
            rows.filter(|(row, _)| row.number >= number && row.place <= up_to && kinds.has(row.kind));
        if let (Some((row, announced)), Some(state)) = (wanted.next(), &folded) {
            return Ok(Some(ShownEvent {
                id: row.id(context.shard),
                row,
                payment: Arc::clone(state),
                operation: announced.operation,
            }));
        }
    }
    Ok(None)
}

/// Announcements of a shard with what they show, in the order given. Each payment is read and folded once, however many are its own.
pub(crate) async fn shown(context: &Context, rows: &[EventRow]) -> Result<Vec<ShownEvent>, PastError> {
    let mut of_payments: BTreeMap<PaymentId, Vec<(usize, EventRow)>> = BTreeMap::new();
    for (place, row) in rows.iter().enumerate() {
        of_payments.entry(row.payment).or_default().push((place, *row));
    }
    let mut events = Vec::with_capacity(rows.len());
    for (payment, wanted) in of_payments {
        shown_of(context, payment, wanted, &mut events).await?;
    }
    events.sort_unstable_by_key(|(place, _)| *place);
    Ok(events.into_iter().map(|(_, event)| event).collect())
}

/// Those of one payment, each with its place among all that were asked for.
async fn shown_of(
    context: &Context,
    payment: PaymentId,
    mut wanted: Vec<(usize, EventRow)>,
    events: &mut Vec<(usize, ShownEvent)>,
) -> Result<(), PastError> {
    wanted.sort_unstable_by_key(|(_, row)| row.place);
    let Some((_, newest)) = wanted.last() else {
        return Ok(());
    };
    // The newest commit leads to all of its payment before it.
    let commits = walk(ToShow(context), payment, newest.place.seq).await?;
    let mut wanted = wanted.into_iter().peekable();
    let mut folded: Option<Arc<Payment>> = None;
    for commit in commits {
        let Body::Payment(body) = &commit.body else {
            continue;
        };
        let seq = commit.seq;
        let said = advance_shared(&mut folded, &body.events, commit.at)
            .map_err(|error| damaged(seq, error.to_string()))?;
        while let Some((place, row)) = wanted.next_if(|(_, row)| row.place.seq == seq) {
            let announced = said.get(usize::from(row.place.index));
            let announced = announced.filter(|announced| announced.kind == row.kind);
            let (Some(announced), Some(state)) = (announced, &folded) else {
                return Err(announces_otherwise(seq));
            };
            let event = ShownEvent {
                id: row.id(context.shard),
                row,
                payment: Arc::clone(state),
                operation: announced.operation,
            };
            events.push((place, event));
        }
    }
    match wanted.next() {
        None => Ok(()),
        // Its commit is none of this payment's.
        Some((_, row)) => Err(announces_otherwise(row.place.seq)),
    }
}

fn damaged(seq: Seq, why: String) -> PastError {
    PastError::Read(ReadError::Damaged { seq, why })
}

fn announces_otherwise(seq: Seq) -> PastError {
    damaged(
        seq,
        "its commit announces something else; rebuild the views".to_owned(),
    )
}
