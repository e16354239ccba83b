//! Every way in which a request is refused: one enum, and one table of what is shown of it in either format.

use crate::request_id;
use crate::server::ErrorProfile;
use crate::slo::Outcome;
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payment::NotStored;
use florin_actors::payments_handle::RequestError;
use florin_domain::card_details::masked;
use florin_domain::decline::{Advice, Decline, NetworkDecline};
use florin_domain::idempotency::KeyError;
use florin_domain::ids::PaymentId;
use florin_domain::ledger::{AlertRefusal, TransferRefusal};
use florin_domain::payment::Refusal;
use florin_domain::ports::{ReadError, ViewError};
use florin_domain::webhook::EndpointRefusal;
use std::sync::Arc;

mod code;
mod ledger;
mod message;
mod retry_after;
mod shown;
mod stripe;
mod webhooks;

pub(crate) use code::Code;
use ledger::{alert_class, transfer_status};
use shown::{Shown, wants_problem};
use webhooks::endpoint_class;

/// What is wrong with a parameter, or with the body as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    /// The parameter; nothing when it is the body as a whole.
    pub(crate) param: Option<String>,
    /// Stable code.
    pub(crate) code: Code,
    /// For a person.
    pub(crate) message: String,
}

impl Invalid {
    pub(crate) fn new(param: impl Into<String>, code: Code, message: impl Into<String>) -> Self {
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
    /// The path and headers are too large.
    HeadTooLarge { limit_bytes: usize },
    /// The API key has used up what it may ask.
    RateLimited { retry_after_s: u64 },
    /// Too many authentications from the same address failed.
    TooManyStrangers { retry_after_s: u64 },
    /// The merchant follows events in as many streams as it may.
    TooManyStreams { retry_after_s: u64 },
    /// A parameter is wrong.
    Invalid(Invalid),
    /// The idempotency key is missing or malformed.
    IdempotencyKey(KeyError),
    /// More than one idempotency key, or one that is no text.
    IdempotencyKeyUnreadable,
    /// The key was used for another request.
    KeyMismatch,
    /// The key was used for another request, where Stripe's SDKs read the answer.
    KeyReused,
    /// A card that was typed is not taken.
    CardRefused {
        /// Stripe's word for why.
        code: Code,
        /// What is wrong of it.
        param: &'static str,
        /// For the customer; no digit of the card.
        message: &'static str,
    },
    /// Too many requests wait for the key.
    TooManyWaiters,
    /// The platform takes no more work now.
    Overloaded { retry_after_s: u64 },
    /// The books did not take an account.
    AccountNotAgreed { retry_after_s: u64 },
    /// No provider could be reached; nothing was charged.
    NoProvider { payment: Option<PaymentId> },
    /// This node has not come as far as the caller has seen.
    NodeBehind,
    /// Another node has the shards, or may have them.
    NotOwner {
        /// Where its API answers, if that is known.
        owner: Option<Arc<str>>,
    },
    /// The same request may be sent again.
    TryAgain,
    /// The same: the saved card that it names cannot pay, as far as whoever asked first could tell.
    MethodGone,
    /// The payment's own rules refuse it.
    Refused(Refusal),
    /// Its status does not allow it.
    UnexpectedState {
        /// Which one, as a word of the wire.
        status: &'static str,
        /// What it does not allow, as the end of a sentence about the payment.
        cannot: &'static str,
    },
    /// The issuer, or risk, declined.
    Declined {
        payment: PaymentId,
        decline_code: Option<Arc<str>>,
        network: NetworkDecline,
    },
    /// A transfer is refused, and with it what was asked for.
    TransferRefused {
        /// Which of the request.
        param: String,
        refusal: TransferRefusal,
    },
    /// An account of this name is open on other terms.
    AccountNameTaken,
    /// An alert cannot be made.
    AlertRefused(AlertRefusal),
    /// A webhook endpoint is not changed.
    EndpointRefused(EndpointRefusal),
    /// The provider refused a capture or a void.
    OperationDeclined { payment: PaymentId },
    /// As many attempts were made as there may be; nothing was done.
    Exhausted { payment: PaymentId },
    /// An operator has stopped the merchant from taking money.
    MerchantFrozen,
    /// An operator has stopped all changes by merchants.
    ReadOnly,
    /// Other routing rules are in force than the operator has seen.
    RoutingVersionStale { latest: u32 },
    /// Another version of something is the latest than the operator has seen.
    VersionStale { what: &'static str, latest: u32 },
    /// No other set of credentials of its mode is present.
    CredentialsLast { livemode: bool },
    /// The end of the actor would end the process.
    ActorNotRestartable,
    /// Something of ours is broken; the log says what.
    Internal,
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Shed(shed) => Self::Overloaded {
                retry_after_s: shed.retry_after().as_secs(),
            },
            RequestError::Mismatch => Self::KeyMismatch,
            RequestError::TooManyWaiters => Self::TooManyWaiters,
            RequestError::NotStored(NotStored::NoProvider) => Self::NoProvider { payment: None },
            RequestError::NotStored(NotStored::MerchantFrozen) => Self::MerchantFrozen,
            RequestError::NotStored(NotStored::Busy) => Self::Overloaded { retry_after_s: 1 },
            RequestError::NotStored(NotStored::Refused(Refusal::NoSuchPayment)) => {
                Self::NoSuchObject { kind: "payment" }
            }
            RequestError::NotStored(NotStored::Refused(refusal)) => Self::Refused(refusal),
            RequestError::NotStored(NotStored::MethodGone) => Self::MethodGone,
            RequestError::NotStored(
                NotStored::StageTimeout(_) | NotStored::Ledger | NotStored::Failed | NotStored::Quarantined,
            )
            | RequestError::Lost => Self::TryAgain,
        }
    }
}

impl From<ViewError> for ApiError {
    fn from(error: ViewError) -> Self {
        match error {
            ViewError::Busy => Self::Overloaded { retry_after_s: 1 },
            ViewError::Store(why) => {
                tracing::error!(request_id = request_id::current(), %why, "a read model cannot answer");
                Self::Internal
            }
        }
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        tracing::error!(request_id = request_id::current(), %error, "the journal cannot be read");
        match error {
            // A database that is away or has no connection left may answer the next one.
            ReadError::Store(_) => Self::TryAgain,
            ReadError::Damaged { .. } => Self::Internal,
        }
    }
}

/// A person ends it, and nobody knows when.
const READ_ONLY_RETRY_S: u64 = 30;
const REQUEST: &str = "invalid_request_error";
const OURS: &str = "api_error";
const KEY: &str = "idempotency_error";
const CARD: &str = "card_error";

impl ApiError {
    /// It is not the fault of whoever asked.
    pub(crate) fn is_of_the_server(&self) -> bool {
        self.class().0.is_server_error()
    }

    /// Status, type and code.
    fn class(&self) -> (StatusCode, &'static str, Code) {
        match self {
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, REQUEST, Code::ApiKeyInvalid),
            Self::OperatorOnly => (StatusCode::FORBIDDEN, REQUEST, Code::OperatorKeyRequired),
            Self::MerchantOnly => (StatusCode::FORBIDDEN, REQUEST, Code::MerchantKeyRequired),
            Self::NoSuchRoute => (StatusCode::NOT_FOUND, REQUEST, Code::RouteUnknown),
            Self::MethodNotAllowed { .. } => {
                (StatusCode::METHOD_NOT_ALLOWED, REQUEST, Code::MethodNotAllowed)
            }
            Self::NoSuchObject { .. } => (StatusCode::NOT_FOUND, REQUEST, Code::ResourceMissing),
            Self::UnsupportedMedia(_) => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                REQUEST,
                Code::MediaTypeUnsupported,
            ),
            Self::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, REQUEST, Code::BodyTooLarge),
            Self::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, REQUEST, Code::BodyTimeout),
            Self::BodyBroken => (StatusCode::BAD_REQUEST, REQUEST, Code::BodyInvalid),
            Self::HeadTooLarge { .. } => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                REQUEST,
                Code::HeadTooLarge,
            ),
            Self::RateLimited { .. } | Self::TooManyStrangers { .. } | Self::TooManyStreams { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, REQUEST, Code::RateLimited)
            }
            Self::Invalid(invalid) => (StatusCode::BAD_REQUEST, REQUEST, invalid.code),
            Self::IdempotencyKey(KeyError::Empty) => {
                (StatusCode::BAD_REQUEST, REQUEST, Code::IdempotencyKeyRequired)
            }
            Self::IdempotencyKey(KeyError::TooLong | KeyError::Control | KeyError::Reserved)
            | Self::IdempotencyKeyUnreadable => {
                (StatusCode::BAD_REQUEST, REQUEST, Code::IdempotencyKeyInvalid)
            }
            Self::KeyMismatch => (StatusCode::UNPROCESSABLE_ENTITY, KEY, Code::IdempotencyKeyReused),
            Self::KeyReused => (StatusCode::BAD_REQUEST, KEY, Code::IdempotencyKeyReused),
            Self::CardRefused { code, .. } => (StatusCode::PAYMENT_REQUIRED, CARD, *code),
            Self::TooManyWaiters => (StatusCode::TOO_MANY_REQUESTS, KEY, Code::IdempotencyKeyInUse),
            Self::Overloaded { .. } => (StatusCode::SERVICE_UNAVAILABLE, OURS, Code::Overloaded),
            Self::AccountNotAgreed { .. } => (StatusCode::SERVICE_UNAVAILABLE, OURS, Code::ConsistencyError),
            Self::NodeBehind => (StatusCode::SERVICE_UNAVAILABLE, OURS, Code::NodeBehind),
            Self::NotOwner { .. } => (StatusCode::SERVICE_UNAVAILABLE, OURS, Code::NotOwner),
            Self::NoProvider { .. } => (StatusCode::SERVICE_UNAVAILABLE, OURS, Code::NoProviderAvailable),
            Self::TryAgain | Self::MethodGone => (
                StatusCode::SERVICE_UNAVAILABLE,
                OURS,
                Code::TemporarilyUnavailable,
            ),
            Self::Refused(
                refusal @ (Refusal::ExceedsCapturable | Refusal::ExceedsRefundable | Refusal::NotAnIncrement),
            ) => (StatusCode::BAD_REQUEST, REQUEST, Code::of(*refusal)),
            Self::Refused(refusal @ Refusal::TooMuchMetadata) => {
                (StatusCode::BAD_REQUEST, REQUEST, Code::of(*refusal))
            }
            Self::Refused(refusal) => (StatusCode::CONFLICT, REQUEST, Code::of(*refusal)),
            Self::UnexpectedState { .. } => (StatusCode::CONFLICT, REQUEST, Code::PaymentUnexpectedState),
            Self::TransferRefused { refusal, .. } => {
                (transfer_status(refusal), REQUEST, Code::of_transfer(refusal))
            }
            Self::AccountNameTaken => (StatusCode::CONFLICT, REQUEST, Code::AccountNameTaken),
            Self::AlertRefused(refusal) => {
                let (status, code) = alert_class(refusal);
                (status, REQUEST, code)
            }
            Self::EndpointRefused(refusal) => {
                let (status, code) = endpoint_class(*refusal);
                (status, REQUEST, code)
            }
            Self::OperationDeclined { .. } => (StatusCode::PAYMENT_REQUIRED, CARD, Code::OperationDeclined),
            Self::Exhausted { .. } => (StatusCode::CONFLICT, REQUEST, Code::TooManyAttempts),
            Self::Declined { .. } => (StatusCode::PAYMENT_REQUIRED, CARD, Code::CardDeclined),
            Self::MerchantFrozen => (StatusCode::FORBIDDEN, REQUEST, Code::MerchantFrozen),
            Self::ReadOnly => (StatusCode::SERVICE_UNAVAILABLE, OURS, Code::ReadOnly),
            Self::RoutingVersionStale { .. } => (StatusCode::CONFLICT, REQUEST, Code::RoutingVersionStale),
            Self::VersionStale { .. } => (StatusCode::CONFLICT, REQUEST, Code::VersionStale),
            Self::CredentialsLast { .. } => (StatusCode::CONFLICT, REQUEST, Code::CredentialsLast),
            Self::ActorNotRestartable => (StatusCode::CONFLICT, REQUEST, Code::ActorNotRestartable),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, OURS, Code::InternalError),
        }
    }

    fn param(&self) -> Option<&str> {
        match self {
            Self::Invalid(invalid) => invalid.param.as_deref(),
            Self::IdempotencyKey(_)
            | Self::IdempotencyKeyUnreadable
            | Self::KeyMismatch
            | Self::KeyReused
            | Self::EndpointRefused(EndpointRefusal::KeyMismatch | EndpointRefusal::Deleted)
            | Self::TooManyWaiters => Some("Idempotency-Key"),
            Self::NodeBehind => Some("Florin-Consistency-Token"),
            Self::CardRefused { param, .. } => Some(param),
            Self::NoSuchObject { .. }
            | Self::EndpointRefused(EndpointRefusal::NoSuchEndpoint)
            | Self::AlertRefused(AlertRefusal::IdReused) => Some("id"),
            Self::AccountNameTaken => Some("name"),
            Self::RoutingVersionStale { .. } | Self::VersionStale { .. } => Some("expected_version"),
            Self::CredentialsLast { .. } => Some("falls_back"),
            Self::AlertRefused(AlertRefusal::UnknownAccount(_) | AlertRefusal::AccountFull) => {
                Some("account")
            }
            Self::TransferRefused { param, .. } => Some(param),
            Self::Refused(
                Refusal::ExceedsCapturable | Refusal::ExceedsRefundable | Refusal::NotAnIncrement,
            ) => Some("amount"),
            Self::AlertRefused(AlertRefusal::ShardFull)
            | Self::EndpointRefused(
                EndpointRefusal::TooManyEndpoints
                | EndpointRefusal::TooManyReplays
                | EndpointRefusal::Disabled,
            )
            | Self::Unauthenticated
            | Self::OperatorOnly
            | Self::MerchantOnly
            | Self::NoSuchRoute
            | Self::MethodNotAllowed { .. }
            | Self::UnsupportedMedia(_)
            | Self::BodyTooLarge { .. }
            | Self::BodyTimeout
            | Self::BodyBroken
            | Self::HeadTooLarge { .. }
            | Self::RateLimited { .. }
            | Self::TooManyStreams { .. }
            | Self::TooManyStrangers { .. }
            | Self::Overloaded { .. }
            | Self::AccountNotAgreed { .. }
            | Self::NotOwner { .. }
            | Self::NoProvider { .. }
            | Self::TryAgain
            | Self::MethodGone
            | Self::Refused(_)
            | Self::UnexpectedState { .. }
            | Self::Declined { .. }
            | Self::OperationDeclined { .. }
            | Self::Exhausted { .. }
            | Self::MerchantFrozen
            | Self::ReadOnly
            | Self::ActorNotRestartable
            | Self::Internal => None,
        }
    }

    /// Whose fault it is that the request was not done.
    fn outcome(&self) -> Outcome {
        match self {
            Self::Declined { .. } | Self::OperationDeclined { .. } => Outcome::Declined,
            // Nobody was asked for money.
            Self::CardRefused { .. } => Outcome::Refused,
            other => Outcome::of(other.class().0),
        }
    }

    /// Status, type and code as this profile writes them, and the code they stand for.
    fn class_in(&self, profile: ErrorProfile) -> (StatusCode, &'static str, &'static str, Code) {
        let (status, kind, code) = self.class();
        match (self, profile) {
            (Self::Declined { .. }, ErrorProfile::Seed) => {
                (StatusCode::BAD_REQUEST, kind, "CARD_DECLINED", code)
            }
            (_, ErrorProfile::Seed | ErrorProfile::Stripe) => (status, kind, code.as_str(), code),
        }
    }

    /// The answer, in the format that the request asks for and the profile that is configured.
    pub(crate) fn response(&self, request: &HttpRequest) -> HttpResponse {
        let state = request.app_data::<Data<State>>();
        let profile = state.map_or(ErrorProfile::default(), |state| state.options.error_profile);
        let mut response = self.rendered(request.headers(), profile);
        response.extensions_mut().insert(self.outcome());
        response
    }

    fn rendered(&self, request_headers: &HeaderMap, profile: ErrorProfile) -> HttpResponse {
        let (status, kind, text, code) = self.class_in(profile);
        let (mut payment_id, mut declined_as, mut by_network) = (None, None, &NetworkDecline::NONE);
        if let Self::Declined {
            payment,
            decline_code,
            network,
        } = self
        {
            (payment_id, declined_as, by_network) = (Some(*payment), decline_code.as_deref(), network);
        }
        if let Self::NoProvider { payment } = self {
            payment_id = *payment;
        }
        if let Self::OperationDeclined { payment } | Self::Exhausted { payment } = self {
            payment_id = Some(*payment);
        }
        let mut payment_status = None;
        if let Self::UnexpectedState { status, .. } = self {
            payment_status = Some(*status);
        }
        let advised = declined_as.map(Decline::of);
        let shown = Shown {
            kind,
            code: text,
            decline_code: declined_as,
            advice_code: advised.and_then(Decline::advice).map(Advice::as_str),
            network_decline_code: by_network.decline_code.as_deref(),
            network_advice_code: by_network.advice_code.as_deref(),
            retry_after_s: advised.and_then(Decline::wait).map(|wait| wait.0 / 1000),
            // A message may repeat what was sent, and what was sent may be a card number in the wrong place.
            message: masked(&self.message()).into(),
            param: self.param().map(masked),
            payment_id: payment_id.map(|payment| payment.to_string()),
            payment_status,
            doc_url: code.location(),
        };
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
        if let Self::NotOwner { owner: Some(owner) } = self {
            response.insert_header((header::HeaderName::from_static("florin-owner"), &**owner));
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

#[cfg(test)]
mod tests;
