//! Payments that wait for an operator: reviews, and attempts that nobody could resolve.

use super::PaymentsHandle;
use crate::account_shard::ShardMail;
use crate::context::Context;
use crate::load::locate;
use crate::mailbox::Class;
use crate::projection::ProjectionMail;
use florin_domain::ids::{OperationId, PaymentId};
use florin_domain::payment::WaitKind;
use florin_domain::ports::{PaymentRow, ViewError, WaitingQuery};
use florin_domain::time::Timestamp;
use tokio::sync::oneshot;

fn gone<E>(_: E) -> ViewError {
    ViewError::Store("an actor is gone".to_owned())
}

/// Open payments that are asked for at a time.
const OPEN_PAYMENTS_READ: usize = 256;
/// Open payments that one page looks at, most of which are being worked on or wait for a customer: a second's work.
const PAYMENTS_LOOKED_AT_MAX: usize = 20_000;

/// A page of attempts that people have to see to: a provider was asked in vain or owes its word, or something that it said is booked nowhere.
#[derive(Clone, Debug)]
pub struct UnresolvedPage {
    /// Each as its payment and operation.
    pub attempts: Vec<(PaymentRow, OperationId)>,
    /// There are more, or there may be more behind as many open payments as one request looks at.
    pub has_more: bool,
}

/// A payment's operations behind one of them that people have to see to.
fn stuck(row: &PaymentRow, after: Option<OperationId>) -> impl Iterator<Item = (PaymentRow, OperationId)> {
    let operations = &row.payment.operations;
    let known = after.and_then(|id| operations.iter().position(|operation| operation.id == id));
    let behind = operations
        .iter()
        .skip(known.map_or(0, |index| index.saturating_add(1)));
    behind
        .filter(|operation| operation.is_for_people())
        .map(|operation| (row.clone(), operation.id))
}

impl PaymentsHandle {
    /// Payments of all merchants in review, the earliest deadline first, and whether more follow. What was answered is in it. There is
    /// no such list after a payment that does not wait for a review.
    pub async fn reviews(
        &self,
        after: Option<PaymentId>,
        limit: usize,
    ) -> Result<Option<(Vec<PaymentRow>, bool)>, ViewError> {
        let place = match after {
            None => None,
            Some(id) => {
                let row = locate(&self.at(id.shard()).context, id).await?;
                match row.and_then(|row| row.payment.waits_for()) {
                    Some((WaitKind::Review, due)) => Some((due, id)),
                    Some((WaitKind::Challenge | WaitKind::Capture | WaitKind::Resend, _)) | None => {
                        return Ok(None);
                    }
                }
            }
        };
        let mut rows = Vec::new();
        for context in self.shards.iter() {
            settle_view(context).await?;
            rows.extend(in_review(context, place, limit).await?);
        }
        rows.sort_by_key(|row| (row.payment.waits_for().map(|(_, due)| due), row.payment.id()));
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        Ok(Some((rows, has_more)))
    }

    /// Attempts of all merchants that people have to see to, those of the oldest payment first. There is no such list
    /// after an operation that does not exist; one that was resolved in the meantime still says where to go on.
    pub async fn unresolved(
        &self,
        after: Option<(PaymentId, OperationId)>,
        limit: usize,
    ) -> Result<Option<UnresolvedPage>, ViewError> {
        let mut found = Vec::new();
        if let Some((payment, operation)) = after {
            let row = locate(&self.at(payment.shard()).context, payment).await?;
            let Some(row) = row.filter(|row| row.payment.operation(operation).is_some()) else {
                return Ok(None);
            };
            found.extend(stuck(&row, Some(operation)));
        }
        let mut behind = after.map(|(payment, _)| payment);
        let mut looked_at = 0_usize;
        let mut is_last = false;
        while found.len() <= limit && looked_at < PAYMENTS_LOOKED_AT_MAX && !is_last {
            let open = self.open_payments(behind).await?;
            is_last = open.len() < OPEN_PAYMENTS_READ;
            looked_at = looked_at.saturating_add(open.len());
            behind = open.last().copied().or(behind);
            for id in open {
                if let Some(row) = locate(&self.at(id.shard()).context, id).await? {
                    found.extend(stuck(&row, None));
                }
                if found.len() > limit {
                    break;
                }
            }
        }
        let has_more = found.len() > limit || !is_last;
        found.truncate(limit);
        Ok(Some(UnresolvedPage {
            attempts: found,
            has_more,
        }))
    }

    /// Some of the payments with an unresolved operation or an open matter, the oldest first.
    async fn open_payments(&self, after: Option<PaymentId>) -> Result<Vec<PaymentId>, ViewError> {
        let mut open = Vec::new();
        for context in self.shards.iter() {
            let (reply, waits) = oneshot::channel();
            let mail = ShardMail::OpenPaymentsBehind {
                after,
                limit: OPEN_PAYMENTS_READ,
                reply,
            };
            let sent = context.account_shard.send(Class::New, mail);
            sent.map_err(|_| ViewError::Busy)?;
            open.extend(waits.await.map_err(gone)?);
        }
        open.sort_unstable();
        open.truncate(OPEN_PAYMENTS_READ);
        Ok(open)
    }
}

/// Waits until the view has everything that is durable now.
pub(super) async fn settle_view(context: &Context) -> Result<(), ViewError> {
    let (reply, waits) = oneshot::channel();
    let sent = context.projection.send(Class::New, ProjectionMail::Settle(reply));
    sent.map_err(|_| ViewError::Busy)?;
    waits.await.map_err(gone)
}

/// Payments of a shard in review behind a place, the earliest deadline first: one more than `limit` if there are so many.
async fn in_review(
    context: &Context,
    mut place: Option<(Timestamp, PaymentId)>,
    limit: usize,
) -> Result<Vec<PaymentRow>, ViewError> {
    let mut rows = Vec::new();
    loop {
        let query = WaitingQuery {
            kind: WaitKind::Review,
            until: Timestamp::from_unix_ms(u64::MAX),
            after: place,
            limit: limit.saturating_add(1),
        };
        let page = context.ports.views.waiting(query).await?;
        let is_last = page.len() < query.limit;
        place = page
            .last()
            .and_then(|row| row.payment.waits_for().map(|(_, due)| (due, row.payment.id())))
            .or(place);
        rows.extend(
            page.into_iter()
                .filter(|row| matches!(row.payment.waits_for(), Some((WaitKind::Review, _)))),
        );
        if is_last || rows.len() > limit {
            return Ok(rows);
        }
    }
}
