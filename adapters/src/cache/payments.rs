//! The payments view with what was written lately in front of it: payments as they stand, and customers' lists of their newest ones.
//!
//! The view has one follower, so what it is given is what there is: a payment is remembered as it is written, and a list takes up what is made. What
//! the view has not been given yet is in the tail of the journal, which readers look at first.

use super::fences::Mark;
use super::kind::{CUSTOMER_PAYMENTS, PAYMENTS};
use super::shared::Shared;
use super::tiers::{Found, Remembered, Tiers};
use crate::schema::v1;
use florin_domain::ids::{MerchantId, PaymentId, Seq};
use florin_domain::ports::{
    AnnouncingCommit, BoxFuture, EventsPage, EventsQuery, Follower, ListOrder, MovedIndex, MovedPage,
    MovedQuery, PaymentRow, PaymentsFilter, PaymentsPage, PaymentsQuery, ReadError, RefundPlace,
    RefundsQuery, ShownPayments, ViewError, Views, WaitingQuery,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

/// Ids of one list: a page of the longest kind, and the one behind it.
const LISTED_MAX: usize = 128;

/// Whose list: the merchant, its mode, and its customer.
type Customer = (MerchantId, bool, Arc<str>);

impl Remembered for PaymentRow {
    type Key = PaymentId;

    fn name(id: &PaymentId) -> String {
        id.to_string()
    }

    fn write(&self) -> Option<Zeroizing<Vec<u8>>> {
        let mut bytes = self.seq.0.to_be_bytes().to_vec();
        v1::payment::encode(&self.payment, &mut bytes);
        Some(Zeroizing::new(bytes))
    }

    fn read(id: &PaymentId, bytes: &[u8]) -> Option<Self> {
        let (seq, state) = bytes.split_first_chunk()?;
        let payment = v1::payment::decode(state).ok()?;
        (payment.id() == *id).then(|| Self {
            seq: Seq(u64::from_be_bytes(*seq)),
            payment: Arc::new(payment),
        })
    }
}

/// The newest payments of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Newest {
    /// The newest one first.
    ids: Arc<[PaymentId]>,
    /// There are no others.
    is_all: bool,
}

impl Newest {
    /// Of what the view answered to a query for so many.
    fn of(page: &PaymentsPage, limit: usize) -> Option<Self> {
        let is_all = page.stopped_at.is_none();
        let is_whole = is_all || page.rows.len() == limit;
        (is_whole && limit <= LISTED_MAX).then(|| Self {
            ids: page.rows.iter().map(|row| row.payment.id()).collect(),
            is_all,
        })
    }

    /// The same with payments that may be new.
    fn with(&self, made: impl Iterator<Item = PaymentId>) -> Self {
        let mut ids = self.ids.to_vec();
        let oldest = ids.last().copied();
        // What is older than the list's end may have others between.
        ids.extend(made.filter(|id| self.is_all || oldest.is_some_and(|oldest| *id > oldest)));
        ids.sort_unstable_by(|one, other| other.cmp(one));
        ids.dedup();
        let is_all = self.is_all && ids.len() <= LISTED_MAX;
        ids.truncate(LISTED_MAX);
        Self {
            ids: ids.into(),
            is_all,
        }
    }

    /// Those that a query for so many shows, if this tells.
    fn first(&self, limit: usize) -> Option<&[PaymentId]> {
        if self.ids.len() >= limit {
            return Some(&self.ids[..limit]);
        }
        self.is_all.then_some(&*self.ids)
    }
}

impl Remembered for Newest {
    type Key = Customer;

    fn name((merchant, livemode, customer): &Customer) -> String {
        let mode = if *livemode { "live" } else { "test" };
        format!("{merchant}:{mode}:{customer}")
    }

    fn write(&self) -> Option<Zeroizing<Vec<u8>>> {
        let ids = self.ids.iter().flat_map(|id| id.bits().to_be_bytes());
        Some(Zeroizing::new(
            std::iter::once(u8::from(self.is_all)).chain(ids).collect(),
        ))
    }

    fn read(_: &Customer, bytes: &[u8]) -> Option<Self> {
        let (is_all, ids) = bytes.split_first()?;
        let (ids, []) = ids.as_chunks() else { return None };
        Some(Self {
            ids: ids
                .iter()
                .map(|id| PaymentId::from_bits(u128::from_be_bytes(*id)))
                .collect(),
            is_all: *is_all == 1,
        })
    }
}

/// What all shards of a node remember together: an id says whose it is.
#[derive(Debug)]
pub struct PaymentCache {
    payments: Tiers<PaymentRow>,
    customers: Tiers<Newest>,
}

impl PaymentCache {
    /// An empty one.
    pub fn new(shared: Option<Arc<Shared>>) -> Self {
        Self {
            payments: Tiers::new(PAYMENTS, shared.clone()),
            customers: Tiers::new(CUSTOMER_PAYMENTS, shared),
        }
    }

    #[cfg(test)]
    pub(super) fn forget_memory(&self) {
        self.payments.forget_memory();
        self.customers.forget_memory();
    }

    /// Where in Redis everything is.
    #[cfg(test)]
    pub(super) fn space(&self) -> Option<String> {
        self.payments.space()
    }

    /// Remembers what was written. Of what is in `unsure` the view may have had something newer.
    async fn wrote(&self, newest: Vec<PaymentRow>, unsure: Vec<PaymentRow>) {
        let mut made: BTreeMap<Customer, Vec<PaymentId>> = BTreeMap::new();
        for row in newest.iter().chain(&unsure) {
            let spec = &row.payment.spec;
            if let Some(customer) = &spec.customer {
                let key = (spec.merchant, spec.livemode, Arc::clone(customer));
                made.entry(key).or_default().push(spec.id);
            }
        }
        let lists = made.into_iter().map(|(key, ids)| {
            let known = self.customers.in_memory(&key);
            (key, known.map(|known| known.with(ids.into_iter())))
        });
        self.customers.changed(lists.collect()).await;
        let unsure = unsure.into_iter().map(|row| (row.payment.id(), None));
        let newest = newest.into_iter().map(|row| (row.payment.id(), Some(row)));
        self.payments.changed(unsure.chain(newest).collect()).await;
    }
}

/// A payments view behind what is remembered of it.
#[derive(Debug)]
pub struct CachedViews<V> {
    views: V,
    cache: Arc<PaymentCache>,
    /// One batch after another, although whoever follows may be restarted while one is under way.
    applying: Mutex<()>,
}

impl<V: Views> CachedViews<V> {
    /// What is remembered must be of no other view of this shard.
    pub fn new(views: V, cache: Arc<PaymentCache>) -> Self {
        Self {
            views,
            cache,
            applying: Mutex::new(()),
        }
    }

    async fn remembered(&self, id: PaymentId) -> Result<Option<PaymentRow>, ViewError> {
        let mark = match self.cache.payments.find(&id).await {
            Found::Here(row) => return Ok(Some(row)),
            Found::Missing(mark) => mark,
        };
        let row = self.views.payment(id).await?;
        if let Some(row) = &row {
            self.cache.payments.fill(mark, &id, row);
        }
        Ok(row)
    }

    /// A customer's newest payments, one by one, if it is remembered which they are.
    async fn listed(&self, newest: &Newest, limit: usize) -> Result<Option<PaymentsPage>, ViewError> {
        let Some(ids) = newest.first(limit) else {
            return Ok(None);
        };
        let mut rows = Vec::with_capacity(ids.len());
        for id in ids {
            match self.remembered(*id).await? {
                Some(row) => rows.push(row),
                None => return Ok(None),
            }
        }
        let is_full = rows.len() == limit;
        let stopped_at = rows.last().filter(|_| is_full).map(|row| row.payment.id());
        Ok(Some(PaymentsPage { rows, stopped_at }))
    }

    async fn of_customer(&self, key: &Customer, query: PaymentsQuery) -> Result<PaymentsPage, ViewError> {
        let limit = query.limit;
        let mark: Mark = match self.cache.customers.find(key).await {
            Found::Missing(mark) => mark,
            Found::Here(newest) => {
                if let Some(page) = self.listed(&newest, limit).await? {
                    return Ok(page);
                }
                self.cache.customers.mark(key)
            }
        };
        let page = self.views.payments(query).await?;
        if let Some(newest) = Newest::of(&page, limit) {
            self.cache.customers.fill(mark, key, &newest);
        }
        Ok(page)
    }
}

/// Whose newest payments it asks for, if it asks for nothing else.
fn customer_of(query: &PaymentsQuery) -> Option<Customer> {
    let customer = query.filter.customer.clone()?;
    let only = PaymentsFilter {
        customer: Some(Arc::clone(&customer)),
        ..PaymentsFilter::default()
    };
    let is_plain = query.filter == only
        && query.starting_after.is_none()
        && query.ending_before.is_none()
        && query.order == ListOrder::NewestFirst
        && query.limit > 0;
    is_plain.then_some((query.merchant, query.livemode, customer))
}

impl<V: Views> Follower for CachedViews<V> {
    fn apply(
        &self,
        rows: Vec<PaymentRow>,
        announced: Vec<AnnouncingCommit>,
        up_to: Seq,
    ) -> BoxFuture<'_, Result<(), ViewError>> {
        Box::pin(async move {
            let _alone = self.applying.lock().await;
            // What is not behind it may be older than what the view has, which keeps what is newer.
            let had = self.views.watermark().unwrap_or(Seq(u64::MAX));
            let doubts = (self.cache.payments.in_doubt(), self.cache.customers.in_doubt());
            self.views.apply(rows.clone(), announced, up_to).await?;
            let (newest, unsure) = rows.into_iter().partition(|row| row.seq > had);
            self.cache.wrote(newest, unsure).await;
            doubts.0.settle();
            doubts.1.settle();
            Ok(())
        })
    }

    fn watermark(&self) -> Result<Seq, ReadError> {
        self.views.watermark()
    }
}

impl<V: Views> MovedIndex for CachedViews<V> {
    fn moved(&self, query: MovedQuery) -> BoxFuture<'_, Result<MovedPage, ViewError>> {
        self.views.moved(query)
    }
}

impl<V: Views> ShownPayments for CachedViews<V> {
    fn payment_shown(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<PaymentRow>, ViewError>> {
        Box::pin(self.remembered(id))
    }
}

impl<V: Views> Views for CachedViews<V> {
    fn payment(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<PaymentRow>, ViewError>> {
        self.views.payment(id)
    }

    fn payments(&self, query: PaymentsQuery) -> BoxFuture<'_, Result<PaymentsPage, ViewError>> {
        match customer_of(&query) {
            Some(customer) => Box::pin(async move { self.of_customer(&customer, query).await }),
            None => self.views.payments(query),
        }
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
