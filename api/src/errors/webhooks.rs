//! What the store of webhook endpoints refuses, and the statuses of that.

use super::{ApiError, Code, Invalid};
use crate::request_id;
use actix_web::http::StatusCode;
use florin_domain::ports::EndpointError;
use florin_domain::webhook::EndpointRefusal;

impl From<EndpointError> for ApiError {
    fn from(error: EndpointError) -> Self {
        match error {
            EndpointError::NotConfigured => Self::Invalid(Invalid {
                param: None,
                code: Code::WebhooksNotKept,
                message:
                    "This node keeps no webhook endpoints: it has no key-encryption key (`secrets.kek_file`)."
                        .to_owned(),
            }),
            EndpointError::Busy => Self::Overloaded { retry_after_s: 1 },
            EndpointError::Refused(EndpointRefusal::KeyMismatch) => Self::KeyReused,
            EndpointError::Refused(refusal) => Self::EndpointRefused(refusal),
            EndpointError::Store(why) => {
                tracing::error!(request_id = request_id::current(), %why, "the store of webhook endpoints failed");
                Self::Internal
            }
        }
    }
}

pub(super) const fn endpoint_class(refusal: EndpointRefusal) -> (StatusCode, Code) {
    match refusal {
        EndpointRefusal::NoSuchEndpoint => (StatusCode::NOT_FOUND, Code::ResourceMissing),
        EndpointRefusal::Deleted => (StatusCode::BAD_REQUEST, Code::ResourceMissing),
        EndpointRefusal::KeyMismatch => (StatusCode::BAD_REQUEST, Code::IdempotencyKeyReused),
        EndpointRefusal::TooManyEndpoints => (StatusCode::CONFLICT, Code::WebhookEndpointsFull),
        EndpointRefusal::TooManyReplays => (StatusCode::CONFLICT, Code::WebhookResendsFull),
        EndpointRefusal::Disabled => (StatusCode::CONFLICT, Code::WebhookEndpointDisabled),
    }
}
