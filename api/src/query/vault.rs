//! What a list of customers or saved cards asks for.

use super::{cursor, limit, pairs, value};
use crate::errors::{Code, Invalid};
use actix_web::HttpRequest;
use florin_domain::ids::{CustomerId, MethodId, PaymentLinkId, SetupId};
use florin_domain::ports::LinkPage;
use florin_domain::vault::{Listed, VaultPage};

/// `expand` is understood and changes nothing: what it would show in full is not there.
const EXPAND: [&str; 2] = ["expand[]", "expand[0]"];

/// One object.
pub(crate) fn vault_object(request: &HttpRequest) -> Result<(), Invalid> {
    pairs(request, &EXPAND).map(drop)
}

/// Both cursors, of a list of these ids.
fn page(
    pairs: &[(String, String)],
    listed: Listed,
    read: impl Fn(&str) -> Option<u128> + Copy,
) -> Result<VaultPage, Invalid> {
    Ok(VaultPage {
        listed,
        limit: limit(pairs)?,
        starting_after: cursor(pairs, "starting_after", read)?,
        ending_before: cursor(pairs, "ending_before", read)?,
    })
}

/// Reads `limit`, `starting_after` and `ending_before`.
pub(crate) fn listed_customers(request: &HttpRequest) -> Result<VaultPage, Invalid> {
    let known = ["limit", "starting_after", "ending_before", EXPAND[0], EXPAND[1]];
    let pairs = pairs(request, &known)?;
    page(&pairs, Listed::Customers, |text| {
        CustomerId::parse(text).ok().map(CustomerId::bits)
    })
}

/// The same of payment links.
pub(crate) fn listed_links(request: &HttpRequest) -> Result<LinkPage, Invalid> {
    let known = ["limit", "starting_after", "ending_before", EXPAND[0], EXPAND[1]];
    let pairs = pairs(request, &known)?;
    let read = |text: &str| PaymentLinkId::parse(text).ok();
    Ok(LinkPage {
        limit: limit(&pairs)?,
        starting_after: cursor(&pairs, "starting_after", read)?,
        ending_before: cursor(&pairs, "ending_before", read)?,
    })
}

/// The same of a customer's cards; `customer` is in the path or the query.
pub(crate) fn listed_methods(
    request: &HttpRequest,
    customer: Option<CustomerId>,
) -> Result<VaultPage, Invalid> {
    let known = [
        "limit",
        "starting_after",
        "ending_before",
        "type",
        EXPAND[0],
        EXPAND[1],
        "customer",
    ];
    let known = if customer.is_some() {
        &known[..known.len() - 1]
    } else {
        &known
    };
    let pairs = pairs(request, known)?;
    if value(&pairs, "type").is_some_and(|kind| kind != "card") {
        return Err(Invalid::new("type", Code::ParameterInvalid, "`type` is `card`."));
    }
    let customer = match (customer, value(&pairs, "customer")) {
        (Some(customer), _) => customer,
        (None, Some(text)) => crate::vault::customer_of("customer", text)?,
        (None, None) => {
            return Err(Invalid::new(
                "customer",
                Code::ParameterMissing,
                "`customer` is required.",
            ));
        }
    };
    let read = |text: &str| MethodId::parse(text).ok().map(MethodId::bits);
    page(&pairs, Listed::MethodsOf(customer), read)
}

/// The same of what is being set up; `customer` narrows it down.
pub(crate) fn listed_setups(request: &HttpRequest) -> Result<VaultPage, Invalid> {
    let known = [
        "limit",
        "starting_after",
        "ending_before",
        "customer",
        EXPAND[0],
        EXPAND[1],
    ];
    let pairs = pairs(request, &known)?;
    let customer = value(&pairs, "customer")
        .map(|text| crate::vault::customer_of("customer", text))
        .transpose()?;
    page(&pairs, Listed::Setups(customer), |text| {
        SetupId::parse(text).ok().map(SetupId::bits)
    })
}
