//! What an entry of a list is about: one card, customer, device or card prefix, a country, an address or a range of addresses.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// Bytes of a name at most, as in a payment.
pub(crate) const TARGET_BYTES_MAX: usize = 255;
/// A wider range than this is a slip of the pen: a 256th of all IPv4 addresses.
pub(crate) const V4_PREFIX_MIN: u8 = 8;
/// The same for IPv6.
pub(crate) const V6_PREFIX_MIN: u8 = 16;

/// What kind of thing an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListKind {
    /// A card, by the fingerprint of its number, or by the id of the method.
    CardFingerprint,
    /// A merchant's customer.
    Customer,
    /// A device, by its fingerprint.
    Device,
    /// An address or a range of them.
    Ip,
    /// The issuer's country, or that of the device.
    Country,
    /// The first digits of a card number.
    Bin,
}

impl ListKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::CardFingerprint,
        Self::Customer,
        Self::Device,
        Self::Ip,
        Self::Country,
        Self::Bin,
    ];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CardFingerprint => "card_fingerprint",
            Self::Customer => "customer",
            Self::Device => "device",
            Self::Ip => "ip",
            Self::Country => "country",
            Self::Bin => "bin",
        }
    }

    /// The kind of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A range of addresses; one address is a range as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    first: IpAddr,
    prefix: u8,
}

impl Network {
    /// The network of an address with a prefix of so many bits; bits behind it are dropped.
    pub fn of(address: IpAddr, prefix: u8) -> Self {
        let first = match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into()));
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask.unwrap_or(0)))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into()));
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask.unwrap_or(0)))
            }
        };
        Self { first, prefix }
    }

    /// Its first address.
    pub const fn first(self) -> IpAddr {
        self.first
    }

    /// How many leading bits its addresses share.
    pub const fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether it is one of IPv6.
    pub const fn is_v6(self) -> bool {
        self.first.is_ipv6()
    }

    fn parse(text: &str) -> Result<Self, TargetError> {
        let (address, prefix) = match text.split_once('/') {
            None => (text, None),
            Some((address, prefix)) => (address, Some(prefix)),
        };
        let written: IpAddr = address.parse().map_err(|_| TargetError::Ip)?;
        // An IPv4 address in IPv6 clothes is that address.
        let address = written.to_canonical();
        let clothes = if written == address { 0 } else { 96 };
        let (bits, min) = if address.is_ipv6() {
            (128, V6_PREFIX_MIN)
        } else {
            (32, V4_PREFIX_MIN)
        };
        let Some(prefix) = prefix else {
            return Ok(Self::of(address, bits));
        };
        let is_plain = prefix.bytes().all(|byte| byte.is_ascii_digit());
        let read: Option<u8> = prefix.parse().ok().filter(|_| is_plain);
        let prefix = read
            .and_then(|prefix| prefix.checked_sub(clothes))
            .filter(|prefix| *prefix <= bits)
            .ok_or(TargetError::Ip)?;
        if prefix < min {
            return Err(TargetError::Wide);
        }
        let network = Self::of(address, prefix);
        if network.first != address {
            return Err(TargetError::HostBits(network));
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = if self.is_v6() { 128 } else { 32 };
        if self.prefix == whole {
            return self.first.fmt(f);
        }
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

/// Why a text is no target of the wanted kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TargetError {
    /// Nothing is in it.
    #[error("must not be empty")]
    Empty,
    /// It is too long.
    #[error("is at most 255 bytes long")]
    Long,
    /// No address and no range.
    #[error("is an IPv4 or IPv6 address, or a range such as 192.0.2.0/24")]
    Ip,
    /// A range that holds too much of the world.
    #[error("is a range with a prefix of at least 8 bits for IPv4 and 16 for IPv6")]
    Wide,
    /// An address within a range, where the range is meant.
    #[error("has bits behind its prefix; the range is {0}")]
    HostBits(Network),
    /// No country.
    #[error("is a two-letter ISO 3166 code")]
    Country,
    /// No prefix of a card number.
    #[error("is the first 6 to 8 digits of a card number")]
    Bin,
}

/// What an entry is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// See [`ListKind::CardFingerprint`].
    CardFingerprint(Arc<str>),
    /// See [`ListKind::Customer`].
    Customer(Arc<str>),
    /// See [`ListKind::Device`].
    Device(Arc<str>),
    /// See [`ListKind::Ip`].
    Ip(Network),
    /// See [`ListKind::Country`].
    Country([u8; 2]),
    /// See [`ListKind::Bin`].
    Bin(Arc<str>),
}

impl Target {
    /// Reads the written form.
    ///
    /// # Errors
    /// If the text is no such thing.
    pub fn parse(kind: ListKind, text: &str) -> Result<Self, TargetError> {
        if text.trim().is_empty() {
            return Err(TargetError::Empty);
        }
        if text.len() > TARGET_BYTES_MAX {
            return Err(TargetError::Long);
        }
        Ok(match kind {
            ListKind::CardFingerprint => Self::CardFingerprint(Arc::from(text)),
            ListKind::Customer => Self::Customer(Arc::from(text)),
            ListKind::Device => Self::Device(Arc::from(text)),
            ListKind::Ip => Self::Ip(Network::parse(text)?),
            ListKind::Country => match text.as_bytes() {
                [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                    Self::Country([a.to_ascii_uppercase(), b.to_ascii_uppercase()])
                }
                _ => return Err(TargetError::Country),
            },
            ListKind::Bin => {
                let fits = (6..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
                if !fits {
                    return Err(TargetError::Bin);
                }
                Self::Bin(Arc::from(text))
            }
        })
    }

    /// What kind of thing it is.
    pub const fn kind(&self) -> ListKind {
        match self {
            Self::CardFingerprint(_) => ListKind::CardFingerprint,
            Self::Customer(_) => ListKind::Customer,
            Self::Device(_) => ListKind::Device,
            Self::Ip(_) => ListKind::Ip,
            Self::Country(_) => ListKind::Country,
            Self::Bin(_) => ListKind::Bin,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CardFingerprint(text) | Self::Customer(text) | Self::Device(text) | Self::Bin(text) => {
                f.write_str(text)
            }
            Self::Ip(network) => network.fmt(f),
            Self::Country(letters) => f.write_str(str::from_utf8(letters).unwrap_or("??")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(kind: ListKind, text: &str) -> Result<String, TargetError> {
        Target::parse(kind, text).map(|target| target.to_string())
    }

    #[test]
    fn values_are_read_strictly_and_written_in_one_form() {
        let ip = |text: &str| read(ListKind::Ip, text);
        let well = |text: &str| Ok(text.to_owned());
        assert_eq!(ip("192.0.2.1"), well("192.0.2.1"));
        assert_eq!(ip("192.0.2.1/32"), well("192.0.2.1"));
        assert_eq!(ip("192.0.2.0/24"), well("192.0.2.0/24"));
        assert_eq!(ip("::FFFF:192.0.2.0/120"), well("192.0.2.0/24"));
        assert_eq!(ip("2001:DB8::/32"), well("2001:db8::/32"));
        assert_eq!(ip("2001:db8:0:0::1"), well("2001:db8::1"));
        let range = Network::of("192.0.2.0".parse().unwrap(), 24);
        assert_eq!(ip("192.0.2.9/24"), Err(TargetError::HostBits(range)));
        for wide in ["0.0.0.0/0", "10.0.0.0/7", "::/0", "2001::/15"] {
            assert_eq!(ip(wide), Err(TargetError::Wide), "{wide}");
        }
        for none in [
            "192.0.2",
            "192.0.2.0/33",
            "192.0.2.0/+24",
            "192.0.2.0/",
            "::1/129",
            "::ffff:192.0.2.0/24",
            "a",
        ] {
            assert_eq!(ip(none), Err(TargetError::Ip), "{none}");
        }
        assert_eq!(read(ListKind::Country, "ru"), well("RU"));
        assert_eq!(read(ListKind::Country, "RUS"), Err(TargetError::Country));
        assert_eq!(read(ListKind::Bin, "424242"), well("424242"));
        assert_eq!(read(ListKind::Bin, "42424"), Err(TargetError::Bin));
        assert_eq!(read(ListKind::Bin, "42424x"), Err(TargetError::Bin));
        assert_eq!(read(ListKind::Customer, "  "), Err(TargetError::Empty));
        assert_eq!(read(ListKind::Device, &"x".repeat(256)), Err(TargetError::Long));
    }

    proptest! {
        #[test]
        fn a_network_is_written_and_read_back(bits: u128, v6: bool, prefix in 16_u8..=128) {
            let (address, prefix) = if v6 {
                (IpAddr::from(Ipv6Addr::from_bits(bits)).to_canonical(), prefix)
            } else {
                let low = u32::try_from(bits & 0xffff_ffff).unwrap();
                (IpAddr::from(Ipv4Addr::from_bits(low)), prefix / 4)
            };
            prop_assume!(address.is_ipv6() == v6 && prefix >= 8);
            let network = Network::of(address, prefix);
            // A range may begin with an address that is another one's clothes.
            prop_assume!(network.first().to_canonical() == network.first());
            prop_assert_eq!(Target::parse(ListKind::Ip, &network.to_string()), Ok(Target::Ip(network)));
        }
    }
}
