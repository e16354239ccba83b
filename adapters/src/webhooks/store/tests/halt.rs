//! What stops the store and what does not: a file that makes trouble does, once and loudly; a damaged row or a reading that fails does not.

use super::super::seal::FileKey;
use super::super::tables::open_for_writing;
use super::super::writer::{Letter, Writer};
use super::*;
use crate::store_file::Kept;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};

/// How often somebody is told that the store has halted.
#[derive(Default)]
struct Halts(Arc<AtomicU64>);

impl Recorder for Halts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut labels = key.labels().map(|label| (label.key(), label.value()));
        let is_halt = labels.any(|label| label == ("alert", "webhook_store_halted"));
        if key.name() == "florin_alerts_total" && is_halt {
            Counter::from_arc(Arc::clone(&self.0))
        } else {
            Counter::noop()
        }
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn a_halt_is_told_once_and_refuses_all_that_comes_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = open_for_writing(&file_in(folder.path()), Kept::Here).unwrap();
    let key = FileKey::of(
        &file,
        &mut crate::mirror::Mirror::none(),
        &[kek(folder.path(), "kek")],
    )
    .unwrap();
    file.execute_batch("DROP TABLE progress").unwrap();
    let writer = Writer {
        mirror: crate::mirror::Mirror::none(),
        file,
        key: Arc::new(key),
        clock: Arc::new(At::default()),
        halted: None,
        is_sweeping: false,
    };
    // More than one transaction takes.
    let (letters, inbox) = mpsc::channel(2 * BATCH_MAX);
    let answers: Vec<_> = (0..=BATCH_MAX)
        .map(|_| {
            let (reply, answer) = oneshot::channel();
            letters
                .try_send(Letter::Note(Box::new(noted(1, 5)), reply))
                .unwrap();
            answer
        })
        .collect();
    drop(letters);
    let halts = Halts::default();
    metrics::with_local_recorder(&halts, || writer.run(inbox));
    for answer in answers {
        let said = answer.blocking_recv().unwrap();
        assert!(matches!(said, Err(EndpointError::Store(_))), "{said:?}");
    }
    assert_eq!(halts.0.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_no_trouble_of_the_others() {
    let bench = Bench::new();
    for id in [1, 2] {
        bench.change(create(id, 5)).await.unwrap();
    }
    let asked = || Some(once(1, 1));
    bench
        .store()
        .change(owner(1), EndpointChange::Disable(ID), asked())
        .await
        .unwrap();
    let file = Connection::open(bench.path()).unwrap();
    for damage in [
        "UPDATE endpoint SET merchant = x'07' WHERE id = ?1",
        "UPDATE endpoint SET disabled = CAST(x'ff' AS TEXT) WHERE id = ?1",
        "UPDATE answer SET asked = x'07' WHERE about <> ?1",
    ] {
        assert_eq!(file.execute(damage, [2_u128.to_be_bytes()]), Ok(1), "{damage}");
    }
    let second = EndpointId::from_bits(2);
    let changed = bench.change(EndpointChange::Disable(second)).await;
    assert!(matches!(changed, Err(EndpointError::Store(_))), "{changed:?}");
    let again = bench
        .store()
        .change(owner(1), EndpointChange::Disable(ID), asked())
        .await;
    assert!(matches!(again, Err(EndpointError::Store(_))), "{again:?}");
    bench.change(EndpointChange::Enable(ID, place(7))).await.unwrap();
    bench.store().note(noted(2, 8)).await.unwrap();
    let (_, progress) = bench.store().open(ID).await.unwrap().unwrap();
    assert_eq!(progress.told, place(8));
}

#[tokio::test]
async fn a_reading_that_panics_gives_its_connection_back() {
    let bench = Bench::new();
    bench.change(create(1, 5)).await.unwrap();
    let readers = StoreOptions::default().readers;
    for _ in 0..=readers {
        let read = bench.store().read::<()>(None, |file, _| {
            let _moment = file.unchecked_transaction()?;
            panic!("in a reading")
        });
        assert!(matches!(read.await, Err(EndpointError::Store(_))));
    }
    for _ in 0..=readers {
        assert!(bench.store().open(ID).await.unwrap().is_some());
    }
}
