//! Owns money: amounts in minor units, their sums and balances, currencies, rounding, fees, and decimals as people write them.
//!
//! Money is an `i128` of minor units inside a bounded type; a currency's exponent says where the point stands. All arithmetic
//! is checked, and every division names how it rounds.

mod currency;
mod fee;
mod rounding;
#[cfg(test)]
mod tests;

use std::ops::Neg;

use thiserror::Error;

pub use currency::{Currency, CurrencyError};
pub use fee::{Fee, FeeSchedule, FeeScheduleError};
pub use rounding::{Rounding, allocate, round_div};

/// Bound of sums and balances, in minor units: room for 10^15 of the largest amounts, within what a decimal holds exactly.
const SUM_MINOR_MAX: i128 = 10_i128.pow(27);

/// The money of one operation, in minor units: 1 to 999,999,999,999.
///
/// ```
/// use florin_domain::money::{Amount, AmountError};
///
/// let amount = Amount::new(10_000)?;
/// assert_eq!(amount.minor(), 10_000);
/// assert_eq!(Amount::new(0), Err(AmountError::Zero));
/// assert_eq!(Amount::new(Amount::MAX_MINOR + 1), Err(AmountError::TooLarge));
/// # Ok::<(), AmountError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i128);

/// Why a number is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AmountError {
    /// Zero.
    #[error("an amount is at least 1 minor unit, not zero")]
    Zero,
    /// Less than zero.
    #[error("an amount is not negative")]
    Negative,
    /// More than [`Amount::MAX_MINOR`].
    #[error("an amount is at most 999999999999 minor units")]
    TooLarge,
}

/// A result that money cannot hold: outside the bounds of its type, or a division by zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the result is outside the bounds of money")]
pub struct MoneyOverflow;

impl Amount {
    /// The least amount, in minor units.
    pub const MIN_MINOR: i128 = 1;
    /// The largest amount, in minor units.
    pub const MAX_MINOR: i128 = 999_999_999_999;

    /// An amount of `minor` minor units.
    ///
    /// # Errors
    /// See [`AmountError`].
    pub fn new(minor: i128) -> Result<Self, AmountError> {
        match minor {
            Self::MIN_MINOR..=Self::MAX_MINOR => Ok(Self(minor)),
            0 => Err(AmountError::Zero),
            ..0 => Err(AmountError::Negative),
            _ => Err(AmountError::TooLarge),
        }
    }

    /// Minor units.
    pub fn minor(self) -> i128 {
        self.0
    }
}

/// A sum of amounts, such as what was captured so far: 0 to 10^27 minor units.
///
/// ```
/// use florin_domain::money::{Amount, MinorSum, MoneyOverflow};
///
/// let amount = Amount::new(250)?;
/// let captured = MinorSum::ZERO.checked_add(amount)?;
/// assert_eq!(captured.as_amount(), Some(amount));
/// assert_eq!(MinorSum::ZERO.checked_sub(amount), Err(MoneyOverflow), "never below zero");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MinorSum(i128);

impl MinorSum {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// A sum of `minor` minor units, such as one read back.
    ///
    /// # Errors
    /// [`MoneyOverflow`] below zero or above 10^27.
    pub fn from_minor(minor: i128) -> Result<Self, MoneyOverflow> {
        if (0..=SUM_MINOR_MAX).contains(&minor) {
            Ok(Self(minor))
        } else {
            Err(MoneyOverflow)
        }
    }

    /// The sum with `amount` more.
    ///
    /// # Errors
    /// [`MoneyOverflow`] above 10^27 minor units.
    pub fn checked_add(self, amount: Amount) -> Result<Self, MoneyOverflow> {
        self.0
            .checked_add(amount.0)
            .ok_or(MoneyOverflow)
            .and_then(Self::from_minor)
    }

    /// The sum with `amount` less.
    ///
    /// # Errors
    /// [`MoneyOverflow`] below zero.
    pub fn checked_sub(self, amount: Amount) -> Result<Self, MoneyOverflow> {
        self.0
            .checked_sub(amount.0)
            .ok_or(MoneyOverflow)
            .and_then(Self::from_minor)
    }

    /// Minor units.
    pub fn minor(self) -> i128 {
        self.0
    }

    /// The sum as the amount of one operation; nothing if it is zero or too large for one.
    pub fn as_amount(self) -> Option<Amount> {
        Amount::new(self.0).ok()
    }
}

impl From<Amount> for MinorSum {
    fn from(amount: Amount) -> Self {
        Self(amount.0)
    }
}

/// What an account holds: signed, at most 10^27 minor units either way.
///
/// ```
/// use florin_domain::money::{Balance, MoneyOverflow};
///
/// let payable = Balance::from_minor(9_680)?;
/// let after = payable.checked_sub(Balance::from_minor(10_000)?)?;
/// assert_eq!(after.minor(), -320);
/// assert_eq!(-after, Balance::from_minor(320)?);
/// # Ok::<(), MoneyOverflow>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Balance(i128);

impl Balance {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// A balance of `minor` minor units.
    ///
    /// # Errors
    /// [`MoneyOverflow`] beyond 10^27 either way.
    pub fn from_minor(minor: i128) -> Result<Self, MoneyOverflow> {
        if minor.unsigned_abs() <= SUM_MINOR_MAX.unsigned_abs() {
            Ok(Self(minor))
        } else {
            Err(MoneyOverflow)
        }
    }

    /// Both together.
    ///
    /// # Errors
    /// [`MoneyOverflow`] beyond 10^27 minor units either way.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyOverflow> {
        self.0
            .checked_add(other.0)
            .ok_or(MoneyOverflow)
            .and_then(Self::from_minor)
    }

    /// This one less the other.
    ///
    /// # Errors
    /// [`MoneyOverflow`] beyond 10^27 minor units either way.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyOverflow> {
        self.0
            .checked_sub(other.0)
            .ok_or(MoneyOverflow)
            .and_then(Self::from_minor)
    }

    /// Minor units, below zero for a debt.
    pub fn minor(self) -> i128 {
        self.0
    }
}

impl Neg for Balance {
    type Output = Self;

    fn neg(self) -> Self {
        // The bounds are symmetric, so the opposite is always a balance, and wrapping never happens.
        Self(self.0.wrapping_neg())
    }
}

impl From<Amount> for Balance {
    fn from(amount: Amount) -> Self {
        Self(amount.0)
    }
}

/// Why a text is no exact amount of a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecimalError {
    /// Anything but digits with an optional leading minus and an optional point between digits.
    #[error("a decimal is digits with an optional point, such as 12.50")]
    Malformed,
    /// More decimals than the currency has, even if they are zeros.
    #[error("{currency} has {} decimals", .currency.exponent())]
    TooManyDecimals {
        /// Whose exponent was exceeded.
        currency: Currency,
    },
    /// More minor units than an `i128` holds.
    #[error("the number is too large")]
    TooLarge,
}

/// Minor units as a decimal number in major units, with exactly as many decimals as the currency has.
///
/// ```
/// use florin_domain::money::{Currency, decimal_string};
///
/// assert_eq!(decimal_string(500, Currency::JPY), "500");
/// assert_eq!(decimal_string(1000, Currency::BHD), "1.000");
/// assert_eq!(decimal_string(-5, Currency::USD), "-0.05");
/// ```
pub fn decimal_string(minor: i128, currency: Currency) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let magnitude = minor.unsigned_abs();
    let unit = 10_u128.pow(currency.exponent());
    let (major, decimals) = magnitude
        .checked_div(unit)
        .zip(magnitude.checked_rem(unit))
        .unwrap_or((magnitude, 0));
    match currency.exponent() as usize {
        0 => format!("{sign}{major}"),
        width => format!("{sign}{major}.{decimals:0width$}"),
    }
}

/// Reads a decimal number of major units as minor units, exactly: nothing is ever rounded.
///
/// Fewer decimals than the currency has are fine; signs other than a minus, spaces, separators and exponents are not.
///
/// ```
/// use florin_domain::money::{Currency, DecimalError, parse_decimal};
///
/// assert_eq!(parse_decimal("12.5", Currency::USD), Ok(1250));
/// assert_eq!(
///     parse_decimal("0.001", Currency::USD),
///     Err(DecimalError::TooManyDecimals { currency: Currency::USD })
/// );
/// ```
///
/// # Errors
/// See [`DecimalError`].
pub fn parse_decimal(text: &str, currency: Currency) -> Result<i128, DecimalError> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (major, decimals) = match digits.split_once('.') {
        Some((_, decimals)) if !is_number(decimals) => return Err(DecimalError::Malformed),
        Some(parts) => parts,
        None => (digits, ""),
    };
    if !is_number(major) {
        return Err(DecimalError::Malformed);
    }
    let missing = (currency.exponent() as usize)
        .checked_sub(decimals.len())
        .ok_or(DecimalError::TooManyDecimals { currency })?;
    // Collected below zero, where an i128 reaches one further than above.
    let zeros = std::iter::repeat_n(b'0', missing);
    let below_zero = major
        .bytes()
        .chain(decimals.bytes())
        .chain(zeros)
        .try_fold(0_i128, |sum, digit| {
            sum.checked_mul(10)?
                .checked_sub(i128::from(digit.saturating_sub(b'0')))
        })
        .ok_or(DecimalError::TooLarge)?;
    if negative {
        Ok(below_zero)
    } else {
        below_zero.checked_neg().ok_or(DecimalError::TooLarge)
    }
}
