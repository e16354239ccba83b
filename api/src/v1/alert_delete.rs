//! `DELETE /v1/ledger/alerts/{id}`.

use super::alert_body::{ALERT_ID, alert_id, gone_shape};
use super::alert_get::{MISSING, named};
use super::list::Displayed;
use crate::auth::Caller;
use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, chapter};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ledger::AlertId;
use serde::Serialize;

#[derive(Debug, Serialize)]
struct Gone {
    object: &'static str,
    id: Displayed<AlertId>,
    deleted: bool,
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(delete(&state, &request).await)
}

async fn delete(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let by = Caller::of(state, request)?.operator_id()?;
    query::none(request)?;
    let id = named(request)?;
    if !state.ledger.delete_alert(id, by).await? {
        return Err(MISSING);
    }
    let gone = Gone {
        object: "balance_alert",
        id: Displayed(id),
        deleted: true,
    };
    json(StatusCode::OK, &gone)
}

pub(crate) fn described() -> Endpoint {
    let example = serde_json::json!({"object": "balance_alert", "id": ALERT_ID, "deleted": true});
    Endpoint::delete("/v1/ledger/alerts/{id}", Access::Operators)
        .called(
            "deleteAlert",
            "Stop watching an account",
            "The alert and what it remembers are gone; the journal still says that it was made and deleted. Its id stays used.",
        )
        .in_chapter(chapter::LEDGER)
        .path_part("id", alert_id("The alert."), ALERT_ID)
        .answers(200, "It is gone.", gone_shape(), example)
        .refuses(404, &[Code::ResourceMissing])
}
