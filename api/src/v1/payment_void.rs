//! `POST /v1/payments/{id}/void`.

use super::answer;
use super::change::{REFUSED, make, nothing};
use crate::errors::Code;
use crate::openapi::{
    Access, Endpoint, PAYMENT_ID, chapter, id, named, payment_example, payment_example_with, strict,
};
use crate::reply::Reply;
use crate::state::State;
use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};
use florin_actors::payments_handle::Change;
use serde_json::json;

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let answered = make(&state, &request, payload, "void", |bytes, _| {
        nothing(bytes, Change::Void)
    })
    .await;
    Reply(answered.and_then(|answered| answer::payment(&answered, &request)))
}

pub(crate) fn described() -> Endpoint {
    let voided =
        json!({"status": "voided", "capture_method": "manual", "amount_captured": 0, "fee": 0, "net": 0});
    Endpoint::post("/v1/payments/{id}/void", Access::Merchants)
        .called(
            "voidPayment",
            "Release an authorized payment",
            "Gives back what was held and not captured. It is free; captured money is refunded instead.",
        )
        .in_chapter(chapter::PAYMENTS)
        .path_part("id", id("The payment.", "pay_"), PAYMENT_ID)
        .may_take(strict([]), &[("Nothing to say", json!({}))])
        .answers(
            200,
            "The payment.",
            named("Payment"),
            payment_example_with(&voided),
        )
        .answers(
            202,
            "The provider has not said yet; `Location` is where the payment will tell.",
            named("Payment"),
            payment_example(),
        )
        .refuses(402, &[Code::OperationDeclined])
        .refuses(404, &[Code::ResourceMissing])
        .refuses(409, &REFUSED)
        .refuses(503, &[Code::NoProviderAvailable])
}
