//! `GET /v1/disputes/{id}`: there is none, as no provider's disputes are recorded here.

use super::answer::{self, Told, missing};
use super::request::asked;
use crate::state::State;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let told = get(&state, &request);
    answer::finished(&state, &request, told)
}

fn get(state: &State, request: &HttpRequest) -> Told {
    let (_, params) = asked(state, request)?;
    params.finish()?;
    Err(missing("dispute"))
}
