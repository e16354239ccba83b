//! What is taken for a card, and what of it is shown.

use super::*;
use proptest::prelude::*;

/// 2026-11-22T12:00:00Z.
const NOW: Timestamp = Timestamp::from_unix_ms(1_795_348_800_000);

fn typed(number: &str, month: &str, year: &str, code: Option<&str>) -> CardInput {
    CardInput {
        number: SecretText::new(number),
        exp_month: SecretText::new(month),
        exp_year: SecretText::new(year),
        security_code: code.map(SecretText::new),
        holder: None,
    }
}

#[test]
fn a_card_is_read_with_spaces_and_short_years() {
    let (card, code) = typed("4242 4242-4242 4242", "1", "30", Some("123"))
        .check(NOW)
        .unwrap();
    assert_eq!((card.number(), card.brand), ("4242424242424242", CardBrand::Visa));
    assert_eq!(card.expiry, Expiry { year: 2030, month: 1 });
    assert_eq!((card.last4(), card.first_digits()), (*b"4242", "42424242"));
    assert_eq!(code.unwrap().expose(), "123");
    let (card, _) = typed("378282246310005", "12", "2026", Some("1234"))
        .check(NOW)
        .unwrap();
    assert_eq!((card.brand, card.first_digits()), (CardBrand::Amex, "378282"));
}

#[test]
fn what_is_no_card_is_refused_for_its_first_fault() {
    let visa = "4242424242424242";
    for (input, fault) in [
        (
            typed("4242424242424241", "1", "30", None),
            CardFault::Number(CardNumberError::CheckDigit),
        ),
        (
            typed("", "1", "30", None),
            CardFault::Number(CardNumberError::NotDigits),
        ),
        (
            typed("0000000000000000", "1", "30", None),
            CardFault::Number(CardNumberError::UnknownBrand),
        ),
        (typed(visa, "0", "30", None), CardFault::ExpiryMonth),
        (typed(visa, "13", "30", None), CardFault::ExpiryMonth),
        (typed(visa, "+1", "30", None), CardFault::ExpiryMonth),
        (typed(visa, "1", "130", None), CardFault::ExpiryYear),
        (typed(visa, "1", "2077", None), CardFault::ExpiryYear),
        (typed(visa, "10", "2026", None), CardFault::Expired),
        (typed(visa, "1", "1999", None), CardFault::Expired),
        (typed(visa, "1", "30", Some("12")), CardFault::SecurityCode),
        (typed(visa, "1", "30", Some("1234")), CardFault::SecurityCode),
        (typed(visa, "1", "30", Some("12a")), CardFault::SecurityCode),
    ] {
        let shown = format!("{input:?}");
        assert!(!shown.contains("4242"), "{shown}");
        assert_eq!(input.check(NOW).map(drop), Err(fault));
    }
}

#[test]
fn a_month_ends_when_it_has_ended_everywhere() {
    // 2026-12-01T00:00:00Z.
    let december_ms = 1_796_083_200_000;
    let november = Expiry {
        year: 2026,
        month: 11,
    };
    for (at_ms, is_over) in [
        (december_ms, false),
        (december_ms + 12 * 3_600_000 - 1, false),
        (december_ms + 12 * 3_600_000, true),
    ] {
        assert_eq!(
            november.is_over(Timestamp::from_unix_ms(at_ms)),
            is_over,
            "{at_ms}"
        );
    }
}

#[test]
fn months_are_those_of_the_calendar() {
    for (unix_s, expected) in [
        (0_u64, (1970, 1)),
        (951_782_400, (2000, 2)),
        (951_868_800, (2000, 3)),
        (1_709_164_800, (2024, 2)),
        (1_735_689_599, (2024, 12)),
        (1_735_689_600, (2025, 1)),
        (4_107_542_399, (2100, 2)),
        (4_107_542_400, (2100, 3)),
    ] {
        assert_eq!(
            civil(Timestamp::from_unix_ms(unix_s * 1000)),
            expected,
            "{unix_s}"
        );
    }
}

#[test]
fn numbers_are_masked_wherever_they_stand_and_nothing_else_is() {
    for (text, expected) in [
        ("card 4242424242424242.", "card ************4242."),
        ("4242 4242 4242 4242", "************4242"),
        (
            "4242-4242-4242-4242 and 378282246310005",
            "************4242 and ************0005",
        ),
        ("x14242424242424242", "x1************4242"),
        ("{\"a\":\"5555555555554444\"}", "{\"a\":\"************4444\"}"),
        ("4242424242424241", "4242424242424241"),
        ("1795348800000", "1795348800000"),
        ("pay_01m7y92abt00074ha88rfjdjp2", "pay_01m7y92abt00074ha88rfjdjp2"),
        ("Zürich 42", "Zürich 42"),
    ] {
        assert_eq!(masked(text), expected);
    }
    for (text, has) in [
        ("card 4242424242424242.", true),
        ("4242 4242 4242 4242", true),
        ("x14242424242424242", false),
        ("pi_fc4242424242424242", false),
        ("42424242424242420", false),
        ("no. 4242424242424241", false),
        ("x4242424242424242 4000056655665556", true),
        ("4222222222222", false),
        ("4222 2222 22222", true),
        ("4222222222222, 30569309025904", true),
    ] {
        assert_eq!(has_number(text), has, "{text}");
    }
}

proptest! {
    #[test]
    fn masking_never_fails_and_leaves_no_number(text in "\\PC*", before in "[a-z \"0-9]{0,8}", after in "[a-z \"0-9]{0,8}") {
        prop_assert!(!has_number(&masked(&text)));
        let shown = masked(&format!("{before}4000056655665556{after}"));
        prop_assert!(!shown.contains("4000056655665556"), "{}", shown);
        prop_assert!(!has_number(&shown), "{}", shown);
    }
}
