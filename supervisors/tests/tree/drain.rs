//! The end of a process as it should be: everybody is answered, and the next start has nothing to read.

use crate::audit::shown;
use crate::mischief::INJECTED;
use crate::provider::Script;
use crate::world::{World, answers, let_settle, submit, submit_all, until};
use florin_actors::admission::Shed;
use florin_actors::context::Ports;
use florin_actors::payments_handle::RequestError;
use florin_domain::commit::Commit;
use florin_domain::idempotency::KeyDigest;
use florin_domain::ids::{Seq, ShardId};
use florin_domain::payment::{Answer, Status};
use florin_domain::ports::{KeyIndex, KeyRecord, ReadError, ShardSnapshot, SnapshotError, Snapshots};
use florin_domain::time::Timestamp;
use florin_supervisors::platform::Platform;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const HELD: usize = 25;

#[test]
fn a_drain_answers_everybody_and_the_next_start_reads_nothing() {
    let world = World::new(41);
    let accounts = world.life(async |world, platform| {
        let payments = platform.payments();
        let done = answers(submit_all(&payments, 100..140)).await;
        assert!(done.iter().all(|(_, answer)| answer.is_ok()));
        for n in 0..HELD {
            world.script(n, Script::Held);
        }
        world.provider.latch.close();
        let in_flight = submit_all(&payments, 0..HELD);
        let context = Arc::clone(platform.context());
        until("all are in flight", || context.admission.in_flight() == HELD).await;
        let drain = tokio::spawn(platform.drain(Duration::from_secs(8)));
        until("it drains", || context.admission.is_draining()).await;
        let refused = submit(&payments, 200).await;
        assert_eq!(refused.unwrap_err(), RequestError::Shed(Shed::Draining));
        assert!(!drain.is_finished());
        world.provider.latch.open();
        let in_flight = answers(in_flight).await;
        world.check_replies(&in_flight);
        for (n, answer) in in_flight {
            assert_eq!(answer.unwrap().answer, Answer::Shown, "{n}");
        }
        assert_eq!(drain.await.unwrap(), 0, "nothing is left in flight");
        let head = world.truth().head;
        assert_eq!(world.snapshots.seq(), Some(head));
        let after = submit(&payments, 100).await;
        assert_eq!(after.unwrap_err(), RequestError::Shed(Shed::Draining));
        assert_eq!(world.fatal.count(), 0, "ends are expected");
        (head, world.provider.sum_minor())
    });
    world.life(async |world, platform| {
        assert_eq!(
            world.recovered.load(Ordering::SeqCst),
            0,
            "the snapshot and the indexes have everything"
        );
        assert_eq!((world.truth().head, world.provider.sum_minor()), accounts);
        world.check_at_rest(&platform).await;
        let replay = submit(&platform.payments(), 0).await.unwrap();
        assert!(replay.replayed && replay.answer == Answer::Shown);
    });
}

#[test]
fn books_recovered_from_a_snapshot_are_those_folded_from_the_whole_journal() {
    let world = World::new(42);
    let live = world.life(async |world, platform| {
        for n in 0..60 {
            world.script(n, crate::crash::script_of(n));
        }
        answers(submit_all(&platform.payments(), 0..30)).await;
        platform.ledger().snapshot().await.unwrap();
        // Some are unresolved in the snapshot, some only in the tail.
        answers(submit_all(&platform.payments(), 30..60)).await;
        world.accounts(&platform).await
    });
    let from_snapshot = world.life(async |world, platform| world.accounts(&platform).await);
    assert_eq!(from_snapshot, live);
    world.snapshots.forget();
    world.lose_indexes();
    let folded = world.life(async |world, platform| world.accounts(&platform).await);
    assert_eq!(folded, live);
    world.life(async |world, platform| {
        let_settle().await;
        let open = |payment: &&florin_domain::payment::Payment| payment.status == Status::Processing;
        assert_eq!(
            world.check_always().payments.values().filter(open).count(),
            0,
            "open attempts were taken up"
        );
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn what_a_drain_could_not_wait_for_is_taken_up_by_the_next_start() {
    let world = World::new(43);
    for n in 0..HELD {
        world.script(n, Script::Held);
    }
    let left = world.life(async |world, platform| {
        world.provider.latch.close();
        let in_flight = submit_all(&platform.payments(), 0..HELD);
        until("all are stored", || world.truth().payments.len() == HELD).await;
        let left = platform.drain(Duration::from_secs(1)).await;
        for (n, answer) in answers(in_flight).await {
            assert!(matches!(answer, Err(RequestError::Lost)), "{n}: {answer:?}");
        }
        left
    });
    assert_eq!(left, HELD);
    world.provider.latch.open();
    world.life(async |world, platform| {
        let_settle().await;
        for n in 0..HELD {
            let truth = world.check_always();
            assert_eq!(truth.payment(n).unwrap().status, Status::Succeeded);
            let replay = submit(&platform.payments(), n).await.unwrap();
            assert_eq!(shown(&replay), (truth.payment(n).unwrap(), Answer::Shown));
        }
        world.check_at_rest(&platform).await;
    });
}

/// Indexes and snapshots whose stores panic when the process ends.
#[derive(Debug)]
struct Breaking<T>(T, AtomicUsize);

impl<T> Breaking<T> {
    fn new(inner: T) -> Arc<Self> {
        Arc::new(Self(inner, AtomicUsize::new(0)))
    }

    fn breaks(&self) -> ! {
        self.1.fetch_add(1, Ordering::SeqCst);
        panic!("{INJECTED}")
    }
}

impl KeyIndex for Breaking<Arc<dyn KeyIndex>> {
    fn publish(&self, commits: &[Arc<Commit>]) {
        self.0.publish(commits);
    }

    fn lookup(&self, key: KeyDigest, now: Timestamp) -> Result<Option<KeyRecord>, ReadError> {
        self.0.lookup(key, now)
    }

    fn watermark(&self) -> Seq {
        self.0.watermark()
    }

    fn lag(&self) -> u64 {
        self.0.lag()
    }

    fn flush(&self) -> Result<(), ReadError> {
        self.breaks()
    }
}

impl Snapshots for Breaking<Arc<dyn Snapshots>> {
    fn save(&self, _shard: ShardId, _snapshot: &ShardSnapshot) -> Result<(), ReadError> {
        self.breaks()
    }

    fn kept(&self, shard: ShardId) -> Result<Vec<Seq>, ReadError> {
        self.0.kept(shard)
    }

    fn load(&self, shard: ShardId, seq: Seq) -> Result<ShardSnapshot, SnapshotError> {
        self.0.load(shard, seq)
    }
}

#[test]
fn a_drain_goes_on_when_a_snapshot_or_an_index_panics() {
    let world = World::new(44);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    let ports = world.ports();
    let (keys, snapshots) = (
        Breaking::new(Arc::clone(&ports.keys)),
        Breaking::new(Arc::clone(&ports.snapshots)),
    );
    let ports = Ports {
        keys: Arc::clone(&keys) as _,
        snapshots: Arc::clone(&snapshots) as _,
        ..ports
    };
    runtime.block_on(async {
        let platform = Platform::start(ports, world.options.clone(), &|_, _| {})
            .await
            .unwrap();
        let done = answers(submit_all(&platform.payments(), 0..3)).await;
        assert!(done.iter().all(|(_, answer)| answer.is_ok()));
        // Whoever asks for a snapshot is told when it was tried.
        platform.ledger().snapshot().await.unwrap();
        assert_eq!(platform.drain(Duration::from_secs(8)).await, 0);
    });
    let broken = (keys.1.load(Ordering::SeqCst), snapshots.1.load(Ordering::SeqCst));
    assert_eq!(broken, (1, 2));
    assert_eq!(world.fatal.count(), 0);
    world.life(async |world, platform| world.check_at_rest(&platform).await);
}
