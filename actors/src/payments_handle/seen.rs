//! Owns how far somebody has seen what a shard holds: a later read that names it shows at least that, whoever answers it.

use super::PaymentsHandle;
use florin_domain::ids::{MerchantId, Seq, ShardId};
use std::fmt;
use std::sync::atomic::Ordering;

/// Up to where somebody has seen a shard. Its text is what callers keep and give back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which shard.
    pub shard: ShardId,
    /// The last commit that may have been seen.
    pub seq: Seq,
}

impl Seen {
    /// Reads the text again; nothing else is one.
    pub fn parse(text: &str) -> Option<Self> {
        let (shard, seq) = text.split_once('-')?;
        let seen = Self {
            shard: ShardId(shard.parse().ok()?),
            seq: Seq(seq.parse().ok()?),
        };
        (seen.to_string() == text).then_some(seen)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.shard.0, self.seq)
    }
}

impl PaymentsHandle {
    /// Up to where an answer to a merchant may show what there is. Asked after the answer was made, it covers all of it.
    pub fn seen(&self, merchant: MerchantId) -> Seen {
        let context = self.at(merchant.shard()).context;
        Seen {
            shard: context.shard,
            seq: Seq(context.followed.load(Ordering::Acquire)),
        }
    }

    /// Whether everything that is read here from now on shows at least that; nothing if there is no such shard.
    pub fn shows(&self, seen: Seen) -> Option<bool> {
        let context = self.shards.get(seen.shard)?;
        Some(seen.seq.0 <= context.followed.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_text_is_read() {
        for (shard, seq, text) in [
            (0, 0, "0-0"),
            (3, 17, "3-17"),
            (u16::MAX, u64::MAX, "65535-18446744073709551615"),
        ] {
            let seen = Seen {
                shard: ShardId(shard),
                seq: Seq(seq),
            };
            assert_eq!(seen.to_string(), text);
            assert_eq!(Seen::parse(text), Some(seen));
        }
        for text in [
            "",
            "-",
            "0",
            "0-",
            "-0",
            "00-1",
            "0-01",
            "+0-1",
            "0-+1",
            "0- 1",
            "0--1",
            "65536-1",
            "0-18446744073709551616",
            "0-1-2",
        ] {
            assert_eq!(Seen::parse(text), None, "{text}");
        }
    }
}
