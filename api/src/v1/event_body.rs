//! An announcement as it is shown: what it says, and the payment or the refund that it is about as it stood then.

use super::list::Displayed;
use super::payment_body::{OperationBody, PaymentBody};
use crate::openapi::{PAYMENT_ID, bounded, flag, id, must, named, payment_example, record, text, time, word};
use florin_domain::announcement::AnnouncementKind;
use florin_domain::ids::{EventId, OperationId, PaymentId};
use florin_domain::ports::ShownEvent;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder};

/// An announcement for examples.
pub(super) const EVENT_ID: &str = "evt_01m7y92abt0000000000000g01";

/// The event object.
#[derive(Debug, Serialize)]
pub(crate) struct EventBody<'a> {
    object: &'static str,
    id: Displayed<EventId>,
    #[serde(rename = "type")]
    kind: &'static str,
    created: u64,
    livemode: bool,
    payment_id: Displayed<PaymentId>,
    sequence: u64,
    data: DataBody<'a>,
}

#[derive(Debug, Serialize)]
struct DataBody<'a> {
    object: ObjectBody<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ObjectBody<'a> {
    Payment(Box<PaymentBody<'a>>),
    Refund(OperationBody<'a>),
}

impl<'a> EventBody<'a> {
    pub(crate) fn of(event: &'a ShownEvent) -> Self {
        let payment = event.payment.as_ref();
        Self {
            object: "event",
            id: Displayed(event.id),
            kind: event.row.kind.native(),
            created: event.row.at.unix_s(),
            livemode: payment.spec.livemode,
            payment_id: Displayed(payment.id()),
            sequence: event.row.number,
            data: DataBody {
                object: object(event),
            },
        }
    }
}

fn object(event: &ShownEvent) -> ObjectBody<'_> {
    let payment = event.payment.as_ref();
    let refund = match event.row.kind {
        AnnouncementKind::RefundCreated
        | AnnouncementKind::RefundUpdated
        | AnnouncementKind::RefundFailed => event.operation,
        AnnouncementKind::Processing
        | AnnouncementKind::RequiresAction
        | AnnouncementKind::AmountCapturableUpdated
        | AnnouncementKind::Succeeded
        | AnnouncementKind::Failed
        | AnnouncementKind::Canceled
        | AnnouncementKind::ChargeSucceeded
        | AnnouncementKind::ChargeCaptured
        | AnnouncementKind::ChargeFailed
        | AnnouncementKind::ChargeRefunded
        | AnnouncementKind::ReviewOpened
        | AnnouncementKind::ReviewClosed => None,
    };
    let refund = refund.filter(|id| matches!(id, OperationId::Refund(_)));
    match refund.and_then(|id| payment.operation(id)) {
        Some(refund) => ObjectBody::Refund(OperationBody::of(payment, refund, "refund")),
        None => ObjectBody::Payment(Box::new(PaymentBody::of(payment))),
    }
}

/// The shape of an event.
pub(super) fn shape() -> ObjectBuilder {
    let kinds = AnnouncementKind::ALL.iter().map(|kind| kind.native());
    let object = AnyOfBuilder::new()
        .item(named("Payment"))
        .item(named("Refund"))
        .description(Some(
            "The refund for `refund.*`, the payment for everything else, as it stood right after what happened.",
        ));
    record([
        must("object", word("What it is.", ["event"])),
        must(
            "id",
            id(
                "The event. The same event has the same id whenever and wherever it is told.",
                "evt_",
            ),
        ),
        must("type", word("What happened.", kinds)),
        must("created", time("When it happened.")),
        must("livemode", flag("Whether the money is real.")),
        must("payment_id", id("The payment that it is about.", "pay_")),
        must(
            "sequence",
            bounded(
                "Its number among the events of the payment: 1, 2, 3 and so on without a gap.",
                (1, 9_007_199_254_740_991),
            ),
        ),
        must("data", record([must("object", object)])),
    ])
}

/// An event for examples.
pub(super) fn example() -> Value {
    json!({
        "object": "event", "id": EVENT_ID, "type": "payment.succeeded", "created": 1_795_238_734, "livemode": false,
        "payment_id": PAYMENT_ID, "sequence": 2, "data": {"object": payment_example()},
    })
}

/// Which types are wanted.
pub(super) fn types() -> ObjectBuilder {
    text("Only events of these types: names, or beginnings of names followed by `.*`, with commas between them.").max_length(Some(1000))
}
