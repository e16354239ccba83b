//! Our references at Adyen, which its notifications bring back. Each names one attempt: its payment, its operation unless that is the
//! charge itself, and the end of the attempt's key. An attempt with another card is therefore neither closed nor decided by what is
//! said of the one before.

use florin_domain::ids::{CaptureId, IncrementId, OperationId, PaymentId, RefundId, VoidId};
use florin_domain::ports::AttemptRequest;

/// The last part of the name of a charge's closing.
const CLOSE: &str = "close";
/// So much of a key is random enough to tell the attempts of one operation apart.
const KEY_END_BYTES: usize = 12;

/// What a reference of ours is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named<'a> {
    pub(super) payment: PaymentId,
    pub(super) operation: OperationId,
    /// How the attempt's key ends.
    pub(super) key_end: &'a str,
    /// About the closing of the charge, not about the charge.
    pub(super) closes: bool,
}

/// At most 74 of the 80 characters that Adyen takes. No `-`: it separates several references there.
pub(super) fn of_attempt(request: &AttemptRequest) -> String {
    let key = &request.key;
    let end = key.get(key.len().saturating_sub(KEY_END_BYTES)..).unwrap_or(key);
    match request.operation {
        OperationId::Authorize(id) => format!("{id}.{end}"),
        OperationId::Capture(_)
        | OperationId::Void(_)
        | OperationId::Refund(_)
        | OperationId::Increment(_) => format!("{}.{}.{end}", request.payment, request.operation),
    }
}

/// The closing of a charge.
pub(super) fn of_closing(request: &AttemptRequest) -> String {
    format!("{}.{CLOSE}", of_attempt(request))
}

/// Nothing if it is not one of ours: an account may have other users.
pub(super) fn parse(reference: &str) -> Option<Named<'_>> {
    let (payment, rest) = reference.split_once('.')?;
    let payment = PaymentId::parse(payment).ok()?;
    let of_charge = |key_end, closes| Named {
        payment,
        operation: OperationId::Authorize(payment),
        key_end,
        closes,
    };
    let named = match rest.split_once('.') {
        None => of_charge(rest, false),
        Some((key_end, CLOSE)) => of_charge(key_end, true),
        Some((operation, key_end)) => {
            let capture = || CaptureId::parse(operation).map(OperationId::Capture).ok();
            let void = || VoidId::parse(operation).map(OperationId::Void).ok();
            let refund = || RefundId::parse(operation).map(OperationId::Refund).ok();
            let increment = || IncrementId::parse(operation).map(OperationId::Increment).ok();
            let operation = capture().or_else(void).or_else(refund).or_else(increment)?;
            Named {
                payment,
                operation,
                key_end,
                closes: false,
            }
        }
    };
    let is_key = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (!named.key_end.is_empty() && named.key_end.bytes().all(is_key)).then_some(named)
}

/// Whether a journaled reference is our own name of a charge, because Adyen had named nothing by then.
pub(super) fn is_ours(reference: &str) -> bool {
    parse(reference).is_some()
}

#[cfg(test)]
mod tests {
    use super::super::sample::attempt;
    use super::*;
    use florin_domain::payment::OperationKind;
    use std::sync::Arc;

    #[test]
    fn references_come_back_as_what_they_were_made_of() {
        for kind in [
            OperationKind::Sale,
            OperationKind::Capture,
            OperationKind::Void,
            OperationKind::Refund,
            OperationKind::Increment,
        ] {
            let mut request = attempt(kind);
            request.key = Arc::from("flo_5a1399ca2395fabf3f8245a6a027dac7de288f42");
            let name = of_attempt(&request);
            assert!(name.len() <= 80 && !name.contains('-'), "{name}");
            let expected = Named {
                payment: request.payment,
                operation: request.operation,
                key_end: "dac7de288f42",
                closes: false,
            };
            assert_eq!(parse(&name), Some(expected));
        }
        let charge = attempt(OperationKind::Sale);
        let closing = of_closing(&charge);
        let closing = parse(&closing).unwrap();
        assert!(closing.closes && closing.operation == charge.operation);
        assert!(is_ours(&of_attempt(&charge)) && !is_ours("QFQTPCQ8HXSKGK82"));
    }

    #[test]
    fn what_others_called_their_payments_is_not_ours() {
        let id = PaymentId::from_bits(7);
        for other in [
            "",
            "order-1001",
            &id.to_string(),
            &format!("{id}."),
            &format!("{id}.a b"),
            &format!("{id}.cap_1.x"),
            "x.close",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
