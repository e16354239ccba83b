//! What is a set, and which version a request is made under.

use super::*;
use proptest::prelude::*;

const HMAC: &str = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";

fn fields(named: &[(&str, &str)]) -> CredentialFields {
    let field = |(name, text): &(&str, &str)| (CredentialField::parse(name).unwrap(), SecretText::new(text));
    named.iter().map(field).collect()
}

/// A protocol, fields, and how many fields the set has or why it is none.
type Row<'a> = (CredentialKind, &'a [(&'a str, &'a str)], Result<usize, &'a str>);

#[test]
fn a_set_is_whole_or_the_refusal_names_the_field() {
    use CredentialKind::{Adyen, Stripe};
    let key = ("secret_key", "sk_test_canary_1");
    let account = ("merchant_account", "ShopNL");
    let (api, hmac) = (("api_key", "AQE1canary"), ("hmac_keys", HMAC));
    let table: [Row<'_>; 15] = [
        (Stripe, &[key], Ok(1)),
        (Stripe, &[key, ("webhook_secret", "whsec_canary")], Ok(2)),
        (Adyen, &[api, account, hmac, hmac], Ok(4)),
        (Stripe, &[], Err("`secret_key` is required")),
        (
            Stripe,
            &[("webhook_secret", "whsec_canary")],
            Err("`secret_key` is required"),
        ),
        (Stripe, &[key, key], Err("`secret_key` has too many values")),
        (Stripe, &[key, api], Err("`api_key` is no field of this provider")),
        (
            Stripe,
            &[("secret_key", "short")],
            Err("`secret_key` must be 8 to 512 characters"),
        ),
        (
            Stripe,
            &[("secret_key", "sk_test_a\r\nb: c")],
            Err("`secret_key` must be visible ASCII characters"),
        ),
        (Adyen, &[api, account], Err("`hmac_keys` is required")),
        (Adyen, &[api, hmac], Err("`merchant_account` is required")),
        (Adyen, &[account, hmac], Err("`api_key` is required")),
        (
            Adyen,
            &[api, account, ("hmac_keys", "44")],
            Err("`hmac_keys` must be 64 hexadecimal digits each"),
        ),
        (
            Adyen,
            &[api, account, hmac, hmac, hmac, hmac, hmac],
            Err("`hmac_keys` has too many values"),
        ),
        (
            Adyen,
            &[api, ("merchant_account", ""), hmac],
            Err("`merchant_account` must be 1 to 512 characters"),
        ),
    ];
    for (kind, named, expected) in table {
        let parsed = Credentials::parse(kind, fields(named));
        match (&parsed, expected) {
            (Ok(set), Ok(count)) => assert_eq!(set.fields().len(), count),
            (Err(error), Err(text)) => assert_eq!(error.to_string(), text),
            (got, _) => panic!("{named:?}: {got:?}"),
        }
        // Whatever became of them, no secret is shown.
        let shown = format!("{parsed:?}");
        assert!(!shown.contains("canary") && !shown.contains("44782"), "{shown}");
    }
}

#[test]
fn a_hint_is_the_end_of_a_key_that_is_long_enough() {
    let hint = |key: &str| {
        let set = Credentials::parse(CredentialKind::Stripe, fields(&[("secret_key", key)])).unwrap();
        set.hint().map(|hint| hint.to_string())
    };
    assert_eq!(hint("sk_test_0123456789abcdef").as_deref(), Some("cdef"));
    assert_eq!(hint("sk_test_short"), None);
}

#[test]
fn sets_are_the_same_if_every_secret_is() {
    let set = |named: &[(&str, &str)]| Credentials::parse(CredentialKind::Stripe, fields(named)).unwrap();
    let one = set(&[("secret_key", "sk_test_canary_1")]);
    assert!(one.are(&set(&[("secret_key", "sk_test_canary_1")])));
    assert!(!one.are(&set(&[("secret_key", "sk_test_canary_2")])));
    assert!(!one.are(&set(&[("secret_key", "sk_test_canary_12")])));
    assert!(!one.are(&set(&[
        ("secret_key", "sk_test_canary_1"),
        ("webhook_secret", "whsec_12")
    ])));
}

fn version(
    version: u32,
    created_ms: u64,
    retired_ms: Option<u64>,
    account: Option<&str>,
) -> CredentialVersion {
    CredentialVersion {
        version,
        created_at: Timestamp::from_unix_ms(created_ms),
        retired_at: retired_ms.map(Timestamp::from_unix_ms),
        fields: vec![CredentialField::SecretKey],
        hint: None,
        livemode: false,
        account: account.map(Arc::from),
    }
}

#[test]
fn a_request_is_made_under_what_was_in_force_when_its_object_was_made() {
    let choice = |versions: &[CredentialVersion], at_ms| choose(versions, Timestamp::from_unix_ms(at_ms));
    let rotated = [version(1, 100, None, None), version(2, 200, None, None)];
    for (at_ms, expected) in [
        (99, Choice::Configured),
        (100, Choice::Version(1)),
        (199, Choice::Version(1)),
        (200, Choice::Version(2)),
    ] {
        assert_eq!(choice(&rotated, at_ms), expected, "{at_ms}");
    }
    // The newest stands in for what is retired.
    let retired = [version(1, 100, Some(300), None), version(2, 200, None, None)];
    assert_eq!(choice(&retired, 150), Choice::Version(2));
    assert_eq!(choice(&retired, 350), Choice::Version(2));
    // A new version that was a mistake is taken back.
    let undone = [version(1, 100, None, None), version(2, 200, Some(300), None)];
    assert_eq!(choice(&undone, 250), Choice::Version(1));
    assert_eq!(choice(&undone, 300), Choice::Version(1));
    // Nothing is left for what was made before; later payments go under the configured key again.
    let none = [version(1, 100, Some(300), None)];
    assert_eq!(choice(&none, 299), Choice::Gone);
    assert_eq!(choice(&none, 300), Choice::Configured);
    assert_eq!(choice(&[], 300), Choice::Configured);
    // Another account never stands in: the same request would be another one there.
    let moved = [
        version(1, 100, Some(300), Some("A")),
        version(2, 200, None, Some("B")),
    ];
    assert_eq!(choice(&moved, 150), Choice::Gone);
    assert_eq!(choice(&moved, 250), Choice::Version(2));
}

proptest! {
    /// Later changes never move a request to another version as long as its own is present.
    #[test]
    fn later_versions_do_not_change_an_earlier_choice(
        gaps in proptest::collection::vec(1_u64..100, 1..8),
        at_ms in 0_u64..1000,
        more in 1_u64..100,
    ) {
        let mut created_ms = 0;
        let mut versions = Vec::new();
        for (number, gap) in (1..).zip(gaps) {
            created_ms = gap.saturating_add(created_ms);
            versions.push(version(number, created_ms, None, None));
        }
        let at = Timestamp::from_unix_ms(at_ms);
        let before = choose(&versions, at);
        versions.push(version(99, created_ms.max(at_ms).saturating_add(more), None, None));
        prop_assert_eq!(choose(&versions, at), before);
    }
}
