//! The filters and cursors of lists of payments.

use super::{cursor, limit, number, pairs, value};
use crate::errors::{Code, Invalid};
use crate::openapi::{AMOUNT_MAX, Endpoint, bounded, bounded_text, named, status};
use crate::stripe::ids;
use actix_web::HttpRequest;
use florin_domain::ids::MerchantId;
use florin_domain::money::Currency;
use florin_domain::ports::{PaymentsFilter, PaymentsQuery, StatusName};
use std::ops::RangeInclusive;

pub(crate) const CREATED: [&str; 5] = [
    "created",
    "created[gte]",
    "created[gt]",
    "created[lte]",
    "created[lt]",
];
const AMOUNT: [&str; 5] = ["amount", "amount[gte]", "amount[gt]", "amount[lte]", "amount[lt]"];
const OTHERS: [&str; 3] = ["status", "customer_id", "currency"];
/// The largest number that a bound may be: the largest amount in minor units, and as a time in seconds the year 33658.
const BOUND_MAX: usize = 999_999_999_999;
/// As in a request for a payment.
const CUSTOMER_BYTES_MAX: usize = 255;

pub(crate) type Pairs = [(String, String)];

/// Tells the filters of an endpoint.
pub(crate) fn described_filters(endpoint: Endpoint) -> Endpoint {
    let customer = bounded_text("Only payments of this customer.", (1, CUSTOMER_BYTES_MAX));
    let endpoint = endpoint
        .query("status", status())
        .query("customer_id", customer)
        .query("currency", named("Currency"));
    let bound = |description: &str| bounded(description, (0, AMOUNT_MAX));
    let endpoint = CREATED.into_iter().fold(endpoint, |endpoint, name| {
        endpoint.query(
            name,
            bound("When it was asked for, in seconds since the Unix epoch."),
        )
    });
    AMOUNT.into_iter().fold(endpoint, |endpoint, name| {
        endpoint.query(name, bound("What was asked for, in minor units."))
    })
}

/// A page of a merchant's payments.
pub(crate) fn listed_payments(
    request: &HttpRequest,
    owner: (MerchantId, bool),
) -> Result<PaymentsQuery, Invalid> {
    listed(
        &known(request, &["limit", "starting_after", "ending_before"])?,
        owner,
    )
}

/// The same of parameters that were read and found known.
pub(crate) fn listed(pairs: &Pairs, owner: (MerchantId, bool)) -> Result<PaymentsQuery, Invalid> {
    let mut query = read(pairs, owner, limit(pairs)?)?;
    query.ending_before = cursor(pairs, "ending_before", ids::charge)?;
    if query.starting_after.is_some() && query.ending_before.is_some() {
        let message = "`starting_after` and `ending_before` exclude each other.";
        return Err(Invalid::new("ending_before", Code::ParameterInvalid, message));
    }
    Ok(query)
}

/// A merchant's payments as a file, read in pages of `limit`.
pub(crate) fn exported_payments(
    request: &HttpRequest,
    owner: (MerchantId, bool),
    limit: usize,
) -> Result<PaymentsQuery, Invalid> {
    read(&known(request, &["starting_after"])?, owner, limit)
}

fn known(request: &HttpRequest, own: &[&str]) -> Result<Vec<(String, String)>, Invalid> {
    pairs(request, &[own, &OTHERS, &CREATED, &AMOUNT].concat())
}

fn read(
    pairs: &Pairs,
    (merchant, livemode): (MerchantId, bool),
    limit: usize,
) -> Result<PaymentsQuery, Invalid> {
    Ok(PaymentsQuery {
        filter: filter(pairs)?,
        starting_after: cursor(pairs, "starting_after", ids::charge)?,
        ..PaymentsQuery::newest(merchant, livemode, limit)
    })
}

fn filter(pairs: &Pairs) -> Result<PaymentsFilter, Invalid> {
    let refused = |name: &str, message: String| Invalid::new(name, Code::ParameterInvalid, message);
    let status = value(pairs, "status").map(|word| {
        StatusName::parse(word).ok_or_else(|| {
            let words = StatusName::ALL.map(StatusName::as_str).join("`, `");
            refused("status", format!("`status` is one of `{words}`."))
        })
    });
    let currency = value(pairs, "currency").map(|code| {
        Currency::parse(code).map_err(|error| refused("currency", format!("`currency`: {error}.")))
    });
    let customer = value(pairs, "customer_id").map(|id| {
        if (1..=CUSTOMER_BYTES_MAX).contains(&id.len()) {
            return Ok(id.into());
        }
        let message = format!("`customer_id` has 1 to {CUSTOMER_BYTES_MAX} bytes.");
        Err(refused("customer_id", message))
    });
    Ok(PaymentsFilter {
        status: status.transpose()?,
        customer: customer.transpose()?,
        currency: currency.transpose()?,
        amount_minor: range(pairs, AMOUNT)?,
        created_s: range(pairs, CREATED)?,
    })
}

/// The seconds that the bounds of `created` leave.
pub(crate) fn created(pairs: &Pairs) -> Result<Option<RangeInclusive<u64>>, Invalid> {
    range(pairs, CREATED)
}

/// What all bounds together leave; bounds that contradict each other leave nothing, which is no error.
pub(super) fn range(pairs: &Pairs, names: [&str; 5]) -> Result<Option<RangeInclusive<u64>>, Invalid> {
    let [exact, at_least, above, at_most, below] = names;
    let read = |name: &str| -> Result<Option<u64>, Invalid> {
        let bound = value(pairs, name).map(|text| number(name, text, (0, BOUND_MAX)));
        Ok(bound.transpose()?.and_then(|bound| u64::try_from(bound).ok()))
    };
    let (exact, at_least, above) = (read(exact)?, read(at_least)?, read(above)?);
    let (at_most, below) = (read(at_most)?, read(below)?);
    if [exact, at_least, above, at_most, below]
        .iter()
        .all(Option::is_none)
    {
        return Ok(None);
    }
    let above = above.map(|bound| bound.saturating_add(1));
    let start = [exact, at_least, above].into_iter().flatten().max().unwrap_or(0);
    let end = [exact, at_most].into_iter().flatten().min().unwrap_or(u64::MAX);
    let nothing = RangeInclusive::new(1, 0);
    Ok(Some(match below {
        None => start..=end,
        Some(bound) => bound.checked_sub(1).map_or(nothing, |last| start..=end.min(last)),
    }))
}

#[cfg(test)]
mod tests;
