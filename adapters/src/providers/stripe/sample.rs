//! Attempts for the tests of this adapter: 1500 US cents with a test Visa, one of each kind.

use florin_domain::ids::{CaptureId, OperationId, PaymentId, RefundId, VoidId};
use florin_domain::method::PaymentMethod;
use florin_domain::money::{Amount, Currency};
use florin_domain::payment::OperationKind;
use florin_domain::ports::{AttemptRequest, ParentCharge};
use std::sync::Arc;

pub(super) const PAYMENT: &str = "pay_00000000000000000000000007";
pub(super) const CAPTURE: &str = "cap_00000000000000000000000001";
pub(super) const OTHER_CAPTURE: &str = "cap_00000000000000000000000002";
pub(super) const REFUND: &str = "ref_00000000000000000000000004";
pub(super) const INTENT: &str = "pi_1";

pub(super) fn attempt(kind: OperationKind) -> AttemptRequest {
    let payment = PaymentId::from_bits(7);
    let (operation, charges) = match kind {
        OperationKind::Sale | OperationKind::Authorize => (OperationId::Authorize(payment), true),
        OperationKind::Capture => (OperationId::Capture(CaptureId::from_bits(1)), false),
        OperationKind::Void => (OperationId::Void(VoidId::from_bits(3)), false),
        OperationKind::Refund => (OperationId::Refund(RefundId::from_bits(4)), false),
    };
    AttemptRequest {
        payment,
        operation,
        kind,
        amount: Amount::new(1500).unwrap(),
        currency: Currency::USD,
        method: PaymentMethod::test("pm_card_visa").unwrap(),
        key: Arc::from("flo_k"),
        reference: charges.then(|| Arc::from(INTENT)),
        parent: (!charges).then(|| ParentCharge { reference: Arc::from(INTENT) }),
        is_final: true,
        return_url: None,
    }
}
