//! What a payments view must hold, whatever keeps it; then what only a file can get wrong.

use super::memory::MemoryViews;
use super::reader::{Read, ReadQueue};
use super::sqlite::{SqliteViews, ViewsOptions};
use crate::schema::v1::payment::samples::{payment, payment_id, spec};
use florin_domain::ids::{MerchantId, PaymentId, Seq};
use florin_domain::money::MinorSum;
use florin_domain::payment::Payment;
use florin_domain::ports::{Follower, PaymentRow, PaymentsQuery, ViewError, Views};
use florin_domain::time::Timestamp;
use proptest::prelude::*;
use rusqlite::Connection;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::oneshot;

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

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
        merchant: MerchantId::from_bits(merchant),
        livemode,
        starting_after,
        limit,
    }
}

fn seen(row: &PaymentRow) -> (PaymentId, Seq, Payment) {
    (row.payment.id(), row.seq, Payment::clone(&row.payment))
}

fn list(views: &dyn Views, query: PaymentsQuery) -> Vec<PaymentId> {
    wait(views.payments(query))
        .unwrap()
        .iter()
        .map(|row| row.payment.id())
        .collect()
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
}

#[test]
fn a_newer_state_replaces_an_older_one_and_never_the_reverse() {
    each(|views| {
        wait(views.apply(vec![row(1, 7, true, 10)], Seq(10))).unwrap();
        wait(views.apply(vec![row(1, 7, true, 12)], Seq(12))).unwrap();
        wait(views.apply(vec![row(1, 7, true, 11)], Seq(11))).unwrap();
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
        wait(views.apply(rows, Seq(5))).unwrap();
        let all = [5, 4, 3, 2, 1].map(id);
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
        wait(views.apply(rows, Seq(4))).unwrap();
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
        wait(views.apply(Vec::new(), Seq(3))).unwrap();
        assert_eq!(views.watermark(), Ok(Seq(3)));
    });
}

prop_compose! {
    fn any_row()(n in 0..40_u64, seq in 1..100_u64) -> PaymentRow {
        // A payment keeps its merchant and mode.
        row(n, u128::from(n % 3), n % 2 == 0, seq)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_file_and_the_memory_show_the_same_also_after_reopening(
        batches in prop::collection::vec(prop::collection::vec(any_row(), 0..20), 1..6),
        cursor in prop::option::of(0..40_u64),
        limit in 0..8_usize,
    ) {
        let dir = TempDir::new().unwrap();
        let memory = MemoryViews::default();
        let mut sqlite = open(&file(&dir));
        for (n, batch) in batches.into_iter().enumerate() {
            let up_to = Seq(n as u64 * 10);
            wait(memory.apply(batch.clone(), up_to)).unwrap();
            wait(sqlite.apply(batch, up_to)).unwrap();
            if n % 2 == 1 {
                drop(sqlite);
                sqlite = open(&file(&dir));
            }
            prop_assert_eq!(sqlite.watermark(), memory.watermark());
            for n in 0..40 {
                let rows = [wait(memory.payment(id(n))).unwrap(), wait(sqlite.payment(id(n))).unwrap()];
                let [in_memory, in_file] = rows.map(|row| row.as_ref().map(seen));
                prop_assert_eq!(in_memory, in_file);
            }
            for (merchant, livemode) in [(0, true), (1, false), (1, true), (2, true)] {
                let query = query(merchant, livemode, cursor.map(id), limit);
                prop_assert_eq!(list(&memory, query.clone()), list(&sqlite, query));
            }
        }
    }
}

/// A closed view with one payment and a watermark of one.
fn closed(dir: &TempDir) -> PathBuf {
    let path = file(dir);
    wait(open(&path).apply(vec![row(1, 7, true, 1)], Seq(1))).unwrap();
    path
}

fn assert_empty(views: &SqliteViews) {
    assert_eq!(views.watermark(), Ok(Seq::ZERO));
    assert!(wait(views.payment(id(1))).unwrap().is_none());
    wait(views.apply(vec![row(2, 7, true, 2)], Seq(2))).unwrap();
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
    wait(views.apply(vec![row(1, 7, true, 1)], Seq(1))).unwrap();
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
    wait(views.apply((0..50).map(|n| row(n, 7, true, n + 1)).collect(), Seq(50))).unwrap();
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
