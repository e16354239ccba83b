//! What SDKs are told: the object, or the refusal with the objects that it is about, and the headers that they go by.

use super::body::{Shown, charge, event, has_charge, payment_intent, refund, status};
use super::expand::Expand;
use super::{API_VERSION, ids};
use crate::errors::{ApiError, Invalid};
use crate::reply::{self, Remembered};
use crate::request_id;
use crate::slo::Outcome;
use crate::state::State;
use crate::v1::answer;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payments_handle::Answered;
use florin_domain::ids::{OperationId, PaymentId};
use florin_domain::payment::{Answer, Payment};
use florin_domain::ports::ShownEvent;
use serde_json::{Map, Value};
use std::sync::Arc;

const SHOWN_VERSION: HeaderValue = HeaderValue::from_static(API_VERSION);
const VERSION: HeaderName = HeaderName::from_static("stripe-version");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("stripe-should-retry");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const ORIGINAL_REQUEST: HeaderName = HeaderName::from_static("original-request");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Why there is no object.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Nothing more is known of it.
    Plain(ApiError),
    /// The end of a request about a payment, which is shown with it.
    About {
        /// As natively refused.
        error: ApiError,
        /// As the answer shows it.
        payment: Arc<Payment>,
        /// Another request under the same key came to it.
        replayed: bool,
    },
    /// The payment's status is in the way.
    State {
        /// What it does not allow, as the end of a sentence.
        cannot: &'static str,
        /// As natively refused.
        error: ApiError,
        /// As it stands.
        payment: Arc<Payment>,
    },
}

impl<E: Into<ApiError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Plain(error.into())
    }
}

/// An object, or why there is none.
pub(crate) type Told = Result<HttpResponse, Refused>;

/// The secret of a payment's intent.
pub(crate) fn client_secret(state: &State, payment: PaymentId) -> String {
    let bits = state.client_secrets.client_secret(payment);
    format!("{}_secret_{bits:032x}", ids::named(ids::PAYMENT_INTENT, payment))
}

/// The intent of a payment.
pub(crate) fn intent_of(state: &State, payment: &Payment, expand: &Expand) -> Value {
    let secret = client_secret(state, payment.id());
    payment_intent(shown(payment, &secret), expand)
}

/// An event, with the secret of its intent.
pub(crate) fn event_of(state: &State, told: &ShownEvent) -> Value {
    let secret = client_secret(state, told.payment.id());
    event(told, Some(&secret))
}

/// Whether a program speaks as Stripe's SDKs do: they always name the version of the API that they know.
pub(crate) fn is_asked_by_sdk(request: &HttpRequest) -> bool {
    request.headers().contains_key(VERSION)
}

/// The charge of a payment, if it has one.
pub(crate) fn charge_of(state: &State, payment: &Payment, expand: &Expand) -> Option<Value> {
    let secret = client_secret(state, payment.id());
    has_charge(payment).then(|| charge(shown(payment, &secret), expand))
}

/// The refund of a payment with this id.
pub(crate) fn refund_of(state: &State, payment: &Payment, id: OperationId, expand: &Expand) -> Option<Value> {
    let OperationId::Refund(own) = id else { return None };
    let secret = client_secret(state, payment.id());
    Some(refund(
        shown(payment, &secret),
        own,
        payment.operation(id)?,
        expand,
    ))
}

fn shown<'a>(payment: &'a Payment, secret: &'a str) -> Shown<'a> {
    Shown {
        payment,
        client_secret: Some(secret),
    }
}

/// An object.
pub(crate) fn object(value: &Value) -> Told {
    Ok(reply::json(StatusCode::OK, value)?)
}

/// What became of a request about a payment, shown as an intent.
pub(crate) fn intent(state: &State, answered: &Answered, expand: &Expand) -> Told {
    shown_as(answered, || Some(intent_of(state, &answered.payment, expand)))
}

/// The same shown as a charge.
pub(crate) fn charged(state: &State, answered: &Answered, expand: &Expand) -> Told {
    shown_as(answered, || charge_of(state, &answered.payment, expand))
}

/// What became of a refund. One that the provider refused is shown as failed: it exists.
pub(crate) fn refunded(state: &State, answered: &Answered, expand: &Expand) -> Told {
    let payment = answered.payment.as_ref();
    if answered.answer == Answer::NoProvider {
        return Err(answer::no_provider(payment).into());
    }
    let body = answered
        .operation
        .and_then(|id| refund_of(state, payment, id, expand));
    told(answered, &body.ok_or(ApiError::Internal)?)
}

fn shown_as(answered: &Answered, body: impl FnOnce() -> Option<Value>) -> Told {
    let payment = &answered.payment;
    match answered.answer {
        Answer::Shown | Answer::Unresolved => told(answered, &body().ok_or(ApiError::Internal)?),
        Answer::Declined | Answer::Blocked => Err(about(answered, answer::declined(answered))),
        Answer::Exhausted => Err(about(answered, answer::exhausted(payment))),
        Answer::NoProvider => Err(answer::no_provider(payment).into()),
    }
}

fn about(answered: &Answered, error: ApiError) -> Refused {
    Refused::About {
        error,
        payment: Arc::clone(&answered.payment),
        replayed: answered.replayed,
    }
}

fn told(answered: &Answered, body: &Value) -> Told {
    let mut response = answer::finished(reply::json(StatusCode::OK, body)?, answered);
    if !answered.replayed {
        mark_original(response.headers_mut());
    }
    // There is no 202 here; the object says that it is not over.
    let payment = &answered.payment;
    let is_challenge =
        payment.answer() == Answer::Shown && answered.operation == Some(payment.authorize_id());
    if answered.answer == Answer::Unresolved && !is_challenge {
        response.extensions_mut().insert(Outcome::Unresolved);
    }
    Ok(response)
}

/// The response, with the headers that SDKs go by.
pub(crate) fn finished(state: &State, request: &HttpRequest, told: Told) -> HttpResponse {
    let asked = request.headers();
    // Without a key of the caller's own the same request would be another one.
    let has_key = request.method().is_safe() || asked.contains_key(IDEMPOTENCY_KEY);
    let mut response = match told {
        Ok(response) => response,
        Err(refused) => {
            let replayed = match &refused {
                Refused::About { replayed, .. } => Some(*replayed),
                Refused::Plain(_) | Refused::State { .. } => None,
            };
            let (error, objects) = with_objects(state, refused);
            let repeat = has_key && error.may_be_repeated();
            let mut response = error.stripe_response(objects);
            match replayed {
                Some(true) => {
                    Remembered::mark(&mut response);
                    let headers = response.headers_mut();
                    headers.insert(REPLAYED, HeaderValue::from_static("true"));
                }
                Some(false) => mark_original(response.headers_mut()),
                None => {}
            }
            let value = HeaderValue::from_static(if repeat { "true" } else { "false" });
            response.headers_mut().insert(SHOULD_RETRY, value);
            response
        }
    };
    echo(asked, response.headers_mut());
    response
}

/// The request that did the work names itself. Which one it was is not kept, so a replay cannot tell.
fn mark_original(headers: &mut HeaderMap) {
    if let Ok(id) = HeaderValue::try_from(request_id::current()) {
        headers.insert(ORIGINAL_REQUEST, id);
    }
}

fn with_objects(state: &State, refused: Refused) -> (ApiError, Map<String, Value>) {
    let mut objects = Map::new();
    let (error, payment) = match refused {
        Refused::Plain(error) => return (error, objects),
        Refused::About { error, payment, .. } => (error, payment),
        Refused::State {
            cannot,
            error,
            payment,
        } => {
            let message = format!("A PaymentIntent that is `{}` {cannot}.", status(&payment));
            objects.insert("message".to_owned(), message.into());
            (error, payment)
        }
    };
    if has_charge(&payment) {
        objects.insert("charge".to_owned(), ids::named(ids::CHARGE, payment.id()).into());
    }
    objects.insert(
        "payment_intent".to_owned(),
        intent_of(state, &payment, Expand::NONE),
    );
    (error, objects)
}

fn echo(asked: &HeaderMap, headers: &mut HeaderMap) {
    let version = asked.get(VERSION).filter(|version| !version.is_empty());
    headers.insert(VERSION, version.cloned().unwrap_or(SHOWN_VERSION));
    if let Some(key) = asked.get(IDEMPOTENCY_KEY) {
        headers.insert(IDEMPOTENCY_KEY, key.clone());
    }
}

/// There is no such object, or it is another merchant's.
pub(crate) fn missing(kind: &'static str) -> Refused {
    ApiError::NoSuchObject { kind }.into()
}

/// The same parameter under the name that it has here.
pub(crate) fn renamed(invalid: Invalid, native: &str, name: &str) -> Invalid {
    let Invalid { param, code, message } = invalid;
    let inner = |param: String| match param.strip_prefix(native).map(|rest| rest.strip_prefix('.')) {
        Some(None) => name.to_owned(),
        Some(Some(own)) => format!("{name}[{own}]"),
        None => param,
    };
    Invalid {
        param: param.map(inner),
        code,
        message: message.replace(&format!("`{native}`"), &format!("`{name}`")),
    }
}
