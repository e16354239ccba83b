//! The payments view with what was written lately in front of it: payments as they stand, and customers' lists of their newest ones.
//!
//! The view has one follower, so what it is given is what there is: a payment is remembered as it is written, and a list takes up what is made. What
//! the view has not been given yet is in the tail of the journal, which readers look at first.

use super::fences::Changing;
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
use std::collections::{BTreeMap, BTreeSet};
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

    /// The lists that these may be new in, with those that are remembered.
    fn lists(&self, rows: &[PaymentRow]) -> BTreeMap<Customer, Option<Newest>> {
        let customers: BTreeSet<Customer> = rows.iter().filter_map(customer_in).collect();
        let known = |customer: Customer| (customer.clone(), self.customers.in_memory(&customer));
        customers.into_iter().map(known).collect()
    }

    /// From before a view has these until [`Self::wrote`] has ended, their keys are read from it.
    fn changing(
        &self,
        rows: &[PaymentRow],
        lists: &BTreeMap<Customer, Option<Newest>>,
    ) -> (Changing, Changing) {
        let ids: Vec<PaymentId> = rows.iter().map(|row| row.payment.id()).collect();
        (
            self.payments.changing(ids.iter()),
            self.customers.changing(lists.keys()),
        )
    }

    /// Remembers what was written. Of what is in `unsure` the view may have had something newer.
    async fn wrote(
        &self,
        newest: Vec<PaymentRow>,
        unsure: Vec<PaymentRow>,
        mut lists: BTreeMap<Customer, Option<Newest>>,
    ) {
        let mut made: BTreeMap<Customer, Vec<PaymentId>> = BTreeMap::new();
        for row in newest.iter().chain(&unsure) {
            if let Some(customer) = customer_in(row) {
                made.entry(customer).or_default().push(row.payment.id());
            }
        }
        for (customer, ids) in made {
            if let Some(Some(known)) = lists.get_mut(&customer) {
                *known = known.with(ids.into_iter());
            }
        }
        let unsure = unsure.into_iter().map(|row| (row.payment.id(), None));
        let newest = newest.into_iter().map(|row| (row.payment.id(), Some(row)));
        // At once, so that they wait for one answer.
        tokio::join!(
            self.customers.changed(lists.into_iter().collect()),
            self.payments.changed(unsure.chain(newest).collect()),
        );
    }
}

fn customer_in(row: &PaymentRow) -> Option<Customer> {
    let spec = &row.payment.spec;
    let customer = spec.customer.as_ref()?;
    Some((spec.merchant, spec.livemode, Arc::clone(customer)))
}

/// A payments view behind what is remembered of it.
#[derive(Debug)]
pub struct CachedViews<V>(Arc<Cached<V>>);

#[derive(Debug)]
struct Cached<V> {
    views: V,
    cache: Arc<PaymentCache>,
    /// One batch after another, although whoever follows may be restarted while one is under way.
    applying: Mutex<()>,
}

impl<V: Views> CachedViews<V> {
    /// What is remembered must be of no other view of this shard.
    pub fn new(views: V, cache: Arc<PaymentCache>) -> Self {
        Self(Arc::new(Cached {
            views,
            cache,
            applying: Mutex::new(()),
        }))
    }
}

#[cfg(test)]
impl<V> CachedViews<V> {
    /// The view itself.
    pub(super) fn inner(&self) -> &V {
        &self.0.views
    }
}

impl<V: Views> Cached<V> {
    async fn apply(
        &self,
        mut rows: Vec<PaymentRow>,
        announced: Vec<AnnouncingCommit>,
        up_to: Seq,
    ) -> Result<(), ViewError> {
        let _alone = self.applying.lock().await;
        // What is not behind it may be older than what the view has, which keeps what is newer.
        let had = self.views.watermark().unwrap_or(Seq(u64::MAX));
        // As long as they hold: nobody else changes them.
        let lists = self.cache.lists(&rows);
        // Ends after the doubts do.
        let _changing = self.cache.changing(&rows, &lists);
        let doubts = (self.cache.payments.in_doubt(), self.cache.customers.in_doubt());
        self.views.apply(rows.clone(), announced, up_to).await?;
        // Of a payment that is there twice the view keeps the later one, and so does whoever is told in this order.
        rows.sort_by_key(|row| row.seq);
        let (newest, unsure) = rows.into_iter().partition(|row| row.seq > had);
        self.cache.wrote(newest, unsure, lists).await;
        doubts.0.settle();
        doubts.1.settle();
        Ok(())
    }

    async fn remembered(&self, id: PaymentId) -> Result<Option<PaymentRow>, ViewError> {
        let found = self.cache.payments.find(&id).await;
        if let Found::Here(row) = found {
            return Ok(Some(row));
        }
        let row = self.views.payment(id).await?;
        if let (Found::Missing(mark), Some(row)) = (found, &row) {
            self.cache.payments.fill(mark, &id, row);
        }
        Ok(row)
    }

    /// A customer's newest payments, if it is remembered which they are and what each is.
    async fn listed(&self, newest: &Newest, limit: usize) -> Option<PaymentsPage> {
        let ids = newest.first(limit)?;
        let found = self.cache.payments.find_all(ids).await;
        let rows: Option<Vec<PaymentRow>> = found.into_iter().map(Found::here).collect();
        let rows = rows?;
        let is_full = rows.len() == limit;
        let stopped_at = rows.last().filter(|_| is_full).map(|row| row.payment.id());
        Some(PaymentsPage { rows, stopped_at })
    }

    async fn of_customer(&self, key: &Customer, query: PaymentsQuery) -> Result<PaymentsPage, ViewError> {
        let limit = query.limit;
        let found = self.cache.customers.find(key).await;
        if let Found::Here(newest) = &found
            && let Some(page) = self.listed(newest, limit).await
        {
            return Ok(page);
        }
        let page = self.views.payments(query).await?;
        if let (Found::Missing(mark), Some(newest)) = (found, Newest::of(&page, limit)) {
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

impl<V: Views + 'static> Follower for CachedViews<V> {
    fn apply(
        &self,
        rows: Vec<PaymentRow>,
        announced: Vec<AnnouncingCommit>,
        up_to: Seq,
    ) -> BoxFuture<'_, Result<(), ViewError>> {
        let cached = Arc::clone(&self.0);
        Box::pin(async move {
            // What was begun happens whether or not whoever gave it stays, and so must be watched to its end.
            let applying = tokio::spawn(async move { cached.apply(rows, announced, up_to).await });
            let died = |_| ViewError::Store("the task that writes the view died".to_owned());
            applying.await.map_err(died)?
        })
    }

    fn watermark(&self) -> Result<Seq, ReadError> {
        self.0.views.watermark()
    }
}

impl<V: Views + 'static> MovedIndex for CachedViews<V> {
    fn moved(&self, query: MovedQuery) -> BoxFuture<'_, Result<MovedPage, ViewError>> {
        self.0.views.moved(query)
    }
}

impl<V: Views + 'static> ShownPayments for CachedViews<V> {
    fn payment_shown(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<PaymentRow>, ViewError>> {
        Box::pin(self.0.remembered(id))
    }
}

impl<V: Views + 'static> Views for CachedViews<V> {
    fn payment(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<PaymentRow>, ViewError>> {
        self.0.views.payment(id)
    }

    fn payments(&self, query: PaymentsQuery) -> BoxFuture<'_, Result<PaymentsPage, ViewError>> {
        match customer_of(&query) {
            Some(customer) => Box::pin(async move { self.0.of_customer(&customer, query).await }),
            None => self.0.views.payments(query),
        }
    }

    fn waiting(&self, query: WaitingQuery) -> BoxFuture<'_, Result<Vec<PaymentRow>, ViewError>> {
        self.0.views.waiting(query)
    }

    fn events(&self, query: EventsQuery) -> BoxFuture<'_, Result<EventsPage, ViewError>> {
        self.0.views.events(query)
    }

    fn refunds(&self, query: RefundsQuery) -> BoxFuture<'_, Result<Vec<RefundPlace>, ViewError>> {
        self.0.views.refunds(query)
    }
}
