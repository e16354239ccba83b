//! Requests of `POST /v1/payments`: every one a new payment under a key of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::request_source::{RequestSource, push_decimal};

/// Customers over which payments are spread.
const CUSTOMERS: u64 = 100_000;
/// Neighbouring payments go to distant customers; prime, so that all are visited before one comes back.
const CUSTOMER_STRIDE: u64 = 70_001;
/// Amounts run from 5.00 to 204.96 USD in a fixed order. As many as share no factor with the customers: none buys for the same amount
/// again within minutes, which would be suspected of being a duplicate.
const AMOUNT_MINOR_MIN: u64 = 500;
const AMOUNTS: u64 = 19_997;
/// Prime, as above.
const AMOUNT_STRIDE: u64 = 7_919;
/// The longest idempotency key the API takes, less the twenty digits of a counter and a dash.
const RUN_PREFIX_BYTES_MAX: usize = 255 - 21;

/// Why no payments can be made of the given texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PaymentSourceError {
    #[error("at least one API key is needed")]
    NoApiKey,
    #[error("an API key must be visible ASCII")]
    ApiKey,
    #[error("a run prefix must be 1 to {RUN_PREFIX_BYTES_MAX} bytes of visible ASCII")]
    RunPrefix,
}

/// Numbers payments from 0, over all its clones: give each generator thread a clone.
#[derive(Debug, Clone)]
pub struct PaymentSource {
    counter: Arc<AtomicU64>,
    /// One per API key: everything up to the number in the idempotency key.
    heads: Arc<[Vec<u8>]>,
    body: Vec<u8>,
}

impl PaymentSource {
    /// `run_prefix` begins every idempotency key: two runs against the same journal need different ones.
    /// Several API keys, of as many merchants, are used in turn.
    pub fn new(run_prefix: &str, api_keys: &[String]) -> Result<Self, PaymentSourceError> {
        Self::to_path("/v1/payments", run_prefix, api_keys)
    }

    /// The same requests to another path.
    pub(crate) fn to_path(
        path: &str,
        run_prefix: &str,
        api_keys: &[String],
    ) -> Result<Self, PaymentSourceError> {
        let visible = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if api_keys.is_empty() {
            return Err(PaymentSourceError::NoApiKey);
        }
        if !api_keys.iter().all(|key| visible(key)) {
            return Err(PaymentSourceError::ApiKey);
        }
        if !visible(run_prefix) || run_prefix.len() > RUN_PREFIX_BYTES_MAX {
            return Err(PaymentSourceError::RunPrefix);
        }
        let head = |key: &String| {
            format!(
                "POST {path} HTTP/1.1\r\nHost: florin\r\nContent-Type: application/json\r\n\
                 Authorization: Bearer {key}\r\nIdempotency-Key: {run_prefix}-"
            )
            .into_bytes()
        };
        Ok(Self {
            counter: Arc::new(AtomicU64::new(0)),
            heads: api_keys.iter().map(head).collect(),
            body: Vec::new(),
        })
    }

    fn write_body(&mut self, number: u64) {
        // The residue of the number first, so that no product overflows.
        let amount_minor = AMOUNT_MINOR_MIN + number % AMOUNTS * AMOUNT_STRIDE % AMOUNTS;
        let customer = number % CUSTOMERS * CUSTOMER_STRIDE % CUSTOMERS;
        let body = &mut self.body;
        body.clear();
        body.extend_from_slice(b"{\"amount\":");
        push_decimal(body, amount_minor);
        body.extend_from_slice(
            b",\"currency\":\"USD\",\"payment_method_id\":\"pm_card_visa\",\"customer_id\":\"cus_",
        );
        push_decimal(body, customer);
        body.extend_from_slice(b"\"}");
    }
}

impl RequestSource for PaymentSource {
    fn next(&mut self, _connection: usize, out: &mut Vec<u8>) {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let turn = usize::try_from(number % self.heads.len() as u64).expect("less than a length");
        self.write_body(number);
        out.extend_from_slice(&self.heads[turn]);
        push_decimal(out, number);
        out.extend_from_slice(b"\r\nContent-Length: ");
        push_decimal(out, self.body.len() as u64);
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(&self.body);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn keys(keys: &[&str]) -> Vec<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    fn next(source: &mut PaymentSource) -> String {
        let mut out = Vec::new();
        source.next(0, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn body(request: &str) -> serde_json::Value {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(
            head.ends_with(&format!("Content-Length: {}", body.len())),
            "{head}"
        );
        serde_json::from_str(body).unwrap()
    }

    #[test]
    fn a_request_is_exactly_this() {
        let mut source = PaymentSource::new("run7", &keys(&["sk_a", "sk_b"])).unwrap();
        next(&mut source);
        let expected = "POST /v1/payments HTTP/1.1\r\nHost: florin\r\nContent-Type: application/json\r\n\
            Authorization: Bearer sk_b\r\nIdempotency-Key: run7-1\r\nContent-Length: 93\r\n\r\n\
            {\"amount\":8419,\"currency\":\"USD\",\"payment_method_id\":\"pm_card_visa\",\"customer_id\":\"cus_70001\"}";
        let request = next(&mut source);
        assert_eq!(request, expected);
        assert_eq!(body(&request)["amount"], 8419);
    }

    #[test]
    fn clones_share_one_numbering_and_keys_take_turns() {
        let mut one = PaymentSource::new("run", &keys(&["sk_a", "sk_b", "sk_c"])).unwrap();
        let mut two = one.clone();
        for number in 0..30 {
            let request = next(if number % 2 == 0 { &mut one } else { &mut two });
            assert!(request.contains(&format!("\r\nIdempotency-Key: run-{number}\r\n")));
            let key = ["sk_a", "sk_b", "sk_c"][number % 3];
            assert!(request.contains(&format!("\r\nAuthorization: Bearer {key}\r\n")));
        }
    }

    #[test]
    fn all_customers_and_amounts_are_visited_before_one_returns() {
        let mut source = PaymentSource::new("run", &keys(&["sk"])).unwrap();
        let mut customers = BTreeSet::new();
        let mut amounts = BTreeSet::new();
        for number in 0..CUSTOMERS {
            let body = body(&next(&mut source));
            assert!(customers.insert(body["customer_id"].as_str().unwrap().to_owned()));
            let amount_minor = body["amount"].as_u64().unwrap();
            assert_eq!(amounts.insert(amount_minor), number < AMOUNTS);
            assert!((AMOUNT_MINOR_MIN..AMOUNT_MINOR_MIN + AMOUNTS).contains(&amount_minor));
        }
    }

    #[test]
    fn texts_that_would_break_a_header_are_refused() {
        let refused = |prefix: &str, api_keys: &[&str]| PaymentSource::new(prefix, &keys(api_keys)).err();
        assert_eq!(refused("run", &[]), Some(PaymentSourceError::NoApiKey));
        assert_eq!(
            refused("run", &["sk_a", "sk\r\nX: y"]),
            Some(PaymentSourceError::ApiKey)
        );
        assert_eq!(refused("run", &[""]), Some(PaymentSourceError::ApiKey));
        assert_eq!(refused("a run", &["sk"]), Some(PaymentSourceError::RunPrefix));
        assert_eq!(
            refused(&"x".repeat(235), &["sk"]),
            Some(PaymentSourceError::RunPrefix)
        );
        assert_eq!(refused(&"x".repeat(234), &["sk"]), None);
    }
}
