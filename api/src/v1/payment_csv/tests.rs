//! Lines of a file, byte for byte, and its last one when it is cut.

use super::*;
use florin_domain::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use florin_domain::ids::{MerchantId, Seq};
use florin_domain::ledger::PostingProfile;
use florin_domain::method::PaymentMethod;
use florin_domain::money::{Amount, Currency, FeeSchedule, MinorSum};
use florin_domain::payment::{CaptureMethod, DeclinePolicy, Device, FeeReturn, Spec, Status};
use florin_domain::routing::Wishes;
use florin_domain::time::Timestamp;
use std::sync::Arc;

fn row(number: u128, currency: Currency, minor: i128, description: &str) -> PaymentRow {
    let spec = Spec {
        id: PaymentId::from_bits(number),
        merchant: MerchantId::from_bits(2),
        livemode: false,
        key: IdempotencyKey::parse("k").unwrap(),
        key_digest: KeyDigest([0; 16]),
        fingerprint: Fingerprint([0; 16]),
        amount: Amount::new(minor).unwrap(),
        currency,
        capture_method: CaptureMethod::Automatic,
        after_decline: DeclinePolicy::Fail,
        customer: Some("cus_1".into()),
        description: Some(description.into()),
        metadata: vec![("order".into(), "4711".into())],
        return_url: None,
        device: Device::default(),
        fee: FeeSchedule::new(290, 0.into()).unwrap(),
        fee_return: FeeReturn::Kept,
        routing: Wishes::default(),
        off_session: false,
        created_at: Timestamp::from_unix_ms(1_700_000_000_999),
    };
    let payment = Payment {
        spec: Arc::new(spec),
        method: PaymentMethod::test("pm_card_visa"),
        risk: None,
        status: Status::Succeeded,
        failure: None,
        authorized: MinorSum::from_minor(minor).unwrap(),
        captured: MinorSum::from_minor(minor).unwrap(),
        refunded: MinorSum::ZERO,
        fee_minor: 30,
        held_for_review: false,
        capture_closed: true,
        authorization_expires_at: None,
        operations: Vec::new(),
        late_minor: 0,
        posting_profile: PostingProfile::default(),
        announced: 0,
        requests: Vec::new(),
    };
    PaymentRow {
        seq: Seq(1),
        payment: Arc::new(payment),
    }
}

#[test]
fn a_payment_is_one_line_with_the_places_of_its_currency() {
    let rows = [
        row(1, Currency::JPY, 500, "=cmd|'/c calc'!A1"),
        row(2, Currency::BHD, 1_234, "a \"cup\", red"),
    ];
    let (text, progress) = Columns::new(10).write(&rows);
    assert_eq!(progress, Progress::MayGoOn);
    let metadata = r#""{""order"":""4711""}""#;
    let jpy = format!(
        "pay_00000000000000000000000001,1700000000,2023-11-14T22:13:20Z,succeeded,JPY,500,500,500,500,0,0,30,30,470,470,\
         automatic,cus_1,pm_card_visa,visa,4242,US,,,,,,false,'=cmd|'/c calc'!A1,{metadata}"
    );
    let bhd = format!(
        "pay_00000000000000000000000002,1700000000,2023-11-14T22:13:20Z,succeeded,BHD,1234,1.234,1234,1.234,0,0.000,30,0.030,\
         1204,1.204,automatic,cus_1,pm_card_visa,visa,4242,US,,,,,,false,\"a \"\"cup\"\", red\",{metadata}"
    );
    let names = NAMES.join(",");
    assert_eq!(text, format!("{names}\r\n{jpy}\r\n{bhd}\r\n"));
    assert_eq!(
        jpy.matches(',').count(),
        NAMES.len() - 1,
        "as many cells as names"
    );
}

#[test]
fn a_file_that_is_too_long_says_in_its_last_line_where_it_was_cut() {
    let rows: Vec<PaymentRow> = (1..=5).map(|n| row(n, Currency::USD, 100, "")).collect();
    let mut columns = Columns::new(3);
    let (first, progress) = columns.write(&rows[..2]);
    assert_eq!((first.lines().count(), progress), (3, Progress::MayGoOn));
    let (second, progress) = columns.write(&rows[2..3]);
    assert_eq!(
        (second.lines().count(), progress),
        (1, Progress::MayGoOn),
        "three were promised"
    );
    assert_eq!(
        columns.write(&[]),
        (String::new(), Progress::MayGoOn),
        "and perhaps there are no more"
    );
    let (last, progress) = columns.write(&rows[3..]);
    assert_eq!(progress, Progress::IsCut);
    let commas = ",".repeat(NAMES.len() - 1);
    assert_eq!(
        last,
        format!(
            "# cut after 3 payments; the rest follows with starting_after=pay_00000000000000000000000003{commas}\r\n"
        )
    );
}

#[test]
fn a_file_without_payments_has_its_names() {
    let (text, _) = Columns::new(3).write(&[]);
    assert_eq!(text.lines().collect::<Vec<_>>(), [NAMES.join(",")]);
}

#[test]
fn times_are_written_in_utc() {
    for (unix_s, written) in [
        (0, "1970-01-01T00:00:00Z"),
        (68_169_599, "1972-02-28T23:59:59Z"),
        (68_169_600, "1972-02-29T00:00:00Z"),
        (68_256_000, "1972-03-01T00:00:00Z"),
        (946_684_799, "1999-12-31T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_709_164_800, "2024-02-29T00:00:00Z"),
        (1_798_761_599, "2026-12-31T23:59:59Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
        (253_402_300_799, "9999-12-31T23:59:59Z"),
    ] {
        assert_eq!(utc(unix_s), written);
    }
}
