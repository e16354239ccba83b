//! The public test numbers, the edges of every range, and what the check digit notices.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "the numbers of a test are small, and an overflow fails it"
)]

use super::*;
use proptest::prelude::*;
use proptest::sample::select;

const KNOWN: [(&str, CardBrand); 30] = [
    ("4242424242424242", CardBrand::Visa),
    ("4000056655665556", CardBrand::Visa),
    ("4111111111111111", CardBrand::Visa),
    ("4000000000000002", CardBrand::Visa),
    ("4000000000009995", CardBrand::Visa),
    ("4000000000009987", CardBrand::Visa),
    ("4000000000009979", CardBrand::Visa),
    ("4000000000000069", CardBrand::Visa),
    ("4000000000000127", CardBrand::Visa),
    ("4000000000000119", CardBrand::Visa),
    ("4000000000006975", CardBrand::Visa),
    ("4000000000000341", CardBrand::Visa),
    ("4000002500003155", CardBrand::Visa),
    ("4000002760003184", CardBrand::Visa),
    ("4000008400001629", CardBrand::Visa),
    ("4000000000003220", CardBrand::Visa),
    ("4100000000000019", CardBrand::Visa),
    ("4000000000004954", CardBrand::Visa),
    ("4000000000009235", CardBrand::Visa),
    ("4000000000000259", CardBrand::Visa),
    ("4000000000002685", CardBrand::Visa),
    ("4000000000001976", CardBrand::Visa),
    ("5555555555554444", CardBrand::Mastercard),
    ("2223003122003222", CardBrand::Mastercard),
    ("5105105105105100", CardBrand::Mastercard),
    ("378282246310005", CardBrand::Amex),
    ("6011111111111117", CardBrand::Discover),
    ("3056930009020004", CardBrand::Diners),
    ("3566002020360505", CardBrand::Jcb),
    ("6200000000000005", CardBrand::Unionpay),
];

/// The same number with another digit at a place.
fn with_digit(number: &str, place: usize, digit: u8) -> String {
    let mut bytes = number.as_bytes().to_vec();
    bytes[place] = digit;
    String::from_utf8(bytes).unwrap()
}

/// A number of any brand with these digits in front and the check digit that belongs to it.
fn completed(start: &str) -> String {
    let with = |check: u8| format!("{start}{check}");
    (0..10).map(with).find(|number| passes_luhn(number)).unwrap()
}

#[test]
fn the_public_test_numbers_are_of_their_networks_and_any_other_last_digit_is_wrong() {
    for (number, brand) in KNOWN {
        assert_eq!(CardBrand::of_number(number), Ok(brand), "{number}");
        assert_eq!(Bin::parse(&number[..6]).unwrap().brand(), Some(brand), "{number}");
        assert_eq!(Bin::parse(&number[..8]).unwrap().brand(), Some(brand), "{number}");
        let last = number.len() - 1;
        for digit in b'0'..=b'9' {
            let neighbour = with_digit(number, last, digit);
            let right = if neighbour == number {
                Ok(brand)
            } else {
                Err(CardNumberError::CheckDigit)
            };
            assert_eq!(CardBrand::of_number(&neighbour), right, "{neighbour}");
        }
    }
}

#[test]
fn what_is_no_number_is_refused_for_the_first_reason_that_applies() {
    let cases = [
        ("", CardNumberError::NotDigits),
        ("4242 4242 4242 4242", CardNumberError::NotDigits),
        ("4242-4242", CardNumberError::NotDigits),
        ("４242424242424242", CardNumberError::NotDigits),
        ("424", CardNumberError::UnknownBrand),
        ("1234567812345670", CardNumberError::UnknownBrand),
        ("9999999999999995", CardNumberError::UnknownBrand),
        ("424242424242424", CardNumberError::Length),
        ("42424242424242424", CardNumberError::Length),
        ("37828224631000", CardNumberError::Length),
        ("4242424242424241", CardNumberError::CheckDigit),
        ("2424242424242424", CardNumberError::CheckDigit),
    ];
    for (number, error) in cases {
        assert_eq!(CardBrand::of_number(number), Err(error), "{number:?}");
        assert!(!error.to_string().contains("42"), "no error repeats a number");
    }
}

#[test]
fn every_range_ends_where_its_network_says() {
    use CardBrand::{Amex, Diners, Discover, Jcb, Mastercard, Unionpay, Visa};
    // From which four digits on whose numbers are, up to the next line.
    let edges = [
        (0, None),
        (2_221, Some(Mastercard)),
        (2_721, None),
        (3_000, Some(Diners)),
        (3_060, None),
        (3_095, Some(Diners)),
        (3_096, None),
        (3_400, Some(Amex)),
        (3_500, None),
        (3_528, Some(Jcb)),
        (3_590, None),
        (3_600, Some(Diners)),
        (3_700, Some(Amex)),
        (3_800, Some(Diners)),
        (4_000, Some(Visa)),
        (5_000, None),
        (5_100, Some(Mastercard)),
        (5_600, None),
        (6_011, Some(Discover)),
        (6_012, None),
        (6_200, Some(Unionpay)),
        (6_300, None),
        (6_440, Some(Discover)),
        (6_600, None),
        (8_100, Some(Unionpay)),
        (8_172, None),
        (10_000, None),
    ];
    let mut told = 0;
    for pair in edges.windows(2) {
        for start in pair[0].0..pair[1].0 {
            for rest in ["00", "9999"] {
                let bin = Bin::parse(&format!("{start:04}{rest}")).unwrap();
                assert_eq!(bin.brand(), pair[0].1, "{bin}");
            }
            told += 1;
        }
    }
    assert_eq!(told, 10_000, "every start");
    assert!(
        RANGES.is_sorted_by(|one, next| one.1 < next.0),
        "ranges do not overlap"
    );
}

#[test]
fn every_network_has_its_lengths() {
    for (number, brand) in KNOWN {
        for length in 8..=20 {
            let padded = format!("{number:0<20}");
            let whole = completed(&padded[..length - 1]);
            let told = CardBrand::of_number(&whole);
            let expected = match brand {
                CardBrand::Visa => [13, 16, 19].contains(&length),
                CardBrand::Mastercard => length == 16,
                CardBrand::Amex => length == 15,
                CardBrand::Discover | CardBrand::Jcb | CardBrand::Unionpay => (16..=19).contains(&length),
                CardBrand::Diners => (14..=19).contains(&length),
            };
            let right = if expected {
                Ok(brand)
            } else {
                Err(CardNumberError::Length)
            };
            assert_eq!(told, right, "{whole}");
        }
    }
}

#[test]
fn a_bin_has_six_to_eight_digits() {
    for (text, is_bin) in [
        ("", false),
        ("42424", false),
        ("424242", true),
        ("4242424", true),
        ("42424242", true),
        ("424242424", false),
        ("4242424242424242", false),
        ("42424x", false),
        ("+42424", false),
        (" 424242", false),
        ("４242", false),
        ("000000", true),
    ] {
        let parsed = Bin::parse(text);
        assert_eq!(parsed.is_ok(), is_bin, "{text:?}");
        if let Ok(bin) = parsed {
            assert_eq!(
                (bin.as_str(), &*format!("{bin} {bin:?}")),
                (text, &*format!("{text} {text}"))
            );
        }
    }
}

#[test]
fn luhn_wants_digits_and_takes_any_length() {
    let cases = [
        ("", false),
        ("0", true),
        ("1", false),
        ("18", true),
        ("79927398713", true),
        ("79927398710", false),
        ("7992739871x", false),
        ("١٨", false),
    ];
    for (digits, passes) in cases {
        assert_eq!(passes_luhn(digits), passes, "{digits:?}");
    }
    assert!(passes_luhn(&"0".repeat(1_000)));
    assert!(passes_luhn(&completed(&"9".repeat(1_000))));
}

#[test]
fn schemes_have_a_name_each() {
    let names = CardBrand::ALL.map(CardBrand::as_str);
    assert_eq!(
        names,
        [
            "visa",
            "mastercard",
            "amex",
            "discover",
            "diners",
            "jcb",
            "unionpay"
        ]
    );
    for brand in CardBrand::ALL {
        assert!(brand.number_lengths().is_sorted());
        assert!(RANGES.iter().any(|range| range.2 == brand), "{brand}");
    }
}

proptest! {
    #[test]
    fn one_wrong_digit_is_noticed(start in "[0-9]{1,18}", place in 0_usize..19, digit in b'0'..=b'9') {
        let number = completed(&start);
        let wrong = with_digit(&number, place % number.len(), digit);
        prop_assert_eq!(passes_luhn(&wrong), wrong == number, "{} for {}", wrong, number);
    }

    #[test]
    fn two_swapped_neighbours_are_noticed_unless_they_are_0_and_9(start in "[0-9]{1,18}", place in 0_usize..18) {
        let number = completed(&start);
        let mut swapped = number.clone().into_bytes();
        let place = place % (number.len() - 1);
        swapped.swap(place, place + 1);
        let pair = [swapped[place], swapped[place + 1]];
        let is_alike = pair[0] == pair[1] || pair.contains(&b'0') && pair.contains(&b'9');
        let swapped = String::from_utf8(swapped).unwrap();
        prop_assert_eq!(passes_luhn(&swapped), is_alike, "{} for {}", swapped, number);
    }

    #[test]
    fn exactly_one_check_digit_fits(start in "[0-9]{1,18}") {
        let fitting = (0..10).filter(|check| passes_luhn(&format!("{start}{check}"))).count();
        prop_assert_eq!(fitting, 1);
    }

    #[test]
    fn a_bin_and_the_numbers_behind_it_are_of_one_network(
        known in select(KNOWN.to_vec()), tail in "[0-9]{19}", digits in 6_usize..=8,
    ) {
        let (number, brand) = known;
        let bin = Bin::parse(&number[..digits]).unwrap();
        prop_assert_eq!(bin.brand(), Some(brand));
        for length in brand.number_lengths() {
            let start = format!("{bin}{tail}");
            let whole = completed(&start[..length - 1]);
            prop_assert_eq!(CardBrand::of_number(&whole), Ok(brand), "{}", whole);
        }
    }

    #[test]
    fn no_text_is_too_strange(text in "\\PC{0,30}") {
        let is_number = CardBrand::of_number(&text).is_ok();
        prop_assert!(!is_number || passes_luhn(&text));
        prop_assert_eq!(Bin::parse(&text).is_ok_and(|bin| bin.as_str() != text), false);
    }
}
