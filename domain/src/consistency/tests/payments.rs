//! Payments, what they posted, and the rows that show them.

use super::*;
use crate::commit::PaymentCommit;
use crate::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use crate::ids::{MerchantId, OperationId, PaymentId};
use crate::ledger::{Books, Line, PostedEntry, consequences};
use crate::method::PaymentMethod;
use crate::money::{Balance, FeeSchedule};
use crate::payment::{
    CaptureMethod, DeclinePolicy, Device, Event, FeeReturn, OperationKind, Payment, Spec, Status, evolve_all,
};
use crate::provider::ProviderId;
use crate::routing::Wishes;
use crate::time::Timestamp;
use std::sync::Arc;

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
        routing: Wishes::default(),
        off_session: false,
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
        let after = evolve_all(payment.clone(), &events, Timestamp::default())
            .unwrap()
            .unwrap();
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
        trace.follow((*seq, Timestamp::default()), body);
    }
    trace
}

fn found(commits: &[(Seq, PaymentCommit)]) -> Vec<String> {
    let differences = traced(commits).differences();
    differences
        .iter()
        .map(|difference| {
            format!(
                "{}: {} instead of {}",
                difference.figure, difference.found, difference.expected
            )
        })
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
    let payment = traced(&commits).into_payment().unwrap();
    let sums = (
        payment.captured.minor(),
        payment.refunded.minor(),
        payment.fee_minor,
        payment.late_minor,
    );
    assert_eq!(sums, (10_000, 2_500, 300, 10_000));
}

/// What is wrong, with which commits, and what is found.
type Case<'a> = (&'a str, Vec<(Seq, PaymentCommit)>, &'a [&'a str]);

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
    impossible[3]
        .1
        .events
        .push(succeeds(OperationId::Authorize(PAYMENT)));
    let cases: [Case<'_>; 7] = [
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
            &[
                "postings elsewhere: 300 instead of 0",
                "fee revenue: 0 instead of 300",
            ],
        ),
        ("no hold", unheld, &["expected debits: -2500 instead of 0"]),
        (
            "another commit before",
            unreferred,
            &["commit before: 1 instead of 4"],
        ),
        (
            "an event that cannot follow",
            impossible,
            &[
                "events: event `attempt.succeeded` cannot follow here: the attempt is resolved already instead of events that can follow",
            ],
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
            "merchant payable, fee and payment revenue: -2500 instead of -1500"
        ]
    );
}

#[test]
fn a_row_that_lies_is_found_by_what_it_lies_about() {
    let payment = traced(&commits()).into_payment().unwrap();
    assert_eq!(differing_row(&payment, &payment, Seq(1)), None);
    let lie = |change: fn(&mut Payment)| {
        let mut shown = payment.clone();
        change(Arc::make_mut(&mut shown));
        differing_row(&payment, &shown, Seq(13)).unwrap()
    };
    let cases = [
        (
            lie(|shown| shown.status = Status::Failed),
            "status",
            "succeeded",
            "failed",
        ),
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
        let words = (
            difference.figure,
            difference.expected.as_str(),
            difference.found.as_str(),
        );
        assert_eq!(words, (figure, expected, found));
    }
}
