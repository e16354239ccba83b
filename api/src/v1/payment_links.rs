//! `/v1/payment_links`: links under which customers pay on a page of ours.

use super::payment_link_body::{
    LINK_ID, description, example, metadata_of, refused, shape, shape_to_create, shape_to_update, shown,
    terms,
};
use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, bounded, chapter, id, page_of};
use crate::query;
use crate::reply::{Remembered, Reply, json};
use crate::state::State;
use crate::stripe::params::Params;
use crate::v1::list::List;
use crate::vault::{self, check_texts, exactly_one_key, owner, read};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ids::PaymentLinkId;
use florin_domain::payment_link::LinkChange;
use florin_domain::ports::LinkOnce;
use florin_domain::vault::{Listed, Once, Owner, VaultPage};
use serde_json::json as example_of;

const PATH: &str = "/v1/payment_links";
const ONE: &str = "/v1/payment_links/{id}";
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

pub(crate) async fn create(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let create = async {
        let asked = read(&state, &request, payload).await?;
        let (fields, whose) = asked.into_parts();
        // What is said here is journaled with each payment.
        check_texts(&fields)?;
        let mut params = Params::new(fields);
        let terms = terms(&mut params, whose.0.livemode)?;
        params.finish()?;
        // A card is typed under it, so there must be somewhere to keep one.
        let any = VaultPage {
            listed: Listed::Customers,
            limit: 1,
            starting_after: None,
            ending_before: None,
        };
        state.cards.list(whose.0, any).await.map_err(vault::refused)?;
        make(&state, &request, whose, LinkChange::Create(Box::new(terms))).await
    };
    Reply(create.await)
}

pub(crate) async fn update(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let update = async {
        let asked = read(&state, &request, payload).await?;
        let id = link_in(&request)?;
        let (fields, whose) = asked.into_parts();
        check_texts(&fields)?;
        let mut params = Params::new(fields);
        // An empty one takes it away; none leaves it.
        let unsets = params.unsets("description");
        let described = description(&mut params)?;
        let change = LinkChange::Update {
            id,
            is_active: params.flag("active")?,
            description: (unsets || described.is_some()).then_some(described),
            metadata: metadata_of(params.pairs_to_set("metadata")?)?,
        };
        params.finish()?;
        make(&state, &request, whose, change).await
    };
    Reply(update.await)
}

async fn make(
    state: &State,
    request: &HttpRequest,
    (owner, once): (Owner, Option<Once>),
    change: LinkChange,
) -> Result<HttpResponse, ApiError> {
    let once = once.map(|once| LinkOnce {
        key: once.key,
        asked: (state.digests.fingerprint)("POST", request.path(), &once.asked),
    });
    let made = state.links.change(owner, change, once).await.map_err(refused)?;
    let mut response = json(StatusCode::OK, &shown(&made.link, &state.public_url))?;
    if made.was_before {
        Remembered::mark(&mut response);
        response
            .headers_mut()
            .insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

pub(crate) async fn get(state: Data<State>, request: HttpRequest) -> Reply {
    let get = async {
        let owner = owner(&state, &request)?;
        let id = link_in(&request)?;
        query::vault_object(&request)?;
        let found = state.links.find(id).await.map_err(refused)?;
        // Another merchant's is not there.
        let link = found.filter(|link| link.owner == owner).ok_or_else(missing)?;
        json(StatusCode::OK, &shown(&link, &state.public_url))
    };
    Reply(get.await)
}

pub(crate) async fn list(state: Data<State>, request: HttpRequest) -> Reply {
    let list = async {
        let owner = owner(&state, &request)?;
        let page = query::listed_links(&request)?;
        let (links, has_more) = state.links.list(owner, page).await.map_err(refused)?;
        let data: Vec<_> = links.iter().map(|link| shown(link, &state.public_url)).collect();
        json(StatusCode::OK, &List::new(PATH, data, has_more))
    };
    Reply(list.await)
}

const fn missing() -> ApiError {
    ApiError::NoSuchObject { kind: "payment link" }
}

fn link_in(request: &HttpRequest) -> Result<PaymentLinkId, ApiError> {
    let named = request.match_info().get("id").unwrap_or_default();
    PaymentLinkId::parse(named).map_err(|_| missing())
}

pub(crate) fn described_create() -> Endpoint {
    let table = example_of!({
        "amount": 84_900, "currency": "EUR", "description": "Table and four chairs", "single_use": true,
        "metadata": {"order": "1001"},
        "after_completion": {"type": "redirect", "redirect": {"url": "https://shop.example/thanks"}},
    });
    exactly_one_key(Endpoint::order(PATH, Access::Merchants))
        .called(
            "createPaymentLink",
            "Make a payment link",
            "Customers pay under its `url`, on a page of Florin's. Each payment has the link's id in its metadata, as `payment_link`. Also as a form.",
        )
        .in_chapter(chapter::CHECKOUT)
        .takes(shape_to_create(), &[("A link that is paid once", table)])
        .answers(200, "The link.", shape(), example())
        .refuses(
            400,
            &[
                Code::AmountTooLarge,
                Code::AmountTooSmall,
                Code::ParameterInvalidInteger,
            ],
        )
}

fn named(endpoint: Endpoint) -> Endpoint {
    endpoint
        .in_chapter(chapter::CHECKOUT)
        .path_part("id", id("The link.", "plink_"), LINK_ID)
        .refuses(404, &[Code::ResourceMissing])
        .answers(200, "The link.", shape(), example())
}

pub(crate) fn described_get() -> Endpoint {
    named(Endpoint::get(ONE, Access::Merchants)).called(
        "getPaymentLink",
        "Look at a payment link",
        "As it stands.",
    )
}

pub(crate) fn described_update() -> Endpoint {
    let off = example_of!({"active": false});
    named(exactly_one_key(Endpoint::order(ONE, Access::Merchants)))
        .called(
            "updatePaymentLink",
            "Change a payment link",
            "What is not named stays; an empty text takes away what is there. Payments that somebody has begun go on.",
        )
        .takes(shape_to_update(), &[("No longer to be paid", off)])
}

pub(crate) fn described_list() -> Endpoint {
    let all = example_of!({"object": "list", "url": PATH, "has_more": false, "data": [example()]});
    let cursor = |about| id(about, "plink_");
    Endpoint::get(PATH, Access::Merchants)
        .query(
            "limit",
            bounded("At most so many; 10 when nothing is said.", (1, 100)),
        )
        .query("starting_after", cursor("Only what was made before this one."))
        .query(
            "ending_before",
            cursor("Only what was made after this one, the nearest."),
        )
        .called("listPaymentLinks", "List payment links", "Newest first.")
        .in_chapter(chapter::CHECKOUT)
        .answers(200, "A page.", page_of(shape()), all)
        .refuses(400, &[Code::ParameterInvalidInteger])
        .refuses(503, &[Code::Overloaded])
}
