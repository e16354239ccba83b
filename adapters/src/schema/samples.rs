//! Fixed values for tests: one of every event. The golden files hold their stored forms, so they never change; a new variant gets a
//! new sample at the end of its chain.

mod control;
mod creation;
mod ledger;
mod route;

pub(crate) use control::{
    control_events, fee_versions, journaled_credentials, list_entry, profile_versions, routing_versions,
};
pub(crate) use creation::creation;
pub(crate) use ledger::{commit_of_ledger_event, fraud_checks, general_ledger, ledger_events, reverts};
pub(crate) use route::{
    decline_rules, last_reason, late_reasons, network_decline, unattended_creation, wished_creation,
};

use florin_domain::commit::{Body, Commit, PaymentCommit};
use florin_domain::decline::NetworkDecline;
use florin_domain::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use florin_domain::ids::{
    CaptureId, ListEntryId, MerchantId, OperationId, PaymentId, RefundId, ReversalId, Seq, ShardId, VoidId,
};
use florin_domain::ledger::{
    AccountKey, AccountName, FeeRecognition, HoldChange, Line, PostedEntry, Posting, PostingModel,
    PostingProfile, Side,
};
use florin_domain::method::{CardBrand, PaymentMethod};
use florin_domain::money::{Amount, Balance, Currency, FeeSchedule, Rounding};
use florin_domain::payment::{
    CaptureMethod, DeclinePolicy, Device, Event, FeeReturn, Matter, MatterKind, Note, OperationKind, Request,
    RequestKind, Resolution, Spec,
};
use florin_domain::provider::ProviderId;
use florin_domain::risk::{Action, Assessment, ListKind, ListMatch, ListName};
use florin_domain::routing::Wishes;
use florin_domain::time::Timestamp;
use rust_decimal::Decimal;
use std::iter::successors;
use std::sync::Arc;

const PAYMENT: PaymentId = PaymentId::from_bits(0x0193_0000_0001_0000_1111_2222_3333_4444);
const MERCHANT: MerchantId = MerchantId::from_bits(0x0192_ffff_0002_0000_5555_6666_7777_8888);
const AUTHORIZE: OperationId = OperationId::Authorize(PAYMENT);
const CAPTURE: OperationId = OperationId::Capture(CaptureId::from_bits(0xca97));
const VOID: OperationId = OperationId::Void(VoidId::from_bits(0x701d));
const REFUND: OperationId = OperationId::Refund(RefundId::from_bits(u128::MAX));
const AT: Timestamp = Timestamp::from_unix_ms(1_731_000_000_123);

fn amount(minor: i128) -> Amount {
    Amount::new(minor).unwrap()
}

fn provider() -> ProviderId {
    ProviderId::parse("stripe").unwrap()
}

pub(crate) fn spec() -> Spec {
    Spec {
        id: PAYMENT,
        merchant: MERCHANT,
        livemode: true,
        key: IdempotencyKey::parse("order-4711/try 1").unwrap(),
        key_digest: KeyDigest(*b"0123456789abcdef"),
        fingerprint: Fingerprint([0xfe; 16]),
        amount: amount(10_000),
        currency: Currency::USD,
        capture_method: CaptureMethod::Manual,
        after_decline: DeclinePolicy::AwaitMethod,
        customer: Some("cus_9".into()),
        description: Some("three pears, ½ lb".into()),
        metadata: vec![("order_id".into(), "4711".into()), ("z".into(), "".into())],
        return_url: Some("https://shop.example/back".into()),
        device: Device {
            fingerprint: Some("dev-1".into()),
            ip: Some("192.0.2.7".into()),
            country: Some(*b"DE"),
        },
        fee: FeeSchedule::new(290, Decimal::new(30, 2))
            .unwrap()
            .with_rounding(Rounding::HalfUp),
        fee_return: FeeReturn::Returned,
        routing: Wishes::default(),
        off_session: false,
        created_at: AT,
    }
}

fn method(name: &str) -> PaymentMethod {
    PaymentMethod {
        id: name.into(),
        brand: CardBrand::Mastercard,
        last4: *b"4444",
        country: *b"FR",
        is_new: true,
        is_highest_risk: false,
        stored: None,
    }
}

/// The sample after this one. The match is exhaustive: a new variant has to join the chain.
#[expect(clippy::too_many_lines, reason = "a flat chain: one row per event")]
fn after(event: &Event) -> Option<Event> {
    let number = 1;
    let reference: Arc<str> = "pi_3Abc".into();
    Some(match event {
        Event::Created { .. } => Event::RiskAssessed(Assessment {
            score_bps: 5_500,
            action: Action::Review,
            reasons: vec!["velocity".into(), "location".into()],
            listed: None,
        }),
        Event::RiskAssessed(_) => Event::Blocked,
        Event::Blocked => Event::ReviewOpened { deadline: AT },
        Event::ReviewOpened { .. } => Event::ReviewApproved,
        Event::ReviewApproved => Event::ReviewRejected,
        Event::ReviewRejected => Event::ReviewExpired,
        Event::ReviewExpired => Event::MethodReplaced {
            method: method("pm_second"),
        },
        Event::MethodReplaced { .. } => Event::OperationOpened {
            operation: CAPTURE,
            kind: OperationKind::Capture,
            amount: amount(Amount::MAX_MINOR),
            is_final: true,
            reason: Some("as agreed".into()),
            at: AT,
        },
        Event::OperationOpened { .. } => Event::AttemptPlanned {
            operation: AUTHORIZE,
            number,
            provider: provider(),
            key: "k".repeat(64).into(),
            deadline: AT,
        },
        Event::AttemptPlanned { .. } => Event::AttemptReferenced {
            operation: AUTHORIZE,
            number,
            reference,
        },
        Event::AttemptReferenced { .. } => Event::AttemptSucceeded {
            operation: AUTHORIZE,
            number: 300,
            reference,
            transaction: "ch_3Xyz".into(),
            authorization_expires_at: Some(AT),
        },
        Event::AttemptSucceeded { .. } => {
            let decline_code = "insufficient_funds".into();
            Event::AttemptDeclined {
                operation: AUTHORIZE,
                number,
                decline_code,
                reference: Some(reference),
                network: NetworkDecline::NONE,
            }
        }
        Event::AttemptDeclined { .. } => Event::AttemptActionRequired {
            operation: AUTHORIZE,
            number,
            reference,
            redirect_url: None,
            expires_at: AT,
        },
        Event::AttemptActionRequired { .. } => Event::AttemptPending {
            operation: REFUND,
            number,
            reference,
        },
        Event::AttemptPending { .. } => {
            let reason = "read timeout".into();
            Event::AttemptUnknown {
                operation: VOID,
                number,
                reason,
                reference: None,
            }
        }
        Event::AttemptUnknown { .. } => Event::AttemptNotSent {
            operation: CAPTURE,
            number,
            reason: "connect refused".into(),
        },
        Event::AttemptNotSent { .. } => Event::AttemptRejected {
            operation: REFUND,
            number,
            reason: "invalid api key".into(),
        },
        Event::AttemptRejected { .. } => Event::AttemptCancelled {
            operation: VOID,
            number: u32::MAX,
        },
        Event::AttemptCancelled { .. } => Event::LateSuccess {
            operation: AUTHORIZE,
            number,
            provider: provider(),
            amount: amount(1),
            transaction: "ch_late".into(),
        },
        Event::LateSuccess { .. } => Event::Abandoned,
        Event::Abandoned => Event::AuthorizationExpired,
        Event::AuthorizationExpired => Event::Requested { request: request() },
        Event::Requested { .. } => Event::ResolutionProposed {
            operation: CAPTURE,
            number,
            resolution: resolution("Ada"),
        },
        Event::ResolutionProposed { .. } => Event::ResolutionConfirmed {
            operation: CAPTURE,
            number,
            resolution: resolution("Grace"),
        },
        Event::ResolutionConfirmed { .. } => Event::ListMatched {
            listed: ListMatch {
                list: ListName::Block,
                kind: ListKind::Ip,
                entry: ListEntryId::from_bits(0x11e),
                is_of_platform: false,
                reason: "a ring, ½ caught".into(),
            },
        },
        Event::ListMatched { .. } => Event::HeldForReview,
        Event::HeldForReview => Event::PostingProfileChosen {
            profile: PostingProfile {
                posting: PostingModel::MerchantOfRecord,
                fee_recognition: FeeRecognition::AtSettlement,
            },
        },
        Event::PostingProfileChosen { .. } => Event::Routed {
            operation: AUTHORIZE,
            number,
            route: Arc::new(route::route()),
        },
        Event::Routed { .. } => Event::LateReversal {
            operation: REFUND,
            number,
            provider: provider(),
            amount: amount(2),
            transaction: "NC6HT9CRT65ZGN82/taken_back".into(),
        },
        Event::LateReversal { .. } => Event::ReversalOpened {
            operation: OperationId::Reversal(ReversalId::from_bits(0x2e7)),
            of: AUTHORIZE,
            number: 300,
            provider: provider(),
            transaction: "ch_late".into(),
            reference,
            amount: amount(Amount::MAX_MINOR),
            at: AT,
        },
        Event::ReversalOpened { .. } => Event::RetryRefused {
            decline_code: "retry_limit_month".into(),
        },
        Event::RetryRefused { .. } => Event::DeclineRetried {
            operation: AUTHORIZE,
            number,
        },
        Event::DeclineRetried { .. } => Event::AttemptClosingAsked {
            operation: AUTHORIZE,
            number,
            at: AT,
        },
        Event::AttemptClosingAsked { .. } => Event::AttemptClosingRefused {
            operation: AUTHORIZE,
            number,
        },
        Event::AttemptClosingRefused { .. } => Event::AttemptToldMade {
            operation: AUTHORIZE,
            number: 300,
            reference,
            transaction: "QFQTPCQ8HXSKGK82".into(),
        },
        Event::AttemptToldMade { .. } => Event::TransactionClosed {
            operation: AUTHORIZE,
            number: 300,
            transaction: "QFQTPCQ8HXSKGK82".into(),
        },
        Event::TransactionClosed { .. } => Event::AttemptOverdue {
            operation: REFUND,
            number,
            at: AT,
        },
        Event::AttemptOverdue { .. } => Event::MatterRaised {
            operation: AUTHORIZE,
            matter: Matter {
                number: 300,
                kind: MatterKind::DoneInOtherCurrency,
                said: "ch_late".into(),
                amount_minor: -7,
                currency: Currency::EUR,
                at: AT,
            },
        },
        Event::MatterRaised { .. } => Event::MattersNoted {
            operation: AUTHORIZE,
            note: Note {
                evidence: "statement of 3 May, line 12".into(),
                reason: "ticket 4711".into(),
                operator: "Ada".into(),
            },
        },
        Event::MattersNoted { .. } => Event::AttemptsExhausted,
        Event::AttemptsExhausted => Event::Drafted {
            spec: Arc::new(spec()),
            method: Some(method("pm_card_visa")),
        },
        Event::Drafted { .. } => Event::Amended {
            amount: amount(12_345),
            method: None,
            description: Some("four pears".into()),
            metadata: vec![("order_id".into(), "4712".into())],
        },
        Event::Amended { .. } => Event::Confirmed {
            method: method("pm_second"),
        },
        Event::Confirmed { .. } => Event::OperationGivenUp {
            operation: OperationId::Refund(RefundId::from_bits(0x77)),
        },
        Event::OperationGivenUp { .. } => return None,
    })
}

fn resolution(operator: &str) -> Resolution {
    Resolution {
        transaction: Some("ch_7Found".into()),
        evidence: "statement of 3 May, line 12".into(),
        reason: "ticket 4711".into(),
        operator: operator.into(),
    }
}

/// A request about a payment.
pub(crate) fn request() -> Request {
    Request {
        key: IdempotencyKey::parse("refund-7").unwrap(),
        key_digest: KeyDigest([0x2b; 16]),
        fingerprint: Fingerprint([0x3c; 16]),
        kind: RequestKind::Refund,
        operation: REFUND,
        operator: Some("Ada".into()),
    }
}

/// One of every payment event.
pub(crate) fn events() -> Vec<Event> {
    let first = Event::Created {
        spec: Arc::new(spec()),
        method: method("pm_card_mastercard"),
    };
    successors(Some(first), after).collect()
}

pub(crate) fn commit_of(body: Body) -> Commit {
    Commit {
        shard: ShardId(0),
        seq: Seq(7),
        at: AT,
        body,
    }
}

/// A commit that says this one thing.
pub(crate) fn commit_of_event(event: Event) -> Commit {
    let body = PaymentCommit {
        payment: PAYMENT,
        prev: Seq(3),
        events: vec![event],
        holds: Vec::new(),
        entry: None,
    };
    commit_of(Body::Payment(body))
}

fn line(name: AccountName, side: Side, minor: i128, balance_minor: i128) -> Line {
    Line {
        posting: Posting {
            account: AccountKey {
                name,
                currency: Currency::JPY,
                livemode: true,
            },
            side,
            amount: amount(minor),
        },
        balance_after: Balance::from_minor(balance_minor).unwrap(),
        account_prev: Seq(u64::from(u32::MAX)),
    }
}

/// A commit that touches every kind of account, in both modes.
pub(crate) fn commit_with_entry() -> Commit {
    let clearing = AccountName::ProviderClearing(provider());
    let lines = vec![
        line(clearing, Side::Debit, 10_000, 10_i128.pow(27)),
        line(
            AccountName::MerchantPayable(MERCHANT),
            Side::Credit,
            9_000,
            -9_000,
        ),
        line(AccountName::FeeRevenue, Side::Credit, 998, 998),
        line(AccountName::Suspense, Side::Credit, 2, i128::from(i64::MAX) + 1),
        line(AccountName::ProcessingFees, Side::Debit, 30, 30),
        line(AccountName::Bank, Side::Credit, 29, -10_i128.pow(27)),
        line(AccountName::Rounding, Side::Credit, 1, 0),
    ];
    let account = AccountKey {
        name: AccountName::MerchantPayable(MERCHANT),
        currency: Currency::JPY,
        livemode: false,
    };
    let hold = HoldChange {
        account,
        credit_delta_minor: -10_000,
        debit_delta_minor: 1_i128 << 100,
    };
    let body = PaymentCommit {
        payment: PAYMENT,
        prev: Seq(u64::MAX),
        events: Vec::new(),
        holds: vec![hold],
        entry: Some(PostedEntry::checked("sample", lines).unwrap()),
    };
    commit_of(Body::Payment(body))
}

/// A commit on the accounts that came later: what is our own sale, and what an operator books.
pub(crate) fn commit_with_later_accounts() -> Commit {
    let lines = vec![
        line(AccountName::PaymentRevenue, Side::Credit, 10_000, 10_000),
        line(AccountName::RefundsPayable, Side::Credit, 2, 2),
        line(AccountName::Chargebacks, Side::Debit, 10_003, 10_003),
        line(AccountName::Equity, Side::Credit, 1, 1),
    ];
    let body = PaymentCommit {
        payment: PAYMENT,
        prev: Seq(1),
        events: Vec::new(),
        holds: Vec::new(),
        entry: Some(PostedEntry::checked("sample", lines).unwrap()),
    };
    commit_of(Body::Payment(body))
}
