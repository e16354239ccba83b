//! Owns chance: numbers that are the same for the same seed, in streams that do not disturb each other.

/// A stream of numbers (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The stream of a seed with this name.
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        // FNV-1a, so that streams of neighbouring seeds and names have nothing in common.
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let seeded = seed.to_be_bytes().into_iter().fold(0xcbf2_9ce4_8422_2325, fold);
        let mut dice = Self(name.bytes().fold(seeded, fold));
        dice.next();
        dice
    }

    /// The stream of one of many things of the same name.
    pub(crate) fn of(seed: u64, name: &str, number: u64) -> Self {
        let mut dice = Self::new(seed, name);
        dice.0 ^= number.wrapping_mul(0xd6e8_feb8_6659_fd93);
        dice.next();
        dice
    }

    /// 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `0..n`; 0 if there is none.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next().checked_rem(n).unwrap_or(0)
    }

    /// One of `from..=to`.
    pub(crate) fn within(&mut self, from: u64, to: u64) -> u64 {
        from.saturating_add(self.below(to.saturating_sub(from).saturating_add(1)))
    }

    /// So often in 10,000.
    pub(crate) fn hits(&mut self, per_10_000: u64) -> bool {
        self.below(10_000) < per_10_000
    }

    /// One of a list that is not empty.
    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        let place = usize::try_from(self.below(list.len() as u64)).unwrap_or(0);
        &list[place]
    }

    /// A place in a list of this length.
    pub(crate) fn place(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }
}
