//! `/v1/customers`: who pays, as far as a merchant says. A deleted customer is erased with every card that it saved.

use crate::auth::Caller;
use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, chapter, flag, id, must, page_of, record, strict, word};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use crate::v1::list::List;
use crate::vault::{
    Asked, CUSTOMER_ID, customer, customer_example, customer_fields, customer_in, customer_shape,
    exactly_one_key, object, read, refused, shown,
};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ids::MethodId;
use florin_domain::ports::VaultKey;
use florin_domain::vault::{Owner, VaultChange, VaultPage};
use serde_json::json as example;

const PATH: &str = "/v1/customers";

pub(crate) async fn create(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let create = async {
        let mut asked = read(&state, &request, payload).await?;
        let method = asked.text("payment_method")?;
        let missing = |_| ApiError::NoSuchObject {
            kind: "payment method",
        };
        let method = method
            .map(|text| MethodId::parse(&text))
            .transpose()
            .map_err(missing)?;
        let (fields, whose) = asked.into_parts();
        let said = customer(fields)?;
        Asked::make(&state, whose, VaultChange::CreateCustomer { said, method }).await
    };
    Reply(create.await)
}

pub(crate) async fn update(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let update = async {
        let asked = read(&state, &request, payload).await?;
        let id = customer_in(&request)?;
        let (fields, whose) = asked.into_parts();
        let said = customer(fields)?;
        Asked::make(&state, whose, VaultChange::UpdateCustomer { id, said }).await
    };
    Reply(update.await)
}

pub(crate) async fn delete(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let delete = async {
        let asked = read(&state, &request, payload).await?;
        let id = customer_in(&request)?;
        let (_, whose) = asked.into_parts();
        Asked::make(&state, whose, VaultChange::DeleteCustomer { id }).await
    };
    Reply(delete.await)
}

pub(crate) async fn get(state: Data<State>, request: HttpRequest) -> Reply {
    let get = async {
        let id = customer_in(&request)?;
        object(&state, &request, (VaultKey::Customer(id), "customer")).await
    };
    Reply(get.await)
}

pub(crate) async fn list(state: Data<State>, request: HttpRequest) -> Reply {
    let list = async {
        let caller = Caller::of(&state, &request)?;
        let (merchant, livemode) = caller.merchant()?;
        let page = query::listed_customers(&request)?;
        let merchant = merchant.id;
        page_body(&state, (Owner { merchant, livemode }, page), PATH).await
    };
    Reply(list.await)
}

/// A page of any list of the vault.
pub(super) async fn page_body(
    state: &State,
    (owner, page): (Owner, VaultPage),
    url: &str,
) -> Result<HttpResponse, ApiError> {
    let found = state.cards.list(owner, page).await.map_err(refused)?;
    let (objects, has_more) = found.ok_or(ApiError::NoSuchObject { kind: "customer" })?;
    let data: Vec<_> = objects
        .iter()
        .map(|object| shown(object, owner.livemode))
        .collect();
    json(StatusCode::OK, &List::new(url, data, has_more))
}

/// Both ways through a list.
pub(super) fn paged(endpoint: Endpoint, prefix: &str) -> Endpoint {
    endpoint
        .query(
            "limit",
            crate::openapi::bounded("At most so many; 10 when nothing is said.", (1, 100)),
        )
        .query(
            "starting_after",
            id("Only what was made before this one.", prefix),
        )
        .query(
            "ending_before",
            id("Only what was made after this one, the nearest.", prefix),
        )
        .refuses(400, &[Code::ParameterInvalidInteger, Code::CardsNotKept])
}

pub(crate) fn described_create() -> Endpoint {
    let method = id("A saved card that is attached at once.", "pm_");
    let shape = strict(
        customer_fields()
            .into_iter()
            .chain([crate::openapi::may("payment_method", method)]),
    );
    let jane = example!({"name": "Jane Diaz", "email": "jane@shop.example", "metadata": {"number": "7"}});
    exactly_one_key(Endpoint::order(PATH, Access::Merchants))
        .called(
            "createCustomer",
            "Make a customer",
            "Also as a form, as Stripe's SDKs send it. What is said is sealed at rest and never enters the journal, so that it can be erased.",
        )
        .in_chapter(chapter::CUSTOMERS)
        .takes(shape, &[("A customer", jane)])
        .answers(200, "The customer.", customer_shape(), customer_example())
        .refuses(400, &[Code::PaymentMethodUnexpectedState])
        .refuses(404, &[Code::ResourceMissing])
}

fn named(endpoint: Endpoint) -> Endpoint {
    endpoint
        .in_chapter(chapter::CUSTOMERS)
        .path_part("id", id("The customer.", "cus_"), CUSTOMER_ID)
        .refuses(400, &[Code::CardsNotKept])
        .refuses(404, &[Code::ResourceMissing])
}

pub(crate) fn described_update() -> Endpoint {
    let other = example!({"email": "jane@home.example", "phone": ""});
    named(exactly_one_key(Endpoint::order(
        "/v1/customers/{id}",
        Access::Merchants,
    )))
    .called(
        "updateCustomer",
        "Say more of a customer",
        "What is not named stays; an empty text takes away what is there.",
    )
    .takes(strict(customer_fields()), &[("Another address", other)])
    .answers(200, "The customer.", customer_shape(), customer_example())
}

pub(crate) fn described_get() -> Endpoint {
    named(Endpoint::get("/v1/customers/{id}", Access::Merchants))
        .called("getCustomer", "Look at a customer", "As it stands.")
        .answers(200, "The customer.", customer_shape(), customer_example())
}

pub(crate) fn described_delete() -> Endpoint {
    let shape = record([
        must("id", id("The customer.", "cus_")),
        must("object", word("What it was.", ["customer"])),
        must("deleted", flag("It is gone.")),
    ]);
    let gone = example!({"id": CUSTOMER_ID, "object": "customer", "deleted": true});
    named(Endpoint::delete("/v1/customers/{id}", Access::Merchants))
        .called(
            "deleteCustomer",
            "Erase a customer",
            "Its data and every card that it saved are overwritten in the store. Payments that it made stay, with the last four digits.",
        )
        .answers(200, "It is gone.", shape, gone)
}

pub(crate) fn described_list() -> Endpoint {
    let all = example!({"object": "list", "url": PATH, "has_more": false, "data": [customer_example()]});
    paged(Endpoint::get(PATH, Access::Merchants), "cus_")
        .called("listCustomers", "List customers", "Newest first.")
        .in_chapter(chapter::CUSTOMERS)
        .answers(200, "A page.", page_of(customer_shape()), all)
}
