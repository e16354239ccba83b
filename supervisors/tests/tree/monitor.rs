//! The monitor meets wrong balances, lost entries and rows that lie, and finds what is right to be right.

use crate::operations::{ask, refund};
use crate::provider::Scripted;
use crate::world::{World, answers, let_settle, merchant, options, submit_all};
use florin_actors::account_shard::{OpenAccount, Opening, TransferRequest};
use florin_actors::options::Options;
use florin_domain::commit::{Body, Commit};
use florin_domain::consistency::{Check, CheckReport, CheckState, Round};
use florin_domain::ids::{ApiKeyId, PaymentId, Seq, ShardId};
use florin_domain::ledger::{
    AccountKey, AccountLimits, AccountName, AccountType, LedgerEvent, Legs, Linkage, Transfer, TransferId,
    TransferLegs, TransferStep,
};
use florin_domain::money::{Amount, Balance, Currency};
use florin_domain::payment::{Answer, Payment, Status};
use florin_domain::ports::ShardSnapshot;
use florin_supervisors::platform::Platform;
use std::sync::Arc;
use std::time::Duration;

const FIGURES: [Check; 4] = [Check::Ledger, Check::Balances, Check::Payments, Check::Views];

fn world(seed: u64) -> World {
    World::with(seed, options(), Scripted::new(false, true))
}

/// Pays and returns the payments.
pub(crate) async fn pay(platform: &Platform, requests: std::ops::Range<usize>) -> Vec<Arc<Payment>> {
    let mut payments = Vec::new();
    for (n, answer) in answers(submit_all(&platform.payments(), requests)).await {
        let shown = answer.unwrap();
        assert_eq!(shown.answer, Answer::Shown, "{n}");
        payments.push(shown.payment);
    }
    payments
}

pub(crate) async fn run(platform: &Platform) -> Arc<Round> {
    let mut rounds = platform.consistency().run().await.unwrap();
    assert_eq!(rounds.len(), 1, "one shard");
    rounds.remove(0)
}

pub(crate) fn failures(platform: &Platform) -> u64 {
    platform.context().monitor_board.load().failures
}

pub(crate) fn report(round: &Round, check: Check) -> &CheckReport {
    let mut checks = round.checks.iter();
    checks
        .find(|report| report.check == check)
        .expect("every check is reported")
}

/// The issues of the ledger, the balances, the payments and the views.
fn issues(round: &Arc<Round>) -> [u64; 4] {
    FIGURES.map(|check| report(round, check).findings.issues)
}

fn messages(round: &Round, check: Check) -> Vec<String> {
    let differences = &report(round, check).findings.differences;
    differences.iter().map(ToString::to_string).collect()
}

#[track_caller]
pub(crate) fn is_clean(round: &Arc<Round>) {
    assert_eq!(issues(round), [0; 4], "{round:#?}");
    for check in FIGURES {
        assert_eq!(
            report(round, check).state,
            CheckState::Done,
            "{check:?} of {round:#?}"
        );
    }
    assert_eq!(report(round, Check::Settlement).state, CheckState::Absent);
}

/// Changes the commits of one payment as they are read.
fn alter(world: &World, payment: PaymentId, change: impl Fn(&mut Commit) + Send + Sync + 'static) {
    world.faults.altered.set(move |commit| {
        if matches!(&commit.body, Body::Payment(body) if body.payment == payment) {
            change(commit);
        }
    });
}

fn drop_entry(commit: &mut Commit) {
    if let Body::Payment(body) = &mut commit.body {
        body.entry = None;
    }
}

fn usd(name: AccountName) -> AccountKey {
    AccountKey {
        name,
        currency: Currency::USD,
        livemode: false,
    }
}

#[test]
fn what_is_right_is_found_right_and_everything_is_looked_at() {
    world(71).life(async |world, platform| {
        is_clean(&run(&platform).await);
        pay(&platform, 0..40).await;
        let_settle().await;
        let round = run(&platform).await;
        is_clean(&round);
        let head = world.truth().head;
        assert_eq!((round.number, round.through, round.commits), (2, head, head.0));
        let compared = FIGURES.map(|check| report(&round, check).compared);
        assert_eq!(compared[0], 40, "one entry of each payment");
        assert!(compared[1] >= 3, "payable, clearing and fees: {compared:?}");
        assert!(compared[2] >= 40, "{compared:?}");
        assert_eq!(compared[3], 40, "all rows, as they are few");
        assert_eq!(platform.consistency().last(), [round]);
        assert_eq!(failures(&platform), 0);
    });
}

#[test]
fn an_altered_balance_is_found_while_payments_go_on() {
    let world = world(72);
    world.life(async |_, platform| {
        pay(&platform, 0..10).await;
        let_settle().await;
        platform.ledger().snapshot().await.unwrap();
    });
    let seq = world.snapshots.seq().unwrap();
    let mut snapshot: ShardSnapshot = world.snapshots.get(seq);
    // From one account to another of the same side: a snapshot that does not balance is not believed.
    let mut shift = |name: AccountName, by_minor: i128| {
        let mut accounts = snapshot.accounts.iter_mut();
        let (key, state) = accounts.find(|(key, _)| *key == usd(name)).unwrap();
        let right = state.posted.minor();
        state.posted = Balance::from_minor(right + by_minor).unwrap();
        format!("posted balance of {key}: {} instead of {right}", right + by_minor)
    };
    let expected = [
        shift(AccountName::FeeRevenue, 7),
        shift(AccountName::MerchantPayable(merchant()), -7),
    ];
    world.snapshots.put(seq, Ok(snapshot));
    world.life(async |_, platform| {
        let round = run(&platform).await;
        assert_eq!(issues(&round), [0, 2, 0, 0], "{round:#?}");
        let said = messages(&round, Check::Balances);
        assert!(
            expected.iter().all(|expected| said.contains(expected)),
            "{said:?}"
        );
        let differences = &report(&round, Check::Balances).findings.differences;
        for difference in differences {
            assert_eq!((difference.difference_minor, difference.seq), (Some(7), seq));
        }

        pay(&platform, 10..12).await;
        let round = run(&platform).await;
        // Both accounts, and both running balances that came of each.
        assert_eq!(issues(&round), [0, 6, 0, 0], "{round:#?}");
        assert_eq!(failures(&platform), 0, "it was found, nothing failed");
    });
    assert_eq!(world.fatal.count(), 0);
}

#[test]
fn a_payment_whose_entry_is_missing_is_found_by_its_accounts_and_by_itself() {
    world(73).life(async |world, platform| {
        let payments = pay(&platform, 0..10).await;
        let_settle().await;
        let lost = &payments[4];
        alter(world, lost.id(), drop_entry);
        let round = run(&platform).await;
        let captured = lost.captured.minor();
        let of_payment = messages(&round, Check::Payments);
        assert_eq!(
            of_payment,
            [
                format!("provider clearing of {}: 0 instead of {captured}", lost.id()),
                format!(
                    "merchant payable of {}: 0 instead of {}",
                    lost.id(),
                    captured - lost.fee_minor
                ),
                format!("fee revenue of {}: 0 instead of {}", lost.id(), lost.fee_minor),
            ]
        );
        assert!(report(&round, Check::Balances).findings.issues >= 3, "{round:#?}");
        assert_eq!(
            report(&round, Check::Ledger).findings.issues,
            0,
            "what is left balances"
        );

        // It stays found while it is recent; the balances differ for as long as they do.
        world.clock.advance_s(200);
        assert_eq!(issues(&run(&platform).await)[2], 3);
        world.clock.advance_s(200);
        let later = run(&platform).await;
        assert_eq!(issues(&later)[2], 0);
        assert!(report(&later, Check::Balances).findings.issues >= 3);
    });
}

#[test]
fn an_entry_whose_currencies_do_not_balance_is_found_with_the_words_of_a_refusal() {
    world(74).life(async |world, platform| {
        let (debit, credit) = (open(&platform, "cash").await, open(&platform, "owed").await);
        transfer(&platform, (1, 1_000), (debit, credit)).await;
        world.faults.altered.set(|commit| {
            if let Body::Ledger(ledger) = &mut commit.body
                && let LedgerEvent::Transferred(transfers) = &mut ledger.event
                && let Legs::Pair(pair) = &mut transfers[0].legs
            {
                pair.credit.currency = Currency::EUR;
            }
        });
        let round = run(&platform).await;
        let mut found = messages(&round, Check::Ledger);
        found.sort_unstable();
        let id = TransferId(1);
        assert_eq!(
            found,
            [
                format!("Transaction {id}: Debits (0.00) != Credits (10.00)"),
                format!("Transaction {id}: Debits (10.00) != Credits (0.00)"),
            ]
        );
        assert!(report(&round, Check::Balances).findings.issues > 0);
    });
}

async fn open(platform: &Platform, name: &str) -> AccountKey {
    let open = OpenAccount {
        name: Arc::from(name),
        account_type: AccountType::Asset,
        shard: ShardId::FIRST,
        currency: Currency::USD,
        livemode: false,
        limits: AccountLimits::default(),
        metadata: Vec::new(),
        by: ApiKeyId::from_bits(1),
    };
    let Opening::Opened(account) = platform.ledger().open_account(open).await.unwrap() else {
        panic!("its name was free");
    };
    account.id.key().unwrap()
}

async fn transfer(platform: &Platform, (id, minor): (u128, i128), (debit, credit): (AccountKey, AccountKey)) {
    let transfer = Transfer {
        id: TransferId(id),
        step: TransferStep::Single,
        legs: TransferLegs::Pair {
            debit,
            credit,
            amount: Amount::new(minor).unwrap(),
        },
        linked: false,
        is_payout: false,
        effective: None,
        notes: None,
    };
    let request = TransferRequest {
        transfers: vec![transfer],
        linkage: Linkage::Atomic,
        is_dry_run: false,
        by: ApiKeyId::from_bits(1),
    };
    platform.ledger().transfer(request).await.unwrap();
}

#[test]
fn thousands_of_accounts_are_compared_in_pages_and_the_wrong_one_among_them_is_found() {
    const ACCOUNTS: usize = 2_500;
    world(85).life(async |world, platform| {
        let mut accounts = Vec::new();
        for n in 0..ACCOUNTS {
            accounts.push(open(&platform, &n.to_string()).await);
        }
        pay(&platform, 0..1).await;
        let_settle().await;
        let round = run(&platform).await;
        is_clean(&round);
        let both = 2 * (ACCOUNTS as u64 + 3);
        assert_eq!(
            report(&round, Check::Balances).compared,
            both,
            "as touched, and as a slice"
        );
        let round = run(&platform).await;
        is_clean(&round);
        assert_eq!(
            report(&round, Check::Balances).compared,
            both / 2,
            "the slice alone"
        );
        // As the monitor reads it, somebody else was credited.
        let (debit, credit, wrong) = (accounts[7], accounts[1_900], accounts[2_499]);
        world.faults.altered.set(move |commit| {
            if let Body::Ledger(ledger) = &mut commit.body
                && let LedgerEvent::Transferred(transfers) = &mut ledger.event
                && let Legs::Pair(pair) = &mut transfers[0].legs
            {
                pair.credit = wrong;
            }
        });
        transfer(&platform, (1, 50), (debit, credit)).await;
        for what in ["touched", "remembered"] {
            let round = run(&platform).await;
            let found = messages(&round, Check::Balances);
            let expected = [
                format!("posted balance of {credit}: -50 instead of 0"),
                format!("posted balance of {wrong}: 0 instead of -50"),
            ];
            assert_eq!(found, expected, "{what}");
        }
    });
}

#[test]
fn a_row_that_lies_or_is_missing_is_found_until_it_is_right_again() {
    world(75).life(async |world, platform| {
        let payments = pay(&platform, 0..20).await;
        let_settle().await;
        let views = world.views();
        let (liar, missing, misplaced) = (payments[3].id(), payments[5].id(), payments[7].id());
        views.altered.set(move |(id, row)| {
            if *id == missing {
                *row = None;
            }
            let Some(row) = row.as_mut() else { return };
            if *id == liar {
                let mut payment = row.payment.as_ref().clone();
                payment.status = Status::Failed;
                row.payment = Arc::new(payment);
            }
            if *id == misplaced {
                row.seq = Seq(row.seq.0 - 1);
            }
        });
        let round = run(&platform).await;
        assert_eq!(issues(&round), [0, 0, 0, 3], "{round:#?}");
        let mut found: Vec<(String, &str)> = report(&round, Check::Views)
            .findings
            .differences
            .iter()
            .map(|difference| (difference.subject.clone(), difference.figure))
            .collect();
        found.sort_unstable();
        let mut expected = [
            (liar.to_string(), "status"),
            (missing.to_string(), "commit"),
            (misplaced.to_string(), "commit"),
        ];
        expected.sort_unstable();
        assert_eq!(found, expected);
        assert_eq!(issues(&run(&platform).await), [0, 0, 0, 3], "they still do");
        views.altered.clear();
        is_clean(&run(&platform).await);
    });
}

#[test]
fn a_view_that_is_behind_is_no_lie() {
    world(76).life(async |world, platform| {
        pay(&platform, 0..5).await;
        let_settle().await;
        world.views().gate();
        let payments = pay(&platform, 5..25).await;
        let round = run(&platform).await;
        is_clean(&round);
        assert!(round.view_lag >= 40, "{round:#?}");
        world.views().ungate();
        let_settle().await;
        // Payments that went on after they were looked at are compared as they are now.
        let change = refund(payments[0].captured.minor());
        let asked = crate::operations::Ask {
            key: 1,
            payment: payments[0].id(),
            change,
        };
        ask(&platform.payments(), &asked).await.unwrap();
        let_settle().await;
        let round = run(&platform).await;
        is_clean(&round);
        assert_eq!(round.view_lag, 0);
    });
}

#[test]
fn rounds_come_by_themselves_as_often_as_is_set_or_never() {
    for (every_s, expected) in [(60, 10), (0, 0)] {
        let options = Options {
            monitor_every: Duration::from_secs(every_s),
            ..options()
        };
        World::with(80, options, Scripted::new(false, true)).life(async |_, platform| {
            tokio::time::sleep(Duration::from_secs(599)).await;
            assert_eq!(platform.context().monitor_board.load().rounds, expected);
        });
    }
}

#[test]
fn only_what_is_recent_is_looked_at_and_all_of_it_is_folded() {
    let world = world(81);
    world.life(async |world, platform| {
        pay(&platform, 0..20).await;
        let_settle().await;
        world.clock.advance_s(301);
        let old = world.truth().head;
        pay(&platform, 20..25).await;
        let_settle().await;
        let round = run(&platform).await;
        is_clean(&round);
        assert_eq!(report(&round, Check::Ledger).compared, 5);
        assert_eq!(round.commits, world.truth().head.0 - old.0);
        world.clock.advance_s(301);
        let round = run(&platform).await;
        is_clean(&round);
        assert_eq!((round.commits, report(&round, Check::Ledger).compared), (0, 0));
    });
    // Nobody has looked at it in this life, and it is still right.
    world.life(async |_, platform| {
        let round = run(&platform).await;
        is_clean(&round);
        assert_eq!(round.commits, 0);
        assert!(report(&round, Check::Balances).compared >= 3);
    });
}
