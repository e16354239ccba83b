//! What is sent: each request about an attempt as path, key and body. No I/O.

use super::amounts::to_wire;
use super::names;
use super::wire::{
    AmountOut, BroughtBack, CaptureTerms, Charge, Details, Modification, Paid, StoredMethod, TypedCard,
};
use crate::providers::exchange::Unsendable;
use aws_lc_rs::digest::{SHA256, digest};
use florin_domain::credentials::SecretText;
use florin_domain::money::Amount;
use florin_domain::payment::OperationKind;
use florin_domain::ports::AttemptRequest;
use florin_domain::vault::ChargedCard;
use serde::Serialize;
use std::fmt::{self, Write};

/// The version of the API, below the base address.
const VERSION: &str = "/v72";
/// Adyen insists on an address also where nobody is ever sent back.
const NO_RETURN_URL: &str = "https://nowhere.invalid/";
const REFERENCE_BYTES_MAX: usize = 64;
/// So that a key stays below the 64 characters that Adyen takes.
const DETAILS_DIGEST_BYTES: usize = 8;

/// A request, apart from what is the same in all of them. All are POSTs.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct WireRequest {
    pub(super) path: String,
    /// The `Idempotency-Key`.
    pub(super) key: String,
    pub(super) body: Vec<u8>,
}

/// A body may have a card in it, so it is not shown.
impl fmt::Debug for WireRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireRequest")
            .field("path", &self.path)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

fn post(path: &str, key: String, written: &impl Serialize) -> Result<WireRequest, Unsendable> {
    // Enough for all of it: a buffer that grows leaves copies behind.
    let mut body = Vec::with_capacity(1024);
    serde_json::to_writer(&mut body, written)
        .map_err(|_| Unsendable("the request cannot be written as JSON"))?;
    Ok(WireRequest {
        path: format!("{VERSION}{path}"),
        key,
        body,
    })
}

/// Only names that Adyen could have given may become part of a path.
pub(super) fn is_psp_reference(text: &str) -> bool {
    (1..=REFERENCE_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn parent(request: &AttemptRequest) -> Result<&str, Unsendable> {
    let parent = request.parent.as_ref();
    parent
        .map(|parent| &*parent.reference)
        .ok_or(Unsendable("the operation names no parent charge"))
}

/// The charge that holds the money, by Adyen's name.
fn holder(request: &AttemptRequest) -> Result<&str, Unsendable> {
    let reference = parent(request)?;
    if is_psp_reference(reference) {
        Ok(reference)
    } else {
        Err(Unsendable("the reference is not one of Adyen's"))
    }
}

fn amount(request: &AttemptRequest) -> Result<AmountOut, Unsendable> {
    Ok(AmountOut {
        currency: request.currency.code(),
        value: to_wire(request.amount, request.currency)?,
    })
}

/// What is to be reserved in the end: Adyen takes no difference.
fn total(request: &AttemptRequest) -> Result<AmountOut, Unsendable> {
    let parent = request.parent.as_ref();
    let parent = parent.ok_or(Unsendable("the operation names no parent charge"))?;
    let total = parent.authorized.checked_add(request.amount).ok();
    let total = total.and_then(|total| Amount::new(total.minor()).ok());
    let total = total.ok_or(Unsendable("the amount is more than Adyen takes"))?;
    Ok(AmountOut {
        currency: request.currency.code(),
        value: to_wire(total, request.currency)?,
    })
}

/// Does what the attempt is for.
pub(super) fn execute(
    request: &AttemptRequest,
    merchant_account: &str,
    card: Option<&ChargedCard>,
) -> Result<WireRequest, Unsendable> {
    let key = request.key.to_string();
    let reference = names::of_attempt(request);
    let modification = |amount| Modification {
        merchant_account,
        reference: &reference,
        amount,
        payment_reference: None,
    };
    match request.kind {
        OperationKind::Sale | OperationKind::Authorize => charge(request, merchant_account, card),
        OperationKind::Capture => {
            let path = format!("/payments/{}/captures", holder(request)?);
            post(&path, key, &modification(Some(amount(request)?)))
        }
        OperationKind::Refund => {
            let path = format!("/payments/{}/refunds", holder(request)?);
            post(&path, key, &modification(Some(amount(request)?)))
        }
        OperationKind::Void => cancel(parent(request)?, key, &modification(None)),
        OperationKind::Increment => {
            let path = format!("/payments/{}/amountUpdates", holder(request)?);
            post(&path, key, &modification(Some(total(request)?)))
        }
        OperationKind::Reversal => Err(Unsendable("a reversal is asked for as a refund or a void")),
    }
}

fn charge(
    request: &AttemptRequest,
    merchant_account: &str,
    card: Option<&ChargedCard>,
) -> Result<WireRequest, Unsendable> {
    let takes_at_once = request.kind == OperationKind::Sale;
    // Adyen takes both as texts.
    let expiry = card.map(|charged| {
        let expiry = charged.card.expiry;
        (format!("{:02}", expiry.month), expiry.year.to_string())
    });
    let typed = card
        .zip(expiry.as_ref())
        .map(|(charged, (month, year))| TypedCard {
            kind: "scheme",
            number: charged.card.number(),
            expiry_month: month,
            expiry_year: year,
            // Nobody is there to type it.
            cvc: charged
                .code
                .as_ref()
                .filter(|_| !request.off_session)
                .map(|code| code.expose()),
            holder_name: charged.card.holder.as_ref().map(SecretText::expose),
        });
    // With its code the card comes from its holder right now.
    let has_code = typed.as_ref().is_some_and(|card| card.cvc.is_some());
    let body = Charge {
        merchant_account,
        reference: &names::of_attempt(request),
        amount: amount(request)?,
        payment_method: typed.map_or_else(
            || {
                Paid::Stored(StoredMethod {
                    kind: "scheme",
                    stored_payment_method_id: &request.method.id,
                })
            },
            Paid::Card,
        ),
        // A method is stored under its own name.
        shopper_reference: &request.method.id,
        shopper_interaction: if has_code { "Ecommerce" } else { "ContAuth" },
        recurring_processing_model: if request.off_session {
            "UnscheduledCardOnFile"
        } else {
            "CardOnFile"
        },
        channel: "Web",
        return_url: request.return_url.as_deref().unwrap_or(NO_RETURN_URL),
        capture_delay_hours: takes_at_once.then_some(0),
        additional_data: (!takes_at_once).then_some(CaptureTerms {
            manual_capture: "true",
        }),
    };
    post("/payments", request.key.to_string(), &body)
}

/// Releases a charge, by Adyen's name of it or, where there is none, by ours.
fn cancel(charge: &str, key: String, body: &Modification<'_>) -> Result<WireRequest, Unsendable> {
    if is_psp_reference(charge) {
        return post(&format!("/payments/{charge}/cancels"), key, body);
    }
    if !names::is_ours(charge) {
        return Err(Unsendable("the reference is neither Adyen's nor ours"));
    }
    let body = Modification {
        merchant_account: body.merchant_account,
        reference: body.reference,
        amount: None,
        payment_reference: Some(charge),
    };
    post("/cancels", key, &body)
}

/// Closes the attempt's own charge, whether Adyen has seen it or not. Always by our own name of it: Adyen's may be learned between two
/// closings, and under another path a repetition would be a second closing, which could end a charge that the first one left standing.
pub(super) fn close(request: &AttemptRequest, merchant_account: &str) -> Result<WireRequest, Unsendable> {
    let (ours, closing) = (names::of_attempt(request), names::of_closing(request));
    let body = Modification {
        merchant_account,
        reference: &closing,
        amount: None,
        payment_reference: None,
    };
    cancel(&ours, format!("{}-cancel", request.key), &body)
}

/// Hands over what the customer brought back. What was brought is in the key: something else that is brought is no repetition.
pub(super) fn details(request: &AttemptRequest, redirect_result: &str) -> Result<WireRequest, Unsendable> {
    let body = Details {
        details: BroughtBack { redirect_result },
    };
    let digest = digest(&SHA256, redirect_result.as_bytes());
    let mut key = format!("{}-d", request.key);
    for byte in digest.as_ref().iter().take(DETAILS_DIGEST_BYTES) {
        write!(key, "{byte:02x}").expect("writing to a string");
    }
    post("/payments/details", key, &body)
}

#[cfg(test)]
mod tests;
