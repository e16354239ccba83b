//! Customers, saved cards and tokens as they are shown: Stripe's objects with every field, and of a number its last four digits.

use super::setup::{mandate_body, setup_body};
use florin_domain::ids::CustomerId;
use florin_domain::method::CardBrand;
use florin_domain::vault::{CardFacts, Customer, Profile, SavedMethod, SavedToken, VaultObject};
use serde_json::{Map, Value, json};

/// Any of them.
pub(crate) fn shown(object: &VaultObject, livemode: bool) -> Value {
    match object {
        VaultObject::Customer(customer) => customer_body(customer, livemode),
        VaultObject::CustomerDeleted(id) => deleted(*id),
        VaultObject::Method(method) => method_body(method, livemode),
        VaultObject::Token(token) => token_body(token, livemode),
        VaultObject::Setup(setup) => setup_body(setup, livemode),
        VaultObject::Mandate(mandate) => mandate_body(mandate, livemode),
    }
}

/// A customer that is no more.
fn deleted(id: CustomerId) -> Value {
    json!({"id": id.to_string(), "object": "customer", "deleted": true})
}

fn metadata(profile: &Profile) -> Map<String, Value> {
    let pairs = profile.below("metadata");
    pairs
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
}

fn address_fields(profile: &Profile, place: &str) -> Value {
    let part = |name: &str| profile.get(&format!("{place}[{name}]"));
    json!({
        "city": part("city"), "country": part("country"), "line1": part("line1"), "line2": part("line2"),
        "postal_code": part("postal_code"), "state": part("state"),
    })
}

/// An address, or null where nothing is said of it.
fn address(profile: &Profile, place: &str) -> Value {
    if profile.below(place).next().is_none() {
        return Value::Null;
    }
    address_fields(profile, place)
}

fn customer_body(customer: &Customer, livemode: bool) -> Value {
    let (id, profile) = (customer.id.to_string(), &customer.profile);
    let prefix: String = id
        .chars()
        .rev()
        .take(8)
        .map(|sign| sign.to_ascii_uppercase())
        .collect();
    let mut locales: Vec<(usize, &str)> = profile
        .below("preferred_locales")
        .filter_map(|(place, locale)| Some((place.parse().ok()?, locale)))
        .collect();
    locales.sort_unstable();
    let locales: Vec<&str> = locales.into_iter().map(|(_, locale)| locale).collect();
    let ships = profile.0.keys().any(|place| place.starts_with("shipping["));
    let shipping = json!({
        "address": address_fields(profile, "shipping[address]"),
        "name": profile.get("shipping[name]"), "phone": profile.get("shipping[phone]"),
    });
    json!({
        "id": id,
        "object": "customer",
        "address": address(profile, "address"),
        "balance": 0,
        "created": customer.created_at.unix_s(),
        "currency": null,
        "default_source": null,
        "delinquent": false,
        "description": profile.get("description"),
        "discount": null,
        "email": profile.get("email"),
        "invoice_prefix": prefix,
        "invoice_settings": {
            "custom_fields": null,
            "default_payment_method": profile.get("invoice_settings[default_payment_method]"),
            "footer": null,
            "rendering_options": null,
        },
        "livemode": livemode,
        "metadata": metadata(profile),
        "name": profile.get("name"),
        "next_invoice_sequence": 1,
        "phone": profile.get("phone"),
        "preferred_locales": locales,
        "shipping": if ships { shipping } else { Value::Null },
        "tax_exempt": profile.get("tax_exempt").unwrap_or("none"),
        "test_clock": null,
    })
}

fn last4(card: &CardFacts) -> &str {
    str::from_utf8(&card.last4).unwrap_or("????")
}

fn fingerprint(card: &CardFacts) -> String {
    format!("{:032x}", u128::from_be_bytes(card.fingerprint))
}

fn method_body(method: &SavedMethod, livemode: bool) -> Value {
    let (card, profile) = (&method.card, &method.profile);
    let brand = card.brand.as_str();
    json!({
        "id": method.id.to_string(),
        "object": "payment_method",
        "allow_redisplay": profile.get("allow_redisplay").unwrap_or("unspecified"),
        "billing_details": {
            "address": address_fields(profile, "billing_details[address]"),
            "email": profile.get("billing_details[email]"),
            "name": profile.get("billing_details[name]"),
            "phone": profile.get("billing_details[phone]"),
            "tax_id": null,
        },
        "card": {
            "brand": brand,
            "checks": {"address_line1_check": null, "address_postal_code_check": null, "cvc_check": null},
            "country": null,
            "display_brand": brand,
            "exp_month": card.expiry.month,
            "exp_year": card.expiry.year,
            "fingerprint": fingerprint(card),
            "funding": "unknown",
            "generated_from": null,
            "last4": last4(card),
            "networks": {"available": [brand], "preferred": null},
            "regulated_status": null,
            "three_d_secure_usage": {"supported": true},
            "wallet": null,
        },
        "created": method.created_at.unix_s(),
        "customer": method.customer.map(|customer| customer.to_string()),
        "customer_account": null,
        "livemode": livemode,
        "metadata": metadata(profile),
        "type": "card",
    })
}

/// As Stripe's older objects write it.
pub(crate) const fn brand_title(brand: CardBrand) -> &'static str {
    match brand {
        CardBrand::Visa => "Visa",
        CardBrand::Mastercard => "MasterCard",
        CardBrand::Amex => "American Express",
        CardBrand::Discover => "Discover",
        CardBrand::Diners => "Diners Club",
        CardBrand::Jcb => "JCB",
        CardBrand::Unionpay => "UnionPay",
    }
}

fn token_body(token: &SavedToken, livemode: bool) -> Value {
    let (card, profile) = (&token.method.card, &token.method.profile);
    let part = |name: &str| profile.get(&format!("billing_details[address][{name}]"));
    let id = token.method.id.to_string();
    json!({
        "id": token.id.to_string(),
        "object": "token",
        "card": {
            "id": id.replacen("pm_", "card_", 1),
            "object": "card",
            "address_city": part("city"),
            "address_country": part("country"),
            "address_line1": part("line1"),
            "address_line1_check": null,
            "address_line2": part("line2"),
            "address_state": part("state"),
            "address_zip": part("postal_code"),
            "address_zip_check": null,
            "brand": brand_title(card.brand),
            "country": null,
            "cvc_check": null,
            "dynamic_last4": null,
            "exp_month": card.expiry.month,
            "exp_year": card.expiry.year,
            "fingerprint": fingerprint(card),
            "funding": "unknown",
            "last4": last4(card),
            "metadata": {},
            "name": profile.get("billing_details[name]"),
            "networks": {"preferred": null},
            "regulated_status": null,
            "tokenization_method": null,
            "wallet": null,
        },
        "client_ip": null,
        "created": token.created_at.unix_s(),
        "livemode": livemode,
        "type": "card",
        "used": token.is_used,
    })
}
