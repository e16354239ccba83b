//! `GET /v1/disputes`: none, as no provider's disputes are recorded here. What is asked for is checked all the same.

use super::answer::{self, Told};
use super::request::{asked, found};
use crate::query;
use crate::state::State;
use crate::v1::list::List;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

pub(crate) const PATH: &str = "/v1/disputes";

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let told = list(&state, &request).await;
    answer::finished(&state, &request, told)
}

async fn list(state: &State, request: &HttpRequest) -> Told {
    let (owner, mut params) = asked(state, request)?;
    let of = super::refund_create::named(&mut params)?;
    params.limit()?;
    params.created()?;
    let (starting_after, ending_before) = params.cursors()?;
    params.finish()?;
    if let Some(id) = of {
        found(state, owner, id, "payment_intent").await?;
    }
    // Whatever they name, it is no entry of a list without entries.
    for (name, cursor) in [
        ("starting_after", starting_after),
        ("ending_before", ending_before),
    ] {
        if cursor.is_some() {
            return Err(query::no_entry(name).into());
        }
    }
    let list = List::new(PATH, Vec::<Value>::new(), false);
    answer::object(&serde_json::to_value(list).unwrap_or_default())
}
