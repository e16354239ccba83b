//! `POST /v1/payment_intents/{id}/confirm`: with a method after a decline, or without one when the customer is back from a challenge.

use super::answer::{self, Refused, Told};
use super::expand::Kind;
use super::method::{Found, Wanted, saved_one, unless_gone};
use super::payment_intent_create::{HARMLESS, method_options};
use super::request::{Posted, found, intent_id};
use crate::errors::{ApiError, Code};
use crate::state::State;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payments_handle::Change;
use florin_domain::payment::{Payment, Status};

/// What Stripe would do and Florin would not, or what is fixed when the intent is made.
const UNSUPPORTED: [&str; 15] = [
    "amount_to_confirm",
    "capture_method",
    "confirmation_token",
    "excluded_payment_method_types",
    "hooks",
    "mandate",
    "mandate_data",
    "payment_details",
    "payment_method_configuration",
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
    let wanted = Wanted::read(params, owner.1)?;
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
    let path = format!("/v1/payment_intents/{id}/confirm");
    let customer = row.payment.spec.customer.as_deref();
    let (change, gone) = match wanted {
        Some(wanted) => match wanted.found(state, &posted, &path, customer).await? {
            Found::Here(method) => (Change::Confirm(Some(method)), None),
            Found::Gone(why) => (Change::MethodGone, Some(why)),
        },
        None => with_its_own(state, &posted, &row.payment).await?,
    };
    let answered = unless_gone(posted.change(state, &path, id, change).await, gone)?;
    answer::intent(state, &answered, &posted.expand)
}

/// The method that the intent has, if it is to be confirmed with that one and can be still: its card may have been erased or given to
/// another customer since it was named.
async fn with_its_own(
    state: &State,
    posted: &Posted,
    payment: &Payment,
) -> Result<(Change, Option<ApiError>), Refused> {
    let change = without_method(payment);
    let own = payment.method.as_ref().filter(|method| method.stored.is_some());
    let (Change::Confirm(_), Some(own)) = (&change, own) else {
        return Ok((change, None));
    };
    let customer = payment.spec.customer.as_deref();
    Ok(
        match saved_one(state, posted.owner()?, &own.id, customer).await? {
            Found::Here(_) => (change, None),
            Found::Gone(why) => (Change::MethodGone, Some(why)),
        },
    )
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
