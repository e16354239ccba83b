//! `GET /v1/ops/merchants`, newest first, with what operators have stopped.

use super::list::{Displayed, List};
use crate::auth::Caller;
use crate::errors::ApiError;
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ids::{ApiKeyId, MerchantId};
use florin_domain::merchant::{Control, Merchant};
use serde::Serialize;

#[derive(Debug, Serialize)]
struct MerchantBody<'a> {
    object: &'static str,
    id: Displayed<MerchantId>,
    name: &'a str,
    frozen: bool,
    /// Of the freeze.
    reason: Option<&'a str>,
    frozen_by: Option<Displayed<ApiKeyId>>,
}

impl<'a> MerchantBody<'a> {
    fn of(merchant: &'a Merchant, control: &'a Control) -> Self {
        let freeze = control.stops.merchants.get(&merchant.id);
        Self {
            object: "merchant",
            id: Displayed(merchant.id),
            name: &merchant.name,
            frozen: freeze.is_some(),
            reason: freeze.and_then(|action| action.reason.as_deref()),
            frozen_by: freeze.map(|action| Displayed(action.operator)),
        }
    }
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(list(&state, &request))
}

fn list(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    Caller::of(state, request)?.operator()?;
    let page = query::page(request, |id| MerchantId::parse(id).ok())?;
    let control = state.directory.control();
    let mut newest_first = control.merchants.iter().rev();
    if let Some(after) = page.starting_after {
        let found = newest_first.find(|merchant| merchant.id == after);
        found.ok_or_else(|| query::no_entry("starting_after"))?;
    }
    let data = newest_first
        .by_ref()
        .take(page.limit)
        .map(|merchant| MerchantBody::of(merchant, &control))
        .collect();
    let has_more = newest_first.next().is_some();
    json(StatusCode::OK, &List::new("/v1/ops/merchants", data, has_more))
}
