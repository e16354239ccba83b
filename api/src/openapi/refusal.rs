//! Refusals as responses: a status, the codes it may carry, and one example of each from the code's own page.

use super::endpoint::{Access, headers};
use super::shape::{Shape, bounded, must, named, record, text, word};
use crate::errors::Code;
use florin_domain::decline::Advice;
use serde_json::Value;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder};
use utoipa::openapi::{Content, ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

const KINDS: [&str; 4] = [
    "api_error",
    "card_error",
    "idempotency_error",
    "invalid_request_error",
];

/// What a refusal says, in the names of the envelope.
pub(super) fn envelope() -> ObjectBuilder {
    let mut fields = vec![
        must("type", word("What kind of error.", KINDS)),
        must("code", codes(Code::ALL)),
        must("message", text("For people; its words may change.")),
        must("doc_url", text("Where the code's page is, on the same origin.")),
    ];
    fields.extend(facts());
    record([must("error", record(fields))]).description(Some("A refusal, in the envelope of Stripe."))
}

/// The same as RFC 9457 has it.
pub(super) fn problem() -> ObjectBuilder {
    let mut fields = vec![
        must("type", text("Where the code's page is, on the same origin.")),
        must("title", text("The status in words.")),
        must("status", bounded("The status.", (400, 599))),
        must("detail", text("For people; its words may change.")),
        must("error_type", word("What kind of error.", KINDS)),
        must("code", codes(Code::ALL)),
    ];
    fields.extend(facts());
    let asked = "A refusal as RFC 9457 has it, for requests with `Accept: application/problem+json`.";
    record(fields).description(Some(asked))
}

fn facts() -> [super::shape::Field; 8] {
    use super::payment_shapes::status;
    use super::shape::{bounded_text, id, may};
    [
        may(
            "decline_code",
            text("Why a card was declined, in the network's words."),
        ),
        may(
            "advice_code",
            word(
                "What may be done after a decline.",
                Advice::ALL.map(Advice::as_str),
            ),
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
        may(
            "retry_after_s",
            bounded(
                "No sooner than so many seconds later may the same be tried again.",
                (0, 31 * 86_400),
            ),
        ),
        may("param", text("The parameter at fault.")),
        may("payment_id", id("The payment that it is about.", "pay_")),
        may("payment_status", status()),
    ]
}

fn codes(codes: &[Code]) -> ObjectBuilder {
    let words = codes.iter().map(|code| code.as_str());
    word("Stable; what a program should look at.", words)
}

/// The envelope that the page of a code shows.
pub(super) fn example(code: Code) -> Value {
    let block = code
        .page()
        .split("```json")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    block
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

/// The examples that responses name: one for each code.
pub(super) fn examples() -> impl Iterator<Item = (String, RefOr<utoipa::openapi::example::Example>)> {
    Code::ALL.iter().map(|code| {
        let shown = ExampleBuilder::new()
            .summary(title(*code))
            .value(Some(example(*code)));
        (code.as_str().to_owned(), shown.into())
    })
}

/// What the page of a code is called.
pub(super) fn title(code: Code) -> &'static str {
    let line = code.page().lines().next().unwrap_or_default();
    line.split_once("`: ").map_or(line, |(_, title)| title)
}

/// The name of a response: the same for the same codes, whatever else changes.
pub(super) fn name(status: u16, all: &[Code], access: Access) -> String {
    let open = if access == Access::Everybody { "open" } else { "" };
    let words = all.iter().map(|code| code.as_str()).chain([open]);
    // FNV-1a: short, and not to be secure.
    let digest = words
        .flat_map(|word| word.bytes().chain([0]))
        .fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
    format!("Refused{status}_{digest:08x}")
}

/// The response of one status.
pub(super) fn response(status: u16, all: &[Code], access: Access) -> Response {
    let said: Vec<String> = all
        .iter()
        .map(|code| format!("[`{}`]({}): {}", code.as_str(), code.location(), title(*code)))
        .collect();
    let response = ResponseBuilder::new()
        .description(format!("{}.", said.join("; ")))
        .content("application/json", in_envelope(all))
        .content("application/problem+json", in_problem(all));
    headers(response, status, access).build()
}

fn in_envelope(all: &[Code]) -> Content {
    let only = record([must("error", record([must("code", codes(all))]))]);
    let examples = all.iter().map(|code| {
        let place = format!("#/components/examples/{}", code.as_str());
        (code.as_str(), RefOr::Ref(Ref::new(place)))
    });
    ContentBuilder::new()
        .schema(Some(both("Error", only)))
        .examples_from_iter(examples)
        .build()
}

fn in_problem(all: &[Code]) -> Content {
    let only = record([must("code", codes(all))]);
    Content::new(Some(both("Problem", only)))
}

fn both(name: &str, and: ObjectBuilder) -> Shape {
    AllOfBuilder::new().item(named(name)).item(and).into()
}
