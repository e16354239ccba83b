//! A revert undoes what was posted, once, within the same rules as any other transfer.

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
    assert_eq!(sides, [credit(cash, 100), debit(owed, 97), debit(fees, 3)]);
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

proptest! {
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
