//! What a browser holds: which link it pays, under which key, until when, and what it has tried. All of it is in the text, under a seal, so
//! that the server keeps nothing for those who only look.

use florin_domain::ids::{MethodId, PaymentId, PaymentLinkId};
use florin_domain::ports::ClientSecrets;
use florin_domain::time::Timestamp;

/// How a session's text begins.
pub(super) const PREFIX: &str = "cs_";
/// So long it may pay.
pub(super) const LIFETIME_S: u64 = 30 * 60;
/// So long afterwards it is still known, if it has no payment.
const LOOKING_S: u64 = 30 * 60;
/// A page is shown with at least so much left, which is time to find one's card.
const LEFT_MIN_S: u64 = 10 * 60;

const BITS: usize = 32;
const MOMENT: usize = 10;

/// A session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(super) link: PaymentLinkId,
    /// Of which the keys of its payment are made.
    draw: u128,
    expires_s: u64,
    /// What it has begun to pay.
    payment: Option<PaymentId>,
    /// The card that was last tried for that.
    method: Option<MethodId>,
}

impl Session {
    /// A new one.
    pub(super) fn begin(link: PaymentLinkId, draw: u128, now: Timestamp) -> Self {
        Self {
            link,
            draw,
            expires_s: now.unix_s().saturating_add(LIFETIME_S),
            payment: None,
            method: None,
        }
    }

    /// The same with a payment, for which no card was tried yet.
    pub(super) const fn having_begun(self, payment: PaymentId) -> Self {
        Self {
            payment: Some(payment),
            method: None,
            ..self
        }
    }

    /// The same after a try.
    pub(super) const fn having_tried(self, payment: PaymentId, method: MethodId) -> Self {
        Self {
            payment: Some(payment),
            method: Some(method),
            ..self
        }
    }

    /// The same on a page that is shown now, with time enough to find one's card: it goes on with its payment and makes no other.
    pub(super) fn renewed(self, now: Timestamp) -> Self {
        if self.has_time(now) {
            return self;
        }
        Self {
            expires_s: now.unix_s().saturating_add(LIFETIME_S),
            ..self
        }
    }

    /// The payment that it has begun.
    pub(super) const fn payment(&self) -> Option<PaymentId> {
        self.payment
    }

    /// The card with which it last tried to pay that.
    pub(super) const fn method(&self) -> Option<MethodId> {
        self.method
    }

    /// Both are one customer's one try, whatever each knows of it.
    pub(super) const fn is_same(&self, other: &Self) -> bool {
        self.draw == other.draw
    }

    /// It may pay.
    pub(super) const fn is_open(&self, now: Timestamp) -> bool {
        now.unix_s() < self.expires_s
    }

    /// It may begin to pay on a page that is shown now.
    pub(super) fn has_time(&self, now: Timestamp) -> bool {
        now.unix_s().saturating_add(LEFT_MIN_S) < self.expires_s
    }

    /// It may see how things stand. What became of its payment it may always see: a review takes days, and a payment that is forgotten while
    /// it is under way is paid twice.
    pub(super) const fn may_look(&self, now: Timestamp) -> bool {
        self.payment.is_some() || now.unix_s() < self.expires_s.saturating_add(LOOKING_S)
    }

    /// An idempotency key that nobody else comes to: of this session, for this purpose.
    pub(super) fn key(&self, secrets: &dyn ClientSecrets, purpose: &str) -> String {
        key(secrets, &format!("session {:032x} {purpose}", self.draw))
    }

    fn words(&self) -> String {
        let payment = self.payment.map_or(0, PaymentId::bits);
        let method = self.method.map_or(0, MethodId::bits);
        let (link, draw, expires_s) = (self.link.bits(), self.draw, self.expires_s);
        format!("{link:032x}{draw:032x}{expires_s:010x}{payment:032x}{method:032x}")
    }

    /// As a browser holds it.
    pub(super) fn written(&self, secrets: &dyn ClientSecrets) -> String {
        let words = self.words();
        let seal = secrets.checkout_seal(&format!("session {words}"));
        format!("{PREFIX}{words}{seal:032x}")
    }

    /// Reads one that is ours.
    pub(super) fn read(secrets: &dyn ClientSecrets, text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix(PREFIX)?;
        let mut take = |digits: usize| {
            let (part, after) = rest.split_at_checked(digits)?;
            rest = after;
            u128::from_str_radix(part, 16).ok()
        };
        let (link, draw) = (take(BITS)?, take(BITS)?);
        let expires_s = u64::try_from(take(MOMENT)?).ok()?;
        let (payment, method) = (take(BITS)?, take(BITS)?);
        take(BITS)?;
        let session = Self {
            link: PaymentLinkId::from_bits(link),
            draw,
            expires_s,
            payment: (payment != 0).then(|| PaymentId::from_bits(payment)),
            method: (method != 0).then(|| MethodId::from_bits(method)),
        };
        // Of one session there is one text, so everything that was read is under the seal.
        (session.written(secrets) == text).then_some(session)
    }
}

/// The idempotency key of a purpose that is the link's, whichever session serves it.
pub(super) fn link_key(secrets: &dyn ClientSecrets, link: PaymentLinkId, purpose: &str) -> String {
    key(secrets, &format!("link {link} {purpose}"))
}

fn key(secrets: &dyn ClientSecrets, words: &str) -> String {
    format!("checkout-{:032x}", secrets.checkout_seal(&format!("key {words}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not safe, and enough to see what is under the seal.
    #[derive(Debug)]
    struct Sum(u128);

    impl ClientSecrets for Sum {
        fn client_secret(&self, payment: PaymentId) -> u128 {
            payment.bits()
        }

        fn checkout_seal(&self, words: &str) -> u128 {
            words.bytes().fold(self.0, |sum, byte| {
                sum.wrapping_mul(0x0100_0193).wrapping_add(u128::from(byte))
            })
        }
    }

    const NOW: Timestamp = Timestamp::from_unix_ms(1_795_348_800_000);

    fn session() -> Session {
        Session::begin(PaymentLinkId::from_bits(7), 8, NOW)
    }

    fn after(seconds: u64) -> Timestamp {
        Timestamp::from_unix_ms(NOW.unix_ms() + seconds * 1000)
    }

    #[test]
    fn a_session_reads_back_and_any_other_text_is_none() {
        let tried = session().having_tried(PaymentId::from_bits(9), MethodId::from_bits(10));
        let begun = session().having_begun(PaymentId::from_bits(9));
        for session in [session(), begun, tried] {
            let text = session.written(&Sum(1));
            assert!(text.len() <= 200, "it is sent as a key: {}", text.len());
            assert_eq!(Session::read(&Sum(1), &text), Some(session));
            assert_eq!(Session::read(&Sum(2), &text), None, "of another node");
            for at in PREFIX.len()..text.len() {
                let mut bytes = text.clone().into_bytes();
                bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
                let other = String::from_utf8(bytes).unwrap();
                assert_eq!(Session::read(&Sum(1), &other), None, "{at}");
            }
            for other in [
                text.to_uppercase(),
                format!("{text}0"),
                text[..text.len() - 1].to_owned(),
                String::new(),
                "cs_".to_owned(),
                "cs_ü".repeat(60),
            ] {
                assert_eq!(Session::read(&Sum(1), &other), None, "{other}");
            }
        }
    }

    #[test]
    fn it_pays_for_half_an_hour_and_looks_for_an_hour_or_as_long_as_it_has_a_payment() {
        let session = session();
        let begun = session.having_begun(PaymentId::from_bits(9));
        let late = after(31 * 24 * 3600);
        assert!(begun.may_look(late) && !begun.is_open(late));
        assert_eq!(begun.renewed(NOW), begun);
        let renewed = begun.renewed(late);
        assert!(renewed.has_time(late) && renewed.is_same(&begun));
        assert_eq!(renewed.payment(), begun.payment());
        for (seconds, expected) in [
            (0, (true, true, true)),
            (LIFETIME_S - LEFT_MIN_S, (true, false, true)),
            (LIFETIME_S - 1, (true, false, true)),
            (LIFETIME_S, (false, false, true)),
            (LIFETIME_S + LOOKING_S, (false, false, false)),
        ] {
            let now = after(seconds);
            let found = (session.is_open(now), session.has_time(now), session.may_look(now));
            assert_eq!(found, expected, "{seconds}");
        }
    }

    #[test]
    fn a_key_is_of_one_session_or_link_and_one_purpose() {
        let other = Session::begin(PaymentLinkId::from_bits(7), 9, NOW);
        let keys = [
            session().key(&Sum(1), "payment"),
            session().key(&Sum(1), "card"),
            session().key(&Sum(2), "payment"),
            other.key(&Sum(1), "payment"),
            link_key(&Sum(1), PaymentLinkId::from_bits(7), "payment"),
            link_key(&Sum(1), PaymentLinkId::from_bits(8), "payment"),
        ];
        for (place, key) in keys.iter().enumerate() {
            assert!(!keys[place + 1..].contains(key), "{place}");
        }
        let tried = session().having_tried(PaymentId::from_bits(9), MethodId::from_bits(10));
        assert_eq!(
            tried.key(&Sum(1), "payment"),
            keys[0],
            "a try makes no other payment"
        );
    }
}
