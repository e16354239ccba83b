//! `POST /v1/payments/{id}/increment_authorization`.

use super::change::{Checked, REFUSED, make};
use super::{answer, payment_request};
use crate::errors::{Code, Invalid};
use crate::json::{self, Number};
use crate::openapi::{
    Access, Endpoint, PAYMENT_ID, amount, chapter, id, must, named, payment_example_with, strict,
};
use crate::reply::Reply;
use crate::state::State;
use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};
use florin_actors::payments_handle::Change;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IncrementRequest {
    /// In minor units: what is to be authorized afterwards, all in all.
    amount: Number,
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let name = "increment_authorization";
    let answered = make(&state, &request, payload, name, |bytes, _| check(bytes)).await;
    Reply(answered.and_then(|answered| answer::payment(&answered, &request)))
}

pub(super) fn check(bytes: &[u8]) -> Result<Checked, Invalid> {
    let body: IncrementRequest = json::read(bytes)?;
    let total = payment_request::amount(body.amount)?;
    let canonical = format!("1 {}", total.minor());
    let change = Change::Increment { total };
    Ok(Checked { change, canonical })
}

pub(crate) fn described() -> Endpoint {
    let shape = strict([must(
        "amount",
        amount("What is to be authorized afterwards, all in all: more than now."),
    )]);
    let grown = json!({"status": "authorized", "capture_method": "manual", "amount": 15_000, "amount_capturable": 15_000,
        "amount_captured": 0, "fee": 0, "net": 0});
    Endpoint::post("/v1/payments/{id}/increment_authorization", Access::Merchants)
        .called(
            "incrementAuthorization",
            "Authorize more",
            "Raises what is held, before anything of it was captured. Declined, the payment stays as it was.",
        )
        .in_chapter(chapter::PAYMENTS)
        .path_part("id", id("The payment.", "pay_"), PAYMENT_ID)
        .takes(shape, &[("Half as much again", json!({"amount": 15_000}))])
        .answers(
            200,
            "The payment.",
            named("Payment"),
            payment_example_with(&grown),
        )
        .answers(
            202,
            "The provider has not said yet; `Location` is where the payment will tell.",
            named("Payment"),
            payment_example_with(&grown),
        )
        .refuses(
            400,
            &[
                Code::AmountTooLarge,
                Code::AmountTooSmall,
                Code::ParameterMissing,
                Code::ParameterInvalidInteger,
            ],
        )
        .refuses(403, &[Code::MerchantFrozen])
        .refuses(402, &[Code::OperationDeclined])
        .refuses(404, &[Code::ResourceMissing])
        .refuses(409, &REFUSED)
        .refuses(503, &[Code::NoProviderAvailable])
}
