//! `GET /v1/payments`: a merchant's payments, newest first.

use super::list::List;
use super::payment_body::PaymentBody;
use crate::auth::Caller;
use crate::errors::ApiError;
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ids::PaymentId;
use florin_domain::ports::PaymentsQuery;

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(list(&state, &request).await)
}

async fn list(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    let (merchant, livemode) = caller.merchant()?;
    let page = query::page(request, |id| PaymentId::parse(id).ok())?;
    let query = PaymentsQuery {
        merchant: merchant.id,
        livemode,
        starting_after: page.starting_after,
        limit: page.limit,
    };
    let (rows, has_more) = state.payments.list(query).await?;
    let data = rows.iter().map(|row| PaymentBody::of(&row.payment)).collect();
    json(StatusCode::OK, &List::new("/v1/payments", data, has_more))
}
