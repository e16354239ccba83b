//! `POST /v1/payments/{id}/void`.

use super::answer;
use super::change::{Checked, make};
use crate::errors::Invalid;
use crate::json;
use crate::reply::Reply;
use crate::state::State;
use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};
use florin_actors::payments_handle::Change;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct VoidRequest {}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let answered = make(&state, &request, payload, "void", |bytes, _| check(bytes)).await;
    Reply(answered.and_then(|answered| answer::payment(&answered, &request)))
}

fn check(bytes: &[u8]) -> Result<Checked, Invalid> {
    let VoidRequest {} = json::read(bytes)?;
    Ok(Checked {
        change: Change::Void,
        canonical: "1".to_owned(),
    })
}
