//! The API as an OpenAPI 3.1 document: put together from what each endpoint says of itself, served at `/openapi.json`, shown at `/docs`, and kept in
//! `docs/openapi.json` for whoever reads the code.
//!
//! To add an endpoint: write its `described` next to it and name that in [`ENDPOINTS`]. A test compares this list with the routes.

mod consistency_shapes;
mod endpoint;
mod ledger_shapes;
mod naming;
mod operators;
mod page;
mod payment_shapes;
pub(crate) mod postman;
mod refusal;
mod shape;
mod stripe;
#[cfg(test)]
mod tests;

pub(crate) use consistency_shapes::consistency_example;
pub(crate) use endpoint::{Access, Endpoint};
pub(crate) use ledger_shapes::{
    ACCOUNT_ID, OPENED_ACCOUNT_ID, OPENED_ACCOUNT_ID_OTHER, TRANSFER_ID, account_id, account_type, day,
    limit, transfer_id,
};
pub(crate) use operators::reason;
pub(crate) use page::{page, style};
pub(crate) use payment_shapes::route as route_shape;
pub(crate) use payment_shapes::{
    AMOUNT_MAX, PAYMENT_ID, amount, list_example, metadata, payment_example, payment_example_with,
    refund_example, status,
};
pub(crate) use shape::{
    Field, array, bounded, bounded_text, count, flag, id, integer, may, must, named, or_null, page_of,
    record, strict, text, time, word,
};

use crate::reply::Reply;
use crate::v1::{
    account_create, account_get, account_list, alert_create, alert_delete, alert_get, alert_list, bin_get,
    consistency, credentials_delete, credentials_get, credentials_put, entry_list, event_get, event_list,
    event_stream, health, ledger_export, list_entry_create, list_entry_delete, list_entry_list,
    merchant_fee_get, merchant_fee_set, metrics_get, payment_capture, payment_confirm, payment_create,
    payment_export, payment_get, payment_history, payment_increment, payment_list, payment_receipt,
    payment_void, payment_what_if, period_close, period_list, provider_notice, refund_create,
    risk_profile_get, risk_profile_set, routing_evaluate, routing_get, routing_set, statement_get,
    template_list, transfer_create, transfer_get, transfer_revert, tree_get, trial_balance_get,
};
use crate::v1::{customers, mandates, payment_links, payment_methods, setup_intents, tokens};
use crate::v1::{webhook_delivery_list, webhook_endpoints, webhook_resend, webhook_secret_rotate};
use crate::{checkout, error_page, request_id};
use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::{Tag, TagBuilder};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, License, OpenApi, OpenApiBuilder, Paths, PathsBuilder, RefOr, Response,
    Server,
};

/// Every endpoint's description of itself, in the order of the page.
const ENDPOINTS: &[fn() -> Endpoint] = &[
    payment_create::described,
    payment_list::described,
    payment_export::described,
    payment_get::described,
    payment_history::described,
    payment_receipt::described,
    payment_what_if::described,
    payment_capture::described,
    payment_increment::described,
    payment_void::described,
    payment_confirm::described,
    refund_create::described,
    event_list::described,
    event_get::described,
    event_stream::described,
    stripe::payment_intent_create,
    stripe::payment_intent_list,
    stripe::payment_intent_search,
    stripe::payment_intent_get,
    stripe::payment_intent_update,
    stripe::payment_intent_confirm,
    stripe::payment_intent_capture,
    stripe::payment_intent_cancel,
    stripe::payment_intent_increment,
    stripe::refund_create,
    stripe::refund_list,
    stripe::refund_get,
    stripe::charge_list,
    stripe::charge_get,
    stripe::balance_get,
    stripe::balance_transaction_list,
    stripe::balance_transaction_get,
    stripe::dispute_list,
    stripe::dispute_get,
    stripe::charge_capture,
    bin_get::described,
    customers::described_create,
    customers::described_list,
    customers::described_get,
    customers::described_update,
    customers::described_delete,
    payment_methods::described_list_of_customer,
    payment_methods::described_create,
    payment_methods::described_list,
    payment_methods::described_get,
    payment_methods::described_update,
    payment_methods::described_attach,
    payment_methods::described_detach,
    tokens::described_create,
    tokens::described_get,
    payment_links::described_create,
    payment_links::described_list,
    payment_links::described_get,
    payment_links::described_update,
    checkout::described_page,
    checkout::described_return,
    checkout::described_attempt,
    checkout::described_style,
    checkout::described_script,
    checkout::described_icon,
    webhook_endpoints::described_create,
    webhook_endpoints::described_list,
    webhook_endpoints::described_get,
    webhook_endpoints::described_update,
    webhook_endpoints::described_delete,
    webhook_secret_rotate::described,
    webhook_delivery_list::described,
    webhook_resend::described,
    setup_intents::described_create,
    setup_intents::described_list,
    setup_intents::described_get,
    setup_intents::described_update,
    setup_intents::described_confirm,
    setup_intents::described_cancel,
    mandates::described_get,
    list_entry_create::described,
    list_entry_list::described,
    list_entry_delete::described,
    account_list::described,
    account_get::described,
    entry_list::described,
    ledger_export::described_csv,
    ledger_export::described_json_lines,
    account_create::described,
    template_list::described,
    transfer_create::described,
    transfer_revert::described,
    transfer_get::described,
    trial_balance_get::described,
    statement_get::described_balance_sheet,
    statement_get::described_income_statement,
    period_list::described,
    period_close::described,
    alert_create::described,
    alert_list::described,
    alert_get::described,
    alert_delete::described,
    provider_notice::described,
    tree_get::described,
    consistency::described_get,
    consistency::described_run,
    operators::actor_kill,
    routing_get::described,
    routing_set::described,
    routing_evaluate::described,
    risk_profile_get::described,
    risk_profile_set::described,
    operators::provider_disable,
    operators::provider_enable,
    operators::merchant_list,
    merchant_fee_get::described,
    merchant_fee_set::described,
    operators::merchant_freeze,
    operators::merchant_unfreeze,
    credentials_put::described,
    credentials_get::described,
    credentials_delete::described,
    operators::read_only_set,
    operators::review_list,
    operators::review_approve,
    operators::review_reject,
    operators::unresolved_list,
    operators::attempt_resolve,
    metrics_get::described,
    health::described_live,
    health::described_ready,
    described,
    postman::described,
    page::described,
    page::described_style,
    error_page::described_index,
    error_page::described_page,
];

/// The chapters and what they are about.
pub(crate) mod chapter {
    pub(crate) const PAYMENTS: &str = "Payments";
    pub(crate) const CUSTOMERS: &str = "Customers";
    pub(crate) const CHECKOUT: &str = "Checkout";
    pub(crate) const WEBHOOKS: &str = "Webhooks";
    pub(crate) const STRIPE: &str = "Stripe's names";
    pub(crate) const LEDGER: &str = "Ledger";
    pub(crate) const OPERATIONS: &str = "Operations";
    pub(crate) const DOCUMENTS: &str = "Documents";
    pub(super) const ALL: [(&str, &str); 8] = [
        (PAYMENTS, "Taking payments, and what follows."),
        (
            CUSTOMERS,
            "Who pays, and the cards that they saved. Under Stripe's names, as a form or as JSON.",
        ),
        (
            CHECKOUT,
            "Links under which customers pay, and the page that they see. What is below `/pay/` is for the page's own script and may change with it.",
        ),
        (
            WEBHOOKS,
            "Being told of events on your own servers. Under Stripe's names, as a form or as JSON.",
        ),
        (
            STRIPE,
            "The same payments as Stripe's official SDKs know them, unmodified. Currencies are in lower case in answers.",
        ),
        (
            LEDGER,
            "Accounts in double entry. Merchants see their own, operators all of them.",
        ),
        (OPERATIONS, "The process and what runs in it."),
        (
            DOCUMENTS,
            "This document and the meaning of errors. Open to everybody.",
        ),
    ];
}

const ABOUT: &str = "\
Florin takes payments and keeps the books. Amounts are integers in minor units, times are seconds since the Unix epoch, currencies are ISO 4217 codes \
in upper case (lower case is understood in requests). Parameters that are not listed are refused, in queries and in bodies.\n\n\
A key goes into `Authorization`, as `Bearer` or as the user of `Basic`. Whatever must happen once carries an `Idempotency-Key`.\n\n\
A refusal is the envelope `{\"error\": {...}}`, or an RFC 9457 problem for requests with `Accept: application/problem+json`; its `code` is stable, and `doc_url` \
leads to the code's page. Besides the statuses listed with each operation, a path that is not here is 404 \
[`route_unknown`](/docs/errors/route_unknown), and another method is 405 [`method_not_allowed`](/docs/errors/method_not_allowed) with `Allow`. Every `GET` also answers \
`HEAD`. With `errors.profile = \"seed\"` a declined card is 400 `CARD_DECLINED` instead of 402 `card_declined`.";

/// The document.
fn document() -> OpenApi {
    let license = License::builder()
        .name("Apache-2.0")
        .identifier(Some("Apache-2.0"));
    let info = InfoBuilder::new()
        .title("Florin")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license.build()));
    let key = |scheme, description: &str| {
        let http = HttpBuilder::new().scheme(scheme).description(Some(description));
        SecurityScheme::Http(http.build())
    };
    let bearer = key(
        HttpAuthScheme::Bearer,
        "An API key: `sk_...` of a merchant, `ok_...` of an operator.",
    );
    let basic = key(
        HttpAuthScheme::Basic,
        "The API key as the user; the password is not looked at.",
    );
    let shapes = payment_shapes::all()
        .into_iter()
        .chain(ledger_shapes::all())
        .chain(operators::all())
        .chain(consistency_shapes::all())
        .chain(stripe::all());
    let mut components = shapes
        .fold(ComponentsBuilder::new(), |all, (name, shape)| {
            all.schema(name, shape)
        })
        .schema("Error", refusal::envelope())
        .schema("Problem", refusal::problem())
        .build();
    let paths = paths(&mut components.responses);
    components.examples.extend(refusal::examples());
    components.headers.extend(endpoint::all_headers());
    components.security_schemes.extend(
        [("bearer", bearer), ("basic", basic)].map(|(name, scheme)| (name.to_owned(), RefOr::T(scheme))),
    );
    let tags = chapter::ALL
        .map(|(name, about)| -> Tag { TagBuilder::new().name(name).description(Some(about)).build() });
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([Server::new("/")]))
        .paths(paths)
        .components(Some(components))
        .tags(Some(tags))
        .build()
}

fn paths(responses: &mut BTreeMap<String, RefOr<Response>>) -> Paths {
    let mut paths = PathsBuilder::new().build();
    for described in ENDPOINTS {
        let (method, path, operation) = described().into_parts(responses);
        paths.add_path_operation(path, vec![method], operation);
    }
    paths
}

/// The document as it is served and kept: made once.
static TEXT: LazyLock<String> = LazyLock::new(|| {
    let written = serde_json::to_value(document()).and_then(|mut value| {
        // utoipa's headers cannot say that they are always there.
        for name in endpoint::HEADERS_ALWAYS {
            value["components"]["headers"][name]["required"] = true.into();
        }
        naming::name(&mut value);
        serde_json::to_string_pretty(&value)
    });
    let mut text = written.unwrap_or_else(|error| {
        tracing::error!(request_id = request_id::current(), %error, "the OpenAPI document cannot be written");
        String::new()
    });
    text.push('\n');
    text
});

/// `GET /openapi.json`.
pub(crate) async fn json() -> Reply {
    let kind = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Reply(Ok(HttpResponse::Ok().insert_header(kind).body(TEXT.as_str())))
}

fn described() -> Endpoint {
    let openapi = record([must("openapi", text("Its version.")), must("paths", record([]))]);
    Endpoint::get("/openapi.json", Access::Everybody)
        .called(
            "getOpenapi",
            "This document",
            "The API as an OpenAPI 3.1 document.",
        )
        .in_chapter(chapter::DOCUMENTS)
        .answers(200, "The document.", openapi, Value::Null)
}
