//! Books and the fold of their journal.

use super::*;
use crate::commit::PaymentCommit;
use crate::ids::{LedgerAccountId, PaymentId};
use crate::ledger::{
    AccountLimits, AccountState, AccountType, Books, GeneralAccount, HoldChange, LedgerCommit, LedgerEvent,
    Legs, Linkage, PostedPair, Transfer, TransferId, TransferLegs, TransferStep,
};
use crate::money::Balance;
use std::sync::Arc;

/// Books with two accounts, and the commits that made them so: everything that a transfer can do.
struct Ledger {
    books: Books,
    commits: Vec<Commit>,
}

fn opened(number: u32) -> LedgerAccountId {
    LedgerAccountId::pack(
        AT,
        ShardId::FIRST,
        (AccountType::Asset, Currency::USD, false),
        number,
    )
}

fn account(number: u32) -> AccountKey {
    opened(number).key().unwrap()
}

impl Ledger {
    fn next(&self) -> Seq {
        Seq(u64::try_from(self.commits.len()).unwrap()).next()
    }

    fn record(&mut self, event: LedgerEvent) {
        let seq = self.next().0;
        let body = Body::Ledger(LedgerCommit { event, by: None });
        self.commits.push(commit(seq, body));
    }

    fn transfer(&mut self, id: u128, step: TransferStep, legs: TransferLegs) {
        let transfer = Transfer {
            id: TransferId(id),
            step,
            legs,
            linked: false,
            is_payout: false,
            effective: None,
            notes: None,
        };
        let seq = self.next();
        let done = self
            .books
            .transfer(&[transfer], Linkage::Independent, (AT, seq), |_| false);
        assert_eq!(done.recorded.len(), 1, "{:?}", done.verdicts);
        self.record(LedgerEvent::Transferred(done.recorded));
    }

    fn new() -> Self {
        let mut ledger = Self {
            books: Books::default(),
            commits: Vec::new(),
        };
        for number in 0..2 {
            let account = GeneralAccount {
                id: opened(number),
                name: Arc::from(format!("a{number}")),
                limits: AccountLimits::default(),
                metadata: Vec::new(),
            };
            assert!(ledger.books.open_account(account.clone()));
            ledger.record(LedgerEvent::AccountOpened(account));
        }
        let pair = |minor| TransferLegs::Pair {
            debit: account(0),
            credit: account(1),
            amount: amount(minor),
        };
        let pending = TransferStep::Pending { expires_at: None };
        let ends = |pending| TransferStep::Post {
            pending: TransferId(pending),
        };
        let voids = TransferStep::Void {
            pending: TransferId(4),
        };
        ledger.transfer(1, TransferStep::Single, pair(100));
        ledger.transfer(2, pending, pair(40));
        ledger.transfer(3, ends(2), TransferLegs::OfPending(Some(amount(30))));
        ledger.transfer(4, pending, pair(7));
        ledger.transfer(5, voids, TransferLegs::OfPending(None));
        ledger.transfer(6, pending, pair(5));
        ledger.transfer(7, pending, pair(9));
        ledger.books.expire_pending(TransferId(6)).unwrap();
        ledger.record(LedgerEvent::PendingExpired(vec![TransferId(6)]));
        let bank = system(AccountName::Bank);
        let many = TransferLegs::Many(vec![
            posting(bank, Side::Debit, 3),
            posting(account(0), Side::Credit, 1),
            posting(account(1), Side::Credit, 2),
        ]);
        ledger.transfer(8, TransferStep::Single, many);
        ledger
    }

    /// How the books differ from the fold of these commits.
    fn differences(&self, commits: &[Commit]) -> (Vec<String>, Vec<String>) {
        let mut fold = JournalFold::default();
        for commit in commits {
            fold.fold(commit).unwrap();
        }
        let accounts = self.books.accounts();
        let differing = accounts.filter_map(|(key, state)| fold.difference(&key, Some(state)));
        (
            differing.map(|found| found.to_string()).collect(),
            messages(fold.found()),
        )
    }
}

fn pair_of(commit: &mut Commit) -> &mut PostedPair {
    let Body::Ledger(LedgerCommit {
        event: LedgerEvent::Transferred(transfers),
        ..
    }) = &mut commit.body
    else {
        panic!("a transfer is expected");
    };
    let Legs::Pair(pair) = &mut transfers[0].legs else {
        panic!("a pair is expected");
    };
    pair
}

#[test]
fn books_are_the_fold_of_their_journal_whatever_transfers_did() {
    let ledger = Ledger::new();
    assert_eq!(ledger.differences(&ledger.commits), (vec![], vec![]));
    let mut fold = JournalFold::default();
    for commit in &ledger.commits {
        fold.fold(commit).unwrap();
    }
    let standing = fold.standing(&account(0));
    let expected = Standing {
        posted_minor: 129,
        pending_credit_minor: 0,
        pending_debit_minor: 9,
        last_posted: Seq(11),
    };
    assert_eq!(standing, expected);
    let mut touched = fold.take_touched(2);
    touched.extend(fold.take_touched(2));
    assert_eq!(touched.len(), 3, "two accounts that were opened, and the bank");
    assert_eq!(fold.take_touched(2), []);
}

#[test]
fn a_journal_that_differs_from_the_books_is_found_by_the_accounts() {
    let id = |number| account(number).to_string();
    let mut lost = Ledger::new().commits;
    lost[2].body = Body::Ledger(LedgerCommit {
        event: LedgerEvent::Transferred(Vec::new()),
        by: None,
    });
    let mut altered = Ledger::new().commits;
    pair_of(&mut altered[2]).amount = amount(90);
    let mut unreserved = Ledger::new().commits;
    unreserved[8].body = Body::Ledger(LedgerCommit {
        event: LedgerEvent::Transferred(Vec::new()),
        by: None,
    });
    let mut running = Ledger::new().commits;
    pair_of(&mut running[2]).balances_after[0] = Balance::from_minor(101).unwrap();
    let cases = [
        (
            "a lost posting",
            lost,
            [
                format!("posted balance of {}: 129 instead of 29", id(0)),
                format!("posted balance of {}: -132 instead of -32", id(1)),
            ],
            Some(format!("running balance of {}: 130 instead of 30", id(0))),
        ),
        (
            "an altered amount",
            altered,
            [
                format!("posted balance of {}: 129 instead of 119", id(0)),
                format!("posted balance of {}: -132 instead of -122", id(1)),
            ],
            Some(format!("running balance of {}: 100 instead of 90", id(0))),
        ),
        (
            "a lost reservation",
            unreserved,
            [
                format!("pending debits of {}: 9 instead of 0", id(0)),
                format!("pending credits of {}: 9 instead of 0", id(1)),
            ],
            None,
        ),
    ];
    for (what, commits, expected, running) in cases {
        let (accounts, journal) = Ledger::new().differences(&commits);
        assert_eq!(accounts, expected, "{what}");
        assert_eq!(journal.first(), running.as_ref(), "{what}");
    }
    let (accounts, journal) = Ledger::new().differences(&running);
    assert_eq!(accounts, Vec::<String>::new(), "the amounts are right");
    assert_eq!(
        journal,
        [format!("running balance of {}: 101 instead of 100", id(0))]
    );
}

#[test]
fn a_reservation_that_ends_twice_is_found() {
    let mut ledger = Ledger::new();
    ledger.record(LedgerEvent::PendingExpired(vec![TransferId(6)]));
    let (_, journal) = ledger.differences(&ledger.commits);
    let expected = format!(
        "reservation of {}: none instead of a reservation that stands",
        TransferId(6)
    );
    assert_eq!(journal, [expected]);
}

#[test]
fn commits_are_folded_in_their_order_only() {
    let ledger = Ledger::new();
    let mut fold = JournalFold::default();
    fold.fold(&ledger.commits[0]).unwrap();
    let error = OutOfOrder {
        expected: Seq(2),
        found: Seq(3),
    };
    assert_eq!(fold.fold(&ledger.commits[2]), Err(error));
    assert_eq!(fold.seq(), Seq(1));
}

/// What is wrong with it, what it follows, what it has, whether it is the last, and what differs.
type Page<'a> = (
    &'a str,
    Option<AccountKey>,
    Vec<(AccountKey, AccountState)>,
    bool,
    &'a [AccountKey],
);

#[test]
fn a_page_of_accounts_is_compared_with_all_that_the_journal_has_between_its_ends() {
    let mut fold = JournalFold::default();
    let names = [AccountName::FeeRevenue, AccountName::Bank, AccountName::Suspense];
    let keys = names.map(system);
    let holds: Vec<HoldChange> = keys
        .iter()
        .map(|key| HoldChange {
            account: *key,
            credit_delta_minor: 4,
            debit_delta_minor: 0,
        })
        .collect();
    let body = PaymentCommit {
        payment: PaymentId::from_bits(1),
        prev: Seq::ZERO,
        events: Vec::new(),
        holds,
        entry: None,
    };
    fold.fold(&commit(1, Body::Payment(body))).unwrap();
    let state = |pending_credit_minor| AccountState {
        pending_credit_minor,
        ..AccountState::default()
    };
    let [fees, bank, suspense] = keys;
    let right = |key| (key, state(4));
    let cases: [Page<'_>; 6] = [
        (
            "all",
            None,
            vec![right(fees), right(bank), right(suspense)],
            true,
            &[],
        ),
        (
            "one of them is wrong",
            None,
            vec![right(fees), (bank, state(5))],
            false,
            &[bank],
        ),
        (
            "one between is missing",
            None,
            vec![right(fees), right(suspense)],
            false,
            &[bank],
        ),
        ("the first is missing", None, vec![right(bank)], false, &[fees]),
        ("the last is missing", Some(bank), vec![], true, &[suspense]),
        (
            "what comes later is compared later",
            Some(fees),
            vec![right(bank)],
            false,
            &[],
        ),
    ];
    for (what, after, page, is_last, expected) in cases {
        let mut found: Vec<AccountKey> = fold
            .compare_page(after, &page, is_last)
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{what}");
    }
}
