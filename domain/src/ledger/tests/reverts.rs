//! A revert undoes what was posted, once, within the same rules as any other transfer.

use super::plain::PlainLedger;
use super::requests::{self, NOON, codes, key, open, pair, post_of, revert_of, single, transfer, void_of};
use super::*;
use crate::ids::Seq;
use crate::money::Balance;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

const INDEPENDENT: Linkage = Linkage::Independent;

fn three() -> [AccountKey; 3] {
    let of = |number, account_type| key(number, account_type, Currency::USD, false);
    [
        of(0, AccountType::Asset),
        of(1, AccountType::Liability),
        of(2, AccountType::Revenue),
    ]
}

/// Books with these accounts, of which the second one may not be overdrawn.
fn books() -> (Books, [AccountKey; 3]) {
    let (mut books, accounts) = (Books::default(), three());
    for (account, min_minor) in accounts.into_iter().zip([None, Some(0), None]) {
        open(&mut books, account, min_minor, None);
    }
    (books, accounts)
}

/// What one transfer leaves on record.
fn made(books: &mut Books, asked: Transfer) -> PostedTransfer {
    let mut done = books.transfer(&[asked], INDEPENDENT, (NOON, Seq(3)), |_| false);
    assert_eq!(done.verdicts, [Verdict::Done]);
    done.recorded.pop().unwrap()
}

/// Asks for the revert of a transfer.
fn undo(id: u128, record: &PostedTransfer) -> Transfer {
    revert_of(id, record.id.0, Some(record.reverted_legs()))
}

#[test]
fn a_revert_swaps_the_sides_of_what_was_posted() {
    let (mut books, [cash, owed, fees]) = books();
    let split = TransferLegs::Many(vec![debit(cash, 100), credit(owed, 97), credit(fees, 3)]);
    let split = made(&mut books, transfer(1, TransferStep::Single, split));
    let paid = made(&mut books, single(2, cash, owed, 40));
    let reverted = made(&mut books, undo(11, &split));
    let sides: Vec<_> = reverted.lines().iter().map(|line| line.posting).collect();
    assert_eq!(
        sides,
        [debit(fees, 3), debit(owed, 97), credit(cash, 100)],
        "the last line first"
    );
    assert_eq!(
        reverted.step,
        TransferStep::Revert {
            reverts: TransferId(1)
        }
    );
    let reverted = made(&mut books, undo(12, &paid));
    assert!(reverted.is_of(&undo(12, &paid)), "the same again is the same");
    assert!(!reverted.is_of(&undo(12, &split)), "of another one it is not");
    for account in three() {
        assert_eq!(books.account(&account).posted, Balance::ZERO);
    }
}

#[test]
fn what_is_pending_is_voided_and_what_was_posted_of_it_is_reverted() {
    let (mut books, [cash, owed, _]) = books();
    let pending = transfer(
        1,
        TransferStep::Pending { expires_at: None },
        pair(cash, owed, 50),
    );
    let pending = made(&mut books, pending);
    let irreversible = TransferLegs::Irreversible(Irreversible::NothingPosted);
    assert_eq!(pending.reverted_legs(), irreversible);
    let posted = made(&mut books, post_of(2, 1, Some(30)));
    assert_eq!(posted.reverted_legs(), pair(owed, cash, 30));
    made(&mut books, undo(3, &posted));
    assert_eq!(books.account(&owed).posted, Balance::ZERO);
    let pending = transfer(
        4,
        TransferStep::Pending { expires_at: None },
        pair(cash, owed, 50),
    );
    made(&mut books, pending);
    assert_eq!(made(&mut books, void_of(5, 4)).reverted_legs(), irreversible);
}

#[test]
fn limits_hold_for_a_revert() {
    let (mut books, [cash, owed, fees]) = books();
    let paid = made(&mut books, single(1, cash, owed, 50));
    made(&mut books, single(2, owed, fees, 1));
    let before = books.clone();
    assert_eq!(
        codes(&mut books, INDEPENDENT, &[undo(3, &paid)]),
        ["insufficient_funds"]
    );
    assert_eq!(books, before);
}

#[test]
fn of_two_reverts_of_one_transfer_only_one_is_done() {
    let (books, [cash, owed, _]) = books();
    let mut with_both = books.clone();
    let first = made(&mut with_both, single(1, cash, owed, 50));
    let second = made(&mut with_both, single(2, cash, owed, 5));
    let poor = single(20, owed, cash, 9_999);
    let rows: [(Linkage, Vec<Transfer>, &[&str]); 5] = [
        (
            INDEPENDENT,
            vec![undo(10, &first), undo(11, &first), undo(12, &second)],
            &["done", "transfer_already_reverted", "done"],
        ),
        (
            Linkage::Atomic,
            vec![undo(10, &second), undo(11, &second)],
            &["linked_transfer_failed", "transfer_already_reverted"],
        ),
        // What came to nothing leaves the transfer as it was.
        (
            INDEPENDENT,
            vec![requests::linked(undo(10, &first)), poor, undo(11, &first)],
            &["linked_transfer_failed", "insufficient_funds", "done"],
        ),
        (
            INDEPENDENT,
            vec![undo(10, &first), undo(900, &first)],
            &["done", "exists"],
        ),
        (
            INDEPENDENT,
            vec![
                requests::on(requests::TODAY.0 + 1, undo(10, &first)),
                undo(11, &first),
            ],
            &["effective_in_future", "done"],
        ),
    ];
    for (linkage, asked, expected) in rows {
        assert_eq!(
            codes(&mut with_both.clone(), linkage, &asked),
            expected,
            "{asked:#?}"
        );
    }
    let place = (NOON, Seq(9));
    let done = with_both.transfer(&[undo(10, &first)], INDEPENDENT, place, |once| {
        once == Once::RevertOf(TransferId(1))
    });
    assert_eq!(
        done.verdicts,
        [Verdict::Refused(TransferRefusal::AlreadyReverted)],
        "recorded by an earlier commit"
    );
}

#[test]
fn a_revert_is_reverted_as_any_transfer_is() {
    let (mut books, [cash, owed, _]) = books();
    let paid = made(&mut books, single(1, cash, owed, 50));
    let back = made(&mut books, undo(2, &paid));
    let again = made(&mut books, undo(3, &back));
    assert_eq!(again.reverted_legs(), paid.reverted_legs());
    assert_eq!(books.account(&owed).posted.minor(), 50);
}

#[test]
fn what_was_recorded_last_is_undone_first() {
    let rows: [(&[Option<u8>], &[usize]); 5] = [
        (&[], &[]),
        (&[Some(1), Some(2), Some(3)], &[2, 1, 0]),
        (&[Some(3), Some(1), Some(2)], &[0, 2, 1]),
        (&[None, Some(1), None, Some(2)], &[3, 1, 0, 2]),
        (&[Some(1), Some(2), Some(1), Some(2)], &[1, 3, 0, 2]),
    ];
    for (recorded, order) in rows {
        assert_eq!(newest_first(recorded), order, "{recorded:?}");
    }
}

/// Through an account that may not be overdrawn: 50 come, 50 go. Undone in the order in which they came they would overdraw it.
#[test]
fn what_went_through_an_account_goes_back_through_it() {
    let (mut books, [cash, owed, fees]) = books();
    let came = made(&mut books, single(1, cash, owed, 50));
    let went = made(&mut books, single(2, owed, fees, 50));
    let in_order = [undo(11, &came), undo(12, &went)];
    assert_eq!(
        codes(&mut books.clone(), Linkage::Atomic, &in_order),
        ["insufficient_funds", "linked_transfer_failed"]
    );
    let back = [undo(12, &went), undo(11, &came)];
    assert_eq!(
        codes(&mut books.clone(), Linkage::Atomic, &back),
        ["done", "done"]
    );
    // And within one transfer, line by line.
    let through = TransferLegs::Many(vec![
        debit(cash, 50),
        credit(owed, 50),
        debit(owed, 50),
        credit(fees, 50),
    ]);
    let (mut books, _) = self::books();
    let through = made(&mut books, transfer(1, TransferStep::Single, through));
    assert_eq!(
        codes(&mut books, Linkage::Atomic, &[undo(11, &through)]),
        ["done"]
    );
    for account in three() {
        assert_eq!(books.account(&account).posted, Balance::ZERO);
    }
}

#[test]
fn a_revert_that_was_recorded_in_the_order_of_what_it_undoes_is_still_the_same() {
    let (mut books, [cash, owed, fees]) = books();
    let split = TransferLegs::Many(vec![debit(cash, 100), credit(owed, 97), credit(fees, 3)]);
    let split = made(&mut books, transfer(1, TransferStep::Single, split));
    let TransferLegs::Many(mut older) = split.reverted_legs() else {
        panic!("{split:?}");
    };
    older.reverse();
    let older = revert_of(11, 1, Some(TransferLegs::Many(older)));
    let recorded = made(&mut books, older.clone());
    assert!(recorded.is_of(&older) && recorded.is_of(&undo(11, &split)));
    assert!(!recorded.is_of(&undo(12, &split)));
    // Of no other transfer the order means nothing.
    let TransferLegs::Many(mut other) =
        TransferLegs::Many(vec![debit(cash, 100), credit(owed, 97), credit(fees, 3)])
    else {
        unreachable!("it is made of many");
    };
    other.reverse();
    assert!(!split.is_of(&transfer(1, TransferStep::Single, TransferLegs::Many(other))));
}

proptest! {
    /// Whatever went through accounts with limits on either side comes back through them, all of it or the end of it: no limit is
    /// in the way of who undoes what happened last. A second ledger, which shares no code with the first one, agrees with each step.
    #[test]
    fn no_limit_forbids_undoing_what_happened_last(
        moves in vec((0..3_usize, 1..3_usize, 1..400_i128, 0..3_u8), 1..40),
        kept in 0..40_usize,
    ) {
        let (mut books, accounts) = (Books::default(), three());
        let mut plain = PlainLedger::default();
        for (account, (min_minor, max_minor)) in accounts.into_iter().zip([(None, None), (Some(0), Some(600)), (Some(-50), None)]) {
            open(&mut books, account, min_minor, max_minor);
            let limits = AccountLimits { min_minor, max_minor };
            plain.open(account, account.name.account_type(), limits);
        }
        let (now_ms, mut used) = (NOON.unix_ms(), std::collections::BTreeSet::new());
        let mut done: Vec<PostedTransfer> = Vec::new();
        for (number, (from, by, minor, kind)) in (1_u128..).zip(&moves) {
            let (from, to) = (accounts[*from], accounts[(from + by) % 3]);
            let third = accounts.into_iter().find(|key| *key != from && *key != to).unwrap();
            let legs = match kind {
                0 => pair(from, to, *minor),
                1 => TransferLegs::Many(vec![debit(from, minor + 1), credit(to, *minor), credit(third, 1)]),
                _ => TransferLegs::Many(vec![debit(from, *minor), credit(third, *minor), debit(third, *minor), credit(to, *minor)]),
            };
            let asked = transfer(number, TransferStep::Single, legs);
            let expected = plain.request(std::slice::from_ref(&asked), false, now_ms, &used);
            prop_assert_eq!(codes(&mut books.clone(), INDEPENDENT, std::slice::from_ref(&asked)), expected.clone());
            if expected == ["done"] {
                done.push(made(&mut books, asked));
                used.insert(number);
            }
        }
        let undone = done.split_off(kept.min(done.len()));
        let before = {
            let mut before = Books::default();
            for (account, (min_minor, max_minor)) in accounts.into_iter().zip([(None, None), (Some(0), Some(600)), (Some(-50), None)]) {
                open(&mut before, account, min_minor, max_minor);
            }
            for record in &done {
                before.replay_ledger(&LedgerEvent::Transferred(vec![record.clone()]), (NOON, Seq(3))).unwrap();
            }
            before
        };
        let places: Vec<Option<u128>> = undone.iter().map(|record| Some(record.id.0)).collect();
        let asked: Vec<Transfer> = newest_first(&places)
            .into_iter()
            .map(|index| undo(500 + undone[index].id.0, &undone[index]))
            .collect();
        let expected = plain.request(&asked, true, now_ms, &used);
        prop_assert!(expected.iter().all(|word| *word == "done"), "{:?}", expected);
        prop_assert_eq!(codes(&mut books, Linkage::Atomic, &asked), expected);
        for account in accounts {
            prop_assert_eq!(books.account(&account).posted, before.account(&account).posted);
            prop_assert_eq!(books.account(&account).posted.minor(), plain.posted(&account));
        }
    }

    #[test]
    fn reverting_everything_in_any_order_brings_all_balances_back(
        moves in vec((0..3_usize, 1..3_usize, 1..1_000_i128, any::<bool>(), any::<u32>()), 1..40),
    ) {
        let (mut books, accounts) = (Books::default(), three());
        for account in accounts {
            open(&mut books, account, None, None);
        }
        let mut done = Vec::new();
        for (number, (from, by, minor, is_split, place)) in (1..).zip(&moves) {
            let (from, to) = (accounts[*from], accounts[(from + by) % 3]);
            let legs = if *is_split {
                TransferLegs::Many(vec![debit(from, minor + 1), credit(to, *minor), credit(from, 1)])
            } else {
                pair(from, to, *minor)
            };
            done.push((*place, made(&mut books, transfer(number, TransferStep::Single, legs))));
        }
        done.sort_by_key(|(place, record)| (*place, record.id));
        let mut folded = books.clone();
        let undone: Vec<Transfer> = (1_000..).zip(&done).map(|(id, (_, record))| undo(id, record)).collect();
        let place = (NOON, Seq(9));
        let back = books.transfer(&undone, Linkage::Atomic, place, |_| false);
        prop_assert!(back.verdicts.iter().all(|verdict| *verdict == Verdict::Done));
        let standing: BTreeMap<_, _> = books.accounts().map(|(key, state)| (key, state.posted.minor())).collect();
        prop_assert!(standing.values().all(|minor| *minor == 0), "{:?}", standing);
        folded.replay_ledger(&LedgerEvent::Transferred(back.recorded), place).unwrap();
        prop_assert_eq!(folded, books);
    }
}
