//! `POST /v1/payments/{id}/refunds`.

use super::change::{Checked, REFUSED, make};
use super::{answer, payment_request};
use crate::errors::{Code, Invalid};
use crate::json::{self, Number, Text};
use crate::openapi::{
    Access, Endpoint, PAYMENT_ID, amount, chapter, id, may, named, refund_example, strict, word,
};
use crate::reply::Reply;
use crate::state::State;
use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};
use florin_actors::payments_handle::Change;
use florin_domain::money::Amount;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// The reasons that the field's providers know.
pub(crate) const REASONS: [&str; 3] = ["duplicate", "fraudulent", "requested_by_customer"];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundRequest<'a> {
    /// In minor units; all that is left when absent.
    #[serde(default)]
    amount: Option<Number>,
    #[serde(borrow, default)]
    reason: Option<Text<'a>>,
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let answered = make(&state, &request, payload, "refunds", |bytes, _| check(bytes)).await;
    Reply(answered.and_then(|answered| answer::refund(&answered, &request)))
}

pub(super) fn check(bytes: &[u8]) -> Result<Checked, Invalid> {
    let body: RefundRequest<'_> = json::read(bytes)?;
    let amount = body.amount.map(payment_request::amount).transpose()?;
    let reason = body.reason.as_ref().map(Text::as_str);
    if reason.is_some_and(|reason| !REASONS.contains(&reason)) {
        let message = "`reason` is `duplicate`, `fraudulent` or `requested_by_customer`.";
        return Err(Invalid::new("reason", Code::ParameterInvalid, message));
    }
    let canonical = format!("1 {:?} {reason:?}", amount.map(Amount::minor));
    let change = Change::Refund {
        amount,
        reason: reason.map(Arc::from),
    };
    Ok(Checked { change, canonical })
}

pub(crate) fn described() -> Endpoint {
    let shape = strict([
        may("amount", amount("How much; all that is left when absent.")),
        may("reason", word("Why.", REASONS)),
    ]);
    let part = json!({"amount": 2_500, "reason": "requested_by_customer"});
    Endpoint::post("/v1/payments/{id}/refunds", Access::Merchants)
        .called(
            "createRefund",
            "Refund a payment",
            "Gives back captured money, as a whole or in parts; together never more than was captured. A refund that the provider refuses \
             is shown as `failed`, as is one that reached no provider within a day: until then the same request under the same key sends it.",
        )
        .in_chapter(chapter::PAYMENTS)
        .path_part("id", id("The payment.", "pay_"), PAYMENT_ID)
        .may_take(shape, &[("Everything", json!({})), ("A part", part)])
        .answers(200, "The refund.", named("Refund"), refund_example())
        .answers(
            202,
            "The provider has not said yet; `Location` is where the payment will tell.",
            named("Refund"),
            refund_example(),
        )
        .refuses(
            400,
            &[
                Code::AmountTooLarge,
                Code::AmountTooSmall,
                Code::ParameterInvalidInteger,
                Code::AmountExceedsRefundable,
            ],
        )
        .refuses(404, &[Code::ResourceMissing])
        .refuses(409, &REFUSED)
        .refuses(503, &[Code::NoProviderAvailable])
}
