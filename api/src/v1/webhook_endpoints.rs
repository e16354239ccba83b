//! `/v1/webhook_endpoints`: where a merchant wants to be told of events.

use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, bounded, chapter, flag, id, must, page_of, record, strict, word};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use crate::stripe::tree;
use crate::v1::list::List;
use crate::vault::{owner, read};
use crate::webhook_endpoints::{
    ENDPOINT_ID, NewEndpoint, OtherEndpoint, PATH, Secret, changed, endpoint_body, endpoint_example,
    endpoint_fields, endpoint_in, endpoint_shape, keyed, named, present,
};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ports::EndpointError;
use florin_domain::vault::{Once, Owner};
use florin_domain::webhook::{Endpoint as WebhookEndpoint, EndpointChange, EndpointSaid, EndpointStatus};
use serde_json::json as example;

pub(crate) async fn create(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    Reply(created(&state, &request, payload).await)
}

async fn created(state: &State, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    let asked = read(state, request, payload).await?;
    // Stripe's SDKs say it with every request.
    let is_stripes = request.headers().contains_key("stripe-version");
    let (fields, (owner, once)) = asked.into_parts();
    let said = NewEndpoint::read(fields, allows_clear(state, owner), is_stripes)?;
    let secret = state.webhooks.new_secret().ok_or(EndpointError::NotConfigured)?;
    // Looked up before it is made: what happens between the two is told.
    let behind = state.webhooks.end(owner.merchant).await?;
    let id = state.webhooks.new_id(owner.merchant);
    let endpoint = WebhookEndpoint {
        id,
        owner,
        created_at: id.drawn_at(),
        url: said.url,
        wanted: said.wanted,
        shape: said.shape,
        status: EndpointStatus::Enabled,
        description: said.description,
        metadata: said.metadata,
    };
    let create = EndpointChange::Create {
        endpoint,
        secret,
        behind,
    };
    let made = state.webhooks.change(owner, create, once).await?;
    changed(&made, Secret::Shown)
}

/// Whether an address may be without TLS.
fn allows_clear(state: &State, owner: Owner) -> bool {
    state.options.allows_local_webhooks && !owner.livemode
}

pub(crate) async fn update(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    Reply(updated(&state, &request, payload).await)
}

async fn updated(state: &State, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    let asked = read(state, request, payload).await?;
    let id = endpoint_in(request)?;
    let (fields, (owner, once)) = asked.into_parts();
    let said = OtherEndpoint::read(fields, allows_clear(state, owner))?;
    let present = present(state, owner, id).await?;
    let metadata = said.metadata.map(|pairs| pairs.on(&present.metadata));
    let disabled = said.disabled;
    let said = EndpointSaid {
        metadata: metadata.transpose()?,
        ..said.said
    };
    let Some(disabled) = disabled else {
        let made = state
            .webhooks
            .change(owner, EndpointChange::Say(id, said), once)
            .await?;
        return changed(&made, Secret::Kept);
    };
    let switch = if disabled {
        EndpointChange::Disable(id)
    } else {
        EndpointChange::Enable(id, state.webhooks.end(owner.merchant).await?)
    };
    if said != EndpointSaid::default() {
        // Two changes, each once: whoever repeats the request after a crash between the two has the second one made.
        let first = once.as_ref().map(|once| second_key(state, owner, once));
        state
            .webhooks
            .change(owner, EndpointChange::Say(id, said), first)
            .await?;
    }
    let made = state.webhooks.change(owner, switch, once).await?;
    changed(&made, Secret::Kept)
}

/// Another key that stands for the same one; no header can be it, because of its line feed.
fn second_key(state: &State, owner: Owner, once: &Once) -> Once {
    let text = format!("{:?}\n", once.key);
    Once {
        key: (state.digests.key)(owner.merchant, owner.livemode, &text),
        asked: once.asked.clone(),
    }
}

pub(crate) async fn delete(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let delete = async {
        let asked = read(&state, &request, payload).await?;
        let id = endpoint_in(&request)?;
        let (fields, (owner, _)) = asked.into_parts();
        tree::none(fields)?;
        // Without its key, as with Stripe: what is deleted stays so.
        let change = EndpointChange::Delete(id);
        state.webhooks.change(owner, change, None).await?;
        let gone = example!({"id": id.to_string(), "object": "webhook_endpoint", "deleted": true});
        json(StatusCode::OK, &gone)
    };
    Reply(delete.await)
}

pub(crate) async fn get(state: Data<State>, request: HttpRequest) -> Reply {
    let get = async {
        let owner = owner(&state, &request)?;
        query::vault_object(&request)?;
        let endpoint = present(&state, owner, endpoint_in(&request)?).await?;
        json(StatusCode::OK, &endpoint_body(&endpoint, None))
    };
    Reply(get.await)
}

pub(crate) async fn list(state: Data<State>, request: HttpRequest) -> Reply {
    let list = async {
        let owner = owner(&state, &request)?;
        let page = query::listed_endpoints(&request)?;
        let cursor = if page.ending_before.is_some() {
            "ending_before"
        } else {
            "starting_after"
        };
        let found = state.webhooks.list(owner, page).await?;
        let (endpoints, has_more) = found.ok_or_else(|| query::no_entry(cursor))?;
        let data: Vec<_> = endpoints
            .iter()
            .map(|endpoint| endpoint_body(endpoint, None))
            .collect();
        json(StatusCode::OK, &List::new(PATH, data, has_more))
    };
    Reply(list.await)
}

pub(crate) fn described_create() -> Endpoint {
    let hooks = example!({
        "url": "https://shop.example/hooks", "enabled_events": ["payment.*", "refund.*"], "description": "orders",
        "metadata": {"team": "checkout"},
    });
    keyed(Endpoint::order(PATH, Access::Merchants))
        .called(
            "createWebhookEndpoint",
            "Make a webhook endpoint",
            "It is told of what happens from now on. `event_shape` is `native`, or `stripe` if nothing is said and the request has a \
             `Stripe-Version`. Only this answer has the `secret`.",
        )
        .takes(strict(endpoint_fields(true)), &[("Payments and refunds", hooks)])
        .answers(200, "The endpoint, with its secret.", endpoint_shape(), endpoint_example(true))
        .refuses(409, &[Code::WebhookEndpointsFull])
}

pub(crate) fn described_list() -> Endpoint {
    let all = example!({"object": "list", "url": PATH, "has_more": false, "data": [endpoint_example(false)]});
    Endpoint::get(PATH, Access::Merchants)
        .called("listWebhookEndpoints", "List webhook endpoints", "Newest first.")
        .in_chapter(chapter::WEBHOOKS)
        .query(
            "limit",
            bounded("At most so many; 10 when nothing is said.", (1, 100)),
        )
        .query("starting_after", id("Only what was made before this one.", "we_"))
        .query(
            "ending_before",
            id("Only what was made after this one, the nearest.", "we_"),
        )
        .answers(200, "A page.", page_of(endpoint_shape()), all)
        .refuses(400, &[Code::ParameterInvalidInteger, Code::WebhooksNotKept])
        .refuses(503, &[Code::Overloaded, Code::TemporarilyUnavailable])
}

const ONE: &str = "/v1/webhook_endpoints/{id}";

pub(crate) fn described_get() -> Endpoint {
    named(Endpoint::get(ONE, Access::Merchants))
        .called(
            "getWebhookEndpoint",
            "Look at a webhook endpoint",
            "As it stands, without its secret.",
        )
        .answers(200, "The endpoint.", endpoint_shape(), endpoint_example(false))
}

pub(crate) fn described_update() -> Endpoint {
    let other = example!({"enabled_events": ["*"], "metadata": {"team": ""}, "disabled": false});
    named(keyed(Endpoint::order(ONE, Access::Merchants)))
        .called(
            "updateWebhookEndpoint",
            "Change a webhook endpoint",
            "What is not named stays; an empty text takes away a description or a pair. `disabled=false` enables it again: one that was disabled \
             because nothing arrived goes on where it stopped, any other one is told of what happens from now on.",
        )
        .takes(strict(endpoint_fields(false)), &[("All events", other)])
        .answers(200, "The endpoint.", endpoint_shape(), endpoint_example(false))
}

pub(crate) fn described_delete() -> Endpoint {
    let shape = record([
        must("id", id("The endpoint.", "we_")),
        must("object", word("What it was.", ["webhook_endpoint"])),
        must("deleted", flag("It is gone.")),
    ]);
    let gone = example!({"id": ENDPOINT_ID, "object": "webhook_endpoint", "deleted": true});
    named(Endpoint::delete(ONE, Access::Merchants))
        .called(
            "deleteWebhookEndpoint",
            "Delete a webhook endpoint",
            "With its secret and all that is known of its deliveries.",
        )
        .answers(200, "It is gone.", shape, gone)
}
