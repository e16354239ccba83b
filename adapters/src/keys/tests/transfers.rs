//! Transfers in the index: found from their publication on, and for ever.

use super::*;
use florin_domain::ids::{ApiKeyId, LedgerAccountId};
use florin_domain::ledger::{
    AccountKey, AccountLimits, AlertCondition, AlertField, AlertId, AlertTerms, EffectiveDate,
    GeneralAccount, LedgerCommit, LedgerEvent, Legs, PostedTransfer, TransferId, TransferStep,
};
use florin_domain::ports::TransferIndex;

/// The id of a commit's transfer.
fn id(seq: u64, place: u64) -> TransferId {
    TransferId(u128::from_be_bytes(digest(seq * 1_000 + place).0))
}

/// How many a commit records: none, or more than one write of the store takes.
fn count(seq: u64) -> u64 {
    seq * 3 % 20
}

/// The commit `seq`, which records transfers at `at`.
pub(super) fn transferred(seq: u64, at: Timestamp) -> Arc<Commit> {
    let transfer = |place| PostedTransfer {
        id: id(seq, place),
        step: TransferStep::Void {
            pending: TransferId(0),
        },
        legs: Legs::Released,
        effective: EffectiveDate::of(at),
        notes: None,
    };
    ledger(
        seq,
        at,
        LedgerEvent::Transferred((0..count(seq)).map(transfer).collect()),
    )
}

fn ledger(seq: u64, at: Timestamp, event: LedgerEvent) -> Arc<Commit> {
    Arc::new(Commit {
        shard: ShardId::FIRST,
        seq: Seq(seq),
        at,
        body: Body::Ledger(LedgerCommit {
            event,
            by: Some(ApiKeyId::from_bits(1)),
        }),
    })
}

/// Whatever was published is found under its commit, and nothing else is.
pub(super) fn check_transfers(index: &dyn TransferIndex, journal: &[Arc<Commit>]) {
    for commit in journal {
        let seq = commit.seq.0;
        let recorded = match &commit.body {
            Body::Ledger(_) => count(seq),
            Body::Payment(_) | Body::Control(_) => 0,
        };
        for place in 0..=recorded {
            let expected = (place < recorded).then_some(commit.seq);
            assert_eq!(index.commit_of(id(seq, place)), Ok(expected), "{place} of {seq}");
        }
    }
}

trait BothIndexes: KeyIndex + TransferIndex {}

impl<T: KeyIndex + TransferIndex> BothIndexes for T {}

/// Runs a check against every implementation.
fn each(check: impl Fn(&dyn BothIndexes)) {
    check(&MemoryKeyIndex::default());
    let dir = TempDir::new().unwrap();
    check(&open(dir.path()));
}

#[test]
fn a_published_transfer_is_found_at_once_and_after_it_was_stored() {
    each(|index| {
        let journal = [transferred(1, START), created(2, START), transferred(3, START)];
        index.publish(&journal[..1]);
        assert_eq!(index.commit_of(id(1, 0)), Ok(Some(Seq(1))));
        assert_eq!(index.commit_of(id(3, 0)), Ok(None), "not published yet");
        index.publish(&journal);
        for _ in 0..2 {
            check_transfers(index, &journal);
            index.flush().unwrap();
            assert_eq!((index.watermark(), index.lag()), (Seq(3), 0));
        }
    });
}

/// A commit that reverts what the first one recorded.
fn reverting(seq: u64) -> Arc<Commit> {
    let revert = PostedTransfer {
        id: id(seq, 0),
        step: TransferStep::Revert { reverts: id(1, 0) },
        legs: Legs::Released,
        effective: EffectiveDate::of(START),
        notes: None,
    };
    ledger(seq, START, LedgerEvent::Transferred(vec![revert]))
}

#[test]
fn the_revert_of_a_transfer_is_found_and_is_no_transfer_of_that_id() {
    each(|index| {
        index.publish(&[transferred(1, START), reverting(2)]);
        for _ in 0..2 {
            assert_eq!(index.revert_of(id(1, 0)), Ok(Some(Seq(2))));
            assert_eq!(index.commit_of(id(1, 0)), Ok(Some(Seq(1))));
            assert_eq!(index.commit_of(id(2, 0)), Ok(Some(Seq(2))));
            assert_eq!(index.revert_of(id(2, 0)), Ok(None), "not reverted itself");
            assert_eq!(index.revert_of(id(1, 1)), Ok(None));
            index.flush().unwrap();
        }
    });
    let dir = TempDir::new().unwrap();
    let journal = [transferred(1, START), reverting(2)];
    {
        let index = open(dir.path());
        index.publish(&journal);
        index.flush().unwrap();
    }
    let index = open(dir.path());
    assert_eq!(index.revert_of(id(1, 0)), Ok(Some(Seq(2))), "after a restart");
    assert_eq!(index.revert_of(id(2, 0)), Ok(None));
}

#[test]
fn the_id_of_an_alert_stays_used_and_is_no_transfers() {
    let same = id(1, 0);
    let terms = AlertTerms {
        id: AlertId(same.0),
        account: AccountKey::parse("bank:USD").unwrap(),
        field: AlertField::Balance,
        condition: AlertCondition::Below,
        amount_minor: 0,
        description: None,
        metadata: Vec::new(),
    };
    let alert = terms.id;
    let journal = [
        transferred(1, START),
        ledger(2, START, LedgerEvent::AlertCreated(terms)),
        ledger(3, START, LedgerEvent::AlertDeleted(alert)),
    ];
    let check = |index: &dyn BothIndexes| {
        assert_eq!(index.alert_of(alert), Ok(Some(Seq(2))), "deleted or not");
        assert_eq!(index.commit_of(same), Ok(Some(Seq(1))));
        assert_eq!(index.revert_of(same), Ok(None));
        assert_eq!(
            index.alert_of(AlertId(id(1, 1).0)),
            Ok(None),
            "that is a transfer"
        );
    };
    each(|index| {
        index.publish(&journal);
        for _ in 0..2 {
            check(index);
            index.flush().unwrap();
        }
    });
    let dir = TempDir::new().unwrap();
    {
        let index = open(dir.path());
        index.publish(&journal);
        index.flush().unwrap();
    }
    check(&open(dir.path()));
}

#[test]
fn transfers_are_found_after_a_restart_and_long_after_keys_have_expired() {
    let dir = TempDir::new().unwrap();
    let years_later = START.plus(Millis::from_s(3 * 366 * 24 * 3600));
    let mut journal = vec![created(1, START), transferred(2, START)];
    {
        let index = open(dir.path());
        index.publish(&journal);
        index.flush().unwrap();
    }
    for seq in 3..6 {
        let index = open(dir.path());
        assert_eq!(index.watermark(), Seq(seq - 1));
        check_transfers(&index, &journal);
        let late = years_later.plus(Millis::from_s(seq));
        journal.push(if seq == 4 {
            created(seq, late)
        } else {
            transferred(seq, late)
        });
        index.publish(&journal);
        check_transfers(&index, &journal);
        index.flush().unwrap();
    }
    let index = open(dir.path());
    assert_eq!(index.lookup(digest(1), years_later), Ok(None), "a key expires");
    check_transfers(&index, &journal);
}

#[test]
fn commits_without_transfers_name_none() {
    each(|index| {
        let at = START;
        let terms = (
            florin_domain::ledger::AccountType::Asset,
            florin_domain::money::Currency::USD,
            false,
        );
        let account = GeneralAccount {
            id: LedgerAccountId::pack(at, ShardId::FIRST, terms, 0),
            name: "cash".into(),
            limits: AccountLimits::default(),
            metadata: Vec::new(),
        };
        let through = EffectiveDate::of(at);
        index.publish(&[
            ledger(1, at, LedgerEvent::AccountOpened(account)),
            ledger(2, at, LedgerEvent::PendingExpired(vec![id(1, 0)])),
            ledger(
                3,
                at,
                LedgerEvent::PeriodClosed {
                    through,
                    livemode: false,
                },
            ),
        ]);
        for _ in 0..2 {
            assert_eq!(index.commit_of(id(1, 0)), Ok(None), "ended, not recorded");
            index.flush().unwrap();
            assert_eq!(index.watermark(), Seq(3));
        }
    });
}

#[test]
fn a_commit_left_out_ends_all_proof_about_transfers() {
    each(|index| {
        index.publish(&[transferred(1, START)]);
        index.publish(&[transferred(3, START)]);
        for seq in [1, 3, 9] {
            assert!(matches!(
                index.commit_of(id(seq, 0)),
                Err(ReadError::Damaged { seq: Seq(3), .. })
            ));
        }
    });
}

#[test]
fn a_folder_that_was_damaged_names_no_transfer_and_says_so() {
    let dir = TempDir::new().unwrap();
    let index = open(dir.path());
    index.publish(&[transferred(1, START)]);
    index.flush().unwrap();
    drop(index);
    fs::write(dir.path().join("version"), b"not a version").unwrap();
    let index = open(dir.path());
    assert_eq!(index.watermark(), Seq::ZERO);
    assert_eq!(index.commit_of(id(1, 0)), Ok(None));
    index.publish(&[transferred(1, START)]);
    assert_eq!(index.commit_of(id(1, 0)), Ok(Some(Seq(1))));
}

#[test]
fn without_its_thread_the_index_refuses_rather_than_misses_a_transfer() {
    let dir = TempDir::new().unwrap();
    let index = FjallKeyIndex::open_with_dead_thread(dir.path(), options());
    index.publish(&[transferred(1, START)]);
    assert!(index.commit_of(id(1, 0)).is_err());
    assert!(index.commit_of(id(2, 0)).is_err());
}
