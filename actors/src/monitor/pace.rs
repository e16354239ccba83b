//! Owns how fast the monitor reads, and for how long at most.

use florin_domain::consistency::ROUND_MAX;
use std::time::Duration;
use tokio::time::Instant;

/// Commits in a page.
pub(super) const PAGE: u64 = 256;
/// Reading goes on in the next round after so long.
const WHOLE: Duration = Duration::from_millis(ROUND_MAX.0);
/// What each reader has of it, whatever the other one does.
const SHARE: Duration = Duration::from_millis(ROUND_MAX.0 / 2);
/// The time that a commit may take: 20,000 in a second.
const PER_COMMIT: Duration = Duration::from_micros(50);
/// The time that an entry may take besides: 50,000 in a second.
const PER_ENTRY: Duration = Duration::from_micros(20);

/// Until when a reader may read in a round. There are two, that of the last minutes and the fold, and neither waits for ever for the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget(Instant);

impl Budget {
    /// Of the first reader: its share, or the whole round if the fold comes along with it.
    pub(super) fn of_recent(round_began: Instant, folds_along: bool) -> Self {
        Self(round_began + if folds_along { WHOLE } else { SHARE })
    }

    /// Of the fold, which begins now: what is left of the round, and its share at least if it has not come along.
    pub(super) fn of_fold(round_began: Instant, has_come_along: bool) -> Self {
        let end = round_began + WHOLE;
        Self(if has_come_along {
            end
        } else {
            end.max(Instant::now() + SHARE)
        })
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
