//! Every way in which a request is refused: one enum, and one table of what is shown of it in either format.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use florin_actors::ledger_handle::LedgerError;
use florin_actors::payment::NotStored;
use florin_actors::payments_handle::CreateError;
use florin_domain::idempotency::KeyError;
use florin_domain::ids::PaymentId;
use florin_domain::payment::Refusal;
use florin_domain::ports::{ReadError, ViewError};
use serde::Serialize;
use std::borrow::Cow;
use std::sync::Arc;

/// What is wrong with a parameter, or with the body as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    /// The parameter; nothing when it is the body as a whole.
    pub(crate) param: Option<String>,
    /// Stable code.
    pub(crate) code: &'static str,
    /// For a person.
    pub(crate) message: String,
}

impl Invalid {
    pub(crate) fn new(param: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            param: Some(param.into()),
            code,
            message: message.into(),
        }
    }
}

/// Why a request has no better answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ApiError {
    /// No key, an unknown one, or one of the other mode: which of these is never said.
    Unauthenticated,
    /// A merchant's key on an operator's route.
    OperatorOnly,
    /// An operator's key on a merchant's route.
    MerchantOnly,
    /// There is no such path.
    NoSuchRoute,
    /// The path has other methods.
    MethodNotAllowed { allow: &'static str },
    /// There is no such object, or it is another merchant's.
    NoSuchObject { kind: &'static str },
    /// The body is not plain JSON.
    UnsupportedMedia(&'static str),
    /// The body is too large.
    BodyTooLarge { limit_bytes: usize },
    /// The body did not arrive in time.
    BodyTimeout,
    /// The connection broke, or its framing was wrong.
    BodyBroken,
    /// A parameter is wrong.
    Invalid(Invalid),
    /// The idempotency key is missing or malformed.
    IdempotencyKey(KeyError),
    /// More than one idempotency key, or one that is no text.
    IdempotencyKeyUnreadable,
    /// The key was used for another request.
    KeyMismatch,
    /// Too many requests wait for the key.
    TooManyWaiters,
    /// The platform takes no more work now.
    Overloaded { retry_after_s: u64 },
    /// No provider could be reached; nothing was charged.
    NoProvider { payment: Option<PaymentId> },
    /// The same request may be sent again.
    TryAgain,
    /// The payment's own rules refuse it.
    Refused(Refusal),
    /// The issuer, or risk, declined.
    Declined {
        payment: PaymentId,
        decline_code: Option<Arc<str>>,
    },
    /// Something of ours is broken; the log says what.
    Internal,
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<CreateError> for ApiError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Shed(shed) => Self::Overloaded {
                retry_after_s: shed.retry_after().as_secs(),
            },
            CreateError::Mismatch => Self::KeyMismatch,
            CreateError::TooManyWaiters => Self::TooManyWaiters,
            CreateError::NotStored(NotStored::NoProvider) => Self::NoProvider { payment: None },
            CreateError::NotStored(NotStored::Refused(refusal)) => Self::Refused(refusal),
            CreateError::NotStored(
                NotStored::StageTimeout(_) | NotStored::Ledger | NotStored::Failed | NotStored::Quarantined,
            )
            | CreateError::Lost => Self::TryAgain,
        }
    }
}

impl From<ViewError> for ApiError {
    fn from(error: ViewError) -> Self {
        match error {
            ViewError::Busy => Self::Overloaded { retry_after_s: 1 },
            ViewError::Store(why) => {
                tracing::error!(%why, "a read model cannot answer");
                Self::Internal
            }
        }
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        tracing::error!(%error, "the journal cannot be read");
        Self::Internal
    }
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Busy | LedgerError::Gone => Self::Overloaded { retry_after_s: 1 },
            LedgerError::Read(error) => error.into(),
        }
    }
}

const REQUEST: &str = "invalid_request_error";
const OURS: &str = "api_error";
const KEY: &str = "idempotency_error";
const CARD: &str = "card_error";

impl ApiError {
    /// Status, type and code.
    fn class(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, REQUEST, "api_key_invalid"),
            Self::OperatorOnly => (StatusCode::FORBIDDEN, REQUEST, "operator_key_required"),
            Self::MerchantOnly => (StatusCode::FORBIDDEN, REQUEST, "merchant_key_required"),
            Self::NoSuchRoute => (StatusCode::NOT_FOUND, REQUEST, "route_unknown"),
            Self::MethodNotAllowed { .. } => (StatusCode::METHOD_NOT_ALLOWED, REQUEST, "method_not_allowed"),
            Self::NoSuchObject { .. } => (StatusCode::NOT_FOUND, REQUEST, "resource_missing"),
            Self::UnsupportedMedia(_) => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                REQUEST,
                "media_type_unsupported",
            ),
            Self::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, REQUEST, "body_too_large"),
            Self::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, REQUEST, "body_timeout"),
            Self::BodyBroken => (StatusCode::BAD_REQUEST, REQUEST, "body_invalid"),
            Self::Invalid(invalid) => (StatusCode::BAD_REQUEST, REQUEST, invalid.code),
            Self::IdempotencyKey(KeyError::Empty) => {
                (StatusCode::BAD_REQUEST, REQUEST, "idempotency_key_required")
            }
            Self::IdempotencyKey(KeyError::TooLong | KeyError::Control) | Self::IdempotencyKeyUnreadable => {
                (StatusCode::BAD_REQUEST, REQUEST, "idempotency_key_invalid")
            }
            Self::KeyMismatch => (StatusCode::UNPROCESSABLE_ENTITY, KEY, "idempotency_key_reused"),
            Self::TooManyWaiters => (StatusCode::TOO_MANY_REQUESTS, KEY, "idempotency_key_in_use"),
            Self::Overloaded { .. } => (StatusCode::SERVICE_UNAVAILABLE, OURS, "overloaded"),
            Self::NoProvider { .. } => (StatusCode::SERVICE_UNAVAILABLE, OURS, "no_provider_available"),
            Self::TryAgain => (StatusCode::SERVICE_UNAVAILABLE, OURS, "temporarily_unavailable"),
            Self::Refused(refusal) => (StatusCode::CONFLICT, REQUEST, refusal.code()),
            Self::Declined { .. } => (StatusCode::PAYMENT_REQUIRED, CARD, "card_declined"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, OURS, "internal_error"),
        }
    }

    fn message(&self) -> Cow<'_, str> {
        match self {
            Self::Unauthenticated => "A valid API key is required.".into(),
            Self::OperatorOnly => "This needs an operator's API key.".into(),
            Self::MerchantOnly => "This needs a merchant's API key.".into(),
            Self::NoSuchRoute => "There is no such path.".into(),
            Self::MethodNotAllowed { allow } => format!("This path answers {allow} only.").into(),
            Self::NoSuchObject { kind } => format!("No such {kind}.").into(),
            Self::UnsupportedMedia(message) => (*message).into(),
            Self::BodyTooLarge { limit_bytes } => {
                format!("The request body is larger than {limit_bytes} bytes.").into()
            }
            Self::BodyTimeout => "The request body did not arrive in time.".into(),
            Self::BodyBroken => "The request body could not be read to its end.".into(),
            Self::Invalid(invalid) => invalid.message.as_str().into(),
            Self::IdempotencyKey(error) => error.to_string().into(),
            Self::IdempotencyKeyUnreadable => "Send one Idempotency-Key header, in UTF-8.".into(),
            Self::KeyMismatch => "This Idempotency-Key was used with other parameters.".into(),
            Self::TooManyWaiters => "Too many requests wait for this Idempotency-Key.".into(),
            Self::Overloaded { .. } => "Florin takes no more requests now; nothing was started.".into(),
            Self::NoProvider { .. } => {
                "No payment provider is available; nothing was charged. The same request may be sent again."
                    .into()
            }
            Self::TryAgain => {
                "The request could not be finished. Send it again with the same Idempotency-Key.".into()
            }
            Self::Refused(refusal) => format!("Refused: {refusal}.").into(),
            Self::Declined { .. } => "Your card was declined.".into(),
            Self::Internal => "Something went wrong here; the request may be sent again.".into(),
        }
    }

    fn param(&self) -> Option<&str> {
        match self {
            Self::Invalid(invalid) => invalid.param.as_deref(),
            Self::IdempotencyKey(_)
            | Self::IdempotencyKeyUnreadable
            | Self::KeyMismatch
            | Self::TooManyWaiters => Some("Idempotency-Key"),
            Self::NoSuchObject { .. } => Some("id"),
            Self::Unauthenticated
            | Self::OperatorOnly
            | Self::MerchantOnly
            | Self::NoSuchRoute
            | Self::MethodNotAllowed { .. }
            | Self::UnsupportedMedia(_)
            | Self::BodyTooLarge { .. }
            | Self::BodyTimeout
            | Self::BodyBroken
            | Self::Overloaded { .. }
            | Self::NoProvider { .. }
            | Self::TryAgain
            | Self::Refused(_)
            | Self::Declined { .. }
            | Self::Internal => None,
        }
    }

    /// How long to wait, for every status that asks to wait.
    fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::Overloaded { retry_after_s } => Some(*retry_after_s),
            Self::TooManyWaiters | Self::NoProvider { .. } | Self::TryAgain => Some(1),
            Self::Unauthenticated
            | Self::OperatorOnly
            | Self::MerchantOnly
            | Self::NoSuchRoute
            | Self::MethodNotAllowed { .. }
            | Self::NoSuchObject { .. }
            | Self::UnsupportedMedia(_)
            | Self::BodyTooLarge { .. }
            | Self::BodyTimeout
            | Self::BodyBroken
            | Self::Invalid(_)
            | Self::IdempotencyKey(_)
            | Self::IdempotencyKeyUnreadable
            | Self::KeyMismatch
            | Self::Refused(_)
            | Self::Declined { .. }
            | Self::Internal => None,
        }
    }

    /// The answer, in the format that the request asks for.
    pub(crate) fn response(&self, request_headers: &HeaderMap) -> HttpResponse {
        let (status, kind, code) = self.class();
        let mut shown = Shown {
            kind,
            code,
            decline_code: None,
            message: self.message(),
            param: self.param(),
            payment_id: None,
        };
        if let Self::Declined {
            payment,
            decline_code,
        } = self
        {
            shown.payment_id = Some(payment.to_string());
            shown.decline_code = decline_code.as_deref();
        }
        if let Self::NoProvider {
            payment: Some(payment),
        } = self
        {
            shown.payment_id = Some(payment.to_string());
        }
        let (content_type, body) = if wants_problem(request_headers) {
            ("application/problem+json", shown.problem(status))
        } else {
            ("application/json", shown.envelope())
        };
        let mut response = HttpResponse::build(status);
        response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(content_type)));
        if let Some(seconds) = self.retry_after_s() {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if let Self::Unauthenticated = self {
            response.insert_header((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
        if let Self::MethodNotAllowed { allow } = self {
            response.insert_header((header::ALLOW, HeaderValue::from_static(allow)));
        }
        response.body(body)
    }
}

/// What is shown of an error, in the names of the Stripe envelope.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    decline_code: Option<&'a str>,
    message: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_id: Option<String>,
}

/// The same in the names of RFC 9457.
#[derive(Debug, Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    uri: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    error_type: &'static str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    decline_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_id: Option<&'a str>,
}

impl Shown<'_> {
    fn envelope(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Envelope<'a> {
            error: &'a Shown<'a>,
        }
        serde_json::to_vec(&Envelope { error: self }).unwrap_or_default()
    }

    fn problem(&self, status: StatusCode) -> Vec<u8> {
        let problem = Problem {
            uri: format!("urn:florin:error:{}", self.code),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: &self.message,
            error_type: self.kind,
            code: self.code,
            decline_code: self.decline_code,
            param: self.param,
            payment_id: self.payment_id.as_deref(),
        };
        serde_json::to_vec(&problem).unwrap_or_default()
    }
}

/// Whether the caller takes RFC 9457; a weight other than zero is not compared with those of other types.
fn wants_problem(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let wanted = parts
                .next()
                .is_some_and(|name| name.eq_ignore_ascii_case("application/problem+json"));
            let refused = |weight: &str| {
                weight
                    .trim_start_matches("q=")
                    .trim_matches(['0', '.'])
                    .is_empty()
            };
            wanted && !parts.any(|part| part.starts_with("q=") && refused(part))
        })
}

#[cfg(test)]
mod tests;
