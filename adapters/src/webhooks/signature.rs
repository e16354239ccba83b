//! Signatures of what is delivered. One secret serves two schemes: the whole text `whsec_...` is the key of `Stripe-Signature`, and what its
//! base 64 stands for is the key of Standard Webhooks' `webhook-signature`. While a secret is replaced by another, both sign.

use crate::base64;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use florin_domain::time::Timestamp;
use std::fmt::{self, Write as _};
use thiserror::Error;
use zeroize::Zeroizing;

const PREFIX: &str = "whsec_";
/// Bytes of a key that is made here; Standard Webhooks takes 24 to 64.
const KEY_BYTES: usize = 32;
const KEY_BYTES_MIN: usize = 24;
const KEY_BYTES_MAX: usize = 64;

/// Why a text is no secret, or none can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SecretError {
    /// It is not of the form.
    #[error("a webhook secret is `whsec_` and the base 64 of 24 to 64 bytes")]
    Malformed,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness,
}

/// The secret of a webhook endpoint. It never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret {
    text: Zeroizing<String>,
    key: Zeroizing<Vec<u8>>,
}

impl WebhookSecret {
    /// A new one.
    ///
    /// # Errors
    /// If the system gives no random bytes.
    pub fn random() -> Result<Self, SecretError> {
        let mut key = Zeroizing::new(vec![0; KEY_BYTES]);
        let filled = SystemRandom::new().fill(key.as_mut_slice());
        filled.map_err(|_| SecretError::NoRandomness)?;
        let text = Zeroizing::new(format!("{PREFIX}{}", base64::encode(&key)));
        Ok(Self { text, key })
    }

    /// Reads the written form.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let key = text.strip_prefix(PREFIX).and_then(base64::decode);
        let key = Zeroizing::new(key.ok_or(SecretError::Malformed)?);
        if !(KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&key.len()) {
            return Err(SecretError::Malformed);
        }
        let text = Zeroizing::new(text.to_owned());
        Ok(Self { text, key })
    }

    /// The written form, for its owner alone.
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(***)")
    }
}

fn tag(key: &[u8], parts: &[&[u8]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    context.sign()
}

/// The headers that prove a body to whoever has one of the secrets: those of Stripe and those of Standard Webhooks. `id` is the same for every
/// delivery of the same event, and has no full stop in it.
pub fn sign(secrets: &[WebhookSecret], id: &str, at: Timestamp, body: &[u8]) -> [(&'static str, String); 4] {
    let at_s = at.unix_s().to_string();
    let (mut stripe, mut standard) = (format!("t={at_s}"), String::new());
    for secret in secrets {
        stripe.push_str(",v1=");
        for byte in tag(secret.text.as_bytes(), &[at_s.as_bytes(), b".", body]).as_ref() {
            write!(stripe, "{byte:02x}").expect("a string takes every text");
        }
        let signed = tag(&secret.key, &[id.as_bytes(), b".", at_s.as_bytes(), b".", body]);
        let space = if standard.is_empty() { "" } else { " " };
        write!(standard, "{space}v1,{}", base64::encode(signed.as_ref())).expect("a string takes every text");
    }
    [
        ("stripe-signature", stripe),
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", at_s),
        ("webhook-signature", standard),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const TEXT: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn signed(secrets: &[WebhookSecret]) -> HashMap<&'static str, String> {
        let at = Timestamp::from_unix_ms(1_614_265_330_999);
        sign(secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, BODY).into()
    }

    /// The published example of Standard Webhooks; Stripe's was computed with Python's `hmac`.
    #[test]
    fn signatures_are_those_of_the_published_example() {
        let headers = signed(&[WebhookSecret::parse(TEXT).unwrap()]);
        assert_eq!(headers["webhook-id"], "msg_p5jXN8AQM9LWM0D4loKWxJek");
        assert_eq!(headers["webhook-timestamp"], "1614265330");
        assert_eq!(
            headers["webhook-signature"],
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        assert_eq!(
            headers["stripe-signature"],
            "t=1614265330,v1=2e37df5d4a028c51a7f3133d64ae1e300d2c2c900f1b1d49d4369ad2530f8964"
        );
    }

    #[test]
    fn while_secrets_are_replaced_both_sign() {
        let (old, new) = (
            WebhookSecret::parse(TEXT).unwrap(),
            WebhookSecret::random().unwrap(),
        );
        let (first, second) = (
            signed(std::slice::from_ref(&new)),
            signed(std::slice::from_ref(&old)),
        );
        let both = signed(&[new, old]);
        let standard = format!("{} {}", first["webhook-signature"], second["webhook-signature"]);
        assert_eq!(both["webhook-signature"], standard);
        let tail = second["stripe-signature"].strip_prefix("t=1614265330").unwrap();
        assert_eq!(
            both["stripe-signature"],
            format!("{}{tail}", first["stripe-signature"])
        );
    }

    #[test]
    fn secrets_are_made_and_read_in_one_form_and_never_shown() {
        let made = WebhookSecret::random().unwrap();
        assert_eq!(WebhookSecret::parse(made.reveal()).as_ref(), Ok(&made));
        assert_ne!(WebhookSecret::random().as_ref(), Ok(&made));
        assert!(!format!("{made:?}").contains(made.reveal()));
        let of = |bytes: usize| format!("whsec_{}", base64::encode(&vec![7; bytes]));
        for text in [of(24), of(64)] {
            assert!(WebhookSecret::parse(&text).is_ok(), "{text}");
        }
        for text in [
            of(23),
            of(65),
            of(0),
            String::new(),
            TEXT.replace("whsec_", "whsk_"),
            format!("{TEXT}="),
        ] {
            assert_eq!(WebhookSecret::parse(&text), Err(SecretError::Malformed), "{text}");
        }
    }
}
