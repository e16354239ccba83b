//! Payments, their operations and their histories as schemas, and an example of each.

use super::shape::{
    Shape, array, bounded, bounded_text, count, flag, id, integer, may, must, named, named_or_null, or_null,
    record, text, time, word,
};
use florin_domain::decline::Advice;
use florin_domain::health::Health;
use florin_domain::limits::{METADATA_ENTRIES_MAX, METADATA_KEY_BYTES_MAX, METADATA_VALUE_BYTES_MAX};
use florin_domain::method::CardBrand;
use florin_domain::money::Currency;
use florin_domain::ports::StatusName;
use serde_json::{Value, json};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Type};

/// The largest amount, in minor units.
pub(crate) const AMOUNT_MAX: isize = 999_999_999_999;
/// A payment for examples.
pub(crate) const PAYMENT_ID: &str = "pay_01m7y92abt00074ha88rfjdjp2";

/// What a payment is about, in minor units.
pub(crate) fn amount(description: &str) -> ObjectBuilder {
    bounded(&format!("{description} In minor units."), (1, AMOUNT_MAX))
}

/// Where a payment stands.
pub(crate) fn status() -> ObjectBuilder {
    word("Where it stands.", StatusName::ALL.map(StatusName::as_str))
}

fn sum(description: &str) -> ObjectBuilder {
    bounded(&format!("{description} In minor units."), (0, AMOUNT_MAX))
}

/// The pairs of a merchant.
pub(crate) fn metadata() -> ObjectBuilder {
    let value = bounded_text("", (0, METADATA_VALUE_BYTES_MAX));
    let name = bounded_text("", (1, METADATA_KEY_BYTES_MAX));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("Whatever the merchant wants to find again."))
        .additional_properties(Some(AdditionalProperties::RefOr(value.into())))
        .property_names(Some(name))
        .max_properties(Some(METADATA_ENTRIES_MAX))
}

fn payment() -> ObjectBuilder {
    let operations = |name| array(named(name), "In the order asked for.");
    record([
        must("object", word("What it is.", ["payment"])),
        must("id", id("The payment.", "pay_")),
        must("payment_id", id("The same.", "pay_")),
        must("status", status()),
        must("amount", amount("What was asked for.")),
        must("amount_capturable", sum("What may still be captured.")),
        must("amount_captured", sum("What was captured.")),
        must("amount_refunded", sum("What was refunded.")),
        must("currency", named("Currency")),
        must("fee", integer("What Florin keeps, in minor units.")),
        must(
            "net",
            integer("Captured less refunded less the fee, in minor units."),
        ),
        must(
            "capture_method",
            word("When it is captured.", ["automatic", "manual"]),
        ),
        must(
            "payment_method_id",
            or_null(text(
                "How it is paid; null while a payment that waits to be confirmed has no method.",
            )),
        ),
        must("payment_method_details", method_or_null()),
        must(
            "customer_id",
            or_null(text("The merchant's name for the customer.")),
        ),
        must("provider", or_null(text("Who charged it."))),
        must(
            "processor_transaction_id",
            or_null(text("The provider's name for the charge.")),
        ),
        must("risk", named_or_null("Risk")),
        must("captures", operations("Capture")),
        must("refunds", operations("Refund")),
        must("created", time("When it was asked for.")),
        must(
            "authorization_expires_at",
            or_null(time("Until when it may be captured.")),
        ),
        must("livemode", flag("Whether the money is real.")),
        must("description", or_null(text("The merchant's words."))),
        must("metadata", metadata()),
        must("failure_code", or_null(text("Why it failed."))),
        must(
            "decline_code",
            or_null(text("Why the card was declined, in the network's words.")),
        ),
        must(
            "advice_code",
            or_null(word(
                "What may be done after the decline.",
                Advice::ALL.map(Advice::as_str),
            )),
        ),
        may(
            "network_decline_code",
            bounded_text(
                "Why, in the code of the card's network, if the provider passes it on.",
                (1, 64),
            ),
        ),
        may(
            "network_advice_code",
            bounded_text("What the card's network advises, in its own code.", (1, 64)),
        ),
        must("next_action", named_or_null("NextAction")),
        may(
            "off_session",
            flag("The customer was not there when it was charged first; only where that is so."),
        ),
    ])
}

fn method_or_null() -> utoipa::openapi::schema::AnyOfBuilder {
    utoipa::openapi::schema::AnyOfBuilder::new()
        .item(method())
        .item(ObjectBuilder::new().schema_type(Type::Null))
}

fn method() -> ObjectBuilder {
    let card = record([
        must(
            "brand",
            word("The scheme.", CardBrand::ALL.map(CardBrand::as_str)),
        ),
        must("last4", text("The last digits.").pattern(Some("^[0-9]{4}$"))),
        must(
            "country",
            text("Where it was issued.").pattern(Some("^[A-Z]{2}$")),
        ),
    ]);
    record([must("type", word("What kind.", ["card"])), must("card", card)])
}

fn next_action() -> ObjectBuilder {
    let redirect = record([
        must("url", text("Where to send the customer.")),
        must("return_url", or_null(text("Where the customer comes back to."))),
    ]);
    let redirect = utoipa::openapi::schema::AnyOfBuilder::new()
        .item(redirect)
        .item(ObjectBuilder::new().schema_type(Type::Null));
    record([
        must(
            "type",
            word("What to do.", ["redirect_to_url", "wait_for_customer"]),
        ),
        must("redirect_to_url", redirect),
        must("expires_at", time("Until when.")),
    ])
}

fn operation(object: &str, prefix: &str) -> ObjectBuilder {
    record([
        must("object", word("What it is.", [object])),
        must("id", id("Its id.", prefix)),
        must("payment_id", id("Of which payment.", "pay_")),
        must("amount", amount("How much.")),
        must("currency", named("Currency")),
        must(
            "status",
            word(
                "Where it stands; `not_sent` if no provider could be reached, and the same request under the same key sends it (a refund within a day; then it is `failed`).",
                ["pending", "succeeded", "failed", "not_sent"],
            ),
        ),
        must("reason", or_null(text("Why."))),
        must("created", time("When it was asked for.")),
    ])
}

/// What a provider's last minutes were like.
pub(super) fn provider_health() -> ObjectBuilder {
    let words = [
        Health::Healthy,
        Health::Degraded,
        Health::Reduced,
        Health::Excluded,
    ];
    word("What its last minutes were like.", words.map(Health::as_str))
}

/// How good a provider is.
pub(super) fn provider_points() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Number)
        .minimum(Some(0))
        .maximum(Some(100))
        .description(Some(
            "Half for success, three tenths for speed, two tenths for price.",
        ))
}

fn risk_score() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Number)
        .minimum(Some(0))
        .maximum(Some(1))
        .description(Some("From 0, harmless, to 1."))
}

fn risk_action() -> ObjectBuilder {
    word("What follows from it.", ["allow", "review", "block"])
}

fn risk() -> ObjectBuilder {
    record([
        must("score", risk_score()),
        must("action", risk_action()),
        must("reasons", array(text(""), "What raised it.")),
    ])
}

/// The events of a payment, and the posting of an entry.
const ROWS: [&str; 46] = [
    "payment.created",
    "payment.drafted",
    "payment.amended",
    "payment.confirmed",
    "risk.assessed",
    "payment.blocked",
    "review.opened",
    "review.approved",
    "review.rejected",
    "review.expired",
    "payment.method_replaced",
    "operation.opened",
    "operation.given_up",
    "attempt.routed",
    "attempt.planned",
    "attempt.referenced",
    "attempt.succeeded",
    "attempt.declined",
    "attempt.action_required",
    "attempt.pending",
    "attempt.unknown",
    "attempt.not_sent",
    "attempt.rejected",
    "attempt.cancelled",
    "attempt.late_success",
    "attempt.late_reversal",
    "reversal.opened",
    "attempt.closing_asked",
    "attempt.closing_refused",
    "attempt.told_made",
    "attempt.transaction_closed",
    "attempt.overdue",
    "matter.raised",
    "matters.noted",
    "payment.attempts_exhausted",
    "payment.retry_refused",
    "attempt.decline_retried",
    "payment.abandoned",
    "authorization.expired",
    "request.accepted",
    "risk.list_matched",
    "resolution.proposed",
    "resolution.confirmed",
    "review.held",
    "payment.posting_profile_chosen",
    "ledger.entry_posted",
];

/// What may happen to a payment in a commit.
pub(super) fn events() -> impl Iterator<Item = &'static str> {
    ROWS.into_iter().filter(|row| !row.starts_with("ledger."))
}

fn history_row() -> ObjectBuilder {
    let operations = [
        "sale",
        "authorize",
        "capture",
        "void",
        "refund",
        "increment",
        "reversal",
        "confirm",
        "complete",
        "amend",
        "approve_review",
        "reject_review",
        "resolve",
    ];
    record(vec![
        must(
            "id",
            text("The row: its commit, and its place in it.").pattern(Some("^[0-9]+-[0-9]+$")),
        ),
        must("seq", count("The commit that it is in.")),
        must("type", word("What happened.", ROWS)),
        must("at", time("When.")),
        may("operation_id", text("What was asked of a provider.")),
        may(
            "operation",
            word("What that is, or what else was asked of the payment.", operations),
        ),
        may("idempotency_key", text("The key of the request.")),
        may(
            "operator",
            text("The API key of the operator who asked; operators only."),
        ),
        may("by", text("`operator`, if it was not the merchant who asked.")),
        may(
            "outcome",
            text("What operators say became of an attempt: `executed` or `not_executed`."),
        ),
        may("evidence", text("Where operators see that; operators only.")),
        may("attempt", count("Which try of it.")),
        may("provider", text("Whom it was asked of.")),
        may(
            "provider_key",
            text("The start of the key that the provider got."),
        ),
        may("reference", text("The provider's name for its object.")),
        may(
            "processor_transaction_id",
            text("The provider's name for the charge."),
        ),
        may("amount", amount("How much.")),
        may("currency", named("Currency")),
        may("payment_method_id", text("How it is paid.")),
        may("is_final", flag("Whether no other capture follows.")),
        may("decline_code", text("Why it was declined.")),
        may(
            "network_decline_code",
            bounded_text(
                "Why, in the code of the card's network, if the provider passes it on.",
                (1, 64),
            ),
        ),
        may(
            "network_advice_code",
            bounded_text("What the card's network advises, in its own code.", (1, 64)),
        ),
        may("reason", text("Why.")),
        may("list", word("On which list the entry is.", ["block", "allow"])),
        may("kind", text("What the entry, or the matter, is about.")),
        may("entry_id", id("The entry that matched.", "rle_")),
        may("score", risk_score()),
        may("action", risk_action()),
        may("reasons", array(text(""), "What raised the score.")),
        may("route", route()),
        may("redirect_url", text("Where to send the customer.")),
        may("expires_at", time("Until when it stands.")),
        may("deadline", time("Until when it may be tried.")),
        may(
            "posting",
            word(
                "Whose sale the payment is.",
                ["marketplace", "merchant_of_record"],
            ),
        ),
        may(
            "fee_recognition",
            word("When the fee is earned.", ["at_payment", "at_settlement"]),
        ),
        may("lines", array(line(), "The lines of the journal entry.")),
    ])
}

/// Who might get a charge, who might not, and why.
pub(crate) fn route() -> ObjectBuilder {
    let choice = record([
        must("provider", text("Its name.")),
        may("health", provider_health()),
        may("score", provider_points()),
    ]);
    let left_out = record([
        must("provider", text("Its name.")),
        must(
            "why",
            word(
                "Why it might not.",
                [
                    "disabled",
                    "unwanted",
                    "not_named",
                    "breaker_open",
                    "busy",
                    "tried",
                    "key_refused",
                    "key_limited",
                ],
            ),
        ),
    ]);
    record([
        must(
            "rule",
            or_null(text("The rule that applied; none if it went by score.")),
        ),
        must(
            "choices",
            array(choice, "Who might get the charge, the best first."),
        ),
        must("left_out", array(left_out, "Who might not.")),
        may(
            "after_decline",
            word(
                "What that rule wants after a decline for no reason in particular; if it says nothing, that is as configured.",
                ["answer", "next_provider"],
            ),
        ),
    ])
}

fn line() -> ObjectBuilder {
    record([
        must("account", text("The account.")),
        must("side", word("Which side.", ["debit", "credit"])),
        must("amount", amount("How much.")),
        must("currency", named("Currency")),
        must(
            "balance_after",
            or_null(integer("Of the merchant's own accounts, in minor units.")),
        ),
    ])
}

/// What others name.
pub(super) fn all() -> Vec<(&'static str, Shape)> {
    let currencies: Vec<&str> = Currency::all().map(Currency::code).collect();
    let currency = word("An active ISO 4217 code with a minor unit.", currencies);
    vec![
        ("Currency", currency.into()),
        ("Payment", payment().into()),
        ("Risk", risk().into()),
        ("NextAction", next_action().into()),
        ("Capture", operation("capture", "cap_").into()),
        ("Refund", operation("refund", "ref_").into()),
        ("HistoryRow", history_row().into()),
    ]
}

/// A sale of 100 dollars.
pub(crate) fn payment_example() -> Value {
    json!({
        "object": "payment", "id": PAYMENT_ID, "payment_id": PAYMENT_ID, "status": "succeeded",
        "amount": 10_000, "amount_capturable": 0, "amount_captured": 10_000, "amount_refunded": 0,
        "currency": "USD", "fee": 320, "net": 9_680, "capture_method": "automatic",
        "payment_method_id": "pm_card_visa",
        "payment_method_details": {"type": "card", "card": {"brand": "visa", "last4": "4242", "country": "US"}},
        "customer_id": null, "provider": "stripe", "processor_transaction_id": "ch_fc9128000000000000000002",
        "risk": {"score": 0.1, "action": "allow", "reasons": []}, "captures": [], "refunds": [],
        "created": 1_795_238_734, "authorization_expires_at": null, "livemode": false, "description": null,
        "metadata": {"order_id": "1001"}, "failure_code": null, "decline_code": null, "advice_code": null,
        "next_action": null,
    })
}

/// The same payment with some fields changed.
pub(crate) fn payment_example_with(changes: &Value) -> Value {
    let mut payment = payment_example();
    for (name, value) in changes.as_object().into_iter().flatten() {
        payment[name] = value.clone();
    }
    payment
}

/// A refund of it.
pub(crate) fn refund_example() -> Value {
    json!({
        "object": "refund", "id": "ref_01m7y92c0000074ha88rfjdjp3", "payment_id": PAYMENT_ID, "amount": 2_500,
        "currency": "USD", "status": "succeeded", "reason": "requested_by_customer", "created": 1_795_238_790,
    })
}

/// A page of a list with this entry.
pub(crate) fn list_example(url: &str, entry: &Value) -> Value {
    json!({"object": "list", "url": url, "has_more": false, "data": [entry]})
}
