//! `GET /v1/payments/{id}`: a payment as it stands, or with `at` as it stood after a commit of the journal.

use super::payment_body::PaymentBody;
use crate::auth::Caller;
use crate::errors::{ApiError, Code, Invalid};
use crate::openapi::{Access, Endpoint, PAYMENT_ID, chapter, count, id as an_id, named, payment_example};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use crate::stripe::ids;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payments_handle::{AsOf, PastError};
use florin_domain::ids::PaymentId;

/// The commit that made the payment what is shown. It is a header, so that the body of a past state is the body of then.
const SEQUENCE: HeaderName = HeaderName::from_static("florin-sequence");

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(get(&state, &request).await)
}

async fn get(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    let (merchant, livemode) = caller.merchant()?;
    let (at, owner) = (query::at(request)?, (merchant.id, livemode));
    let missing = ApiError::NoSuchObject { kind: "payment" };
    let (payment, seq) = match at {
        None => {
            let row = state
                .payments
                .get_shown(owner, id(request)?)
                .await?
                .ok_or(missing)?;
            (row.payment, row.seq)
        }
        Some(at) => match state.payments.as_of(owner, id(request)?, at).await {
            Ok(AsOf::Stood { payment, seq }) => (payment, seq),
            Ok(AsOf::Missing) => return Err(missing),
            Ok(AsOf::Beyond) => {
                let message = "`at` is beyond the last commit of the journal.";
                return Err(Invalid::new("at", Code::ParameterInvalid, message).into());
            }
            Err(error) => return Err(past(error)),
        },
    };
    let mut response = json(StatusCode::OK, &PaymentBody::of(&payment))?;
    response.headers_mut().insert(SEQUENCE, HeaderValue::from(seq.0));
    Ok(response)
}

/// What the past could not be read for.
pub(super) fn past(error: PastError) -> ApiError {
    match error {
        PastError::View(error) => error.into(),
        PastError::Read(error) => error.into(),
    }
}

/// The payment that the path names; what is no id names none.
pub(super) fn id(request: &HttpRequest) -> Result<PaymentId, ApiError> {
    let id = request.match_info().get("id").and_then(ids::payment);
    id.ok_or(ApiError::NoSuchObject { kind: "payment" })
}

pub(crate) fn described() -> Endpoint {
    Endpoint::get("/v1/payments/{id}", Access::Merchants)
        .called(
            "getPayment",
            "Read a payment",
            "As it stands now, or as it stood after a commit of the journal. The header `Florin-Sequence` has the commit that made it so.",
        )
        .in_chapter(chapter::PAYMENTS)
        .path_part("id", an_id("The payment.", "pay_"), PAYMENT_ID)
        .query(
            "at",
            count("The sequence number of a commit, as histories and `Florin-Sequence` have them: the payment as it stood then."),
        )
        .refuses(400, &[Code::ParameterInvalidInteger])
        .answers(200, "The payment.", named("Payment"), payment_example())
        .with_header("Florin-Sequence")
        .refuses(404, &[Code::ResourceMissing])
        .refuses(503, &[Code::Overloaded, Code::TemporarilyUnavailable])
}
