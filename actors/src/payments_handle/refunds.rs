//! Refunds over all payments of a merchant: the index says of which payment each is, and the payment shows it as it stands.

use super::PaymentsHandle;
use super::pending::settle_view;
use crate::load::locate;
use florin_domain::ids::{MerchantId, PaymentId, RefundId};
use florin_domain::ports::{ListOrder, PaymentRow, RefundsQuery, ViewError};
use std::collections::BTreeMap;

/// A page of refunds, newest first, each with its payment, and whether there are more in the direction of reading.
pub type RefundsPage = (Vec<(RefundId, PaymentRow)>, bool);

impl PaymentsHandle {
    /// A page of a merchant's refunds. What was answered before is in it.
    pub async fn refunds(&self, query: RefundsQuery) -> Result<RefundsPage, ViewError> {
        let (limit, owner) = (query.limit, (query.merchant, query.livemode));
        let backwards = query.order == ListOrder::OldestFirst;
        let home = self.at(query.merchant.shard());
        settle_view(&home.context).await?;
        let query = RefundsQuery {
            limit: limit.saturating_add(1),
            ..query
        };
        let mut found = home.context.ports.views.refunds(query).await?;
        let has_more = found.len() > limit;
        found.truncate(limit);
        if backwards {
            found.reverse();
        }
        let mut payments: BTreeMap<PaymentId, PaymentRow> = BTreeMap::new();
        let mut refunds = Vec::with_capacity(found.len());
        for (refund, payment) in found {
            let row = match payments.get(&payment) {
                Some(row) => Some(row.clone()),
                None => locate(&self.at(payment.shard()).context, payment).await?,
            };
            // The index was made of the payment, so that it is there.
            let missing = || ViewError::Store(format!("the payment of {refund} is not there"));
            let row = row.ok_or_else(missing)?;
            payments.insert(payment, row.clone());
            // The index has each tenant's apart. Should it be wrong, what is another's is shown to nobody all the same.
            if !row.is_of(owner) {
                tracing::error!(%payment, "the index of refunds has it under another merchant or mode");
                continue;
            }
            refunds.push((refund, row));
        }
        Ok((refunds, has_more))
    }

    /// The payment of a merchant's refund; another merchant's is not there.
    pub async fn payment_of_refund(
        &self,
        (merchant, livemode): (MerchantId, bool),
        id: RefundId,
    ) -> Result<Option<PaymentRow>, ViewError> {
        let query = RefundsQuery {
            ids: id..=id,
            ..RefundsQuery::newest(merchant, livemode, 1)
        };
        let (mut found, _) = self.refunds(query).await?;
        Ok(found.pop().map(|(_, row)| row))
    }
}
