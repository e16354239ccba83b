//! `POST /v1/webhook_endpoints/{id}/rotate_secret`: another secret signs; for a while the old one as well.

use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, bounded, may, strict};
use crate::reply::Reply;
use crate::state::State;
use crate::vault::read;
use crate::webhook_endpoints::{
    Secret, changed, endpoint_example, endpoint_in, endpoint_shape, keyed, lifetime, named,
};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ports::EndpointError;
use florin_domain::webhook::EndpointChange;
use serde_json::json as example;

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    Reply(rotate(&state, &request, payload).await)
}

async fn rotate(state: &State, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    let asked = read(state, request, payload).await?;
    let id = endpoint_in(request)?;
    let (fields, (owner, once)) = asked.into_parts();
    let lifetime = lifetime(fields)?;
    let rotate = EndpointChange::Rotate {
        id,
        secret: state.webhooks.new_secret().ok_or(EndpointError::NotConfigured)?,
        old_until: state.ledger.now().plus(lifetime),
    };
    let made = state.webhooks.change(owner, rotate, once).await?;
    changed(&made, Secret::Shown)
}

pub(crate) fn described() -> Endpoint {
    let lifetime = bounded(
        "For how many seconds the old secret signs as well; a day when nothing is said, 0 for not at all.",
        (0, 604_800),
    );
    let path = "/v1/webhook_endpoints/{id}/rotate_secret";
    named(keyed(Endpoint::order(path, Access::Merchants)))
        .called(
            "rotateWebhookSecret",
            "Change the secret of a webhook endpoint",
            "Each delivery has a signature by either secret meanwhile, so receivers can go over to the new one whenever they like. A secret that \
             was to be given up before is given up now. Only this answer has the new one.",
        )
        .may_take(
            strict([may("old_secret_lifetime_s", lifetime)]),
            &[("An hour", example!({"old_secret_lifetime_s": 3600}))],
        )
        .answers(200, "The endpoint, with its new secret.", endpoint_shape(), endpoint_example(true))
        .refuses(400, &[Code::ParameterInvalidInteger])
}
