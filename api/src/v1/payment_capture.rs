//! `POST /v1/payments/{id}/capture`.

use super::change::{Checked, make};
use super::{answer, payment_request};
use crate::errors::Invalid;
use crate::json::{self, Number};
use crate::reply::Reply;
use crate::state::State;
use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};
use florin_actors::payments_handle::Change;
use florin_domain::money::Amount;
use serde::Deserialize;

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

fn check(bytes: &[u8]) -> Result<Checked, Invalid> {
    let body: CaptureRequest = json::read(bytes)?;
    let amount = body.amount.map(payment_request::amount).transpose()?;
    // Taking everything leaves nothing for another capture.
    let is_final = body.is_final.unwrap_or(amount.is_none());
    let canonical = format!("1 {:?} {is_final}", amount.map(Amount::minor));
    let change = Change::Capture { amount, is_final };
    Ok(Checked { change, canonical })
}
