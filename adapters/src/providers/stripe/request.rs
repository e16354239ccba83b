//! What is sent: each request about an attempt as method, path, key and form. No I/O.

use crate::providers::exchange::Unsendable;
use florin_domain::payment::OperationKind;
use florin_domain::ports::AttemptRequest;
use florin_domain::vault::ChargedCard;
use http::Method;
use std::fmt::{self, Write};

/// Objects per page of a list; Stripe's maximum.
const PAGE_LIMIT: &str = "100";
const REFERENCE_BYTES_MAX: usize = 255;

/// A request, apart from what is the same in all of them.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct WireRequest {
    pub(super) method: Method,
    pub(super) path: String,
    /// The `Idempotency-Key`; reads have none.
    pub(super) key: Option<String>,
    /// The form of a POST; empty for a GET.
    pub(super) form: String,
}

/// A form may have a card in it, so it is not shown.
impl fmt::Debug for WireRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl WireRequest {
    fn get(path: String) -> Self {
        Self {
            method: Method::GET,
            path,
            key: None,
            form: String::new(),
        }
    }

    fn post(path: String, key: String, form: Form) -> Self {
        Self {
            method: Method::POST,
            path,
            key: Some(key),
            form: form.0,
        }
    }
}

/// An `application/x-www-form-urlencoded` body.
#[derive(Debug, Default)]
struct Form(String);

impl Form {
    fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    fn text(mut self, name: &str, value: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.encode(name);
        self.0.push('=');
        self.encode(value);
        self
    }

    /// A saved card, as Stripe takes one from whoever may have its number.
    fn card(self, charged: &ChargedCard) -> Self {
        let card = &charged.card;
        let mut form = self
            .text("payment_method_data[type]", "card")
            .text("payment_method_data[card][number]", card.number())
            .show("payment_method_data[card][exp_month]", card.expiry.month)
            .show("payment_method_data[card][exp_year]", card.expiry.year);
        if let Some(code) = &charged.code {
            form = form.text("payment_method_data[card][cvc]", code.expose());
        }
        if let Some(holder) = &card.holder {
            form = form.text("payment_method_data[billing_details][name]", holder.expose());
        }
        form
    }

    fn show(self, name: &str, value: impl fmt::Display) -> Self {
        self.text(name, &value.to_string())
    }

    fn encode(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                    self.0.push(char::from(byte));
                }
                b' ' => self.0.push('+'),
                _ => write!(self.0, "%{byte:02X}").expect("writing to a string"),
            }
        }
    }
}

/// Only names that Stripe could have given may become part of a path.
pub(super) fn is_object_id(text: &str) -> bool {
    (1..=REFERENCE_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The intent that this attempt made.
fn own_intent(request: &AttemptRequest) -> Result<&str, Unsendable> {
    let reference = request
        .reference
        .as_deref()
        .ok_or(Unsendable("no payment intent was prepared for this attempt"))?;
    checked(reference)
}

/// The intent that holds the authorization which this operation is about.
fn parent_intent(request: &AttemptRequest) -> Result<&str, Unsendable> {
    let parent = request
        .parent
        .as_ref()
        .ok_or(Unsendable("the operation names no parent charge"))?;
    checked(&parent.reference)
}

/// What the intent had authorized before, in minor units.
fn parent_intent_authorized(request: &AttemptRequest) -> Result<i128, Unsendable> {
    let parent = request.parent.as_ref();
    parent
        .map(|parent| parent.authorized.minor())
        .ok_or(Unsendable("the operation names no parent charge"))
}

fn checked(reference: &str) -> Result<&str, Unsendable> {
    if is_object_id(reference) {
        Ok(reference)
    } else {
        Err(Unsendable("the reference is not a Stripe id"))
    }
}

/// The intent that answers about this attempt must be this one.
pub(super) fn intent_of(request: &AttemptRequest) -> Result<&str, Unsendable> {
    match request.kind {
        OperationKind::Sale | OperationKind::Authorize => own_intent(request),
        OperationKind::Capture
        | OperationKind::Void
        | OperationKind::Refund
        | OperationKind::Increment
        | OperationKind::Reversal => parent_intent(request),
    }
}

/// Makes the intent, unconfirmed: it cannot charge. What it says follows from the journal alone, so whoever sends it again, after whatever
/// ended, sends the same bytes; the method, whose security code nobody may write down, comes with the confirmation.
pub(super) fn create(request: &AttemptRequest) -> Result<WireRequest, Unsendable> {
    let capture_method = match request.kind {
        OperationKind::Sale => "automatic",
        OperationKind::Authorize => "manual",
        OperationKind::Capture
        | OperationKind::Void
        | OperationKind::Refund
        | OperationKind::Increment
        | OperationKind::Reversal => {
            return Err(Unsendable(
                "only a sale or an authorization makes a payment intent",
            ));
        }
    };
    let mut form = Form::with_capacity(512)
        .show("amount", request.amount.minor())
        .text("currency", &request.currency.code().to_ascii_lowercase())
        .text("payment_method_types[]", "card")
        .text("capture_method", capture_method)
        .text("confirmation_method", "automatic")
        .show("metadata[payment_id]", request.payment)
        .show("metadata[operation_id]", request.operation);
    if request.kind == OperationKind::Authorize {
        for option in ["request_multicapture", "request_incremental_authorization"] {
            let name = format!("payment_method_options[card][{option}]");
            form = form.text(&name, "if_available");
        }
    }
    Ok(WireRequest::post(
        "/v1/payment_intents".to_owned(),
        // "-create" was the key of a form with the method in it, which an attempt that is older than this form may have sent. What that made
        // was never confirmed and never will be.
        format!("{}-intent", request.key),
        form,
    ))
}

/// Does what the attempt is for. A charge brings its method: the saved card, or the one that Stripe knows by its name.
pub(super) fn execute(
    request: &AttemptRequest,
    card: Option<&ChargedCard>,
) -> Result<WireRequest, Unsendable> {
    let intent = intent_of(request)?;
    let key = request.key.to_string();
    Ok(match request.kind {
        OperationKind::Sale | OperationKind::Authorize => {
            let form = confirmation(request, card);
            WireRequest::post(format!("/v1/payment_intents/{intent}/confirm"), key, form)
        }
        OperationKind::Capture => {
            let amount_minor = request.amount.minor();
            let form = Form::with_capacity(192)
                .show("amount_to_capture", amount_minor)
                .show("final_capture", request.is_final)
                .show("metadata[operation_id]", request.operation)
                // Captures of one intent add up: this record tells them apart, see `response`.
                .show(&format!("metadata[{}]", request.operation), amount_minor);
            WireRequest::post(format!("/v1/payment_intents/{intent}/capture"), key, form)
        }
        OperationKind::Increment => {
            let before = parent_intent_authorized(request)?;
            let form = Form::with_capacity(128)
                .show("amount", before.saturating_add(request.amount.minor()))
                .show("metadata[operation_id]", request.operation);
            let path = format!("/v1/payment_intents/{intent}/increment_authorization");
            WireRequest::post(path, key, form)
        }
        OperationKind::Void => WireRequest::post(
            format!("/v1/payment_intents/{intent}/cancel"),
            key,
            Form::default(),
        ),
        OperationKind::Refund => {
            let form = Form::with_capacity(192)
                .text("payment_intent", intent)
                .show("amount", request.amount.minor())
                .show("metadata[operation_id]", request.operation)
                .show("metadata[payment_id]", request.payment);
            WireRequest::post("/v1/refunds".to_owned(), key, form)
        }
        OperationKind::Reversal => {
            return Err(Unsendable("a reversal is asked for as a refund or a void"));
        }
    })
}

fn confirmation(request: &AttemptRequest, card: Option<&ChargedCard>) -> Form {
    let url_bytes = request.return_url.as_ref().map_or(0, |url| url.len());
    // Enough for all of it, however much is escaped: a buffer that grows leaves copies of the card behind.
    let mut form = Form::with_capacity(2048 + 3 * url_bytes);
    if let Some(url) = &request.return_url {
        form = form.text("return_url", url);
    }
    if request.off_session {
        form = form.text("off_session", "true");
    }
    match card {
        None => form.text("payment_method", &request.method.id),
        Some(card) => form.card(card),
    }
}

/// Releases what is left of an authorization that was captured in part: a last capture of nothing.
pub(super) fn release(request: &AttemptRequest) -> Result<WireRequest, Unsendable> {
    let path = format!("/v1/payment_intents/{}/capture", parent_intent(request)?);
    let form = Form::default()
        .show("amount_to_capture", 0)
        .show("final_capture", true);
    Ok(WireRequest::post(path, format!("{}-release", request.key), form))
}

/// Reads the intent that the attempt is about.
pub(super) fn read_intent(request: &AttemptRequest) -> Result<WireRequest, Unsendable> {
    Ok(WireRequest::get(format!(
        "/v1/payment_intents/{}",
        intent_of(request)?
    )))
}

/// Reads one refund.
pub(super) fn read_refund(reference: &str) -> Result<WireRequest, Unsendable> {
    Ok(WireRequest::get(format!("/v1/refunds/{}", checked(reference)?)))
}

/// Reads a page of the intent's refunds, newest first.
pub(super) fn list_refunds(
    request: &AttemptRequest,
    starting_after: Option<&str>,
) -> Result<WireRequest, Unsendable> {
    let mut query = Form::default()
        .text("payment_intent", parent_intent(request)?)
        .text("limit", PAGE_LIMIT);
    if let Some(id) = starting_after {
        query = query.text("starting_after", checked(id)?);
    }
    Ok(WireRequest::get(format!("/v1/refunds?{}", query.0)))
}

/// Closes the intent that the attempt made.
pub(super) fn cancel(request: &AttemptRequest) -> Result<WireRequest, Unsendable> {
    let path = format!("/v1/payment_intents/{}/cancel", own_intent(request)?);
    Ok(WireRequest::post(
        path,
        format!("{}-cancel", request.key),
        Form::default(),
    ))
}

#[cfg(test)]
mod tests;
