//! What a payments view must hold, whatever keeps it; then what only a file can get wrong.

mod announced;
mod moved;
mod refunded;
mod search;
mod shared;

use self::shared::Server;
use super::memory::MemoryViews;
use super::postgres::PostgresViews;
use super::reader::{ENTRIES_MAX, Read, ReadQueue};
use super::sqlite::{SqliteViews, ViewsOptions};
use crate::postgres::Taken;
use crate::schema::v1::payment::samples::{payment, payment_id, spec};
use florin_domain::ids::{MerchantId, PaymentId, Seq};
use florin_domain::money::{Amount, Currency, MinorSum};
use florin_domain::payment::{Payment, Spec, Status};
use florin_domain::ports::{
    Follower, ListOrder, PaymentRow, PaymentsFilter, PaymentsQuery, StatusName, ViewError, Views,
};
use florin_domain::time::Timestamp;
use proptest::prelude::*;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

fn wait<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.block_on(future)
}

/// One for all, since connections live on the runtime that made them.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).enable_all().build().unwrap()
});

fn id(n: u64) -> PaymentId {
    payment_id(1000 + n, n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Payment `n` of a merchant as commit `seq` left it; the sequence number shows in its state.
fn row(n: u64, merchant: u128, livemode: bool, seq: u64) -> PaymentRow {
    let spec = spec(
        id(n),
        MerchantId::from_bits(merchant),
        livemode,
        Timestamp::from_unix_ms(1000 + n),
    );
    let captured = MinorSum::from_minor(seq.into()).unwrap();
    PaymentRow {
        seq: Seq(seq),
        payment: Arc::new(Payment {
            captured,
            ..payment(spec)
        }),
    }
}

fn query(merchant: u128, livemode: bool, starting_after: Option<PaymentId>, limit: usize) -> PaymentsQuery {
    PaymentsQuery {
        starting_after,
        ..PaymentsQuery::newest(MerchantId::from_bits(merchant), livemode, limit)
    }
}

fn seen(row: &PaymentRow) -> (PaymentId, Seq, Payment) {
    (row.payment.id(), row.seq, Payment::clone(&row.payment))
}

/// Reads on until the list is full or ends: a view looks at a bounded number of payments at a time.
fn list(views: &dyn Views, mut query: PaymentsQuery) -> Vec<PaymentId> {
    let mut ids: Vec<PaymentId> = Vec::new();
    loop {
        let page = wait(views.payments(query.clone())).unwrap();
        assert!(page.rows.len() <= query.limit);
        query.limit -= page.rows.len();
        ids.extend(page.rows.iter().map(|row| row.payment.id()));
        match page.stopped_at {
            Some(at) if query.limit > 0 => query = query.behind(at),
            Some(_) | None => return ids,
        }
    }
}

fn file(dir: &TempDir) -> PathBuf {
    dir.path().join("views.db")
}

fn open(path: &Path) -> SqliteViews {
    SqliteViews::open(
        path,
        &ViewsOptions {
            cache_kib: 1024,
            ..ViewsOptions::default()
        },
    )
    .unwrap()
}

/// Runs a check against every implementation.
fn each(check: impl Fn(&dyn Views)) {
    check(&MemoryViews::default());
    let dir = TempDir::new().unwrap();
    check(&open(&file(&dir)));
    check(&open_shared(&taken()));
}

#[test]
fn a_newer_state_replaces_an_older_one_and_never_the_reverse() {
    each(|views| {
        wait(views.apply(vec![row(1, 7, true, 10)], Vec::new(), Seq(10))).unwrap();
        wait(views.apply(vec![row(1, 7, true, 12)], Vec::new(), Seq(12))).unwrap();
        wait(views.apply(vec![row(1, 7, true, 11)], Vec::new(), Seq(11))).unwrap();
        let found = wait(views.payment(id(1))).unwrap().unwrap();
        assert_eq!(seen(&found), seen(&row(1, 7, true, 12)));
        assert_eq!(views.watermark(), Ok(Seq(12)));
        assert!(wait(views.payment(id(2))).unwrap().is_none());
    });
}

#[test]
fn lists_are_newest_first_and_go_on_after_a_cursor() {
    each(|views| {
        let rows = [3, 1, 5, 2, 4].map(|n| row(n, 7, true, n)).to_vec();
        wait(views.apply(rows, Vec::new(), Seq(5))).unwrap();
        let all = [5, 4, 3, 2, 1].map(id);
        let oldest_first = PaymentsQuery {
            order: ListOrder::OldestFirst,
            ending_before: Some(id(1)),
            ..query(7, true, Some(id(5)), 2)
        };
        assert_eq!(list(views, oldest_first), [2, 3].map(id));
        assert_eq!(list(views, query(7, true, None, 10)), all);
        assert_eq!(list(views, query(7, true, None, 2)), all[..2]);
        assert_eq!(list(views, query(7, true, Some(id(4)), 2)), all[2..4]);
        assert_eq!(list(views, query(7, true, Some(id(1)), 2)), []);
        assert_eq!(list(views, query(7, true, None, 0)), []);
        let lowest = PaymentId::from_bits(0);
        assert_eq!(list(views, query(7, true, Some(lowest), 2)), []);
        assert_eq!(
            list(
                views,
                query(7, true, Some(PaymentId::from_bits(u128::MAX)), usize::MAX)
            ),
            all
        );
    });
}

#[test]
fn lists_hold_one_merchant_and_one_mode() {
    each(|views| {
        let rows = vec![
            row(1, 7, true, 1),
            row(2, 7, false, 2),
            row(3, 8, true, 3),
            row(4, 7, true, 4),
        ];
        wait(views.apply(rows, Vec::new(), Seq(4))).unwrap();
        assert_eq!(list(views, query(7, true, None, 10)), [id(4), id(1)]);
        assert_eq!(list(views, query(7, false, None, 10)), [id(2)]);
        assert_eq!(list(views, query(8, true, None, 10)), [id(3)]);
        assert_eq!(list(views, query(8, false, None, 10)), []);
        assert_eq!(
            list(views, query(7, true, Some(id(3)), 10)),
            [id(1)],
            "a stranger's id is only a place"
        );
    });
}

#[test]
fn an_empty_batch_moves_the_watermark() {
    each(|views| {
        wait(views.apply(Vec::new(), Vec::new(), Seq(3))).unwrap();
        assert_eq!(views.watermark(), Ok(Seq(3)));
    });
}

const STATUSES: [Status; 3] = [Status::Processing, Status::Succeeded, Status::Failed];

prop_compose! {
    fn any_row()(n in 0..40_u64, seq in 1..100_u64) -> PaymentRow {
        // A payment keeps its merchant and mode, and everything else but its status, and its amount while it is authorized.
        let row = row(n, u128::from(n % 3), n % 2 == 0, seq);
        let spec = Spec {
            customer: [None, Some("cus_a".into()), Some("cus_b".into())][(n % 5 % 3) as usize].clone(),
            currency: if n % 7 == 0 { Currency::JPY } else { Currency::EUR },
            amount: Amount::new(i128::from(n) + 1).unwrap(),
            ..Spec::clone(&row.payment.spec)
        };
        let payment = Payment {
            spec: Arc::new(spec),
            status: STATUSES[(seq % 3) as usize].clone(),
            authorized: MinorSum::from_minor(i128::from(n + seq / 20)).unwrap(),
            ..Payment::clone(&row.payment)
        };
        PaymentRow { seq: row.seq, payment: Arc::new(payment) }
    }
}

prop_compose! {
    fn any_filter()(
        status in prop::option::of(prop::sample::select(&STATUSES[..])),
        customer in prop::option::of(prop::sample::select(&["cus_a", "cus_b", "cus_c"][..])),
        currency in prop::option::of(prop::sample::select(&[Currency::JPY, Currency::EUR][..])),
        amount_minor in prop::option::of((0..40_u64, 0..50_u64)),
        created_s in prop::option::of((0..3_u64, 0..3_u64)),
    ) -> PaymentsFilter {
        PaymentsFilter {
            status: status.as_ref().map(StatusName::of),
            customer: customer.map(Into::into),
            currency,
            amount_minor: amount_minor.map(|(from, to)| from..=to),
            created_s: created_s.map(|(from, to)| from..=to),
            ..PaymentsFilter::default()
        }
    }
}

thread_local! {
    /// One for all cases of a property, each of which has a shard of its own.
    static SERVER: Server = Server::new();
}

/// A shard that was taken, in a database.
fn taken() -> Taken {
    SERVER.with(Server::shard)
}

/// Its view.
fn open_shared(taken: &Taken) -> PostgresViews {
    SERVER.with(|server| server.open(taken))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_view_shows_the_same_also_after_reopening(
        batches in prop::collection::vec(prop::collection::vec(any_row(), 0..20), 1..6),
        filter in any_filter(),
        cursors in (prop::option::of(0..40_u64), prop::option::of(0..40_u64)),
        is_oldest_first: bool,
        limit in 0..8_usize,
    ) {
        let dir = TempDir::new().unwrap();
        let memory = MemoryViews::default();
        let mut sqlite = open(&file(&dir));
        let taken = taken();
        let mut shared = open_shared(&taken);
        let mut newest: BTreeMap<PaymentId, PaymentRow> = BTreeMap::new();
        for (n, batch) in batches.into_iter().enumerate() {
            let up_to = Seq((n as u64 + 1) * 10);
            for row in &batch {
                let held = newest.entry(row.payment.id()).or_insert_with(|| row.clone());
                if held.seq < row.seq {
                    *held = row.clone();
                }
            }
            wait(memory.apply(batch.clone(), Vec::new(), up_to)).unwrap();
            wait(sqlite.apply(batch.clone(), Vec::new(), up_to)).unwrap();
            wait(shared.apply(batch, Vec::new(), up_to)).unwrap();
            if n % 2 == 1 {
                drop(sqlite);
                sqlite = open(&file(&dir));
                shared = open_shared(&taken);
            }
            prop_assert_eq!(sqlite.watermark(), memory.watermark());
            prop_assert_eq!(shared.watermark(), memory.watermark());
            for n in 0..40 {
                let views: [&dyn Views; 3] = [&memory, &sqlite, &shared];
                let rows = views.map(|views| wait(views.payment(id(n))).unwrap());
                let [in_memory, in_file, in_database] = rows.map(|row| row.as_ref().map(seen));
                prop_assert_eq!(&in_memory, &in_file);
                prop_assert_eq!(in_memory, in_database);
            }
            for (merchant, livemode) in [(0, true), (1, false), (1, true), (2, true)] {
                let query = PaymentsQuery {
                    filter: filter.clone(),
                    starting_after: cursors.0.map(id),
                    ending_before: cursors.1.map(id),
                    order: if is_oldest_first { ListOrder::OldestFirst } else { ListOrder::NewestFirst },
                    ..query(merchant, livemode, None, limit)
                };
                let mut expected: Vec<PaymentRow> = newest
                    .values()
                    .filter(|row| query.reaches(&row.payment) && filter.takes(&row.payment))
                    .cloned()
                    .collect();
                query.sort(&mut expected);
                expected.truncate(limit);
                let expected: Vec<PaymentId> = expected.iter().map(|row| row.payment.id()).collect();
                prop_assert_eq!(&list(&memory, query.clone()), &expected);
                prop_assert_eq!(&list(&sqlite, query.clone()), &expected);
                prop_assert_eq!(&list(&shared, query), &expected);
            }
        }
    }
}

#[test]
fn a_read_of_the_file_looks_at_a_bounded_number_of_payments() {
    let dir = TempDir::new().unwrap();
    let views = open(&file(&dir));
    wait(views.apply(
        (1..=20).map(|n| row(n, 7, true, n)).collect(),
        Vec::new(),
        Seq(20),
    ))
    .unwrap();
    let query = PaymentsQuery {
        filter: PaymentsFilter {
            status: Some(StatusName::Blocked),
            ..PaymentsFilter::default()
        },
        ..query(7, true, None, 1)
    };
    let page = wait(views.payments(query.clone())).unwrap();
    assert!(page.rows.is_empty());
    assert_eq!(page.stopped_at, Some(id(21 - ENTRIES_MAX as u64)));
    assert_eq!(list(&views, query), []);
}

/// A closed view with one payment and a watermark of one.
fn closed(dir: &TempDir) -> PathBuf {
    let path = file(dir);
    wait(open(&path).apply(vec![row(1, 7, true, 1)], Vec::new(), Seq(1))).unwrap();
    path
}

fn assert_empty(views: &SqliteViews) {
    assert_eq!(views.watermark(), Ok(Seq::ZERO));
    assert!(wait(views.payment(id(1))).unwrap().is_none());
    wait(views.apply(vec![row(2, 7, true, 2)], Vec::new(), Seq(2))).unwrap();
    assert_eq!(list(views, query(7, true, None, 9)), [id(2)]);
}

#[test]
fn a_file_that_is_no_database_gives_an_empty_view() {
    for damage in [
        &b"not a database at all, and long enough to look at"[..],
        &[0; 4096],
        &[],
    ] {
        let dir = TempDir::new().unwrap();
        let path = closed(&dir);
        fs::write(&path, damage).unwrap();
        assert_empty(&open(&path));
    }
}

#[test]
fn a_database_with_a_torn_start_gives_an_empty_view() {
    let dir = TempDir::new().unwrap();
    let path = closed(&dir);
    let mut bytes = fs::read(&path).unwrap();
    bytes[100..].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    assert_empty(&open(&path));
}

#[test]
fn a_view_of_another_version_is_replaced() {
    let dir = TempDir::new().unwrap();
    let path = closed(&dir);
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 999)
        .unwrap();
    assert_empty(&open(&path));
}

#[test]
fn a_view_open_when_the_machine_went_down_is_replaced() {
    let dir = TempDir::new().unwrap();
    let path = closed(&dir);
    Connection::open(&path)
        .unwrap()
        .execute("UPDATE progress SET boot = 'an earlier one'", [])
        .unwrap();
    assert_empty(&open(&path));
}

#[test]
fn a_view_open_when_the_process_was_killed_is_kept() {
    let dir = TempDir::new().unwrap();
    let path = file(&dir);
    let views = open(&path);
    wait(views.apply(vec![row(1, 7, true, 1)], Vec::new(), Seq(1))).unwrap();
    let killed = TempDir::new().unwrap();
    for name in ["views.db", "views.db-wal"] {
        fs::copy(dir.path().join(name), killed.path().join(name)).unwrap();
    }
    let views = open(&file(&killed));
    assert_eq!(views.watermark(), Ok(Seq(1)));
    assert!(wait(views.payment(id(1))).unwrap().is_some());
}

#[test]
fn a_view_closed_properly_is_kept_whatever_the_machine_does_then() {
    let dir = TempDir::new().unwrap();
    let path = closed(&dir);
    let boot = |file: &Connection| -> String {
        file.query_row("SELECT boot FROM progress", [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!(boot(&Connection::open(&path).unwrap()), "");
    let views = open(&path);
    assert_ne!(boot(&Connection::open(&path).unwrap()), "");
    assert_eq!(views.watermark(), Ok(Seq(1)));
}

#[test]
fn a_folder_that_is_not_there_is_an_error_and_not_an_empty_view() {
    let dir = TempDir::new().unwrap();
    let nowhere = dir.path().join("missing").join("views.db");
    assert!(SqliteViews::open(&nowhere, &ViewsOptions::default()).is_err());
}

#[test]
fn a_read_too_many_is_refused_at_once() {
    let queue = ReadQueue::new(2);
    let read = || Read::Payment {
        id: id(1),
        reply: oneshot::channel().0,
    };
    assert_eq!(queue.push(read()), Ok(()));
    assert_eq!(queue.push(read()), Ok(()));
    assert_eq!(queue.push(read()), Err(ViewError::Busy));
}

#[test]
fn many_reads_at_once_are_all_answered() {
    let dir = TempDir::new().unwrap();
    let views = Arc::new(open(&file(&dir)));
    wait(views.apply(
        (0..50).map(|n| row(n, 7, true, n + 1)).collect(),
        Vec::new(),
        Seq(50),
    ))
    .unwrap();
    wait(async {
        let reads: Vec<_> = (0..50)
            .map(|n| {
                let views = Arc::clone(&views);
                tokio::spawn(async move { views.payment(id(n)).await.unwrap().unwrap().seq })
            })
            .collect();
        for (n, read) in (1..).zip(reads) {
            assert_eq!(read.await.unwrap(), Seq(n));
        }
    });
}
