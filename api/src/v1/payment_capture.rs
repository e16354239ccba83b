//! `POST /v1/payments/{id}/capture`.

use super::change::{Checked, REFUSED, make};
use super::{answer, payment_request};
use crate::errors::{Code, Invalid};
use crate::json::{self, Number};
use crate::openapi::{
    Access, Endpoint, PAYMENT_ID, amount, chapter, flag, id, may, named, payment_example,
    payment_example_with, strict,
};
use crate::reply::Reply;
use crate::state::State;
use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};
use florin_actors::payments_handle::Change;
use florin_domain::money::Amount;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaptureRequest {
    /// In minor units; all that is left when absent.
    #[serde(default)]
    amount: Option<Number>,
    /// No other capture follows; what is left is released.
    #[serde(default, rename = "final")]
    is_final: Option<bool>,
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let answered = make(&state, &request, payload, "capture", |bytes, _| check(bytes)).await;
    Reply(answered.and_then(|answered| answer::payment(&answered, &request)))
}

pub(super) fn check(bytes: &[u8]) -> Result<Checked, Invalid> {
    let body: CaptureRequest = json::read(bytes)?;
    let amount = body.amount.map(payment_request::amount).transpose()?;
    // Taking everything leaves nothing for another capture.
    let is_final = body.is_final.unwrap_or(amount.is_none());
    let canonical = format!("1 {:?} {is_final}", amount.map(Amount::minor));
    let change = Change::Capture { amount, is_final };
    Ok(Checked { change, canonical })
}

pub(crate) fn described() -> Endpoint {
    let shape = strict([
        may("amount", amount("How much; all that is left when absent.")),
        may(
            "final",
            flag(
                "No other capture follows, and what is left is released. `true` when `amount` is absent, else `false`.",
            ),
        ),
    ]);
    let processing =
        json!({"status": "authorized", "capture_method": "manual", "amount_captured": 0, "fee": 0, "net": 0});
    Endpoint::post("/v1/payments/{id}/capture", Access::Merchants)
        .called(
            "capturePayment",
            "Capture an authorized payment",
            "Takes what was held, as a whole or in parts, before the authorization runs out.",
        )
        .in_chapter(chapter::PAYMENTS)
        .path_part("id", id("The payment.", "pay_"), PAYMENT_ID)
        .may_take(
            shape,
            &[
                ("Everything", json!({})),
                ("A part", json!({"amount": 2_500, "final": false})),
            ],
        )
        .answers(200, "The payment.", named("Payment"), payment_example())
        .answers(
            202,
            "The provider has not said yet; `Location` is where the payment will tell.",
            named("Payment"),
            payment_example_with(&processing),
        )
        .refuses(
            400,
            &[
                Code::AmountTooLarge,
                Code::AmountTooSmall,
                Code::ParameterInvalidInteger,
                Code::AmountExceedsCapturable,
            ],
        )
        .refuses(403, &[Code::MerchantFrozen])
        .refuses(402, &[Code::OperationDeclined])
        .refuses(404, &[Code::ResourceMissing])
        .refuses(409, &REFUSED)
        .refuses(503, &[Code::NoProviderAvailable])
}
