//! Requests as typed calls: checked as far as that needs no object.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::answer::Refusal;
use super::cards;
use crate::stripe::{Currency, TestMethod};

/// The largest amount taken, in minor units.
const VALUE_MAX: u64 = 999_999_999_999;
const REFERENCE_CHARS_MAX: usize = 80;
const KEY_CHARS_MAX: usize = 64;

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) call: Call,
    pub(crate) idempotency: Option<Idempotency>,
}

/// A key and what was first asked under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Idempotency {
    pub(crate) key: Box<str>,
    /// SHA-256 of path and body, in hexadecimal.
    pub(crate) fingerprint: Box<str>,
}

#[derive(Debug, Clone)]
pub(crate) enum Call {
    Pay(Pay),
    Details {
        redirect_result: Box<str>,
    },
    Capture(Modify),
    Refund(Modify),
    /// The amount is the new total.
    Update(Modify),
    /// By Adyen's name of the payment.
    Cancel(Modify),
    /// By the merchant's reference of the payment.
    TechnicalCancel {
        payment_reference: Box<str>,
        merchant_account: Box<str>,
        reference: Option<Box<str>>,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Pay {
    pub(crate) merchant_account: Box<str>,
    pub(crate) reference: Box<str>,
    pub(crate) value: u64,
    pub(crate) currency: Currency,
    pub(crate) method: TestMethod,
    pub(crate) holder: Option<Box<str>>,
    pub(crate) is_manual: bool,
    pub(crate) return_url: Box<str>,
    /// The merchant asks by itself: no shopper is there.
    pub(crate) is_unattended: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Modify {
    pub(crate) psp_reference: Box<str>,
    pub(crate) merchant_account: Box<str>,
    pub(crate) reference: Option<Box<str>>,
    /// All but cancels have one.
    pub(crate) amount: Option<(u64, Currency)>,
}

/// Where notifications go, and the key that signs them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WebhookTarget {
    pub(crate) url: Box<str>,
    /// In hexadecimal.
    pub(crate) hmac_key: Box<str>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    merchant_account: Option<Box<str>>,
    reference: Option<Box<str>>,
    payment_reference: Option<Box<str>>,
    amount: Option<Amount>,
    payment_method: Option<Method>,
    return_url: Option<Box<str>>,
    capture_delay_hours: Option<u32>,
    additional_data: Option<AdditionalData>,
    details: Option<Details>,
    shopper_interaction: Option<Box<str>>,
    recurring_processing_model: Option<Box<str>>,
}

#[derive(Debug, Deserialize)]
struct Amount {
    currency: Box<str>,
    value: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Method {
    stored_payment_method_id: Option<Box<str>>,
    number: Option<Box<str>>,
    encrypted_card_number: Option<Box<str>>,
    holder_name: Option<Box<str>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AdditionalData {
    manual_capture: Option<Box<str>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    redirect_result: Option<Box<str>>,
}

/// `path` is what follows `/adyen/v72`.
pub(crate) fn parse(path: &str, key: Option<&str>, api_key: bool, body: &[u8]) -> Result<Request, Refusal> {
    if !api_key {
        return Err(Refusal::UNAUTHORIZED);
    }
    if key.is_some_and(|key| key.is_empty() || key.len() > KEY_CHARS_MAX) {
        return Err(Refusal::validation(
            "702",
            "An idempotency key has 1 to 64 characters",
        ));
    }
    let parsed: Body = serde_json::from_slice(body).map_err(|_| Refusal::MALFORMED)?;
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let call = match segments.as_slice() {
        ["payments"] => Call::Pay(pay(parsed)?),
        ["payments", "details"] => {
            let result = parsed.details.and_then(|details| details.redirect_result);
            let redirect_result =
                result.ok_or(Refusal::validation("14_004", "Missing payment method details"))?;
            Call::Details { redirect_result }
        }
        ["payments", psp, "captures"] => Call::Capture(modify(psp, parsed, true)?),
        ["payments", psp, "refunds"] => Call::Refund(modify(psp, parsed, true)?),
        ["payments", psp, "amountUpdates"] => Call::Update(modify(psp, parsed, true)?),
        ["payments", psp, "cancels"] => Call::Cancel(modify(psp, parsed, false)?),
        ["cancels"] => Call::TechnicalCancel {
            merchant_account: account(parsed.merchant_account)?,
            reference: parsed.reference,
            payment_reference: reference(parsed.payment_reference)?,
        },
        _ => return Err(Refusal::NOT_FOUND),
    };
    let fingerprint = || {
        let mut digest = Sha256::new();
        digest.update(path.as_bytes());
        digest.update([0]);
        digest.update(body);
        hex(&digest.finalize())
    };
    let idempotency = key.map(|key| Idempotency {
        key: key.into(),
        fingerprint: fingerprint().into(),
    });
    Ok(Request { call, idempotency })
}

fn pay(body: Body) -> Result<Pay, Refusal> {
    let merchant_account = account(body.merchant_account)?;
    let (value, currency) = amount(body.amount)?;
    let method = body.payment_method;
    let card = method.as_ref().and_then(|method| {
        let number = method
            .number
            .as_deref()
            .or(method.encrypted_card_number.as_deref());
        cards::named(method.stored_payment_method_id.as_deref(), number)
    });
    let is_manual = body
        .additional_data
        .and_then(|data| data.manual_capture)
        .is_some_and(|word| word.as_ref() == "true");
    let is_unattended = body.shopper_interaction.as_deref() == Some("ContAuth")
        && body.recurring_processing_model.as_deref() == Some("UnscheduledCardOnFile");
    Ok(Pay {
        is_unattended,
        merchant_account,
        reference: reference(body.reference)?,
        value,
        currency,
        method: card.ok_or(Refusal::validation("800", "Contract not found"))?,
        holder: method.and_then(|method| method.holder_name),
        // A delay is as good as none here: nobody waits for hours.
        is_manual: is_manual && body.capture_delay_hours.is_none(),
        return_url: body
            .return_url
            .ok_or(Refusal::validation("14_030", "Return URL is missing."))?,
    })
}

fn modify(psp: &str, body: Body, has_amount: bool) -> Result<Modify, Refusal> {
    Ok(Modify {
        psp_reference: psp.into(),
        merchant_account: account(body.merchant_account)?,
        reference: body.reference,
        amount: has_amount.then(|| amount(body.amount)).transpose()?,
    })
}

fn account(account: Option<Box<str>>) -> Result<Box<str>, Refusal> {
    account
        .filter(|account| !account.is_empty())
        .ok_or(Refusal::NO_ACCOUNT)
}

fn reference(reference: Option<Box<str>>) -> Result<Box<str>, Refusal> {
    reference
        .filter(|reference| (1..=REFERENCE_CHARS_MAX).contains(&reference.len()))
        .ok_or(Refusal::validation("130", "Reference Missing"))
}

fn amount(amount: Option<Amount>) -> Result<(u64, Currency), Refusal> {
    let invalid = Refusal::validation("137", "Invalid amount specified");
    let Amount { currency, value } = amount.ok_or(invalid.clone())?;
    if !(1..=VALUE_MAX).contains(&value) {
        return Err(invalid);
    }
    let currency = Currency::named(&currency);
    Ok((
        value,
        currency.ok_or(Refusal::validation("138", "Unsupported currency specified"))?,
    ))
}

/// `PUT /adyen/webhook`. Says which field is wrong.
pub(crate) fn parse_target(body: &[u8]) -> Result<WebhookTarget, &'static str> {
    let target: WebhookTarget = serde_json::from_slice(body)
        .map_err(|_| "body: expected a JSON object with `url` and `hmac_key`, both text")?;
    if target
        .url
        .strip_prefix("http://")
        .is_none_or(|rest| !rest.contains('/'))
    {
        return Err("url: expected http:// with a host and a path");
    }
    let key = &target.hmac_key;
    if key.len() != 64 || !key.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err("hmac_key: expected 64 hexadecimal digits");
    }
    Ok(target)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing into memory cannot fail");
        text
    })
}
