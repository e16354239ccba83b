//! `POST /v1/payments/{id}/confirm`: with another payment method after a decline, or without one to find out how the customer's
//! challenge ended.

use super::change::{Checked, make};
use super::{answer, payment_request};
use crate::errors::Invalid;
use crate::json::{self, Text};
use crate::reply::Reply;
use crate::state::State;
use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};
use florin_actors::payments_handle::Change;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfirmRequest<'a> {
    #[serde(borrow, default)]
    payment_method_id: Option<Text<'a>>,
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let answered = make(&state, &request, payload, "confirm", check).await;
    Reply(answered.and_then(|answered| answer::payment(&answered, &request)))
}

fn check(bytes: &[u8], livemode: bool) -> Result<Checked, Invalid> {
    let body: ConfirmRequest<'_> = json::read(bytes)?;
    let Some(id) = body.payment_method_id else {
        return Ok(Checked {
            change: Change::Complete,
            canonical: "1".to_owned(),
        });
    };
    let method = payment_request::method(id.as_str(), livemode)?;
    Ok(Checked {
        canonical: format!("1 {}", method.id),
        change: Change::Confirm(method),
    })
}
