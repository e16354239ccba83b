//! `GET /v1/ops/reviews`: payments of all merchants that wait for a person, the earliest deadline first.

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
use florin_domain::payment::{Payment, WaitKind};
use serde::Serialize;

/// A payment with the time left to decide.
#[derive(Debug, Serialize)]
struct ReviewBody<'a> {
    #[serde(flatten)]
    payment: PaymentBody<'a>,
    merchant_id: String,
    review_deadline: Option<u64>,
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(list(&state, &request).await)
}

async fn list(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    Caller::of(state, request)?.operator()?;
    let page = query::page(request, |text| PaymentId::parse(text).ok())?;
    let found = state.payments.reviews(page.starting_after, page.limit).await?;
    let (rows, has_more) = found.ok_or_else(|| query::no_entry("starting_after"))?;
    let data: Vec<_> = rows.iter().map(|row| body(&row.payment)).collect();
    json(StatusCode::OK, &List::new("/v1/ops/reviews", data, has_more))
}

fn body(payment: &Payment) -> ReviewBody<'_> {
    ReviewBody {
        payment: PaymentBody::of(payment),
        merchant_id: payment.spec.merchant.to_string(),
        review_deadline: match payment.waits_for() {
            Some((WaitKind::Review, deadline)) => Some(deadline.unix_s()),
            Some((WaitKind::Challenge | WaitKind::Capture | WaitKind::Resend, _)) | None => None,
        },
    }
}
