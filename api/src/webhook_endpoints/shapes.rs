//! Webhook endpoints and deliveries in the OpenAPI document.

use super::body::{delivery_body, endpoint_body};
use super::said::DESCRIPTION_BYTES_MAX;
use crate::errors::Code;
use crate::openapi::{
    Endpoint, Field, PAYMENT_ID, array, bounded, bounded_text, chapter, count, flag, id, may, metadata, must,
    or_null, record, text, time, word,
};
use florin_domain::announcement::AnnouncementKind;
use florin_domain::ids::{EndpointId, EventId, MerchantId, PaymentId};
use florin_domain::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use florin_domain::time::Timestamp;
use florin_domain::vault::Owner;
use florin_domain::webhook::{
    DeliveryOutcome, DeliveryRow, Endpoint as WebhookEndpoint, EndpointStatus, EventShape, SigningSecret,
    Then, URL_BYTES_MAX, WANTED_NAMES_MAX, WantedEvents, WhyDisabled,
};
use serde_json::Value;
use std::sync::Arc;
use utoipa::openapi::schema::ObjectBuilder;
use zeroize::Zeroizing;

pub(crate) const ENDPOINT_ID: &str = "we_01m7y92abt00074ha88rfjdjp2";
const EVENT_ID: &str = "evt_01m7y92abt0000000000000g01";

/// What each POST here has in common: a key is taken, and none is needed.
pub(crate) fn keyed(endpoint: Endpoint) -> Endpoint {
    let key = bounded_text(
        "If there is one, the request is carried out once for it and answered the same for 24 hours.",
        (1, IDEMPOTENCY_KEY_BYTES_MAX),
    );
    endpoint
        .in_chapter(chapter::WEBHOOKS)
        .may_have_header("Idempotency-Key", key, "hooks-1")
        .refuses(
            400,
            &[
                Code::IdempotencyKeyInvalid,
                Code::IdempotencyKeyRequired,
                Code::IdempotencyKeyReused,
                Code::CardNumberMisplaced,
                Code::ResourceMissing,
                Code::WebhooksNotKept,
            ],
        )
}

/// What each path of one endpoint has in common.
pub(crate) fn named(endpoint: Endpoint) -> Endpoint {
    endpoint
        .in_chapter(chapter::WEBHOOKS)
        .path_part("id", id("The endpoint.", "we_"), ENDPOINT_ID)
        .refuses(400, &[Code::WebhooksNotKept])
        .refuses(404, &[Code::ResourceMissing])
        .refuses(503, &[Code::Overloaded, Code::TemporarilyUnavailable])
}

fn address() -> ObjectBuilder {
    bounded_text(
        "Where events are posted to: an absolute `https` URL without user, password and fragment.",
        (1, URL_BYTES_MAX),
    )
}

fn wanted() -> utoipa::openapi::schema::ArrayBuilder {
    let name = bounded_text(
        "A name of either shape, a beginning such as `refund.*`, or `*`.",
        (1, 64),
    );
    array(name, "Which events are sent.")
        .min_items(Some(1))
        .max_items(Some(WANTED_NAMES_MAX))
}

fn shape() -> ObjectBuilder {
    word(
        "In which words events are sent.",
        [EventShape::Native, EventShape::Stripe].map(EventShape::as_str),
    )
}

/// What may be said of an endpoint: a new one must have an address and events.
pub(crate) fn endpoint_fields(is_new: bool) -> Vec<Field> {
    let description = bounded_text("Your words.", (0, DESCRIPTION_BYTES_MAX));
    let (address, wanted) = (address(), wanted());
    let mut fields = if is_new {
        vec![
            must("url", address),
            must("enabled_events", wanted),
            may("event_shape", shape()),
        ]
    } else {
        vec![
            may("url", address),
            may("enabled_events", wanted),
            may(
                "disabled",
                flag("It is told nothing more; `false` enables it again."),
            ),
        ]
    };
    fields.extend([may("description", description), may("metadata", metadata())]);
    fields
}

fn why() -> ObjectBuilder {
    or_null(word(
        "Why nothing is sent: `asked` for, `gone` (it answered 410), or `failing` (nothing arrived for three days).",
        WhyDisabled::ALL.map(WhyDisabled::as_str),
    ))
}

pub(crate) fn endpoint_shape() -> ObjectBuilder {
    record([
        must("id", id("The endpoint.", "we_")),
        must("object", word("What it is.", ["webhook_endpoint"])),
        must(
            "api_version",
            or_null(text("Always null: there is one form of each shape.")),
        ),
        must("application", or_null(text("Always null."))),
        must("created", time("When it was made.")),
        must("description", or_null(text("Your words."))),
        must("disabled_reason", why()),
        must("enabled_events", wanted()),
        must("event_shape", shape()),
        must("livemode", flag("It is told of real money.")),
        must("metadata", metadata()),
        must("status", word("Whether it is told.", ["enabled", "disabled"])),
        must("url", address()),
        may(
            "secret",
            text("What signs, `whsec_...`. Only in the answer to what made it; keep it."),
        ),
    ])
}

pub(crate) fn endpoint_example(shows_secret: bool) -> Value {
    let names: Vec<Arc<str>> = vec![Arc::from("payment.*"), Arc::from("refund.*")];
    let Ok(wanted) = WantedEvents::read(names) else {
        return Value::Null;
    };
    let endpoint = WebhookEndpoint {
        id: EndpointId::parse(ENDPOINT_ID).unwrap_or(EndpointId::from_bits(0)),
        owner: Owner {
            merchant: MerchantId::from_bits(0),
            livemode: false,
        },
        created_at: Timestamp::from_unix_ms(1_795_238_734_000),
        url: Arc::from("https://shop.example/hooks"),
        wanted,
        shape: EventShape::Native,
        status: EndpointStatus::Enabled,
        description: Some(Arc::from("orders")),
        metadata: vec![(Arc::from("team"), Arc::from("checkout"))],
    };
    let secret = Zeroizing::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
    let secret = SigningSecret(secret);
    endpoint_body(&endpoint, shows_secret.then_some(&secret))
}

pub(crate) fn delivery_shape() -> ObjectBuilder {
    record([
        must("object", word("What it is.", ["webhook_delivery"])),
        must(
            "number",
            count("Its number among the deliveries to this endpoint."),
        ),
        must("event", id("The event.", "evt_")),
        must("type", text("What it says, in the words of the endpoint.")),
        must("payment_id", id("The payment.", "pay_")),
        must(
            "sequence",
            count("The event's number among those of its payment."),
        ),
        must("attempt", count("Which try this was; the first is 1.")),
        must("is_resend", flag("It was asked for once more.")),
        must("created", time("When it began.")),
        must("took_ms", count("How long it took.")),
        must(
            "http_status",
            or_null(bounded(
                "What the server answered; null if it did not.",
                (100, 999),
            )),
        ),
        must("error", or_null(text("Why there was no answer."))),
        must(
            "outcome",
            word(
                "What follows.",
                ["delivered", "retried", "given_up", "endpoint_disabled"],
            ),
        ),
        must("next_attempt", or_null(time("When it is sent again."))),
        must("disabled_reason", why()),
    ])
}

pub(crate) fn delivery_example() -> Value {
    let row = DeliveryRow {
        at: Timestamp::from_unix_ms(1_795_238_735_000),
        event: EventId::parse(EVENT_ID).unwrap_or(EventId::from_bits(0)),
        kind: AnnouncementKind::Succeeded,
        payment: PaymentId::parse(PAYMENT_ID).unwrap_or(PaymentId::from_bits(0)),
        number: 2,
        attempt: 1,
        took_ms: 84,
        outcome: DeliveryOutcome::Status(200),
        then: Then::Delivered,
        is_replay: false,
    };
    delivery_body(EventShape::Native, &(17, row))
}
