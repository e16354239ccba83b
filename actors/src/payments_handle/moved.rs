//! What moved a merchant's money, over all of its payments: the index says which captures and refunds, and the payment has each as it was booked.

use super::PaymentsHandle;
use super::list::{ListError, READS_MAX};
use super::pending::settle_view;
use crate::load::locate;
use florin_domain::ids::{MerchantId, PaymentId};
use florin_domain::ports::{
    ListOrder, MovedEntry, MovedIndex, MovedQuery, MovedRow, PaymentRow, ViewError, entries_of,
};
use std::collections::BTreeMap;

/// A page of what moved, newest first.
#[derive(Clone, Debug)]
pub struct MovedList {
    /// Each with its payment.
    pub rows: Vec<(MovedEntry, PaymentRow)>,
    /// There may be more in the direction of reading; there are, unless the search was given up behind these.
    pub has_more: bool,
}

impl PaymentsHandle {
    /// A page of what moved a merchant's money. What was answered before is in it.
    pub async fn moved(&self, query: MovedQuery) -> Result<MovedList, ListError> {
        let home = self.at(query.merchant.shard());
        settle_view(&home.context).await?;
        let owner = (query.merchant, query.livemode);
        let backwards = query.order == ListOrder::OldestFirst;
        let (mut found, has_more) = read(home.context.ports.views.as_ref(), query).await?;
        if backwards {
            found.reverse();
        }
        let mut payments: BTreeMap<PaymentId, PaymentRow> = BTreeMap::new();
        let mut rows = Vec::with_capacity(found.len());
        for moved in found {
            let row = match payments.get(&moved.payment) {
                Some(row) => Some(row.clone()),
                None => locate(&self.at(moved.payment.shard()).context, moved.payment).await?,
            };
            // The index was made of the payment, so that it is there.
            let missing = || ViewError::Store(format!("{} moved something and is not there", moved.payment));
            let row = row.ok_or_else(missing)?;
            payments.insert(moved.payment, row.clone());
            // The index has each tenant's apart. Should it be wrong, what is another's is shown to nobody all the same.
            if !row.is_of(owner) {
                tracing::error!(payment = %moved.payment, "the index of what moved has it under another merchant or mode");
                continue;
            }
            let entry = entries_of(&row.payment).find(|entry| entry.row == moved);
            let unlike =
                || ViewError::Store(format!("{} moved otherwise than the index says", moved.payment));
            rows.push((entry.ok_or_else(unlike)?, row));
        }
        Ok(MovedList { rows, has_more })
    }

    /// What a merchant's capture or refund moved, with its payment; nothing if that is not booked, or is another merchant's.
    pub async fn moved_by(
        &self,
        (merchant, livemode): (MerchantId, bool),
        operation: u128,
    ) -> Result<Option<(MovedEntry, PaymentRow)>, ListError> {
        let mut query = MovedQuery::newest(merchant, livemode, 1);
        query.operation = Some(operation);
        Ok(self.moved(query).await?.rows.pop())
    }
}

/// Reads until the page is full, nothing is left, or the index was read as often as it may be.
async fn read(index: &dyn MovedIndex, query: MovedQuery) -> Result<(Vec<MovedRow>, bool), ListError> {
    let limit = query.limit;
    // One more tells whether there is more.
    let wanted = limit.saturating_add(1);
    let mut next = query;
    let mut found: Vec<MovedRow> = Vec::new();
    let mut stopped_at = None;
    for _ in 0..READS_MAX {
        next.limit = wanted.saturating_sub(found.len());
        let page = index.moved(next.clone()).await?;
        found.extend(page.rows);
        stopped_at = page.stopped_at;
        match stopped_at {
            Some(at) if found.len() < wanted => next = next.behind(at),
            Some(_) | None => break,
        }
    }
    if found.is_empty() && stopped_at.is_some() {
        return Err(ListError::TooRare);
    }
    let has_more = found.len() > limit || (stopped_at.is_some() && found.len() < wanted);
    found.truncate(limit);
    Ok((found, has_more))
}

#[cfg(test)]
mod tests {
    //! Tests of the module around it.

    use super::*;
    use florin_domain::ids::RefundId;
    use florin_domain::money::Currency;
    use florin_domain::ports::{BoxFuture, MovedBy, MovedKind, MovedPage, MovedPlace};
    use florin_domain::time::Timestamp;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Entries that one read looks at.
    const ROWS_MAX: usize = 3;

    /// Every fifth one is a refund.
    fn row(n: u64) -> MovedRow {
        MovedRow {
            place: MovedPlace {
                at: Timestamp::from_unix_ms(n),
                id: n.into(),
            },
            payment: PaymentId::from_bits(n.into()),
            by: if n.is_multiple_of(5) {
                MovedBy::Refund(RefundId::from_bits(n.into()))
            } else {
                MovedBy::Sale
            },
            currency: Currency::USD,
        }
    }

    /// An index of so many entries that looks at few at a time.
    #[derive(Debug)]
    struct Slow(u64, AtomicUsize);

    impl MovedIndex for Slow {
        fn moved(&self, query: MovedQuery) -> BoxFuture<'_, Result<MovedPage, ViewError>> {
            self.1.fetch_add(1, Ordering::Relaxed);
            let mut page = MovedPage::default();
            let mut rows: Vec<MovedRow> = (1..=self.0).map(row).collect();
            rows.retain(|row| query.places.contains(&row.place));
            if query.order == ListOrder::NewestFirst {
                rows.reverse();
            }
            for (looked_at, row) in (1..).zip(rows) {
                page.rows.extend(query.takes(&row).then_some(row));
                if page.rows.len() == query.limit || looked_at == ROWS_MAX {
                    page.stopped_at = Some(row.place);
                    break;
                }
            }
            Box::pin(async { Ok(page) })
        }
    }

    fn all(limit: usize) -> MovedQuery {
        MovedQuery::newest(MerchantId::from_bits(1), false, limit)
    }

    #[tokio::test]
    async fn pages_are_full_and_join_however_few_entries_a_read_looks_at() {
        let index = Slow(32, AtomicUsize::new(0));
        for kind in [None, Some(MovedKind::Charge), Some(MovedKind::Refund)] {
            let expected: Vec<MovedRow> = (1..=32)
                .rev()
                .map(row)
                .filter(|row| MovedQuery { kind, ..all(1) }.takes(row))
                .collect();
            for limit in [1, 2, 3, 7, 40] {
                let (mut found, mut query) = (Vec::new(), MovedQuery { kind, ..all(limit) });
                loop {
                    let (rows, has_more) = read(&index, query.clone()).await.unwrap();
                    found.extend_from_slice(&rows);
                    if !has_more {
                        break;
                    }
                    assert_eq!(rows.len(), limit, "{kind:?}");
                    query = query.behind(rows.last().unwrap().place);
                }
                assert_eq!(found, expected, "{kind:?} {limit}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_too_rare_is_given_up_and_says_so() {
        let index = Slow(5_000, AtomicUsize::new(0));
        let rare = MovedQuery {
            currency: Some(Currency::EUR),
            ..all(10)
        };
        assert_eq!(read(&index, rare).await, Err(ListError::TooRare));
        assert_eq!(index.1.load(Ordering::Relaxed), READS_MAX);
    }
}
