//! The port that signs, on the two schemes of `signature`.

use super::signature::{WebhookSecret, sign};
use florin_domain::ids::EventId;
use florin_domain::ports::WebhookSigner;
use florin_domain::time::Timestamp;
use florin_domain::webhook::SigningSecret;
use zeroize::Zeroizing;

/// Signs for the libraries of Stripe and of Standard Webhooks at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct TwoSchemes;

impl WebhookSigner for TwoSchemes {
    fn new_secret(&self) -> Option<SigningSecret> {
        let secret = WebhookSecret::random().ok()?;
        Some(SigningSecret(Zeroizing::new(secret.reveal().to_owned())))
    }

    fn sign(
        &self,
        secrets: &[&SigningSecret],
        id: EventId,
        at: Timestamp,
        body: &[u8],
    ) -> Vec<(&'static str, String)> {
        // Nothing but what was made above is kept. What is no secret proves nothing to anybody, and is left out.
        let parsed = secrets
            .iter()
            .filter_map(|secret| WebhookSecret::parse(&secret.0).ok());
        let parsed: Vec<WebhookSecret> = parsed.collect();
        sign(&parsed, &id.to_string(), at, body).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_that_are_made_sign_and_each_adds_its_own_signature() {
        let (new, old) = (TwoSchemes.new_secret().unwrap(), TwoSchemes.new_secret().unwrap());
        assert_ne!(new, old);
        let (id, at) = (EventId::from_bits(7), Timestamp::from_unix_ms(1_614_265_330_999));
        let body = br#"{"id":"evt"}"#;
        let both = TwoSchemes.sign(&[&new, &old], id, at, body);
        let parsed = [&new, &old].map(|secret| WebhookSecret::parse(&secret.0).unwrap());
        assert_eq!(both, sign(&parsed, &id.to_string(), at, body));
        assert_eq!(
            both[1],
            ("webhook-id", "evt_00000000000000000000000007".to_owned())
        );
        let one = TwoSchemes.sign(&[&new], id, at, body);
        assert_eq!(one, sign(&parsed[..1], &id.to_string(), at, body));
        assert_ne!(one, both);
    }

    #[test]
    fn what_is_no_secret_signs_nothing() {
        let (id, at) = (EventId::from_bits(7), Timestamp::from_unix_ms(1000));
        let none = SigningSecret(Zeroizing::new("whsec_short".to_owned()));
        let headers = TwoSchemes.sign(&[&none], id, at, b"{}");
        assert_eq!(headers[0], ("stripe-signature", "t=1".to_owned()));
        assert_eq!(headers[3], ("webhook-signature", String::new()));
    }
}
