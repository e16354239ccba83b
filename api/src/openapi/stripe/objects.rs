//! Stripe's objects as documents describe them, each with an example.

use crate::openapi::payment_shapes::metadata;
use crate::openapi::shape::{Shape, array, count, flag, id, may, must, named, or_null, record, text, word};
use serde_json::{Map, Value, json};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType};

pub(super) const INTENT_ID: &str = "pi_01m7y92abt00074ha88rfjdjp2";
pub(super) const CHARGE_ID: &str = "ch_01m7y92abt00074ha88rfjdjp2";
pub(super) const REFUND_ID: &str = "re_01m7y92abt00074ha88rfjdjp3";
pub(super) const MOVED_ID: &str = "txn_01m7y92abt00074ha88rfjdjp2";
pub(super) const CREATED: u64 = 1_790_000_000;

const INTENT_NULLS: &str = "application application_fee_amount automatic_payment_methods canceled_at cancellation_reason customer \
    customer_account description excluded_payment_method_types last_payment_error next_action on_behalf_of \
    payment_method_configuration_details processing receipt_email review setup_future_usage shipping source statement_descriptor \
    statement_descriptor_suffix transfer_data transfer_group";
const CHARGE_NULLS: &str = "application application_fee application_fee_amount calculated_statement_descriptor customer description \
    failure_balance_transaction failure_code failure_message on_behalf_of outcome receipt_email receipt_number receipt_url refunds review \
    shipping source source_transfer statement_descriptor statement_descriptor_suffix transfer_data transfer_group";
const REFUND_NULLS: &str =
    "customer customer_account reason receipt_number source_transfer_reversal transfer_reversal";

/// A field of an object of Stripe's, and an example of it.
pub(super) type Row = (&'static str, Shape, Value);

/// Whatever Stripe has there.
pub(super) fn anything(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(SchemaType::AnyValue)
        .description(Some(description))
}

pub(super) fn nulls(names: &'static str) -> impl Iterator<Item = Row> {
    names
        .split_whitespace()
        .map(|name| (name, anything("As Stripe has it, or null.").into(), Value::Null))
}

pub(super) fn minor(description: &str) -> Shape {
    count(&format!("{description} In minor units.")).into()
}

pub(super) fn shared(object: &'static str, id_shape: ObjectBuilder, own: &str) -> Vec<Row> {
    vec![
        ("id", id_shape.into(), own.into()),
        ("object", word("What it is.", [object]).into(), object.into()),
        (
            "currency",
            text("An ISO 4217 code in lower case.")
                .pattern(Some("^[a-z]{3}$"))
                .into(),
            "usd".into(),
        ),
        (
            "created",
            count("Seconds since the Unix epoch.").into(),
            CREATED.into(),
        ),
        ("metadata", metadata().into(), json!({})),
        (
            "payment_method",
            or_null(text("How it is paid, once that is known.")).into(),
            "pm_card_visa".into(),
        ),
    ]
}

pub(super) fn intent() -> Vec<Row> {
    let mut rows = shared("payment_intent", id("The intent.", "pi_"), INTENT_ID);
    rows.extend([
        ("amount", minor("What it is about."), 10_000.into()),
        (
            "amount_capturable",
            minor("What may still be captured."),
            0.into(),
        ),
        ("amount_details", record([]).into(), json!({"tip": {}})),
        ("amount_received", minor("What was captured."), 10_000.into()),
        (
            "capture_method",
            word("When it is captured.", ["automatic", "manual"]).into(),
            "automatic".into(),
        ),
        (
            "client_secret",
            text("For the customer's browser.").into(),
            format!("{INTENT_ID}_secret_00").into(),
        ),
        (
            "confirmation_method",
            word("How it goes on.", ["automatic"]).into(),
            "automatic".into(),
        ),
        (
            "latest_charge",
            anything("The charge, if there is one: its id, or itself if it was expanded.").into(),
            CHARGE_ID.into(),
        ),
        (
            "livemode",
            flag("Whether the money is real.").into(),
            false.into(),
        ),
        ("managed_payments", record([]).into(), json!({"enabled": false})),
        ("payment_method_options", record([]).into(), json!({"card": {}})),
        (
            "payment_method_types",
            array(text("A kind of method."), "What it may be paid with.").into(),
            json!(["card"]),
        ),
        (
            "status",
            word(
                "Where it stands.",
                [
                    "requires_payment_method",
                    "requires_confirmation",
                    "requires_action",
                    "processing",
                    "requires_capture",
                    "canceled",
                    "succeeded",
                ],
            )
            .into(),
            "succeeded".into(),
        ),
    ]);
    rows.extend(nulls(INTENT_NULLS));
    rows
}

pub(super) fn charge() -> Vec<Row> {
    let mut rows = shared("charge", id("The charge.", "ch_"), CHARGE_ID);
    rows.extend([
        ("amount", minor("What it is about."), 10_000.into()),
        ("amount_captured", minor("What was captured."), 10_000.into()),
        ("amount_refunded", minor("What was given back."), 0.into()),
        (
            "balance_transaction",
            anything("What it did to what is owed, once it was captured.").into(),
            Value::Null,
        ),
        ("billing_details", record([]).into(), json!({})),
        (
            "captured",
            flag("Whether any of it was captured.").into(),
            true.into(),
        ),
        ("disputed", flag("Whether it is disputed.").into(), false.into()),
        ("fraud_details", record([]).into(), json!({})),
        (
            "livemode",
            flag("Whether the money is real.").into(),
            false.into(),
        ),
        ("paid", flag("Whether it was authorized.").into(), true.into()),
        (
            "payment_intent",
            anything("The intent: its id, or itself if it was expanded.").into(),
            INTENT_ID.into(),
        ),
        (
            "payment_method_details",
            record([]).into(),
            json!({"type": "card", "card": {}}),
        ),
        (
            "refunded",
            flag("Whether all of it was given back.").into(),
            false.into(),
        ),
        (
            "status",
            word("How it ended.", ["succeeded", "pending", "failed"]).into(),
            "succeeded".into(),
        ),
    ]);
    rows.extend(nulls(CHARGE_NULLS));
    rows
}

pub(super) fn refund() -> Vec<Row> {
    let mut rows = shared("refund", id("The refund.", "re_"), REFUND_ID);
    rows.extend([
        ("amount", minor("How much."), 2_500.into()),
        (
            "balance_transaction",
            anything("What it did to what is owed, once it succeeded.").into(),
            Value::Null,
        ),
        (
            "charge",
            anything("The charge: its id, or itself if it was expanded.").into(),
            CHARGE_ID.into(),
        ),
        (
            "destination_details",
            record([]).into(),
            json!({"type": "card", "card": {"type": "refund"}}),
        ),
        (
            "payment_intent",
            anything("The intent: its id, or itself if it was expanded.").into(),
            INTENT_ID.into(),
        ),
        (
            "status",
            word("How it ended.", ["pending", "succeeded", "failed"]).into(),
            "succeeded".into(),
        ),
    ]);
    rows.extend(nulls(REFUND_NULLS));
    rows
}

pub(super) fn shape(rows: Vec<Row>) -> ObjectBuilder {
    record(rows.into_iter().map(|(name, shape, _)| must(name, shape)))
}

pub(super) fn example(rows: Vec<Row>) -> Value {
    let fields = rows.into_iter().map(|(name, _, value)| (name.to_owned(), value));
    Value::Object(fields.collect::<Map<_, _>>())
}

pub(super) fn balance() -> Vec<Row> {
    let amount = || {
        record([
            must("amount", anything("In minor units; it may be below zero.")),
            must("currency", text("An ISO 4217 code in lower case.")),
            must("source_types", record([])),
        ])
    };
    let one = |amount: u64| json!([{"amount": amount, "currency": "usd", "source_types": {"card": amount}}]);
    let mut rows = vec![
        (
            "object",
            word("What it is.", ["balance"]).into(),
            "balance".into(),
        ),
        ("available", array(amount(), "What is owed.").into(), one(9_680)),
        (
            "livemode",
            flag("Whether the money is real.").into(),
            false.into(),
        ),
        (
            "pending",
            array(amount(), "What waits to become available: nothing.").into(),
            one(0),
        ),
    ];
    rows.extend(nulls(
        "connect_reserved instant_available issuing refund_and_dispute_prefunding",
    ));
    rows
}

pub(super) fn balance_transaction() -> Vec<Row> {
    let kind = || word("What moved it.", ["charge", "refund"]);
    let signed = |description| anything(description).into();
    let own = id("The balance transaction.", "txn_");
    let mut rows = shared("balance_transaction", own, MOVED_ID);
    rows.retain(|row| !["metadata", "payment_method"].contains(&row.0));
    rows.extend([
        (
            "amount",
            signed("What moved, in minor units; below zero for a refund."),
            10_000.into(),
        ),
        (
            "available_on",
            count("Seconds since the Unix epoch.").into(),
            CREATED.into(),
        ),
        (
            "balance_type",
            word("Which balance.", ["payments"]).into(),
            "payments".into(),
        ),
        (
            "fee",
            signed("What it cost, in minor units; below zero for what came back."),
            320.into(),
        ),
        (
            "fee_details",
            array(record([]), "What the fee is made of.").into(),
            json!([]),
        ),
        (
            "net",
            signed("The amount less the fee, in minor units."),
            9_680.into(),
        ),
        ("reporting_category", kind().into(), "charge".into()),
        (
            "source",
            text("The charge or the refund.").into(),
            CHARGE_ID.into(),
        ),
        (
            "status",
            word("Where it stands.", ["available"]).into(),
            "available".into(),
        ),
        ("type", kind().into(), "charge".into()),
    ]);
    rows.extend(nulls("description exchange_rate"));
    rows
}

/// What is refused, in Stripe's words.
pub(super) fn error() -> ObjectBuilder {
    let error = record([
        must(
            "type",
            text("What kind of error: `card_error`, `idempotency_error`, `invalid_request_error`."),
        ),
        must("code", text("Stable; Stripe's where it has one.")),
        must("message", text("For people; its words may change.")),
        must(
            "doc_url",
            text("Where the page of the code is, on the same origin."),
        ),
        may("param", text("The parameter at fault, with its brackets.")),
        may(
            "decline_code",
            text("Why a card was declined, in the network's words."),
        ),
        may("advice_code", text("What may be done after a decline.")),
        may(
            "network_decline_code",
            text("Why, in the code of the card's network."),
        ),
        may("network_advice_code", text("What the card's network advises.")),
        may("charge", text("The charge that failed.")),
        may("payment_intent", named("StripePaymentIntent")),
    ]);
    record([must("error", error)]).description(Some("A refusal as Stripe's SDKs read it."))
}

pub(super) fn error_example() -> Value {
    json!({"error": {
        "type": "invalid_request_error", "code": "parameter_unknown", "message": "Unknown parameter `amout`.",
        "param": "amout", "doc_url": "/docs/errors/parameter_unknown",
    }})
}

/// The shapes by their names.
pub(in crate::openapi) fn all() -> [(&'static str, Shape); 6] {
    [
        ("StripePaymentIntent", shape(intent()).into()),
        ("StripeCharge", shape(charge()).into()),
        ("StripeRefund", shape(refund()).into()),
        ("StripeBalance", shape(balance()).into()),
        ("StripeBalanceTransaction", shape(balance_transaction()).into()),
        ("StripeError", error().into()),
    ]
}
