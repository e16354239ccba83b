//! A card as a customer types it: checked once, shown nowhere, wiped when it is dropped.

use crate::card::{self, CardNumberError};
use crate::credentials::SecretText;
use crate::method::CardBrand;
use crate::time::{Millis, Timestamp};
use thiserror::Error;
use zeroize::Zeroizing;

#[cfg(test)]
mod tests;

/// Characters of a holder's name that card networks and providers take.
pub const HOLDER_BYTES_MAX: usize = 255;
/// Nobody issues cards for longer.
const YEARS_AHEAD_MAX: u16 = 50;
/// Somewhere the month lasts so much longer than in UTC.
const MONTH_LASTS_ON: Millis = Millis::from_s(12 * 3600);
/// From so many digits on a number is shown by its first eight, else by six: what PCI DSS lets be kept beside the last four.
const DIGITS_FOR_EIGHT: usize = 16;
const MS_PER_DAY: u64 = 24 * 3600 * 1000;

/// What was typed.
#[derive(Debug)]
pub struct CardInput {
    /// The number; spaces and dashes are left out.
    pub number: SecretText,
    /// 1 to 12.
    pub exp_month: SecretText,
    /// Two or four digits.
    pub exp_year: SecretText,
    /// The code on the card.
    pub security_code: Option<SecretText>,
    /// Whose card it is.
    pub holder: Option<SecretText>,
}

/// A card that may be charged, without its security code.
#[derive(Debug)]
pub struct CardDetails {
    number: SecretText,
    /// Its network.
    pub brand: CardBrand,
    /// Until the end of when it may be charged.
    pub expiry: Expiry,
    /// Whose card it is.
    pub holder: Option<SecretText>,
}

/// The code on a card, which is in memory only, and not for long.
#[derive(Debug)]
pub struct SecurityCode(SecretText);

/// The last month of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiry {
    /// Four digits.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
}

/// Why a card is not taken, the first reason that applies. No text of it has a digit of the card in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CardFault {
    /// The number cannot be one.
    #[error("{0}")]
    Number(CardNumberError),
    /// There is no such month.
    #[error("the card's expiration month is 1 to 12")]
    ExpiryMonth,
    /// It is no year, or nobody issues cards for so long.
    #[error("the card's expiration year is no year, or too far away")]
    ExpiryYear,
    /// The month is over.
    #[error("the card has expired")]
    Expired,
    /// It is not three digits, or four on cards of American Express.
    #[error("the card's security code has three digits, or four with American Express")]
    SecurityCode,
    /// The name is too long.
    #[error("the holder's name is too long")]
    Holder,
}

impl Expiry {
    /// Reads month and year.
    pub fn parse(month: &str, year: &str, now: Timestamp) -> Result<Self, CardFault> {
        let number = |text: &str, chars_max: usize| {
            let is_number =
                (1..=chars_max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u16>().ok().filter(|_| is_number)
        };
        let month = number(month, 2).filter(|month| (1..=12).contains(month));
        let month = month
            .and_then(|month| u8::try_from(month).ok())
            .ok_or(CardFault::ExpiryMonth)?;
        let (this, _) = civil(now);
        let year = match year.len() {
            2 => number(year, 2).map(|short| short.saturating_add(this.saturating_sub(this % 100))),
            4 => number(year, 4),
            _ => None,
        };
        let year = year.filter(|year| *year <= this.saturating_add(YEARS_AHEAD_MAX));
        let expiry = Self {
            year: year.ok_or(CardFault::ExpiryYear)?,
            month,
        };
        if expiry.is_over(now) {
            return Err(CardFault::Expired);
        }
        Ok(expiry)
    }

    /// Whether the month has ended everywhere.
    pub fn is_over(self, now: Timestamp) -> bool {
        let behind = Timestamp::from_unix_ms(now.unix_ms().saturating_sub(MONTH_LASTS_ON.0));
        (self.year, self.month) < civil(behind)
    }
}

impl CardInput {
    /// The card, and its security code if one was typed.
    pub fn check(self, now: Timestamp) -> Result<(CardDetails, Option<SecurityCode>), CardFault> {
        let typed = self.number.expose().chars();
        let digits: Zeroizing<String> =
            Zeroizing::new(typed.filter(|sign| !matches!(sign, ' ' | '-')).collect());
        let brand = CardBrand::of_number(&digits).map_err(CardFault::Number)?;
        let expiry = Expiry::parse(self.exp_month.expose().trim(), self.exp_year.expose().trim(), now)?;
        let code = self
            .security_code
            .map(|code| SecurityCode::check(code, brand))
            .transpose()?;
        if self
            .holder
            .as_ref()
            .is_some_and(|holder| holder.expose().len() > HOLDER_BYTES_MAX)
        {
            return Err(CardFault::Holder);
        }
        let details = CardDetails {
            number: SecretText::new(&digits),
            brand,
            expiry,
            holder: self.holder,
        };
        Ok((details, code))
    }
}

impl CardDetails {
    /// A card that was checked when it was stored.
    pub fn stored(number: SecretText, expiry: Expiry, holder: Option<SecretText>) -> Option<Self> {
        let brand = CardBrand::of_number(number.expose()).ok()?;
        Some(Self {
            number,
            brand,
            expiry,
            holder,
        })
    }

    /// The whole number, to be sent or sealed and never shown.
    pub fn number(&self) -> &str {
        self.number.expose()
    }

    /// The last four digits.
    pub fn last4(&self) -> [u8; 4] {
        self.number().as_bytes().last_chunk().copied().unwrap_or(*b"????")
    }

    /// The digits in front that may be kept beside the last four: eight, or six of a short number.
    pub fn first_digits(&self) -> &str {
        let digits = if self.number().len() >= DIGITS_FOR_EIGHT {
            8
        } else {
            6
        };
        self.number().get(..digits).unwrap_or("")
    }

    /// The same card with another last month.
    #[must_use]
    pub fn expiring(self, expiry: Expiry) -> Self {
        Self { expiry, ..self }
    }
}

impl SecurityCode {
    /// Reads one for a card of this network.
    fn check(text: SecretText, brand: CardBrand) -> Result<Self, CardFault> {
        let digits = text.expose();
        let fits = match brand {
            // The short code is that of the back; the issuer decides.
            CardBrand::Amex => (3..=4).contains(&digits.len()),
            CardBrand::Visa
            | CardBrand::Mastercard
            | CardBrand::Discover
            | CardBrand::Diners
            | CardBrand::Jcb
            | CardBrand::Unionpay => digits.len() == 3,
        };
        if !fits || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(CardFault::SecurityCode);
        }
        Ok(Self(text))
    }

    /// The code itself, to be sent and never kept.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// Year and month of an instant in UTC, by the usual arithmetic of days from March on.
fn civil(at: Timestamp) -> (u16, u8) {
    let days = (at.unix_ms() / MS_PER_DAY).saturating_add(719_468);
    let (era, day) = (days / 146_097, days % 146_097);
    let past = (day / 1_460)
        .saturating_sub(day / 36_524)
        .saturating_add(day / 146_096);
    let of_era = day.saturating_sub(past) / 365;
    let leaps = (of_era / 4).saturating_sub(of_era / 100);
    let of_year = day.saturating_sub(of_era.saturating_mul(365).saturating_add(leaps));
    let shifted = of_year.saturating_mul(5).saturating_add(2) / 153;
    let month = if shifted < 10 {
        shifted.saturating_add(3)
    } else {
        shifted.saturating_sub(9)
    };
    let year = era
        .saturating_mul(400)
        .saturating_add(of_era)
        .saturating_add(u64::from(month <= 2));
    (
        u16::try_from(year).unwrap_or(u16::MAX),
        u8::try_from(month).unwrap_or(12),
    )
}

/// `text` with every card number in it masked but for its last four digits: runs of 13 to 19 digits, also with single spaces or dashes
/// between them, that end in the right check digit. Nothing else is changed.
pub fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, digits, length)) = next_number(rest) {
        out.push_str(before);
        out.push_str("************");
        out.push_str(digits.get(digits.len().saturating_sub(4)..).unwrap_or(""));
        rest = rest.get(before.len().saturating_add(length)..).unwrap_or("");
    }
    out.push_str(rest);
    out
}

/// Whether a card number stands by itself in the text. What is only a part of a longer word or number, such as an id, does not count: it is
/// masked where it is shown, but nobody is refused for it. Neither are 13 digits in a row: that is how article numbers (EAN) and times in
/// milliseconds are written, and cards so short are no longer given out.
pub fn has_number(text: &str) -> bool {
    let (mut rest, mut is_joined) = (text, false);
    while let Some((before, _, length)) = next_number(rest) {
        let begins = before
            .chars()
            .next_back()
            .map_or(!is_joined, |sign| !sign.is_alphanumeric());
        let after = rest.get(before.len().saturating_add(length)..).unwrap_or("");
        if begins && length > card::DIGITS.0 && !after.starts_with(char::is_alphanumeric) {
            return true;
        }
        (rest, is_joined) = (after, true);
    }
    false
}

/// The text before the first card number, its digits, and how many bytes it fills.
fn next_number(text: &str) -> Option<(&str, Zeroizing<String>, usize)> {
    let bytes = text.as_bytes();
    let mut from = 0_usize;
    while from < bytes.len() {
        if !bytes.get(from).is_some_and(u8::is_ascii_digit) {
            from = from.saturating_add(1);
            continue;
        }
        let (digits, ends) = run(bytes, from);
        // Longest first; a number that is a part of a longer run is one all the same.
        let longest = (card::DIGITS.0..=card::DIGITS.1.min(digits.len())).rev();
        for count in longest {
            let candidate = digits.get(..count).unwrap_or("");
            let end = ends.get(count.saturating_sub(1)).copied().unwrap_or(from);
            if CardBrand::of_number(candidate).is_ok() {
                let found = Zeroizing::new(candidate.to_owned());
                return Some((text.get(..from)?, found, end.saturating_sub(from)));
            }
        }
        from = from.saturating_add(1);
    }
    None
}

/// The digits from here on, at most as many as a card number has, and where in the text each ends.
fn run(bytes: &[u8], from: usize) -> (Zeroizing<String>, Vec<usize>) {
    let (mut digits, mut ends) = (Zeroizing::new(String::with_capacity(card::DIGITS.1)), Vec::new());
    let mut was_gap = true;
    for (at, byte) in bytes.iter().enumerate().skip(from) {
        match byte {
            b'0'..=b'9' => {
                digits.push(char::from(*byte));
                ends.push(at.saturating_add(1));
                was_gap = false;
            }
            b' ' | b'-' if !was_gap => was_gap = true,
            _ => break,
        }
        if ends.len() == card::DIGITS.1 {
            break;
        }
    }
    (digits, ends)
}
