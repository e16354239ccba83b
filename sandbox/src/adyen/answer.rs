//! Answers and refusals as Adyen's JSON, and the customer's pages.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::state::{Payment, State, Status};
use crate::stripe::Challenged;

/// Why nothing was executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    code: &'static str,
    message: Cow<'static, str>,
    kind: &'static str,
}

impl Refusal {
    pub(crate) const UNAUTHORIZED: Self =
        Self::new(401, "000", "HTTP Status Response - Unauthorized", "security");
    pub(crate) const MALFORMED: Self = Self::new(
        400,
        "702",
        "The request is not JSON of the documented form",
        "validation",
    );
    pub(crate) const NOT_FOUND: Self = Self::new(404, "404", "There is nothing at this path", "validation");
    pub(crate) const NO_ACCOUNT: Self = Self::new(403, "901", "Invalid Merchant Account", "security");
    pub(crate) const NO_PAYMENT: Self = Self::new(
        422,
        "167",
        "Original pspReference required for this operation",
        "validation",
    );
    pub(crate) const KEY_IN_USE: Self = Self::new(
        422,
        "704",
        "request already processed or in progress",
        "validation",
    );
    pub(crate) const RATE_LIMITED: Self = Self::new(429, "429", "Too many requests", "validation");
    pub(crate) const INTERNAL: Self = Self::new(500, "905", "Internal error", "internal");
    pub(crate) const UNAVAILABLE: Self = Self::new(503, "999", "Service unavailable", "internal");

    const fn new(status: u16, code: &'static str, message: &'static str, kind: &'static str) -> Self {
        Self {
            status,
            code,
            message: Cow::Borrowed(message),
            kind,
        }
    }

    pub(crate) const fn validation(code: &'static str, message: &'static str) -> Self {
        Self::new(422, code, message, "validation")
    }

    pub(crate) fn body(&self) -> Value {
        json!({
            "status": self.status, "errorCode": self.code, "message": self.message, "errorType": self.kind,
        })
    }
}

/// The answer to a charge, in whatever state it is.
pub(crate) fn payment(state: &State, payment: &Payment) -> Value {
    let mut answer = json!({ "merchantReference": payment.reference });
    match &payment.status {
        Status::Challenged => {
            // No reference yet, and no merchant's either: the details bring both.
            return json!({
                "resultCode": "RedirectShopper",
                "action": {
                    "type": "redirect", "method": "GET", "paymentMethodType": "scheme",
                    "url": format!("{}/3ds/{}", state.origin(), challenge_name(payment.seq)),
                },
            });
        }
        Status::Authorised => {
            let currency = payment.currency.as_str().to_uppercase();
            answer["resultCode"] = json!("Authorised");
            answer["amount"] = json!({ "currency": currency, "value": payment.value });
            answer["paymentMethod"] = json!({ "brand": payment.method.card().brand, "type": "scheme" });
        }
        Status::Refused { reason, code } => {
            answer["resultCode"] = json!("Refused");
            answer["refusalReason"] = json!(reason);
            answer["refusalReasonCode"] = json!(code);
            if &**code == "12" {
                let (raw, advice) = ("51 : Insufficient funds", "02 : Try again later");
                answer["additionalData"] = json!({ "refusalReasonRaw": raw, "merchantAdviceCode": advice });
            }
        }
        Status::Cancelled => {
            answer["resultCode"] = json!("Cancelled");
        }
    }
    answer["pspReference"] = json!(state.psp_reference(payment.seq));
    answer
}

/// What is brought back from a challenge.
pub(crate) fn redirect_result(state: &State, seq: u64) -> String {
    format!("{}!{seq}", state.psp_reference(seq))
}

pub(crate) fn challenge_name(seq: u64) -> String {
    format!("adyen_{seq}")
}

/// The customer's page of a challenge.
pub(crate) fn challenged(state: &State, name: &str) -> Challenged {
    let seq = name.strip_prefix("adyen_").and_then(|digits| digits.parse().ok());
    let Some(payment) = seq.and_then(|seq| state.payment(seq)) else {
        return Challenged::Unknown;
    };
    let passed = match (&payment.status, payment.passed) {
        (Status::Challenged, None) => {
            return Challenged::Waiting {
                intent: name.to_owned(),
                amount_minor: payment.value,
                currency: payment.currency,
            };
        }
        (_, Some(passed)) => passed,
        // It never asked for anything, or was cancelled meanwhile.
        (Status::Authorised | Status::Refused { .. } | Status::Cancelled, None) => false,
    };
    let separator = if payment.return_url.contains('?') {
        '&'
    } else {
        '?'
    };
    let result = redirect_result(state, payment.seq);
    Challenged::Over {
        passed,
        location: Some(format!(
            "{}{separator}redirectResult={result}",
            payment.return_url
        )),
    }
}
