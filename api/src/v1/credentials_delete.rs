//! `DELETE /v1/ops/merchants/{id}/providers/{provider}/credentials?version=1`: retires a version and destroys its secrets. The
//! last one of its mode needs `&falls_back=true`, because new charges go on in another account then.

use super::credentials_body::{
    VersionBody, described as shared, example, may_change, place, shape, unchanged,
};
use crate::auth::Caller;
use crate::errors::{ApiError, Code};
use crate::openapi::{Endpoint, count, word};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(retire(&state, &request).await)
}

async fn retire(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    let retiring = query::retired_version(request)?;
    let place = place(state, &caller, request)?;
    may_change(state, &caller, place)?;
    let retired = state.credentials.retire(place, retiring, caller.key_id()).await;
    let about = retired.map_err(unchanged)?;
    json(StatusCode::OK, &VersionBody::of(place, &about))
}

pub(crate) fn described() -> Endpoint {
    shared(Endpoint::delete)
        .called(
            "retireCredentials",
            "Retire a version of a merchant's credentials",
            "Its secrets are destroyed. What was made under it goes on under the next version that is present, at Adyen only if that is of the same merchant \
             account; what then has none is not sent. With none left, new payments are charged under the configured key; the last one of its mode is retired only with `falls_back=true`.",
        )
        .query("version", count("Which one. It is required."))
        .query(
            "falls_back",
            word(
                "Needed for the last version of its mode (test or live): new charges may go on under what is left, or under the configured key.",
                ["true", "false"],
            ),
        )
        .answers(200, "It is retired.", shape(), example(1, Some(1_795_290_000)))
        .refuses(400, &[Code::ParameterMissing, Code::ParameterInvalidInteger])
        .refuses(403, &[Code::OperatorKeyRequired])
        .refuses(409, &[Code::CredentialsLast])
}
