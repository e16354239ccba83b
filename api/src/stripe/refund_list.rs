//! `GET /v1/refunds`: those of one payment, or of all, newest first.

use super::answer::{self, Told};
use super::body::newest_first;
use super::expand::{Expand, Kind};
use super::ids;
use super::refund_create::PATH;
use super::request::{asked, found};
use crate::errors::{Code, Invalid};
use crate::query;
use crate::state::State;
use crate::v1::list::List;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ids::{MerchantId, OperationId, RefundId};
use florin_domain::ports::RefundsQuery;

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let told = list(&state, &request).await;
    answer::finished(&state, &request, told)
}

async fn list(state: &State, request: &HttpRequest) -> Told {
    let (owner, mut params) = asked(state, request)?;
    let expand = params.expand(Kind::Refund, true)?;
    let id = super::refund_create::named(&mut params)?;
    let mut page = Page::default();
    if let Some(text) = params.text("limit")? {
        page.limit = query::limit(&[("limit".to_owned(), text)])?;
    }
    page.starting_after = cursor("starting_after", params.text("starting_after")?)?;
    page.ending_before = cursor("ending_before", params.text("ending_before")?)?;
    params.finish()?;
    if page.starting_after.is_some() && page.ending_before.is_some() {
        let message = "`starting_after` and `ending_before` exclude each other.";
        return Err(Invalid::new("ending_before", Code::ParameterInvalid, message).into());
    }
    let Some(id) = id else {
        return all(state, owner, page, &expand).await;
    };
    let row = found(state, owner, id, "payment_intent").await?;
    let all: Vec<RefundId> = newest_first(&row.payment)
        .into_iter()
        .map(|refund| refund.0)
        .collect();
    let (shown, has_more) = page.of(&all)?;
    let bodies = shown
        .iter()
        .filter_map(|id| answer::refund_of(state, &row.payment, OperationId::Refund(*id), &expand));
    let list = List::new(PATH, bodies.collect(), has_more);
    answer::object(&serde_json::to_value(list).unwrap_or_default())
}

/// A page of all refunds of the merchant.
async fn all(state: &State, (merchant, livemode): (MerchantId, bool), page: Page, expand: &Expand) -> Told {
    let owner = (merchant, livemode);
    for (name, id) in [
        ("starting_after", page.starting_after),
        ("ending_before", page.ending_before),
    ] {
        let Some(id) = id else { continue };
        if state.payments.payment_of_refund(owner, id).await?.is_none() {
            return Err(query::no_entry(name).into());
        }
    }
    let mut query = RefundsQuery::newest(merchant, livemode, page.limit);
    if let Some(id) = page.starting_after {
        query = query.older_than(id);
    }
    if let Some(id) = page.ending_before {
        query = query.newer_than(id);
    }
    let (refunds, has_more) = state.payments.refunds(query).await?;
    let bodies = refunds
        .iter()
        .filter_map(|(id, row)| answer::refund_of(state, &row.payment, OperationId::Refund(*id), expand));
    let list = List::new(PATH, bodies.collect(), has_more);
    answer::object(&serde_json::to_value(list).unwrap_or_default())
}

fn cursor(name: &'static str, text: Option<String>) -> Result<Option<RefundId>, Invalid> {
    let read = |text: String| ids::refund(&text).ok_or_else(|| query::no_entry(name));
    text.map(read).transpose()
}

/// Which of a payment's refunds.
#[derive(Debug)]
struct Page {
    limit: usize,
    starting_after: Option<RefundId>,
    ending_before: Option<RefundId>,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            limit: query::LIMIT_DEFAULT,
            starting_after: None,
            ending_before: None,
        }
    }
}

impl Page {
    /// The page of all, and whether more follow in the direction of reading.
    fn of<'a>(&self, all: &'a [RefundId]) -> Result<(&'a [RefundId], bool), Invalid> {
        let place = |name, id: RefundId| {
            let at = all.iter().position(|other| *other == id);
            at.ok_or_else(|| query::no_entry(name))
        };
        if let Some(id) = self.ending_before {
            let (before, _) = all.split_at(place("ending_before", id)?);
            let skipped = before.len().saturating_sub(self.limit);
            return Ok((before.split_at(skipped).1, skipped > 0));
        }
        let start = match self.starting_after {
            None => 0,
            Some(id) => place("starting_after", id)?.saturating_add(1),
        };
        let (_, behind) = all.split_at(start);
        let shown = behind.len().min(self.limit);
        Ok((behind.split_at(shown).0, shown < behind.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_join_in_both_directions() {
        let all: Vec<RefundId> = (1..=5).rev().map(RefundId::from_bits).collect();
        for limit in 1..=6 {
            let mut page = Page {
                limit,
                ..Page::default()
            };
            let mut forwards = Vec::new();
            loop {
                let (shown, has_more) = page.of(&all).unwrap();
                forwards.extend_from_slice(shown);
                page.starting_after = shown.last().copied();
                if !has_more {
                    break;
                }
            }
            assert_eq!(forwards, all, "{limit}");
            let mut page = Page {
                limit,
                ending_before: all.last().copied(),
                ..Page::default()
            };
            let mut backwards: Vec<RefundId> = Vec::new();
            loop {
                let (shown, has_more) = page.of(&all).unwrap();
                backwards.splice(0..0, shown.iter().copied());
                page.ending_before = shown.first().copied();
                if !has_more {
                    break;
                }
            }
            assert_eq!(backwards, all[..4], "{limit}");
        }
        let strange = Page {
            starting_after: Some(RefundId::from_bits(9)),
            ..Page::default()
        };
        assert_eq!(
            strange.of(&all).unwrap_err().param.as_deref(),
            Some("starting_after")
        );
    }
}
