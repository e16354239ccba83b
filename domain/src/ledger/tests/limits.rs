//! What limits mean on each type of account.

use super::requests::*;
use super::*;

/// One step on the account: how, how much, and what it comes to.
enum Step {
    Raise(i128, &'static str),
    Lower(i128, &'static str),
    /// Pending under an id.
    RaiseLater(u128, i128, &'static str),
    LowerLater(u128, i128, &'static str),
    Post(u128, i128, &'static str),
    Void(u128, &'static str),
    /// Posted, available, and what it may come to.
    Stands(i128, i128, i128),
}

const TYPES: [AccountType; 5] = [
    AccountType::Asset,
    AccountType::Liability,
    AccountType::Equity,
    AccountType::Revenue,
    AccountType::Expense,
];

/// Runs the steps on an account of each type with these limits.
fn on_each_type(min_minor: Option<i128>, max_minor: Option<i128>, steps: &[Step]) {
    for account_type in TYPES {
        let mut books = Books::default();
        let account = key(0, account_type, Currency::USD, false);
        open(&mut books, account, min_minor, max_minor);
        let rest = usd(AccountName::Suspense);
        let is_debit_normal = matches!(account_type, AccountType::Asset | AccountType::Expense);
        let legs = |raises: bool, minor| {
            if raises == is_debit_normal {
                pair(account, rest, minor)
            } else {
                pair(rest, account, minor)
            }
        };
        for (number, step) in steps.iter().enumerate() {
            let id = 100 + number as u128;
            let (asked, expected) = match step {
                Step::Raise(minor, expected) => {
                    (transfer(id, TransferStep::Single, legs(true, *minor)), expected)
                }
                Step::Lower(minor, expected) => {
                    (transfer(id, TransferStep::Single, legs(false, *minor)), expected)
                }
                Step::RaiseLater(id, minor, expected) => {
                    (transfer(*id, PENDING, legs(true, *minor)), expected)
                }
                Step::LowerLater(id, minor, expected) => {
                    (transfer(*id, PENDING, legs(false, *minor)), expected)
                }
                Step::Post(pending, minor, expected) => (post_of(id, *pending, Some(*minor)), expected),
                Step::Void(pending, expected) => (void_of(id, *pending), expected),
                Step::Stands(posted, available, reach) => {
                    let state = books.account(&account);
                    let (debits, credits) = (state.pending_debit_minor, state.pending_credit_minor);
                    let (brings, takes) = if is_debit_normal {
                        (debits, credits)
                    } else {
                        (credits, debits)
                    };
                    let stands = (
                        state.posted.minor(),
                        state.posted.minor() - takes,
                        state.posted.minor() + brings,
                    );
                    assert_eq!(
                        stands,
                        (*posted, *available, *reach),
                        "{account_type:?}, step {number}"
                    );
                    continue;
                }
            };
            assert_eq!(
                codes(&mut books, Linkage::Independent, &[asked]),
                [*expected],
                "{account_type:?}, step {number}"
            );
        }
    }
}

const POOR: &str = "insufficient_funds";
const FULL: &str = "account_limit_exceeded";

#[test]
fn posted_money_stays_within_the_limits() {
    on_each_type(
        Some(0),
        Some(100),
        &[
            Step::Lower(1, POOR),
            Step::Raise(101, FULL),
            Step::Raise(100, "done"),
            Step::Raise(1, FULL),
            Step::Lower(101, POOR),
            Step::Lower(100, "done"),
            Step::Lower(1, POOR),
            Step::Stands(0, 0, 0),
        ],
    );
}

#[test]
fn what_is_pending_takes_before_it_is_posted_and_brings_nothing_until_then() {
    on_each_type(
        Some(0),
        Some(100),
        &[
            Step::RaiseLater(1, 100, "done"),
            Step::Stands(0, 0, 100),
            Step::Lower(1, POOR),
            Step::LowerLater(2, 1, POOR),
            Step::Raise(1, FULL),
            Step::RaiseLater(2, 1, FULL),
            // The rest of it makes room again.
            Step::Post(1, 60, "done"),
            Step::Stands(60, 60, 60),
            Step::LowerLater(3, 61, POOR),
            Step::LowerLater(3, 60, "done"),
            Step::Stands(60, 0, 60),
            Step::Lower(1, POOR),
            Step::LowerLater(4, 1, POOR),
            // What may still leave makes no room yet.
            Step::Raise(41, FULL),
            Step::Raise(40, "done"),
            Step::Stands(100, 40, 100),
            Step::Post(3, 61, "amount_exceeds_pending"),
            Step::Post(3, 20, "done"),
            Step::Stands(80, 80, 80),
            Step::LowerLater(5, 80, "done"),
            Step::Lower(1, POOR),
            Step::Void(5, "done"),
            Step::Lower(80, "done"),
            Step::Stands(0, 0, 0),
        ],
    );
}

#[test]
fn an_overdraft_is_bounded_where_it_is_allowed() {
    on_each_type(
        Some(-50),
        None,
        &[
            Step::Lower(51, POOR),
            Step::Lower(50, "done"),
            Step::Lower(1, POOR),
            Step::Raise(1_000_000, "done"),
            Step::LowerLater(1, 1_000_001, POOR),
            Step::LowerLater(1, 1_000_000, "done"),
            Step::Stands(999_950, -50, 999_950),
            Step::Post(1, 1_000_000, "done"),
            Step::Stands(-50, -50, -50),
        ],
    );
}

#[test]
fn an_account_outside_of_its_limits_may_only_come_nearer() {
    on_each_type(
        Some(10),
        None,
        &[
            Step::Raise(4, "done"),
            Step::Lower(1, POOR),
            Step::Raise(7, "done"),
            Step::Lower(2, POOR),
            Step::Lower(1, "done"),
        ],
    );
    on_each_type(
        None,
        Some(-10),
        &[
            Step::Raise(1, FULL),
            Step::Lower(4, "done"),
            Step::Raise(1, FULL),
            Step::Lower(7, "done"),
            Step::Raise(1, "done"),
            Step::Raise(1, FULL),
        ],
    );
}

#[test]
fn an_account_without_limits_goes_either_way() {
    on_each_type(
        None,
        None,
        &[
            Step::Lower(1_000, "done"),
            Step::Raise(3_000, "done"),
            Step::LowerLater(1, 9_000, "done"),
            Step::Stands(2_000, -7_000, 2_000),
        ],
    );
}

#[test]
fn a_reservation_that_expired_takes_until_it_is_swept() {
    let mut books = Books::default();
    let (cash, rest) = (
        key(0, AccountType::Asset, Currency::USD, false),
        usd(AccountName::Suspense),
    );
    open(&mut books, cash, Some(0), None);
    let fund = single(1, cash, rest, 10);
    let over = TransferStep::Pending {
        expires_at: Some(NOON),
    };
    let reserve = transfer(2, over, pair(rest, cash, 10));
    assert_eq!(
        codes(&mut books, Linkage::Independent, &[fund, reserve]),
        ["done", "done"]
    );
    assert_eq!(
        codes(&mut books, Linkage::Independent, &[single(3, rest, cash, 1)]),
        [POOR]
    );
    let before = crate::time::Timestamp::from_unix_ms(NOON.unix_ms() - 1);
    assert_eq!(books.pending_over(before, 9), []);
    assert_eq!(books.pending_over(NOON, 9), [TransferId(2)]);
    books.expire_pending(TransferId(2)).unwrap();
    assert_eq!(books.pending_over(NOON, 9), []);
    assert_eq!(books.pending_transfers().len(), 0);
    assert_eq!(
        codes(&mut books, Linkage::Independent, &[single(3, rest, cash, 10)]),
        ["done"]
    );
}
