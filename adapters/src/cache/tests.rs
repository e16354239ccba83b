//! What caches must hold, whatever becomes of Redis: the same answers as without them.

mod exact;
mod lossy;
mod racing;
mod real;
mod restart;
mod saved;

use super::kind::{CUSTOMER_PAYMENTS, PAYMENT_METHODS, PAYMENTS};
use super::payments::{CachedViews, PaymentCache};
use super::shared::{KeyValues, Shared};
use crate::schema::v1::payment::samples::{payment, payment_id, spec};
use crate::views::MemoryViews;
use florin_domain::ids::{MerchantId, PaymentId, Seq};
use florin_domain::money::MinorSum;
use florin_domain::payment::{Payment, Spec};
use florin_domain::ports::{
    BoxFuture, Follower as _, PaymentRow, PaymentsQuery, ShownPayments as _, ViewError, Views,
};
use florin_domain::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// How long the store is given in these tests.
const PATIENCE: Duration = Duration::from_millis(50);
/// Different payments.
const PAYMENTS_MADE: u64 = 12;
const CUSTOMERS: [&str; 2] = ["cus_a", "cus_b"];

fn merchant() -> MerchantId {
    MerchantId::from_bits(7)
}

fn id(n: u64) -> PaymentId {
    payment_id(1000 + n, n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Payment `n` as commit `seq` left it, which shows in its state.
fn row(n: u64, seq: u64) -> PaymentRow {
    let made = spec(id(n), merchant(), false, Timestamp::from_unix_ms(1000 + n));
    let spec = Spec {
        customer: [None, Some(CUSTOMERS[0].into()), Some(CUSTOMERS[1].into())][(n % 3) as usize].clone(),
        ..made
    };
    let captured = MinorSum::from_minor(seq.into()).unwrap();
    PaymentRow {
        seq: Seq(seq),
        payment: Arc::new(Payment {
            captured,
            ..payment(spec)
        }),
    }
}

fn newest_of(customer: &str, limit: usize) -> PaymentsQuery {
    let mut query = PaymentsQuery::newest(merchant(), false, limit);
    query.filter.customer = Some(customer.into());
    query
}

fn seen(row: &PaymentRow) -> (PaymentId, Seq, Payment) {
    (row.payment.id(), row.seq, Payment::clone(&row.payment))
}

/// A view with copies in front of it, or one without.
trait Shows: Views {
    fn show(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<PaymentRow>, ViewError>>;
}

impl<V: Views + 'static> Shows for CachedViews<V> {
    fn show(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<PaymentRow>, ViewError>> {
        self.payment_shown(id)
    }
}

impl Shows for MemoryViews {
    fn show(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<PaymentRow>, ViewError>> {
        self.payment(id)
    }
}

/// What is shown of a payment and of a list: with the caches and without.
async fn shown<V: Shows>(views: &V, n: u64) -> Option<(PaymentId, Seq, Payment)> {
    views.show(id(n)).await.unwrap().as_ref().map(seen)
}

async fn listed(views: &dyn Views, customer: &str, limit: usize) -> Vec<(PaymentId, Seq, Payment)> {
    let page = views.payments(newest_of(customer, limit)).await.unwrap();
    page.rows.iter().map(seen).collect()
}

/// Lets everything that was begun come to its end: time stands still otherwise.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

fn cached<V: Views>(views: V, store: Arc<dyn KeyValues>) -> (CachedViews<V>, Arc<PaymentCache>) {
    let shared = Shared::start(store).unwrap();
    let cache = Arc::new(PaymentCache::new(Some(shared)));
    (CachedViews::new(views, Arc::clone(&cache)), cache)
}

#[test]
fn each_kind_has_the_size_and_the_lifetime_of_its_row() {
    for (kind, key, entries_max, lifetime_s) in [
        (PAYMENTS, "payment", 10_000, 300),
        (CUSTOMER_PAYMENTS, "user_payments", 10_000, 300),
        (PAYMENT_METHODS, "payment_method", 10_000, 3600),
    ] {
        assert_eq!((kind.key, kind.entries_max), (key, entries_max));
        assert_eq!(kind.lifetime, Duration::from_secs(lifetime_s));
    }
}

#[tokio::test(start_paused = true)]
async fn a_payment_is_found_in_memory_and_then_in_the_store_without_the_view() {
    let store = Arc::new(lossy::Lossy::default());
    let (views, cache) = cached(MemoryViews::default(), Arc::clone(&store) as _);
    views.apply(vec![row(1, 1)], Vec::new(), Seq(1)).await.unwrap();
    let read = || store.reads();
    assert_eq!(shown(&views, 1).await, Some(seen(&row(1, 1))));
    assert_eq!(read(), 0, "it is in memory");
    cache.forget_memory();
    assert_eq!(shown(&views, 1).await, Some(seen(&row(1, 1))));
    assert_eq!(read(), 1, "it is in the store");
    assert_eq!(shown(&views, 1).await, Some(seen(&row(1, 1))));
    assert_eq!(read(), 1, "it is in memory again");
}
