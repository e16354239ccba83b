//! Snapshots and journals that do not fit each other: whichever is bad, a start is refused or its books are right.

use crate::alarms::Alarms;
use crate::ports::lock;
use crate::world::{World, all_cases, answers, let_settle, submit_all};
use florin_domain::ids::{LedgerAccountId, PaymentId, Seq, ShardId};
use florin_domain::ledger::{AccountKey, AccountState, AccountType};
use florin_domain::money::{Balance, Currency};
use florin_domain::ports::{ReadError, ShardSnapshot, SnapshotError};
use florin_domain::time::Timestamp;
use florin_supervisors::platform::StartError;
use std::sync::atomic::Ordering;

/// A journal with two snapshots and a tail, nobody at home.
struct Left {
    world: World,
    older: Seq,
    newer: Seq,
    head: Seq,
    accounts: Vec<(AccountKey, AccountState)>,
}

impl Left {
    fn behind(seed: u64) -> Self {
        let world = World::new(seed);
        let (older, newer, head, accounts) = world.life(async |world, platform| {
            let mut snapshots = Vec::new();
            for requests in [0..15, 15..30, 30..45] {
                for n in requests.clone() {
                    world.script(n, crate::crash::script_of(n));
                }
                answers(submit_all(&platform.payments(), requests)).await;
                let_settle().await;
                if snapshots.len() < 2 {
                    platform.ledger().snapshot().await.unwrap();
                    snapshots.push(world.snapshots.seq().unwrap());
                }
            }
            let accounts = platform.ledger().accounts().await.unwrap().0;
            (snapshots[0], snapshots[1], world.truth().head, accounts)
        });
        assert!(older < newer && newer < head);
        Self {
            world,
            older,
            newer,
            head,
            accounts,
        }
    }

    fn spoil(&self, seq: Seq) {
        let why = "rotten".to_owned();
        self.world.snapshots.put(seq, Err(SnapshotError(why)));
    }

    fn of_another_history(&self, seq: Seq) {
        let snapshot = ShardSnapshot {
            hash: [9; 32],
            ..self.world.snapshots.get(seq)
        };
        self.world.snapshots.put(seq, Ok(snapshot));
    }

    /// Has the snapshot say something that no journal comes to.
    fn contradict(&self, seq: Seq, change: impl FnOnce(&mut ShardSnapshot)) {
        let mut snapshot = self.world.snapshots.get(seq);
        let before = snapshot.clone();
        change(&mut snapshot);
        assert_ne!(snapshot, before);
        self.world.snapshots.put(seq, Ok(snapshot));
    }

    fn damage(&self, seq: Seq) {
        *lock(&self.world.faults.rotten) = Some(seq);
    }

    /// Starts, and sees that the books are right and after which commit the journal was read.
    fn assert_starts_after(&self, expected: Seq) {
        self.world.life(async |world, platform| {
            let read = world.recovered.load(Ordering::SeqCst);
            assert_eq!(Seq(self.head.0 - read), expected);
            let accounts = platform.ledger().accounts().await.unwrap().0;
            assert_eq!(accounts, self.accounts);
        });
    }
}

type Case = (&'static str, fn(&Left), fn(&Left) -> Seq);

#[test]
fn a_bad_snapshot_gives_way_to_the_one_before_and_at_last_to_the_whole_journal() {
    let cases: [Case; 6] = [
        ("nothing is wrong", |_| {}, |left| left.newer),
        (
            "damage before both",
            |left| left.damage(Seq(2)),
            |left| left.newer,
        ),
        (
            "the newer is unreadable",
            |left| left.spoil(left.newer),
            |left| left.older,
        ),
        (
            "the older is unreadable",
            |left| left.spoil(left.older),
            |left| left.newer,
        ),
        (
            "the newer is the older under another name",
            |left| {
                left.world
                    .snapshots
                    .put(left.newer, Ok(left.world.snapshots.get(left.older)));
            },
            |left| left.older,
        ),
        (
            "neither can be read",
            |left| {
                left.spoil(left.newer);
                left.spoil(left.older);
            },
            |_| Seq::ZERO,
        ),
    ];
    let named = cases.map(|case| case.0);
    all_cases(named, |name| {
        let (_, spoil, expected) = cases.iter().find(|case| case.0 == *name).unwrap();
        let left = Left::behind(71);
        spoil(&left);
        left.assert_starts_after(expected(&left));
    });
}

#[test]
fn a_journal_that_is_damaged_or_has_lost_its_end_is_refused_whatever_snapshots_there_are() {
    let cases: [Case; 9] = [
        (
            "a snapshot is ahead",
            |left| {
                let seq = left.head.next();
                let ahead = ShardSnapshot {
                    seq,
                    ..left.world.snapshots.get(left.newer)
                };
                left.world.snapshots.put(seq, Ok(ahead));
            },
            |left| left.head,
        ),
        (
            "a snapshot that cannot be read is ahead",
            |left| left.spoil(left.head.next()),
            |left| left.head,
        ),
        (
            "a snapshot is ahead under an earlier one's name",
            |left| {
                let ahead = ShardSnapshot {
                    seq: left.head.next(),
                    ..left.world.snapshots.get(left.newer)
                };
                left.world.snapshots.put(left.newer, Ok(ahead));
            },
            |left| left.head,
        ),
        (
            "the newer is of another history",
            |left| left.of_another_history(left.newer),
            |left| left.newer,
        ),
        (
            "the newer is unreadable and the older of another history",
            |left| {
                left.spoil(left.newer);
                left.of_another_history(left.older);
            },
            |left| left.older,
        ),
        (
            "the journal's hash at the newer is damaged",
            |left| *lock(&left.world.faults.rotten_hash) = Some(left.newer),
            |left| left.newer,
        ),
        (
            "the newer is unreadable and the journal damaged at it",
            |left| {
                left.spoil(left.newer);
                left.damage(left.newer);
            },
            |left| left.newer,
        ),
        (
            "the newer is unreadable and the journal damaged behind the older",
            |left| {
                left.spoil(left.newer);
                left.damage(left.older.next());
            },
            |left| left.older.next(),
        ),
        (
            "neither can be read and the journal is damaged at its start",
            |left| {
                left.spoil(left.newer);
                left.spoil(left.older);
                left.damage(Seq(1));
            },
            |_| Seq(1),
        ),
    ];
    let named = cases.map(|case| case.0);
    all_cases(named, |name| {
        let (_, spoil, expected) = cases.iter().find(|case| case.0 == *name).unwrap();
        let left = Left::behind(72);
        spoil(&left);
        let refusal = left.world.refusal();
        let StartError::Recovery(ReadError::Damaged { seq, .. }) = refusal else {
            panic!("{refusal}");
        };
        assert_eq!(seq, expected(&left));
    });
}

type Contradiction = (&'static str, fn(&mut ShardSnapshot));

#[test]
fn a_snapshot_that_contradicts_itself_is_passed_over_and_told_of() {
    let cases: [Contradiction; 7] = [
        ("an account has more than was posted", |snapshot| {
            let posted = &mut snapshot.accounts[0].1.posted;
            *posted = Balance::from_minor(posted.minor() + 1).unwrap();
        }),
        ("an account is missing", |snapshot| {
            let has_money = |(_, state): &(_, AccountState)| state.posted.minor() != 0;
            let place = snapshot.accounts.iter().position(has_money).unwrap();
            snapshot.accounts.remove(place);
        }),
        ("an account is there twice", |snapshot| {
            snapshot.accounts.push(snapshot.accounts[0]);
        }),
        ("an account was posted to later", |snapshot| {
            snapshot.accounts[0].1.last_posted = snapshot.seq.next();
        }),
        ("an account stands that nobody has opened", |snapshot| {
            let terms = (AccountType::Asset, Currency::USD, false);
            let at = Timestamp::from_unix_ms(0);
            let id = LedgerAccountId::pack(at, ShardId::FIRST, terms, 0);
            snapshot
                .accounts
                .push((id.key().unwrap(), AccountState::default()));
        }),
        ("an open payment went on later", |snapshot| {
            let payment = PaymentId::from_bits(1);
            snapshot.open_payments.push((payment, snapshot.seq.next()));
        }),
        ("an open payment is there twice", |snapshot| {
            let open = (PaymentId::from_bits(1), Seq(1));
            snapshot.open_payments.extend([open, open]);
        }),
    ];
    let named = cases.map(|case| case.0);
    all_cases(named, |name| {
        let (_, contradict) = cases.iter().find(|case| case.0 == *name).unwrap();
        let left = Left::behind(73);
        left.contradict(left.newer, contradict);
        let alerts = Alarms::default();
        metrics::with_local_recorder(&alerts, || left.assert_starts_after(left.older));
        assert_eq!(alerts.count("snapshot_unusable"), 1, "the newer");
        left.contradict(left.older, contradict);
        metrics::with_local_recorder(&alerts, || left.assert_starts_after(Seq::ZERO));
        assert_eq!(alerts.count("snapshot_unusable"), 3, "both");
    });
}
