//! When a key is refused, for how long, and whose charges that stops.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "the numbers of a test are small, and an overflow fails it"
)]

use super::*;
use crate::ids::MerchantId;
use crate::provider::Hindrance;
use proptest::prelude::*;
use std::sync::Arc;

const OPEN: Millis = Millis::from_s(60);
const PLATFORM: KeyOwner = KeyOwner::Platform;

const fn own(merchant: u128, version: u32) -> KeyOwner {
    KeyOwner::Merchant {
        merchant: MerchantId::from_bits(merchant),
        version,
    }
}

const fn at(second: u64) -> Timestamp {
    Timestamp::from_unix_ms(1_000_000 + second * 1_000)
}

#[test]
fn a_refused_key_stops_charges_under_it_and_under_no_other_until_one_is_taken() {
    let mut keys = RefusedKeys::default();
    let others = [own(1, 1), own(2, 1), own(1, 2)];
    let refused = KeyVerdict::Refused(PLATFORM);
    assert_eq!(
        keys.ended(KeyPass::FREE, refused, OPEN, at(0)),
        Some(KeyChange::Refused(PLATFORM))
    );
    // Said once, however many come back.
    assert_eq!(keys.ended(KeyPass::FREE, refused, OPEN, at(1)), None);
    assert!(!keys.takes(PLATFORM, at(59)) && keys.admit(PLATFORM, at(59)).is_none());
    for other in others {
        assert!(keys.takes(other, at(1)));
        assert_eq!(keys.admit(other, at(1)), Some(KeyPass::FREE));
    }
    // One goes, and only one.
    let probe = keys.admit(PLATFORM, at(60)).unwrap();
    assert!(!keys.takes(PLATFORM, at(60)) && keys.admit(PLATFORM, at(60)).is_none());
    assert_eq!(keys.ended(probe, refused, OPEN, at(61)), None);
    assert!(!keys.takes(PLATFORM, at(120)));
    // One that says nothing lets the next one find out.
    let probe = keys.admit(PLATFORM, at(121)).unwrap();
    assert_eq!(keys.ended(probe, KeyVerdict::Silent, OPEN, at(122)), None);
    let probe = keys.admit(PLATFORM, at(122)).unwrap();
    // What was sent before it was refused is no news.
    assert_eq!(keys.ended(KeyPass::FREE, KeyVerdict::Taken, OPEN, at(122)), None);
    assert!(!keys.takes(PLATFORM, at(122)));
    assert_eq!(
        keys.ended(probe, KeyVerdict::Taken, OPEN, at(123)),
        Some(KeyChange::Lifted(PLATFORM))
    );
    assert!(keys.is_empty() && keys.takes(PLATFORM, at(123)));
}

#[test]
fn a_key_that_was_exchanged_while_a_request_went_is_not_taken_for_the_new_one() {
    let mut keys = RefusedKeys::default();
    keys.ended(KeyPass::FREE, KeyVerdict::Refused(own(1, 1)), OPEN, at(0));
    let probe = keys.admit(own(1, 1), at(60)).unwrap();
    let said = keys.ended(probe, KeyVerdict::Refused(own(1, 2)), OPEN, at(61));
    assert_eq!(said, Some(KeyChange::Refused(own(1, 2))));
    assert!(keys.takes(own(1, 1), at(61)), "the next one finds out");
    assert_eq!(keys.owners().collect::<Vec<_>>(), [own(1, 1), own(1, 2)]);
    // Nobody charges under either of them any more.
    assert_eq!(keys.forget(OPEN, at(3_600)), Some(KeyChange::Lifted(own(1, 1))));
    assert_eq!(keys.forget(OPEN, at(3_600)), None);
    assert_eq!(keys.forget(OPEN, at(3_661)), Some(KeyChange::Lifted(own(1, 2))));
}

#[test]
fn only_an_answer_to_the_request_says_that_its_key_was_taken() {
    let text = || Arc::from("why");
    let table = [
        (
            Outcome::Rejected {
                reason: text(),
                refused_key: Some(PLATFORM),
            },
            KeyVerdict::Refused(PLATFORM),
        ),
        (
            Outcome::Rejected {
                reason: text(),
                refused_key: None,
            },
            KeyVerdict::Silent,
        ),
        (
            Outcome::NotSent {
                reason: text(),
                hindrance: Hindrance::Credentials,
            },
            KeyVerdict::Silent,
        ),
        (
            Outcome::Declined {
                decline_code: text(),
                reference: None,
            },
            KeyVerdict::Taken,
        ),
        (
            Outcome::Unknown {
                reason: text(),
                reference: None,
            },
            KeyVerdict::Silent,
        ),
    ];
    for (outcome, expected) in table {
        assert_eq!(KeyVerdict::of(&outcome), expected, "{outcome:?}");
    }
}

#[test]
fn neither_a_refused_key_nor_missing_credentials_count_against_the_provider() {
    let text = || Arc::from("why");
    let key_refused = Outcome::Rejected {
        reason: text(),
        refused_key: Some(PLATFORM),
    };
    let unusable = Outcome::NotSent {
        reason: text(),
        hindrance: Hindrance::Credentials,
    };
    for (outcome, expected) in [
        (key_refused, CallResult::Answered),
        (unusable, CallResult::NotCounted),
    ] {
        assert_eq!(CallResult::of(&outcome, Millis(99), Millis::from_s(30)), expected);
    }
}

fn owner() -> impl Strategy<Value = KeyOwner> {
    prop_oneof![
        Just(PLATFORM),
        (1_u128..3, 1_u32..3).prop_map(|(merchant, version)| own(merchant, version))
    ]
}

proptest! {
    /// Whatever happens under all other keys, a key is refused only after the provider has refused it, and at most one request
    /// at a time goes under a refused one.
    #[test]
    fn no_key_is_stopped_by_what_was_said_of_another(
        steps in proptest::collection::vec((0_u64..90, owner(), 0_u8..3), 1..60),
    ) {
        let mut keys = RefusedKeys::default();
        let (mut now_s, mut refused) = (0, std::collections::BTreeSet::new());
        let mut under_way: Vec<(KeyOwner, KeyPass)> = Vec::new();
        for (gap_s, owner, said) in steps {
            now_s += gap_s;
            let takes = keys.takes(owner, at(now_s));
            prop_assert!(takes || refused.contains(&owner));
            let pass = keys.admit(owner, at(now_s));
            prop_assert_eq!(pass.is_some(), takes);
            if let Some(pass) = pass {
                let probes = under_way.iter().filter(|(other, pass)| *other == owner && *pass != KeyPass::FREE);
                prop_assert!(pass == KeyPass::FREE || probes.count() == 0);
                under_way.push((owner, pass));
            }
            if said < 2 && !under_way.is_empty() {
                let (owner, pass) = under_way.remove(0);
                let verdict = if said == 0 { KeyVerdict::Taken } else { KeyVerdict::Refused(owner) };
                keys.ended(pass, verdict, OPEN, at(now_s));
                if said == 1 {
                    refused.insert(owner);
                }
            }
        }
    }
}
