//! What operators order and what they look at, described in one place because the orders share nearly everything.

use super::chapter;
use super::endpoint::{Access, Endpoint};
use super::ledger_shapes::limit;
use super::payment_shapes::{PAYMENT_ID, amount, list_example, payment_example, payment_example_with};
use super::shape::{
    Field, Shape, array, bounded_text, count, flag, id, integer, may, must, named, named_or_null, or_null,
    page_of, record, strict, text, time, word,
};
use crate::errors::Code;
use florin_domain::limits::TEXT_BYTES_MAX;
use florin_domain::payment::MatterKind;
use serde_json::{Value, json};
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder};

const MERCHANT_ID: &str = "mer_01m7y92a930001k836eeyy2z3p";
const ATTEMPT_ID: &str =
    "The payment, and its operation unless it is the charge itself: `pay_...` or `pay_...:ref_...`.";
const OPERATOR_ID: &str = "key_01m7y92a930001k836eeyy2z3q";

/// Why a payment's own rules may refuse an order.
const REFUSED: [Code; 6] = [
    Code::AttemptMissing,
    Code::PaymentUnexpectedState,
    Code::OperationInProgress,
    Code::ProviderMismatch,
    Code::TooManyOperations,
    Code::TooManyAttempts,
];

/// Of so many characters.
pub(crate) fn reason() -> ObjectBuilder {
    text("Why, for the journal. At most 500 characters.")
        .min_length(Some(1))
        .max_length(Some(500))
        .pattern(Some(
            r"^[^\u0000-\u001F\u007F-\u009F]*[^\s\u0000-\u001F\u007F-\u009F][^\u0000-\u001F\u007F-\u009F]*$",
        ))
}

fn said(description: &str) -> ObjectBuilder {
    bounded_text(description, (1, TEXT_BYTES_MAX))
}

/// An order that is done when it is answered.
fn order(path: &'static str, action: &str, target: Option<&str>) -> Endpoint {
    let done = json!({
        "object": "operator_action", "action": action, "target": target, "operator": OPERATOR_ID,
        "reason": "A drill.", "seq": 42,
    });
    Endpoint::order(path, Access::Operators)
        .in_chapter(chapter::OPERATIONS)
        .answers(200, "It is done and journaled.", named("OperatorAction"), done)
}

fn with_reason(endpoint: Endpoint) -> Endpoint {
    endpoint.may_take(
        strict([may("reason", reason())]),
        &[("With a reason", json!({"reason": "A drill."}))],
    )
}

fn because(endpoint: Endpoint, field: Option<Field>, example: Value) -> Endpoint {
    let fields = field.into_iter().chain([must("reason", reason())]);
    endpoint.takes(strict(fields), &[("With its reason", example)])
}

pub(super) fn actor_kill() -> Endpoint {
    with_reason(order("/v1/ops/tree/{actor}/kill", "actor.kill", Some("risk:0")))
        .called(
            "killActor",
            "Crash an actor",
            "It fails as if by itself and its supervisor restarts it. For drills, and for what is stuck.",
        )
        .path_part(
            "actor",
            text("The `id` that the tree shows, such as `risk:0`.").min_length(Some(1)),
            "risk:0",
        )
        .refuses(404, &[Code::ResourceMissing])
        .refuses(409, &[Code::ActorNotRestartable])
}

fn provider(path: &'static str, action: &str) -> Endpoint {
    let name = text("The provider's name.").pattern(Some("^[a-z0-9_]{1,16}$"));
    with_reason(order(path, action, Some("stripe")))
        .path_part("id", name, "stripe")
        .refuses(404, &[Code::ResourceMissing])
}

pub(super) fn provider_disable() -> Endpoint {
    provider("/v1/ops/providers/{id}/disable", "provider.disable").called(
        "disableProvider",
        "Give a provider no new charges",
        "What it has already is finished there.",
    )
}

pub(super) fn provider_enable() -> Endpoint {
    provider("/v1/ops/providers/{id}/enable", "provider.enable").called(
        "enableProvider",
        "Give a provider charges again",
        "Ends a disabling.",
    )
}

fn merchant(path: &'static str, action: &str) -> Endpoint {
    let example = json!({"reason": "A drill."});
    because(order(path, action, Some(MERCHANT_ID)), None, example)
        .path_part("id", id("The merchant.", "mer_"), MERCHANT_ID)
        .refuses(404, &[Code::ResourceMissing])
}

pub(super) fn merchant_freeze() -> Endpoint {
    merchant("/v1/ops/merchants/{id}/freeze", "merchant.freeze").called(
        "freezeMerchant",
        "Stop a merchant from taking money",
        "It may still read, void and refund.",
    )
}

pub(super) fn merchant_unfreeze() -> Endpoint {
    merchant("/v1/ops/merchants/{id}/unfreeze", "merchant.unfreeze").called(
        "unfreezeMerchant",
        "Let a merchant take money again",
        "Ends a freeze.",
    )
}

pub(super) fn read_only_set() -> Endpoint {
    let enabled = must("enabled", flag("Whether merchants may only read."));
    let example = json!({"enabled": true, "reason": "A drill."});
    because(
        order("/v1/ops/read_only", "read_only.enter", None),
        Some(enabled),
        example,
    )
    .called(
        "setReadOnly",
        "Stop or allow changes by merchants",
        "What was begun goes on, and operators do what they must.",
    )
}

pub(super) fn merchant_list() -> Endpoint {
    let example = json!({
        "object": "merchant", "id": MERCHANT_ID, "name": "A shop", "frozen": false, "reason": null, "frozen_by": null,
    });
    Endpoint::get("/v1/ops/merchants", Access::Operators)
        .called(
            "listMerchants",
            "List merchants",
            "Newest first, with what operators have stopped.",
        )
        .in_chapter(chapter::OPERATIONS)
        .query("limit", limit())
        .query("starting_after", id("Only merchants behind this one.", "mer_"))
        .answers(
            200,
            "A page.",
            page_of(named("Merchant")),
            list_example("/v1/ops/merchants", &example),
        )
        .refuses(400, &[Code::ParameterInvalidInteger])
}

pub(super) fn review_list() -> Endpoint {
    let waiting = json!({
        "status": "in_review", "amount_captured": 0, "fee": 0, "net": 0, "merchant_id": MERCHANT_ID,
        "review_deadline": 1_795_325_134_u64,
    });
    let example = list_example("/v1/ops/reviews", &payment_example_with(&waiting));
    Endpoint::get("/v1/ops/reviews", Access::Operators)
        .called(
            "listReviews",
            "List payments under review",
            "Of all merchants, the earliest deadline first.",
        )
        .in_chapter(chapter::OPERATIONS)
        .query("limit", limit())
        .query("starting_after", id("Only payments behind this one.", "pay_"))
        .answers(200, "A page.", page_of(named("Review")), example)
        .refuses(400, &[Code::ParameterInvalidInteger])
        .refuses(503, &[Code::Overloaded])
}

/// An order about a payment, which happens once for its key and is answered with the payment.
fn decision(path: &'static str, part: impl Into<Shape>) -> Endpoint {
    Endpoint::post(path, Access::Operators)
        .in_chapter(chapter::OPERATIONS)
        .path_part("id", part, PAYMENT_ID)
        .answers(200, "The payment.", named("Payment"), payment_example())
        .answers(
            202,
            "The provider has not said yet.",
            named("Payment"),
            payment_example(),
        )
        .refuses(404, &[Code::ResourceMissing])
        .refuses(409, &REFUSED)
        .refuses(503, &[Code::NoProviderAvailable])
}

fn attempt_id(description: &str) -> ObjectBuilder {
    let body = "[0-7][0-9a-hjkmnp-tv-z]{25}";
    text(description).pattern(Some(format!("^pay_{body}(:(cap|inc|ref|rev|void)_{body})?$")))
}

fn review(path: &'static str) -> Endpoint {
    decision(path, id("The payment.", "pay_")).may_take(strict([]), &[("Nothing to say", json!({}))])
}

pub(super) fn review_approve() -> Endpoint {
    review("/v1/ops/reviews/{id}/approve").called(
        "approveReview",
        "Let a payment pass its review",
        "It goes on as if risk had allowed it.",
    )
}

pub(super) fn review_reject() -> Endpoint {
    review("/v1/ops/reviews/{id}/reject").called(
        "rejectReview",
        "Block a payment under review",
        "Nothing is charged.",
    )
}

pub(super) fn unresolved_list() -> Endpoint {
    let example = json!({
        "object": "attempt", "id": PAYMENT_ID, "payment_id": PAYMENT_ID, "operation_id": PAYMENT_ID, "operation": "sale",
        "merchant_id": MERCHANT_ID, "amount": 10_000, "currency": "USD", "provider": "stripe", "provider_key": "flo_f86e",
        "reference": null, "status": "unknown", "unknown_reason": "the answer was lost", "created": 1_795_238_734,
        "retry_until": 1_795_240_534, "overdue_since": null, "proposal": null, "matters_raised": 0, "matters": [],
    });
    Endpoint::get("/v1/ops/unresolved", Access::Operators)
        .called(
            "listUnresolved",
            "List attempts that people must see to",
            "Of all merchants, those of the oldest payment first: attempts whose outcome is unknown or pending, and those with `matters`. Florin keeps \
             asking the provider; what it cannot find out, two people may say. \
             Where very many payments are under way, a page may end early with `has_more`.",
        )
        .in_chapter(chapter::OPERATIONS)
        .query("limit", limit())
        .query("starting_after", attempt_id("Only attempts behind this one, which may be resolved by now."))
        .answers(200, "A page.", page_of(named("Attempt")), list_example("/v1/ops/unresolved", &example))
        .refuses(400, &[Code::ParameterInvalidInteger])
        .refuses(503, &[Code::Overloaded])
}

pub(super) fn attempt_resolve() -> Endpoint {
    let shape = strict([
        must(
            "outcome",
            word(
                "What became of it; `noted` says nothing of that, but that somebody has looked at its `matters`.",
                ["executed", "not_executed", "noted"],
            ),
        ),
        may(
            "transaction",
            said("The provider's id of the transaction; with `executed` only, and needed there."),
        ),
        must("evidence", said("How you know.")),
        must("reason", said("Why a person has to say it.")),
        may(
            "matters_seen",
            count("What the list showed as `matters_raised` of it; with `noted` only, and needed there.")
                .minimum(Some(1)),
        ),
    ]);
    let example =
        json!({"outcome": "not_executed", "evidence": "Provider's ticket 7", "reason": "Lost in an outage."});
    let noted = json!({"outcome": "noted", "evidence": "Statement of May, line 12", "reason": "Settled by hand.", "matters_seen": 1});
    let proposed = payment_example_with(&json!({
        "status": "processing", "amount_captured": 0, "fee": 0, "net": 0,
        "resolution": {
            "attempt_id": PAYMENT_ID, "status": "proposed", "awaits": "second_person",
            "proposal": {
                "outcome": "not_executed", "transaction": null, "evidence": "Provider's ticket 7",
                "reason": "Lost in an outage.", "operator": OPERATOR_ID,
            },
        },
    }));
    decision("/v1/ops/attempts/{id}/resolve", attempt_id(ATTEMPT_ID))
        .called(
            "resolveAttempt",
            "Say what became of an attempt",
            "The first operator proposes, and the same words from a second one make it so. One is enough to note its matters.",
        )
        .takes(shape, &[("Nothing was charged", example), ("Somebody has looked", noted)])
        .answers(
            200,
            "The payment, with what the word of one person has come to.",
            named("ResolvedPayment"),
            proposed,
        )
        .refuses(400, &[Code::ResourceMissing])
        .refuses(409, &[Code::SecondPersonRequired, Code::AmountMismatch, Code::MattersChanged])
}

fn operator_action() -> ObjectBuilder {
    record([
        must("object", word("What it is.", ["operator_action"])),
        must("action", text("What was done.")),
        must("target", or_null(text("To what."))),
        must("operator", id("The API key of the operator.", "key_")),
        must("reason", or_null(text("Why."))),
        must("seq", count("The commit that says it.")),
    ])
}

fn merchant_body() -> ObjectBuilder {
    record([
        must("object", word("What it is.", ["merchant"])),
        must("id", id("Its id.", "mer_")),
        must("name", text("Its name.")),
        must("frozen", flag("Whether it may not take money.")),
        must("reason", or_null(text("Why it is frozen."))),
        must("frozen_by", or_null(id("Whose API key froze it.", "key_"))),
    ])
}

fn review_body() -> AllOfBuilder {
    let more = record([
        must("merchant_id", id("Whose payment it is.", "mer_")),
        must(
            "review_deadline",
            or_null(time("When the review ends by itself.")),
        ),
    ]);
    AllOfBuilder::new().item(named("Payment")).item(more)
}

fn attempt() -> ObjectBuilder {
    record([
        must("object", word("What it is.", ["attempt"])),
        must("id", attempt_id(ATTEMPT_ID)),
        must("payment_id", id("Of which payment.", "pay_")),
        must("operation_id", text("Of which operation.")),
        must(
            "operation",
            word(
                "What that is.",
                [
                    "sale",
                    "authorize",
                    "capture",
                    "void",
                    "refund",
                    "increment",
                    "reversal",
                ],
            ),
        ),
        must("merchant_id", id("Whose payment it is.", "mer_")),
        must("amount", amount("How much.")),
        must("currency", named("Currency")),
        must("provider", text("Whom it was asked of.")),
        must("provider_key", text("Under which key.")),
        must("reference", or_null(text("The provider's name for its object."))),
        must("status", word("How it stands.", STATES)),
        must("unknown_reason", or_null(text("What went wrong."))),
        must("created", time("When it was asked for.")),
        must("retry_until", time("Until when it is repeated.")),
        must(
            "overdue_since",
            or_null(time("Since when its provider owes a word about it for too long.")),
        ),
        must("proposal", named_or_null("Proposal")),
        must(
            "matters_raised",
            count("How many matters were ever raised about it, those that were noted included."),
        ),
        must(
            "matters",
            array(matter(), "What a person has still to look at: it is in no book."),
        ),
    ])
}

fn matter() -> ObjectBuilder {
    record([
        must("kind", word("What.", MatterKind::ALL.map(MatterKind::as_str))),
        must("attempt", count("Of which try.")),
        must("reference", text("The provider's name for it, or its reason.")),
        must(
            "amount",
            integer("How much, by the provider's word, in minor units."),
        ),
        must("currency", named("Currency")),
        must("at", time("When it was heard of.")),
    ])
}

/// How an attempt may stand.
const STATES: [&str; 10] = [
    "open",
    "pending",
    "action_required",
    "unknown",
    "succeeded",
    "declined",
    "not_sent",
    "rejected",
    "cancelled",
    "given_up",
];

fn proposal() -> ObjectBuilder {
    record([
        must(
            "outcome",
            word("What became of it.", ["executed", "not_executed"]),
        ),
        must(
            "transaction",
            or_null(text("The provider's id of the transaction.")),
        ),
        must("evidence", text("How they know.")),
        must("reason", text("Why a person has to say it.")),
        must("operator", text("Who says so.")),
    ])
}

fn resolved_payment() -> AllOfBuilder {
    let resolution = record([
        must("attempt_id", attempt_id(ATTEMPT_ID)),
        must(
            "status",
            word(
                "Whether one person has said it, or two; or that somebody has looked.",
                ["proposed", "confirmed", "noted"],
            ),
        ),
        must(
            "awaits",
            or_null(word(
                "Who must say the same before anything changes; nobody once it is confirmed.",
                ["second_person"],
            )),
        ),
        must("proposal", named_or_null("Proposal")),
    ]);
    let more = record([must("resolution", resolution)]);
    AllOfBuilder::new().item(named("Payment")).item(more)
}

/// What others name.
pub(super) fn all() -> Vec<(&'static str, Shape)> {
    vec![
        ("OperatorAction", operator_action().into()),
        ("Merchant", merchant_body().into()),
        ("Review", review_body().into()),
        ("Attempt", attempt().into()),
        ("Proposal", proposal().into()),
        ("ResolvedPayment", resolved_payment().into()),
    ]
}
