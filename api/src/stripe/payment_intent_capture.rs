//! `POST /v1/payment_intents/{id}/capture`.

use super::answer::{self, Refused, Told, renamed};
use super::expand::Kind;
use super::request::{Posted, intent_id};
use crate::errors::{ApiError, Code, Invalid};
use crate::state::State;
use crate::v1::payment_request as native;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payments_handle::Change;
use florin_domain::money::Amount;
use florin_domain::payment::Refusal;

/// What Stripe would do and Florin would not, or what is fixed when the intent is made.
pub(super) const UNSUPPORTED: [&str; 9] = [
    "amount_details",
    "application_fee",
    "application_fee_amount",
    "hooks",
    "metadata",
    "payment_details",
    "receipt_email",
    "transfer_data",
    "transfer_group",
];
pub(super) const HARMLESS: [&str; 2] = ["statement_descriptor", "statement_descriptor_suffix"];

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let told = capture(&state, &request, payload).await;
    answer::finished(&state, &request, told)
}

async fn capture(state: &State, request: &HttpRequest, payload: Payload) -> Told {
    let mut posted = Posted::read(state, request, payload, Kind::PaymentIntent).await?;
    posted.caller.may_take_money()?;
    let id = intent_id(request)?;
    let params = &mut posted.params;
    params.unsupported(&UNSUPPORTED)?;
    params.harmless(&HARMLESS);
    let amount = part(
        params.number("amount_to_capture")?.map(native::amount),
        "amount_to_capture",
    )?;
    // As Stripe has it: what is not captured now is released, unless more is to come.
    let is_final = params.flag("final_capture")?.unwrap_or(true);
    std::mem::take(params).finish()?;
    let path = format!("/v1/payment_intents/{id}/capture");
    let change = Change::Capture { amount, is_final };
    let answered = posted.change(state, &path, id, change).await;
    answer::intent(
        state,
        &answered.map_err(|refused| beyond(refused, "amount_to_capture"))?,
        &posted.expand,
    )
}

/// A part of an amount, under its name here.
pub(super) fn part(
    amount: Option<Result<Amount, Invalid>>,
    name: &'static str,
) -> Result<Option<Amount>, Invalid> {
    amount
        .transpose()
        .map_err(|invalid| renamed(invalid, "amount", name))
}

/// More than what is left, under the name that the amount has here.
pub(super) fn beyond(refused: Refused, name: &'static str) -> Refused {
    match refused {
        Refused::Plain(ApiError::Refused(Refusal::ExceedsCapturable)) => {
            let message = format!("`{name}` exceeds what is left to capture.");
            Invalid::new(name, Code::AmountExceedsCapturable, message).into()
        }
        other => other,
    }
}
