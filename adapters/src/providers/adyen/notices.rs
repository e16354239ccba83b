//! Adyen's standard notifications: signed one by one, told at least once, in any order.

use super::amounts::from_wire;
use super::config::HmacKey;
use super::names::{self, Named};
use super::request::is_psp_reference;
use super::response::{decline_code, snake};
use super::wire::{Notification, Notifications};
use aws_lc_rs::{constant_time, hmac};
use florin_domain::ids::OperationId;
use florin_domain::money::Currency;
use florin_domain::ports::NoticeReader;
use florin_domain::provider::{Notice, NoticeRefusal, Outcome, ProviderId, ProviderReference};
use std::sync::Arc;

/// Who reads the notifications of one merchant account.
#[derive(Clone, Debug)]
struct Sender {
    provider: ProviderId,
    merchant_account: Arc<str>,
    key: HmacKey,
}

/// Reads the notifications of all configured accounts.
#[derive(Clone, Debug, Default)]
pub struct AdyenNotices(Vec<Sender>);

impl AdyenNotices {
    /// Reads those of one more account.
    #[must_use]
    pub fn with(mut self, provider: ProviderId, merchant_account: &str, key: HmacKey) -> Self {
        self.0.push(Sender {
            provider,
            merchant_account: Arc::from(merchant_account),
            key,
        });
        self
    }
}

impl NoticeReader for AdyenNotices {
    fn read(&self, provider: ProviderId, body: &[u8]) -> Result<Vec<Notice>, NoticeRefusal> {
        let account = self.0.iter().find(|sender| sender.provider == provider);
        let account = account.ok_or(NoticeRefusal::NoSuchProvider)?;
        let body: Notifications<'_> = serde_json::from_slice(body).map_err(|_| NoticeRefusal::Malformed)?;
        let items = body.notification_items;
        if items.is_empty() {
            return Err(NoticeRefusal::Malformed);
        }
        // One that is not signed is reason enough to believe none.
        let mut notices = Vec::new();
        for item in &items {
            let item = &item.item;
            if !item.merchant_account_code.is(&account.merchant_account) || !is_signed(item, &account.key) {
                return Err(NoticeRefusal::Unsigned);
            }
            notices.extend(notice(item));
        }
        Ok(notices)
    }
}

/// HMAC-SHA-256 over eight fields with colons between them, in base 64.
fn is_signed(item: &Notification<'_>, key: &HmacKey) -> bool {
    let Some(signature) = item
        .additional_data
        .as_ref()
        .and_then(|data| data.hmac_signature.as_deref())
    else {
        return false;
    };
    let payload = format!(
        "{}:{}:{}:{}:{}:{}:{}:{}",
        &*item.psp_reference,
        item.original_reference.as_deref().unwrap_or_default(),
        &*item.merchant_account_code,
        &*item.merchant_reference,
        item.amount.value,
        &*item.amount.currency,
        &*item.event_code,
        &*item.success,
    );
    let tag = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, key.bytes()),
        payload.as_bytes(),
    );
    let expected = base64(tag.as_ref());
    constant_time::verify_slices_are_equal(expected.as_bytes(), signature.as_bytes()).is_ok()
}

/// In the standard alphabet, padded.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            if digit > three.len() {
                text.push('=');
            } else {
                let place = usize::try_from(bits >> (18 - 6 * digit) & 63).unwrap_or(0);
                text.push(char::from(ALPHABET[place]));
            }
        }
    }
    text
}

/// Nothing if it is about nothing of ours, or says nothing that decides.
fn notice(item: &Notification<'_>) -> Option<Notice> {
    let named = names::parse(&item.merchant_reference)?;
    let currency = Currency::parse(&item.amount.currency).ok()?;
    let outcome = outcome(item, &named, currency)?;
    Some(Notice {
        payment: named.payment,
        operation: named.operation,
        key_end: Arc::from(named.key_end),
        currency,
        outcome,
    })
}

fn outcome(item: &Notification<'_>, named: &Named<'_>, currency: Currency) -> Option<Outcome> {
    let is_success = match &*item.success {
        "true" => true,
        "false" => false,
        _ => return None,
    };
    let is_about = match (&*item.event_code, named.operation) {
        ("AUTHORISATION", OperationId::Authorize(_)) => !named.closes,
        ("CANCELLATION" | "TECHNICAL_CANCEL", OperationId::Authorize(_)) => named.closes,
        ("CAPTURE", OperationId::Capture(_))
        | ("CANCELLATION" | "TECHNICAL_CANCEL", OperationId::Void(_))
        | ("REFUND" | "REFUND_FAILED", OperationId::Refund(_)) => true,
        _ => false,
    };
    if !is_about || !is_psp_reference(&item.psp_reference) {
        if is_late_failure(&item.event_code) {
            tracing::error!(
                event = &*item.event_code,
                reference = &*item.merchant_reference,
                "Adyen took something back that it had done; the books do not show it yet",
            );
        }
        return None;
    }
    let reference: ProviderReference = Arc::from(&*item.psp_reference);
    if named.closes {
        // What could not be closed may have charged: that is not decided by this.
        return is_success.then_some(Outcome::Cancelled { reference: None });
    }
    if !is_success || item.event_code.is("REFUND_FAILED") {
        let reason = item.reason.as_deref().unwrap_or_default();
        // A refused charge is told as its reason, sometimes with its code in front.
        let decline_code = match reason.split_once(':') {
            Some((code, reason)) => decline_code(Some(code.trim()), Some(reason)),
            None => match reason {
                "Refused" => decline_code(Some("2"), None),
                "Not enough balance" => decline_code(Some("12"), None),
                "3D Not Authenticated" => decline_code(Some("11"), None),
                reason => Arc::from(snake(reason)),
            },
        };
        return Some(Outcome::Declined {
            decline_code,
            reference: Some(reference),
        });
    }
    Some(Outcome::Succeeded {
        transaction: Arc::clone(&reference),
        reference,
        amount_minor: from_wire(item.amount.value, currency)?,
    })
}

fn is_late_failure(event: &str) -> bool {
    matches!(
        event,
        "CAPTURE_FAILED" | "REFUNDED_REVERSED" | "CHARGEBACK" | "SECOND_CHARGEBACK"
    )
}

#[cfg(test)]
mod tests;
