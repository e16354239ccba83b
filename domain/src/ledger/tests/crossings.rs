//! Transfers between shards as one shard sees them: every command at every point of a transfer's life, and what a record may follow.

mod looks;
mod node;
mod plain;
mod random;

use super::plain::PlainLedger;
use super::requests::{NOON, TODAY, on, single};
use super::*;
use crate::ids::{LedgerAccountId, Seq, ShardId};
use node::{GRANTED_MINOR, MOST_MINOR, Node, account};
use plain::{PlainShard, Standing};
use std::collections::{BTreeMap, BTreeSet};

fn crossing(id: u128, debit: AccountKey, credit: AccountKey, minor: i128) -> CrossTransfer {
    CrossTransfer {
        id: TransferId(id),
        debit,
        credit,
        amount: amount(minor),
        effective: TODAY,
        notes: None,
    }
}

/// From the first shard to the second one.
fn there(minor: i128) -> CrossTransfer {
    crossing(7, account(1, 0), account(2, 0), minor)
}

const YES: CrossOutcome = CrossOutcome::Decided;
const NO: CrossOutcome = CrossOutcome::Aborted(AbortReason::GivenUp);
const REFUSED: CrossOutcome = CrossOutcome::Aborted(AbortReason::ExceedsLimit);

#[derive(Clone, Copy, Debug)]
enum Command {
    Prepare,
    Reserve,
    Decide(CrossOutcome),
    Finish(CrossOutcome),
    Settle,
}
use Command::{Decide, Finish, Prepare, Reserve, Settle};

/// What a shard says, and the steps that it records.
fn told(node: &mut Node, command: Command) -> (String, Vec<&'static str>) {
    let transfer = there(10);
    let before = node.steps().count();
    let one = std::slice::from_ref(&transfer);
    let said = match command {
        Prepare => node.prepare(one)[0].to_owned(),
        Reserve => match node.reserve(one)[0] {
            Ok(()) => "yes".to_owned(),
            Err(why) => format!("{why:?}"),
        },
        Decide(wanted) => match node.decide(&[(transfer.id, wanted)])[0] {
            Some(CrossOutcome::Decided) => "decided".to_owned(),
            Some(CrossOutcome::Aborted(why)) => format!("{why:?}"),
            None => "not here".to_owned(),
        },
        Finish(outcome) => {
            node.finish(&[(transfer, outcome)]);
            "finished".to_owned()
        }
        Settle => {
            node.settle(&[transfer.id]);
            "settled".to_owned()
        }
    };
    let word = |step: &CrossingStep| match step {
        CrossingStep::Prepared(_) => "prepared",
        CrossingStep::Reserved(_) => "reserved",
        CrossingStep::Decided { .. } => "decided",
        CrossingStep::Applied { .. } => "applied",
        CrossingStep::Aborted { .. } => "aborted",
        CrossingStep::Settled(_) => "settled",
    };
    (said, node.steps().skip(before).map(word).collect())
}

/// What came before, what is asked now, what is said, what is recorded, and posted, expected debits and expected credits of the
/// shard's account afterwards.
type Row = (
    &'static [Command],
    Command,
    &'static str,
    &'static [&'static str],
    [i128; 3],
);

fn check_rows(shard: u16, rows: Vec<Row>) {
    for (before, command, said, recorded, standing) in rows {
        let mut node = Node::new(shard);
        for earlier in before {
            told(&mut node, *earlier);
        }
        let heard = told(&mut node, command);
        assert_eq!(
            heard,
            (said.to_owned(), recorded.to_vec()),
            "{before:?}, then {command:?}"
        );
        let state = node.books.account(&account(shard, 0));
        let stands = [
            state.posted.minor() - GRANTED_MINOR,
            state.pending_debit_minor,
            state.pending_credit_minor,
        ];
        assert_eq!(stands, standing, "{before:?}, then {command:?}");
        node.restart();
    }
}

#[test]
fn every_command_at_every_point_of_its_life_in_the_leading_shard() {
    let rows: Vec<Row> = vec![
        (&[], Prepare, "done", &["prepared"], [0, 10, 0]),
        (&[], Decide(YES), "not here", &[], [0, 0, 0]),
        (&[], Decide(NO), "not here", &[], [0, 0, 0]),
        (&[], Settle, "settled", &[], [0, 0, 0]),
        (&[Prepare], Prepare, "exists", &[], [0, 10, 0]),
        (&[Prepare], Reserve, "IdReused", &[], [0, 10, 0]),
        (&[Prepare], Decide(YES), "decided", &["decided"], [-10, 0, 0]),
        (&[Prepare], Decide(NO), "GivenUp", &["aborted"], [0, 0, 0]),
        (
            &[Prepare],
            Decide(REFUSED),
            "ExceedsLimit",
            &["aborted"],
            [0, 0, 0],
        ),
        (&[Prepare], Finish(YES), "finished", &[], [0, 10, 0]),
        (&[Prepare], Finish(NO), "finished", &[], [0, 10, 0]),
        (&[Prepare], Settle, "settled", &[], [0, 10, 0]),
        (&[Prepare, Decide(YES)], Prepare, "exists", &[], [-10, 0, 0]),
        (&[Prepare, Decide(YES)], Decide(YES), "decided", &[], [-10, 0, 0]),
        (&[Prepare, Decide(YES)], Decide(NO), "decided", &[], [-10, 0, 0]),
        (&[Prepare, Decide(YES)], Finish(YES), "finished", &[], [-10, 0, 0]),
        (
            &[Prepare, Decide(YES)],
            Settle,
            "settled",
            &["settled"],
            [-10, 0, 0],
        ),
        (&[Prepare, Decide(NO)], Prepare, "exists", &[], [0, 0, 0]),
        (&[Prepare, Decide(NO)], Decide(YES), "GivenUp", &[], [0, 0, 0]),
        (
            &[Prepare, Decide(REFUSED)],
            Decide(NO),
            "ExceedsLimit",
            &[],
            [0, 0, 0],
        ),
        (&[Prepare, Decide(NO)], Settle, "settled", &["settled"], [0, 0, 0]),
        (
            &[Prepare, Decide(YES), Settle],
            Prepare,
            "exists",
            &[],
            [-10, 0, 0],
        ),
        (
            &[Prepare, Decide(YES), Settle],
            Decide(NO),
            "not here",
            &[],
            [-10, 0, 0],
        ),
        (
            &[Prepare, Decide(YES), Settle],
            Settle,
            "settled",
            &[],
            [-10, 0, 0],
        ),
        (&[Prepare, Decide(NO), Settle], Prepare, "exists", &[], [0, 0, 0]),
        (
            &[Prepare, Decide(NO), Settle],
            Decide(YES),
            "not here",
            &[],
            [0, 0, 0],
        ),
    ];
    check_rows(1, rows);
}

#[test]
fn every_command_at_every_point_of_its_life_in_the_other_shard() {
    let rows: Vec<Row> = vec![
        (&[], Prepare, "account_unknown", &[], [0, 0, 0]),
        (&[], Reserve, "yes", &["reserved"], [0, 0, 10]),
        // Asked about what it never reserved, it remembers that this is over.
        (&[], Finish(NO), "finished", &["aborted"], [0, 0, 0]),
        (&[], Finish(YES), "finished", &["applied"], [10, 0, 0]),
        (&[Reserve], Reserve, "IdReused", &[], [0, 0, 10]),
        (&[Reserve], Prepare, "exists", &[], [0, 0, 10]),
        (&[Reserve], Decide(YES), "not here", &[], [0, 0, 10]),
        (&[Reserve], Decide(NO), "not here", &[], [0, 0, 10]),
        (&[Reserve], Settle, "settled", &[], [0, 0, 10]),
        (&[Reserve], Finish(YES), "finished", &["applied"], [10, 0, 0]),
        (&[Reserve], Finish(NO), "finished", &["aborted"], [0, 0, 0]),
        (&[Reserve, Finish(YES)], Finish(YES), "finished", &[], [10, 0, 0]),
        (&[Reserve, Finish(YES)], Finish(NO), "finished", &[], [10, 0, 0]),
        (&[Reserve, Finish(YES)], Reserve, "IdReused", &[], [10, 0, 0]),
        (&[Reserve, Finish(YES)], Settle, "settled", &[], [10, 0, 0]),
        (&[Reserve, Finish(NO)], Reserve, "IdReused", &[], [0, 0, 0]),
        (&[Reserve, Finish(NO)], Finish(NO), "finished", &[], [0, 0, 0]),
        (&[Reserve, Finish(NO)], Finish(YES), "finished", &[], [0, 0, 0]),
        (&[Finish(NO)], Reserve, "IdReused", &[], [0, 0, 0]),
        (&[Finish(NO)], Finish(NO), "finished", &[], [0, 0, 0]),
        (&[Finish(NO)], Finish(YES), "finished", &[], [0, 0, 0]),
        (&[Finish(YES)], Finish(YES), "finished", &[], [10, 0, 0]),
        (&[Finish(YES)], Reserve, "IdReused", &[], [10, 0, 0]),
    ];
    check_rows(2, rows);
}

#[test]
fn the_last_that_fits_is_reserved_and_one_more_is_refused_on_either_side() {
    let room = MOST_MINOR - GRANTED_MINOR;
    let (liability, asset) = (0, 1);
    // A debit takes from what grows by credits, and brings to what grows by debits.
    for (number, fits, word) in [
        (liability, GRANTED_MINOR, "insufficient_funds"),
        (asset, room, "account_limit_exceeded"),
    ] {
        let mut node = Node::new(1);
        let transfers = [
            crossing(1, account(1, number), account(2, 0), fits - 1),
            crossing(2, account(1, number), account(2, 0), 2),
            crossing(3, account(1, number), account(2, 0), 1),
            crossing(4, account(1, number), account(2, 0), 1),
        ];
        assert_eq!(node.prepare(&transfers), ["done", word, "done", word]);
        node.decide(&[(TransferId(1), NO), (TransferId(3), YES)]);
        assert_eq!(
            node.prepare(&transfers[1..2]),
            ["done"],
            "what was let go is free"
        );
    }
    for (number, fits, why) in [
        (liability, room, AbortReason::ExceedsLimit),
        (asset, GRANTED_MINOR, AbortReason::InsufficientFunds),
    ] {
        let mut node = Node::new(2);
        let transfers = [
            crossing(1, account(1, 0), account(2, number), fits - 1),
            crossing(2, account(1, 0), account(2, number), 2),
            crossing(3, account(1, 0), account(2, number), 1),
            crossing(4, account(1, 0), account(2, number), 1),
        ];
        assert_eq!(node.reserve(&transfers), [Ok(()), Err(why), Ok(()), Err(why)]);
        node.finish(&[(transfers[0].clone(), NO), (transfers[2].clone(), YES)]);
        assert_eq!(
            node.reserve(&transfers[1..2]),
            [Ok(())],
            "what was let go is free"
        );
    }
}

#[test]
fn a_day_is_closed_to_what_is_not_reserved_yet_in_either_shard() {
    let (mut first, mut second) = (Node::new(1), Node::new(2));
    let (early, late) = (
        there(10),
        CrossTransfer {
            id: TransferId(8),
            ..there(10)
        },
    );
    assert_eq!(first.prepare(std::slice::from_ref(&early)), ["done"]);
    assert_eq!(second.reserve(std::slice::from_ref(&early)), [Ok(())]);
    first.close(TODAY);
    second.close(TODAY);
    assert_eq!(first.prepare(std::slice::from_ref(&late)), ["period_closed"]);
    assert_eq!(
        second.reserve(std::slice::from_ref(&late)),
        [Err(AbortReason::PeriodClosed)]
    );
    // What both have reserved before still lands in both.
    assert_eq!(first.decide(&[(early.id, YES)]), [Some(YES)]);
    second.finish(&[(early, YES)]);
    let tomorrow = CrossTransfer {
        id: TransferId(9),
        effective: EffectiveDate(TODAY.0 + 1),
        ..there(1)
    };
    assert_eq!(Node::new(1).prepare(&[tomorrow]), ["effective_in_future"]);
}

#[test]
fn money_that_fits_its_account_no_more_goes_to_suspense_of_its_shard() {
    let nobody = account(2, 5);
    for (credit, minor) in [
        (account(2, 0), MOST_MINOR - GRANTED_MINOR + 1),
        (account(2, 1), GRANTED_MINOR + 1),
        (nobody, 1),
    ] {
        let mut node = Node::new(2);
        node.finish(&[(crossing(7, account(1, 0), credit, minor), YES)]);
        let of = |name| node.books.account(&usd(name)).posted.minor();
        assert_eq!(of(AccountName::Suspense), minor, "{credit}");
        assert_eq!(of(AccountName::ShardClearing), -minor, "{credit}");
    }
}

#[test]
fn nobody_else_posts_to_clearing() {
    let mut node = Node::new(1);
    let clearing = usd(AccountName::ShardClearing);
    for asked in [
        single(1, account(1, 0), clearing, 1),
        single(2, clearing, account(1, 0), 1),
    ] {
        let before = node.books.clone();
        let done = node
            .books
            .transfer(&[asked], Linkage::Independent, (NOON, Seq(99)), |_| false);
        let refused = TransferRefusal::UnknownAccount(clearing);
        assert_eq!(done.verdicts, [Verdict::Refused(refused)]);
        assert_eq!(node.books, before);
    }
}

#[test]
fn what_a_transfer_says_by_itself_is_judged_before_anything_is_reserved() {
    let mut node = Node::new(1);
    let before = node.books.clone();
    let euro = AccountKey {
        currency: Currency::EUR,
        ..account(2, 0)
    };
    let many = TransferLegs::Many(vec![debit(account(1, 0), 1), credit(account(2, 0), 1)]);
    for (asked, refusal) in [
        (
            single(1, account(1, 0), account(1, 0), 1),
            TransferRefusal::SameAccount,
        ),
        (
            single(2, account(1, 0), live(account(2, 0)), 1),
            TransferRefusal::MixedModes,
        ),
        (
            single(3, account(1, 0), euro, 1),
            TransferRefusal::MixedCurrencies,
        ),
        (
            on(TODAY.0 + 1, single(4, account(1, 0), account(2, 0), 1)),
            TransferRefusal::EffectiveInFuture,
        ),
        (
            Transfer {
                legs: many,
                ..single(5, account(1, 0), account(2, 0), 1)
            },
            TransferRefusal::CrossesShards,
        ),
    ] {
        let crossed = node
            .books
            .prepare_crossings(&[asked], (NOON, Seq(99)), false, |_| false);
        assert_eq!(crossed.said, [Verdict::Refused(refusal)]);
        assert_eq!((crossed.steps, &node.books), (Vec::new(), &before));
    }
}

#[test]
fn a_record_that_cannot_follow_is_not_folded() {
    let (mut first, mut second) = (Node::new(1), Node::new(2));
    let transfer = there(10);
    first.prepare(std::slice::from_ref(&transfer));
    second.reserve(std::slice::from_ref(&transfer));
    let (prepared, reserved) = (first.books.clone(), second.books.clone());
    first.decide(&[(transfer.id, YES)]);
    second.finish(&[(transfer.clone(), YES)]);
    let decided = first.steps().last().unwrap().clone();
    let applied = second.steps().last().unwrap().clone();
    let settled = CrossingStep::Settled(transfer.id);
    let place = (NOON, Seq(99));
    let missing = PostingError::IllegalRecord("no such transfer between shards is open");
    for (books, step) in [
        (&first.books, &decided),
        (&reserved, &decided),
        (&second.books, &settled),
        (&Node::new(1).books, &decided),
        (&Node::new(1).books, &settled),
    ] {
        let event = LedgerEvent::Crossed(vec![step.clone()]);
        assert_eq!(
            books.clone().replay_ledger(&event, place),
            Err(missing.clone()),
            "{step:?}"
        );
    }
    let again = LedgerEvent::Crossed(vec![applied.clone()]);
    assert!(matches!(
        second.books.clone().replay_ledger(&again, place),
        Err(PostingError::BalanceMismatch(_))
    ));
    for (mut books, step, after) in [(prepared, decided, &first), (reserved, applied, &second)] {
        let event = LedgerEvent::Crossed(vec![step]);
        // Where it was recorded: alerts remember that.
        let place = (crate::time::Timestamp::from_unix_ms(NOON.unix_ms() + 14), Seq(14));
        assert_eq!(books.replay_ledger(&event, place), Ok(()));
        assert_eq!(books, after.books);
    }
}
