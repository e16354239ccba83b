//! `/v1/payment_methods`: cards that were saved. A number comes in once, and never goes out again but to a provider.

use super::customers::{page_body, paged};
use crate::auth::Caller;
use crate::errors::{Code, Invalid};
use crate::openapi::{Access, Endpoint, bounded_text, chapter, id, may, must, page_of, strict, word};
use crate::query;
use crate::reply::Reply;
use crate::state::State;
use crate::stripe::tree::Fields;
use crate::vault::{
    Asked, CUSTOMER_ID, Card, METHOD_ID, card, card_shape, customer_in, customer_of, exactly_one_key, expiry,
    holder, method, method_example, method_fields, method_in, method_shape, object, read,
};
use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};
use florin_domain::ports::VaultKey;
use florin_domain::vault::{Owner, VaultChange};
use serde_json::json as example;

const PATH: &str = "/v1/payment_methods";
const ONE: &str = "/v1/payment_methods/{id}";

pub(crate) async fn create(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let create = async {
        let mut asked = read(&state, &request, payload).await?;
        match asked.text("type")?.as_deref() {
            Some("card") => {}
            Some(_) => return Err(Invalid::new("type", Code::ParameterInvalid, "`type` is `card`.").into()),
            None => return Err(Invalid::new("type", Code::ParameterMissing, "`type` is required.").into()),
        }
        let holder = holder(&asked.fields).map(str::to_owned);
        let card = card(&mut asked, holder.as_deref())?;
        let (fields, whose) = asked.into_parts();
        let said = method(fields)?;
        let change = match card {
            Card::Typed(card) => VaultChange::CreateMethod { card, said },
            Card::Token(token) => VaultChange::UseToken { token, said },
        };
        Asked::make(&state, whose, change).await
    };
    Reply(create.await)
}

pub(crate) async fn update(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let update = async {
        let mut asked = read(&state, &request, payload).await?;
        let id = method_in(&request)?;
        let expiry = expiry(&mut asked)?;
        let (fields, whose) = asked.into_parts();
        let said = method(fields)?;
        Asked::make(&state, whose, VaultChange::UpdateMethod { id, said, expiry }).await
    };
    Reply(update.await)
}

pub(crate) async fn attach(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let attach = async {
        let mut asked = read(&state, &request, payload).await?;
        let id = method_in(&request)?;
        let missing = || Invalid::new("customer", Code::ParameterMissing, "`customer` is required.");
        let customer = customer_of("customer", &asked.text("customer")?.ok_or_else(missing)?)?;
        let (fields, whose) = asked.into_parts();
        // Nothing else is said here.
        nothing(fields)?;
        Asked::make(&state, whose, VaultChange::Attach { id, customer }).await
    };
    Reply(attach.await)
}

fn nothing(fields: Fields) -> Result<(), Invalid> {
    crate::stripe::tree::none(fields)
}

pub(crate) async fn detach(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let detach = async {
        let asked = read(&state, &request, payload).await?;
        let id = method_in(&request)?;
        let (fields, whose) = asked.into_parts();
        nothing(fields)?;
        Asked::make(&state, whose, VaultChange::Detach { id }).await
    };
    Reply(detach.await)
}

pub(crate) async fn get(state: Data<State>, request: HttpRequest) -> Reply {
    let get = async {
        let id = method_in(&request)?;
        object(&state, &request, (VaultKey::Method(id), "payment method")).await
    };
    Reply(get.await)
}

pub(crate) async fn list(state: Data<State>, request: HttpRequest) -> Reply {
    let list = async {
        let caller = Caller::of(&state, &request)?;
        let (merchant, livemode) = caller.merchant()?;
        let merchant = merchant.id;
        let page = query::listed_methods(&request, None)?;
        page_body(&state, (Owner { merchant, livemode }, page), PATH).await
    };
    Reply(list.await)
}

pub(crate) async fn list_of_customer(state: Data<State>, request: HttpRequest) -> Reply {
    let list = async {
        let caller = Caller::of(&state, &request)?;
        let (merchant, livemode) = caller.merchant()?;
        let merchant = merchant.id;
        let customer = customer_in(&request)?;
        let page = query::listed_methods(&request, Some(customer))?;
        page_body(&state, (Owner { merchant, livemode }, page), request.path()).await
    };
    Reply(list.await)
}

const CARD_REFUSALS: [Code; 5] = [
    Code::ExpiredCard,
    Code::IncorrectCvc,
    Code::IncorrectNumber,
    Code::InvalidExpiryMonth,
    Code::InvalidExpiryYear,
];

pub(crate) fn described_create() -> Endpoint {
    let token = bounded_text("A token that stands for the card, instead of all else.", (0, 64));
    let fields = [
        must("type", word("What kind.", ["card"])),
        must("card", card_shape(vec![may("token", token)])),
    ];
    let typed = example!({
        "type": "card", "card": {"number": "4242424242424242", "exp_month": "12", "exp_year": "2034", "cvc": "123"},
        "billing_details": {"name": "Jane Diaz"}, "metadata": {"order": "1001"},
    });
    exactly_one_key(Endpoint::order(PATH, Access::Merchants))
        .called(
            "createPaymentMethod",
            "Save a card",
            "Also as a form, as Stripe's SDKs send it. The number is sealed under a key of the merchant's own and never shown again; \
             the security code is never written.",
        )
        .in_chapter(chapter::CUSTOMERS)
        .takes(strict(fields.into_iter().chain(method_fields())), &[("A card", typed)])
        .answers(200, "The saved card.", method_shape(), method_example())
        .refuses(400, &[Code::TokenInvalid, Code::TokenAlreadyUsed])
        .refuses(402, &CARD_REFUSALS)
        .refuses(404, &[Code::ResourceMissing])
}

fn named(endpoint: Endpoint) -> Endpoint {
    endpoint
        .in_chapter(chapter::CUSTOMERS)
        .path_part("id", id("The saved card.", "pm_"), METHOD_ID)
        .refuses(400, &[Code::CardsNotKept])
        .refuses(404, &[Code::ResourceMissing])
        .answers(200, "The saved card.", method_shape(), method_example())
}

pub(crate) fn described_update() -> Endpoint {
    let card = strict([
        may("exp_month", bounded_text("1 to 12.", (1, 2))),
        may("exp_year", bounded_text("Two or four digits.", (2, 4))),
    ]);
    let renewed = example!({"card": {"exp_month": "1", "exp_year": "2036"}});
    let fields = method_fields().into_iter().chain([may("card", card)]);
    named(exactly_one_key(Endpoint::order(ONE, Access::Merchants)))
        .called(
            "updatePaymentMethod",
            "Say more of a saved card",
            "What is not named stays; an empty text takes away what is there. The number never changes.",
        )
        .takes(strict(fields), &[("The card was renewed", renewed)])
        .refuses(400, &[Code::PaymentMethodUnexpectedState])
        .refuses(402, &CARD_REFUSALS)
}

pub(crate) fn described_get() -> Endpoint {
    named(Endpoint::get(ONE, Access::Merchants)).called(
        "getPaymentMethod",
        "Look at a saved card",
        "As it stands.",
    )
}

pub(crate) fn described_attach() -> Endpoint {
    let body = strict([must("customer", id("Whose it becomes.", "cus_"))]);
    let to = example!({"customer": CUSTOMER_ID});
    named(exactly_one_key(Endpoint::order(
        "/v1/payment_methods/{id}/attach",
        Access::Merchants,
    )))
    .called(
        "attachPaymentMethod",
        "Give a saved card to a customer",
        "To the same customer again changes nothing.",
    )
    .takes(body, &[("To a customer", to)])
    .refuses(400, &[Code::PaymentMethodUnexpectedState, Code::ResourceMissing])
}

pub(crate) fn described_detach() -> Endpoint {
    named(exactly_one_key(Endpoint::order("/v1/payment_methods/{id}/detach", Access::Merchants)))
        .called(
            "detachPaymentMethod",
            "Erase a saved card",
            "Its number is overwritten in the store, and it pays nothing any more. Payments that it made can still be captured and refunded.",
        )
        .may_take(strict([]), &[("Nothing more is said", example!({}))])
        .refuses(400, &[Code::PaymentMethodUnexpectedState])
}

fn described_page(endpoint: Endpoint, url: &str) -> Endpoint {
    let all = example!({"object": "list", "url": url, "has_more": false, "data": [method_example()]});
    paged(endpoint, "pm_")
        .query("type", word("What kind.", ["card"]))
        .in_chapter(chapter::CUSTOMERS)
        .answers(200, "A page.", page_of(method_shape()), all)
        .refuses(404, &[Code::ResourceMissing])
}

pub(crate) fn described_list() -> Endpoint {
    described_page(Endpoint::get(PATH, Access::Merchants), PATH)
        .called("listPaymentMethods", "List a customer's cards", "Newest first.")
        .query("customer", id("Whose; it is required.", "cus_"))
        .refuses(400, &[Code::ParameterMissing, Code::ResourceMissing])
}

pub(crate) fn described_list_of_customer() -> Endpoint {
    let url = "/v1/customers/{id}/payment_methods";
    described_page(
        Endpoint::get(url, Access::Merchants),
        "/v1/customers/cus_01m7y92abt00074ha88rfjdjp2/payment_methods",
    )
    .called(
        "listCustomerPaymentMethods",
        "List a customer's cards",
        "Newest first.",
    )
    .path_part("id", id("The customer.", "cus_"), CUSTOMER_ID)
}
