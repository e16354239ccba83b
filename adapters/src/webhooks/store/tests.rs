//! What the store promises: what was answered is there, in any order it does what the one in memory does, and nobody reads a secret in it.

use super::writer::BATCH_MAX;
use super::*;
use crate::secrets::FileKek;
use crate::store_file::tests::{put_aged, until_none_is_aged};
use crate::webhooks::samples::{At, create, noted, owner, page, place, row, secret};
use florin_domain::idempotency::KeyDigest;
use florin_domain::ids::EndpointId;
use florin_domain::ports::{DeliveryBook, EndpointChanged, EndpointError, EndpointStore, Kek};
use florin_domain::time::Timestamp;
use florin_domain::vault::{Once, Owner};
use florin_domain::webhook::{
    DELIVERIES_KEPT_MAX, DeliveryOutcome, DeliveryRow, EndpointChange, EndpointRefusal, Failing, Noted,
    Parked, Replay, Then, WhyDisabled,
};
use rusqlite::Connection;
use std::fs;
use std::sync::Arc;
use tempfile::TempDir;
use zeroize::Zeroizing;

mod halt;
mod keys;
mod model;

struct Bench {
    folder: TempDir,
    clock: Arc<At>,
    store: Option<EndpointFile>,
}

fn kek(folder: &Path, name: &str) -> Arc<dyn Kek> {
    Arc::new(FileKek::load_or_create(&folder.join(name)).unwrap())
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(At::default()),
            store: None,
        };
        bench.reopen("kek").unwrap();
        bench
    }

    fn path(&self) -> PathBuf {
        file_in(self.folder.path())
    }

    fn open(&self, file: &Path, key: &str, options: &StoreOptions) -> Result<EndpointFile, OpenError> {
        let keks = [kek(self.folder.path(), key)];
        EndpointFile::open(file, &keks, Arc::clone(&self.clock) as _, options)
    }

    fn reopen(&mut self, key: &str) -> Result<(), OpenError> {
        self.store = None;
        self.store = Some(self.open(&self.path(), key, &StoreOptions::default())?);
        Ok(())
    }

    fn store(&self) -> &EndpointFile {
        self.store.as_ref().unwrap()
    }

    async fn change(&self, change: EndpointChange) -> Result<EndpointChanged, EndpointError> {
        self.store().change(owner(1), change, None).await
    }
}

fn once(key: u8, asked: u8) -> Once {
    Once {
        key: KeyDigest([key; 16]),
        asked: Zeroizing::new(vec![asked]),
    }
}

fn replay(asked_ms: u64) -> Replay {
    Replay {
        asked_at: Timestamp::from_unix_ms(asked_ms),
        from: place(1),
        to: place(3),
    }
}

/// A note with something of everything.
fn full_note() -> Noted {
    let parked = Parked {
        next: 3,
        attempts: 2,
        due: Timestamp::from_unix_ms(77),
    };
    let outcomes = [
        (DeliveryOutcome::Status(200), Then::Delivered),
        (
            DeliveryOutcome::Status(500),
            Then::Again(Timestamp::from_unix_ms(9)),
        ),
        (DeliveryOutcome::Unanswered(Arc::from("nobody")), Then::GivenUp),
        (DeliveryOutcome::Status(410), Then::Disabled(WhyDisabled::Gone)),
    ];
    let rows = outcomes.into_iter().zip(1..).map(|((outcome, then), number)| {
        let is_replay = number == 2;
        DeliveryRow {
            outcome,
            then,
            is_replay,
            ..row(number)
        }
    });
    Noted {
        parked: vec![(row(1).payment, Some(parked))],
        failing: Some(Failing {
            since: Timestamp::from_unix_ms(5),
            in_a_row: 3,
        }),
        replay: Some((Timestamp::from_unix_ms(7), Some(place(2)))),
        rows: rows.collect(),
        ..noted(1, 8)
    }
}

const ID: EndpointId = EndpointId::from_bits(1);

#[tokio::test]
async fn what_has_outlived_its_time_is_erased_to_the_last_row_with_no_further_change() {
    let bench = Bench::new();
    let reader = Connection::open(bench.path()).unwrap();
    put_aged(&reader, ("merchant, livemode, about, sealed", "x'', 0, x'', x''"));
    bench
        .store()
        .change(owner(1), create(1, 5), Some(once(1, 1)))
        .await
        .unwrap();
    until_none_is_aged(&reader);
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_reopening_and_after_a_crash() {
    let mut bench = Bench::new();
    let made = bench
        .store()
        .change(owner(1), create(1, 5), Some(once(1, 1)))
        .await;
    bench.change(EndpointChange::Replay(ID, replay(7))).await.unwrap();
    bench.store().note(full_note()).await.unwrap();
    let rotate = EndpointChange::Rotate {
        id: ID,
        secret: secret(2),
        old_until: Timestamp::from_unix_ms(500),
    };
    bench.change(rotate).await.unwrap();
    let opened = bench.store().open(ID).await.unwrap().unwrap();
    let rows = bench
        .store()
        .deliveries(owner(1), ID, (9, None))
        .await
        .unwrap()
        .unwrap();
    let (progress, note) = (&opened.1, full_note());
    assert_eq!((progress.told, progress.failing), (note.told, note.failing));
    let parked: Vec<_> = note
        .parked
        .iter()
        .filter_map(|(of, parked)| Some((*of, (*parked)?)))
        .collect();
    assert_eq!(progress.parked, parked);
    assert_eq!(progress.replays[0].from, place(2));
    assert_eq!(opened.0.secrets.current, secret(2));
    let newest_first: Vec<_> = note.rows.into_iter().rev().collect();
    let shown: Vec<_> = rows.0.iter().map(|(_, row)| row.clone()).collect();
    assert_eq!(shown, newest_first);
    // The files as they are while the store runs: what a crash leaves.
    let crashed = tempfile::tempdir().unwrap();
    for name in ["webhooks.db", "webhooks.db-wal"] {
        fs::copy(bench.folder.path().join(name), crashed.path().join(name)).unwrap();
    }
    let after_crash = bench.open(&file_in(crashed.path()), "kek", &StoreOptions::default());
    bench.reopen("kek").unwrap();
    for store in [bench.store(), &after_crash.unwrap()] {
        assert_eq!(store.open(ID).await.unwrap().as_ref(), Some(&opened));
        let kept = store.deliveries(owner(1), ID, (9, None)).await.unwrap();
        assert_eq!(kept.as_ref(), Some(&rows));
        let again = store
            .change(owner(1), create(1, 5), Some(once(1, 1)))
            .await
            .unwrap();
        let first = made.clone().unwrap().kept;
        assert_eq!((again.kept, again.was_before), (first, true));
    }
}

#[tokio::test]
async fn the_ring_keeps_the_newest_deliveries_of_each_endpoint_and_numbers_go_on() {
    let mut bench = Bench::new();
    for id in [1, 2] {
        bench.change(create(id, 5)).await.unwrap();
    }
    let many = Noted {
        rows: (1..=DELIVERIES_KEPT_MAX as u64 + 5).map(row).collect(),
        ..noted(1, 6)
    };
    bench.store().note(many).await.unwrap();
    bench.reopen("kek").unwrap();
    let one = |endpoint, number| Noted {
        endpoint: EndpointId::from_bits(endpoint),
        rows: vec![row(number)],
        ..noted(1, 6)
    };
    for endpoint in [1, 2] {
        bench.store().note(one(endpoint, 99_999)).await.unwrap();
    }
    let all = bench
        .store()
        .deliveries(owner(1), ID, (5000, None))
        .await
        .unwrap();
    let numbers: Vec<u64> = all
        .unwrap()
        .0
        .into_iter()
        .map(|(number, _)| number)
        .rev()
        .collect();
    let expected: Vec<u64> = (7..=DELIVERIES_KEPT_MAX as u64 + 6).collect();
    assert_eq!(numbers, expected);
    let other = EndpointId::from_bits(2);
    let other = bench
        .store()
        .deliveries(owner(1), other, (5, None))
        .await
        .unwrap();
    assert_eq!(other, Some((vec![(1, row(99_999))], false)));
}

#[tokio::test]
async fn of_a_deleted_endpoint_nothing_is_left_but_that_its_key_was_used() {
    let bench = Bench::new();
    bench
        .store()
        .change(owner(1), create(1, 5), Some(once(1, 1)))
        .await
        .unwrap();
    bench.change(EndpointChange::Replay(ID, replay(7))).await.unwrap();
    bench.store().note(full_note()).await.unwrap();
    let rows = |table: &str| {
        let file = Connection::open(bench.path()).unwrap();
        let sql = format!("SELECT count(*) FROM {table}");
        file.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let tables = ["endpoint", "progress", "parked", "replay", "delivery", "answer"];
    assert_eq!(tables.map(rows), [1, 1, 1, 1, 4, 1]);
    bench.change(EndpointChange::Delete(ID)).await.unwrap();
    bench.store().note(full_note()).await.unwrap();
    assert_eq!(tables.map(rows), [0, 0, 0, 0, 0, 1]);
    let file = Connection::open(bench.path()).unwrap();
    let sealed: Vec<u8> = file
        .query_row("SELECT sealed FROM answer", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sealed, b"");
    let again = bench
        .store()
        .change(owner(1), create(1, 5), Some(once(1, 1)))
        .await;
    assert_eq!(again, Err(EndpointRefusal::Deleted.into()));
    let other = bench
        .store()
        .change(owner(1), create(1, 5), Some(once(1, 2)))
        .await;
    assert_eq!(other, Err(EndpointRefusal::KeyMismatch.into()));
}

#[tokio::test]
async fn an_id_is_given_once_and_the_store_goes_on_after_it_was_given_twice() {
    let bench = Bench::new();
    bench
        .store()
        .change(owner(1), create(1, 5), Some(once(1, 1)))
        .await
        .unwrap();
    let twice = bench.store().change(owner(2), create(1, 5), None).await;
    assert!(matches!(twice, Err(EndpointError::Store(_))), "{twice:?}");
    bench.change(create(2, 5)).await.unwrap();
}

#[tokio::test]
async fn a_change_waits_for_nobody_who_holds_the_file_and_the_next_one_is_made() {
    let bench = Bench::new();
    let holder = Connection::open(bench.path()).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(
        bench
            .store()
            .change(owner(1), create(1, 5), Some(once(1, 1)))
            .await,
        Err(EndpointError::Busy)
    );
    assert_eq!(bench.store().note(noted(1, 5)).await, Err(EndpointError::Busy));
    holder.execute_batch("ROLLBACK").unwrap();
    bench
        .store()
        .change(owner(1), create(1, 5), Some(once(1, 1)))
        .await
        .unwrap();
    let all = bench.store().list(owner(1), page(9)).await.unwrap().unwrap();
    assert_eq!(all.0.len(), 1);
}

#[tokio::test]
async fn beyond_its_queues_the_store_is_busy_and_deliveries_do_not_wait_behind_look_ups() {
    let bench = Bench::new();
    let options = StoreOptions {
        reads_waiting_max: 0,
        ..StoreOptions::default()
    };
    let elsewhere = bench.folder.path().join("other.db");
    let store = bench.open(&elsewhere, "kek", &options).unwrap();
    assert_eq!(store.get(owner(1), ID).await, Err(EndpointError::Busy));
    assert_eq!(store.list(owner(1), page(1)).await, Err(EndpointError::Busy));
    assert_eq!(
        store.deliveries(owner(1), ID, (1, None)).await,
        Err(EndpointError::Busy)
    );
    assert_eq!(store.open(ID).await, Ok(None));
    assert_eq!(store.endpoints(ID.shard()).await, Ok(Vec::new()));
    let narrow = StoreOptions {
        changes_waiting_max: 1,
        ..StoreOptions::default()
    };
    let narrow = bench.open(&bench.folder.path().join("narrow.db"), "kek", &narrow);
    let narrow = narrow.unwrap();
    // The thread has at most a batch in its hands, and one waits.
    let still = bench.clock.still();
    let said: Vec<_> = (0..BATCH_MAX + 9).map(|_| narrow.note(noted(1, 5))).collect();
    drop(still);
    let mut busy = 0;
    for said in said {
        busy += usize::from(said.await == Err(EndpointError::Busy));
    }
    assert!(busy >= 8, "{busy}");
}

#[tokio::test]
async fn without_a_key_nothing_is_made_and_nothing_is_there() {
    let none = NoEndpoints;
    let made = none.change(owner(1), create(1, 5), None).await;
    assert_eq!(made, Err(EndpointError::NotConfigured));
    let rotate = EndpointChange::Rotate {
        id: ID,
        secret: secret(2),
        old_until: Timestamp::from_unix_ms(5),
    };
    let rotated = none.change(owner(1), rotate, None).await;
    assert_eq!(rotated, Err(EndpointError::NotConfigured));
    let deleted = none.change(owner(1), EndpointChange::Delete(ID), None).await;
    assert_eq!(deleted, Err(EndpointRefusal::NoSuchEndpoint.into()));
    assert_eq!(none.list(owner(1), page(9)).await, Ok(Some((Vec::new(), false))));
    assert_eq!(none.get(owner(1), ID).await, Ok(None));
    assert_eq!(none.open(ID).await, Ok(None));
}
