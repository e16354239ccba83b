//! What a caller is told about a request under a key: the object that it asked for, or why there is none.

use super::payment_body::{OperationBody, PaymentBody};
use crate::errors::ApiError;
use crate::reply::{Remembered, json};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue, LOCATION};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payments_handle::Answered;
use florin_domain::ids::OperationId;
use florin_domain::payment::{Answer, Payment};

const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The payment.
pub(super) fn payment(answered: &Answered, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let payment = answered.payment.as_ref();
    let response = match answered.answer {
        Answer::Shown => json(StatusCode::OK, &PaymentBody::of(payment))?,
        Answer::Declined | Answer::Blocked => declined(answered).response(request),
        Answer::Exhausted => exhausted(payment).response(request),
        Answer::NoProvider => no_provider(payment).response(request),
        // What is unresolved goes on by itself; a challenge goes on when the customer does.
        Answer::Unresolved
            if payment.answer() == Answer::Shown && answered.operation == Some(payment.authorize_id()) =>
        {
            json(StatusCode::OK, &PaymentBody::of(payment))?
        }
        Answer::Unresolved => unresolved(payment, &PaymentBody::of(payment))?,
    };
    Ok(finished(response, answered))
}

/// The payment as it stands, for an operator: what became of it is no failure of the order.
pub(super) fn shown(answered: &Answered, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    shown_as(&PaymentBody::of(&answered.payment), answered, request)
}

/// The same in a body that says more.
pub(super) fn shown_as(
    body: &impl serde::Serialize,
    answered: &Answered,
    request: &HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let response = match answered.answer {
        Answer::Shown | Answer::Declined | Answer::Blocked | Answer::Exhausted => json(StatusCode::OK, body)?,
        Answer::NoProvider => no_provider(&answered.payment).response(request),
        Answer::Unresolved => unresolved(&answered.payment, body)?,
    };
    Ok(finished(response, answered))
}

/// The refund.
pub(super) fn refund(answered: &Answered, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let payment = answered.payment.as_ref();
    let body = || {
        let refund = answered.operation.and_then(|id| payment.operation(id));
        refund.map(|refund| OperationBody::of(payment, refund, "refund"))
    };
    let body = || body().ok_or(ApiError::Internal);
    let response = match answered.answer {
        // A refund that the provider refused is shown as failed: it exists, with its attempts.
        Answer::Shown | Answer::Declined | Answer::Blocked | Answer::Exhausted => {
            json(StatusCode::OK, &body()?)?
        }
        Answer::NoProvider => no_provider(payment).response(request),
        Answer::Unresolved => unresolved(payment, &body()?)?,
    };
    Ok(finished(response, answered))
}

fn unresolved(payment: &Payment, body: &impl serde::Serialize) -> Result<HttpResponse, ApiError> {
    let mut response = json(StatusCode::ACCEPTED, body)?;
    let location = HeaderValue::try_from(format!("/v1/payments/{}", payment.id()));
    response
        .headers_mut()
        .insert(LOCATION, location.map_err(|_| ApiError::Internal)?);
    Ok(response)
}

pub(crate) fn no_provider(payment: &Payment) -> ApiError {
    ApiError::NoProvider {
        payment: Some(payment.id()),
    }
}

pub(crate) fn exhausted(payment: &Payment) -> ApiError {
    ApiError::Exhausted {
        payment: payment.id(),
    }
}

pub(crate) fn declined(answered: &Answered) -> ApiError {
    let payment = answered.payment.as_ref();
    match answered.operation {
        None | Some(OperationId::Authorize(_)) => ApiError::Declined {
            payment: payment.id(),
            decline_code: payment
                .failure
                .as_ref()
                .and_then(|failure| failure.decline_code.clone()),
            network: payment
                .failure
                .as_ref()
                .map(|failure| failure.network.clone())
                .unwrap_or_default(),
        },
        Some(
            OperationId::Capture(_)
            | OperationId::Void(_)
            | OperationId::Refund(_)
            | OperationId::Increment(_)
            | OperationId::Reversal(_),
        ) => ApiError::OperationDeclined {
            payment: payment.id(),
        },
    }
}

pub(crate) fn finished(mut response: HttpResponse, answered: &Answered) -> HttpResponse {
    if answered.replayed {
        Remembered::mark(&mut response);
    }
    if answered.replayed && answered.answer.is_final() {
        response
            .headers_mut()
            .insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    response
}
