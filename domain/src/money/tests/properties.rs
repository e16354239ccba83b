//! What holds for all money, not only for the worked examples.

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::super::*;
use super::{MODES, amount};

/// All of `i128`, its edges, and the small numbers where rounding happens.
fn any_minor() -> impl Strategy<Value = i128> {
    prop_oneof![
        any::<i128>(),
        -1000..1000_i128,
        -SUM_MINOR_MAX..=SUM_MINOR_MAX,
        Just(i128::MIN),
        Just(i128::MIN + 1),
        Just(i128::MAX),
        Just(SUM_MINOR_MAX)
    ]
}

fn any_currency() -> impl Strategy<Value = Currency> {
    proptest::sample::select(Currency::all().collect::<Vec<_>>())
}

fn any_weights() -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(prop_oneof![any::<u32>(), 0..10_u32, Just(u32::MAX)], 1..12)
}

proptest! {
    #[test]
    fn allocated_parts_are_the_whole(total in any_minor(), weights in any_weights()) {
        let parts = allocate(total, &weights);
        prop_assert_eq!(parts.len(), weights.len());
        // No partial sum exceeds the whole, as no part has the other sign.
        let whole = parts.iter().try_fold(0_i128, |sum, part| sum.checked_add(*part));
        prop_assert_eq!(whole, Some(total));
        for (part, weight) in parts.iter().zip(&weights) {
            prop_assert!(part.signum() == 0 || part.signum() == total.signum());
            prop_assert!(*part == 0 || *weight != 0 || weights.iter().all(|weight| *weight == 0));
        }
    }

    #[test]
    fn allocated_parts_are_within_one_unit_of_their_share(total in -1_000_000_i128..1_000_000, weights in any_weights()) {
        let weight_sum: i128 = weights.iter().copied().map(i128::from).sum();
        prop_assume!(weight_sum > 0);
        for (part, weight) in allocate(total, &weights).into_iter().zip(weights) {
            prop_assert!((part * weight_sum - total * i128::from(weight)).abs() < weight_sum);
        }
    }

    #[test]
    fn a_quotient_and_its_residue_make_the_numerator(
        n in any_minor(), d in any_minor(), mode in proptest::sample::select(&MODES[..])
    ) {
        match round_div(n, d, mode) {
            Ok((quotient, residue)) => {
                // In the ring of 128 bits, where the identity holds even if the product alone does not fit.
                prop_assert_eq!(quotient.wrapping_mul(d).wrapping_sub(n), residue);
                prop_assert!(residue.unsigned_abs() < d.unsigned_abs());
                let (below, from_zero) = (residue.unsigned_abs(), residue == 0 || (residue < 0) == (n < 0));
                match mode {
                    Rounding::Down => prop_assert!(residue == 0 || !from_zero),
                    Rounding::Up => prop_assert!(from_zero),
                    Rounding::HalfUp => {
                        prop_assert!(below <= d.unsigned_abs() - below);
                        prop_assert!(below != d.unsigned_abs() - below || from_zero);
                    }
                    Rounding::HalfEven => {
                        prop_assert!(below <= d.unsigned_abs() - below);
                        prop_assert!(below == 0 || below != d.unsigned_abs() - below || quotient % 2 == 0);
                    }
                }
            }
            Err(MoneyOverflow) => prop_assert!(d == 0 || (n, d) == (i128::MIN, -1)),
        }
    }

    #[test]
    fn an_amount_is_exactly_what_is_in_bounds(minor in prop_oneof![any_minor(), -5..2_000_000_000_000_i128]) {
        let in_bounds = (Amount::MIN_MINOR..=Amount::MAX_MINOR).contains(&minor);
        prop_assert_eq!(Amount::new(minor).ok().map(Amount::minor), in_bounds.then_some(minor));
    }

    #[test]
    fn a_decimal_reads_back_as_what_was_written(minor in any_minor(), currency in any_currency()) {
        prop_assert_eq!(parse_decimal(&decimal_string(minor, currency), currency), Ok(minor));
    }

    #[test]
    fn a_decimal_is_the_number_that_a_decimal_library_reads(
        minor in -SUM_MINOR_MAX..SUM_MINOR_MAX, currency in any_currency()
    ) {
        let read: Decimal = decimal_string(minor, currency).parse().unwrap();
        prop_assert_eq!(read, Decimal::from_i128_with_scale(minor, currency.exponent()));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[-0-9.]{0,50}|\\PC{0,8}", currency in any_currency()) {
        if let Ok(minor) = parse_decimal(&text, currency) {
            let canonical = decimal_string(minor, currency);
            prop_assert_eq!(parse_decimal(&canonical, currency), Ok(minor));
        }
        if let Ok(parsed) = Currency::parse(&text) {
            prop_assert!(parsed.code().eq_ignore_ascii_case(&text));
        }
    }

    #[test]
    fn a_fee_is_the_exact_fee_rounded_by_less_than_a_unit(
        minor in Amount::MIN_MINOR..=Amount::MAX_MINOR,
        bps in 0..=10_000_u32,
        fixed in 0..=100_000_000_000_000_000_i64,
        currency in any_currency(),
        mode in proptest::sample::select(&MODES[..]),
    ) {
        let fixed = Decimal::new(fixed, 8);
        let schedule = FeeSchedule::new(bps, fixed).unwrap().with_rounding(mode);
        let fee = schedule.fee(amount(minor), currency).unwrap();
        let percent = Decimal::from(minor) * Decimal::new(i64::from(bps), 4);
        let exact = percent + fixed * Decimal::from(10_i64.pow(currency.exponent()));
        let off = Decimal::from(fee.minor()) - exact;
        prop_assert!(off.abs() < Decimal::ONE, "{} for {}", fee.minor(), exact);
        match mode {
            Rounding::Down => prop_assert!(off <= Decimal::ZERO),
            Rounding::Up => prop_assert!(off >= Decimal::ZERO),
            Rounding::HalfUp | Rounding::HalfEven => prop_assert!(off.abs() <= Decimal::new(5, 1)),
        }
    }

    #[test]
    fn balances_add_up_or_refuse(a in any_minor(), b in any_minor()) {
        if let (Ok(x), Ok(y)) = (Balance::from_minor(a), Balance::from_minor(b)) {
            let sum = a + b;
            prop_assert_eq!(x.checked_add(y).map(Balance::minor).ok(), (sum.abs() <= SUM_MINOR_MAX).then_some(sum));
            prop_assert_eq!(x.checked_sub(y), x.checked_add(-y));
            prop_assert_eq!((-x).minor(), -a);
        } else {
            let largest = a.unsigned_abs().max(b.unsigned_abs());
            prop_assert!(largest > SUM_MINOR_MAX.unsigned_abs());
        }
    }
}
