//! Large commits: pages of the journal that are cut short before what was asked for, entries that stand many in one commit, and
//! snapshots that come the sooner.

use crate::ports::{all_commits, lock};
use crate::provider::Scripted;
use crate::world::{World, answers, let_settle, merchant, options, submit, submit_all};
use florin_actors::account_shard::{OpenAccount, Opening, TransferRequest};
use florin_actors::ledger_handle::{AccountEntry, LedgerError, LedgerHandle, Moment, PastBalance, Told};
use florin_actors::options::Options;
use florin_domain::commit::{Body, Commit};
use florin_domain::ids::{ApiKeyId, PaymentId, Seq, ShardId};
use florin_domain::ledger::{
    AccountKey, AccountLimits, AccountType, Line, Linkage, Transfer, TransferId, TransferLegs, TransferStep,
};
use florin_domain::money::{Amount, Balance, Currency};
use florin_domain::payment::Status;
use florin_domain::ports::PaymentRow;
use florin_domain::risk::VelocityLimits;
use florin_supervisors::platform::Platform;
use std::sync::Arc;
use std::sync::atomic::Ordering;

async fn opened(ledger: &LedgerHandle, name: &str, account_type: AccountType) -> AccountKey {
    let open = OpenAccount {
        name: Arc::from(name),
        account_type,
        currency: Currency::USD,
        livemode: false,
        limits: AccountLimits::default(),
        metadata: Vec::new(),
        shard: ShardId::FIRST,
        by: ApiKeyId::from_bits(1),
    };
    match ledger.open_account(open).await.unwrap() {
        Opening::Opened(account) => account.id.key().unwrap(),
        other => panic!("{name}: {other:?}"),
    }
}

/// Makes `count` transfers in one commit; their ids begin behind `after`.
async fn transfer(
    ledger: &LedgerHandle,
    (debit, credit): (AccountKey, AccountKey),
    after: u128,
    count: u128,
) {
    let one = |number: u128| Transfer {
        id: TransferId(after + number),
        step: TransferStep::Single,
        legs: TransferLegs::Pair {
            debit,
            credit,
            amount: Amount::new(i128::try_from(100 + number).unwrap()).unwrap(),
        },
        linked: false,
        is_payout: false,
        effective: None,
        notes: None,
    };
    let request = TransferRequest {
        transfers: (1..=count).map(one).collect(),
        linkage: Linkage::Independent,
        is_dry_run: false,
        by: ApiKeyId::from_bits(1),
    };
    let answer = ledger.transfer(request).await.unwrap();
    assert!(answer.told.iter().all(|told| *told == Told::Done), "{answer:?}");
}

async fn rows(platform: &Platform, ids: &[PaymentId]) -> Vec<PaymentRow> {
    let mut rows = Vec::new();
    for id in ids {
        let row = platform.payments().get((merchant(), false), *id).await.unwrap();
        rows.push(row.unwrap());
    }
    rows
}

#[test]
fn recovery_views_and_velocity_read_on_behind_pages_that_were_cut() {
    let velocity = VelocityLimits {
        hour_count_max: Some(2),
        ..VelocityLimits::default()
    };
    for page_max in [1, 2, 5, 17] {
        let limited = Options {
            velocity: velocity.clone(),
            ..options()
        };
        let mut world = World::with(95, limited, Scripted::new(false, true));
        // Two payments of each of the eight customers.
        let (accounts, ids, before) = world.life(async |_, platform| {
            let made = answers(submit_all(&platform.payments(), 0..16)).await;
            let_settle().await;
            let ids: Vec<_> = made
                .into_iter()
                .map(|(_, made)| made.unwrap().payment.id())
                .collect();
            let rows = rows(&platform, &ids).await;
            (platform.ledger().accounts().await.unwrap().0, ids, rows)
        });
        world.lose_indexes();
        world.faults.page_max.store(page_max, Ordering::SeqCst);
        let blocked = |world: &World, requests: std::ops::Range<usize>| {
            world.life(async |world, platform| {
                let_settle().await;
                let read = platform.context().lag.views_read();
                assert_eq!(read, world.truth().head, "what a rebuild shows of itself");
                assert_eq!(platform.ledger().accounts().await.unwrap().0, accounts);
                let after = rows(&platform, &ids).await;
                for (before, after) in before.iter().zip(&after) {
                    assert_eq!((before.seq, &before.payment), (after.seq, &after.payment));
                }
                let mut blocked = 0;
                for n in requests {
                    let made = submit(&platform.payments(), n).await.unwrap();
                    blocked += usize::from(made.payment.status == Status::Blocked);
                }
                blocked
            })
        };
        assert_eq!(blocked(&world, 16..24), 8, "pages of {page_max}");
        world.lose_indexes();
        world.options.velocity_recall_commits_max = 0;
        assert_eq!(
            blocked(&world, 24..32),
            0,
            "only what was read back blocks, pages of {page_max}"
        );
    }
}

/// What the journal says that an account holds: its lines, oldest first, with their commits and places in them.
fn lines_of(journal: &[Arc<Commit>], key: AccountKey) -> Vec<(Seq, usize, Line)> {
    let mut all = Vec::new();
    for commit in journal {
        let lines = match &commit.body {
            Body::Payment(body) => body
                .entry
                .as_ref()
                .map_or(Vec::new(), |entry| entry.lines().to_vec()),
            Body::Ledger(ledger) => ledger.event.lines(),
            Body::Control(_) => Vec::new(),
        };
        let own = lines.into_iter().filter(|line| line.posting.account == key);
        all.extend(own.enumerate().map(|(place, line)| (commit.seq, place, line)));
    }
    all
}

/// A journal of payments and transfers, some of those many in one commit; every account, and the journal.
async fn busy_ledger(platform: &Platform) -> (Vec<AccountKey>, Vec<Arc<Commit>>) {
    let ledger = platform.ledger();
    let bank = opened(&ledger, "bank", AccountType::Asset).await;
    let quiet = opened(&ledger, "quiet", AccountType::Liability).await;
    let busy = opened(&ledger, "busy", AccountType::Liability).await;
    let mut made = 0;
    for round in 0..12_u128 {
        let (credit, count) = match round {
            1 | 9 => (quiet, 3),
            _ => (busy, 1 + round % 4),
        };
        transfer(&ledger, (bank, credit), made, count).await;
        made += count;
        let n = usize::try_from(round).unwrap();
        submit(&platform.payments(), n).await.unwrap();
    }
    transfer(&ledger, (busy, bank), made, 2).await;
    let_settle().await;
    let accounts = ledger.accounts().await.unwrap().0;
    let keys = accounts.into_iter().map(|(key, _)| key).collect();
    (keys, all_commits(platform.context().ports.journal.as_ref()).await)
}

fn places(entries: &[AccountEntry]) -> Vec<(Seq, usize, Line)> {
    let place = |entry: &AccountEntry| (entry.seq, entry.place, entry.line);
    entries.iter().map(place).collect()
}

#[test]
fn balances_of_then_are_those_of_the_journal_however_its_pages_are_cut() {
    World::new(96).life(async |world, platform| {
        let ledger = platform.ledger();
        let (keys, journal) = busy_ledger(&platform).await;
        assert!(keys.len() > 4 && journal.len() >= 40, "{}", journal.len());
        for page_max in [0, 1, 2, 5] {
            world.faults.page_max.store(page_max, Ordering::SeqCst);
            for key in &keys {
                let lines = lines_of(&journal, *key);
                for at in 0..=journal.len() as u64 {
                    let last = lines.iter().rev().find(|(seq, ..)| seq.0 <= at);
                    let stood = last.map_or(Balance::ZERO, |(.., line)| line.balance_after);
                    assert_eq!(
                        ledger.balance_at(*key, Moment::Commit(Seq(at))).await.unwrap(),
                        PastBalance::Stood(stood, Seq(at)),
                        "{key} at {at}, pages of {page_max}"
                    );
                }
            }
        }
    });
}

#[test]
fn pages_of_entries_go_on_from_any_place_in_any_commit() {
    World::new(97).life(async |_, platform| {
        let ledger = platform.ledger();
        let (keys, journal) = busy_ledger(&platform).await;
        for key in keys {
            let mut lines = lines_of(&journal, key);
            lines.reverse();
            for limit in [1, 2, 3, 1000] {
                let (mut read, mut before) = (Vec::new(), None);
                loop {
                    let (page, has_more) = ledger.entries(key, before, limit).await.unwrap();
                    read.extend(places(&page));
                    assert_eq!(has_more, read.len() < lines.len(), "{key}, {limit} at once");
                    before = page.last().map(|entry| (entry.seq, entry.place));
                    if !has_more {
                        break;
                    }
                }
                assert_eq!(read, lines, "{key}, {limit} at once");
            }
            // Commits that post to the account and those that do not, with places that are there or not.
            for seq in (0..journal.len() as u64 + 3).map(Seq) {
                for place in 0..4 {
                    let older = lines.iter().filter(|line| (line.0, line.1) < (seq, place));
                    let expected: Vec<_> = older.copied().collect();
                    let (page, _) = ledger.entries(key, Some((seq, place)), 1000).await.unwrap();
                    assert_eq!(places(&page), expected, "{key} before {seq}, {place}");
                }
            }
        }
    });
}

#[test]
fn a_page_of_entries_reads_nothing_newer_than_the_line_that_it_follows() {
    World::new(98).life(async |world, platform| {
        let ledger = platform.ledger();
        answers(submit_all(&platform.payments(), 0..12)).await;
        let_settle().await;
        let mut longest = (Vec::new(), None);
        for (key, _) in ledger.accounts().await.unwrap().0 {
            let entries = ledger.entries(key, None, 1000).await.unwrap().0;
            if entries.len() > longest.0.len() {
                longest = (entries, Some(key));
            }
        }
        let (entries, key) = (longest.0, longest.1.unwrap());
        assert!(entries.len() > 10, "{}", entries.len());
        // Each is of a payment of its own.
        let newest = entries[0].payment.unwrap();
        lock(&world.faults.poisoned).insert(newest);
        let unread = ledger.entries(key, None, 1000).await;
        assert!(matches!(unread, Err(LedgerError::Read(_))), "{unread:?}");
        for (n, entry) in entries.iter().enumerate().skip(1) {
            let before = Some((entry.seq, entry.place));
            let (page, has_more) = ledger.entries(key, before, 1000).await.unwrap();
            assert_eq!((page.as_slice(), has_more), (&entries[n + 1..], false));
        }
    });
}

#[test]
fn transfers_bring_a_snapshot_nearer_by_their_number() {
    let often = Options {
        snapshot_every_commits: 100,
        ..options()
    };
    World::with(99, often, Scripted::new(false, true)).life(async |world, platform| {
        let ledger = platform.ledger();
        let bank = opened(&ledger, "bank", AccountType::Asset).await;
        let customer = opened(&ledger, "customer", AccountType::Liability).await;
        let accounts = (bank, customer);
        let mut made = 0;
        // Two so far, and each of these counts as it says.
        for (count, weight) in [(1, 1), (7, 1), (8, 2), (744, 94)] {
            transfer(&ledger, accounts, made, count).await;
            made += count;
            let_settle().await;
            let is_last = weight == 94;
            assert_eq!(world.snapshots.seq().is_some(), is_last, "after {count}");
        }
        let first = world.snapshots.seq().unwrap();
        assert_eq!(first, world.truth().head);
        // It counts anew from there.
        for count in [783, 7] {
            assert_eq!(world.snapshots.seq(), Some(first));
            transfer(&ledger, accounts, made, count).await;
            made += count;
            let_settle().await;
        }
        transfer(&ledger, accounts, made, 1).await;
        let_settle().await;
        assert_eq!(world.snapshots.seq(), Some(world.truth().head));
    });
}
