//! `GET /v1/payments`: a merchant's payments, newest first, filtered and page by page.

use super::list::List;
use super::payment_body::PaymentBody;
use crate::auth::Caller;
use crate::errors::{ApiError, Code, Invalid};
use crate::openapi::{Access, Endpoint, chapter, id, limit, list_example, named, page_of, payment_example};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payments_handle::{Cursor, ListError};

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(list(&state, &request).await)
}

async fn list(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    let (merchant, livemode) = caller.merchant()?;
    let query = query::listed_payments(request, (merchant.id, livemode))?;
    let page = state.payments.list(query).await.map_err(refused)?;
    let data = page
        .rows
        .iter()
        .map(|row| PaymentBody::of(&row.payment))
        .collect();
    json(StatusCode::OK, &List::new("/v1/payments", data, page.has_more))
}

pub(crate) fn refused(error: ListError) -> ApiError {
    match error {
        ListError::NoSuchCursor(Cursor::StartingAfter) => query::no_entry("starting_after").into(),
        ListError::NoSuchCursor(Cursor::EndingBefore) => query::no_entry("ending_before").into(),
        ListError::TooRare => {
            let message = "None of as many payments as one request looks at matches; narrow the search by `created[gte]` and `created[lte]`.";
            Invalid::new("created", Code::ParameterInvalid, message).into()
        }
        ListError::View(error) => error.into(),
    }
}

pub(crate) fn described() -> Endpoint {
    let example = list_example("/v1/payments", &payment_example());
    query::described_filters(Endpoint::get("/v1/payments", Access::Merchants))
        .called(
            "listPayments",
            "List payments",
            "Newest first. All filters must hold. `starting_after` and `ending_before` exclude each other.",
        )
        .in_chapter(chapter::PAYMENTS)
        .query("limit", limit())
        .query("starting_after", id("Only payments behind this one.", "pay_"))
        .query("ending_before", id("Only payments before this one.", "pay_"))
        .answers(200, "A page.", page_of(named("Payment")), example)
        .refuses(400, &[Code::ParameterInvalidInteger])
        .refuses(503, &[Code::Overloaded])
}
