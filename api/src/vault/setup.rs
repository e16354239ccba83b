//! Cards that are set up for later and the consent to that: how they are asked for, shown and described.

use super::said::check_text;
use crate::errors::{ApiError, Code};
use crate::openapi::{
    Field, bounded_text, flag, id, may, metadata, must, or_null, record, strict, text, time, word,
};
use crate::stripe::params::Params;
use florin_domain::ids::{CustomerId, MandateId, MethodId, SetupId};
use florin_domain::time::Timestamp;
use florin_domain::vault::{Mandate, Profile, SavedSetup, SetupStatus};
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use utoipa::openapi::schema::ObjectBuilder;

pub(crate) const SETUP_ID: &str = "seti_01m7y92abt00074ha88rfjdjp2";
pub(crate) const MANDATE_ID: &str = "mandate_01m7y92abt00074ha88rfjdjp2";

/// What a browser calls itself.
const AGENT_BYTES_MAX: usize = 1000;

/// Reads how the customer agreed.
pub(crate) fn consent(params: &mut Params) -> Result<Option<Profile>, ApiError> {
    let Some(mut data) = params.inner("mandate_data")? else {
        return Ok(None);
    };
    let required = |params: &Params, name: &str| params.refused(name, Code::ParameterMissing, "is required");
    let Some(mut acceptance) = data.inner("customer_acceptance")? else {
        return Err(required(&data, "customer_acceptance").into());
    };
    data.finish()?;
    let Some(kind) = acceptance.word("type", &["offline", "online"])? else {
        return Err(required(&acceptance, "type").into());
    };
    let mut consent = Profile::default();
    consent.0.insert("type".to_owned(), kind.to_owned());
    if let Some(at) = acceptance.text("accepted_at")? {
        if !at.parse::<i64>().is_ok_and(|at| (0..=AT_MAX_S).contains(&at)) {
            let why = "is a time in seconds since the Unix epoch";
            return Err(acceptance
                .refused("accepted_at", Code::ParameterInvalidInteger, why)
                .into());
        }
        consent.0.insert("accepted_at".to_owned(), at);
    }
    if kind == "online" {
        let Some(mut online) = acceptance.inner("online")? else {
            return Err(required(&acceptance, "online").into());
        };
        for name in ["ip_address", "user_agent"] {
            let Some(text) = online.text(name)? else {
                return Err(required(&online, name).into());
            };
            check_text(&online.name(name), &text)?;
            let why = match name {
                "ip_address" if text.parse::<IpAddr>().is_err() => "is an IPv4 or IPv6 address".to_owned(),
                _ if text.len() > AGENT_BYTES_MAX => format!("is at most {AGENT_BYTES_MAX} bytes long"),
                _ => {
                    consent.0.insert(format!("online[{name}]"), text);
                    continue;
                }
            };
            return Err(online.refused(name, Code::ParameterInvalid, &why).into());
        }
        online.finish()?;
    } else if let Some(offline) = acceptance.inner("offline")? {
        offline.finish()?;
    }
    acceptance.finish()?;
    Ok(Some(consent))
}

/// The year 9999 ends then.
const AT_MAX_S: i64 = 253_402_300_799;

fn pairs(profile: &Profile) -> Map<String, Value> {
    let pairs = profile.below("metadata");
    pairs
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
}

pub(super) fn setup_body(setup: &SavedSetup, livemode: bool) -> Value {
    let profile = &setup.profile;
    json!({
        "id": setup.id.to_string(),
        "object": "setup_intent",
        "application": null,
        "automatic_payment_methods": null,
        "cancellation_reason": profile.get("cancellation_reason"),
        // Nobody's browser confirms it.
        "client_secret": null,
        "created": setup.created_at.unix_s(),
        "customer": setup.customer.map(|id| id.to_string()),
        "customer_account": null,
        "description": profile.get("description"),
        "excluded_payment_method_types": null,
        "flow_directions": null,
        "last_setup_error": null,
        "latest_attempt": null,
        "livemode": livemode,
        "mandate": setup.mandate.map(|id| id.to_string()),
        "metadata": pairs(profile),
        "next_action": null,
        "on_behalf_of": null,
        "payment_method": setup.method.map(|id| id.to_string()),
        "payment_method_configuration_details": null,
        "payment_method_options": {
            "card": {"mandate_options": null, "network": null, "request_three_d_secure": "automatic"},
        },
        "payment_method_types": ["card"],
        "single_use_mandate": null,
        "status": setup.status.as_str(),
        "usage": if setup.off_session { "off_session" } else { "on_session" },
    })
}

pub(super) fn mandate_body(mandate: &Mandate, livemode: bool) -> Value {
    let consent = &mandate.consent;
    let kind = consent.get("type").unwrap_or("offline");
    let at: Option<i64> = consent.get("accepted_at").and_then(|at| at.parse().ok());
    let mut acceptance = json!({"accepted_at": at, "type": kind});
    acceptance[kind] = if kind == "online" {
        json!({"ip_address": consent.get("online[ip_address]"), "user_agent": consent.get("online[user_agent]")})
    } else {
        json!({})
    };
    json!({
        "id": mandate.id.to_string(),
        "object": "mandate",
        "customer_acceptance": acceptance,
        "livemode": livemode,
        "multi_use": {},
        "payment_method": mandate.method.to_string(),
        "payment_method_details": {"card": {}, "type": "card"},
        "status": if mandate.is_active { "active" } else { "inactive" },
        "type": "multi_use",
    })
}

/// What may be said of a card that is set up.
pub(crate) fn setup_fields() -> Vec<Field> {
    vec![
        may("payment_method", bounded_text("Which saved card.", (1, 64))),
        may("customer", id("Whose it becomes.", "cus_")),
        may("description", bounded_text("Your words.", (0, 1000))),
        may("metadata", metadata()),
    ]
}

pub(crate) fn consent_shape() -> ObjectBuilder {
    let online = strict([
        must("ip_address", bounded_text("From where.", (2, 64))),
        must(
            "user_agent",
            bounded_text("With which browser.", (1, AGENT_BYTES_MAX)),
        ),
    ]);
    let acceptance = strict([
        must("type", word("How it was given.", ["offline", "online"])),
        may("accepted_at", time("When.")),
        may("online", online),
        may("offline", strict([])),
    ]);
    strict([must("customer_acceptance", acceptance)]).description(Some(
        "The customer's consent to later charges. It is recorded as a mandate.",
    ))
}

fn example(mandate: Option<MandateId>) -> SavedSetup {
    SavedSetup {
        id: SetupId::parse(SETUP_ID).unwrap_or(SetupId::from_bits(0)),
        created_at: Timestamp::from_unix_ms(1_795_238_734_000),
        status: SetupStatus::Succeeded,
        method: MethodId::parse(super::METHOD_ID).ok(),
        customer: CustomerId::parse(super::CUSTOMER_ID).ok(),
        off_session: true,
        mandate,
        profile: Profile::default(),
    }
}

pub(crate) fn setup_example() -> Value {
    setup_body(&example(MandateId::parse(MANDATE_ID).ok()), false)
}

pub(crate) fn mandate_example() -> Value {
    let consent = [
        ("type", "online"),
        ("online[ip_address]", "192.0.2.7"),
        ("online[user_agent]", "Mozilla/5.0"),
    ];
    let setup = example(None);
    let mandate = Mandate {
        id: MandateId::parse(MANDATE_ID).unwrap_or(MandateId::from_bits(0)),
        created_at: setup.created_at,
        method: setup.method.unwrap_or(MethodId::from_bits(0)),
        customer: setup.customer,
        consent: Profile(
            consent
                .map(|(place, text)| (place.to_owned(), text.to_owned()))
                .into(),
        ),
        is_active: true,
    };
    mandate_body(&mandate, false)
}

pub(crate) fn setup_shape() -> ObjectBuilder {
    record([
        must("id", id("The setup intent.", "seti_")),
        must("object", word("What it is.", ["setup_intent"])),
        must("created", time("When it was made.")),
        must("livemode", flag("It is of real money.")),
        must(
            "status",
            word("Where it stands.", SetupStatus::ALL.map(SetupStatus::as_str)),
        ),
        must("payment_method", or_null(id("Which card.", "pm_"))),
        must("customer", or_null(id("Whose it becomes.", "cus_"))),
        must(
            "usage",
            word(
                "Whether its customer will be there.",
                ["off_session", "on_session"],
            ),
        ),
        must(
            "mandate",
            or_null(id("The consent that was recorded.", "mandate_")),
        ),
        must("description", or_null(text("Your words."))),
        must("metadata", metadata()),
    ])
}

pub(crate) fn mandate_shape() -> ObjectBuilder {
    record([
        must("id", id("The mandate.", "mandate_")),
        must("object", word("What it is.", ["mandate"])),
        must("livemode", flag("It is of real money.")),
        must("payment_method", id("Of which card.", "pm_")),
        must(
            "status",
            word("Whether its card can be charged.", ["active", "inactive"]),
        ),
        must("type", word("For how many charges.", ["multi_use"])),
        must(
            "customer_acceptance",
            record([
                must("type", word("How it was given.", ["offline", "online"])),
                must("accepted_at", or_null(time("When, as far as it was said."))),
            ]),
        ),
    ])
}
