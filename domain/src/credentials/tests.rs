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
    // The oldest newer one stands in for what is retired, whatever is made later, and what stands in for that one in its turn.
    let retired = [
        version(1, 100, Some(300), None),
        version(2, 200, Some(500), None),
        version(3, 250, None, None),
        version(4, 400, None, None),
    ];
    for (known, expected) in [(2, 2), (3, 2), (4, 3)] {
        let mut so_far = retired[..known].to_vec();
        if known < 4 {
            so_far[1].retired_at = None;
        }
        assert_eq!(choice(&so_far, 150), Choice::Version(expected), "{known}");
    }
    assert_eq!(choice(&retired, 350), Choice::Version(3));
    // A new version that was a mistake is taken back.
    let undone = [version(1, 100, None, None), version(2, 200, Some(300), None)];
    assert_eq!(choice(&undone, 250), Choice::Version(1));
    assert_eq!(choice(&undone, 300), Choice::Version(1));
    let next = [undone[0].clone(), undone[1].clone(), version(3, 400, None, None)];
    assert_eq!(
        choice(&next, 250),
        Choice::Version(1),
        "as before there was a third"
    );
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

/// What is done to a merchant's versions, some time after what was done before.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A new one, of one of two accounts.
    Put(bool),
    /// One that is present is retired, if there is any.
    Retire(usize),
}

fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let step = prop_oneof![
        any::<bool>().prop_map(Step::Put),
        any::<usize>().prop_map(Step::Retire)
    ];
    proptest::collection::vec((1_u64..20, step), 1..24)
}

fn take(versions: &mut Vec<CredentialVersion>, step: Step, now_ms: u64) {
    match step {
        Step::Put(is_other) => {
            let number = u32::try_from(versions.len()).unwrap().saturating_add(1);
            let account = if is_other { "B" } else { "A" };
            versions.push(version(number, now_ms, None, Some(account)));
        }
        Step::Retire(which) => {
            let mut present: Vec<_> = versions
                .iter_mut()
                .filter(|one| one.retired_at.is_none())
                .collect();
            if let Some(index) = which.checked_rem(present.len()) {
                present[index].retired_at = Some(Timestamp::from_unix_ms(now_ms));
            }
        }
    }
}

fn account(versions: &[CredentialVersion], number: u32) -> Option<Arc<str>> {
    let found = versions.iter().find(|one| one.version == number);
    found.unwrap().account.clone()
}

proptest! {
    /// What was made at any time stays under the version that it is under as long as that one is present, and whatever it comes to be
    /// under is of the account that it was made in: it never moves to another one, or to the configured key, or away from it.
    #[test]
    fn a_request_moves_only_when_its_version_is_retired_and_never_to_another_account(steps in steps()) {
        let mut versions: Vec<CredentialVersion> = Vec::new();
        let (mut now_ms, mut made): (u64, Vec<(Timestamp, Choice, Choice)>) = (0, Vec::new());
        for (gap_ms, step) in steps {
            now_ms = now_ms.saturating_add(gap_ms);
            take(&mut versions, step, now_ms);
            for (at, first, last) in &mut made {
                let now = choose(&versions, *at);
                match (*first, *last) {
                    (Choice::Configured, _) | (_, Choice::Configured) => prop_assert_eq!(now, Choice::Configured),
                    (Choice::Version(first), Choice::Version(last)) => {
                        let stays = versions.iter().any(|one| one.version == last && one.retired_at.is_none());
                        prop_assert!(!stays || now == Choice::Version(last), "{now:?} instead of {last}");
                        let is_same = match now {
                            Choice::Version(other) => account(&versions, other) == account(&versions, first),
                            Choice::Gone => true,
                            Choice::Configured => false,
                        };
                        prop_assert!(is_same, "{now:?} for what was made under {first}");
                    }
                    (Choice::Version(first), Choice::Gone) => {
                        let is_same = match now {
                            Choice::Version(other) => account(&versions, other) == account(&versions, first),
                            Choice::Gone => true,
                            Choice::Configured => false,
                        };
                        prop_assert!(is_same, "{now:?} for what was made under {first}");
                    }
                    (Choice::Gone, _) => prop_assert!(false, "nothing is made under nothing"),
                }
                *last = now;
            }
            let at = Timestamp::from_unix_ms(now_ms);
            let choice = choose(&versions, at);
            made.push((at, choice, choice));
        }
    }
}
