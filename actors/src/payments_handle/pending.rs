//! Payments that wait for an operator: reviews, and attempts that nobody could resolve.

use super::PaymentsHandle;
use crate::account_shard::ShardMail;
use crate::load::locate;
use crate::mailbox::Class;
use crate::projection::ProjectionMail;
use florin_domain::ids::PaymentId;
use florin_domain::payment::{AttemptState, Operation, WaitKind};
use florin_domain::ports::{PaymentRow, ViewError, WaitingQuery};
use florin_domain::time::Timestamp;
use tokio::sync::oneshot;

fn gone<E>(_: E) -> ViewError {
    ViewError::Store("an actor is gone".to_owned())
}

impl PaymentsHandle {
    /// Payments of all merchants in review, the earliest deadline first, and whether more follow. What was answered is in it. There is
    /// no such list after a payment that does not wait for a review.
    pub async fn reviews(
        &self,
        after: Option<PaymentId>,
        limit: usize,
    ) -> Result<Option<(Vec<PaymentRow>, bool)>, ViewError> {
        self.settle_view().await?;
        let mut place = match after {
            None => None,
            Some(id) => {
                let row = locate(&self.context, id).await?;
                match row.and_then(|row| row.payment.waits_for()) {
                    Some((WaitKind::Review, due)) => Some((due, id)),
                    Some((WaitKind::Challenge | WaitKind::Capture, _)) | None => return Ok(None),
                }
            }
        };
        let mut rows = Vec::new();
        loop {
            let query = WaitingQuery {
                kind: WaitKind::Review,
                until: Timestamp::from_unix_ms(u64::MAX),
                after: place,
                limit: limit.saturating_add(1),
            };
            let page = self.context.ports.views.waiting(query).await?;
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
                break;
            }
        }
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        Ok(Some((rows, has_more)))
    }

    /// Payments of all merchants with an attempt that a provider was asked about in vain, the oldest first, at most `limit`.
    pub async fn unresolved(&self, limit: usize) -> Result<Vec<PaymentRow>, ViewError> {
        let (reply, waits) = oneshot::channel();
        self.context
            .account_shard
            .send(Class::New, ShardMail::OpenPayments(reply))
            .map_err(|_| ViewError::Busy)?;
        let mut rows = Vec::new();
        for id in waits.await.map_err(gone)? {
            let Some(row) = locate(&self.context, id).await? else {
                continue;
            };
            let is_stuck = |state| matches!(state, AttemptState::Unknown | AttemptState::Pending);
            let unresolved = row.payment.unresolved();
            if unresolved.filter_map(Operation::state).any(is_stuck) {
                rows.push(row);
            }
            if rows.len() >= limit {
                break;
            }
        }
        Ok(rows)
    }

    /// Waits until the view has everything that is durable now.
    async fn settle_view(&self) -> Result<(), ViewError> {
        let (reply, waits) = oneshot::channel();
        self.context
            .projection
            .send(Class::New, ProjectionMail::Settle(reply))
            .map_err(|_| ViewError::Busy)?;
        waits.await.map_err(gone)
    }
}
