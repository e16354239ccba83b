//! `GET /v1/refunds`: those of one payment, or of all, newest first.

use super::answer::{self, Told};
use super::body::newest_first;
use super::expand::{Expand, Kind};
use super::ids;
use super::params::Params;
use super::refund_create::PATH;
use super::request::{asked, found};
use crate::errors::Invalid;
use crate::query;
use crate::state::State;
use crate::v1::list::List;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payments_handle::RefundsPage;
use florin_domain::ids::{MerchantId, OperationId, RefundId};
use florin_domain::payment::Payment;
use florin_domain::ports::{ListOrder, PaymentRow, RefundsQuery, ViewError};
use std::ops::RangeInclusive;

/// Refunds that are read at once at least where some of them may be left out.
const REFUNDS_AT_ONCE_MIN: usize = 100;

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let told = list(&state, &request).await;
    answer::finished(&state, &request, told)
}

async fn list(state: &State, request: &HttpRequest) -> Told {
    let (owner, mut params) = asked(state, request)?;
    let expand = params.expand(Kind::Refund, true)?;
    let id = super::refund_create::named(&mut params)?;
    let page = Page::read(&mut params)?;
    params.finish()?;
    let Some(id) = id else {
        return all(state, owner, page, &expand).await;
    };
    let row = found(state, owner, id, "payment_intent").await?;
    let all: Vec<(RefundId, u64)> = newest_first(&row.payment)
        .into_iter()
        .map(|(id, operation)| (id, operation.opened_at.unix_s()))
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
    if let Some(seconds) = &page.created_s {
        query = query.about_s(seconds);
    }
    if let Some(id) = page.starting_after {
        query = query.older_than(id);
    }
    if let Some(id) = page.ending_before {
        query = query.newer_than(id);
    }
    let (refunds, has_more) = match &page.created_s {
        None => state.payments.refunds(query).await?,
        Some(seconds) => created(state, query, seconds).await?,
    };
    let bodies = refunds
        .iter()
        .filter_map(|(id, row)| answer::refund_of(state, &row.payment, OperationId::Refund(*id), expand));
    let list = List::new(PATH, bodies.collect(), has_more);
    answer::object(&serde_json::to_value(list).unwrap_or_default())
}

/// Those of a stretch that were asked for in these seconds. What else is in it was asked for within a minute before or behind them.
async fn created(
    state: &State,
    query: RefundsQuery,
    seconds: &RangeInclusive<u64>,
) -> Result<RefundsPage, ViewError> {
    let limit = query.limit;
    let backwards = query.order == ListOrder::OldestFirst;
    let mut query = query;
    query.limit = limit.max(REFUNDS_AT_ONCE_MIN);
    let mut shown: Vec<(RefundId, PaymentRow)> = Vec::new();
    loop {
        let (mut refunds, has_more) = state.payments.refunds(query.clone()).await?;
        if backwards {
            refunds.reverse();
        }
        let edge = refunds.last().map(|refund| refund.0);
        shown.extend(
            refunds
                .into_iter()
                .filter(|(id, row)| asked_at_s(&row.payment, *id).is_some_and(|at| seconds.contains(&at))),
        );
        match edge {
            Some(edge) if has_more && shown.len() <= limit => query = query.behind(edge),
            Some(_) | None => break,
        }
    }
    let has_more = shown.len() > limit;
    shown.truncate(limit);
    if backwards {
        shown.reverse();
    }
    Ok((shown, has_more))
}

/// When a refund was asked for.
fn asked_at_s(payment: &Payment, id: RefundId) -> Option<u64> {
    let operation = payment.operation(OperationId::Refund(id))?;
    Some(operation.opened_at.unix_s())
}

fn cursor(name: &'static str, text: Option<String>) -> Result<Option<RefundId>, Invalid> {
    let read = |text: String| ids::refund(&text).ok_or_else(|| query::no_entry(name));
    text.map(read).transpose()
}

/// Which refunds.
#[derive(Debug)]
struct Page {
    limit: usize,
    created_s: Option<RangeInclusive<u64>>,
    starting_after: Option<RefundId>,
    ending_before: Option<RefundId>,
}

impl Page {
    fn read(params: &mut Params) -> Result<Self, Invalid> {
        let limit = params.limit()?;
        let created_s = params.created()?;
        let (starting_after, ending_before) = params.cursors()?;
        Ok(Self {
            limit,
            created_s,
            starting_after: cursor("starting_after", starting_after)?,
            ending_before: cursor("ending_before", ending_before)?,
        })
    }

    /// The page of a payment's refunds, each with the second in which it was asked for, newest first; and whether more follow in the direction of reading.
    fn of(&self, all: &[(RefundId, u64)]) -> Result<(Vec<RefundId>, bool), Invalid> {
        let place = |name, id: RefundId| {
            let at = all.iter().position(|other| other.0 == id);
            at.ok_or_else(|| query::no_entry(name))
        };
        let takes = |refund: &&(RefundId, u64)| {
            let seconds = self.created_s.as_ref();
            seconds.is_none_or(|seconds| seconds.contains(&refund.1))
        };
        let ids = |stretch: &[(RefundId, u64)]| -> Vec<RefundId> {
            stretch.iter().filter(takes).map(|refund| refund.0).collect()
        };
        if let Some(id) = self.ending_before {
            let mut before = ids(all.split_at(place("ending_before", id)?).0);
            let skipped = before.len().saturating_sub(self.limit);
            return Ok((before.split_off(skipped), skipped > 0));
        }
        let start = match self.starting_after {
            None => 0,
            Some(id) => place("starting_after", id)?.saturating_add(1),
        };
        let mut behind = ids(all.split_at(start).1);
        let has_more = behind.len() > self.limit;
        behind.truncate(self.limit);
        Ok((behind, has_more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(limit: usize) -> Page {
        Page {
            limit,
            created_s: None,
            starting_after: None,
            ending_before: None,
        }
    }

    #[test]
    fn pages_join_in_both_directions_whatever_is_left_out() {
        // Two in each second.
        let all: Vec<(RefundId, u64)> = (1..=6)
            .rev()
            .map(|n| (RefundId::from_bits(n), 10 + u64::try_from(n).unwrap() / 2))
            .collect();
        for created_s in [None, Some(11..=12), Some(13..=13), Some(90..=99)] {
            let takes = |at: u64| created_s.as_ref().is_none_or(|seconds| seconds.contains(&at));
            let kept = |refunds: &[(RefundId, u64)]| -> Vec<RefundId> {
                let of = refunds.iter().filter(|refund| takes(refund.1));
                of.map(|refund| refund.0).collect()
            };
            for limit in 1..=7 {
                let mut next = Page {
                    created_s: created_s.clone(),
                    ..page(limit)
                };
                let mut forwards = Vec::new();
                loop {
                    let (shown, has_more) = next.of(&all).unwrap();
                    forwards.extend_from_slice(&shown);
                    next.starting_after = shown.last().copied();
                    if !has_more {
                        break;
                    }
                }
                assert_eq!(forwards, kept(&all), "{limit}");
                let mut next = Page {
                    created_s: created_s.clone(),
                    ending_before: all.last().map(|refund| refund.0),
                    ..page(limit)
                };
                let mut backwards: Vec<RefundId> = Vec::new();
                loop {
                    let (shown, has_more) = next.of(&all).unwrap();
                    backwards.splice(0..0, shown.iter().copied());
                    next.ending_before = shown.first().copied();
                    if !has_more {
                        break;
                    }
                }
                assert_eq!(backwards, kept(&all[..5]), "{limit}");
            }
        }
        let strange = Page {
            starting_after: Some(RefundId::from_bits(9)),
            ..page(1)
        };
        assert_eq!(
            strange.of(&all).unwrap_err().param.as_deref(),
            Some("starting_after")
        );
    }
}
