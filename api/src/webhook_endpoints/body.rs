//! Webhook endpoints and deliveries as they are shown. An endpoint has Stripe's fields and ours; its secret only when it has just been made.

use crate::errors::ApiError;
use crate::reply::{Remembered, json as reply};
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use florin_domain::ports::EndpointChanged;
use florin_domain::webhook::{
    DeliveryOutcome, DeliveryRow, Endpoint, EndpointStatus, EventShape, SigningSecret, Then,
};
use serde_json::{Map, Value, json};

const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Whether a secret is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secret {
    /// It was made by what is answered.
    Shown,
    /// It is nobody's business now.
    Kept,
}

/// An endpoint.
pub(crate) fn endpoint_body(endpoint: &Endpoint, secret: Option<&SigningSecret>) -> Value {
    let reason = match endpoint.status {
        EndpointStatus::Enabled => None,
        EndpointStatus::Disabled(why) => Some(why.as_str()),
    };
    let names: Vec<&str> = endpoint.wanted.names.iter().map(AsRef::as_ref).collect();
    let pairs = endpoint.metadata.iter();
    let metadata: Map<String, Value> = pairs
        .map(|(name, value)| (name.to_string(), value.as_ref().into()))
        .collect();
    let mut body = json!({
        "id": endpoint.id.to_string(),
        "object": "webhook_endpoint",
        "api_version": null,
        "application": null,
        "created": endpoint.created_at.unix_s(),
        "description": endpoint.description.as_deref(),
        "disabled_reason": reason,
        "enabled_events": names,
        "event_shape": endpoint.shape.as_str(),
        "livemode": endpoint.owner.livemode,
        "metadata": metadata,
        "status": if reason.is_none() { "enabled" } else { "disabled" },
        "url": endpoint.url.as_ref(),
    });
    if let (Some(secret), Some(fields)) = (secret, body.as_object_mut()) {
        fields.insert("secret".to_owned(), secret.0.as_str().into());
    }
    body
}

/// What a change came to, as an answer.
pub(crate) fn changed(changed: &EndpointChanged, secret: Secret) -> Result<HttpResponse, ApiError> {
    let shown = (secret == Secret::Shown).then_some(&changed.kept.secrets.current);
    let mut response = reply(StatusCode::OK, &endpoint_body(&changed.kept.endpoint, shown))?;
    if changed.was_before {
        Remembered::mark(&mut response);
        let headers = response.headers_mut();
        headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// A delivery, in the words of its endpoint.
pub(crate) fn delivery_body(shape: EventShape, (number, row): &(u64, DeliveryRow)) -> Value {
    let (status, error) = match &row.outcome {
        DeliveryOutcome::Status(status) => (Some(*status), None),
        DeliveryOutcome::Unanswered(why) => (None, Some(why.as_ref())),
    };
    let (outcome, next, reason) = match row.then {
        Then::Delivered => ("delivered", None, None),
        Then::Again(at) => ("retried", Some(at.unix_s()), None),
        Then::GivenUp => ("given_up", None, None),
        Then::Disabled(why) => ("endpoint_disabled", None, Some(why.as_str())),
    };
    json!({
        "object": "webhook_delivery",
        "number": number,
        "event": row.event.to_string(),
        "type": shape.name_of(row.kind),
        "payment_id": row.payment.to_string(),
        "sequence": row.number,
        "attempt": row.attempt,
        "is_resend": row.is_replay,
        "created": row.at.unix_s(),
        "took_ms": row.took_ms,
        "http_status": status,
        "error": error,
        "outcome": outcome,
        "next_attempt": next,
        "disabled_reason": reason,
    })
}
