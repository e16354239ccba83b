//! A payout takes no more than is owed, whatever the account's own limits say.

use super::requests::{NOON, PENDING, codes, key, linked, open, pair, post_of, single, transfer, void_of};
use super::*;
use crate::ids::Seq;

const INDEPENDENT: Linkage = Linkage::Independent;

/// A bank, what a merchant has to receive, what is due to it, and what it may be advanced; no account has limits.
fn books() -> (Books, [AccountKey; 4]) {
    let mut books = Books::default();
    let of = |number, account_type| key(number, account_type, Currency::USD, false);
    let accounts = [
        of(0, AccountType::Asset),
        of(1, AccountType::Liability),
        of(2, AccountType::Liability),
        of(3, AccountType::Asset),
    ];
    for account in accounts {
        open(&mut books, account, None, None);
    }
    (books, accounts)
}

fn payout(transfer: Transfer) -> Transfer {
    Transfer {
        is_payout: true,
        ..transfer
    }
}

#[test]
fn a_payout_after_the_settlement_is_made_from_where_the_settlement_put_it() {
    let (mut books, [bank, receivable, payable, _]) = books();
    let rows = [
        (single(1, bank, receivable, 9_700), "done"),
        (single(2, receivable, payable, 9_700), "done"),
        (payout(single(3, receivable, bank, 9_700)), "payout_exceeds_owed"),
        (payout(single(4, receivable, bank, 1)), "payout_exceeds_owed"),
        (payout(single(5, payable, bank, 9_701)), "payout_exceeds_owed"),
        (payout(single(6, payable, bank, 9_700)), "done"),
        // What is no payout goes by the account's own limits, and there are none.
        (single(7, payable, bank, 1), "done"),
        // Below nothing already, it may be brought up, and never further down.
        (payout(single(8, bank, payable, 1)), "done"),
        (payout(single(9, payable, bank, 1)), "payout_exceeds_owed"),
    ];
    for (asked, expected) in rows {
        assert_eq!(
            codes(&mut books, INDEPENDENT, std::slice::from_ref(&asked)),
            [expected],
            "{asked:?}"
        );
    }
}

#[test]
fn what_is_reserved_is_not_paid_out_again_and_what_was_reserved_in_time_is_paid() {
    let (mut books, [bank, receivable, _, _]) = books();
    let rows = [
        (single(1, bank, receivable, 100), "done"),
        (payout(transfer(2, PENDING, pair(receivable, bank, 60))), "done"),
        (
            payout(transfer(3, PENDING, pair(receivable, bank, 41))),
            "payout_exceeds_owed",
        ),
        (payout(single(4, receivable, bank, 41)), "payout_exceeds_owed"),
        (payout(single(5, receivable, bank, 40)), "done"),
        // A refund may take what is promised; the promise was made in order.
        (single(6, receivable, bank, 30), "done"),
        (post_of(7, 2, None), "done"),
        (
            payout(transfer(8, PENDING, pair(receivable, bank, 1))),
            "payout_exceeds_owed",
        ),
        (void_of(9, 8), "pending_transfer_missing"),
    ];
    for (asked, expected) in rows {
        assert_eq!(
            codes(&mut books, INDEPENDENT, std::slice::from_ref(&asked)),
            [expected],
            "{asked:?}"
        );
    }
    assert_eq!(books.account(&receivable).posted.minor(), -30);
}

#[test]
fn only_what_is_owed_is_looked_at_and_only_for_the_payout_itself() {
    let (mut books, [bank, receivable, payable, advanced]) = books();
    let many = |id, postings| payout(transfer(id, TransferStep::Single, TransferLegs::Many(postings)));
    assert_eq!(
        codes(&mut books, INDEPENDENT, &[single(1, bank, receivable, 100)]),
        ["done"]
    );
    // Partly what is owed, and partly an advance, which is an asset of ours; the bank may be overdrawn.
    let mixed = many(
        2,
        vec![debit(receivable, 100), debit(advanced, 50), credit(bank, 150)],
    );
    let more = many(
        3,
        vec![debit(receivable, 1), debit(advanced, 50), credit(bank, 51)],
    );
    assert_eq!(
        codes(&mut books, INDEPENDENT, &[mixed, more]),
        ["done", "payout_exceeds_owed"]
    );
    // Settled and paid together; the next one of the chain is no payout.
    let chain = [
        linked(single(4, bank, receivable, 70)),
        linked(single(5, receivable, payable, 70)),
        linked(payout(single(6, payable, bank, 70))),
        single(7, payable, bank, 5),
    ];
    assert_eq!(codes(&mut books, INDEPENDENT, &chain), ["done"; 4]);
    assert_eq!(books.account(&payable).posted.minor(), -5);
}

#[test]
fn a_payout_to_another_shard_is_judged_where_the_money_is_owed() {
    let (mut books, [bank, receivable, ..]) = books();
    assert_eq!(
        codes(&mut books, INDEPENDENT, &[single(1, bank, receivable, 100)]),
        ["done"]
    );
    let elsewhere = AccountKey {
        name: AccountName::General(crate::ids::LedgerAccountId::pack(
            NOON,
            crate::ids::ShardId(1),
            (AccountType::Asset, Currency::USD, false),
            0,
        )),
        ..bank
    };
    let place = (NOON, Seq(9));
    let asked = [
        payout(single(2, receivable, elsewhere, 101)),
        payout(single(3, receivable, elsewhere, 100)),
        single(4, receivable, elsewhere, 5),
    ];
    let said = books.prepare_crossings(&asked, place, false, |_| false).said;
    let exceeds = Verdict::Refused(TransferRefusal::ExceedsOwed(receivable));
    assert_eq!(said, [exceeds, Verdict::Done, Verdict::Done]);
}
