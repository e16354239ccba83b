//! Every identity is its own type. An id is 128 bits: 48 bits of Unix milliseconds, 16 bits of home shard, 64 random bits,
//! written as a prefix and 26 characters of lower-case Crockford base 32, so ids sort by time and carry their shard.

use crate::time::Timestamp;
use std::fmt;
use std::hash::Hasher;
use thiserror::Error;

/// The journal partition that owns an entity. Embedded stores have one: [`ShardId::FIRST`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

impl ShardId {
    /// The only shard of an embedded store.
    pub const FIRST: Self = Self(0);
}

/// The position of a commit in its shard's journal; the first commit is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// Before the first commit.
    pub const ZERO: Self = Self(0);

    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who may append to a shard: a later owner has a higher epoch and fences out earlier ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// Why a text is not an id of the wanted kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum IdError {
    /// The prefix belongs to another kind of object.
    #[error("expected an id that starts with `{0}`")]
    Prefix(&'static str),
    /// The part after the prefix is not 26 characters of Crockford base 32.
    #[error("malformed id after `{0}`")]
    Body(&'static str),
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const BODY_LEN: usize = 26;

/// Packs the parts of a new id.
#[must_use]
pub const fn compose(at: Timestamp, shard: ShardId, entropy: u64) -> u128 {
    ((at.unix_ms() as u128 & 0xffff_ffff_ffff) << 80) | ((shard.0 as u128) << 64) | entropy as u128
}

impl PaymentId {
    /// When the id was made, to the millisecond.
    pub const fn made_at(self) -> Timestamp {
        let ms = (self.bits() >> 80) as u64;
        Timestamp::from_unix_ms(ms)
    }
}

fn write_body(f: &mut fmt::Formatter<'_>, value: u128) -> fmt::Result {
    let mut text = [0_u8; BODY_LEN];
    let mut rest = value;
    for slot in text.iter_mut().rev() {
        *slot = ALPHABET[usize::try_from(rest & 31).unwrap_or(0)];
        rest >>= 5;
    }
    f.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?)
}

fn read_body(text: &str) -> Option<u128> {
    let bytes = text.as_bytes();
    if bytes.len() != BODY_LEN || bytes.first().is_none_or(|b| *b > b'7') {
        return None;
    }
    bytes.iter().try_fold(0_u128, |acc, byte| {
        let digit = ALPHABET.iter().position(|c| c == byte)?;
        Some((acc << 5) | u128::try_from(digit).ok()?)
    })
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// What the written form starts with.
            pub const PREFIX: &'static str = $prefix;

            /// The id made of these 128 bits, see [`compose`].
            pub const fn from_bits(bits: u128) -> Self { Self(bits) }

            /// The 128 bits of the id.
            pub const fn bits(self) -> u128 { self.0 }

            /// The shard that owns the object.
            pub const fn shard(self) -> ShardId { ShardId(((self.0 >> 64) & 0xffff) as u16) }

            /// When the id was drawn; an object is dated by it, so that the order of ids is the order of time.
            pub const fn drawn_at(self) -> Timestamp {
                Timestamp::from_unix_ms((self.0 >> 80) as u64)
            }

            /// Reads the written form.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                let body = text.strip_prefix($prefix).ok_or(IdError::Prefix($prefix))?;
                read_body(body).map(Self).ok_or(IdError::Body($prefix))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                write_body(f, self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(self, f) }
        }
    )*};
}

ids! {
    /// A payment, and its authorizing operation.
    PaymentId = "pay_";
    /// One capture of an authorized payment.
    CaptureId = "cap_";
    /// One refund of captured money.
    RefundId = "ref_";
    /// The voiding of an authorization.
    VoidId = "void_";
    /// An increment of an authorization.
    IncrementId = "inc_";
    /// The giving back of a charge that arrived after its attempt was closed.
    ReversalId = "rev_";
    /// An account of the general ledger; see `LedgerAccountId::pack`.
    LedgerAccountId = "acc_";
    /// A merchant (tenant root).
    MerchantId = "mer_";
    /// An API key's public identity; the secret is another value.
    ApiKeyId = "key_";
    /// A customer of a merchant.
    CustomerId = "cus_";
    /// A card that was saved.
    MethodId = "pm_";
    /// A card that is being set up for later charges.
    SetupId = "seti_";
    /// Somebody's consent to later charges.
    MandateId = "mandate_";
    /// A link under which customers pay on a page of ours.
    PaymentLinkId = "plink_";
    /// An entry of a block or allow list.
    ListEntryId = "rle_";
    /// Something that merchants were told; see `EventPlace::id`.
    EventId = "evt_";
    /// Where a merchant wants to be told.
    EndpointId = "we_";
}

/// Hashes ids that were drawn here: half of their bits are random, and nobody who might want them to collide has chosen them.
#[derive(Clone, Copy, Debug, Default)]
pub struct DrawnIdHasher(u64);

impl Hasher for DrawnIdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0.rotate_left(29) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }

    #[expect(clippy::cast_possible_truncation, reason = "one half after the other")]
    fn write_u128(&mut self, bits: u128) {
        self.write_u64((bits >> 64) as u64);
        self.write_u64(bits as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// One thing asked of a provider, at most one attempt of which may ever succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperationId {
    /// The authorization (or sale) that every payment starts with.
    Authorize(PaymentId),
    /// A capture.
    Capture(CaptureId),
    /// A void.
    Void(VoidId),
    /// A refund.
    Refund(RefundId),
    /// An increment of the authorization.
    Increment(IncrementId),
    /// The giving back of a late charge.
    Reversal(ReversalId),
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authorize(id) => id.fmt(f),
            Self::Capture(id) => id.fmt(f),
            Self::Void(id) => id.fmt(f),
            Self::Refund(id) => id.fmt(f),
            Self::Increment(id) => id.fmt(f),
            Self::Reversal(id) => id.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_of_another_kind_is_refused_by_its_prefix() {
        let payment = PaymentId::from_bits(7).to_string();
        assert_eq!(RefundId::parse(&payment), Err(IdError::Prefix("ref_")));
        assert_eq!(PaymentId::parse("pay_short"), Err(IdError::Body("pay_")));
        assert_eq!(
            PaymentId::parse("pay_zzzzzzzzzzzzzzzzzzzzzzzzzz"),
            Err(IdError::Body("pay_"))
        );
    }

    proptest! {
        #[test]
        fn written_ids_read_back_and_sort_like_their_bits(a: u128, b: u128) {
            let (x, y) = (PaymentId::from_bits(a), PaymentId::from_bits(b));
            prop_assert_eq!(PaymentId::parse(&x.to_string()), Ok(x));
            prop_assert_eq!(x.to_string().cmp(&y.to_string()), x.cmp(&y));
        }

        #[test]
        fn an_id_carries_its_shard(ms in 0_u64..1 << 48, shard: u16, entropy: u64) {
            let id = PaymentId::from_bits(compose(Timestamp::from_unix_ms(ms), ShardId(shard), entropy));
            prop_assert_eq!((id.shard(), id.drawn_at().unix_ms()), (ShardId(shard), ms));
        }
    }
}
