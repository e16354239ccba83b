//! Owns how fast the monitor reads, and for how long at most.

use std::time::Duration;
use tokio::time::Instant;

/// Commits in a page.
pub(super) const PAGE: u64 = 256;
/// Reading goes on in the next round after so long.
const ROUND_MAX: Duration = Duration::from_secs(30);
/// The time that a commit may take: 20,000 in a second.
const PER_COMMIT: Duration = Duration::from_micros(50);
/// The time that an entry may take besides: 50,000 in a second.
const PER_ENTRY: Duration = Duration::from_micros(20);

/// What is left of a round's time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget(Instant);

impl Budget {
    pub(super) fn from_now() -> Self {
        Self(Instant::now() + ROUND_MAX)
    }

    pub(super) fn is_over(self) -> bool {
        Instant::now() >= self.0
    }
}

/// Waits for as long as so much may take.
pub(super) async fn pause(commits: usize, entries: u64) {
    let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    let commits = PER_COMMIT.saturating_mul(u32::try_from(commits).unwrap_or(u32::MAX));
    tokio::time::sleep(commits.saturating_add(PER_ENTRY.saturating_mul(count(entries)))).await;
}
