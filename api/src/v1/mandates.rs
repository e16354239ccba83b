//! `/v1/mandates/{id}`: the consent to later charges of a card, as the merchant said that it was given.

use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, chapter, id};
use crate::reply::Reply;
use crate::state::State;
use crate::vault::{MANDATE_ID, mandate_example, mandate_shape, object};
use actix_web::HttpRequest;
use actix_web::web::Data;
use florin_domain::ids::MandateId;
use florin_domain::ports::VaultKey;

pub(crate) async fn get(state: Data<State>, request: HttpRequest) -> Reply {
    let get = async {
        let named = request.match_info().get("id").unwrap_or_default();
        let id = MandateId::parse(named).map_err(|_| ApiError::NoSuchObject { kind: "mandate" })?;
        object(&state, &request, (VaultKey::Mandate(id), "mandate")).await
    };
    Reply(get.await)
}

pub(crate) fn described_get() -> Endpoint {
    Endpoint::get("/v1/mandates/{id}", Access::Merchants)
        .called(
            "getMandate",
            "Look at a mandate",
            "The consent that was recorded when a card was set up. It is active as long as its card can be charged.",
        )
        .in_chapter(chapter::CUSTOMERS)
        .path_part("id", id("The mandate.", "mandate_"), MANDATE_ID)
        .answers(200, "The mandate.", mandate_shape(), mandate_example())
        .refuses(400, &[Code::CardsNotKept])
        .refuses(404, &[Code::ResourceMissing])
}
