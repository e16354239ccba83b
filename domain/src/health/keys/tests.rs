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

/// A charge of that key's merchant, or of somebody under the platform's.
const fn by(key: KeyOwner) -> Charger {
    let merchant = match key {
        KeyOwner::Merchant { merchant, version: _ } => merchant,
        KeyOwner::Platform => MerchantId::from_bits(9),
    };
    Charger { merchant, key }
}

const fn at(second: u64) -> Timestamp {
    Timestamp::from_unix_ms(1_000_000 + second * 1_000)
}

fn takes(keys: &StoppedKeys, owner: KeyOwner, second: u64) -> bool {
    keys.bar(by(owner), at(second)).is_none()
}

#[test]
fn a_refused_key_stops_charges_under_it_and_under_no_other_until_one_is_taken() {
    let mut keys = StoppedKeys::default();
    let others = [own(1, 1), own(2, 1), own(1, 2)];
    let refused = KeyVerdict::Refused(PLATFORM);
    assert_eq!(
        keys.ended((KeyPass::FREE, refused), None, OPEN, at(0)),
        [KeyChange::Stopped(KeyStop::Refused(PLATFORM))]
    );
    // Said once, however many come back.
    assert_eq!(keys.ended((KeyPass::FREE, refused), None, OPEN, at(1)), []);
    assert!(!takes(&keys, PLATFORM, 59) && keys.admit(by(PLATFORM), at(59)).is_err());
    for other in others {
        assert!(takes(&keys, other, 1));
        assert_eq!(keys.admit(by(other), at(1)), Ok(KeyPass::FREE));
    }
    // One goes, and only one.
    let probe = keys.admit(by(PLATFORM), at(60)).unwrap();
    assert!(!takes(&keys, PLATFORM, 60) && keys.admit(by(PLATFORM), at(60)).is_err());
    assert_eq!(keys.ended((probe, refused), None, OPEN, at(61)), []);
    assert!(!takes(&keys, PLATFORM, 120));
    // One that says nothing lets the next one find out.
    let probe = keys.admit(by(PLATFORM), at(121)).unwrap();
    assert_eq!(keys.ended((probe, KeyVerdict::Silent), None, OPEN, at(122)), []);
    let probe = keys.admit(by(PLATFORM), at(122)).unwrap();
    // What was sent before it was refused is no news.
    let late = (KeyPass::FREE, KeyVerdict::Taken);
    assert_eq!(keys.ended(late, Some(by(PLATFORM)), OPEN, at(122)), []);
    assert!(!takes(&keys, PLATFORM, 122));
    assert_eq!(
        keys.ended((probe, KeyVerdict::Taken), None, OPEN, at(123)),
        [KeyChange::Lifted(KeyStop::Refused(PLATFORM))]
    );
    assert!(keys.is_empty() && takes(&keys, PLATFORM, 123));
}

#[test]
fn a_key_that_was_exchanged_while_a_request_went_is_not_taken_for_the_new_one() {
    let mut keys = StoppedKeys::default();
    let refused = (KeyPass::FREE, KeyVerdict::Refused(own(1, 1)));
    keys.ended(refused, None, OPEN, at(0));
    let probe = keys.admit(by(own(1, 1)), at(60)).unwrap();
    let said = keys.ended((probe, KeyVerdict::Refused(own(1, 2))), None, OPEN, at(61));
    let [first, second] = [own(1, 1), own(1, 2)].map(KeyStop::Refused);
    assert_eq!(said, [KeyChange::Stopped(second)]);
    assert!(takes(&keys, own(1, 1), 61), "the next one finds out");
    assert_eq!(keys.stops(at(61)).collect::<Vec<_>>(), [first, second]);
    // Nobody charges under either of them any more.
    assert_eq!(keys.forget(OPEN, at(3_600)), Some(KeyChange::Lifted(first)));
    assert_eq!(keys.forget(OPEN, at(3_600)), None);
    assert_eq!(keys.forget(OPEN, at(3_661)), Some(KeyChange::Lifted(second)));
}

#[test]
fn only_an_answer_to_the_request_says_that_its_key_was_taken() {
    let text = || Arc::from("why");
    let table = [
        (
            Outcome::Rejected {
                reason: text(),
                refused_key: Some(KeyRefusal::Unknown(PLATFORM)),
            },
            KeyVerdict::Refused(PLATFORM),
        ),
        (
            Outcome::Rejected {
                reason: text(),
                refused_key: Some(KeyRefusal::Forbidden(PLATFORM)),
            },
            KeyVerdict::Forbidden(PLATFORM),
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
        (Outcome::declined(text(), None), KeyVerdict::Taken),
        (
            Outcome::RateLimited {
                retry_after: Millis(1),
            },
            KeyVerdict::Limited(own(1, 1)),
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
        assert_eq!(KeyVerdict::of(&outcome, Some(own(1, 1))), expected, "{outcome:?}");
    }
}

#[test]
fn five_requests_in_a_row_that_are_turned_away_for_their_rate_stop_a_merchants_own_key_and_nobody_elses() {
    let mut keys = StoppedKeys::default();
    let (key, stop) = (own(1, 1), KeyStop::Limited(own(1, 1)));
    let limited = KeyVerdict::Limited(key);
    let say = |keys: &mut StoppedKeys, verdict, second| {
        let pass = keys.admit(by(key), at(second)).unwrap();
        keys.ended((pass, verdict), Some(by(key)), OPEN, at(second))
    };
    for second in 0..4 {
        assert_eq!(say(&mut keys, limited, second), []);
    }
    // One that is taken begins anew, also if it was sent before anything was said; an object that charges nothing does not.
    assert_eq!(
        keys.ended((KeyPass::FREE, KeyVerdict::Taken), Some(by(key)), OPEN, at(4)),
        []
    );
    assert!(keys.is_empty());
    for second in 5..9 {
        assert_eq!(say(&mut keys, limited, second), []);
        assert_eq!(say(&mut keys, KeyVerdict::TakenToPrepare, second), []);
        assert_eq!(say(&mut keys, KeyVerdict::Silent, second), []);
        assert_eq!(keys.stops(at(second)).count(), 0);
    }
    assert_eq!(say(&mut keys, limited, 9), [KeyChange::Stopped(stop)]);
    assert_eq!(keys.bar(by(key), at(9)), Some(stop));
    assert_eq!(keys.stops(at(9)).collect::<Vec<_>>(), [stop]);
    for other in [PLATFORM, own(2, 1), own(1, 2)] {
        assert!(takes(&keys, other, 9));
    }
    let again = keys.admit(by(key), at(69)).unwrap();
    assert_eq!(keys.admit(by(key), at(69)), Err(stop));
    assert_eq!(keys.ended((again, limited), Some(by(key)), OPEN, at(69)), []);
    assert_eq!(say(&mut keys, KeyVerdict::Taken, 129), [KeyChange::Lifted(stop)]);
    assert!(keys.is_empty());
    // What was only counted is forgotten without a word.
    say(&mut keys, limited, 130);
    assert_eq!(keys.forget(OPEN, at(130 + 3_600)), None);
    assert!(keys.is_empty());
}

/// A charge of this merchant under the platform's key is let through and comes back so.
fn say(keys: &mut StoppedKeys, merchant: u128, verdict: KeyVerdict, second: u64) -> Vec<KeyChange> {
    let charger = shared(merchant);
    let pass = keys.admit(charger, at(second)).unwrap();
    keys.ended((pass, verdict), Some(charger), OPEN, at(second))
}

const fn shared(merchant: u128) -> Charger {
    Charger {
        merchant: MerchantId::from_bits(merchant),
        key: PLATFORM,
    }
}

#[test]
fn three_charges_of_a_merchant_that_are_refused_in_a_row_stop_that_merchant_and_three_such_merchants_all() {
    let mut keys = StoppedKeys::default();
    let forbidden = KeyVerdict::Forbidden(PLATFORM);
    let stop = |merchant| KeyStop::Forbidden(MerchantId::from_bits(merchant), PLATFORM);
    // One that is taken in between begins anew.
    for verdict in [forbidden, forbidden, KeyVerdict::Taken, forbidden, forbidden] {
        assert_eq!(say(&mut keys, 1, verdict, 0), []);
    }
    assert_eq!(say(&mut keys, 1, forbidden, 0), [KeyChange::Stopped(stop(1))]);
    assert_eq!(keys.bar(shared(1), at(1)), Some(stop(1)));
    for merchant in [2, 3, 4] {
        assert_eq!(keys.bar(shared(merchant), at(1)), None, "{merchant}");
    }
    for _ in 0..2 {
        assert_eq!(say(&mut keys, 2, forbidden, 1), []);
        assert_eq!(say(&mut keys, 3, forbidden, 1), []);
    }
    assert_eq!(say(&mut keys, 2, forbidden, 1), [KeyChange::Stopped(stop(2))]);
    assert_eq!(keys.bar(shared(4), at(1)), None, "two are no proof");
    let all = KeyStop::Refused(PLATFORM);
    assert_eq!(
        say(&mut keys, 3, forbidden, 1),
        [KeyChange::Stopped(stop(3)), KeyChange::Stopped(all)]
    );
    assert_eq!(keys.bar(shared(4), at(1)), Some(all));
    assert!(takes(&keys, own(4, 1), 1), "but nobody with a key of its own");
    // One finds out. A merchant that is refused as well shows that the key is no better.
    assert_eq!(say(&mut keys, 4, forbidden, 61), []);
    assert_eq!(keys.bar(shared(5), at(62)), Some(all));
    assert_eq!(
        say(&mut keys, 5, KeyVerdict::Taken, 121),
        [KeyChange::Lifted(all)]
    );
    assert_eq!(keys.bar(shared(4), at(121)), None);
    assert_eq!(
        say(&mut keys, 1, KeyVerdict::Taken, 121),
        [KeyChange::Lifted(stop(1))]
    );
}

/// Three merchants that are refused three times each, by which the key is stopped at second 0.
fn forbidden_to_three() -> StoppedKeys {
    let mut keys = StoppedKeys::default();
    for merchant in [1, 2, 3] {
        for _ in 0..3 {
            say(&mut keys, merchant, KeyVerdict::Forbidden(PLATFORM), 0);
        }
    }
    assert_eq!(keys.bar(shared(4), at(0)), Some(KeyStop::Refused(PLATFORM)));
    keys
}

#[test]
fn merchants_that_are_refused_again_keep_no_key_from_those_whom_it_works_for() {
    let mut keys = forbidden_to_three();
    // Each of them wins the probe once, and the next charge finds out.
    for merchant in [1, 2, 3] {
        assert_eq!(keys.bar(shared(merchant), at(60)), None);
        assert_eq!(say(&mut keys, merchant, KeyVerdict::Forbidden(PLATFORM), 60), []);
        let own = KeyStop::Forbidden(MerchantId::from_bits(merchant), PLATFORM);
        assert_eq!(keys.stops(at(60)).find(|stop| *stop == own), Some(own));
        assert!(
            keys.bar(shared(merchant), at(119)).is_some(),
            "not twice within its time"
        );
    }
    assert_eq!(keys.bar(shared(4), at(60)), None);
    assert_eq!(
        say(&mut keys, 4, KeyVerdict::Taken, 60),
        [KeyChange::Lifted(KeyStop::Refused(PLATFORM))]
    );
    // Nor does one more that is refused stop it again, because it was taken after what the three were told.
    for _ in 0..3 {
        say(&mut keys, 5, KeyVerdict::Forbidden(PLATFORM), 61);
    }
    assert_eq!(keys.bar(shared(4), at(61)), None);
    // Three that are refused with nobody charged in between do.
    for merchant in [6, 7] {
        for _ in 0..3 {
            say(&mut keys, merchant, KeyVerdict::Forbidden(PLATFORM), 62);
        }
    }
    assert_eq!(keys.bar(shared(4), at(62)), Some(KeyStop::Refused(PLATFORM)));
}

#[test]
fn an_installation_of_three_merchants_that_are_all_refused_finds_out_by_itself_that_its_key_is_taken_again() {
    let mut keys = forbidden_to_three();
    let refused = KeyVerdict::Forbidden(PLATFORM);
    for minute in 1..90 {
        for merchant in [1, 2, 3] {
            assert_eq!(say(&mut keys, merchant, refused, minute * 60), [], "{minute}");
        }
        // As long as it is tried it is not forgotten.
        assert_eq!(keys.forget(OPEN, at(minute * 60)), None, "{minute}");
        assert_eq!(
            keys.bar(shared(4), at(minute * 60)),
            None,
            "{minute}: anybody else may try"
        );
    }
    assert_eq!(
        say(&mut keys, 2, KeyVerdict::Taken, 90 * 60),
        [
            KeyChange::Lifted(KeyStop::Refused(PLATFORM)),
            KeyChange::Lifted(KeyStop::Forbidden(MerchantId::from_bits(2), PLATFORM))
        ]
    );
    assert_eq!(keys.bar(shared(1), at(90 * 60)), None);
}

#[test]
fn a_merchants_own_key_is_stopped_after_three_refused_charges_and_at_once_when_it_is_not_taken() {
    for (verdict, count, stop) in [
        (
            KeyVerdict::Forbidden(own(1, 1)),
            3,
            KeyStop::Forbidden(MerchantId::from_bits(1), own(1, 1)),
        ),
        (KeyVerdict::Refused(own(1, 1)), 1, KeyStop::Refused(own(1, 1))),
    ] {
        let (mut keys, charger) = (StoppedKeys::default(), by(own(1, 1)));
        for said in 1..=count {
            let pass = keys.admit(charger, at(0)).unwrap();
            let changes = keys.ended((pass, verdict), Some(charger), OPEN, at(0));
            let expected = (said == count).then_some(KeyChange::Stopped(stop));
            assert_eq!(changes, expected.into_iter().collect::<Vec<_>>());
        }
        assert_eq!(keys.bar(charger, at(1)), Some(stop));
        assert!(takes(&keys, PLATFORM, 1) && takes(&keys, own(1, 2), 1) && takes(&keys, own(2, 1), 1));
    }
}

#[test]
fn too_many_requests_under_the_platforms_key_are_its_breakers_business() {
    let outcome = Outcome::RateLimited {
        retry_after: Millis(1),
    };
    for key in [Some(PLATFORM), None] {
        assert_eq!(KeyVerdict::of(&outcome, key), KeyVerdict::Silent);
    }
    let result = CallResult::of(&outcome, Millis(1), Millis(2));
    assert_eq!(result, CallResult::Failed);
}

#[test]
fn neither_a_refused_key_nor_missing_credentials_count_against_the_provider() {
    let text = || Arc::from("why");
    let key_refused = Outcome::Rejected {
        reason: text(),
        refused_key: Some(KeyRefusal::Unknown(PLATFORM)),
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
        let mut keys = StoppedKeys::default();
        let (mut now_s, mut refused) = (0, std::collections::BTreeSet::new());
        let mut under_way: Vec<(KeyOwner, KeyPass)> = Vec::new();
        for (gap_s, owner, said) in steps {
            now_s += gap_s;
            let takes = takes(&keys, owner, now_s);
            prop_assert!(takes || refused.contains(&owner));
            let pass = keys.admit(by(owner), at(now_s));
            prop_assert_eq!(pass.is_ok(), takes);
            if let Ok(pass) = pass {
                let probes = under_way.iter().filter(|(other, pass)| *other == owner && *pass != KeyPass::FREE);
                prop_assert!(pass == KeyPass::FREE || probes.count() == 0);
                under_way.push((owner, pass));
            }
            if said < 2 && !under_way.is_empty() {
                let (owner, pass) = under_way.remove(0);
                let verdict = if said == 0 { KeyVerdict::Taken } else { KeyVerdict::Refused(owner) };
                keys.ended((pass, verdict), Some(by(owner)), OPEN, at(now_s));
                if said == 1 {
                    refused.insert(owner);
                }
            }
        }
    }
}
