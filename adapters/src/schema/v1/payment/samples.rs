//! Payments for the tests of what stores them.

use florin_domain::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use florin_domain::ids::{MerchantId, PaymentId, ShardId, compose};
use florin_domain::ledger::PostingProfile;
use florin_domain::method::PaymentMethod;
use florin_domain::money::{Amount, Currency, FeeSchedule, MinorSum};
use florin_domain::payment::{CaptureMethod, DeclinePolicy, Device, FeeReturn, Payment, Spec, Status};
use florin_domain::routing::Wishes;
use florin_domain::time::Timestamp;
use rust_decimal::Decimal;
use std::sync::Arc;

pub(crate) fn payment_id(at_ms: u64, entropy: u64) -> PaymentId {
    PaymentId::from_bits(compose(Timestamp::from_unix_ms(at_ms), ShardId::FIRST, entropy))
}

/// The specification of payment `id`; digest and fingerprint are made of its bits.
pub(crate) fn spec(id: PaymentId, merchant: MerchantId, livemode: bool, created_at: Timestamp) -> Spec {
    Spec {
        id,
        merchant,
        livemode,
        key: IdempotencyKey::parse(&format!("order-{id}")).unwrap(),
        key_digest: KeyDigest(id.bits().to_be_bytes()),
        fingerprint: Fingerprint((!id.bits()).to_be_bytes()),
        amount: Amount::new(10_000).unwrap(),
        currency: Currency::EUR,
        capture_method: CaptureMethod::Automatic,
        after_decline: DeclinePolicy::Fail,
        customer: Some("cus_1".into()),
        description: None,
        metadata: vec![("order".into(), "4711".into())],
        return_url: Some("https://shop.example/return".into()),
        device: Device {
            fingerprint: Some("fp".into()),
            ip: Some("192.0.2.7".into()),
            country: Some(*b"DE"),
        },
        fee: FeeSchedule::new(290, Decimal::new(30, 2)).unwrap(),
        fee_return: FeeReturn::Kept,
        routing: Wishes::default(),
        off_session: false,
        created_at,
    }
}

/// A payment that exists and has come nowhere yet.
pub(crate) fn payment(spec: Spec) -> Payment {
    Payment {
        spec: Arc::new(spec),
        method: PaymentMethod::test("pm_card_visa"),
        risk: None,
        status: Status::Processing,
        failure: None,
        authorized: MinorSum::ZERO,
        captured: MinorSum::ZERO,
        refunded: MinorSum::ZERO,
        fee_minor: 0,
        held_for_review: false,
        capture_closed: false,
        authorization_expires_at: None,
        operations: Vec::new(),
        late_minor: 0,
        requests: Vec::new(),
        posting_profile: PostingProfile::default(),
        announced: 0,
    }
}
