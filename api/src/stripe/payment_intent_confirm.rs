//! `POST /v1/payment_intents/{id}/confirm`: with a method after a decline, or without one when the customer is back from a challenge.

use super::answer::{self, Told};
use super::expand::Kind;
use super::payment_intent_create::{HARMLESS, method_options, native_method};
use super::request::{Posted, found, intent_id};
use crate::errors::Code;
use crate::state::State;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payments_handle::Change;
use florin_domain::payment::{Payment, Status};

/// What Stripe would do and Florin would not, or what is fixed when the intent is made.
const UNSUPPORTED: [&str; 16] = [
    "amount_to_confirm",
    "capture_method",
    "confirmation_token",
    "excluded_payment_method_types",
    "hooks",
    "mandate",
    "mandate_data",
    "payment_details",
    "payment_method_configuration",
    "payment_method_data",
    "payment_method_types",
    "radar_options",
    "receipt_email",
    "setup_future_usage",
    "shipping",
    "transfer_data",
];

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let told = confirm(&state, &request, payload).await;
    answer::finished(&state, &request, told)
}

async fn confirm(state: &State, request: &HttpRequest, payload: Payload) -> Told {
    let mut posted = Posted::read(state, request, payload, Kind::PaymentIntent).await?;
    posted.caller.may_take_money()?;
    let owner = posted.owner()?;
    let id = intent_id(request)?;
    let params = &mut posted.params;
    params.unsupported(&UNSUPPORTED)?;
    params.only_false(&["error_on_requires_action", "off_session"])?;
    params.harmless(&HARMLESS);
    method_options(params)?;
    let method = params.text("payment_method")?;
    let method = method.map(|method| native_method(&method, owner.1)).transpose()?;
    let return_url = params.text("return_url")?;
    std::mem::take(params).finish()?;
    let row = found(state, owner, id, "payment_intent").await?;
    if return_url.is_some() && return_url.as_deref() != row.payment.spec.return_url.as_deref() {
        let why = "is fixed when the intent is made";
        return Err(posted
            .params
            .refused("return_url", Code::ParameterInvalid, why)
            .into());
    }
    let change = method.map_or_else(
        || without_method(&row.payment),
        |method| Change::Confirm(Some(method)),
    );
    let path = format!("/v1/payment_intents/{id}/confirm");
    let answered = posted.change(state, &path, id, change).await?;
    answer::intent(state, &answered, &posted.expand)
}

/// Who names no method goes on with the one that is there, or wants to know how the challenge ended. What the payment's rules make of it
/// is theirs to say, should it stand differently by then.
fn without_method(payment: &Payment) -> Change {
    match payment.status {
        _ if payment.is_draft() => Change::Confirm(None),
        Status::RequiresConfirmation => Change::Confirm(payment.method.clone()),
        Status::RequiresAction(_)
        | Status::RequiresPaymentMethod
        | Status::InReview { .. }
        | Status::Processing
        | Status::Authorized
        | Status::Succeeded
        | Status::Failed
        | Status::Blocked
        | Status::Voided => Change::Complete { details: None },
    }
}
