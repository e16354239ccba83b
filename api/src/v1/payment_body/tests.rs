//! The payment object, byte for byte.

use super::*;
use florin_domain::decline::NetworkDecline;
use florin_domain::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use florin_domain::ids::{CaptureId, MerchantId, RefundId};
use florin_domain::ledger::PostingProfile;
use florin_domain::method::PaymentMethod;
use florin_domain::money::{Amount, Currency, FeeSchedule, MinorSum};
use florin_domain::payment::{Attempt, Booked, DeclinePolicy, Device, Failure, FeeReturn, Spec};
use florin_domain::provider::ProviderId;
use florin_domain::risk::{Action, Assessment};
use florin_domain::routing::Wishes;

pub(crate) fn spec() -> Spec {
    Spec {
        id: PaymentId::from_bits(1),
        merchant: MerchantId::from_bits(2),
        livemode: false,
        key: IdempotencyKey::parse("secret-key").unwrap(),
        key_digest: KeyDigest([0; 16]),
        fingerprint: Fingerprint([0; 16]),
        amount: Amount::new(10_000).unwrap(),
        currency: Currency::USD,
        capture_method: CaptureMethod::Automatic,
        after_decline: DeclinePolicy::Fail,
        customer: None,
        description: Some(Arc::from("a \"quoted\" cup")),
        metadata: vec![
            (Arc::from("order_id"), Arc::from("xyz")),
            (Arc::from("a"), Arc::from("")),
        ],
        return_url: Some(Arc::from("https://shop.example")),
        device: Device::default(),
        fee: FeeSchedule::new(290, "0.30".parse().unwrap()).unwrap(),
        fee_return: FeeReturn::Kept,
        routing: Wishes::default(),
        off_session: false,
        created_at: Timestamp::from_unix_ms(1_700_000_000_999),
    }
}

pub(crate) fn operation(id: OperationId, kind: OperationKind, minor: i128, state: AttemptState) -> Operation {
    let attempt = Attempt {
        number: 1,
        provider: ProviderId::parse("stripe").unwrap(),
        key: Arc::from("provider-key"),
        reference: Some(Arc::from("pi_1")),
        deadline: Timestamp::from_unix_ms(0),
        state,
        unknown_reason: None,
        closing: florin_domain::payment::Closing::default(),
        overdue_since: None,
    };
    Operation {
        id,
        kind,
        amount: Amount::new(minor).unwrap(),
        is_final: true,
        reason: None,
        opened_at: Timestamp::from_unix_ms(1_700_000_001_000),
        attempts: 1,
        attempt: Some(attempt),
        earlier: Vec::new(),
        late: Vec::new(),
        transaction: (state == AttemptState::Succeeded).then(|| Arc::from("ch_1")),
        reverses: None,
        proposal: None,
        // The end of it was booked two seconds after it was asked for, with the fee of a sale of 10,000.
        booked: (state == AttemptState::Succeeded && kind.moves_money()).then(|| Booked {
            at: Timestamp::from_unix_ms(1_700_000_003_000),
            fee_minor: if kind == OperationKind::Refund { 0 } else { 320 },
        }),
        matters: Vec::new(),
        matters_noted: 0,
    }
}

pub(crate) fn payment() -> Payment {
    let sale = OperationId::Authorize(PaymentId::from_bits(1));
    Payment {
        spec: Arc::new(spec()),
        method: PaymentMethod::test("pm_card_visa"),
        risk: Some(Assessment {
            score_bps: 1000,
            action: Action::Allow,
            reasons: vec![Arc::from("new_method")],
            listed: None,
        }),
        status: Status::Succeeded,
        failure: None,
        authorized: MinorSum::from_minor(10_000).unwrap(),
        captured: MinorSum::from_minor(10_000).unwrap(),
        refunded: MinorSum::ZERO,
        fee_minor: 320,
        held_for_review: false,
        capture_closed: true,
        authorization_expires_at: None,
        operations: vec![operation(
            sale,
            OperationKind::Sale,
            10_000,
            AttemptState::Succeeded,
        )],
        late_minor: 0,
        posting_profile: PostingProfile::default(),
        announced: 0,
        requests: Vec::new(),
    }
}

fn shown(payment: &Payment) -> String {
    serde_json::to_string(&PaymentBody::of(payment)).unwrap()
}

#[test]
fn a_succeeded_payment_is_shown_whole() {
    assert_eq!(
        shown(&payment()),
        concat!(
            r#"{"object":"payment","id":"pay_00000000000000000000000001","payment_id":"pay_00000000000000000000000001","#,
            r#""status":"succeeded","amount":10000,"amount_capturable":0,"amount_captured":10000,"amount_refunded":0,"#,
            r#""currency":"USD","fee":320,"net":9680,"capture_method":"automatic","payment_method_id":"pm_card_visa","#,
            r#""payment_method_details":{"type":"card","card":{"brand":"visa","last4":"4242","country":"US"}},"#,
            r#""customer_id":null,"provider":"stripe","processor_transaction_id":"ch_1","#,
            r#""risk":{"score":0.1,"action":"allow","reasons":["new_method"]},"captures":[],"refunds":[],"#,
            r#""created":1700000000,"authorization_expires_at":null,"livemode":false,"#,
            r#""description":"a \"quoted\" cup","metadata":{"order_id":"xyz","a":""},"#,
            r#""failure_code":null,"decline_code":null,"advice_code":null,"next_action":null}"#
        )
    );
}

#[test]
fn operations_failures_and_challenges_are_shown_where_they_are() {
    let mut payment = payment();
    let capture = OperationId::Capture(CaptureId::from_bits(3));
    let refund = OperationId::Refund(RefundId::from_bits(4));
    payment.operations.push(operation(
        capture,
        OperationKind::Capture,
        7000,
        AttemptState::Unknown,
    ));
    payment.operations.push(operation(
        refund,
        OperationKind::Refund,
        50,
        AttemptState::Rejected,
    ));
    payment.refunded = MinorSum::from_minor(2000).unwrap();
    payment.failure = Some(Failure {
        code: "card_declined",
        decline_code: Some(Arc::from("do_not_honor")),
        network: NetworkDecline::of(Some("05"), None),
    });
    payment.status = Status::RequiresAction(NextAction {
        redirect_url: Some(Arc::from("https://bank.example")),
        expires_at: Timestamp::from_unix_ms(5000),
    });
    let value: serde_json::Value = serde_json::from_str(&shown(&payment)).unwrap();
    assert_eq!(value["captures"][0]["status"], "pending");
    assert_eq!(value["captures"][0]["amount"], 7000);
    assert_eq!(value["refunds"][0]["id"], "ref_00000000000000000000000004");
    assert_eq!(value["refunds"][0]["status"], "failed");
    assert_eq!(value["refunds"].as_array().unwrap().len(), 1);
    assert_eq!(value["net"], 10_000 - 2000 - 320);
    assert_eq!(value["decline_code"], "do_not_honor");
    assert_eq!(value["network_decline_code"], "05");
    assert!(value.get("network_advice_code").is_none(), "{value}");
    assert_eq!(
        value["next_action"]["redirect_to_url"]["url"],
        "https://bank.example"
    );
    assert_eq!(
        value["next_action"]["redirect_to_url"]["return_url"],
        "https://shop.example"
    );
    assert_eq!(value["next_action"]["expires_at"], 5);
}

#[test]
fn keys_are_never_shown() {
    let text = shown(&payment());
    assert!(
        !text.contains("secret-key") && !text.contains("provider-key"),
        "{text}"
    );
}

#[test]
fn every_score_is_written_as_its_exact_decimal() {
    for bps in 0..=10_000_u32 {
        let expected = format!("{}.{:04}", bps / 10_000, bps % 10_000);
        let expected = expected.trim_end_matches('0');
        let expected = if expected.ends_with('.') {
            format!("{expected}0")
        } else {
            expected.to_owned()
        };
        assert_eq!(serde_json::to_string(&score(bps)).unwrap(), expected);
    }
}
