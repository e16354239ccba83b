//! Customers, saved cards and tokens in the OpenAPI document.

use super::shown;
use crate::errors::Code;
use crate::openapi::{
    Endpoint, bounded_text, count, flag, id, may, metadata, must, or_null, record, strict, text, time, word,
};
use florin_domain::card_details::Expiry;
use florin_domain::ids::{CustomerId, MethodId};
use florin_domain::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use florin_domain::method::CardBrand;
use florin_domain::time::Timestamp;
use florin_domain::token::CardToken;
use florin_domain::vault::{CardFacts, Customer, Profile, SavedMethod, SavedToken, VaultObject};
use serde_json::Value;
use utoipa::openapi::schema::ObjectBuilder;

pub(crate) const CUSTOMER_ID: &str = "cus_01m7y92abt00074ha88rfjdjp2";
pub(crate) const METHOD_ID: &str = "pm_01m7y92abt00074ha88rfjdjp2";
pub(crate) const TOKEN_ID: &str = "tok_1000000000000000000000000rxhi";

/// What each POST here has in common: a key is taken, and none is needed.
pub(crate) fn exactly_one_key(endpoint: Endpoint) -> Endpoint {
    let key = bounded_text(
        "If there is one, the request is carried out once for it and answered the same for 24 hours.",
        (1, IDEMPOTENCY_KEY_BYTES_MAX),
    );
    endpoint
        .may_have_header("Idempotency-Key", key, "customer-1001")
        .refuses(
            400,
            &[
                Code::IdempotencyKeyInvalid,
                Code::IdempotencyKeyRequired,
                Code::IdempotencyKeyReused,
                Code::CardNumberMisplaced,
                Code::CardsNotKept,
                Code::ResourceMissing,
            ],
        )
}

fn address() -> ObjectBuilder {
    let line = |name| may(name, bounded_text("As it is written.", (0, 500)));
    strict(["city", "country", "line1", "line2", "postal_code", "state"].map(line))
}

/// What may be said of a customer.
pub(crate) fn customer_fields() -> Vec<crate::openapi::Field> {
    let words = |about: &str, bytes| bounded_text(about, (0, bytes));
    let shipping = strict([
        may("name", words("Who receives it.", 256)),
        may("phone", words("A telephone number.", 50)),
        may("address", address()),
    ]);
    vec![
        may("name", words("A name.", 256)),
        may("email", words("An e-mail address.", 512)),
        may("phone", words("A telephone number.", 50)),
        may("description", words("Your words.", 1000)),
        may("address", address()),
        may("shipping", shipping),
        may(
            "tax_exempt",
            word("Whether taxes are owed.", ["none", "exempt", "reverse"]),
        ),
        may(
            "preferred_locales",
            crate::openapi::array(
                bounded_text("A language.", (0, 16)),
                "Languages, the best one first.",
            )
            .max_items(Some(16)),
        ),
        may(
            "invoice_settings",
            strict([may("default_payment_method", words("The card to prefer.", 64))]),
        ),
        may("metadata", metadata()),
    ]
}

/// What may be said of a saved card.
pub(crate) fn method_fields() -> Vec<crate::openapi::Field> {
    let details = strict([
        may(
            "name",
            bounded_text("The holder's name, as it is on the card.", (0, 255)),
        ),
        may("email", bounded_text("An e-mail address.", (0, 512))),
        may("phone", bounded_text("A telephone number.", (0, 50))),
        may("address", address()),
    ]);
    vec![
        may("billing_details", details),
        may(
            "allow_redisplay",
            word(
                "Whether it may be shown to its customer again.",
                ["always", "limited", "unspecified"],
            ),
        ),
        may("metadata", metadata()),
    ]
}

/// A card as it is typed.
pub(crate) fn card_shape(more: Vec<crate::openapi::Field>) -> ObjectBuilder {
    let fields = vec![
        may(
            "number",
            bounded_text("The number. It is sealed at once and never shown again.", (0, 64)),
        ),
        may("exp_month", bounded_text("1 to 12.", (1, 2))),
        may("exp_year", bounded_text("Two or four digits.", (2, 4))),
        may(
            "cvc",
            bounded_text(
                "The security code. It is in memory until the first charge, and never written.",
                (0, 4),
            ),
        ),
    ];
    strict(fields.into_iter().chain(more))
}

fn facts() -> SavedMethod {
    let said = [
        ("billing_details[name]", "Jane Diaz"),
        ("metadata[order]", "1001"),
    ];
    SavedMethod {
        id: MethodId::parse(METHOD_ID).unwrap_or(MethodId::from_bits(0)),
        created_at: Timestamp::from_unix_ms(1_795_238_734_000),
        card: CardFacts {
            brand: CardBrand::Visa,
            last4: *b"4242",
            first_digits: "42424242".to_owned(),
            expiry: Expiry {
                year: 2034,
                month: 12,
            },
            fingerprint: [0x5a; 16],
            had_code: true,
        },
        customer: None,
        is_detached: false,
        profile: Profile(
            said.map(|(place, text)| (place.to_owned(), text.to_owned()))
                .into(),
        ),
    }
}

pub(crate) fn customer_example() -> Value {
    let said = [
        ("name", "Jane Diaz"),
        ("email", "jane@shop.example"),
        ("metadata[number]", "7"),
    ];
    let customer = Customer {
        id: CustomerId::parse(CUSTOMER_ID).unwrap_or(CustomerId::from_bits(0)),
        created_at: Timestamp::from_unix_ms(1_795_238_734_000),
        profile: Profile(
            said.map(|(place, text)| (place.to_owned(), text.to_owned()))
                .into(),
        ),
    };
    shown(&VaultObject::Customer(customer), false)
}

pub(crate) fn method_example() -> Value {
    shown(&VaultObject::Method(facts()), false)
}

pub(crate) fn token_example() -> Value {
    let Ok(id) = CardToken::parse(TOKEN_ID) else {
        return Value::Null;
    };
    let (created_at, is_used, method) = (Timestamp::from_unix_ms(1_795_238_734_000), false, facts());
    shown(
        &VaultObject::Token(SavedToken {
            id,
            created_at,
            is_used,
            method,
        }),
        false,
    )
}

pub(crate) fn customer_shape() -> ObjectBuilder {
    record([
        must("id", id("The customer.", "cus_")),
        must("object", word("What it is.", ["customer"])),
        must("created", time("When it was made.")),
        must("livemode", flag("It is of real money.")),
        must("name", or_null(text("A name."))),
        must("email", or_null(text("An e-mail address."))),
        must("phone", or_null(text("A telephone number."))),
        must("description", or_null(text("Your words."))),
        must("metadata", metadata()),
    ])
}

pub(crate) fn method_shape() -> ObjectBuilder {
    let card = record([
        must("brand", text("The network.")),
        must("last4", text("The last four digits.")),
        must("exp_month", count("1 to 12.")),
        must("exp_year", count("Four digits.")),
        must(
            "fingerprint",
            text("The same for the same number of one merchant in one mode."),
        ),
    ]);
    record([
        must("id", id("The saved card.", "pm_")),
        must("object", word("What it is.", ["payment_method"])),
        must("created", time("When it was made.")),
        must("livemode", flag("It is of real money.")),
        must("type", word("What kind.", ["card"])),
        must("card", card),
        must("customer", or_null(id("Whose it is.", "cus_"))),
        must("metadata", metadata()),
    ])
}

pub(crate) fn token_shape() -> ObjectBuilder {
    record([
        must(
            "id",
            text("The token.").pattern(Some("^tok_1[0-9A-Za-km-z]{28}$")),
        ),
        must("object", word("What it is.", ["token"])),
        must(
            "created",
            time("When it was made. Unused, it is forgotten after an hour."),
        ),
        must("livemode", flag("It is of real money.")),
        must("type", word("What kind.", ["card"])),
        must("used", flag("It was used.")),
        must("card", record([must("last4", text("The last four digits."))])),
    ])
}
