//! `GET /v1/payment_intents`: newest first, page by page in both directions.

use super::answer::{self, Told};
use super::expand::Kind;
use super::params::Params;
use super::request::asked;
use crate::errors::{Code, Invalid};
use crate::query;
use crate::state::State;
use crate::v1::list::List;
use crate::v1::payment_list;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ids::MerchantId;
use florin_domain::ports::PaymentsQuery;

const PATH: &str = "/v1/payment_intents";

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let told = list(&state, &request).await;
    answer::finished(&state, &request, told)
}

async fn list(state: &State, request: &HttpRequest) -> Told {
    let (owner, mut params) = asked(state, request)?;
    let expand = params.expand(Kind::PaymentIntent, true)?;
    let query = payments(params, owner)?;
    let page = state.payments.list(query).await.map_err(payment_list::refused)?;
    let data = page
        .rows
        .iter()
        .map(|row| answer::intent_of(state, &row.payment, &expand));
    let list = List::new(PATH, data.collect(), page.has_more);
    answer::object(&serde_json::to_value(list).unwrap_or_default())
}

/// The native names of what both lists are filtered by.
const NAMES: [(&str, &str); 9] = [
    ("limit", "limit"),
    ("starting_after", "starting_after"),
    ("ending_before", "ending_before"),
    ("customer", "customer_id"),
    ("created", "created"),
    ("created[gte]", "created[gte]"),
    ("created[gt]", "created[gt]"),
    ("created[lte]", "created[lte]"),
    ("created[lt]", "created[lt]"),
];

/// Which payments are asked for.
pub(super) fn payments(params: Params, owner: (MerchantId, bool)) -> Result<PaymentsQuery, Invalid> {
    let mut pairs = Vec::new();
    for (name, text) in params.into_texts()? {
        let native = NAMES.iter().find(|known| known.0 == name);
        let unknown = || {
            let message = format!("Unknown parameter `{name}`.");
            Invalid::new(name.as_str(), Code::ParameterUnknown, message)
        };
        let (_, native) = native.ok_or_else(unknown)?;
        // What is empty is not set.
        if !text.is_empty() {
            pairs.push(((*native).to_owned(), text));
        }
    }
    query::listed(&pairs, owner).map_err(|invalid| answer::renamed(invalid, "customer_id", "customer"))
}
