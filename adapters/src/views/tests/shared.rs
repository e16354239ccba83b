//! A view in a database: shards whose journals have records, and what only such a view can get wrong.

mod lost;

use self::lost::answers_nothing;
use super::*;
use crate::postgres::tests::connected;
use crate::postgres::{Database, DatabaseOptions, Durability, Taken};
use crate::views::PostgresViews;
use florin_domain::announcement::AnnouncementKind;
use florin_domain::ids::{Epoch, ShardId};
use florin_domain::ports::{AnnouncingCommit, EventsQuery, Head};
use florin_services::TestDatabase;
use std::sync::atomic::{AtomicU16, Ordering};
use tokio_postgres::Client;

/// Records of each shard's journal.
const RECORDS: i64 = 200;

/// A database whose shards are made as they are needed.
pub(super) struct Server {
    client: Client,
    database: Database,
    shards: AtomicU16,
    _own: TestDatabase,
}

impl Server {
    pub(super) fn new() -> Self {
        let server = TestDatabase::new().unwrap();
        wait(async {
            let options = DatabaseOptions {
                append_patience: std::time::Duration::from_secs(1),
                ..DatabaseOptions::new(server.url())
            };
            let database = Database::open(options, Durability::Local).await.unwrap();
            Self {
                client: connected(server.url()).await,
                database,
                shards: AtomicU16::new(0),
                _own: server,
            }
        })
    }

    fn run(&self, sql: &str) {
        wait(self.client.batch_execute(sql)).unwrap();
    }

    fn count(&self, sql: &str) -> i64 {
        wait(self.client.query_one(sql, &[])).unwrap().get(0)
    }

    /// A shard that was taken in its first epoch, with a journal of its own.
    pub(super) fn shard(&self) -> Taken {
        let shard = self.shards.fetch_add(1, Ordering::Relaxed);
        self.run(&format!(
            "INSERT INTO florin.shard (id, epoch, head) VALUES ({shard}, 1, {RECORDS});
             INSERT INTO florin.commit_record (shard, seq, epoch, hash, bytes)
             SELECT {shard}, seq, 1, decode(lpad(to_hex(seq), 64, '0'), 'hex'), '' FROM generate_series(1, {RECORDS}) AS seq"
        ));
        Taken {
            shard: ShardId(shard),
            head: Head {
                epoch: Epoch(1),
                ..Head::default()
            },
            last_batch: None,
        }
    }

    /// The next epoch of a shard.
    fn taken_again(&self, taken: &Taken) -> Taken {
        let mut again = *taken;
        again.head.epoch = Epoch(taken.head.epoch.0 + 1);
        self.run(&format!(
            "UPDATE florin.shard SET epoch = {} WHERE id = {}",
            again.head.epoch.0, taken.shard.0
        ));
        again
    }

    pub(super) fn open(&self, taken: &Taken) -> PostgresViews {
        wait(PostgresViews::open(&self.database, taken)).unwrap()
    }
}

/// A commit that announces something of payment `n`.
fn announcing(n: u64, seq: u64) -> AnnouncingCommit {
    AnnouncingCommit {
        seq: Seq(seq),
        at: Timestamp::from_unix_ms(seq),
        merchant: MerchantId::from_bits(7),
        livemode: true,
        payment: id(n),
        first_number: 1,
        kinds: vec![AnnouncementKind::Succeeded],
    }
}

fn announced(views: &PostgresViews) -> Vec<u64> {
    let query = EventsQuery::newest(MerchantId::from_bits(7), true, 99);
    let page = wait(views.events(query)).unwrap();
    page.rows.iter().map(|row| row.place.seq.0).collect()
}

fn all(views: &PostgresViews) -> Vec<PaymentId> {
    list(views, query(7, true, None, 99))
}

fn rows(range: std::ops::RangeInclusive<u64>) -> Vec<PaymentRow> {
    range.map(|n| row(n, 7, true, n)).collect()
}

fn is_refused<T: std::fmt::Debug>(outcome: Result<T, ViewError>, why: &str) {
    match outcome {
        Err(ViewError::Store(said)) => assert!(said.contains(why), "{said}"),
        other => panic!("it should be refused: {other:?}"),
    }
}

#[test]
fn whoever_takes_the_shard_goes_on_where_the_view_stands_and_the_one_before_writes_nothing_more() {
    let server = Server::new();
    let taken = server.shard();
    let first = server.open(&taken);
    wait(first.apply(rows(1..=9), vec![announcing(1, 9)], Seq(9))).unwrap();

    let second = server.open(&server.taken_again(&taken));
    assert_eq!(second.watermark(), Ok(Seq(9)));
    assert_eq!(all(&second).len(), 9);
    is_refused(
        wait(first.apply(rows(10..=11), vec![announcing(1, 11)], Seq(11))),
        "another process has the shard",
    );
    assert_eq!(first.watermark(), Ok(Seq(9)));
    answers_nothing(&first, "after another has claimed the view");
    assert_eq!((second.watermark(), all(&second).len()), (Ok(Seq(9)), 9));
    assert_eq!(announced(&second), [9]);
    wait(second.apply(rows(10..=10), Vec::new(), Seq(10))).unwrap();
    assert_eq!(all(&second).len(), 10);
    // Nor does it begin anew, or throw away what is there.
    let claimed = wait(PostgresViews::open(&server.database, &taken)).map(drop);
    let why = claimed.unwrap_err().to_string();
    assert!(why.contains("another process has the shard"), "{why}");
    wait(PostgresViews::discard(&server.database, &taken)).unwrap_err();
    assert_eq!(all(&second).len(), 10);
}

#[test]
fn a_shard_that_was_taken_ends_the_writing_of_the_one_before_also_before_its_view_is_claimed() {
    let server = Server::new();
    let taken = server.shard();
    let first = server.open(&taken);
    wait(first.apply(rows(1..=2), Vec::new(), Seq(2))).unwrap();
    server.taken_again(&taken);
    is_refused(
        wait(first.apply(rows(3..=3), Vec::new(), Seq(3))),
        "another process has the shard",
    );
    assert_eq!(server.count("SELECT count(*) FROM florin.view_payment"), 2);
    assert_eq!(server.count("SELECT watermark FROM florin.view_progress"), 2);
}

#[test]
fn shards_in_one_database_have_views_of_their_own() {
    let server = Server::new();
    let (one, other) = (server.shard(), server.shard());
    let (one, other) = (server.open(&one), server.open(&other));
    wait(one.apply(rows(1..=3), vec![announcing(1, 3)], Seq(3))).unwrap();
    wait(other.apply(rows(3..=4), Vec::new(), Seq(4))).unwrap();
    assert_eq!(
        (all(&one), all(&other)),
        ([3, 2, 1].map(id).to_vec(), [4, 3].map(id).to_vec())
    );
    assert_eq!((announced(&one), announced(&other)), (vec![3], vec![]));
    assert_eq!((one.watermark(), other.watermark()), (Ok(Seq(3)), Ok(Seq(4))));
}

#[test]
fn a_batch_larger_than_one_call_is_whole_once_its_watermark_is_there() {
    let server = Server::new();
    let taken = server.shard();
    let views = server.open(&taken);
    let announcements = (1..=30).map(|seq| announcing(seq, seq)).collect();
    wait(views.apply(rows(1..=30), announcements, Seq(30))).unwrap();
    drop(views);
    let views = server.open(&taken);
    assert_eq!((views.watermark(), all(&views).len()), (Ok(Seq(30)), 30));
    assert_eq!(server.count("SELECT count(*) FROM florin.view_announced"), 30);
}

#[test]
fn a_view_of_another_form_or_another_history_is_made_anew() {
    let server = Server::new();
    for damage in [
        "UPDATE florin.view_progress SET form = form - 1000",
        "UPDATE florin.view_progress SET watermark = 201",
        "UPDATE florin.view_progress SET hash = '\\x00'",
        "UPDATE florin.view_progress SET hash = NULL",
        // As after a restore to an earlier time under which the journal went on otherwise.
        "SET session_replication_role = replica; UPDATE florin.commit_record SET hash = '\\xff' WHERE seq = 20; RESET session_replication_role",
        "UPDATE florin.shard SET head = 19",
        // As after an end in the middle of clearing.
        "UPDATE florin.view_progress SET form = 0; DELETE FROM florin.view_payment WHERE seq % 2 = 0",
    ] {
        let taken = server.shard();
        let views = server.open(&taken);
        wait(views.apply(rows(1..=20), vec![announcing(1, 20)], Seq(20))).unwrap();
        drop(views);
        let views = server.open(&taken);
        assert_eq!(
            (views.watermark(), all(&views).len()),
            (Ok(Seq(20)), 20),
            "{damage}"
        );
        drop(views);
        server.run(damage);
        let views = server.open(&taken);
        assert_eq!(
            (views.watermark(), all(&views)),
            (Ok(Seq::ZERO), vec![]),
            "{damage}"
        );
        assert_eq!(announced(&views), [0_u64; 0], "{damage}");
        server.run("UPDATE florin.shard SET head = 200");
        wait(views.apply(rows(2..=2), Vec::new(), Seq(2))).unwrap();
        assert_eq!(all(&views), [id(2)], "{damage}");
    }
}

#[test]
fn a_view_that_is_discarded_is_made_anew_and_those_of_other_shards_are_not() {
    let server = Server::new();
    let (one, other) = (server.shard(), server.shard());
    for taken in [&one, &other] {
        wait(server.open(taken).apply(rows(1..=9), Vec::new(), Seq(9))).unwrap();
    }
    wait(PostgresViews::discard(&server.database, &one)).unwrap();
    let (one, other) = (server.open(&one), server.open(&other));
    assert_eq!((one.watermark(), all(&one)), (Ok(Seq::ZERO), vec![]));
    assert_eq!((other.watermark(), all(&other).len()), (Ok(Seq(9)), 9));
}

#[test]
fn a_batch_upon_what_the_view_has_lost_and_one_of_no_record_change_nothing() {
    let server = Server::new();
    let taken = server.shard();
    let views = server.open(&taken);
    wait(views.apply(rows(1..=5), Vec::new(), Seq(5))).unwrap();
    is_refused(
        wait(views.apply(rows(6..=6), Vec::new(), Seq(201))),
        "the journal has no such record",
    );
    assert_eq!((views.watermark(), all(&views).len()), (Ok(Seq(5)), 5));
    // As a copy of the database that was a moment behind has it.
    server.run("UPDATE florin.view_progress SET watermark = 4, hash = (SELECT hash FROM florin.commit_record WHERE seq = 4);
                DELETE FROM florin.view_payment WHERE seq = 5");
    is_refused(
        wait(views.apply(rows(6..=6), Vec::new(), Seq(6))),
        "the view has lost what it had",
    );
    answers_nothing(&views, "after a batch was refused");
    let views = server.open(&taken);
    assert_eq!((views.watermark(), all(&views).len()), (Ok(Seq(4)), 4));
    wait(views.apply(rows(5..=6), Vec::new(), Seq(6))).unwrap();
    assert_eq!(all(&views).len(), 6);
}

#[test]
fn the_same_batch_once_more_changes_nothing() {
    let server = Server::new();
    let taken = server.shard();
    let views = server.open(&taken);
    let batch = || (rows(1..=9), vec![announcing(1, 8), announcing(2, 9)]);
    let (first, said) = batch();
    wait(views.apply(first, said, Seq(9))).unwrap();
    let sql = "SELECT sum(hashtext(t::text))::bigint FROM
               (SELECT xmin, ctid, id FROM florin.view_payment UNION ALL SELECT xmin, ctid, payment FROM florin.view_announced) AS t";
    let before = server.count(sql);
    let (again, said) = batch();
    wait(views.apply(again, said, Seq(9))).unwrap();
    assert_eq!(server.count(sql), before);
    assert_eq!(views.watermark(), Ok(Seq(9)));
}

#[test]
fn a_database_that_is_away_is_an_error_and_what_was_not_applied_can_be_applied_later() {
    let server = Server::new();
    let taken = server.shard();
    let views = server.open(&taken);
    wait(views.apply(rows(1..=2), Vec::new(), Seq(2))).unwrap();
    let locked = "BEGIN; LOCK TABLE florin.view_progress IN ACCESS EXCLUSIVE MODE";
    server.run(locked);
    is_refused(wait(views.apply(rows(3..=3), Vec::new(), Seq(3))), "lock");
    server.run("ROLLBACK");
    assert_eq!(views.watermark(), Ok(Seq(2)));
    // Its connection ends between two batches.
    server.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE application_name = 'florin' AND datname = current_database()",
    );
    wait(views.apply(rows(3..=3), Vec::new(), Seq(3))).unwrap();
    assert_eq!((views.watermark(), all(&views).len()), (Ok(Seq(3)), 3));
}

#[test]
fn a_read_looks_at_a_bounded_number_of_payments_and_too_many_at_once_are_refused() {
    let server = Server::new();
    let views = server.open(&server.shard());
    wait(views.apply(rows(1..=20), Vec::new(), Seq(20))).unwrap();
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
    let _all = views.every_place();
    assert_eq!(wait(views.payment(id(1))).map(drop), Err(ViewError::Busy));
}

#[test]
fn what_reports_read_is_what_the_payments_are() {
    let server = Server::new();
    let views = server.open(&server.shard());
    let mut strange = row(1, 7, true, 4);
    let payment = Arc::make_mut(&mut strange.payment);
    Arc::make_mut(&mut payment.spec).customer = Some("cus\0tomer".into());
    payment.status = Status::Succeeded;
    wait(views.apply(vec![strange.clone()], Vec::new(), Seq(4))).unwrap();
    let row = wait(server.client.query_one(
        "SELECT id, merchant, livemode, created_at_ms, status, currency, amount_minor, captured_minor, refunded_minor, customer, seq
         FROM florin.view_payment",
        &[],
    ))
    .unwrap();
    let spec = &strange.payment.spec;
    assert_eq!(row.get::<_, &str>(0), id(1).to_string());
    assert_eq!(row.get::<_, &str>(1), MerchantId::from_bits(7).to_string());
    assert_eq!((row.get::<_, bool>(2), row.get::<_, i64>(3)), (true, 1001));
    assert_eq!(
        (row.get::<_, &str>(4), row.get::<_, &str>(5)),
        ("succeeded", spec.currency.code())
    );
    let minor = |place: usize| i128::from(row.get::<_, i64>(place));
    assert_eq!([6, 7, 8].map(minor), [strange.payment.amount_minor(), 4, 0]);
    assert_eq!(row.get::<_, Option<&str>>(9), Some("cus\u{fffd}tomer"));
    assert_eq!(row.get::<_, i64>(10), 4);
    let found = PaymentsQuery {
        filter: PaymentsFilter {
            customer: Some("cus\0tomer".into()),
            ..PaymentsFilter::default()
        },
        ..query(7, true, None, 9)
    };
    assert_eq!(
        list(&views, found),
        [id(1)],
        "its digest is that of the customer as it is"
    );
}
