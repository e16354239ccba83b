//! Who is believed, of what mode, and about whom.

use super::*;
use aws_lc_rs::hmac;
use florin_domain::credentials::{CredentialField, CredentialKind, SecretText};
use florin_domain::time::Timestamp;
use std::fmt::Write as _;

const NOW_S: u64 = 1_800_000_000;

#[derive(Debug)]
struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(NOW_S * 1_000)
    }
}

fn stripe() -> ProviderId {
    ProviderId::parse("stripe").unwrap()
}

fn reader(secret_key: &str, secrets: &[&str]) -> StripeNotices {
    let secrets = secrets.iter().map(|secret| WebhookSecret::new(secret)).collect();
    StripeNotices::new(Arc::new(Standing)).with(stripe(), secret_key, secrets)
}

/// That a sale was made.
fn body(livemode: bool) -> String {
    format!(
        r#"{{"id":"evt_1","type":"payment_intent.succeeded","livemode":{livemode},"data":{{"object":{{"id":"pi_1","status":"succeeded",
        "currency":"usd","amount":1500,"amount_received":1500,"latest_charge":"ch_1","capture_method":"automatic",
        "metadata":{{"payment_id":"pay_00000000000000000000000007"}}}}}}}}"#
    )
}

fn sealed(secret: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{NOW_S}.{body}").as_bytes());
    tag.as_ref()
        .iter()
        .fold(format!("t={NOW_S},v1="), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
}

fn read(reader: &StripeNotices, secret: &str, body: &str) -> Result<Vec<Notice>, NoticeRefusal> {
    let seal = sealed(secret, body);
    let letter = Letter {
        body: body.as_bytes(),
        seal: Some(&seal),
    };
    reader.read(stripe(), letter, Compared::Everybodys)
}

fn signer_of(reader: &StripeNotices, secret: &str, livemode: bool) -> Result<Signer, NoticeRefusal> {
    let notices = read(reader, secret, &body(livemode))?;
    assert_eq!(notices.len(), 1);
    let mut signer = notices[0].signer.clone();
    if let Signer::Merchants(merchants) = &mut signer {
        merchants.sort_unstable();
    }
    Ok(signer)
}

fn set(secret_key: &str, webhook_secret: Option<&str>) -> Credentials {
    let secret_key = (CredentialField::SecretKey, SecretText::new(secret_key));
    let webhook = webhook_secret.map(|secret| (CredentialField::WebhookSecret, SecretText::new(secret)));
    Credentials::parse(
        CredentialKind::Stripe,
        [secret_key].into_iter().chain(webhook).collect(),
    )
    .unwrap()
}

#[test]
fn an_event_is_believed_under_any_secret_of_the_account_and_no_other() {
    let both = reader("sk_test_1", &["whsec_old", "whsec_new"]);
    assert_eq!(both.seal(stripe()), Some("Stripe-Signature"));
    for secret in ["whsec_old", "whsec_new"] {
        assert_eq!(signer_of(&both, secret, false), Ok(Signer::Platform), "{secret}");
    }
    assert_eq!(signer_of(&both, "whsec_other", false), Err(STRANGE));
    let other = ProviderId::parse("other").unwrap();
    let letter = Letter {
        body: b"{}",
        seal: None,
    };
    assert_eq!(
        both.read(other, letter, Compared::Everybodys),
        Err(NoticeRefusal::NoSuchProvider)
    );
    assert_eq!(both.seal(other), None);
    let silent = reader("sk_test_1", &[]);
    assert_eq!(
        signer_of(&silent, "whsec_old", false),
        Err(NoticeRefusal::NoSuchProvider)
    );
}

#[test]
fn nothing_of_the_body_is_believed_before_its_signature_is_known() {
    let reader = reader("sk_test_1", &["whsec_1"]);
    for body in ["", "{}", "[]", "no JSON"] {
        let seal = sealed("whsec_other", body);
        let letter = |seal| Letter {
            body: body.as_bytes(),
            seal,
        };
        assert_eq!(
            reader.read(stripe(), letter(Some(&seal)), Compared::Everybodys),
            Err(STRANGE),
            "{body}"
        );
        assert!(
            matches!(
                reader.read(stripe(), letter(None), Compared::Everybodys),
                Err(NoticeRefusal::Seal {
                    why: "is missing",
                    ..
                })
            ),
            "{body}"
        );
        assert!(
            matches!(
                read(&reader, "whsec_1", body),
                Err(NoticeRefusal::Malformed { field: "type", .. })
            ),
            "{body}"
        );
    }
    // Signed, and one byte of it changed on the way.
    let (body, seal) = (body(false), sealed("whsec_1", &body(false)));
    let changed = body.replace("1500", "9500");
    let letter = Letter {
        body: changed.as_bytes(),
        seal: Some(&seal),
    };
    assert_eq!(reader.read(stripe(), letter, Compared::Everybodys), Err(STRANGE));
}

#[test]
fn an_event_is_of_the_mode_of_the_account_whose_secret_signed_it() {
    let (test, live) = (
        reader("sk_test_1", &["whsec_1"]),
        reader("sk_live_1", &["whsec_1"]),
    );
    assert_eq!(signer_of(&test, "whsec_1", false), Ok(Signer::Platform));
    assert_eq!(signer_of(&live, "whsec_1", true), Ok(Signer::Platform));
    for (reader, livemode) in [(&test, true), (&live, false)] {
        let refused = signer_of(reader, "whsec_1", livemode);
        assert!(
            matches!(
                refused,
                Err(NoticeRefusal::Malformed {
                    field: "livemode",
                    ..
                })
            ),
            "{refused:?}"
        );
    }
}

#[test]
fn a_merchants_own_secret_speaks_for_the_merchants_that_have_it() {
    let (one, two) = (MerchantId::from_bits(1), MerchantId::from_bits(2));
    let with = |configured: &[&str], sets: Vec<(MerchantId, Credentials)>| {
        let sets = sets
            .into_iter()
            .map(|(merchant, set)| ((merchant, stripe()), set));
        reader("sk_test_1", configured).with_credentials(Book::holding(sets.collect()))
    };
    let own = |secret| set("sk_test_canary_1", Some(secret));
    let several = with(&[], vec![(one, own("whsec_one")), (two, own("whsec_two"))]);
    assert_eq!(
        signer_of(&several, "whsec_one", false),
        Ok(Signer::Merchants(vec![one]))
    );
    let shared = with(&[], vec![(one, own("whsec_one")), (two, own("whsec_one"))]);
    assert_eq!(
        signer_of(&shared, "whsec_one", false),
        Ok(Signer::Merchants(vec![one, two]))
    );
    // Both versions of a set that is exchanged.
    let rotated = with(&[], vec![(one, own("whsec_old")), (one, own("whsec_new"))]);
    for secret in ["whsec_old", "whsec_new"] {
        assert_eq!(
            signer_of(&rotated, secret, false),
            Ok(Signer::Merchants(vec![one]))
        );
    }
    let configured = with(&["whsec_one"], vec![(one, own("whsec_one"))]);
    assert_eq!(signer_of(&configured, "whsec_one", false), Ok(Signer::Platform));
    // A set without a secret signs nothing, and a live one nothing of test mode.
    let silent = with(&["whsec_1"], vec![(one, set("sk_test_canary_1", None))]);
    assert_eq!(signer_of(&silent, "whsec_one", false), Err(STRANGE));
    let live = with(&[], vec![(one, set("sk_live_canary_1", Some("whsec_one")))]);
    assert!(signer_of(&live, "whsec_one", false).is_err());
    assert_eq!(
        signer_of(&live, "whsec_one", true),
        Ok(Signer::Merchants(vec![one]))
    );
}

#[test]
fn a_letter_that_names_a_payment_costs_no_comparison_with_anybody_elses_secrets() {
    let (one, two) = (MerchantId::from_bits(1), MerchantId::from_bits(2));
    let sets = [one, two].map(|merchant| {
        let set = set("sk_test_canary_1", Some(&format!("whsec_of_{merchant}")));
        ((merchant, stripe()), set)
    });
    let reader = reader("sk_test_1", &["whsec_1"]).with_credentials(Book::holding(sets.into()));
    let body = body(false);
    let read = |secret: &str, compared| {
        let seal = sealed(secret, &body);
        let letter = Letter {
            body: body.as_bytes(),
            seal: Some(&seal),
        };
        let notices = reader.read(stripe(), letter, compared)?;
        Ok(notices[0].signer.clone())
    };
    let of_two = format!("whsec_of_{two}");
    let by_two = || Ok(Signer::Merchants(vec![two]));
    assert_eq!(read(&of_two, Compared::Everybodys), by_two());
    assert_eq!(read(&of_two, Compared::Only(two)), by_two());
    for compared in [Compared::Only(one), Compared::PlatformsOnly] {
        assert_eq!(read(&of_two, compared), Err(STRANGE), "{compared:?}");
        assert_eq!(read("whsec_1", compared), Ok(Signer::Platform), "{compared:?}");
    }
}

#[test]
fn the_payment_that_a_letter_names_is_found_whatever_it_says_and_only_if_it_may_be_signed() {
    let own = || {
        vec![(
            (MerchantId::from_bits(1), stripe()),
            set("sk_test_canary_1", Some("whsec_one")),
        )]
    };
    let of_refund = r#"{"type":"refund.updated","livemode":false,"data":{"object":{"metadata":{"x":"y","payment_id":"pay_00000000000000000000000007"}}}}"#;
    let expected = PaymentId::parse("pay_00000000000000000000000007").ok();
    let plain = reader("sk_test_1", &["whsec_1"]);
    let with_own = reader("sk_test_1", &["whsec_1"]).with_credentials(Book::holding(own()));
    let seal = sealed("whsec_other", "");
    let names = |reader: &StripeNotices, seal, body: &str| {
        let body = body.as_bytes();
        reader.names(stripe(), Letter { body, seal })
    };
    for body in [of_refund, &body(false)] {
        assert_eq!(names(&with_own, Some(&seal), body), expected, "{body}");
        // Nothing is spared where there is nobody else's secret, and nothing is looked at without a signature.
        assert_eq!(names(&plain, Some(&seal), body), None);
        assert_eq!(names(&with_own, None, body), None);
        assert_eq!(names(&with_own, Some("t=1,v1=00"), body), None);
    }
    let none = [
        "",
        "{}",
        r#"{"data":{"object":{}}}"#,
        r#"{"data":{"object":{"metadata":{"payment_id":"pay_1"}}}}"#,
        r#"{"data":{"object":{"metadata":null}}}"#,
    ];
    for body in none {
        assert_eq!(names(&with_own, Some(&seal), body), None, "{body}");
    }
}
