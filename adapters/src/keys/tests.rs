//! What a key index must hold, whatever keeps it; then what only a store on disk can get wrong.

use super::fjall_index::{FjallKeyIndex, KeyIndexOptions};
use super::memory::MemoryKeyIndex;
use super::overlay::{Entry, Overlay, Used};
use super::{BUCKET, bucket_of, used_keys};
use crate::schema::v1::payment::samples::{payment_id, spec};
use florin_domain::commit::{Body, Commit, PaymentCommit};
use florin_domain::idempotency::KeyDigest;
use florin_domain::ids::{MerchantId, Seq, ShardId};
use florin_domain::limits::IDEMPOTENCY_RETENTION;
use florin_domain::method::PaymentMethod;
use florin_domain::payment::Event;
use florin_domain::ports::{KeyIndex, KeyRecord, ReadError};
use florin_domain::time::{Millis, Timestamp};
use proptest::prelude::*;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

mod transfers;

use transfers::{check_transfers, transferred};

const START: Timestamp = Timestamp::from_unix_ms(1_700_000_000_000);

/// The commit `seq` that creates a payment at `at` under a key of its own.
fn created(seq: u64, at: Timestamp) -> Arc<Commit> {
    let id = payment_id(at.unix_ms(), seq.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut spec = spec(id, MerchantId::from_bits(1), false, at);
    spec.key_digest = digest(seq);
    let method = PaymentMethod::test("pm_card_visa").unwrap();
    commit(
        seq,
        at,
        vec![Event::Created {
            spec: Arc::new(spec),
            method,
        }],
    )
}

/// A commit that uses no key.
fn keyless(seq: u64) -> Arc<Commit> {
    commit(seq, START, vec![Event::Blocked])
}

fn commit(seq: u64, at: Timestamp, events: Vec<Event>) -> Arc<Commit> {
    let payment = payment_id(1, seq);
    let body = PaymentCommit {
        payment,
        prev: Seq::ZERO,
        events,
        holds: Vec::new(),
        entry: None,
    };
    Arc::new(Commit {
        shard: ShardId::FIRST,
        seq: Seq(seq),
        at,
        body: Body::Payment(body),
    })
}

fn digest(n: u64) -> KeyDigest {
    KeyDigest(
        u128::from(n)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_0c3e_5d1b_2a87)
            .to_be_bytes(),
    )
}

fn record(commit: &Commit) -> KeyRecord {
    used_keys(commit).next().unwrap().1
}

fn options() -> KeyIndexOptions {
    KeyIndexOptions {
        linger: Duration::ZERO,
        cache_bytes: 1024 * 1024,
        ..KeyIndexOptions::default()
    }
}

fn open(dir: &Path) -> FjallKeyIndex {
    FjallKeyIndex::open(dir, options()).unwrap()
}

/// Runs a check against every implementation.
fn each(check: impl Fn(&dyn KeyIndex)) {
    check(&MemoryKeyIndex::default());
    let dir = TempDir::new().unwrap();
    check(&open(dir.path()));
}

#[test]
fn a_published_key_is_found_at_once_and_after_it_was_stored() {
    each(|index| {
        let first = created(1, START);
        index.publish(&[Arc::clone(&first), keyless(2)]);
        for _ in 0..2 {
            assert_eq!(index.lookup(digest(1), START), Ok(Some(record(&first))));
            assert_eq!(index.lookup(digest(2), START), Ok(None));
            index.flush().unwrap();
            assert_eq!((index.watermark(), index.lag()), (Seq(2), 0));
        }
    });
}

#[test]
fn a_key_older_than_the_retention_is_a_miss_and_may_be_used_again() {
    each(|index| {
        let end = START.plus(IDEMPOTENCY_RETENTION);
        let late = end.plus(Millis(1));
        index.publish(&[created(1, START)]);
        for _ in 0..2 {
            assert!(index.lookup(digest(1), end).unwrap().is_some());
            assert_eq!(index.lookup(digest(1), late), Ok(None));
            index.flush().unwrap();
        }
        let mut again = Commit::clone(&created(2, late));
        if let Body::Payment(payment) = &mut again.body
            && let Event::Created { spec, .. } = &mut payment.events[0]
        {
            Arc::make_mut(spec).key_digest = digest(1);
        }
        index.publish(&[Arc::new(again.clone())]);
        for _ in 0..2 {
            assert_eq!(index.lookup(digest(1), late), Ok(Some(record(&again))));
            index.flush().unwrap();
        }
    });
}

#[test]
fn commits_published_twice_change_nothing() {
    each(|index| {
        let commits: Vec<_> = (1..=20).map(|seq| created(seq, START)).collect();
        index.publish(&commits[..15]);
        index.publish(&commits);
        index.publish(&commits[..3]);
        index.flush().unwrap();
        assert_eq!(index.watermark(), Seq(20));
        for commit in &commits {
            assert_eq!(
                index.lookup(digest(commit.seq.0), START),
                Ok(Some(record(commit)))
            );
        }
    });
}

#[test]
fn a_commit_left_out_ends_all_proof() {
    each(|index| {
        index.publish(&[created(1, START)]);
        index.publish(&[created(3, START)]);
        let damaged = |found: Result<Option<KeyRecord>, ReadError>| {
            matches!(found, Err(ReadError::Damaged { seq: Seq(3), .. }))
        };
        assert!(damaged(index.lookup(digest(2), START)));
        index.publish(&[created(2, START)]);
        assert!(damaged(index.lookup(digest(1), START)));
        assert!(index.flush().is_err());
    });
}

#[test]
fn a_clock_behind_keys_already_thrown_away_gets_no_answer() {
    each(|index| {
        let days_later = START.plus(Millis::from_s(3 * 24 * 3600));
        index.publish(&[created(1, START), created(2, days_later)]);
        index.flush().unwrap();
        assert_eq!(index.lookup(digest(1), days_later), Ok(None));
        assert!(index.lookup(digest(1), START).is_err());
        let a_little_back = Timestamp::from_unix_ms(days_later.unix_ms() - BUCKET.0);
        assert!(index.lookup(digest(2), a_little_back).unwrap().is_some());
    });
}

#[test]
fn a_key_is_found_at_every_moment_after_its_publication() {
    const COMMITS: u64 = 4000;
    let dir = TempDir::new().unwrap();
    let index = open(dir.path());
    let published = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for first in (1..=COMMITS).step_by(8) {
                let commits: Vec<_> = (first..first + 8).map(|seq| created(seq, START)).collect();
                index.publish(&commits);
                published.store(first + 7, Ordering::Release);
            }
        });
        let mut looked_up: u64 = 0;
        while published.load(Ordering::Acquire) < COMMITS {
            looked_up += 1;
            // Those just written are the ones that might be nowhere.
            let newest = published.load(Ordering::Acquire);
            if let Some(seq) = newest.checked_sub(looked_up % 64).filter(|seq| *seq > 0) {
                assert!(
                    index.lookup(digest(seq), START).unwrap().is_some(),
                    "{seq} of {newest}"
                );
            }
        }
    });
}

#[test]
fn storing_the_first_use_of_a_key_does_not_hide_its_second() {
    let overlay = Overlay::new();
    let record = |seq| record(&created(seq, START));
    let entry = |seq| Entry {
        seq: Seq(seq),
        used: Used::Key(digest(1), record(seq)),
    };
    overlay.put(&entry(1));
    overlay.put(&entry(2));
    overlay.remove(&entry(1));
    assert_eq!(overlay.get(digest(1)), Some(record(2)));
    overlay.remove(&entry(2));
    assert_eq!(overlay.get(digest(1)), None);
}

#[test]
fn expired_buckets_leave_the_disk() {
    let dir = TempDir::new().unwrap();
    let index = open(dir.path());
    let hours = |n| START.plus(Millis::from_s(n * 3600));
    let commits: Vec<_> = (1..=60).map(|seq| created(seq, hours(seq))).collect();
    for commit in &commits {
        index.publish(std::slice::from_ref(commit));
        index.flush().unwrap();
    }
    let newest = bucket_of(hours(60));
    let buckets: Vec<_> = (newest - 5..=newest).rev().collect();
    assert_eq!(index.store().bucket_numbers(), buckets);
    drop(index);
    let index = open(dir.path());
    assert_eq!(index.store().bucket_numbers(), buckets);
    for commit in &commits {
        let expected = (commit.seq.0 >= 36).then(|| record(commit));
        assert_eq!(index.lookup(digest(commit.seq.0), hours(60)), Ok(expected));
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Publish so many commits, each so many minutes after the one before.
    Publish(usize, u64),
    Flush,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (1..40_usize, 0..90_u64).prop_map(|(commits, minutes)| Step::Publish(commits, minutes)),
        1 => Just(Step::Flush),
        2 => Just(Step::Reopen),
    ]
}

/// Everything ever published, and the day of it that counts.
struct Model {
    journal: Vec<Arc<Commit>>,
    now: Timestamp,
}

impl Model {
    fn check(&self, index: &dyn KeyIndex, up_to: u64) {
        let valid = self.journal.iter().filter(|commit| commit.seq.0 <= up_to);
        let keys: HashMap<_, _> = valid.flat_map(|commit| used_keys(commit)).collect();
        for seq in 1..=self.journal.len() as u64 + 3 {
            let expected = keys.get(&digest(seq)).copied();
            let expected = expected.filter(|record| self.now.since(record.used_at) <= IDEMPOTENCY_RETENTION);
            let found = index.lookup(digest(seq), self.now).unwrap();
            if seq <= up_to || seq > self.journal.len() as u64 {
                assert_eq!(found, expected, "key {seq} of {up_to}");
            }
        }
    }

    /// All of them, in the store and in memory.
    fn check_both(&self, index: &FjallKeyIndex, memory: &MemoryKeyIndex) {
        let all = self.journal.len() as u64;
        self.check(index, all);
        self.check(memory, all);
        check_transfers(index, &self.journal);
        check_transfers(memory, &self.journal);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn lookups_agree_with_a_map_through_publishing_flushing_and_reopening(
        steps in prop::collection::vec(step(), 1..25),
    ) {
        let dir = TempDir::new().unwrap();
        let mut model = Model { journal: Vec::new(), now: START };
        let (mut index, memory) = (open(dir.path()), MemoryKeyIndex::default());
        for step in steps {
            match step {
                Step::Publish(commits, minutes) => {
                    let first = model.journal.len();
                    for _ in 0..commits {
                        model.now = model.now.plus(Millis::from_s(minutes * 60));
                        let seq = model.journal.len() as u64 + 1;
                        let next = match seq % 10 {
                            5 => keyless(seq),
                            0 | 7 => transferred(seq, model.now),
                            _ => created(seq, model.now),
                        };
                        model.journal.push(next);
                    }
                    index.publish(&model.journal[first..]);
                    memory.publish(&model.journal[first..]);
                }
                Step::Flush => {
                    index.flush().unwrap();
                    prop_assert_eq!(index.watermark(), Seq(model.journal.len() as u64));
                    prop_assert_eq!(index.lag(), 0);
                }
                Step::Reopen => {
                    drop(index);
                    index = open(dir.path());
                    let stored = usize::try_from(index.watermark().0).unwrap();
                    prop_assert!(stored <= model.journal.len());
                    model.check(&index, stored as u64);
                    check_transfers(&index, &model.journal[..stored]);
                    index.publish(&model.journal[stored..]);
                }
            }
            model.check_both(&index, &memory);
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_torn_log_gives_a_shorter_prefix_and_never_holes() {
    const COMMITS: u64 = 24;
    let live = TempDir::new().unwrap();
    let index = open(live.path());
    let two_hours = Millis::from_s(2 * 3600);
    let mut now = START;
    for seq in 1..=COMMITS {
        now = now.plus(two_hours);
        index.publish(&[created(seq, now)]);
        index.flush().unwrap();
    }
    let log = fs::read(live.path().join("0.jnl")).unwrap();
    let written = log.iter().rposition(|byte| *byte != 0).unwrap();
    let mut found_partial = false;
    for percent in [0, 3, 20, 41, 60, 77, 90, 97, 100] {
        let torn = TempDir::new().unwrap();
        copy(live.path(), torn.path());
        let kept = &log[..=written * percent / 100];
        fs::write(torn.path().join("0.jnl"), kept).unwrap();
        let index = open(torn.path());
        let watermark = index.watermark().0;
        assert!(watermark <= COMMITS, "{percent} %: {watermark}");
        found_partial |= (1..COMMITS).contains(&watermark);
        // Some buckets are deleted by now, so only a clock near the end gets answers.
        for seq in COMMITS - 10..=watermark {
            assert!(
                index.lookup(digest(seq), now).unwrap().is_some(),
                "{percent} %: {seq} of {watermark}"
            );
        }
        let mut at = START;
        let tail: Vec<_> = (1..=COMMITS)
            .map(|seq| {
                at = at.plus(two_hours);
                created(seq, at)
            })
            .filter(|commit| commit.seq.0 > watermark)
            .collect();
        index.publish(&tail);
        for seq in COMMITS - 12..=COMMITS {
            assert!(
                index.lookup(digest(seq), now).unwrap().is_some(),
                "{percent} %: {seq}"
            );
        }
    }
    assert!(found_partial, "no cut fell between two batches");
}

#[test]
fn a_damaged_or_foreign_folder_gives_an_empty_index() {
    let dir = TempDir::new().unwrap();
    let index = open(dir.path());
    index.publish(&[created(1, START)]);
    index.flush().unwrap();
    drop(index);
    fs::write(dir.path().join("version"), b"not a version").unwrap();
    let index = open(dir.path());
    assert_eq!(index.watermark(), Seq::ZERO);
    assert_eq!(index.lookup(digest(1), START), Ok(None));
}

#[test]
fn an_index_that_is_open_elsewhere_is_left_alone() {
    let dir = TempDir::new().unwrap();
    let index = open(dir.path());
    index.publish(&[created(1, START)]);
    assert!(FjallKeyIndex::open(dir.path(), options()).is_err());
    index.flush().unwrap();
    assert!(index.lookup(digest(1), START).unwrap().is_some());
}

#[test]
fn without_its_thread_the_index_refuses_rather_than_misses() {
    let dir = TempDir::new().unwrap();
    let tight = KeyIndexOptions {
        lag_commits_max: 2,
        ..options()
    };
    let index = FjallKeyIndex::open_with_dead_thread(dir.path(), tight);
    for seq in 1..10 {
        index.publish(&[created(seq, START)]);
        assert!(index.lookup(digest(seq), START).is_err());
    }
    assert!(index.flush().is_err());
}

#[test]
fn a_store_that_makes_no_progress_fails_the_index_instead_of_hanging_it() {
    let dir = TempDir::new().unwrap();
    let tight = KeyIndexOptions {
        lag_commits_max: 2,
        stall: Duration::from_millis(1),
        ..options()
    };
    let index = FjallKeyIndex::open_without_thread(dir.path(), tight);
    index.publish(&[created(1, START), created(2, START)]);
    assert!(index.lookup(digest(2), START).unwrap().is_some());
    index.publish(&[created(3, START)]);
    assert!(index.lookup(digest(2), START).is_err());
    assert!(index.flush().is_err());
}
