//! Notifications: what they say, how they are signed, and when they are due.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::call::WebhookTarget;
use crate::clock::UnixMillis;
use crate::due::Due;
use crate::hmac::hmac_sha256;
use crate::stripe::Currency;
use crate::witness::Provider;

/// What waits for an address that never answers is bounded; the oldest is forgotten first.
const WAITING_MAX: usize = 100_000;
const WAIT_MS_MIN: u64 = 200;
const WAIT_MS_MAX: u64 = 60_000;

/// What one notification says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Notice {
    pub(crate) event: Event,
    pub(crate) psp_reference: Box<str>,
    pub(crate) original_reference: Option<Box<str>>,
    pub(crate) merchant_account: Box<str>,
    pub(crate) merchant_reference: Box<str>,
    pub(crate) value: u64,
    pub(crate) currency: Currency,
    /// Why it failed; it succeeded if there is no reason.
    pub(crate) failure: Option<Box<str>>,
    /// Not before, in Unix milliseconds.
    pub(crate) due_ms: u64,
    /// How often it is sent.
    pub(crate) copies: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Event {
    Authorisation,
    AuthorisationAdjustment,
    Capture,
    Cancellation,
    TechnicalCancel,
    Refund,
}

impl Event {
    fn code(self) -> &'static str {
        match self {
            Self::Authorisation => "AUTHORISATION",
            Self::AuthorisationAdjustment => "AUTHORISATION_ADJUSTMENT",
            Self::Capture => "CAPTURE",
            Self::Cancellation => "CANCELLATION",
            Self::TechnicalCancel => "TECHNICAL_CANCEL",
            Self::Refund => "REFUND",
        }
    }
}

impl Notice {
    fn body(&self, key: &[u8]) -> Vec<u8> {
        let currency = self.currency.as_str().to_uppercase();
        let original = self.original_reference.as_deref().unwrap_or_default();
        let success = if self.failure.is_none() { "true" } else { "false" };
        let payload = format!(
            "{}:{original}:{}:{}:{}:{currency}:{}:{success}",
            self.psp_reference,
            self.merchant_account,
            self.merchant_reference,
            self.value,
            self.event.code(),
        );
        let mut item = json!({
            "additionalData": { "hmacSignature": base64(&hmac_sha256(key, payload.as_bytes())) },
            "amount": { "currency": currency, "value": self.value },
            "eventCode": self.event.code(),
            "eventDate": date(self.due_ms / 1000),
            "merchantAccountCode": self.merchant_account,
            "merchantReference": self.merchant_reference,
            "pspReference": self.psp_reference,
            "reason": self.failure.as_deref().unwrap_or_default(),
            "success": success,
        });
        if !original.is_empty() {
            item["originalReference"] = json!(original);
        }
        json!({ "live": "false", "notificationItems": [{ "NotificationRequestItem": item }] })
            .to_string()
            .into_bytes()
    }
}

#[derive(Debug)]
struct Waiting {
    notice: Notice,
    due_ms: u64,
    failures: u32,
    /// Handed out, and not heard of yet.
    is_out: bool,
}

/// Notifications that nobody has acknowledged, by the line that made them.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) target: Option<WebhookTarget>,
    waiting: BTreeMap<u64, Waiting>,
}

impl Outbox {
    pub(crate) fn put(&mut self, seq: u64, notice: Notice) {
        let due_ms = notice.due_ms;
        let waiting = Waiting {
            notice,
            due_ms,
            failures: 0,
            is_out: false,
        };
        self.waiting.insert(seq, waiting);
        if self.waiting.len() > WAITING_MAX {
            self.waiting.pop_first();
        }
    }

    pub(crate) fn delivered(&mut self, seq: u64) {
        self.waiting.remove(&seq);
    }

    pub(crate) fn is_waiting(&self, seq: u64) -> bool {
        self.waiting.contains_key(&seq)
    }

    /// It was not acknowledged: later again.
    pub(crate) fn failed(&mut self, seq: u64, now: UnixMillis) {
        if let Some(waiting) = self.waiting.get_mut(&seq) {
            let wait_ms = (WAIT_MS_MIN << waiting.failures.min(16)).min(WAIT_MS_MAX);
            waiting.failures += 1;
            waiting.is_out = false;
            waiting.due_ms = now.plus_ms(wait_ms).0;
        }
    }

    /// What is due now, which is then out, and how long it is to the next one.
    pub(crate) fn take(&mut self, now: UnixMillis, limit: usize) -> (Vec<Due>, Option<u64>) {
        let Some(target) = &self.target else {
            return (Vec::new(), None);
        };
        let key = unhex(&target.hmac_key);
        let mut due = Vec::new();
        let mut next_ms: Option<u64> = None;
        for (seq, waiting) in &mut self.waiting {
            if waiting.is_out {
                continue;
            }
            if waiting.due_ms > now.0 || due.len() >= limit {
                let wait_ms = waiting.due_ms.saturating_sub(now.0);
                next_ms = Some(next_ms.map_or(wait_ms, |next_ms| next_ms.min(wait_ms)));
                continue;
            }
            waiting.is_out = true;
            due.push(Due {
                of: (Provider::Adyen, *seq),
                seal: None,
                url: target.url.clone(),
                copies: waiting.notice.copies,
                body: waiting.notice.body(&key),
            });
        }
        (due, next_ms)
    }
}

/// Unix seconds as a date and time of day, after the civil calendar (era of 400 years that begins with March).
fn date(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}+00:00",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

/// The digits were checked when they came.
fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    text.as_bytes()
        .chunks_exact(2)
        .filter_map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let mut quad = [0; 4];
        quad[1..=three.len()].copy_from_slice(three);
        let bits = u32::from_be_bytes(quad);
        for digit in 0..4 {
            let place = usize::try_from(bits >> (18 - 6 * digit) & 63).expect("six bits fit");
            text.push(if digit > three.len() {
                '='
            } else {
                char::from(ALPHABET[place])
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_64_is_padded() {
        assert_eq!(base64(b"foob"), "Zm9vYg==");
        assert_eq!(base64(b"foo"), "Zm9v");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00+00:00"),
            (951_782_400, "2000-02-29T00:00:00+00:00"),
            (1_800_000_000, "2027-01-15T08:00:00+00:00"),
            (4_107_542_399, "2100-02-28T23:59:59+00:00"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }

    #[test]
    fn what_is_not_acknowledged_is_due_again_later() {
        let mut outbox = Outbox::default();
        let notice = Notice {
            event: Event::Capture,
            psp_reference: "A".into(),
            original_reference: Some("B".into()),
            merchant_account: "ShopNL".into(),
            merchant_reference: "pay_1".into(),
            value: 5,
            currency: Currency::named("usd").unwrap(),
            failure: None,
            due_ms: 1_000,
            copies: 1,
        };
        outbox.put(3, notice);
        let at = |outbox: &mut Outbox, ms: u64| {
            let (due, next_ms) = outbox.take(UnixMillis(ms), 10);
            (due.len(), next_ms)
        };
        assert_eq!(at(&mut outbox, 5_000), (0, None), "nobody is to be told");
        outbox.target = Some(WebhookTarget {
            url: "http://127.0.0.1:1/x".into(),
            hmac_key: "00".repeat(32).into(),
        });
        assert_eq!(at(&mut outbox, 900), (0, Some(100)));
        assert_eq!(at(&mut outbox, 1_000), (1, None));
        assert_eq!(at(&mut outbox, 1_000), (0, None), "it is out");
        outbox.failed(3, UnixMillis(1_000));
        assert_eq!(at(&mut outbox, 1_000), (0, Some(WAIT_MS_MIN)));
        assert_eq!(at(&mut outbox, 2_000), (1, None));
        outbox.delivered(3);
        assert!(!outbox.is_waiting(3));
    }
}
