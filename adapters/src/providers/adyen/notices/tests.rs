//! Notifications: what is believed, and what it comes to.

use super::super::sample::{line, payload};
use super::*;
use florin_domain::credentials::{CredentialField, CredentialKind, SecretText};
use florin_domain::time::Timestamp;

/// Of the payloads; nobody's.
const KEY: &str = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";

fn reader() -> (AdyenNotices, ProviderId) {
    let id = ProviderId::parse("adyen").unwrap();
    let key = HmacKey::from_hex(KEY).unwrap();
    (AdyenNotices::default().with(id, "ShopNL", key), id)
}

fn letter(body: &str) -> Letter<'_> {
    Letter {
        body: body.as_bytes(),
        seal: None,
    }
}

fn lines(name: &str) -> Result<Vec<String>, NoticeRefusal> {
    let (reader, id) = reader();
    let notices = reader.read(id, letter(&payload(name)), Compared::PlatformsOnly)?;
    let show = |notice: &Notice| {
        let said_by = (notice.provider, notice.attempt.as_str(), notice.currency);
        assert_eq!(said_by, (id, "flo_k", Currency::USD));
        let said = match &notice.said {
            Said::Became(outcome) => line(outcome),
            Said::NotClosed => "not closed".to_owned(),
            Said::Reserved { .. } | Said::Released { .. } | Said::Changed => {
                panic!("Adyen speaks of no objects: {notice:?}")
            }
            Said::TakenBack {
                unheard,
                reference,
                amount_minor,
            } => {
                let unheard = unheard.as_ref().map_or("not heard of yet".to_owned(), line);
                format!("took back {amount_minor} as {reference}, else {unheard}")
            }
        };
        format!("{} {said}", notice.operation)
    };
    Ok(notices.iter().map(show).collect())
}

#[test]
fn signed_notifications_say_what_became_of_our_operations() {
    let pay = "pay_00000000000000000000000007";
    let (psp, own) = ("GF4HBGNJ6TJZNN82", "NC6HT9CRT65ZGN82");
    let (cap, increment, void, refund) = (
        "cap_00000000000000000000000001",
        "inc_00000000000000000000000005",
        "void_00000000000000000000000003",
        "ref_00000000000000000000000004",
    );
    let table = [
        (
            "notice_authorisation",
            vec![format!("{pay} succeeded {psp} {psp} 1500")],
        ),
        (
            "notice_authorisation_refused",
            vec![format!("{pay} declined insufficient_funds {psp}")],
        ),
        (
            "notice_capture",
            vec![format!("{cap} succeeded {own} {own} 1500")],
        ),
        (
            "notice_capture_failed_at_once",
            vec![format!(
                "{cap} took back 1500 as {own}, else declined insufficient_balance_on_payment {own}"
            )],
        ),
        (
            "notice_capture_failed",
            vec![format!(
                "{cap} took back 1500 as {own}, else declined capture_failed {own}"
            )],
        ),
        // Adyen takes the money of a sale by itself; that it was authorized must be heard of first.
        (
            "notice_capture_failed_of_sale",
            vec![format!("{pay} took back 1500 as {own}, else not heard of yet")],
        ),
        (
            "notice_cancellation",
            vec![format!("{void} succeeded {psp} {own} 1500")],
        ),
        (
            "notice_refund",
            vec![format!("{refund} succeeded {own} {own} 1500")],
        ),
        (
            "notice_refund_refused",
            vec![format!(
                "{refund} took back 1500 as {own}, else declined insufficient_balance_on_payment {own}"
            )],
        ),
        (
            "notice_refund_failed",
            vec![format!(
                "{refund} took back 1500 as {own}, else declined account_closed {own}"
            )],
        ),
        (
            "notice_closed",
            vec![format!("{pay} took back 1500 as {own}, else cancelled {psp}")],
        ),
        // What was not found was not closed, and may still come.
        ("notice_closed_nothing", vec![]),
        ("notice_offer_closed", vec![format!("{pay} cancelled -")]),
        (
            "notice_adjusted",
            vec![format!("{increment} succeeded {own} {own} 5500")],
        ),
        (
            "notice_adjustment_refused",
            vec![format!("{increment} declined generic_decline {own}")],
        ),
        // Nothing here asked for it; it is logged.
        ("notice_refund_by_hand", vec![]),
        ("notice_chargeback", vec![]),
        // Its signature fits, and its parts are of another notification.
        ("notice_cut_elsewhere", vec![]),
        // What could not be closed may have charged, and is believed again.
        ("notice_not_closed", vec![format!("{pay} not closed")]),
        (
            "notice_several",
            vec![format!("{cap} succeeded {own} {own} 1500")],
        ),
    ];
    for (name, expected) in table {
        assert_eq!(lines(name), Ok(expected), "{name}");
    }
}

#[test]
fn nothing_is_believed_that_is_not_signed_for_this_account() {
    for name in ["notice_forged", "notice_unsigned", "notice_other_account"] {
        assert_eq!(lines(name), Err(NoticeRefusal::Unsigned), "{name}");
    }
    let (reader, id) = reader();
    for body in [
        "",
        "[]",
        "{}",
        r#"{"notificationItems":[]}"#,
        r#"{"notificationItems":[{}]}"#,
    ] {
        assert_eq!(
            reader.read(id, letter(body), Compared::PlatformsOnly),
            Err(MALFORMED),
            "{body}"
        );
    }
    let other = ProviderId::parse("stripe").unwrap();
    let body = payload("notice_capture");
    assert_eq!(
        reader.read(other, letter(&body), Compared::PlatformsOnly),
        Err(NoticeRefusal::NoSuchProvider)
    );
}

/// A reversal is a refund or a cancellation at Adyen; what is said of those by our name of it is said of the reversal.
#[test]
fn what_becomes_of_a_refund_or_a_cancellation_that_reverses_is_told_of_the_reversal() {
    let (_, id) = reader();
    let reversal = "rev_00000000000000000000000006";
    let own = "NC6HT9CRT65ZGN82";
    for (name, replaced, expected) in [
        (
            "notice_refund",
            "ref_00000000000000000000000004",
            format!("{reversal} succeeded {own} {own} 1500"),
        ),
        (
            "notice_cancellation",
            "void_00000000000000000000000003",
            format!("{reversal} succeeded {own} {own} 1500"),
        ),
    ] {
        let text = payload(name);
        assert!(text.contains(replaced), "{name}");
        let body = text.replace(replaced, reversal);
        let body: Notifications<'_> = serde_json::from_str(&body).unwrap();
        let notice = notice(&body.notification_items[0].item, id, Signer::Platform).unwrap();
        let Said::Became(outcome) = &notice.said else {
            panic!("{name}: {notice:?}")
        };
        assert_eq!(
            format!("{} {}", notice.operation, line(outcome)),
            expected,
            "{name}"
        );
    }
    let refused = payload("notice_refund_failed").replace("ref_00000000000000000000000004", reversal);
    let refused: Notifications<'_> = serde_json::from_str(&refused).unwrap();
    let notice = notice(&refused.notification_items[0].item, id, Signer::Platform).unwrap();
    assert!(matches!(
        notice.said,
        Said::TakenBack {
            unheard: Some(Outcome::Declined { .. }),
            ..
        }
    ));
}

fn set(account: &str, keys: &[&str]) -> Credentials {
    let fields = [
        (CredentialField::ApiKey, "AQE1canary_of_a_merchant"),
        (CredentialField::MerchantAccount, account),
    ];
    let keys = keys.iter().map(|key| (CredentialField::HmacKeys, *key));
    let secret = |(field, text): (CredentialField, &str)| (field, SecretText::new(text));
    Credentials::parse(
        CredentialKind::Adyen,
        fields.into_iter().chain(keys).map(secret).collect(),
    )
    .unwrap()
}

#[test]
fn a_notification_speaks_only_of_payments_of_whoever_signed_it() {
    let id = ProviderId::parse("adyen").unwrap();
    let other_key = KEY.replace('4', "5");
    let (one, two) = (MerchantId::from_bits(1), MerchantId::from_bits(2));
    let signer = |has_configured: bool, sets: Vec<(MerchantId, Credentials)>| {
        let sets = sets.into_iter().map(|(merchant, set)| ((merchant, id), set));
        let mut reader = AdyenNotices::default().with_credentials(Book::holding(sets.collect()));
        if has_configured {
            reader = reader.with(id, "ShopNL", HmacKey::from_hex(KEY).unwrap());
        }
        let notices = reader.read(id, letter(&payload("notice_capture")), Compared::PlatformsOnly)?;
        let mut signer = notices[0].signer.clone();
        if let Signer::Accounts(accounts) = &mut signer {
            accounts.sort_unstable();
        }
        Ok(signer)
    };
    let all = [other_key.as_str(), KEY];
    assert_eq!(signer(true, Vec::new()), Ok(Signer::Platform));
    assert_eq!(signer(false, Vec::new()), Err(NoticeRefusal::NoSuchProvider));
    // Any key of a present set, and any present set of a merchant.
    let several = vec![(one, set("ShopNL", &all)), (two, set("ShopNL", &[&other_key]))];
    assert_eq!(signer(false, several), Ok(Signer::Accounts(vec![(one, 1)])));
    let rotated = vec![(one, set("ShopNL", &[KEY])), (one, set("ShopNL", &[&other_key]))];
    // A charge under either version may be told of under the key of the other.
    assert_eq!(
        signer(false, rotated),
        Ok(Signer::Accounts(vec![(one, 1), (one, 2)]))
    );
    let moved = vec![(one, set("ShopDE", &[KEY])), (one, set("ShopNL", &[KEY]))];
    assert_eq!(signer(false, moved), Ok(Signer::Accounts(vec![(one, 2)])));
    let shared = vec![(one, set("ShopNL", &[KEY])), (two, set("ShopNL", &all))];
    assert_eq!(
        signer(false, shared),
        Ok(Signer::Accounts(vec![(one, 1), (two, 1)]))
    );
    assert_eq!(
        signer(true, vec![(one, set("ShopNL", &[KEY]))]),
        Ok(Signer::Platform)
    );
    // The key of another account, or no key at all.
    let elsewhere = vec![(one, set("ShopDE", &[KEY]))];
    assert_eq!(signer(false, elsewhere), Err(NoticeRefusal::Unsigned));
    let strangers = vec![(one, set("ShopNL", &[&other_key]))];
    assert_eq!(signer(false, strangers), Err(NoticeRefusal::Unsigned));
}

/// The payments of the payloads were made at the beginning of time, and may be charged long after.
#[test]
fn whose_account_was_charged_is_not_judged_by_when_a_payment_was_made() {
    let id = ProviderId::parse("adyen").unwrap();
    let one = MerchantId::from_bits(1);
    let later = Timestamp::from_unix_ms(1);
    let book = Book::holding_since(vec![((one, id), set("ShopNL", &[KEY]), later)]);
    let reader = AdyenNotices::default().with_credentials(book);
    let notices = reader
        .read(id, letter(&payload("notice_capture")), Compared::PlatformsOnly)
        .unwrap();
    assert_eq!(notices[0].signer, Signer::Accounts(vec![(one, 1)]));
}
