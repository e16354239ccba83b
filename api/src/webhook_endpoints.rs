//! What the paths of webhook endpoints share.
//!
//! # Layout
//! * `said` what a merchant says of an endpoint; `body` how one is shown, under Stripe's names; `shapes` both for the OpenAPI document

mod body;
mod said;
mod shapes;

pub(crate) use body::{Secret, changed, delivery_body, endpoint_body};
pub(crate) use said::{NewEndpoint, OtherEndpoint, event_id, lifetime, no_event};
pub(crate) use shapes::{
    ENDPOINT_ID, delivery_example, delivery_shape, endpoint_example, endpoint_fields, endpoint_shape, keyed,
    named,
};

use crate::errors::ApiError;
use crate::state::State;
use actix_web::HttpRequest;
use florin_domain::ids::EndpointId;
use florin_domain::vault::Owner;
use florin_domain::webhook::{Endpoint, EndpointRefusal};

/// Where they all are.
pub(crate) const PATH: &str = "/v1/webhook_endpoints";

/// The endpoint that the path names.
pub(crate) fn endpoint_in(request: &HttpRequest) -> Result<EndpointId, ApiError> {
    let named = request.match_info().get("id").unwrap_or_default();
    EndpointId::parse(named).map_err(|_| ApiError::EndpointRefused(EndpointRefusal::NoSuchEndpoint))
}

/// It as it stands.
pub(crate) async fn present(state: &State, owner: Owner, id: EndpointId) -> Result<Endpoint, ApiError> {
    let found = state.webhooks.get(owner, id).await?;
    found.ok_or(ApiError::EndpointRefused(EndpointRefusal::NoSuchEndpoint))
}
