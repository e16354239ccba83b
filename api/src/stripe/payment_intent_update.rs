//! `POST /v1/payment_intents/{id}`: what an intent costs and how it is paid until it is confirmed, what is said about it at any time.

use super::answer::{self, Refused, Told, renamed};
use super::expand::Kind;
use super::method::{Found, Wanted, unless_gone};
use super::params::Params;
use super::payment_intent_create::{HARMLESS, kinds_of_method, method_options, owned};
use super::request::{Posted, found, intent_id};
use crate::errors::Code;
use crate::json::Pairs;
use crate::state::State;
use crate::v1::payment_request as native;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payments_handle::Change;
use florin_domain::limits::TEXT_BYTES_MAX;
use florin_domain::payment::Amendment;
use std::sync::Arc;

/// What is fixed when the intent is made, and what Stripe would do and Florin would not.
const UNSUPPORTED: [&str; 19] = [
    "amount_details",
    "application_fee_amount",
    "capture_method",
    "currency",
    "customer",
    "customer_account",
    "excluded_payment_method_types",
    "fx_quote",
    "hooks",
    "mandate",
    "mandate_data",
    "payment_details",
    "payment_method_configuration",
    "receipt_email",
    "return_url",
    "setup_future_usage",
    "shipping",
    "transfer_data",
    "transfer_group",
];

/// What an intent is never without, or not in one go. Silence would be taken for a change that was made.
const CANNOT_BE_EMPTY: [(&str, Code, &str); 3] = [
    (
        "amount",
        Code::ParameterInvalidInteger,
        "must not be empty; leave it out to keep it",
    ),
    (
        "payment_method",
        Code::ParameterInvalid,
        "must not be empty; leave it out to keep it",
    ),
    (
        "metadata",
        Code::ParameterInvalid,
        "must not be empty: its entries are taken away one by one, each with an empty text",
    ),
];

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let told = update(&state, &request, payload).await;
    answer::finished(&state, &request, told)
}

async fn update(state: &State, request: &HttpRequest, payload: Payload) -> Told {
    let mut posted = Posted::read(state, request, payload, Kind::PaymentIntent).await?;
    let (_, livemode) = posted.owner()?;
    let id = intent_id(request)?;
    let (mut amendment, wanted) = amendment(&mut posted.params, livemode)?;
    std::mem::take(&mut posted.params).finish()?;
    let path = format!("/v1/payment_intents/{id}");
    let mut gone = None;
    if let Some(wanted) = wanted {
        let row = found(state, posted.owner()?, id, "payment_intent").await?;
        let customer = row.payment.spec.customer.as_deref();
        match wanted.found(state, &posted, &path, customer).await? {
            Found::Here(method) => amendment.method = Some(method),
            Found::Gone(why) => gone = Some(why),
        }
    }
    let change = if gone.is_some() {
        Change::MethodGone
    } else {
        Change::Amend(amendment)
    };
    let answered = unless_gone(posted.change(state, &path, id, change).await, gone)?;
    answer::intent(state, &answered, &posted.expand)
}

fn amendment(params: &mut Params, livemode: bool) -> Result<(Amendment, Option<Wanted>), Refused> {
    params.unsupported(&UNSUPPORTED)?;
    params.harmless(&HARMLESS);
    kinds_of_method(params)?;
    method_options(params)?;
    for (name, code, why) in CANNOT_BE_EMPTY {
        if params.unsets(name) {
            return Err(params.refused(name, code, why).into());
        }
    }
    let amount = params.number("amount")?.map(native::amount).transpose()?;
    let wanted = Wanted::read(params, livemode)?;
    let takes_description_away = params.unsets("description");
    let description = params.text("description")?.map(owned);
    let description: Option<Arc<str>> = native::text("description", description.as_ref(), TEXT_BYTES_MAX)?;
    let pairs = params.pairs_to_set("metadata")?.into_iter();
    let pairs = Pairs(pairs.map(|(name, value)| (owned(name), owned(value))).collect());
    let metadata =
        native::metadata(Some(&pairs)).map_err(|invalid| renamed(invalid, "metadata", "metadata"))?;
    let amendment = Amendment {
        amount,
        method: None,
        description: (takes_description_away || description.is_some()).then_some(description),
        metadata,
    };
    Ok((amendment, wanted))
}
