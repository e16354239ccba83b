//! `POST /v1/refunds`.

use super::answer::{self, Refused, Told, missing};
use super::expand::Kind;
use super::ids;
use super::params::Params;
use super::request::Posted;
use crate::errors::Code;
use crate::state::State;
use crate::v1::payment_request as native;
use crate::v1::refund_create::REASONS;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payments_handle::Change;
use florin_domain::ids::PaymentId;
use std::sync::Arc;

pub(super) const PATH: &str = "/v1/refunds";
/// What Stripe would do and Florin would not.
const UNSUPPORTED: [&str; 5] = ["currency", "customer", "instructions_email", "metadata", "origin"];

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let told = create(&state, &request, payload).await;
    answer::finished(&state, &request, told)
}

async fn create(state: &State, request: &HttpRequest, payload: Payload) -> Told {
    let mut posted = Posted::read(state, request, payload, Kind::Refund).await?;
    let params = &mut posted.params;
    params.unsupported(&UNSUPPORTED)?;
    params.only_false(&["refund_application_fee", "reverse_transfer"])?;
    let amount = params.number("amount")?.map(native::amount).transpose()?;
    let reason = params.word("reason", &REASONS)?.map(Arc::from);
    let id = payment(params)?;
    std::mem::take(params).finish()?;
    let answered = posted
        .change(state, PATH, id, Change::Refund { amount, reason })
        .await?;
    answer::refunded(state, &answered, &posted.expand)
}

/// The payment to give back: named by its intent, its charge, or both.
fn payment(params: &mut Params) -> Result<PaymentId, Refused> {
    let why = "is required, or `charge`";
    let unnamed = |params: &Params| params.refused("payment_intent", Code::ParameterMissing, why);
    named(params)?.ok_or_else(|| unnamed(params).into())
}

/// The same where none need be named.
pub(super) fn named(params: &mut Params) -> Result<Option<PaymentId>, Refused> {
    let (charge, intent) = (params.text("charge")?, params.text("payment_intent")?);
    let by_charge = match charge {
        None => None,
        Some(text) => Some(ids::charge(&text).ok_or_else(|| missing("charge"))?),
    };
    let by_intent = match intent {
        None => None,
        Some(text) => Some(ids::payment(&text).ok_or_else(|| missing("payment_intent"))?),
    };
    match (by_charge, by_intent) {
        (Some(charge), Some(intent)) if charge != intent => {
            let why = "is no charge of that payment intent";
            Err(params.refused("charge", Code::ParameterInvalid, why).into())
        }
        (charge, intent) => Ok(charge.or(intent)),
    }
}
