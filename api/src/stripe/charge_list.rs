//! `GET /v1/charges`: of the payments that have one, newest first, page by page in both directions.

use super::answer::{self, Refused, Told};
use super::body::has_charge;
use super::expand::Kind;
use super::ids;
use super::payment_intent_list::payments;
use super::request::asked;
use crate::errors::Code;
use crate::state::State;
use crate::v1::list::List;
use crate::v1::payment_list;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ports::{PaymentRow, PaymentsQuery};

const PATH: &str = "/v1/charges";
/// Payments that are looked through for one page of charges. Those without one are drafts that nobody has paid yet.
const ROWS_MAX: usize = 10_000;
/// Payments that are read at once at least, so that a short page does not mean many reads.
const ROWS_AT_ONCE_MIN: usize = 100;

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let told = list(&state, &request).await;
    answer::finished(&state, &request, told)
}

async fn list(state: &State, request: &HttpRequest) -> Told {
    let (owner, mut params) = asked(state, request)?;
    let expand = params.expand(Kind::Charge, true)?;
    let intent = params.text("payment_intent")?;
    let query = payments(params, owner)?;
    let (rows, has_more) = match intent {
        None => charged(state, query).await?,
        Some(text) => {
            let row = match ids::payment(&text) {
                Some(id) => state.payments.get(owner, id).await?,
                None => None,
            };
            let is_first = query.starting_after.is_none() && query.ending_before.is_none();
            let row =
                row.filter(|row| is_first && has_charge(&row.payment) && query.filter.takes(&row.payment));
            (row.into_iter().collect(), false)
        }
    };
    let data = rows
        .iter()
        .filter_map(|row| answer::charge_of(state, &row.payment, &expand));
    let list = List::new(PATH, data.collect(), has_more);
    answer::object(&serde_json::to_value(list).unwrap_or_default())
}

/// A page of payments with charges. It is empty only at the end: SDKs go on from its last entry.
async fn charged(state: &State, query: PaymentsQuery) -> Result<(Vec<PaymentRow>, bool), Refused> {
    let backwards = query.ending_before.is_some();
    let limit = query.limit;
    let mut query = query;
    query.limit = limit.max(ROWS_AT_ONCE_MIN);
    let mut rows: Vec<PaymentRow> = Vec::new();
    let mut looked_at = 0_usize;
    while looked_at < ROWS_MAX {
        let page = state
            .payments
            .list(query.clone())
            .await
            .map_err(payment_list::refused)?;
        // The page's far end is where the next one starts.
        let edge = if backwards {
            page.rows.first()
        } else {
            page.rows.last()
        };
        let Some(edge) = edge.map(|row| row.payment.id()) else {
            return Ok((rows, false));
        };
        looked_at = looked_at.saturating_add(page.rows.len());
        let found: Vec<PaymentRow> = page
            .rows
            .into_iter()
            .filter(|row| has_charge(&row.payment))
            .collect();
        rows = if backwards {
            [found, rows].concat()
        } else {
            [rows, found].concat()
        };
        if rows.len() > limit {
            if backwards {
                rows.drain(..rows.len().saturating_sub(limit));
            } else {
                rows.truncate(limit);
            }
            return Ok((rows, true));
        }
        if !page.has_more {
            return Ok((rows, false));
        }
        if rows.len() == limit {
            return Ok((rows, true));
        }
        if backwards {
            query.ending_before = Some(edge);
        } else {
            query.starting_after = Some(edge);
        }
    }
    if rows.is_empty() {
        let why = "leaves too many payments without a charge to look through; narrow the search by `created`";
        let invalid = super::params::Params::default().refused("limit", Code::ParameterInvalid, why);
        return Err(invalid.into());
    }
    Ok((rows, true))
}
