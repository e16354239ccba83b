//! For the tests of this adapter: attempts as Adyen knows them, and answers in the shape of its specification.

use crate::providers::connection::Reply;
<<<<<<< HEAD
use bytes::Bytes;
use florin_domain::ids::{CaptureId, IncrementId, OperationId, PaymentId, RefundId, ReversalId, VoidId};
use florin_domain::method::PaymentMethod;
use florin_domain::money::{Amount, Currency, MinorSum};
=======
use crate::providers::sample;
>>>>>>> kit
use florin_domain::payment::OperationKind;
use florin_domain::ports::AttemptRequest;

pub(super) use crate::providers::sample::line;

pub(super) const PSP: &str = "GF4HBGNJ6TJZNN82";
pub(super) const OURS: &str = "pay_00000000000000000000000007.flo_k";

pub(super) fn attempt(kind: OperationKind) -> AttemptRequest {
<<<<<<< HEAD
    let payment = PaymentId::from_bits(7);
    let (operation, charges) = match kind {
        OperationKind::Sale | OperationKind::Authorize => (OperationId::Authorize(payment), true),
        OperationKind::Capture => (OperationId::Capture(CaptureId::from_bits(1)), false),
        OperationKind::Void => (OperationId::Void(VoidId::from_bits(3)), false),
        OperationKind::Refund => (OperationId::Refund(RefundId::from_bits(4)), false),
        OperationKind::Increment => (OperationId::Increment(IncrementId::from_bits(5)), false),
        OperationKind::Reversal => (OperationId::Reversal(ReversalId::from_bits(6)), false),
    };
    AttemptRequest {
        payment,
        operation,
        kind,
        amount: Amount::new(1500).unwrap(),
        currency: Currency::USD,
        method: PaymentMethod::test("pm_card_visa").unwrap(),
        key: Arc::from("flo_k"),
        reference: None,
        parent: (!charges).then(|| ParentCharge {
            reference: Arc::from(PSP),
            authorized: MinorSum::ZERO.checked_add(Amount::new(1500).unwrap()).unwrap(),
        }),
        is_final: true,
        return_url: None,
        details: None,
    }
=======
    sample::attempt(kind, PSP, 1500)
>>>>>>> kit
}

pub(super) fn payload(name: &str) -> String {
    sample::payload("adyen", name)
}

pub(super) fn reply(status: u16, name: &str) -> Reply {
    sample::reply(status, &payload(name))
}
