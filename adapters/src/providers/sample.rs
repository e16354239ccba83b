//! For the tests of all adapters: attempts of each kind over 1500 US cents with a test Visa, recorded answers, and outcomes in a line.

use super::connection::Reply;
use bytes::Bytes;
use florin_domain::credentials::KeyOwner;
use florin_domain::ids::{
    CaptureId, IncrementId, MerchantId, OperationId, PaymentId, RefundId, ReversalId, VoidId,
};
use florin_domain::method::PaymentMethod;
use florin_domain::money::{Amount, Currency, MinorSum};
use florin_domain::payment::OperationKind;
use florin_domain::ports::{AttemptRequest, ParentCharge};
use florin_domain::provider::Outcome;
use florin_domain::time::Timestamp;
use std::path::Path;
use std::sync::Arc;

/// What is no charge is about `parent`, which has authorized so much.
pub(super) fn attempt(kind: OperationKind, parent: &str, authorized_minor: i128) -> AttemptRequest {
    let payment = PaymentId::from_bits(7);
    let (operation, charges) = match kind {
        OperationKind::Sale | OperationKind::Authorize => (OperationId::Authorize(payment), true),
        OperationKind::Capture => (OperationId::Capture(CaptureId::from_bits(1)), false),
        OperationKind::Void => (OperationId::Void(VoidId::from_bits(3)), false),
        OperationKind::Refund => (OperationId::Refund(RefundId::from_bits(4)), false),
        OperationKind::Increment => (OperationId::Increment(IncrementId::from_bits(5)), false),
        OperationKind::Reversal => (OperationId::Reversal(ReversalId::from_bits(6)), false),
    };
    let authorized = Amount::new(authorized_minor).unwrap();
    AttemptRequest {
        merchant: MerchantId::from_bits(1),
        made_at: Timestamp::from_unix_ms(1_000),
        payment,
        operation,
        kind,
        amount: Amount::new(1500).unwrap(),
        currency: Currency::USD,
        method: PaymentMethod::test("pm_card_visa").unwrap(),
        key: Arc::from("flo_k"),
        reference: None,
        parent: (!charges).then(|| ParentCharge {
            reference: Arc::from(parent),
            authorized: MinorSum::ZERO.checked_add(authorized).unwrap(),
        }),
        is_final: true,
        return_url: None,
        off_session: false,
        details: None,
    }
}

/// A payload of `tests/data/providers/<provider>`.
pub(super) fn payload(provider: &str, name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/providers");
    std::fs::read_to_string(folder.join(provider).join(name).with_extension("json")).unwrap()
}

pub(super) fn reply(status: u16, body: &(impl ToString + ?Sized)) -> Reply {
    Reply {
        status,
        retry_after_s: None,
        body: Bytes::from(body.to_string()),
        key: KeyOwner::Platform,
    }
}

/// An outcome in one line: what the core decides by, without the operators' texts.
pub(super) fn line(outcome: &Outcome) -> String {
    let or_none = |text: &Option<Arc<str>>| text.as_deref().unwrap_or("-").to_owned();
    match outcome {
        Outcome::Succeeded {
            reference,
            transaction,
            amount_minor,
        } => format!("succeeded {reference} {transaction} {amount_minor}"),
        Outcome::Declined {
            decline_code,
            reference,
            network,
        } => {
            let by_network = [&network.decline_code, &network.advice_code];
            let by_network = by_network.map(|code| {
                code.as_deref()
                    .map_or_else(String::new, |code| format!(" {code}"))
            });
            format!(
                "declined {decline_code} {}{}",
                or_none(reference),
                by_network.concat()
            )
        }
        Outcome::ActionRequired {
            reference,
            redirect_url,
        } => format!("action {reference} {}", or_none(redirect_url)),
        Outcome::Pending { reference } => format!("pending {reference}"),
        Outcome::Cancelled { reference } => format!("cancelled {}", or_none(reference)),
        Outcome::NotSent { .. } => "not sent".to_owned(),
        Outcome::RateLimited { retry_after } => format!("rate limited {}", retry_after.0),
        Outcome::Rejected { .. } => "rejected".to_owned(),
        Outcome::Unknown { reference, .. } => format!("unknown {}", or_none(reference)),
    }
}
