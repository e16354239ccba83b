//! What Stripe's SDKs ask for, described in one place: the objects are Stripe's own, so that their shapes say no more than where what is.

mod objects;

use super::chapter;
use super::endpoint::{Access, Endpoint};
use super::ledger_shapes::limit;
use super::payment_shapes::{AMOUNT_MAX, list_example, metadata};
use super::shape::{
    array, bounded, bounded_text, flag, id, may, must, named, or_null, page_of, record, strict, text, word,
};
use crate::errors::Code;
use crate::stripe::{balance_transaction_list, dispute_list, payment_intent_search};
use crate::vault::method_fields;
use florin_domain::limits::TEXT_BYTES_MAX;
pub(super) use objects::all;
use objects::{
    CHARGE_ID, INTENT_ID, MOVED_ID, REFUND_ID, Row, balance, balance_transaction, charge, error_example,
    example, intent, refund,
};
use serde_json::json;
use utoipa::openapi::schema::ObjectBuilder;

fn finished(endpoint: Endpoint) -> Endpoint {
    endpoint
        .in_chapter(chapter::STRIPE)
        .refuses_like_stripe(&error_example())
}

fn changes(path: &'static str, object: (&str, Vec<Row>)) -> Endpoint {
    Endpoint::posted_by_sdk(path)
        .answers(200, "The object.", named(object.0), example(object.1))
        .refuses(402, &[Code::CardDeclined])
        .refuses(404, &[Code::ResourceMissing])
        .refuses(403, &[Code::MerchantFrozen])
        .refuses(503, &[Code::NoProviderAvailable])
}

fn about_intent(path: &'static str) -> Endpoint {
    let part = id(
        "The payment intent; its native `pay_...` name is understood as well.",
        "(pi|pay)_",
    );
    changes(path, ("StripePaymentIntent", intent())).path_part("id", part, INTENT_ID)
}

fn about_charge(endpoint: Endpoint) -> Endpoint {
    endpoint.path_part("id", id("The charge.", "(ch|pi|pay)_"), CHARGE_ID)
}

fn reads(path: &'static str) -> Endpoint {
    Endpoint::get(path, Access::Merchants)
        .query(
            "expand[]",
            bounded_text(
                "A reference to show as the object itself, such as `latest_charge`.",
                (1, 200),
            ),
        )
        .refuses(503, &[Code::Overloaded, Code::TemporarilyUnavailable])
}

fn lists(path: &'static str, object: (&str, Vec<Row>)) -> Endpoint {
    let entries = list_example(path, &example(object.1));
    paged(reads(path)).answers(200, "A page.", page_of(named(object.0)), entries)
}

fn paged(endpoint: Endpoint) -> Endpoint {
    endpoint
        .query("limit", limit())
        .query("starting_after", text("Only entries behind this one."))
        .query("ending_before", text("Only entries before this one."))
}

fn filtered(endpoint: Endpoint) -> Endpoint {
    let customer = bounded_text("Only those of this customer.", (1, 255));
    dated(endpoint.query("customer", customer))
}

fn dated(endpoint: Endpoint) -> Endpoint {
    [
        "created",
        "created[gte]",
        "created[gt]",
        "created[lte]",
        "created[lt]",
    ]
    .into_iter()
    .fold(endpoint, |endpoint, name| {
        endpoint.query(
            name,
            bounded("When, in seconds since the Unix epoch.", (0, AMOUNT_MAX)),
        )
    })
}

fn amount(description: &str) -> ObjectBuilder {
    bounded(&format!("{description} In minor units."), (1, AMOUNT_MAX))
}

fn expand() -> super::shape::Field {
    may(
        "expand",
        array(
            text("A path, such as `latest_charge.balance_transaction`."),
            "What to show as the object itself.",
        ),
    )
}

/// A card that is saved on the way, by its token.
fn method_data() -> super::shape::Field {
    let token = bounded_text("A token that was not used yet.", (1, 64));
    let fields = [
        must("type", word("What kind.", ["card"])),
        must("card", strict([must("token", token)])),
    ];
    may(
        "payment_method_data",
        strict(fields.into_iter().chain(method_fields())).description(Some(
            "A card to be saved on the way, once for the key; not with `payment_method`.",
        )),
    )
}

/// Why a card cannot pay.
const CARD_REFUSALS: [Code; 4] = [
    Code::CardsNotKept,
    Code::PaymentMethodUnexpectedState,
    Code::TokenAlreadyUsed,
    Code::TokenInvalid,
];

pub(super) fn payment_intent_create() -> Endpoint {
    let shape = strict([
        must("amount", amount("How much.")),
        must("currency", named("Currency")),
        may(
            "payment_method",
            bounded_text(
                "How it is paid: a saved card, or in test mode a name such as `pm_card_visa`. One of both is required with `confirm`.",
                (1, 255),
            ),
        ),
        method_data(),
        may(
            "confirm",
            flag("Whether it is charged at once; else it waits to be confirmed."),
        ),
        may(
            "capture_method",
            word("When it is captured.", ["automatic", "automatic_async", "manual"]),
        ),
        may("customer", bounded_text("Your name for the customer.", (1, 255))),
        may("description", bounded_text("Your words.", (0, TEXT_BYTES_MAX))),
        may("metadata", metadata()),
        may(
            "return_url",
            bounded_text("Where the customer comes back to.", (8, TEXT_BYTES_MAX)),
        ),
        may(
            "payment_method_types",
            array(text("A kind of method."), "Must have `card`."),
        ),
        may(
            "off_session",
            flag("The customer is not there, so that nobody is challenged; only with `confirm=true`."),
        ),
        may("error_on_requires_action", flag("Must not be true.")),
        expand(),
    ]);
    let sale =
        json!({"amount": 10_000, "currency": "USD", "payment_method": "pm_card_visa", "confirm": true});
    let later = json!({"amount": 10_000, "currency": "USD"});
    let endpoint = changes("/v1/payment_intents", ("StripePaymentIntent", intent()))
        .takes(shape, &[("A sale", sale), ("To be confirmed", later)])
        .refuses(400, &CARD_REFUSALS);
    finished(endpoint.called(
        "stripeCreatePaymentIntent",
        "Make a payment intent",
        "Form or JSON. A decline leaves the intent waiting for another method. `docs/stripe.md` says what differs from Stripe.",
    ))
}

pub(super) fn payment_intent_list() -> Endpoint {
    finished(
        filtered(lists("/v1/payment_intents", ("StripePaymentIntent", intent()))).called(
            "stripeListPaymentIntents",
            "List payment intents",
            "Newest first: every payment, whichever way it was made.",
        ),
    )
}

pub(super) fn payment_intent_search() -> Endpoint {
    let example = example(intent());
    let page = record([
        must("object", word("What it is.", ["search_result"])),
        must("url", text("The search.")),
        must("has_more", flag("Whether further entries follow.")),
        must(
            "next_page",
            or_null(text("What `page` of the next request says.")),
        ),
        must("data", array(named("StripePaymentIntent"), "The entries.")),
    ]);
    let found = json!({
        "object": "search_result", "url": payment_intent_search::PATH, "has_more": false, "next_page": null, "data": [example],
    });
    let query =
        text("Clauses, joined by `AND` or by `OR`; `docs/stripe.md` has the language.").min_length(Some(1));
    let endpoint = reads(payment_intent_search::PATH)
        .must_query(
            "query",
            query,
            "status:\"succeeded\" AND metadata[\"order_id\"]:\"6735\"",
        )
        .query("limit", limit())
        .query("page", text("The `next_page` of the page before."))
        .answers(200, "A page.", page, found);
    finished(endpoint.called(
        "stripeSearchPaymentIntents",
        "Search payment intents",
        "Newest first, and at once: what was answered is found. By amount, time, currency, customer, status and metadata.",
    ))
}

pub(super) fn payment_intent_get() -> Endpoint {
    let endpoint = reads("/v1/payment_intents/{id}")
        .path_part("id", id("The payment intent.", "(pi|pay)_"), INTENT_ID)
        .answers(
            200,
            "The intent.",
            named("StripePaymentIntent"),
            example(intent()),
        )
        .refuses(404, &[Code::ResourceMissing]);
    finished(endpoint.called(
        "stripeGetPaymentIntent",
        "Read a payment intent",
        "As it stands now.",
    ))
}

pub(super) fn payment_intent_update() -> Endpoint {
    let shape = strict([
        may("amount", amount("How much; before it is confirmed.")),
        may(
            "payment_method",
            bounded_text("How it is paid; before it is confirmed.", (1, 255)),
        ),
        method_data(),
        may("description", bounded_text("Your words.", (0, TEXT_BYTES_MAX))),
        may("metadata", metadata()),
        expand(),
    ]);
    let endpoint = about_intent("/v1/payment_intents/{id}")
        .may_take(shape, &[("Another amount", json!({"amount": 12_500}))])
        .refuses(400, &CARD_REFUSALS);
    finished(endpoint.called(
        "stripeUpdatePaymentIntent",
        "Change a payment intent",
        "What it costs and how it is paid until it is confirmed, what is said about it at any time. An entry of `metadata` with an empty \
         text is taken away; the others stay.",
    ))
}

pub(super) fn payment_intent_confirm() -> Endpoint {
    let shape = strict([
        may("payment_method", bounded_text("The method to try now.", (1, 255))),
        method_data(),
        may(
            "return_url",
            bounded_text("The one that the intent was made with.", (8, TEXT_BYTES_MAX)),
        ),
        expand(),
    ]);
    let other = json!({"payment_method": "pm_card_mastercard"});
    let endpoint = about_intent("/v1/payment_intents/{id}/confirm")
        .may_take(shape, &[("Another method", other)])
        .refuses(400, &CARD_REFUSALS);
    finished(endpoint.called(
        "stripeConfirmPaymentIntent",
        "Go on with a payment intent",
        "Pays it; tries another method after a decline; or, without one, asks how the customer's challenge ended.",
    ))
}

pub(super) fn payment_intent_capture() -> Endpoint {
    let shape = strict([
        may(
            "amount_to_capture",
            amount("How much; all that is left when absent."),
        ),
        may(
            "final_capture",
            flag("Whether what is left is released; true when absent."),
        ),
        expand(),
    ]);
    let endpoint = about_intent("/v1/payment_intents/{id}/capture")
        .may_take(shape, &[("A part", json!({"amount_to_capture": 2_500}))]);
    finished(endpoint.called(
        "stripeCapturePaymentIntent",
        "Capture a payment intent",
        "Takes what was held.",
    ))
}

pub(super) fn payment_intent_cancel() -> Endpoint {
    let reasons = ["abandoned", "duplicate", "fraudulent", "requested_by_customer"];
    let shape = strict([
        may("cancellation_reason", word("Why; it is not kept.", reasons)),
        expand(),
    ]);
    let endpoint =
        about_intent("/v1/payment_intents/{id}/cancel").may_take(shape, &[("Nothing to say", json!({}))]);
    finished(endpoint.called(
        "stripeCancelPaymentIntent",
        "Cancel a payment intent",
        "Releases what was held.",
    ))
}

pub(super) fn payment_intent_increment() -> Endpoint {
    let shape = strict([
        must("amount", amount("What is to be held afterwards, all in all.")),
        expand(),
    ]);
    let endpoint = about_intent("/v1/payment_intents/{id}/increment_authorization")
        .takes(shape, &[("Half as much again", json!({"amount": 15_000}))]);
    finished(endpoint.called(
        "stripeIncrementAuthorization",
        "Hold more",
        "Before anything of it was captured.",
    ))
}

pub(super) fn refund_create() -> Endpoint {
    let shape = strict([
        may("payment_intent", text("The intent to give back; or `charge`.")),
        may("charge", text("Its charge.")),
        may("amount", amount("How much; all that is left when absent.")),
        may(
            "reason",
            word("Why.", ["duplicate", "fraudulent", "requested_by_customer"]),
        ),
        expand(),
    ]);
    let part = json!({"payment_intent": INTENT_ID, "amount": 2_500});
    let endpoint = changes("/v1/refunds", ("StripeRefund", refund())).takes(shape, &[("A part", part)]);
    finished(endpoint.called(
        "stripeCreateRefund",
        "Refund a payment",
        "As a whole or in parts.",
    ))
}

pub(super) fn refund_list() -> Endpoint {
    let endpoint = dated(lists("/v1/refunds", ("StripeRefund", refund())))
        .query("payment_intent", text("Only those of this payment; or `charge`."))
        .query("charge", text("The same by its charge."))
        .refuses(404, &[Code::ResourceMissing]);
    finished(endpoint.called(
        "stripeListRefunds",
        "List refunds",
        "Newest first: those of one payment, or of all.",
    ))
}

pub(super) fn refund_get() -> Endpoint {
    let endpoint = reads("/v1/refunds/{id}")
        .path_part("id", id("The refund.", "(re|ref)_"), REFUND_ID)
        .answers(200, "The refund.", named("StripeRefund"), example(refund()))
        .refuses(404, &[Code::ResourceMissing]);
    finished(endpoint.called("stripeGetRefund", "Read a refund", "As it stands now."))
}

pub(super) fn balance_get() -> Endpoint {
    let endpoint = Endpoint::get("/v1/balance", Access::Merchants)
        .answers(200, "The balance.", named("StripeBalance"), example(balance()))
        .refuses(503, &[Code::Overloaded, Code::TemporarilyUnavailable]);
    finished(endpoint.called(
        "stripeGetBalance",
        "Read what you are owed",
        "In each currency: what was captured, less fees, refunds and what is on its way back.",
    ))
}

pub(super) fn balance_transaction_list() -> Endpoint {
    let entries = list_example(balance_transaction_list::PATH, &example(balance_transaction()));
    let endpoint = Endpoint::get(balance_transaction_list::PATH, Access::Merchants)
        .query(
            "type",
            word("Only those of this type.", balance_transaction_list::TYPES),
        )
        .query("source", text("Only that of this charge or refund."))
        .query("currency", named("Currency"))
        .query("payout", text("Those of this payout: none."));
    let endpoint = dated(paged(endpoint))
        .answers(
            200,
            "A page.",
            page_of(named("StripeBalanceTransaction")),
            entries,
        )
        .refuses(503, &[Code::Overloaded, Code::TemporarilyUnavailable]);
    finished(endpoint.called(
        "stripeListBalanceTransactions",
        "List balance transactions",
        "Newest first: what charges and refunds did to what you are owed.",
    ))
}

pub(super) fn dispute_list() -> Endpoint {
    let none = json!({"object": "list", "url": dispute_list::PATH, "has_more": false, "data": []});
    let endpoint = Endpoint::get(dispute_list::PATH, Access::Merchants)
        .query("payment_intent", text("Only those of this payment; or `charge`."))
        .query("charge", text("The same by its charge."));
    let endpoint = dated(paged(endpoint))
        .answers(200, "A page without entries.", page_of(record([])), none)
        .refuses(404, &[Code::ResourceMissing])
        .refuses(503, &[Code::Overloaded, Code::TemporarilyUnavailable]);
    finished(endpoint.called(
        "stripeListDisputes",
        "List disputes",
        "None: disputes are not recorded here. Your provider shows them.",
    ))
}

pub(super) fn dispute_get() -> Endpoint {
    let endpoint = Endpoint::get("/v1/disputes/{id}", Access::Merchants)
        .path_part("id", text("A dispute."), "dp_00000000000000000000000007")
        .refuses(404, &[Code::ResourceMissing]);
    finished(endpoint.called("stripeGetDispute", "Read a dispute", "There is none."))
}

pub(super) fn balance_transaction_get() -> Endpoint {
    let row = example(balance_transaction());
    let endpoint = Endpoint::get("/v1/balance_transactions/{id}", Access::Merchants)
        .path_part("id", id("The balance transaction.", "txn_"), MOVED_ID)
        .answers(
            200,
            "The balance transaction.",
            named("StripeBalanceTransaction"),
            row,
        )
        .refuses(404, &[Code::ResourceMissing])
        .refuses(503, &[Code::Overloaded, Code::TemporarilyUnavailable]);
    finished(endpoint.called(
        "stripeGetBalanceTransaction",
        "Read a balance transaction",
        "What a charge or a refund did to what you are owed.",
    ))
}

pub(super) fn charge_list() -> Endpoint {
    let endpoint = filtered(lists("/v1/charges", ("StripeCharge", charge())));
    let endpoint = endpoint.query("payment_intent", text("Only the charge of this one."));
    finished(endpoint.called(
        "stripeListCharges",
        "List charges",
        "Newest first: one for each payment that was tried.",
    ))
}

pub(super) fn charge_get() -> Endpoint {
    let endpoint = about_charge(reads("/v1/charges/{id}"))
        .answers(200, "The charge.", named("StripeCharge"), example(charge()))
        .refuses(404, &[Code::ResourceMissing]);
    finished(endpoint.called("stripeGetCharge", "Read a charge", "As it stands now."))
}

pub(super) fn charge_capture() -> Endpoint {
    let shape = strict([
        may(
            "amount",
            amount("How much; all that is held when absent. What is left is released."),
        ),
        expand(),
    ]);
    let endpoint = about_charge(changes("/v1/charges/{id}/capture", ("StripeCharge", charge())))
        .may_take(shape, &[("A part", json!({"amount": 2_500}))]);
    finished(endpoint.called("stripeCaptureCharge", "Capture a charge", "Takes what was held."))
}
