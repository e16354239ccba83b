//! The checks against what is right, and against everything that may be wrong with it.

use super::entries::check_entry;
use super::*;
use crate::commit::{Body, Commit, PaymentCommit};
use crate::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use crate::ids::{LedgerAccountId, MerchantId, OperationId, PaymentId};
use crate::ledger::{
    AccountKey, AccountName, AccountState, AccountType, Books, CurrencyTotal, GeneralAccount, HoldChange, Legs,
    LedgerCommit, LedgerEvent, Line, Linkage, PostedEntry, Posting, Side, Transfer, TransferId, TransferLegs,
    TransferStep, consequences,
};
use crate::method::PaymentMethod;
use crate::money::{Amount, Balance, Currency, FeeSchedule};
use crate::payment::{
    CaptureMethod, DeclinePolicy, Device, Event, FeeReturn, OperationKind, Payment, Spec, Status, evolve_all,
};
use crate::provider::ProviderId;
use std::sync::Arc;

const AT: Timestamp = Timestamp::from_unix_ms(1_700_000_000_000);

fn amount(minor: i128) -> Amount {
    Amount::new(minor).unwrap()
}

fn system(name: AccountName) -> AccountKey {
    AccountKey {
        name,
        currency: Currency::USD,
        livemode: false,
    }
}

fn posting(account: AccountKey, side: Side, minor: i128) -> Posting {
    Posting {
        account,
        side,
        amount: amount(minor),
    }
}

fn commit(seq: u64, body: Body) -> Commit {
    Commit {
        shard: ShardId::FIRST,
        seq: Seq(seq),
        at: AT,
        body,
    }
}

fn messages(findings: &Findings) -> Vec<String> {
    findings.differences.iter().map(ToString::to_string).collect()
}

#[test]
fn an_entry_whose_sides_differ_is_found_in_every_currency_and_mode_with_both_sums() {
    let (bank, fees) = (system(AccountName::Bank), system(AccountName::FeeRevenue));
    let euros = AccountKey {
        currency: Currency::EUR,
        ..fees
    };
    let live = AccountKey { livemode: true, ..fees };
    let cases: [(&str, Vec<Posting>, &[&str], i128); 6] = [
        (
            "balanced",
            vec![posting(bank, Side::Debit, 100), posting(fees, Side::Credit, 100)],
            &[],
            0,
        ),
        (
            "one unit lost",
            vec![posting(bank, Side::Debit, 10_000), posting(fees, Side::Credit, 9_999)],
            &["Transaction t: Debits (100.00) != Credits (99.99)"],
            1,
        ),
        (
            "a lost posting",
            vec![posting(bank, Side::Debit, 10_000)],
            &["Transaction t: Debits (100.00) != Credits (0.00)"],
            10_000,
        ),
        (
            "a currency that became another one",
            vec![posting(bank, Side::Debit, 100), posting(euros, Side::Credit, 100)],
            &[
                "Transaction t: Debits (0.00) != Credits (1.00)",
                "Transaction t: Debits (1.00) != Credits (0.00)",
            ],
            100,
        ),
        (
            "test money that became real",
            vec![posting(bank, Side::Debit, 100), posting(live, Side::Credit, 100)],
            &[
                "Transaction t: Debits (1.00) != Credits (0.00)",
                "Transaction t: Debits (0.00) != Credits (1.00)",
            ],
            100,
        ),
        ("nothing", vec![], &[], 0),
    ];
    for (what, postings, expected, apart) in cases {
        let mut findings = Findings::default();
        check_entry(&"t", postings.into_iter(), Seq(3), &mut findings);
        let mut found = messages(&findings);
        found.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "{what}");
        for difference in findings.differences {
            assert_eq!(difference.difference_minor, Some(apart), "{what}");
            assert_eq!(difference.seq, Seq(3), "{what}");
        }
    }
}

#[test]
fn a_trial_balance_that_is_off_is_found() {
    let total = |debits_minor, credits_minor| CurrencyTotal {
        currency: Currency::USD,
        livemode: true,
        debits_minor,
        credits_minor,
    };
    let mut findings = Findings::default();
    check_totals(&[total(5, 5)], Seq(1), &mut findings);
    assert_eq!(findings, Findings::default());
    check_totals(&[total(500, 498)], Seq(1), &mut findings);
    assert_eq!(
        messages(&findings),
        ["Transaction trial_balance:USD:live: Debits (5.00) != Credits (4.98)"]
    );
}

#[test]
fn all_differences_are_counted_and_the_first_twenty_kept() {
    let difference = |n: i128| Difference::of_minor(&n, "figure", (0, n), Seq(1)).unwrap();
    let (mut one, mut other) = (Findings::default(), Findings::default());
    one.extend((1..=15).map(difference));
    other.extend((16..=45).map(difference));
    assert_eq!((other.issues, other.differences.len()), (30, KEPT_MAX));
    one.merge(&other);
    assert_eq!((one.issues, one.differences.len()), (45, KEPT_MAX));
    assert_eq!(one.differences.last().unwrap().subject, "20");
}

// --- Balances ---

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
    fn record(&mut self, event: LedgerEvent) {
        let seq = u64::try_from(self.commits.len()).unwrap() + 1;
        let body = Body::Ledger(LedgerCommit { event, by: None });
        self.commits.push(commit(seq, body));
    }

    fn transfer(&mut self, id: u128, step: TransferStep, legs: TransferLegs) {
        let transfer = Transfer {
            id: TransferId(id),
            step,
            legs,
            linked: false,
            effective: None,
            notes: None,
        };
        let seq = Seq(u64::try_from(self.commits.len()).unwrap() + 1);
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
                limits: crate::ledger::AccountLimits::default(),
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
        (differing.map(|found| found.to_string()).collect(), messages(fold.found()))
    }
}

fn pair_of(commit: &mut Commit) -> &mut crate::ledger::PostedPair {
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
    let expected = format!("reservation of {}: none instead of a reservation that stands", TransferId(6));
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
    let cases: [(&str, Option<AccountKey>, Vec<(AccountKey, AccountState)>, bool, &[AccountKey]); 6] = [
        ("all", None, vec![right(fees), right(bank), right(suspense)], true, &[]),
        ("one of them is wrong", None, vec![right(fees), (bank, state(5))], false, &[bank]),
        ("one between is missing", None, vec![right(fees), right(suspense)], false, &[bank]),
        ("the first is missing", None, vec![right(bank)], false, &[fees]),
        ("the last is missing", Some(bank), vec![], true, &[suspense]),
        ("what comes later is compared later", Some(fees), vec![right(bank)], false, &[]),
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

// --- Payments ---

const PAYMENT: PaymentId = PaymentId::from_bits(77);

fn provider() -> ProviderId {
    ProviderId::parse("stripe").unwrap()
}

fn spec() -> Spec {
    Spec {
        id: PAYMENT,
        merchant: MerchantId::from_bits(5),
        livemode: false,
        key: IdempotencyKey::parse("k").unwrap(),
        key_digest: KeyDigest([1; 16]),
        fingerprint: Fingerprint([2; 16]),
        amount: amount(10_000),
        currency: Currency::USD,
        capture_method: CaptureMethod::Automatic,
        after_decline: DeclinePolicy::Fail,
        customer: None,
        description: None,
        metadata: Vec::new(),
        return_url: None,
        device: Device::default(),
        fee: FeeSchedule::new(300, 0.into()).unwrap(),
        fee_return: FeeReturn::Kept,
        created_at: AT,
    }
}

fn opens(operation: OperationId, kind: OperationKind, minor: i128) -> [Event; 2] {
    [
        Event::OperationOpened {
            operation,
            kind,
            amount: amount(minor),
            is_final: false,
            reason: None,
            at: AT,
        },
        Event::AttemptPlanned {
            operation,
            number: 1,
            provider: provider(),
            key: Arc::from("key"),
            deadline: AT,
        },
    ]
}

fn succeeds(operation: OperationId) -> Event {
    Event::AttemptSucceeded {
        operation,
        number: 1,
        reference: Arc::from("pi_1"),
        transaction: Arc::from("ch_1"),
        authorization_expires_at: None,
    }
}

/// A sale of 100.00 with a fee of 3.00, a refund of 25.00, and a charge that came late: as the product records them.
fn commits() -> Vec<(Seq, PaymentCommit)> {
    let sale = OperationId::Authorize(PAYMENT);
    let refund = OperationId::Refund(crate::ids::RefundId::from_bits(8));
    let created = Event::Created {
        spec: Arc::new(spec()),
        method: PaymentMethod::test("pm_card_visa").unwrap(),
    };
    let mut first = vec![created];
    first.extend(opens(sale, OperationKind::Sale, 10_000));
    let late = Event::LateSuccess {
        operation: sale,
        number: 1,
        provider: provider(),
        amount: amount(10_000),
        transaction: Arc::from("ch_2"),
    };
    let steps = [
        first,
        vec![succeeds(sale)],
        opens(refund, OperationKind::Refund, 2_500).to_vec(),
        vec![succeeds(refund)],
        vec![late],
    ];
    let (mut books, mut payment, mut prev) = (Books::default(), None::<Payment>, Seq::ZERO);
    let mut commits = Vec::new();
    for (seq, events) in (1..).step_by(3).map(Seq).zip(steps) {
        let after = evolve_all(payment.clone(), &events).unwrap().unwrap();
        let done = consequences(payment.as_ref(), &events, &after).unwrap();
        let entry = done.entry.map(|entry| books.post("t", &entry, seq).unwrap());
        let body = PaymentCommit {
            payment: PAYMENT,
            prev,
            events,
            holds: done.holds,
            entry,
        };
        commits.push((seq, body));
        (payment, prev) = (Some(after), seq);
    }
    commits
}

fn traced(commits: &[(Seq, PaymentCommit)]) -> PaymentTrace {
    let mut trace = PaymentTrace::new(PAYMENT);
    for (seq, body) in commits {
        trace.follow(*seq, body);
    }
    trace
}

fn found(commits: &[(Seq, PaymentCommit)]) -> Vec<String> {
    let differences = traced(commits).differences();
    differences
        .iter()
        .map(|difference| format!("{}: {} instead of {}", difference.figure, difference.found, difference.expected))
        .collect()
}

/// The same entry with lines that were changed.
fn lines(body: &mut PaymentCommit, change: impl Fn(&mut Posting)) {
    let entry = body.entry.take().unwrap();
    let changed = entry.lines().iter().map(|line| {
        let mut line = *line;
        change(&mut line.posting);
        line
    });
    body.entry = Some(PostedEntry::checked("t", changed.collect()).unwrap());
}

#[test]
fn a_payment_comes_to_what_it_posted_after_every_commit() {
    let commits = commits();
    for until in 0..=commits.len() {
        assert_eq!(found(&commits[..until]), Vec::<String>::new(), "after {until}");
    }
    let payment = traced(&commits);
    let payment = payment.payment().unwrap();
    let sums = (payment.captured.minor(), payment.refunded.minor(), payment.fee_minor, payment.late_minor);
    assert_eq!(sums, (10_000, 2_500, 300, 10_000));
}

#[test]
fn a_payment_that_posted_something_else_is_found() {
    let mut missing = commits();
    missing[1].1.entry = None;
    let mut half = commits();
    lines(&mut half[3].1, |posting| posting.amount = amount(1_250));
    let mut moved = commits();
    lines(&mut moved[1].1, |posting| posting.account.livemode = true);
    let mut stranger = commits();
    lines(&mut stranger[1].1, |posting| {
        if posting.account.name == AccountName::FeeRevenue {
            posting.account.name = AccountName::Bank;
        }
    });
    let mut unheld = commits();
    unheld[2].1.holds.clear();
    let mut unreferred = commits();
    unreferred[2].1.prev = Seq(1);
    let mut impossible = commits();
    impossible[3].1.events.push(succeeds(OperationId::Authorize(PAYMENT)));
    let cases: [(&str, Vec<(Seq, PaymentCommit)>, &[&str]); 7] = [
        (
            "no entry",
            missing,
            &[
                "provider clearing: 7500 instead of 17500",
                "merchant payable: -2500 instead of 7200",
                "fee revenue: 0 instead of 300",
            ],
        ),
        (
            "half of a refund",
            half,
            &[
                "provider clearing: 18750 instead of 17500",
                "merchant payable: 8450 instead of 7200",
            ],
        ),
        (
            "real money for test money",
            moved,
            &[
                "provider clearing: 7500 instead of 17500",
                "postings elsewhere: 20000 instead of 0",
                "merchant payable: -2500 instead of 7200",
                "fee revenue: 0 instead of 300",
            ],
        ),
        (
            "a fee to somebody else",
            stranger,
            &["postings elsewhere: 300 instead of 0", "fee revenue: 0 instead of 300"],
        ),
        ("no hold", unheld, &["expected debits: -2500 instead of 0"]),
        ("another commit before", unreferred, &["commit before: 1 instead of 4"]),
        (
            "an event that cannot follow",
            impossible,
            &["events: event `attempt.succeeded` cannot follow here: the attempt is resolved already instead of events that can follow"],
        ),
    ];
    for (what, commits, expected) in cases {
        assert_eq!(found(&commits), expected, "{what}");
    }
}

#[test]
fn what_fitted_no_account_and_went_to_suspense_is_no_difference() {
    let mut commits = commits();
    let clearing = system(AccountName::ProviderClearing(provider()));
    let line = |account, side| Line {
        posting: posting(account, side, 10_000),
        balance_after: Balance::ZERO,
        account_prev: Seq::ZERO,
    };
    let diverted = vec![
        line(clearing, Side::Debit),
        line(system(AccountName::Suspense), Side::Credit),
    ];
    commits[1].1.entry = Some(PostedEntry::checked("t", diverted).unwrap());
    assert_eq!(found(&commits), Vec::<String>::new());
    lines(&mut commits[1].1, |posting| posting.amount = amount(9_000));
    assert_eq!(
        found(&commits),
        [
            "provider clearing: 16500 instead of 17500",
            "merchant payable and fee revenue: -2500 instead of -1500"
        ]
    );
}

// --- Rows ---

#[test]
fn a_row_that_lies_is_found_by_what_it_lies_about() {
    let payment = traced(&commits()).payment().unwrap().clone();
    assert_eq!(differing_row(&payment, &payment, Seq(1)), None);
    let lie = |change: fn(&mut Payment)| {
        let mut shown = payment.clone();
        change(&mut shown);
        differing_row(&payment, &shown, Seq(13)).unwrap()
    };
    let cases = [
        (lie(|shown| shown.status = Status::Failed), "status", "succeeded", "failed"),
        (
            lie(|shown| shown.captured = shown.captured.checked_add(amount(1)).unwrap()),
            "captured",
            "10000",
            "10001",
        ),
        (lie(|shown| shown.fee_minor = 0), "fee", "300", "0"),
        (
            lie(|shown| shown.refunded = crate::money::MinorSum::ZERO),
            "refunded",
            "2500",
            "0",
        ),
        (
            lie(|shown| shown.operations.clear()),
            "record",
            "as its commits say",
            "something else",
        ),
    ];
    for (difference, figure, expected, found) in cases {
        assert_eq!(difference.subject, PAYMENT.to_string());
        let words = (difference.figure, difference.expected.as_str(), difference.found.as_str());
        assert_eq!(words, (figure, expected, found));
    }
}
