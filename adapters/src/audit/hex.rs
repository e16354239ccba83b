//! Owns how bytes are written in JSON: lower-case hexadecimal, and no other spelling, so that every character of a proof counts.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The digits of `bytes`.
pub(crate) fn digits(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
    text
}

/// The bytes of digits, if there are as many as asked for.
pub(crate) fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return None;
    }
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

/// The bytes of any number of digits.
pub(super) fn all_bytes(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let pairs = pairs.iter();
    pairs
        .map(|pair| str::from_utf8(pair).ok().and_then(bytes::<1>).map(|[byte]| byte))
        .collect()
}

/// Bytes of a fixed number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hex<const N: usize>(pub(super) [u8; N]);

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&digits(&self.0))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let wanted = || D::Error::custom(format_args!("expected {N} bytes in lower-case hexadecimal"));
        bytes(&text).map(Self).ok_or_else(wanted)
    }
}

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&digits(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_one_spelling() {
        assert_eq!(digits(&[0, 0x1f, 0xa0]), "001fa0");
        assert_eq!(bytes("001fa0"), Some([0, 0x1f, 0xa0]));
        for wrong in ["001FA0", "001fa", "001fa00", "001fag", "+01fa0", ""] {
            assert_eq!(bytes::<3>(wrong), None, "{wrong}");
        }
        assert_eq!(all_bytes("001fa0"), Some(vec![0, 0x1f, 0xa0]));
        assert_eq!(all_bytes(""), Some(Vec::new()));
        for wrong in ["0", "0G", "0é"] {
            assert_eq!(all_bytes(wrong), None, "{wrong}");
        }
    }
}
