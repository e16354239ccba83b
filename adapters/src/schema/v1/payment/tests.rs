//! Every state of a payment comes back as it was.

use super::samples::{payment, payment_id, spec};
use super::{decode, encode};
use crate::schema::DecodeError;
use florin_domain::decline::NetworkDecline;
use florin_domain::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use florin_domain::ids::{CaptureId, IncrementId, MerchantId, OperationId, RefundId, ReversalId, VoidId};
use florin_domain::money::{Amount, Currency, MinorSum};
use florin_domain::payment::{
    Attempt, AttemptState, Booked, Closing, Event, Failure, LateCharge, Matter, MatterKind, NextAction,
    Operation, OperationKind, Payment, Request, RequestKind, Resolution, Reversed, Status, evolve_all,
};
use florin_domain::provider::ProviderId;
use florin_domain::risk::{Action, Assessment};
use florin_domain::time::Timestamp;
use proptest::option;
use proptest::prelude::*;
use std::sync::Arc;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

fn fresh() -> Payment {
    payment(spec(payment_id(7, 1), MerchantId::from_bits(9), true, at(7)))
}

fn stored(payment: &Payment) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(payment, &mut bytes);
    bytes
}

fn text() -> impl Strategy<Value = Arc<str>> {
    "[a-z_é]{0,12}".prop_map(Arc::from)
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![
        Just(Status::RequiresPaymentMethod),
        Just(Status::RequiresConfirmation),
        (option::of(text()), any::<u64>()).prop_map(|(redirect_url, ms)| {
            Status::RequiresAction(NextAction {
                redirect_url,
                expires_at: at(ms),
            })
        }),
        any::<u64>().prop_map(|ms| Status::InReview { deadline: at(ms) }),
        Just(Status::Processing),
        Just(Status::Authorized),
        Just(Status::Succeeded),
        Just(Status::Failed),
        Just(Status::Blocked),
        Just(Status::Voided),
    ]
}

fn amount() -> impl Strategy<Value = Amount> {
    (Amount::MIN_MINOR..=Amount::MAX_MINOR).prop_map(|minor| Amount::new(minor).unwrap())
}

fn sum() -> impl Strategy<Value = MinorSum> {
    (0..=10_i128.pow(27)).prop_map(|minor| MinorSum::from_minor(minor).unwrap())
}

fn provider() -> impl Strategy<Value = ProviderId> {
    "[a-z0-9_]{1,16}".prop_map(|name| ProviderId::parse(&name).unwrap())
}

prop_compose! {
    fn closing()(
        asked_at in option::of(any::<u64>()),
        is_refused: bool,
        (made, closed) in (option::of(text()), option::of(text())),
        has_expired: bool,
    ) -> Closing {
        Closing { asked_at: asked_at.map(at), is_refused, made, closed, has_expired }
    }
}

prop_compose! {
    fn attempt()(
        number: u32,
        provider in provider(),
        key in text(),
        reference in option::of(text()),
        deadline: u64,
        state in prop::sample::select(vec![
            AttemptState::Open,
            AttemptState::Pending,
            AttemptState::ActionRequired,
            AttemptState::Unknown,
            AttemptState::Succeeded,
            AttemptState::Declined,
            AttemptState::NotSent,
            AttemptState::Rejected,
            AttemptState::Cancelled,
            AttemptState::GivenUp,
        ]),
        unknown_reason in option::of(text()),
        closing in closing(),
        overdue_ms in option::of(any::<u64>()),
    ) -> Attempt {
        let overdue_since = overdue_ms.map(at);
        Attempt { number, provider, key, reference, deadline: at(deadline), state, unknown_reason, closing, overdue_since }
    }
}

prop_compose! {
    fn late()(number: u32, provider in provider(), amount in amount(), transaction in text()) -> LateCharge {
        LateCharge { number, provider, amount, transaction }
    }
}

fn operation_id() -> impl Strategy<Value = OperationId> {
    (0..6_u8, any::<u64>()).prop_map(|(kind, n)| match kind {
        0 => OperationId::Authorize(payment_id(1, n)),
        1 => OperationId::Capture(CaptureId::from_bits(n.into())),
        2 => OperationId::Void(VoidId::from_bits(n.into())),
        3 => OperationId::Increment(IncrementId::from_bits(n.into())),
        4 => OperationId::Reversal(ReversalId::from_bits(n.into())),
        _ => OperationId::Refund(RefundId::from_bits(u128::MAX - u128::from(n))),
    })
}

prop_compose! {
    fn resolution()(transaction in option::of(text()), evidence in text(), reason in text(), operator in text()) -> Resolution {
        Resolution { transaction, evidence, reason, operator }
    }
}

prop_compose! {
    fn request()(
        digests: [[u8; 16]; 2],
        kind in prop::sample::select(vec![RequestKind::Capture, RequestKind::Refund, RequestKind::Complete, RequestKind::Resolve, RequestKind::Increment]),
        operation in operation_id(),
        operator in option::of(text()),
    ) -> Request {
        Request {
            key: IdempotencyKey::parse("key 1").unwrap(),
            key_digest: KeyDigest(digests[0]),
            fingerprint: Fingerprint(digests[1]),
            kind,
            operation,
            operator,
        }
    }
}

prop_compose! {
    fn reversed()(
        of in operation_id(),
        number: u32,
        provider in provider(),
        (transaction, reference) in (text(), text()),
        asked in prop::sample::select(vec![OperationKind::Refund, OperationKind::Void]),
        given_minor: i128,
    ) -> Reversed {
        Reversed { of, number, provider, transaction, reference, asked, given_minor }
    }
}

prop_compose! {
    fn matter()(
        number: u32,
        kind in prop::sample::select(MatterKind::ALL.to_vec()),
        said in text(),
        amount_minor: i128,
        currency in prop::sample::select(vec![Currency::EUR, Currency::USD]),
        ms: u64,
    ) -> Matter {
        Matter { number, kind, said, amount_minor, currency, at: at(ms) }
    }
}

prop_compose! {
    fn operation()(
        id in operation_id(),
        kind in prop::sample::select(vec![
            OperationKind::Sale,
            OperationKind::Authorize,
            OperationKind::Capture,
            OperationKind::Void,
            OperationKind::Refund,
            OperationKind::Increment,
            OperationKind::Reversal,
        ]),
        amount in amount(),
        is_final: bool,
        reason in option::of(text()),
        opened_at: u64,
        attempts: u32,
        attempt in option::of(attempt()),
        earlier in prop::collection::vec(attempt(), 0..3),
        late in prop::collection::vec(late(), 0..3),
        (transaction, proposal, reverses) in (option::of(text()), option::of(resolution()), option::of(reversed())),
        (matters, noted) in (prop::collection::vec(matter(), 0..3), 0..3_usize),
        booked in option::of((any::<u64>(), any::<i128>())),
    ) -> Operation {
        let booked = booked.map(|(ms, fee_minor)| Booked { at: at(ms), fee_minor });
        let (opened_at, matters_noted) = (at(opened_at), noted.min(matters.len()));
        Operation {
            id, kind, amount, is_final, reason, opened_at, attempts, attempt, earlier, late, transaction, proposal, reverses, booked,
            matters, matters_noted,
        }
    }
}

prop_compose! {
    fn assessment()(
        score_bps: u32,
        action in prop::sample::select(vec![Action::Allow, Action::Review, Action::Block]),
        reasons in prop::collection::vec(text(), 0..3),
    ) -> Assessment {
        Assessment { score_bps, action, reasons, listed: None }
    }
}

prop_compose! {
    fn any_payment()(
        risk in option::of(assessment()),
        status in status(),
        decline_code in option::of(option::of(text())),
        network in (option::of(text()), option::of(text())),
        sums in (sum(), sum(), sum()),
        minors in any::<(i128, i128)>(),
        flags: [bool; 2],
        requests in prop::collection::vec(request(), 0..3),
        expires in option::of(any::<u64>()),
        operations in prop::collection::vec(operation(), 0..4),
    ) -> Payment {
        Payment {
            risk,
            status,
            failure: decline_code.map(|decline_code| {
                let code = if flags[0] { "card_declined" } else { Failure::ATTEMPTS_EXHAUSTED };
                let network = NetworkDecline { decline_code: network.0, advice_code: network.1 };
                Failure { code, decline_code, network }
            }),
            authorized: sums.0,
            captured: sums.1,
            refunded: sums.2,
            fee_minor: minors.0,
            late_minor: minors.1,
            held_for_review: flags[0],
            capture_closed: flags[1],
            requests,
            authorization_expires_at: expires.map(at),
            operations,
            ..fresh()
        }
    }
}

proptest! {
    #[test]
    fn a_stored_payment_reads_back_as_it_was(payment in any_payment()) {
        prop_assert_eq!(decode(&stored(&payment)), Ok(payment));
    }

    #[test]
    fn a_payment_cut_short_is_refused(payment in any_payment(), cut in any::<prop::sample::Index>()) {
        let bytes = stored(&payment);
        prop_assert!(decode(&bytes[..cut.index(bytes.len())]).is_err());
    }
}

#[test]
fn whatever_the_domain_makes_of_a_decline_or_a_block_reads_back() {
    let start = fresh();
    let id = start.authorize_id();
    let open = [
        Event::OperationOpened {
            operation: id,
            kind: OperationKind::Sale,
            amount: start.spec.amount,
            is_final: true,
            reason: None,
            at: at(8),
        },
        Event::AttemptPlanned {
            operation: id,
            number: 1,
            provider: ProviderId::parse("sandbox").unwrap(),
            key: "k".into(),
            deadline: at(9),
        },
        Event::AttemptDeclined {
            operation: id,
            number: 1,
            decline_code: "expired_card".into(),
            reference: None,
            network: NetworkDecline::of(Some("54"), Some("01")),
        },
    ];
    for events in [&open[..], &[Event::Blocked]] {
        let folded = evolve_all(Some(start.clone()), events, at(9)).unwrap().unwrap();
        assert!(folded.failure.is_some(), "{events:?}");
        assert_eq!(decode(&stored(&folded)), Ok(folded));
    }
}

#[test]
fn an_unheard_of_failure_code_is_refused() {
    let failed = Payment {
        failure: Some(Failure {
            code: "out_of_cheese",
            decline_code: None,
            network: NetworkDecline::NONE,
        }),
        ..fresh()
    };
    assert!(matches!(
        decode(&stored(&failed)),
        Err(DecodeError::Impossible {
            what: "failure code",
            ..
        })
    ));
}
