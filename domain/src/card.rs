//! What a card number says by itself: its network, how long it is, and whether its check digit is right. Nothing here keeps a
//! number, and no error repeats one.
//!
//! The numbering is that of ISO/IEC 7812-1: an issuer's identification in front (six digits in the older edition, eight in the
//! newer one), at most 19 digits in all, the last one a check digit by Luhn's formula. The ranges are those that the networks
//! publish for themselves. Schemes that are carried by one of them (Elo or RuPay within Discover's 65, co-branded cards) count
//! as the network that carries them. Who issued a card, and where, no range says: that takes a table of issuers.

use crate::method::CardBrand;
use std::fmt;
use thiserror::Error;

#[cfg(test)]
mod tests;

/// Digits of a card number, at least and at most.
pub(crate) const DIGITS: (usize, usize) = (13, 19);
/// Digits of a BIN, at least and at most.
const BIN_DIGITS: (usize, usize) = (6, 8);

/// First and last four digits that a number of a network may begin with, in ascending order. Four are enough to tell them apart.
const RANGES: [(u16, u16, CardBrand); 15] = [
    (2_221, 2_720, CardBrand::Mastercard),
    (3_000, 3_059, CardBrand::Diners),
    (3_095, 3_095, CardBrand::Diners),
    (3_400, 3_499, CardBrand::Amex),
    (3_528, 3_589, CardBrand::Jcb),
    (3_600, 3_699, CardBrand::Diners),
    (3_700, 3_799, CardBrand::Amex),
    (3_800, 3_999, CardBrand::Diners),
    (4_000, 4_999, CardBrand::Visa),
    (5_100, 5_599, CardBrand::Mastercard),
    (6_011, 6_011, CardBrand::Discover),
    (6_200, 6_299, CardBrand::Unionpay),
    (6_440, 6_499, CardBrand::Discover),
    (6_500, 6_599, CardBrand::Discover),
    (8_100, 8_171, CardBrand::Unionpay),
];

/// The first six to eight digits of a card number, which say who issued it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bin {
    digits: [u8; BIN_DIGITS.1],
    count: usize,
}

/// The text is no BIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a BIN is the first 6 to 8 digits of a card number")]
pub struct BinError;

impl Bin {
    /// Reads one: digits only.
    pub fn parse(text: &str) -> Result<Self, BinError> {
        let (min, max) = BIN_DIGITS;
        let is_bin = (min..=max).contains(&text.len()) && are_digits(text);
        if !is_bin {
            return Err(BinError);
        }
        let mut digits = [0; BIN_DIGITS.1];
        for (place, digit) in digits.iter_mut().zip(text.bytes()) {
            *place = digit;
        }
        Ok(Self {
            digits,
            count: text.len(),
        })
    }

    /// Its digits.
    pub fn as_str(&self) -> &str {
        let digits = self.digits.get(..self.count);
        digits
            .and_then(|digits| str::from_utf8(digits).ok())
            .unwrap_or("")
    }

    /// The network in whose range it is, if it is in one that is known here.
    pub fn brand(&self) -> Option<CardBrand> {
        brand_of(self.as_str())
    }
}

impl fmt::Display for Bin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Bin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is no card number, the first reason that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CardNumberError {
    /// Something else than digits, or nothing.
    #[error("a card number has digits only")]
    NotDigits,
    /// No network that is known here has such numbers.
    #[error("the card is of no known network")]
    UnknownBrand,
    /// The network has no numbers of this length.
    #[error("the card number is too long, too short or incomplete")]
    Length,
    /// A digit is wrong, or two are swapped.
    #[error("the card number is wrong: its check digit does not fit")]
    CheckDigit,
}

impl CardBrand {
    /// How many digits its numbers have, in ascending order.
    pub const fn number_lengths(self) -> &'static [usize] {
        match self {
            Self::Visa => &[13, 16, 19],
            Self::Mastercard => &[16],
            Self::Amex => &[15],
            Self::Discover | Self::Jcb | Self::Unionpay => &[16, 17, 18, 19],
            Self::Diners => &[14, 15, 16, 17, 18, 19],
        }
    }

    /// The network of a full number without spaces; or why it cannot be one.
    pub fn of_number(number: &str) -> Result<Self, CardNumberError> {
        if number.is_empty() || !are_digits(number) {
            return Err(CardNumberError::NotDigits);
        }
        let brand = brand_of(number).ok_or(CardNumberError::UnknownBrand)?;
        if !brand.number_lengths().contains(&number.len()) {
            return Err(CardNumberError::Length);
        }
        if !passes_luhn(number) {
            return Err(CardNumberError::CheckDigit);
        }
        Ok(brand)
    }
}

/// Whether the last digit follows from the others by Luhn's formula (ISO/IEC 7812-1, annex B): every second digit from the right
/// is doubled, and the digits of it all add up to a multiple of ten. Any one wrong digit is noticed, and any two neighbours that
/// are swapped unless they are 0 and 9.
pub fn passes_luhn(digits: &str) -> bool {
    let is_number = !digits.is_empty() && are_digits(digits);
    let values = digits.bytes().rev().map(|digit| digit.wrapping_sub(b'0'));
    let sum = values.enumerate().fold(0_u8, |sum, (place, value)| {
        let weighed = if place % 2 == 0 { value } else { doubled(value) };
        sum.wrapping_add(weighed) % 10
    });
    is_number && sum == 0
}

/// The digits of twice a digit, added up.
const fn doubled(value: u8) -> u8 {
    let twice = value.wrapping_mul(2);
    if twice > 9 { twice.wrapping_sub(9) } else { twice }
}

fn are_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn brand_of(digits: &str) -> Option<CardBrand> {
    let start: u16 = digits.get(..4)?.parse().ok()?;
    let range = RANGES
        .iter()
        .find(|(first, last, _)| (*first..=*last).contains(&start))?;
    Some(range.2)
}
