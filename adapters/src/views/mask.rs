//! What a payment's metadata can have, in 64 bits: each key and each pair sets some, and what lacks one of them is not there. It only ever
//! leaves out, and the more pairs a payment has, the less: with five about one in thirty passes that should not, with fifty all do.

use std::sync::Arc;

/// Bits of a key, besides those of its pair.
const KEY_BITS: u32 = 2;
/// Bits of a pair.
const PAIR_BITS: u32 = 3;

/// The bits of some metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mask(u64);

impl Mask {
    /// Of all these pairs.
    pub(super) fn of(metadata: &[(Arc<str>, Arc<str>)]) -> Self {
        let bits = metadata
            .iter()
            .fold(0, |bits, (key, value)| bits | Self::pair(key, value).0);
        Self(bits)
    }

    /// Of a key with this value. The same for either case of ASCII in the value, since a search does not tell them apart.
    pub(super) fn pair(key: &str, value: &str) -> Self {
        // No text has this byte, so that no part of a key counts as part of a value.
        let text = key
            .bytes()
            .chain([0xff])
            .chain(value.bytes().map(|byte| byte.to_ascii_lowercase()));
        Self(Self::key(key).0 | bits(text, PAIR_BITS))
    }

    /// Of a key, whatever its value.
    pub(super) fn key(key: &str) -> Self {
        Self(bits(key.bytes(), KEY_BITS))
    }

    /// Whether it has all of these bits; where not, what they stand for is not there.
    pub(super) const fn has(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// As a column has it.
    pub(super) const fn stored(column: i64) -> Self {
        Self(column.cast_unsigned())
    }

    /// For the column.
    pub(super) const fn column(self) -> i64 {
        self.0.cast_signed()
    }
}

/// So many bits out of 64, chosen by a text. Stored, so never chosen otherwise. FNV-1a of 64 bits, whose bits are stirred, since six of
/// them choose one.
fn bits(text: impl Iterator<Item = u8>, count: u32) -> u64 {
    let digest = text.fold(0xcbf2_9ce4_8422_2325_u64, |digest, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let stirred = (digest ^ (digest >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let stirred = (stirred ^ (stirred >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    let stirred = stirred ^ (stirred >> 33);
    (0..count).fold(0, |bits, place| bits | 1 << ((stirred >> (6 * place)) & 63))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn metadata() -> impl Strategy<Value = Vec<(Arc<str>, Arc<str>)>> {
        let pair = ("\\PC{1,12}", "\\PC{0,20}").prop_map(|(key, value)| (key.into(), value.into()));
        prop::collection::vec(pair, 0..50)
    }

    proptest! {
        #[test]
        fn what_is_there_is_never_hidden(metadata in metadata()) {
            let mask = Mask::stored(Mask::of(&metadata).column());
            for (key, value) in &metadata {
                prop_assert!(mask.has(Mask::key(key)));
                prop_assert!(mask.has(Mask::pair(key, value)));
                prop_assert!(mask.has(Mask::pair(key, &value.to_ascii_uppercase())));
            }
            prop_assert!(mask.has(Mask::of(&metadata[..metadata.len() / 2])));
        }
    }

    #[test]
    fn stored_bits_stay_as_they_were_chosen() {
        for (key, value, bits) in [
            ("order", "1001", 288_230_447_018_689_536),
            ("order", "1002", 70_437_472_044_096),
            ("", "", 378_032_619_520),
            ("Stühle", "Tische", 36_066_182_561_792_008),
        ] {
            assert_eq!(Mask::pair(key, value).column(), bits, "{key} {value}");
        }
        assert_eq!(Mask::of(&[]).column(), 0);
    }

    #[test]
    fn few_pass_that_should_not() {
        let pair = |n: u32| (Arc::from("order"), Arc::from(n.to_string()));
        let wanted = Mask::of(&[pair(0)]);
        let passed = (1..=10_000).filter(|n| Mask::of(&[pair(*n)]).has(wanted)).count();
        assert!(passed < 50, "{passed} of ten thousand with one pair");
        let other = |n: u32| (Arc::from(format!("key {n}")), Arc::from("a value"));
        let several = |n| [pair(n), other(1), other(2), other(3), other(4)];
        let passed = (1..=10_000)
            .filter(|n| Mask::of(&several(*n)).has(wanted))
            .count();
        assert!(passed < 1_000, "{passed} of ten thousand with five");
    }
}
