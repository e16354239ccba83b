//! What people and machines write down, changed: ids, days, names, decimals and weights. What is accepted is written again as it was meant.

use crate::idempotency::IdempotencyKey;
use crate::ids::{
    ApiKeyId, CaptureId, IncrementId, LedgerAccountId, ListEntryId, MerchantId, PaymentId, RefundId, VoidId,
};
use crate::ledger::{AccountKey, EffectiveDate, TransferId, exchange_rate};
use crate::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use crate::money::{
    Amount, Currency, DecimalError, FeeSchedule, Rounding, allocate, decimal_string, parse_decimal, round_div,
};
use crate::placement::LetterRange;
use crate::provider::ProviderId;
use crate::risk::{ListKind, Target as Listed};
use crate::routing::{PROGRAM_BYTES_MAX, Program, RULES_MAX};
use florin_fuzz::{Target, any_of};
use proptest::prelude::*;
use rust_decimal::Decimal;

const WRITTEN: [&str; 24] = [
    "pay_00000000000000000000000007",
    "cap_7zzzzzzzzzzzzzzzzzzzzzzzzz",
    "ref_01k9qs3v8e0000abcdefghjkmn",
    "void_01k9qs3v8e0000abcdefghjkmn",
    "inc_00000000000000000000000001",
    "mer_00000000000000000000000009",
    "key_00000000000000000000000001",
    "rle_00000000000000000000000001",
    "acc_00000000000000000000000001",
    "merchant_payable:mer_00000000000000000000000009:USD",
    "provider_clearing:stripe:JPY:live",
    "fee_revenue:BHD",
    "bank:USD:live",
    "123e4567-e89b-12d3-a456-426614174000",
    "123E4567E89B12D3A456426614174000",
    "2024-02-29",
    "2026-11-21",
    "192.0.2.0/24",
    "2001:db8::/32",
    "::ffff:192.0.2.1",
    "DE",
    "411111",
    "A-Z",
    "1.0845",
];

#[test]
fn written_names_are_read_as_they_are_written_or_refused() {
    macro_rules! written_once {
        ($text:ident: $($id:ident)*) => {$(
            if let Ok(id) = $id::parse($text) {
                assert_eq!(id.to_string(), $text, stringify!($id));
            }
        )*};
    }
    Target::of_text("written_name", any_of(WRITTEN)).cases(20_000).run(|bytes| {
        let Ok(text) = str::from_utf8(bytes) else { return };
        written_once!(text: PaymentId CaptureId RefundId VoidId IncrementId MerchantId ApiKeyId ListEntryId LedgerAccountId);
        if let Ok(key) = AccountKey::parse(text) {
            assert_eq!(AccountKey::parse(&key.to_string()), Ok(key));
            assert!(key.to_string().eq_ignore_ascii_case(text), "{text} is {key}");
        }
        if let Some(id) = TransferId::parse(text) {
            assert_eq!(TransferId::parse(&id.to_string()), Some(id));
            assert_eq!(id.to_string().replace('-', ""), text.replace('-', "").to_ascii_lowercase());
        }
        if let Some(day) = EffectiveDate::parse(text) {
            assert_eq!(day.to_string(), text);
        }
        if let Some(range) = LetterRange::parse(text) {
            assert_eq!(LetterRange::parse(&range.to_string()), Some(range));
        }
        if let Ok(provider) = ProviderId::parse(text) {
            assert_eq!(provider.as_str(), text);
        }
        if let Ok(currency) = Currency::parse(text) {
            assert!(currency.code().eq_ignore_ascii_case(text));
        }
        if let Ok(key) = IdempotencyKey::parse(text) {
            assert!(key.as_str() == text && (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&text.len()));
        }
        if let Some(rate) = exchange_rate(text) {
            assert!(rate > Decimal::ZERO, "{text}");
        }
        for kind in ListKind::ALL {
            if let Ok(target) = Listed::parse(kind, text) {
                assert_eq!(Listed::parse(kind, &target.to_string()), Ok(target), "{text}");
            }
        }
    });
}

/// The same by another way: the digits as they stand, with the zeros that are missing.
fn minor_by_digits(text: &str, currency: Currency) -> Option<i128> {
    let (major, decimals) = text.split_once('.').unwrap_or((text, ""));
    let width = usize::try_from(currency.exponent()).ok()?;
    let digits = format!("{major}{decimals:0<width$}");
    (decimals.len() <= width).then(|| digits.parse().ok()).flatten()
}

#[test]
fn decimals_are_read_exactly_or_refused() {
    let seeds = [
        "0",
        "-0.00",
        "12.50",
        "0.001",
        "999999999999",
        "-170141183460469231731687303715884105728",
        "1.2345",
    ];
    let words = [
        ".",
        "-",
        "0.",
        ".5",
        "1_000",
        "1,000",
        "\u{663}",
        "1e2",
        "170141183460469231731687303715884105727",
    ];
    Target::of_text("money_decimal", any_of(seeds))
        .words(words)
        .cases(20_000)
        .run(|bytes| {
            let Ok(text) = str::from_utf8(bytes) else { return };
            for currency in [Currency::JPY, Currency::USD, Currency::BHD, Currency::CLF] {
                match parse_decimal(text, currency) {
                    Ok(minor) => {
                        assert_eq!(minor_by_digits(text, currency), Some(minor), "{text}");
                        assert_eq!(
                            parse_decimal(&decimal_string(minor, currency), currency),
                            Ok(minor)
                        );
                    }
                    Err(DecimalError::Malformed) => {
                        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                        assert!(!is_plain, "{text}");
                    }
                    Err(DecimalError::TooManyDecimals { .. }) => {
                        assert_eq!(minor_by_digits(text, currency), None);
                    }
                    Err(DecimalError::TooLarge) => assert!(text.len() > 30, "{text}"),
                }
            }
        });
}

/// Takes numbers from the front of an input; what is not there is zero.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        let (front, rest) = self.0.split_at(N.min(self.0.len()));
        taken[..front.len()].copy_from_slice(front);
        self.0 = rest;
        taken
    }
}

#[test]
fn money_is_divided_without_a_rest_that_nobody_has() {
    let seeds = proptest::collection::vec(any::<u8>(), 21..80);
    Target::of_bytes("money_division", seeds)
        .cases(20_000)
        .run(|bytes| {
            let mut numbers = Numbers(bytes);
            let [shift, mode, fixed, _] = numbers.take();
            let whole = i128::from_le_bytes(numbers.take())
                .checked_shr(u32::from(shift))
                .unwrap_or(0);
            let divisor = i128::from_le_bytes(numbers.take())
                .checked_shr(u32::from(mode))
                .unwrap_or(0);
            let mode =
                [Rounding::HalfEven, Rounding::HalfUp, Rounding::Up, Rounding::Down][usize::from(mode % 4)];
            if let Ok((quotient, residue)) = round_div(whole, divisor, mode) {
                // The equation holds in any width, so that wrapping proves it.
                assert_eq!(quotient.wrapping_mul(divisor).wrapping_sub(whole), residue);
                assert!(residue.unsigned_abs() < divisor.unsigned_abs());
            }
            let mut weights = vec![u32::from_le_bytes(numbers.take())];
            while !numbers.0.is_empty() {
                weights.push(u32::from_le_bytes(numbers.take()));
            }
            let parts = allocate(whole, &weights);
            assert_eq!(parts.len(), weights.len());
            assert_eq!(
                parts.iter().try_fold(0_i128, |sum, part| sum.checked_add(*part)),
                Some(whole)
            );
            let is_paid_for_nothing = |(part, weight): (&i128, &u32)| *weight == 0 && *part != 0;
            let has_weight = weights.iter().any(|weight| *weight != 0);
            assert!(!has_weight || !parts.iter().zip(&weights).any(is_paid_for_nothing));
            let percent_bps = u32::from(fixed).saturating_mul(50);
            let schedule = FeeSchedule::new(percent_bps, Decimal::new(i64::from(shift), 4));
            if let (Ok(schedule), Ok(amount)) = (schedule, Amount::new(whole)) {
                let fee = schedule.with_rounding(mode).fee(amount, Currency::USD).unwrap();
                assert!(fee.minor() >= 0);
            }
        });
}

const PROGRAMS: [&str; 5] = [
    "visa: brand is visa -> stripe\nrest: otherwise -> score",
    "mc: brand in (mastercard, amex) and not (country in (US, CA) or amount >= 100.00 USD) -> only adyen, stripe",
    "eu: currency is EUR or currency is not CHF -> split adyen 70, stripe 30 # two thirds",
    "shop: merchant is mer_00000000000000000000000009 and metadata.\"the tier\" is \"g\\\"old\" -> score(adyen, stripe)",
    "m: method not in (card, us_bank_transfer) and customer is present and capture is manual -> only score(wise)",
];

#[test]
fn routing_programs_are_read_as_they_are_written_or_refused_with_their_place() {
    let words = [
        " and ",
        " or ",
        "not ",
        "(",
        ")",
        "->",
        "only ",
        "split ",
        "score",
        "otherwise",
        "\n",
        "\"",
        "\\",
        "is ",
        "in (",
        "metadata.",
        "amount < ",
        "99999999999999999999999999999999999999999.999",
        "JPY",
        "70",
        "#",
        ":",
    ];
    Target::of_text("routing_program", any_of(PROGRAMS))
        .words(words)
        .cases(20_000)
        .run(|bytes| {
            let Ok(text) = str::from_utf8(bytes) else { return };
            match Program::parse(text) {
                Ok(program) => {
                    assert!(program.rules().len() <= RULES_MAX && text.len() <= PROGRAM_BYTES_MAX);
                    let written = program.to_string();
                    // What is written fully may be longer than what was read.
                    if written.len() <= PROGRAM_BYTES_MAX {
                        let again = Program::parse(&written).unwrap();
                        assert_eq!(again.to_string(), written, "{text}");
                        let parts = |program: &Program| -> Vec<_> {
                            let rules = program.rules().iter().cloned();
                            rules
                                .map(|rule| (rule.name, rule.condition, rule.target))
                                .collect()
                        };
                        assert_eq!(parts(&again), parts(&program), "{text}");
                    }
                }
                Err(why) => {
                    let line = text.split('\n').nth(why.line as usize - 1);
                    let line = line.unwrap_or_else(|| panic!("{why} is behind the end of {text}"));
                    assert!(
                        (1..=line.chars().count() + 1).contains(&(why.column as usize)),
                        "{why}: {line}"
                    );
                    assert!(why.to_string().len() < 1_000, "{why}");
                }
            }
        });
}
