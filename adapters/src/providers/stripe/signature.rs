//! Stripe's signature of what it sends by itself: an HMAC over the time and the very bytes of the body, in a header.

use aws_lc_rs::{constant_time, hmac};
use florin_domain::provider::NoticeRefusal;
use florin_domain::time::Timestamp;
use std::fmt;
use zeroize::Zeroizing;

/// The header.
pub(super) const HEADER: &str = "Stripe-Signature";
/// How far the time of a signature may be from ours, in either direction: what was recorded on the way is not believed later.
const TOLERANCE_S: u64 = 300;
/// Stripe signs with every secret that is valid, which are two while one is replaced by another.
const TAGS_MAX: usize = 8;
const TAG_BYTES: usize = 32;
/// Longer headers are none of Stripe's.
const HEADER_BYTES_MAX: usize = 2_048;

/// The secret of a webhook endpoint (`whsec_...`). It never shows itself.
#[derive(Clone)]
pub struct WebhookSecret(Zeroizing<Vec<u8>>);

impl WebhookSecret {
    /// Takes the secret as Stripe shows it: all of it is the key.
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.as_bytes().to_vec()))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(***)")
    }
}

/// What the header says: `t=<Unix seconds>,v1=<64 hexadecimal digits>`, with several `v1` while secrets are replaced.
#[derive(Debug)]
pub(super) struct Seal<'a> {
    /// As it was written, which is what was signed.
    signed_at: &'a str,
    tags: Vec<[u8; TAG_BYTES]>,
}

const fn refused(why: &'static str) -> NoticeRefusal {
    NoticeRefusal::Seal { header: HEADER, why }
}

impl<'a> Seal<'a> {
    /// Reads the header and looks at its time, which costs next to nothing: whoever has no signature gets no further.
    pub(super) fn parse(header: Option<&'a str>, now: Timestamp) -> Result<Self, NoticeRefusal> {
        let header = header.ok_or(refused("is missing"))?;
        if header.len() > HEADER_BYTES_MAX {
            return Err(refused("is too long"));
        }
        let (mut signed_at, mut tags) = (None, Vec::new());
        for part in header.split(',') {
            match part.trim().split_once('=') {
                Some(("t", _)) if signed_at.is_some() => return Err(refused("has more than one time `t`")),
                Some(("t", text)) => signed_at = Some(text),
                // One that cannot be right says nothing of the others.
                Some(("v1", digits)) => tags.extend(tag(digits)),
                // Other schemes are weaker, or for tests of Stripe's own.
                Some(_) | None => {}
            }
        }
        let signed_at = signed_at.ok_or(refused("has no time `t`"))?;
        if tags.is_empty() {
            return Err(refused("has no signature `v1` of 64 hexadecimal digits"));
        }
        if tags.len() > TAGS_MAX {
            return Err(refused("has too many signatures"));
        }
        let is_whole = !signed_at.is_empty() && signed_at.bytes().all(|byte| byte.is_ascii_digit());
        let at_s = signed_at.parse::<u64>().ok().filter(|_| is_whole);
        let at_s = at_s.ok_or(refused("has a time `t` that is no number of seconds"))?;
        if at_s.abs_diff(now.unix_ms() / 1_000) > TOLERANCE_S {
            return Err(refused("was signed more than five minutes from now"));
        }
        Ok(Self { signed_at, tags })
    }

    /// Whether any of these secrets signed the body. All are tried, and all signatures with each, so that the time says nothing.
    pub(super) fn is_by(&self, secrets: &[WebhookSecret], body: &[u8]) -> bool {
        let mut is_signed = false;
        for secret in secrets {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &secret.0);
            let mut context = hmac::Context::with_key(&key);
            context.update(self.signed_at.as_bytes());
            context.update(b".");
            context.update(body);
            let expected = context.sign();
            for tag in &self.tags {
                is_signed |= constant_time::verify_slices_are_equal(expected.as_ref(), tag).is_ok();
            }
        }
        is_signed
    }
}

/// Signed by nobody whom we know.
pub(super) const STRANGE: NoticeRefusal =
    refused("is no signature of this body by any secret of this provider");

fn tag(digits: &str) -> Option<[u8; TAG_BYTES]> {
    if digits.len() != TAG_BYTES * 2 {
        return None;
    }
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let mut tag = [0; TAG_BYTES];
    for (byte, pair) in tag.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;
    use std::slice::from_ref;

    const BODY: &[u8] = br#"{"id":"evt_1"}"#;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_ms(seconds * 1_000)
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    }

    /// By the book, and by another function than the one under test.
    fn signature(secret: &str, signed_at: &str, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let payload = [signed_at.as_bytes(), b".", body].concat();
        hex(hmac::sign(&key, &payload).as_ref())
    }

    fn why(header: Option<&str>, now_s: u64) -> &'static str {
        match Seal::parse(header, at(now_s)) {
            Ok(_) => "",
            Err(NoticeRefusal::Seal { header: HEADER, why }) => why,
            Err(other) => panic!("{other:?}"),
        }
    }

    /// By OpenSSL: `printf '1492774577.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test`.
    #[test]
    fn the_code_is_that_of_another_implementation() {
        let header = "t=1492774577,v1=7656fc2882a7ca0a651666b36bf2f2f22ee204f54f608f227498a2419f2890b2";
        let seal = Seal::parse(Some(header), at(1_492_774_577)).unwrap();
        assert!(seal.is_by(&[WebhookSecret::new("whsec_test")], BODY));
    }

    #[test]
    fn any_of_several_signatures_may_be_of_any_of_several_secrets_over_the_raw_bytes() {
        let (old, new) = (WebhookSecret::new("whsec_old"), WebhookSecret::new("whsec_new"));
        let header = format!(
            "t=1000,v0=ff,v1=zz,v1={},v1={}",
            signature("whsec_other", "1000", BODY),
            signature("whsec_new", "1000", BODY),
        );
        let seal = Seal::parse(Some(&header), at(1_000)).unwrap();
        assert!(seal.is_by(&[old.clone(), new.clone()], BODY));
        assert!(!seal.is_by(from_ref(&old), BODY) && !seal.is_by(&[], BODY));
        // One blank more is another body, and another time another signature.
        assert!(!seal.is_by(from_ref(&new), br#"{"id": "evt_1"}"#));
        let moved = header.replace("t=1000", "t=1001");
        let seal = Seal::parse(Some(&moved), at(1_000)).unwrap();
        assert!(!seal.is_by(from_ref(&new), BODY));
    }

    #[test]
    fn what_is_too_old_or_too_new_or_no_signature_is_refused_before_anything_is_computed() {
        let tag = "0".repeat(64);
        let header = format!("t=1000,v1={tag}");
        for now_s in [700, 1_000, 1_300] {
            assert_eq!(why(Some(&header), now_s), "", "{now_s}");
        }
        for now_s in [699, 1_301] {
            assert_eq!(
                why(Some(&header), now_s),
                "was signed more than five minutes from now"
            );
        }
        let many = format!("t=1000{}", format!(",v1={tag}").repeat(9));
        let long = format!("t=1000,v1={tag},v0={}", "0".repeat(3_000));
        let table: [(Option<&str>, &str); 9] = [
            (None, "is missing"),
            (Some(""), "has no time `t`"),
            (Some("t=1000"), "has no signature `v1` of 64 hexadecimal digits"),
            (
                Some("t=1000,v1=00,v0=00"),
                "has no signature `v1` of 64 hexadecimal digits",
            ),
            (
                Some(&header.replace("t=1000", "t=+1000")),
                "has a time `t` that is no number of seconds",
            ),
            (
                Some(&header.replace("t=1000", "t=")),
                "has a time `t` that is no number of seconds",
            ),
            (Some(&format!("{header},t=1000")), "has more than one time `t`"),
            (Some(&many), "has too many signatures"),
            (Some(&long), "is too long"),
        ];
        for (header, expected) in table {
            assert_eq!(why(header, 1_000), expected, "{header:?}");
        }
    }

    #[test]
    fn a_secret_hides() {
        assert_eq!(
            format!("{:?}", WebhookSecret::new("whsec_1")),
            "WebhookSecret(***)"
        );
    }
}
