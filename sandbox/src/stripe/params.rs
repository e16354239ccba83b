//! Parses method, path, query and body into the typed call of their endpoint.

use std::borrow::Cow;

use crate::numbers;

use super::call::{
    Call, Cancel, Capture, CardOptions, ChallengeTerms, Command, Confirm, Create, CreateRefund, Increment,
    List, ListRefunds, Query, RefundTarget,
};
use super::error::ApiError;
use super::form::{Form, percent_decode};
use super::keys::Digest;
use super::metadata::MetadataPatch;
use super::methods::TestMethod;
use super::objects::{AMOUNT_MINOR_MAX, CancellationReason, CaptureMethod, Currency, RefundReason};

/// Parameters of the real endpoints that change nothing in the sandbox.
const CREATE_UNUSED: &[&str] = &[
    "amount_details",
    "automatic_payment_methods",
    "excluded_payment_method_types",
    "payment_method_options",
    "payment_method_types",
    "receipt_email",
    "setup_future_usage",
    "shipping",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_group",
];
const CONFIRM_UNUSED: &[&str] = &[
    "payment_method_options",
    "payment_method_types",
    "receipt_email",
    "setup_future_usage",
    "shipping",
];
/// What is sent with a card's number, and changes nothing in the sandbox.
const CARD_UNUSED: &[&str] = &["payment_method_data"];
const CAPTURE_UNUSED: &[&str] = &["statement_descriptor", "statement_descriptor_suffix"];
const INCREMENT_UNUSED: &[&str] = &["description", "statement_descriptor"];

const LIST_LIMIT_MAX: u64 = 100;
const LIST_LIMIT_DEFAULT: u64 = 10;
const INTENTS_PATH: &str = "/v1/payment_intents";
const REFUNDS_PATH: &str = "/v1/refunds";

#[derive(Debug, Clone, Copy)]
pub(crate) struct RawRequest<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) body: &'a [u8],
}

#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) call: Call,
    pub(crate) fingerprint: Digest,
}

pub(crate) fn parse(raw: RawRequest<'_>) -> Result<Parsed, ApiError> {
    let form = match raw.method {
        "POST" => Form::decode(raw.body)?,
        _ => Form::decode(raw.query.as_bytes())?,
    };
    let fingerprint = form.fingerprint(raw.method, raw.path);
    let unknown = || ApiError::unknown_url(raw.method, raw.path);
    let call = if let Some(rest) = raw.path.strip_prefix(INTENTS_PATH) {
        intent_call(raw.method, rest, form).ok_or_else(unknown)??
    } else if let Some(rest) = raw.path.strip_prefix(REFUNDS_PATH) {
        refund_call(raw.method, rest, form).ok_or_else(unknown)??
    } else {
        return Err(unknown());
    };
    Ok(Parsed { call, fingerprint })
}

/// `rest` is the path after `/v1/payment_intents`; None when there is no such endpoint.
fn intent_call(method: &str, rest: &str, form: Form<'_>) -> Option<Result<Call, ApiError>> {
    if rest.is_empty() {
        return match method {
            "POST" => Some(create(form).map(Call::Command)),
            "GET" => Some(list(form).map(Call::Query)),
            _ => None,
        };
    }
    let rest = rest.strip_prefix('/')?;
    let (id, verb) = rest
        .split_once('/')
        .map_or((rest, None), |(id, verb)| (id, Some(verb)));
    if id.is_empty() {
        return None;
    }
    let id: Box<str> = match percent_decode(id.as_bytes()) {
        Ok(id) => id.into(),
        Err(error) => return Some(Err(error)),
    };
    match (method, verb) {
        ("GET", None) if &*id == "search" => Some(search(form).map(Call::Query)),
        ("GET", None) => Some(retrieve(id, form).map(Call::Query)),
        ("POST", Some("confirm")) => Some(confirm(id, form).map(Call::Command)),
        ("POST", Some("capture")) => Some(capture(id, form).map(Call::Command)),
        ("POST", Some("cancel")) => Some(cancel(id, form).map(Call::Command)),
        ("POST", Some("increment_authorization")) => Some(increment(id, form).map(Call::Command)),
        _ => None,
    }
}

/// `rest` is the path after `/v1/refunds`.
fn refund_call(method: &str, rest: &str, form: Form<'_>) -> Option<Result<Call, ApiError>> {
    match (method, rest.strip_prefix('/')) {
        ("POST", None) if rest.is_empty() => Some(create_refund(form).map(Call::Command)),
        ("GET", None) if rest.is_empty() => Some(list_refunds(form).map(Call::Query)),
        ("GET", Some(id)) if !id.is_empty() && !id.contains('/') => {
            Some(retrieve_refund(id, form).map(Call::Query))
        }
        _ => None,
    }
}

fn retrieve_refund(id: &str, form: Form<'_>) -> Result<Query, ApiError> {
    let id = percent_decode(id.as_bytes())?.into();
    form.finish()?;
    Ok(Query::RetrieveRefund { id })
}

fn create(mut form: Form<'_>) -> Result<Command, ApiError> {
    let amount_minor = form.whole("amount")?.ok_or_else(|| ApiError::missing("amount"))?;
    check_amount("amount", amount_minor)?;
    let currency = form
        .text("currency")?
        .ok_or_else(|| ApiError::missing("currency"))?;
    let currency = Currency::named(&currency).ok_or_else(|| {
        ApiError::invalid(
            "parameter_invalid",
            "currency",
            format!("Invalid currency: {currency}"),
        )
    })?;
    let capture_method = capture_method(&mut form)?.unwrap_or(CaptureMethod::Automatic);
    confirmation_method(&mut form)?;
    let create = Create {
        amount_minor,
        currency,
        capture_method,
        method: test_method(&mut form)?,
        customer: form.text("customer")?.map(Into::into),
        description: form.text("description")?.map(Into::into),
        metadata: metadata(&mut form)?,
        card_options: card_options(&mut form)?,
        confirm: form.flag("confirm")?.unwrap_or(false),
        challenge: challenge_terms(&mut form)?,
        expand_charge: expand_charge(&mut form, "latest_charge")?,
    };
    form.accept_unused(CREATE_UNUSED);
    form.finish()?;
    Ok(Command::Create(create))
}

fn confirm(id: Box<str>, mut form: Form<'_>) -> Result<Command, ApiError> {
    let confirm = Confirm {
        id,
        method: test_method(&mut form)?,
        capture_method: capture_method(&mut form)?,
        card_options: card_options(&mut form)?,
        challenge: challenge_terms(&mut form)?,
        expand_charge: expand_charge(&mut form, "latest_charge")?,
    };
    form.accept_unused(CONFIRM_UNUSED);
    form.finish()?;
    Ok(Command::Confirm(confirm))
}

fn capture(id: Box<str>, mut form: Form<'_>) -> Result<Command, ApiError> {
    let amount_minor = form.whole("amount_to_capture")?;
    let is_final = form.flag("final_capture")?.unwrap_or(true);
    // A last capture of nothing releases what is left.
    if let Some(amount_minor) = amount_minor.filter(|amount_minor| *amount_minor > 0 || !is_final) {
        check_amount("amount_to_capture", amount_minor)?;
    }
    let capture = Capture {
        id,
        amount_minor,
        is_final,
        metadata: metadata(&mut form)?,
        expand_charge: expand_charge(&mut form, "latest_charge")?,
    };
    form.accept_unused(CAPTURE_UNUSED);
    form.finish()?;
    Ok(Command::Capture(capture))
}

fn cancel(id: Box<str>, mut form: Form<'_>) -> Result<Command, ApiError> {
    let name = "cancellation_reason";
    let reason = one_of(
        &mut form,
        name,
        CancellationReason::named,
        CancellationReason::NAMES,
    )?;
    let expand_charge = expand_charge(&mut form, "latest_charge")?;
    form.finish()?;
    Ok(Command::Cancel(Cancel {
        id,
        reason,
        expand_charge,
    }))
}

fn increment(id: Box<str>, mut form: Form<'_>) -> Result<Command, ApiError> {
    let amount_minor = form.whole("amount")?.ok_or_else(|| ApiError::missing("amount"))?;
    check_amount("amount", amount_minor)?;
    let increment = Increment {
        id,
        amount_minor,
        metadata: metadata(&mut form)?,
        expand_charge: expand_charge(&mut form, "latest_charge")?,
    };
    form.accept_unused(INCREMENT_UNUSED);
    form.finish()?;
    Ok(Command::Increment(increment))
}

fn create_refund(mut form: Form<'_>) -> Result<Command, ApiError> {
    let amount_minor = form.whole("amount")?;
    if let Some(amount_minor) = amount_minor {
        check_amount("amount", amount_minor)?;
    }
    let target = match (form.text("payment_intent")?, form.text("charge")?) {
        (Some(id), None) => RefundTarget::Intent(id.into()),
        (None, Some(id)) => RefundTarget::Charge(id.into()),
        (None, None) => return Err(ApiError::missing("payment_intent")),
        (Some(_), Some(_)) => {
            let message = "Name the payment intent or the charge, not both.";
            return Err(ApiError::invalid("parameter_invalid", "charge", message));
        }
    };
    let reason = one_of(&mut form, "reason", RefundReason::named, RefundReason::NAMES)?;
    let metadata = metadata(&mut form)?;
    form.finish()?;
    Ok(Command::Refund(CreateRefund {
        target,
        amount_minor,
        reason,
        metadata,
    }))
}

fn list_refunds(mut form: Form<'_>) -> Result<Query, ApiError> {
    let list = ListRefunds {
        intent: form.text("payment_intent")?.map(Into::into),
        limit: limit(&mut form)?,
        starting_after: form.text("starting_after")?.map(Into::into),
    };
    form.finish()?;
    Ok(Query::ListRefunds(list))
}

fn retrieve(id: Box<str>, mut form: Form<'_>) -> Result<Query, ApiError> {
    let expand_charge = expand_charge(&mut form, "latest_charge")?;
    form.accept_unused(&["client_secret"]);
    form.finish()?;
    Ok(Query::Retrieve { id, expand_charge })
}

fn list(mut form: Form<'_>) -> Result<Query, ApiError> {
    let mut list = List {
        limit: limit(&mut form)?,
        starting_after: form.text("starting_after")?.map(Into::into),
        created_from: 0,
        created_to: u64::MAX,
        expand_charge: expand_charge(&mut form, "data.latest_charge")?,
    };
    for (name, lower, offset) in [
        ("created[gte]", true, 0),
        ("created[gt]", true, 1),
        ("created[lte]", false, 0),
        ("created[lt]", false, 1),
    ] {
        let Some(bound) = form.whole(name)? else { continue };
        if lower {
            list.created_from = list.created_from.max(bound.saturating_add(offset));
        } else {
            list.created_to = list.created_to.min(bound.saturating_sub(offset));
        }
    }
    form.finish()?;
    Ok(Query::List(list))
}

fn search(mut form: Form<'_>) -> Result<Query, ApiError> {
    let query = form.text("query")?.ok_or_else(|| ApiError::missing("query"))?;
    let operation_id = operation_id_of(&query).ok_or_else(|| {
        let message = "The sandbox understands only metadata['operation_id']:'...'.";
        ApiError::invalid("parameter_invalid", "query", message)
    })?;
    let limit = limit(&mut form)?;
    let expand_charge = expand_charge(&mut form, "data.latest_charge")?;
    form.finish()?;
    Ok(Query::Search {
        operation_id,
        limit,
        expand_charge,
    })
}

/// Reads `metadata['operation_id']:'...'` with either kind of quotes; a backslash escapes a quote.
fn operation_id_of(query: &str) -> Option<Box<str>> {
    let rest = query.trim().strip_prefix("metadata[")?;
    let (name, rest) = rest.split_once("]:")?;
    if !matches!(name, "'operation_id'" | "\"operation_id\"") {
        return None;
    }
    let quote = rest.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    let mut value = String::with_capacity(rest.len());
    let mut characters = rest[1..].chars();
    loop {
        match characters.next()? {
            '\\' => value.push(characters.next()?),
            end if end == quote => break,
            character => value.push(character),
        }
    }
    (characters.next().is_none() && !value.is_empty()).then(|| value.into())
}

fn check_amount(name: &'static str, amount_minor: u64) -> Result<(), ApiError> {
    if amount_minor == 0 {
        let message = "This value must be greater than or equal to 1.";
        return Err(ApiError::invalid("parameter_invalid_integer", name, message));
    }
    if amount_minor > AMOUNT_MINOR_MAX {
        let message = format!("Amount must be no more than {AMOUNT_MINOR_MAX}.");
        return Err(ApiError::invalid("amount_too_large", name, message));
    }
    Ok(())
}

fn test_method(form: &mut Form<'_>) -> Result<Option<TestMethod>, ApiError> {
    if let Some(number) = form.text("payment_method_data[card][number]")? {
        form.accept_unused(CARD_UNUSED);
        return Ok(Some(numbers::test_method(&number)));
    }
    let Some(name) = form.text("payment_method")? else {
        return Ok(None);
    };
    let method = TestMethod::named(&name);
    method
        .map(Some)
        .ok_or_else(|| ApiError::no_such("PaymentMethod", &name, "payment_method", false))
}

fn card_options(form: &mut Form<'_>) -> Result<CardOptions, ApiError> {
    let known = |text: &str| match text {
        "if_available" => Some(true),
        "never" => Some(false),
        _ => None,
    };
    let mut asked = |name| one_of(form, name, known, &["if_available", "never"]);
    Ok(CardOptions {
        multicapture: asked("payment_method_options[card][request_multicapture]")?,
        incremental: asked("payment_method_options[card][request_incremental_authorization]")?,
    })
}

fn challenge_terms(form: &mut Form<'_>) -> Result<ChallengeTerms, ApiError> {
    let return_url = form.text("return_url")?;
    if let Some(url) = &return_url {
        let scheme = url.split_once("://").map(|(scheme, _)| scheme);
        let has_scheme = scheme.is_some_and(|scheme| {
            !scheme.is_empty()
                && scheme
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        });
        if !has_scheme || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message = format!("Not a valid URL: {url}");
            return Err(ApiError::invalid("url_invalid", "return_url", message));
        }
    }
    // Nobody is there who could be challenged.
    let off_session = one_of(
        form,
        "off_session",
        |text| match text {
            "true" | "one_off" | "recurring" => Some(true),
            "false" => Some(false),
            _ => None,
        },
        &["true", "false", "one_off", "recurring"],
    )?;
    Ok(ChallengeTerms {
        is_error: form.flag("error_on_requires_action")?.unwrap_or(false) || off_session == Some(true),
        return_url: return_url.map(Into::into),
    })
}

fn capture_method(form: &mut Form<'_>) -> Result<Option<CaptureMethod>, ApiError> {
    one_of(form, "capture_method", CaptureMethod::named, CaptureMethod::NAMES)
}

/// The sandbox confirms on the server whichever way is asked for.
fn confirmation_method(form: &mut Form<'_>) -> Result<(), ApiError> {
    let known = |text: &str| matches!(text, "automatic" | "manual").then_some(());
    one_of(form, "confirmation_method", known, &["automatic", "manual"]).map(|_| ())
}

fn one_of<T>(
    form: &mut Form<'_>,
    name: &'static str,
    parse: impl Fn(&str) -> Option<T>,
    names: &[&str],
) -> Result<Option<T>, ApiError> {
    let Some(text) = form.text(name)? else {
        return Ok(None);
    };
    parse(&text).map(Some).ok_or_else(|| {
        let message = format!("Invalid {name}: must be one of {}", names.join(", "));
        ApiError::invalid("parameter_invalid", name, message)
    })
}

fn metadata(form: &mut Form<'_>) -> Result<MetadataPatch, ApiError> {
    let patch = form.metadata("metadata")?;
    patch.check()?;
    Ok(patch)
}

fn limit(form: &mut Form<'_>) -> Result<usize, ApiError> {
    let limit = form.whole("limit")?.unwrap_or(LIST_LIMIT_DEFAULT);
    if !(1..=LIST_LIMIT_MAX).contains(&limit) {
        let message = format!("limit must be from 1 to {LIST_LIMIT_MAX}.");
        return Err(ApiError::invalid("parameter_invalid_integer", "limit", message));
    }
    Ok(usize::try_from(limit).expect("a limit is at most 100"))
}

/// The latest charge is the only thing that can be expanded.
fn expand_charge(form: &mut Form<'_>, expandable: &str) -> Result<bool, ApiError> {
    let wanted: Vec<Cow<'_, str>> = form.list("expand")?;
    match wanted.iter().find(|property| **property != expandable) {
        None => Ok(!wanted.is_empty()),
        Some(other) => {
            let message = format!("This property cannot be expanded in the sandbox ({other}).");
            Err(ApiError::invalid("parameter_invalid", "expand", message))
        }
    }
}

#[cfg(test)]
mod tests;
