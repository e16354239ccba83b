//! Lists of payments: what the view has, corrected by the tail of the journal.
//!
//! The tail is asked first, the view after it, so that no payment falls between them. Of what a filter looks at the status, the amount and the metadata
//! change: where the tail knows a later state than the view, the tail decides, and the view is asked for more in place of
//! what it thereby loses.

#[cfg(test)]
mod tests;

use super::PaymentsHandle;
use crate::mailbox::{Class, Refused};
use crate::projection::{ProjectionMail, Tail};
use florin_domain::ids::{MerchantId, PaymentId};
use florin_domain::ports::{ListOrder, PaymentRow, PaymentsPage, PaymentsQuery, ViewError, Views};
use std::collections::BTreeMap;
use thiserror::Error;
use tokio::sync::oneshot;

/// Reads of the view for one page. A read looks at 20,000 payments, so a filter without hits is given up after ten million, in a second or two; one whose
/// answer is in the states alone after 250,000, since a read fetches 500 of those in vain.
pub(super) const READS_MAX: usize = 500;
/// Rows asked for in place of those that the tail may take away, at most.
const SPARE_MAX: usize = 256;

/// A page of a list, newest first.
#[derive(Clone, Debug)]
pub struct PaymentsList {
    /// The payments.
    pub rows: Vec<PaymentRow>,
    /// There may be more in the direction of reading; there are, unless the search was given up behind these.
    pub has_more: bool,
    /// The place behind which the next page begins in the direction of reading, if there may be more: the last payment of a full page, and of one that
    /// was given up the last that was looked at.
    pub next: Option<PaymentId>,
}

/// A cursor of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// The page is behind it.
    StartingAfter,
    /// The page is before it.
    EndingBefore,
}

/// Why there is no page.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ListError {
    /// The cursor is no payment of this merchant.
    #[error("the cursor is no payment of this merchant")]
    NoSuchCursor(Cursor),
    /// Nothing was found among as many payments as one request may look at.
    #[error("the filter is too rare")]
    TooRare,
    /// The view cannot answer.
    #[error(transparent)]
    View(#[from] ViewError),
}

impl PaymentsHandle {
    /// A page of a merchant's payments, newest first. What was answered is in it, in a state that is no older than the request. With
    /// `ending_before` it is the page right before that payment.
    pub async fn list(&self, query: PaymentsQuery) -> Result<PaymentsList, ListError> {
        self.check_cursors(&query).await?;
        let query = one_more(query);
        self.stretch(&query)
            .await
            .map_err(ListError::View)
            .and_then(|page| listed(page, &query))
    }

    /// A stretch of a list in its own order. `stopped_at` says where to go on, and is absent once nothing is left. A stretch may be
    /// empty and yet not the last. Cursors are places only.
    pub async fn stretch(&self, query: &PaymentsQuery) -> Result<PaymentsPage, ViewError> {
        let home = self.at(query.merchant.shard());
        let tail = home.tail(query).await?;
        merged(home.context.ports.views.as_ref(), tail, query, READS_MAX).await
    }

    /// Refuses cursors that are not payments of the merchant.
    pub async fn check_cursors(&self, query: &PaymentsQuery) -> Result<(), ListError> {
        let owner: (MerchantId, bool) = (query.merchant, query.livemode);
        for (cursor, id) in [
            (Cursor::StartingAfter, query.starting_after),
            (Cursor::EndingBefore, query.ending_before),
        ] {
            if let Some(id) = id
                && self.get(owner, id).await?.is_none()
            {
                return Err(ListError::NoSuchCursor(cursor));
            }
        }
        Ok(())
    }

    async fn tail(&self, query: &PaymentsQuery) -> Result<Tail, ViewError> {
        let (reply, waits) = oneshot::channel();
        let gone = || ViewError::Store("the projection is gone".to_owned());
        let list = ProjectionMail::List {
            query: query.clone(),
            reply,
        };
        let sent = self.context.projection.send(Class::New, list);
        sent.map_err(|returned| match returned.why {
            Refused::Full { .. } => ViewError::Busy,
            Refused::Gone => gone(),
        })?;
        waits.await.map_err(|_| gone())
    }
}

/// The stretch that a page is made of, with the payment that tells whether there is more.
fn one_more(query: PaymentsQuery) -> PaymentsQuery {
    PaymentsQuery {
        order: match query.ending_before {
            Some(_) => ListOrder::OldestFirst,
            None => ListOrder::NewestFirst,
        },
        limit: query.limit.saturating_add(1),
        ..query
    }
}

/// The page made of that stretch.
fn listed(page: PaymentsPage, query: &PaymentsQuery) -> Result<PaymentsList, ListError> {
    let PaymentsPage { mut rows, stopped_at } = page;
    if rows.is_empty() && stopped_at.is_some() {
        return Err(ListError::TooRare);
    }
    let is_full = rows.len() == query.limit;
    rows.truncate(query.limit.saturating_sub(1));
    let last = rows.last().map(|row| row.payment.id());
    let next = if is_full { last } else { stopped_at };
    if query.order == ListOrder::OldestFirst {
        rows.reverse();
    }
    Ok(PaymentsList {
        rows,
        has_more: stopped_at.is_some(),
        next: next.filter(|_| stopped_at.is_some()),
    })
}

/// Reads the view until the page is full, the view has nothing left, or it was read `reads_max` times.
async fn merged(
    views: &dyn Views,
    tail: Tail,
    query: &PaymentsQuery,
    reads_max: usize,
) -> Result<PaymentsPage, ViewError> {
    let mut viewed: Vec<PaymentRow> = Vec::new();
    let mut next = PaymentsQuery {
        limit: query.limit.saturating_add(tail.left.len().min(SPARE_MAX)),
        ..query.clone()
    };
    let mut stopped_at = None;
    for _ in 0..reads_max {
        let page = views.payments(next.clone()).await?;
        // Whatever the tail said, the view may have become newer since.
        let stays = |row: &PaymentRow| {
            tail.left
                .get(&row.payment.id())
                .is_none_or(|left| *left < row.seq)
        };
        viewed.extend(page.rows.into_iter().filter(stays));
        stopped_at = page.stopped_at;
        match stopped_at {
            Some(at) if viewed.len() < query.limit => next = next.behind(at),
            Some(_) | None => break,
        }
    }
    Ok(page(viewed, tail.rows, stopped_at, query))
}

/// One page of what the view showed up to some place and of what the tail knows.
fn page(
    viewed: Vec<PaymentRow>,
    tail: Vec<PaymentRow>,
    stopped_at: Option<PaymentId>,
    query: &PaymentsQuery,
) -> PaymentsPage {
    let within = |id: PaymentId| {
        stopped_at.is_none_or(|last| match query.order {
            ListOrder::NewestFirst => id >= last,
            ListOrder::OldestFirst => id <= last,
        })
    };
    let mut newest: BTreeMap<PaymentId, PaymentRow> = BTreeMap::new();
    for row in viewed.into_iter().chain(tail) {
        let id = row.payment.id();
        if within(id) && newest.get(&id).is_none_or(|known| known.seq < row.seq) {
            newest.insert(id, row);
        }
    }
    let mut rows: Vec<PaymentRow> = newest.into_values().collect();
    query.sort(&mut rows);
    rows.truncate(query.limit);
    let is_full = rows.len() == query.limit;
    let last = rows.last().map(|row| row.payment.id());
    PaymentsPage {
        rows,
        stopped_at: if is_full { last } else { stopped_at },
    }
}
