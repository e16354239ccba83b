//! What payments find in the lists, and what additions and removals come to.

use super::*;
use crate::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use crate::ids::PaymentId;
use crate::method::StoredCard;
use crate::money::{Amount, Currency, FeeSchedule};
use crate::payment::{CaptureMethod, DeclinePolicy, Device, FeeReturn};
use crate::routing::Wishes;

const NOW: Timestamp = Timestamp::from_unix_ms(1_000_000);
const OWN: ListOwner = ListOwner::Merchant(MerchantId::from_bits(1), true);

fn entry(bits: u128, owner: ListOwner, list: ListName, target: (ListKind, &str)) -> ListEntry {
    ListEntry {
        id: ListEntryId::from_bits(bits),
        owner,
        list,
        target: Target::parse(target.0, target.1).unwrap(),
        reason: format!("reason {bits}").into(),
        expires_at: None,
        by: ApiKeyId::from_bits(7),
    }
}

fn lists(entries: &[ListEntry]) -> RiskLists {
    let mut lists = RiskLists::default();
    for entry in entries {
        lists.add(entry);
    }
    lists
}

fn spec(ip: &str) -> Spec {
    Spec {
        id: PaymentId::from_bits(1),
        merchant: MerchantId::from_bits(1),
        livemode: true,
        key: IdempotencyKey::parse("k").unwrap(),
        key_digest: KeyDigest([0; 16]),
        fingerprint: Fingerprint([0; 16]),
        amount: Amount::new(1).unwrap(),
        currency: Currency::USD,
        capture_method: CaptureMethod::Automatic,
        after_decline: DeclinePolicy::Fail,
        customer: Some("cus_1".into()),
        description: None,
        metadata: Vec::new(),
        return_url: None,
        device: Device {
            fingerprint: Some("dev_1".into()),
            ip: Some(ip.into()),
            country: Some(*b"DE"),
        },
        fee: FeeSchedule::new(0, 0.into()).unwrap(),
        fee_return: FeeReturn::Kept,
        routing: Wishes::default(),
        off_session: false,
        created_at: NOW,
    }
}

fn found(lists: &RiskLists, ip: &str) -> Option<&'static str> {
    let method = PaymentMethod::test("pm_card_visa").unwrap();
    lists
        .matching(&spec(ip), &method, NOW)
        .map(|listed| listed.word())
}

#[test]
fn every_kind_is_found_by_what_is_known_of_the_payment() {
    use ListKind as Kind;
    let cases = [
        (
            Kind::CardFingerprint,
            "pm_card_visa",
            Some("blocklist_card_fingerprint"),
        ),
        (Kind::CardFingerprint, "pm_card_amex", None),
        (Kind::Customer, "cus_1", Some("blocklist_customer")),
        (Kind::Customer, "dev_1", None),
        (Kind::Device, "dev_1", Some("blocklist_device")),
        (Kind::Ip, "192.0.2.7", Some("blocklist_ip")),
        (Kind::Ip, "192.0.2.0/29", Some("blocklist_ip")),
        (Kind::Ip, "192.0.2.8/29", None),
        (Kind::Ip, "c000:207::/32", None),
        (Kind::Country, "DE", Some("blocklist_country")),
        (Kind::Country, "US", Some("blocklist_country")),
        (Kind::Country, "FR", None),
        (Kind::Bin, "424242", Some("blocklist_bin")),
        (Kind::Bin, "42424242", Some("blocklist_bin")),
        (Kind::Bin, "4242421", None),
        (Kind::Bin, "400000", None),
    ];
    for (kind, value, expected) in cases {
        let lists = lists(&[entry(1, OWN, ListName::Block, (kind, value))]);
        assert_eq!(found(&lists, "192.0.2.7"), expected, "{kind:?} {value}");
        assert_eq!(found(&lists, "::ffff:192.0.2.7"), expected, "{kind:?} {value}");
    }
    let v6 = lists(&[entry(1, OWN, ListName::Block, (Kind::Ip, "2001:db8::/32"))]);
    assert_eq!(found(&v6, "2001:db8:1::2"), Some("blocklist_ip"));
    assert_eq!(found(&v6, "2001:db9::2"), None);
}

#[test]
fn a_number_that_was_saved_twice_is_one_card() {
    let saved = |id: &str| PaymentMethod {
        id: id.into(),
        stored: Some(Arc::new(StoredCard {
            first_digits: "424242".into(),
            fingerprint: [0x0a; 16],
        })),
        ..PaymentMethod::test("pm_card_visa").unwrap()
    };
    let blocked = |value: &str, id: &str| {
        let entry = entry(1, OWN, ListName::Block, (ListKind::CardFingerprint, value));
        let found = lists(&[entry]).matching(&spec("::1"), &saved(id), NOW);
        found.map(|listed| listed.word())
    };
    let number = "0a".repeat(16);
    for id in ["pm_1", "pm_2"] {
        assert_eq!(blocked(&number, id), Some("blocklist_card_fingerprint"), "{id}");
    }
    assert_eq!(blocked("pm_1", "pm_1"), Some("blocklist_card_fingerprint"));
    assert_eq!(blocked("pm_1", "pm_2"), None);
    assert_eq!(blocked(&"0b".repeat(16), "pm_1"), None);
}

#[test]
fn an_entry_is_about_its_owners_payments_only() {
    let ip = (ListKind::Ip, "192.0.2.7");
    let other = MerchantId::from_bits(2);
    let cases = [
        (ListOwner::Platform, true),
        (OWN, true),
        (ListOwner::Merchant(other, true), false),
        (ListOwner::Merchant(MerchantId::from_bits(1), false), false),
    ];
    for (owner, matches) in cases {
        let lists = lists(&[entry(1, owner, ListName::Block, ip)]);
        assert_eq!(found(&lists, "192.0.2.7").is_some(), matches, "{owner:?}");
    }
}

#[test]
fn a_block_beats_an_allowance_and_the_platform_is_named_first() {
    let ip = (ListKind::Ip, "192.0.2.0/24");
    let customer = (ListKind::Customer, "cus_1");
    let mut lists = lists(&[
        entry(1, ListOwner::Platform, ListName::Allow, ip),
        entry(2, OWN, ListName::Allow, customer),
        entry(3, OWN, ListName::Block, ip),
        entry(4, ListOwner::Platform, ListName::Block, customer),
    ]);
    for (expected, gone) in [
        ("blocklist_customer", 4),
        ("blocklist_ip", 3),
        ("allowlist_ip", 1),
        ("allowlist_customer", 2),
    ] {
        assert_eq!(found(&lists, "192.0.2.7"), Some(expected));
        lists.remove(ListEntryId::from_bits(gone));
    }
    assert_eq!(lists, RiskLists::default());
}

#[test]
fn an_allowed_country_must_be_every_country_that_is_known() {
    let allow = |bits, country| entry(bits, OWN, ListName::Allow, (ListKind::Country, country));
    assert_eq!(found(&lists(&[allow(1, "DE")]), "::1"), None);
    assert_eq!(found(&lists(&[allow(1, "US")]), "::1"), None);
    let both = lists(&[allow(1, "DE"), allow(2, "US")]);
    assert_eq!(found(&both, "::1"), Some("allowlist_country"));
}

#[test]
fn an_entry_says_nothing_from_its_end_on() {
    let until = |ms| ListEntry {
        expires_at: Some(Timestamp::from_unix_ms(ms)),
        ..entry(1, OWN, ListName::Block, (ListKind::Customer, "cus_1"))
    };
    assert_eq!(
        found(&lists(&[until(1_000_001)]), "::1"),
        Some("blocklist_customer")
    );
    assert_eq!(found(&lists(&[until(1_000_000)]), "::1"), None);
}

#[test]
fn a_second_entry_about_the_same_changes_the_first() {
    let customer = (ListKind::Customer, "cus_1");
    let lists = lists(&[
        entry(1, OWN, ListName::Block, customer),
        entry(2, OWN, ListName::Block, customer),
    ]);
    let found = lists
        .find(OWN, ListName::Block, &Target::Customer("cus_1".into()))
        .unwrap();
    assert_eq!(
        (found.id, found.reason.as_ref()),
        (ListEntryId::from_bits(1), "reason 2")
    );
    assert_eq!(lists.get(found.id), Some(found));
    assert_eq!((lists.len(), lists.iter().count()), (1, 1));
}

#[test]
fn a_merchant_has_room_for_ten_thousand_entries_and_nobody_else_is_kept_out_by_it() {
    let mut lists = RiskLists::default();
    let add = |lists: &mut RiskLists, bits: u128, owner| {
        let name = format!("cus_{bits}");
        lists.add(&entry(bits, owner, ListName::Block, (ListKind::Customer, &name)));
    };
    for bits in 1..=10_002 {
        add(&mut lists, bits, OWN);
    }
    assert_eq!(lists.len(), MERCHANT_ENTRIES_MAX);
    assert!(!lists.has_room(OWN) && lists.has_room(ListOwner::Platform));
    assert_eq!(lists.get(ListEntryId::from_bits(10_001)), None);
    lists.remove(ListEntryId::from_bits(5));
    add(&mut lists, 20_000, OWN);
    assert!(lists.get(ListEntryId::from_bits(20_000)).is_some());
}
