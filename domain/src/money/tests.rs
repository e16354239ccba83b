//! Tables against the ISO list and worked examples; `properties` covers the whole range of `i128`.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow here fails the test, as it should"
)]

mod properties;

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use super::*;

const MODES: [Rounding; 4] = [Rounding::HalfEven, Rounding::HalfUp, Rounding::Up, Rounding::Down];

fn currency(code: &str) -> Currency {
    Currency::parse(code).unwrap()
}

fn amount(minor: i128) -> Amount {
    Amount::new(minor).unwrap()
}

fn schedule(percent_bps: u32, fixed: &str) -> FeeSchedule {
    FeeSchedule::new(percent_bps, fixed.parse().unwrap()).unwrap()
}

/// Every three-letter code there can be.
fn codes() -> impl Iterator<Item = String> {
    let letters = || 'A'..='Z';
    letters()
        .flat_map(move |a| letters().flat_map(move |b| letters().map(move |c| String::from_iter([a, b, c]))))
}

#[test]
fn the_table_agrees_with_the_iso_list() {
    // Still active beside VED, though the list that we compare with calls it superseded.
    const STILL_ACTIVE: &str = "VES";
    let mut compared = 0;
    for code in codes() {
        let iso = iso_currency::Currency::from_code(&code)
            .filter(|iso| code == STILL_ACTIVE || iso.is_superseded().is_none())
            .and_then(|iso| Some((iso.numeric(), u32::from(iso.exponent()?))));
        let ours = Currency::parse(&code)
            .ok()
            .map(|ours| (ours.numeric(), ours.exponent()));
        assert_eq!(ours, iso, "{code}");
        compared += usize::from(ours.is_some());
    }
    assert_eq!(compared, Currency::all().count());
    assert!(compared > 150, "{compared}");
}

#[test]
fn every_currency_is_found_by_code_and_by_number() {
    let all: Vec<_> = Currency::all().collect();
    assert!(all.is_sorted_by(|a, b| a < b && a.code() < b.code()));
    for currency in &all {
        assert_eq!(Currency::parse(currency.code()), Ok(*currency));
        assert_eq!(Currency::parse(&currency.code().to_lowercase()), Ok(*currency));
        assert_eq!(Currency::from_numeric(currency.numeric()), Some(*currency));
        assert!(matches!(currency.exponent(), 0 | 2 | 3 | 4), "{currency}");
    }
    let by_number: BTreeSet<_> = (0..=u16::MAX).filter_map(Currency::from_numeric).collect();
    assert_eq!(by_number, all.into_iter().collect());
}

#[test]
fn the_named_currencies_are_themselves() {
    let table = [
        (Currency::USD, "USD", 840, 2),
        (Currency::EUR, "EUR", 978, 2),
        (Currency::JPY, "JPY", 392, 0),
        (Currency::BHD, "BHD", 48, 3),
        (Currency::CLF, "CLF", 990, 4),
    ];
    for (currency, code, numeric, exponent) in table {
        assert_eq!(
            (currency.code(), currency.numeric(), currency.exponent()),
            (code, numeric, exponent)
        );
        assert_eq!(
            format!("{currency} {currency:?}"),
            format!("{code} Currency({code})")
        );
    }
}

#[test]
fn what_is_no_payment_currency_is_refused() {
    let table = [
        ("", CurrencyError::Malformed),
        ("US", CurrencyError::Malformed),
        ("USDX", CurrencyError::Malformed),
        (" USD", CurrencyError::Malformed),
        ("U D", CurrencyError::Malformed),
        ("US1", CurrencyError::Malformed),
        ("840", CurrencyError::Malformed),
        ("€", CurrencyError::Malformed),
        ("ZZZ", CurrencyError::Unknown),
        ("AAA", CurrencyError::Unknown),
        ("XAU", CurrencyError::Unknown),
        ("XDR", CurrencyError::Unknown),
        ("XTS", CurrencyError::Unknown),
        ("XXX", CurrencyError::Unknown),
        ("DEM", CurrencyError::Unknown),
        ("HRK", CurrencyError::Unknown),
        ("BGN", CurrencyError::Unknown),
    ];
    for (text, error) in table {
        assert_eq!(Currency::parse(text), Err(error), "{text:?}");
    }
    assert_eq!(Currency::from_numeric(959), None, "gold");
}

#[test]
fn amounts_are_bounded() {
    let table = [
        (i128::MIN, Err(AmountError::Negative)),
        (-1, Err(AmountError::Negative)),
        (0, Err(AmountError::Zero)),
        (1, Ok(1)),
        (999_999_999_999, Ok(999_999_999_999)),
        (1_000_000_000_000, Err(AmountError::TooLarge)),
        (i128::MAX, Err(AmountError::TooLarge)),
    ];
    for (minor, expected) in table {
        assert_eq!(Amount::new(minor).map(Amount::minor), expected, "{minor}");
    }
    assert!(
        AmountError::TooLarge
            .to_string()
            .contains(&Amount::MAX_MINOR.to_string())
    );
}

#[test]
fn sums_and_balances_stop_at_their_bounds() {
    let full = MinorSum::from_minor(SUM_MINOR_MAX).unwrap();
    assert_eq!(full.checked_add(amount(1)), Err(MoneyOverflow));
    assert_eq!(
        full.checked_sub(amount(1))
            .and_then(|sum| sum.checked_add(amount(1))),
        Ok(full)
    );
    assert_eq!(full.as_amount(), None);
    assert_eq!(MinorSum::ZERO.as_amount(), None);
    assert_eq!(
        MinorSum::from(amount(7)).checked_sub(amount(8)),
        Err(MoneyOverflow)
    );
    for minor in [-1, SUM_MINOR_MAX + 1, i128::MIN, i128::MAX] {
        assert_eq!(MinorSum::from_minor(minor), Err(MoneyOverflow), "{minor}");
    }

    let (most, one) = (
        Balance::from_minor(SUM_MINOR_MAX).unwrap(),
        Balance::from(amount(1)),
    );
    assert_eq!(most.checked_add(one), Err(MoneyOverflow));
    assert_eq!((-most).checked_sub(one), Err(MoneyOverflow));
    assert_eq!((-most).checked_add(most), Ok(Balance::ZERO));
    for minor in [SUM_MINOR_MAX + 1, -SUM_MINOR_MAX - 1, i128::MIN, i128::MAX] {
        assert_eq!(Balance::from_minor(minor), Err(MoneyOverflow), "{minor}");
    }
}

#[test]
fn decimals_have_the_exponent_of_their_currency() {
    let table = [
        ("JPY", 500, "500"),
        ("JPY", -1, "-1"),
        ("JPY", 0, "0"),
        ("USD", 0, "0.00"),
        ("USD", 5, "0.05"),
        ("USD", -5, "-0.05"),
        ("USD", 123_456, "1234.56"),
        ("BHD", 1000, "1.000"),
        ("BHD", 1, "0.001"),
        ("CLF", 12_345, "1.2345"),
        ("CLF", -9, "-0.0009"),
        ("USD", i128::MAX, "1701411834604692317316873037158841057.27"),
        ("USD", i128::MIN, "-1701411834604692317316873037158841057.28"),
        ("JPY", i128::MIN, "-170141183460469231731687303715884105728"),
    ];
    for (code, minor, text) in table {
        assert_eq!(decimal_string(minor, currency(code)), text);
        assert_eq!(parse_decimal(text, currency(code)), Ok(minor), "{text}");
    }
}

#[test]
fn decimals_are_read_exactly_or_not_at_all() {
    let too_many = |code| {
        Err(DecimalError::TooManyDecimals {
            currency: currency(code),
        })
    };
    let table = [
        ("JPY", "500.0", too_many("JPY")),
        ("USD", "1.005", too_many("USD")),
        ("USD", "1.000", too_many("USD")),
        ("BHD", "1.0005", too_many("BHD")),
        ("CLF", "0.00001", too_many("CLF")),
        ("USD", "1.5", Ok(150)),
        ("USD", "12", Ok(1200)),
        ("BHD", "1.5", Ok(1500)),
        ("CLF", "3", Ok(30_000)),
        ("USD", "-0", Ok(0)),
        ("USD", "007.10", Ok(710)),
        ("USD", "", Err(DecimalError::Malformed)),
        ("USD", "-", Err(DecimalError::Malformed)),
        ("USD", ".", Err(DecimalError::Malformed)),
        ("USD", ".5", Err(DecimalError::Malformed)),
        ("USD", "5.", Err(DecimalError::Malformed)),
        ("USD", "+5", Err(DecimalError::Malformed)),
        ("USD", "--5", Err(DecimalError::Malformed)),
        ("USD", " 5", Err(DecimalError::Malformed)),
        ("USD", "1e3", Err(DecimalError::Malformed)),
        ("USD", "1,000.00", Err(DecimalError::Malformed)),
        ("USD", "1_000", Err(DecimalError::Malformed)),
        ("USD", "1.2.3", Err(DecimalError::Malformed)),
        ("USD", "1.-2", Err(DecimalError::Malformed)),
        ("USD", "٣", Err(DecimalError::Malformed)),
        (
            "JPY",
            "170141183460469231731687303715884105728",
            Err(DecimalError::TooLarge),
        ),
        (
            "JPY",
            "-170141183460469231731687303715884105729",
            Err(DecimalError::TooLarge),
        ),
        (
            "USD",
            "170141183460469231731687303715884105727",
            Err(DecimalError::TooLarge),
        ),
    ];
    for (code, text, expected) in table {
        assert_eq!(parse_decimal(text, currency(code)), expected, "{text:?} {code}");
    }
}

#[test]
fn each_mode_rounds_halves_and_signs_its_way() {
    // Numerator over 4: HalfEven, HalfUp, Up, Down.
    let table = [
        (4, [1, 1, 1, 1]),
        (5, [1, 1, 2, 1]),
        (6, [2, 2, 2, 1]),
        (7, [2, 2, 2, 1]),
        (2, [0, 1, 1, 0]),
        (10, [2, 3, 3, 2]),
        (1, [0, 0, 1, 0]),
        (0, [0, 0, 0, 0]),
    ];
    for (numerator, quotients) in table {
        for (mode, quotient) in MODES.into_iter().zip(quotients) {
            for (n, d, q) in [
                (numerator, 4, quotient),
                (-numerator, 4, -quotient),
                (-numerator, -4, quotient),
            ] {
                assert_eq!(round_div(n, d, mode), Ok((q, q * d - n)), "{n}/{d} {mode:?}");
            }
        }
    }
}

#[test]
fn extreme_divisions_answer_or_refuse() {
    for mode in MODES {
        assert_eq!(round_div(1, 0, mode), Err(MoneyOverflow));
        assert_eq!(round_div(i128::MIN, -1, mode), Err(MoneyOverflow));
        assert_eq!(round_div(i128::MIN, i128::MIN, mode), Ok((1, 0)));
        assert_eq!(round_div(i128::MIN, 1, mode), Ok((i128::MIN, 0)));
    }
    assert_eq!(round_div(-1, i128::MIN, Rounding::Up), Ok((1, i128::MIN + 1)));
    assert_eq!(round_div(1, i128::MIN, Rounding::Up), Ok((-1, i128::MAX)));
    assert_eq!(round_div(i128::MAX, i128::MIN, Rounding::HalfEven), Ok((-1, 1)));
    assert_eq!(
        round_div(i128::MIN, i128::MAX, Rounding::Up),
        Ok((-2, -(i128::MAX - 1)))
    );
}

#[test]
fn fees_are_rounded_once() {
    let table = [
        (290, "0.30", "USD", 10_000, 320),
        (290, "0.30", "JPY", 500, 15),
        (290, "0.30", "BHD", 10_000, 590),
        (290, "0.30", "CLF", 10_000, 3290),
        (290, "0.30", "USD", 1, 30),
        (290, "0", "USD", 1, 0),
        (0, "0", "USD", 10_000, 0),
        (10_000, "0", "USD", 777, 777),
        // Halves to even, and only the sum is rounded: 0.5 + 0.5 is 1, not 0 + 0.
        (5000, "0", "JPY", 1, 0),
        (5000, "0", "JPY", 3, 2),
        (5000, "0.5", "JPY", 1, 1),
        (250, "0.005", "USD", 20, 1),
        // The least fixed part that eight decimals hold tips a half over.
        (5000, "0.00000001", "USD", 1, 1),
        (10_000, "1000000000", "CLF", 999_999_999_999, 10_999_999_999_999),
    ];
    for (bps, fixed, code, minor, fee_minor) in table {
        let fee = schedule(bps, fixed).fee(amount(minor), currency(code)).unwrap();
        assert_eq!(fee.minor(), fee_minor, "{bps} bps + {fixed} on {minor} {code}");
    }
    assert_eq!(
        schedule(290, "0.30").percent_fee(amount(10_000)).unwrap().minor(),
        290
    );
    for (mode, fee_minor) in MODES.into_iter().zip([2, 3, 3, 2]) {
        let fee = schedule(100, "0")
            .with_rounding(mode)
            .fee(amount(250), Currency::USD)
            .unwrap();
        assert_eq!(fee.minor(), fee_minor, "{mode:?}");
    }
}

#[test]
fn fee_schedules_are_bounded_and_read_back() {
    let table = [
        (10_001, "0", Err(FeeScheduleError::PercentTooLarge)),
        (u32::MAX, "0", Err(FeeScheduleError::PercentTooLarge)),
        (0, "-0.01", Err(FeeScheduleError::FixedNegative)),
        (0, "1000000000.01", Err(FeeScheduleError::FixedTooLarge)),
        (0, "0.000000001", Err(FeeScheduleError::FixedTooPrecise)),
        (290, "0.300000000000", Ok("0.3")),
        (290, "-0.0", Ok("0")),
        (290, "1000000000", Ok("1000000000")),
        (290, "0.00000001", Ok("0.00000001")),
    ];
    for (bps, fixed, expected) in table {
        let built = FeeSchedule::new(bps, fixed.parse().unwrap());
        assert_eq!(
            built.map(|schedule| schedule.fixed().to_string()),
            expected.map(str::to_owned),
            "{fixed}"
        );
    }
    assert_eq!(
        FeeSchedule::new(0, Decimal::MAX),
        Err(FeeScheduleError::FixedTooLarge)
    );
    assert_eq!(schedule(290, "0.3").percent_bps(), 290);
    assert_eq!(schedule(290, "0.3").rounding(), Rounding::HalfEven);
}

#[test]
fn allocation_gives_what_is_left_to_the_largest_remainders() {
    let table: [(i128, &[u32], &[i128]); 11] = [
        (100, &[1, 1, 1], &[34, 33, 33]),
        (101, &[1, 1, 1], &[34, 34, 33]),
        (10, &[1, 2, 4], &[1, 3, 6]),
        (7, &[50, 25, 25], &[3, 2, 2]),
        (1, &[1, 3], &[0, 1]),
        (-100, &[1, 1, 1], &[-34, -33, -33]),
        (5, &[0, 1, 0], &[0, 5, 0]),
        (5, &[0, 0], &[3, 2]),
        (0, &[], &[]),
        (i128::MIN, &[u32::MAX], &[i128::MIN]),
        (i128::MAX, &[1, 0], &[i128::MAX, 0]),
    ];
    for (total, weights, parts) in table {
        assert_eq!(allocate(total, weights), parts, "{total} by {weights:?}");
    }
}

#[test]
#[should_panic(expected = "nobody to allocate it to")]
fn money_for_nobody_is_not_dropped() {
    allocate(1, &[]);
}
