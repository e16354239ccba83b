//! Random bits from the system, fetched in blocks.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use florin_domain::ports::Entropy;
use std::cell::RefCell;

const WORDS: usize = 128;

struct Block {
    words: [u64; WORDS],
    used: usize,
}

thread_local! {
    static BLOCK: RefCell<Block> = const { RefCell::new(Block { words: [0; WORDS], used: WORDS }) };
}

/// The system's cryptographic random numbers.
#[derive(Debug, Default)]
pub struct OsEntropy(());

impl OsEntropy {
    /// A source.
    pub fn new() -> Self {
        Self(())
    }
}

impl Entropy for OsEntropy {
    fn next_u64(&self) -> u64 {
        BLOCK.with_borrow_mut(|block| {
            if block.used == WORDS {
                let mut bytes = [0; WORDS * 8];
                SystemRandom::new()
                    .fill(&mut bytes)
                    .expect("the system's generator is seeded before any program runs");
                for (word, chunk) in block.words.iter_mut().zip(bytes.as_chunks::<8>().0) {
                    *word = u64::from_le_bytes(*chunk);
                }
                block.used = 0;
            }
            block.used += 1;
            block.words[block.used - 1]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_word_comes_twice_on_any_thread() {
        let draw = || {
            (0..10 * WORDS)
                .map(|_| OsEntropy::new().next_u64())
                .collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(draw)).collect();
        let words: Vec<u64> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(words.iter().collect::<HashSet<_>>().len(), 4 * 10 * WORDS);
    }
}
