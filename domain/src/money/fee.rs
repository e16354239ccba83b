//! Owns the fee of a payment: a percentage and a fixed part, rounded once.

use rust_decimal::Decimal;
use thiserror::Error;

use super::{Amount, Currency, MoneyOverflow, Rounding, round_div};

/// Basis points of the whole.
const BPS_WHOLE: u32 = 10_000;
/// Decimals that the fixed part may have, in major units.
const FIXED_SCALE: u32 = 8;
/// 10^FIXED_SCALE.
const FIXED_UNIT: i128 = 100_000_000;
/// Largest fixed part, in major units; far above any real one, and small enough that no fee can overflow.
const FIXED_MAJOR_MAX: u32 = 1_000_000_000;

/// What a merchant pays for each payment: a percentage of the amount plus a fixed part.
///
/// The fixed part is in major units, whatever the currency: 0.30 is 30 cents, 300 fils, or three tenths of a yen. The sum
/// is rounded once, at the end, by [`Rounding::HalfEven`] unless told otherwise. A fee is not capped by its amount: 2.9 % + 0.30
/// on 0.05 is 0.30, and what to do with such a payment is the caller's policy.
///
/// ```
/// use florin_domain::money::{Amount, Currency, FeeSchedule};
/// use rust_decimal::Decimal;
///
/// let schedule = FeeSchedule::new(290, Decimal::new(30, 2))?;
/// assert_eq!(schedule.fee(Amount::new(10_000)?, Currency::USD)?.minor(), 320);
/// assert_eq!(schedule.fee(Amount::new(500)?, Currency::JPY)?.minor(), 15, "14.5 + 0.3 yen");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FeeSchedule {
    percent_bps: u32,
    /// Major units times FIXED_UNIT.
    fixed_scaled: i128,
    rounding: Rounding,
}

/// A fee in minor units of the payment's currency; zero or more, possibly more than the amount it is for.
///
/// ```
/// use florin_domain::money::{Amount, Currency, FeeSchedule};
///
/// let schedule = FeeSchedule::new(100, 0.into())?;
/// let fee = schedule.fee(Amount::new(250)?, Currency::EUR)?;
/// assert_eq!(fee.minor(), 2, "2.5 cents, to even");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fee {
    minor: i128,
}

/// Why a fee schedule was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FeeScheduleError {
    /// More than the whole amount.
    #[error("a percentage fee is at most 10000 basis points")]
    PercentTooLarge,
    /// A fixed part that is no decimal.
    #[error("a fixed fee is a decimal in major units, such as 0.30")]
    FixedUnreadable,
    /// A fixed part below zero.
    #[error("a fixed fee is not negative")]
    FixedNegative,
    /// A fixed part above 1,000,000,000 major units.
    #[error("a fixed fee is at most 1000000000 major units")]
    FixedTooLarge,
    /// A fixed part that eight decimals cannot hold.
    #[error("a fixed fee has at most 8 decimals")]
    FixedTooPrecise,
}

impl FeeSchedule {
    /// A schedule of `percent_bps` basis points (290 is 2.9 %) plus `fixed` major units, rounding half to even.
    ///
    /// # Errors
    /// See [`FeeScheduleError`].
    pub fn new(percent_bps: u32, fixed: Decimal) -> Result<Self, FeeScheduleError> {
        if percent_bps > BPS_WHOLE {
            return Err(FeeScheduleError::PercentTooLarge);
        }
        if fixed < Decimal::ZERO {
            return Err(FeeScheduleError::FixedNegative);
        }
        if fixed > Decimal::from(FIXED_MAJOR_MAX) {
            return Err(FeeScheduleError::FixedTooLarge);
        }
        let fixed = fixed.normalize();
        let fixed_scaled = FIXED_SCALE
            .checked_sub(fixed.scale())
            .and_then(|missing| 10_i128.checked_pow(missing))
            .and_then(|factor| fixed.mantissa().checked_mul(factor))
            .ok_or(FeeScheduleError::FixedTooPrecise)?;
        Ok(Self {
            percent_bps,
            fixed_scaled,
            rounding: Rounding::HalfEven,
        })
    }

    /// A schedule of `percent_bps` basis points plus a fixed part of major units as people write it, in digits with at most one point.
    ///
    /// # Errors
    /// See [`FeeScheduleError`].
    pub fn read(percent_bps: u32, fixed: &str) -> Result<Self, FeeScheduleError> {
        let (whole, part) = fixed.split_once('.').unwrap_or((fixed, "0"));
        let is_plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_plain(whole) || !is_plain(part) {
            return Err(FeeScheduleError::FixedUnreadable);
        }
        let fixed = Decimal::from_str_exact(fixed).map_err(|_| FeeScheduleError::FixedTooPrecise)?;
        Self::new(percent_bps, fixed)
    }

    /// The same schedule, rounding by `rounding`.
    #[must_use]
    pub fn with_rounding(self, rounding: Rounding) -> Self {
        Self { rounding, ..self }
    }

    /// The percentage, in basis points.
    pub fn percent_bps(&self) -> u32 {
        self.percent_bps
    }

    /// The fixed part, in major units, without trailing zeros.
    pub fn fixed(&self) -> Decimal {
        Decimal::try_from_i128_with_scale(self.fixed_scaled, FIXED_SCALE)
            .expect("a fixed part is at most 10^17, and a decimal holds 10^28")
            .normalize()
    }

    /// How the fee is rounded.
    pub fn rounding(&self) -> Rounding {
        self.rounding
    }

    /// The fee of a payment of `amount`: percentage and fixed part, rounded together.
    ///
    /// # Errors
    /// [`MoneyOverflow`], which the bounds of amounts and schedules exclude.
    pub fn fee(&self, amount: Amount, currency: Currency) -> Result<Fee, MoneyOverflow> {
        let fixed_minor_scaled = 10_i128
            .checked_pow(currency.exponent())
            .and_then(|unit| unit.checked_mul(self.fixed_scaled))
            .ok_or(MoneyOverflow)?;
        self.rounded(amount, fixed_minor_scaled)
    }

    /// The percentage alone, for a payment whose fixed part was charged before: every capture after the first.
    ///
    /// Rounds on its own, so the fees of several captures may differ from the fee of their sum by one minor unit each.
    ///
    /// # Errors
    /// [`MoneyOverflow`], which the bounds of amounts and schedules exclude.
    pub fn percent_fee(&self, amount: Amount) -> Result<Fee, MoneyOverflow> {
        self.rounded(amount, 0)
    }

    /// One fraction for both parts, over FIXED_UNIT times BPS_WHOLE, so that nothing is rounded before the end.
    fn rounded(&self, amount: Amount, fixed_minor_scaled: i128) -> Result<Fee, MoneyOverflow> {
        let percent = amount
            .minor()
            .checked_mul(i128::from(self.percent_bps))
            .and_then(|part| part.checked_mul(FIXED_UNIT));
        let numerator = fixed_minor_scaled
            .checked_mul(i128::from(BPS_WHOLE))
            .and_then(|fixed| fixed.checked_add(percent?))
            .ok_or(MoneyOverflow)?;
        let denominator = FIXED_UNIT
            .checked_mul(i128::from(BPS_WHOLE))
            .ok_or(MoneyOverflow)?;
        round_div(numerator, denominator, self.rounding).map(|(minor, _)| Fee { minor })
    }
}

impl Fee {
    /// Minor units, zero or more.
    pub fn minor(self) -> i128 {
        self.minor
    }
}
