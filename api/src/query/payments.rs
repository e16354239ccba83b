//! The filters and cursors of lists of payments.

use super::{ECHO_CHARS_MAX, cursor, limit, number, pairs_of, value};
use crate::errors::{Code, Invalid};
use crate::openapi::{AMOUNT_MAX, Endpoint, bounded, bounded_text, metadata, named, status};
use crate::stripe::ids;
use actix_web::HttpRequest;
use florin_domain::ids::MerchantId;
use florin_domain::limits::{METADATA_ENTRIES_MAX, METADATA_KEY_BYTES_MAX, METADATA_VALUE_BYTES_MAX};
use florin_domain::money::Currency;
use florin_domain::ports::{PaymentsFilter, PaymentsQuery, StatusName};
use serde_json::json;
use std::ops::RangeInclusive;
use std::sync::Arc;

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
type Metadata = Vec<(Arc<str>, Arc<str>)>;

/// Tells the filters of an endpoint.
pub(crate) fn described_filters(endpoint: Endpoint) -> Endpoint {
    let customer = bounded_text("Only payments of this customer.", (1, CUSTOMER_BYTES_MAX));
    let endpoint = endpoint
        .query("status", status())
        .query("customer_id", customer)
        .query("currency", named("Currency"))
        .query_pairs(
            "metadata",
            metadata().description(Some(
                "Only payments with all of these pairs in their metadata, as in `metadata[order_id]=6735`.",
            )),
            json!({"order_id": "6735"}),
        );
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
    let names = [own, &OTHERS, &CREATED, &AMOUNT].concat();
    pairs_of(request, |name| {
        names.contains(&name) || metadata_key(name).is_some()
    })
}

/// The key in `metadata[key]`.
fn metadata_key(name: &str) -> Option<&str> {
    name.strip_prefix("metadata[")?.strip_suffix(']')
}

/// The pairs that are asked for, within the limits of those that there can be.
fn wanted_metadata(pairs: &Pairs) -> Result<Metadata, Invalid> {
    let mut wanted = Metadata::new();
    for (name, text) in pairs {
        let Some(key) = metadata_key(name) else { continue };
        let shown: String = name.chars().take(ECHO_CHARS_MAX).collect();
        let why = if !(1..=METADATA_KEY_BYTES_MAX).contains(&key.len()) {
            format!("A name in `metadata` is 1 to {METADATA_KEY_BYTES_MAX} bytes long.")
        } else if text.len() > METADATA_VALUE_BYTES_MAX {
            format!("A value in `metadata` is at most {METADATA_VALUE_BYTES_MAX} bytes long.")
        } else if wanted.len() == METADATA_ENTRIES_MAX {
            format!("`metadata` holds at most {METADATA_ENTRIES_MAX} entries.")
        } else {
            wanted.push((key.into(), text.as_str().into()));
            continue;
        };
        return Err(Invalid::new(shown, Code::ParameterInvalid, why));
    }
    Ok(wanted)
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
        metadata: wanted_metadata(pairs)?,
        search: None,
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
