//! A payment link as it is shown, read and described.

use super::payment_request as native;
use crate::errors::{ApiError, Code, Invalid};
use crate::json::{Pairs, Text};
use crate::openapi::{
    Field, amount, bounded_text, flag, id, may, metadata, must, named, or_null, record, strict, text, time,
    word,
};
use crate::request_id;
use crate::stripe::params::Params;
use florin_domain::ids::PaymentLinkId;
use florin_domain::limits::TEXT_BYTES_MAX;
use florin_domain::money::Currency;
use florin_domain::payment::CaptureMethod;
use florin_domain::payment_link::{
    LINK_METADATA, LINK_METADATA_ENTRIES_MAX, LinkMetadata, LinkRefusal, LinkTerms, PaymentLink,
};
use florin_domain::ports::LinksError;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::sync::Arc;
use utoipa::openapi::schema::ObjectBuilder;

pub(super) const LINK_ID: &str = "plink_01m7y92abt00074ha88rfjdjp2";
/// Bytes of a description: customers read it on one page of a phone.
const DESCRIPTION_BYTES_MAX: usize = 500;

/// Why a link is not there or not changed, as an answer.
pub(crate) fn refused(error: LinksError) -> ApiError {
    match error {
        LinksError::Busy => ApiError::Overloaded { retry_after_s: 1 },
        LinksError::Refused(LinkRefusal::NoSuchLink) => ApiError::NoSuchObject { kind: "payment link" },
        LinksError::Refused(LinkRefusal::TooMuchMetadata) => too_many_pairs().into(),
        LinksError::Refused(LinkRefusal::KeyMismatch) => ApiError::KeyReused,
        LinksError::Store(why) => {
            tracing::error!(request_id = request_id::current(), %why, "the store of payment links failed");
            ApiError::Internal
        }
    }
}

fn too_many_pairs() -> Invalid {
    let message = format!("`metadata` of a payment link holds at most {LINK_METADATA_ENTRIES_MAX} entries.");
    Invalid::new("metadata", Code::ParameterInvalid, message)
}

/// Where customers find a link's page.
pub(crate) fn url(public_url: &str, id: PaymentLinkId) -> String {
    format!("{public_url}/pay/{id}")
}

/// A link.
pub(super) fn shown(link: &PaymentLink, public_url: &str) -> Value {
    let terms = &link.terms;
    let pairs = terms.metadata.iter();
    let metadata: Map<String, Value> = pairs
        .map(|(name, value)| (name.to_string(), value.as_ref().into()))
        .collect();
    let after_completion = match &terms.redirect_url {
        Some(url) => json!({"type": "redirect", "redirect": {"url": url.as_ref()}}),
        None => json!({"type": "hosted_confirmation", "redirect": null}),
    };
    json!({
        "id": link.id.to_string(),
        "object": "payment_link",
        "active": link.is_active,
        "after_completion": after_completion,
        // JSON's integers here have 64 bits, and amounts fewer.
        "amount": i64::try_from(terms.amount.minor()).unwrap_or(i64::MAX),
        "capture_method": match terms.capture_method {
            CaptureMethod::Automatic => "automatic",
            CaptureMethod::Manual => "manual",
        },
        "created": link.created_at.unix_s(),
        "currency": terms.currency.code(),
        "customer": terms.customer.as_deref(),
        "description": terms.description.as_deref(),
        "livemode": link.owner.livemode,
        "metadata": metadata,
        "payment": link.payment.map(|payment| payment.to_string()),
        "single_use": terms.single_use,
        "url": url(public_url, link.id),
    })
}

fn owned(text: String) -> Text<'static> {
    Text(Cow::Owned(text))
}

fn required(params: &Params, name: &str) -> Invalid {
    params.refused(name, Code::ParameterMissing, "is required")
}

/// The terms of a new link.
pub(super) fn terms(params: &mut Params, livemode: bool) -> Result<LinkTerms, Invalid> {
    let amount = params
        .number("amount")?
        .ok_or_else(|| required(params, "amount"))?;
    let amount = native::amount(amount)?;
    let currency = params
        .text("currency")?
        .ok_or_else(|| required(params, "currency"))?;
    let currency = Currency::parse(&currency)
        .map_err(|error| params.refused("currency", Code::ParameterInvalid, &format!("is wrong: {error}")))?;
    let capture_method = match params.word("capture_method", &["automatic", "manual"])? {
        Some("manual") => CaptureMethod::Manual,
        Some(_) | None => CaptureMethod::Automatic,
    };
    let customer = params.text("customer")?.map(owned);
    let pairs = params.pairs("metadata")?;
    Ok(LinkTerms {
        amount,
        currency,
        description: description(params)?,
        metadata: metadata_of(pairs)?,
        capture_method,
        customer: native::name("customer", customer.as_ref())?,
        redirect_url: after_completion(params, livemode)?,
        single_use: params.flag("single_use")?.unwrap_or(false),
    })
}

/// What for, as customers read it.
pub(super) fn description(params: &mut Params) -> Result<Option<Arc<str>>, Invalid> {
    let description = params.text("description")?.map(owned);
    native::text("description", description.as_ref(), DESCRIPTION_BYTES_MAX)
}

/// The merchant's pairs.
pub(super) fn metadata_of(pairs: Vec<(String, String)>) -> Result<LinkMetadata, Invalid> {
    if pairs.iter().any(|(name, _)| name == LINK_METADATA) {
        let name = format!("metadata[{LINK_METADATA}]");
        let message = format!("`{name}` is where a payment has the name of its link.");
        return Err(Invalid::new(name, Code::ParameterInvalid, message));
    }
    if pairs.len() > LINK_METADATA_ENTRIES_MAX {
        return Err(too_many_pairs());
    }
    let pairs = pairs.into_iter().map(|(name, value)| (owned(name), owned(value)));
    native::metadata(Some(&Pairs(pairs.collect())))
}

/// Where customers go on after they have paid, if anywhere.
fn after_completion(params: &mut Params, livemode: bool) -> Result<Option<Arc<str>>, Invalid> {
    let Some(mut after) = params.inner("after_completion")? else {
        return Ok(None);
    };
    let kind = after.word("type", &["hosted_confirmation", "redirect"])?;
    let kind = kind.ok_or_else(|| required(&after, "type"))?;
    let redirect = after.inner("redirect")?;
    let url = match (kind, redirect) {
        ("redirect", Some(mut redirect)) => {
            let url = redirect.text("url")?.ok_or_else(|| required(&redirect, "url"))?;
            if !is_place(&url, livemode) {
                let why = "is an absolute https URL of visible ASCII characters; in test mode also http to this machine";
                return Err(redirect.refused("url", Code::ParameterInvalid, why));
            }
            let name = redirect.name("url");
            redirect.finish()?;
            native::text(&name, Some(&owned(url)), TEXT_BYTES_MAX)?
        }
        ("redirect", None) => return Err(required(&after, "redirect")),
        (_, Some(_)) => {
            let why = "is said with `after_completion[type]=redirect` only";
            return Err(after.refused("redirect", Code::ParameterInvalid, why));
        }
        (_, None) => None,
    };
    after.finish()?;
    Ok(url)
}

/// Whether customers may be sent there: nothing that is no page, and in live mode nothing that others can read on the way.
fn is_place(url: &str, livemode: bool) -> bool {
    let is_visible = url.bytes().all(|byte| byte.is_ascii_graphic());
    let is_here = |rest: &str| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        ["127.0.0.1", "localhost", "[::1]"].iter().any(|here| {
            let port = host.strip_prefix(here);
            port.is_some_and(|port| {
                let digits = port.strip_prefix(':').unwrap_or(port);
                digits.bytes().all(|byte| byte.is_ascii_digit())
            })
        })
    };
    let is_safe = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => !rest.is_empty() && !rest.starts_with(['/', '?', '#']),
        (None, Some(rest)) => !livemode && is_here(rest),
        (None, None) => false,
    };
    is_visible && is_safe
}

fn pairs_shape() -> ObjectBuilder {
    metadata().max_properties(Some(LINK_METADATA_ENTRIES_MAX))
}

/// What a new link is made of.
pub(super) fn shape_to_create() -> ObjectBuilder {
    let redirect = strict([must(
        "url",
        bounded_text(
            "An https URL; in test mode also http to this machine.",
            (8, TEXT_BYTES_MAX),
        )
        .pattern(Some("^https?://[!-~]+$")),
    )]);
    let after = strict([
        must(
            "type",
            word("What customers see then.", ["hosted_confirmation", "redirect"]),
        ),
        may("redirect", redirect),
    ]);
    strict([
        must("amount", amount("How much. It never changes.")),
        must("currency", named("Currency")),
        may(
            "capture_method",
            word("When it is captured.", ["automatic", "manual"]).default(Some("automatic".into())),
        ),
        may(
            "customer",
            bounded_text(
                "Your name for the customer, as `customer_id` of a payment.",
                (1, 255),
            ),
        ),
        may(
            "description",
            bounded_text("What for, as customers read it.", (0, DESCRIPTION_BYTES_MAX)),
        ),
        may("metadata", pairs_shape()),
        may("after_completion", after),
        may(
            "single_use",
            flag("At most one payment ever succeeds.").default(Some(false.into())),
        ),
    ])
}

/// What may be changed.
pub(super) fn shape_to_update() -> ObjectBuilder {
    strict([
        may("active", flag("Whether it may be paid from now on.")),
        may(
            "description",
            bounded_text("Another one; empty for none.", (0, DESCRIPTION_BYTES_MAX)),
        ),
        may("metadata", pairs_shape()),
    ])
}

/// A link in answers.
pub(super) fn shape() -> ObjectBuilder {
    let fields: Vec<Field> = vec![
        must("id", id("The link.", "plink_")),
        must("object", word("What it is.", ["payment_link"])),
        must("active", flag("Whether it may be paid.")),
        must(
            "after_completion",
            record([
                must(
                    "type",
                    word("What customers see then.", ["hosted_confirmation", "redirect"]),
                ),
                must(
                    "redirect",
                    or_null(record([must("url", text("Where they go on."))])),
                ),
            ]),
        ),
        must("amount", amount("How much.")),
        must(
            "capture_method",
            word("When it is captured.", ["automatic", "manual"]),
        ),
        must("created", time("When it was made.")),
        must("currency", named("Currency")),
        must("customer", or_null(text("Your name for the customer."))),
        must("description", or_null(text("What for."))),
        must("livemode", flag("Of real money.")),
        must("metadata", pairs_shape()),
        must(
            "payment",
            or_null(text(
                "Of a link of single use: its payment, once somebody has begun to pay.",
            )),
        ),
        must("single_use", flag("At most one payment ever succeeds.")),
        must("url", text("Where customers pay.")),
    ];
    record(fields)
}

/// One of them.
pub(super) fn example() -> Value {
    json!({
        "id": LINK_ID, "object": "payment_link", "active": true,
        "after_completion": {"type": "redirect", "redirect": {"url": "https://shop.example/thanks"}},
        "amount": 84_900, "capture_method": "automatic", "created": 1_795_348_800, "currency": "EUR", "customer": null,
        "description": "Table and four chairs", "livemode": true, "metadata": {"order": "1001"}, "payment": null,
        "single_use": true, "url": format!("https://pay.example.com/pay/{LINK_ID}"),
    })
}
