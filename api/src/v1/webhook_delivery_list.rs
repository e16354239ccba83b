//! `GET /v1/webhook_endpoints/{id}/deliveries`: what was sent to an endpoint, and how that went.

use super::list::List;
use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, count, limit, list_example, page_of};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use crate::vault::owner;
use crate::webhook_endpoints::{
    PATH, delivery_body, delivery_example, delivery_shape, endpoint_in, named, present,
};
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::webhook::EndpointRefusal;

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(list(&state, &request).await)
}

async fn list(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let owner = owner(state, request)?;
    let page = query::page(request, |text| text.parse().ok())?;
    let id = endpoint_in(request)?;
    let shape = present(state, owner, id).await?.shape;
    let page = (page.limit, page.starting_after);
    let found = state.webhooks.deliveries(owner, id, page).await?;
    let (rows, has_more) = found.ok_or(ApiError::EndpointRefused(EndpointRefusal::NoSuchEndpoint))?;
    let data: Vec<_> = rows.iter().map(|row| delivery_body(shape, row)).collect();
    let url = format!("{PATH}/{id}/deliveries");
    json(StatusCode::OK, &List::new(&url, data, has_more))
}

pub(crate) fn described() -> Endpoint {
    let path = "/v1/webhook_endpoints/{id}/deliveries";
    named(Endpoint::get(path, Access::Merchants))
        .called(
            "listWebhookDeliveries",
            "List deliveries to a webhook endpoint",
            "Newest first, each try by itself. The newest 1,000 are kept.",
        )
        .query("limit", limit())
        .query(
            "starting_after",
            count("Only deliveries before the one with this `number`."),
        )
        .answers(
            200,
            "A page.",
            page_of(delivery_shape()),
            list_example(path, &delivery_example()),
        )
        .refuses(400, &[Code::ParameterInvalidInteger])
}
