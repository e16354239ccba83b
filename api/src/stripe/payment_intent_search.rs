//! `GET /v1/payment_intents/search`: those that a query finds, newest first. What was answered is found at once.

use super::answer::{self, Told};
use super::expand::Kind;
use super::params::Params;
use super::request::asked;
use super::{ids, search_query};
use crate::errors::{ApiError, Code, Invalid};
use crate::state::State;
use crate::v1::payment_list;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payments_handle::ListError;
use florin_domain::ids::MerchantId;
use florin_domain::ports::{PaymentsFilter, PaymentsQuery};
use serde_json::{Value, json};

pub(crate) const PATH: &str = "/v1/payment_intents/search";
/// The place in the pages that the next one begins behind.
const PAGE: &str = "page";

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let told = search(&state, &request).await;
    answer::finished(&state, &request, told)
}

async fn search(state: &State, request: &HttpRequest) -> Told {
    let (owner, mut params) = asked(state, request)?;
    let expand = params.expand(Kind::PaymentIntent, true)?;
    let page = state
        .payments
        .list(query(params, owner)?)
        .await
        .map_err(refused)?;
    let next = page.next.map(|place| ids::named(ids::PAYMENT_INTENT, place));
    let found: Vec<Value> = page
        .rows
        .iter()
        .map(|row| answer::intent_of(state, &row.payment, &expand))
        .collect();
    answer::object(&json!({
        "object": "search_result",
        "url": PATH,
        "has_more": page.has_more,
        "next_page": next,
        "data": found,
    }))
}

fn query(mut params: Params, (merchant, livemode): (MerchantId, bool)) -> Result<PaymentsQuery, Invalid> {
    let text = params.text(search_query::PARAM)?;
    let search = search_query::read(&text.unwrap_or_default())?;
    let limit = params.limit()?;
    let page = params.text(PAGE)?;
    params.finish()?;
    let starting_after = page.map(|place| ids::payment(&place).ok_or_else(no_page));
    Ok(PaymentsQuery {
        filter: PaymentsFilter {
            created_s: search.created_s(),
            search: Some(search),
            ..PaymentsFilter::default()
        },
        starting_after: starting_after.transpose()?,
        ..PaymentsQuery::newest(merchant, livemode, limit)
    })
}

fn no_page() -> Invalid {
    let message = "`page` is no `next_page` of a search.";
    Invalid::new(PAGE, Code::ParameterInvalid, message)
}

fn refused(error: ListError) -> ApiError {
    match error {
        ListError::NoSuchCursor(_) => no_page().into(),
        ListError::TooRare => {
            let message = "`query`: nothing was found among as many payments as one request looks at; bound it by `created`, as in `created<1767225600` to look further back.";
            Invalid::new(search_query::PARAM, Code::ParameterInvalid, message).into()
        }
        error @ ListError::View(_) => payment_list::refused(error),
    }
}
