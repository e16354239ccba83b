//! Card tokens: `tok_`, a version, a random id and a checksum, so that a mistyped token is refused before anything is looked up.
//!
//! The characters behind the prefix are digits in the field of 61 elements, and together a codeword of a Reed-Solomon code: as a
//! polynomial they are a multiple of `(x - 2)(x - 4)(x - 8)(x - 16)`. Two is a primitive root modulo 61, so any two different words
//! of at most 60 characters differ in at least five places (four consecutive powers of a primitive root are zeros: the BCH bound). One
//! character changed is one place, two swapped are two: neither gives another word. Nor do up to four changed characters.

use std::fmt;
use thiserror::Error;

#[cfg(test)]
mod tests;

/// Digits and letters without `l`, which is easily taken for `1`: their number is prime.
const ALPHABET: &[u8; MODULUS as usize] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const MODULUS: u16 = 61;
/// `(x - 2)(x - 4)(x - 8)(x - 16)` modulo 61, without its leading one, from the highest power on.
const GENERATOR: [u16; CHECK_CHARS] = [31, 36, 16, 48];
const VERSION: u8 = b'1';
const RANDOM_CHARS: usize = 24;
const CHECK_CHARS: usize = 4;
/// Version and random id.
const DATA_CHARS: usize = RANDOM_CHARS + 1;
const BODY_CHARS: usize = DATA_CHARS + CHECK_CHARS;
/// Drawn from 64 random bits: so few that every character is practically as likely as any other.
const CHARS_PER_DRAW: usize = 8;

const _: () = assert!(
    BODY_CHARS < MODULUS as usize,
    "the code has words of 60 places at most"
);

/// A card token: it stands for a card once, and says nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CardToken([u8; BODY_CHARS]);

/// Why a text is no token, found without looking anything up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// It does not begin like one.
    #[error("a card token begins with `tok_`")]
    Prefix,
    /// It is of a version that is not known here.
    #[error("the card token is of an unknown version")]
    Version,
    /// It is too long, too short, or has characters that no token has.
    #[error("a card token has 29 letters and digits after `tok_`")]
    Shape,
    /// A character is wrong, or two are swapped.
    #[error("the card token is mistyped: its checksum does not fit")]
    Checksum,
}

impl CardToken {
    /// What the written form begins with.
    pub const PREFIX: &'static str = "tok_";

    /// A token from this much randomness.
    pub fn draw(entropy: [u64; RANDOM_CHARS / CHARS_PER_DRAW]) -> Self {
        let mut body = [VERSION; BODY_CHARS];
        let (data, check) = body.split_at_mut(DATA_CHARS);
        let random = data.iter_mut().skip(1);
        let digits = entropy.into_iter().flat_map(|bits| {
            const BASE: u64 = MODULUS as u64;
            let digits = std::iter::successors(Some(bits), |bits| Some(bits / BASE));
            digits.map(|bits| bits % BASE).take(CHARS_PER_DRAW)
        });
        for (place, digit) in random.zip(digits) {
            *place = character(u16::try_from(digit).unwrap_or(0));
        }
        check.copy_from_slice(&checksum(data));
        Self(body)
    }

    /// Reads the written form.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let body = text.strip_prefix(Self::PREFIX).ok_or(TokenError::Prefix)?;
        let body: [u8; BODY_CHARS] = body.as_bytes().try_into().map_err(|_| TokenError::Shape)?;
        if !body.iter().all(|byte| ALPHABET.contains(byte)) {
            return Err(TokenError::Shape);
        }
        if body.first() != Some(&VERSION) {
            return Err(TokenError::Version);
        }
        let (data, check) = body.split_at(DATA_CHARS);
        if check != checksum(data) {
            return Err(TokenError::Checksum);
        }
        Ok(Self(body))
    }

    /// What is behind the prefix.
    pub fn body(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or("")
    }
}

impl fmt::Display for CardToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::PREFIX)?;
        f.write_str(self.body())
    }
}

/// Whoever has a token can use the card once, so it is not shown where things are looked at.
impl fmt::Debug for CardToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tok_***")
    }
}

fn character(digit: u16) -> u8 {
    ALPHABET.get(usize::from(digit)).copied().unwrap_or(VERSION)
}

/// The digit of a character of the alphabet.
fn digit(byte: u8) -> u16 {
    let place = ALPHABET.iter().position(|known| *known == byte);
    place.and_then(|place| u16::try_from(place).ok()).unwrap_or(0)
}

/// The four characters that make a multiple of the generator of what stands before them: the negated remainder.
fn checksum(data: &[u8]) -> [u8; CHECK_CHARS] {
    let mut remainder = [0_u16; CHECK_CHARS];
    for byte in data {
        let [leading, rest @ ..] = remainder;
        let factor = leading.wrapping_add(digit(*byte)) % MODULUS;
        let shifted = rest.into_iter().chain([0]);
        let mut next = [0; CHECK_CHARS];
        for ((place, digit), coefficient) in next.iter_mut().zip(shifted).zip(GENERATOR) {
            let taken = factor.wrapping_mul(coefficient) % MODULUS;
            *place = digit.wrapping_add(MODULUS).wrapping_sub(taken) % MODULUS;
        }
        remainder = next;
    }
    remainder.map(|digit| character(MODULUS.wrapping_sub(digit) % MODULUS))
}
