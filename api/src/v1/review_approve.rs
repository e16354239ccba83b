//! `POST /v1/ops/reviews/{id}/approve`.

use super::answer;
use super::change::{nothing, order};
use crate::reply::Reply;
use crate::state::State;
use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};
use florin_actors::payments_handle::Change;

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let check = |bytes: &[u8], _: &_| nothing(bytes, Change::ApproveReview);
    let answered = order(&state, &request, payload, check).await;
    Reply(answered.and_then(|answered| answer::shown(&answered, &request)))
}
