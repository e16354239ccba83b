//! When a delivery that failed is sent again: the waits that Standard Webhooks proposes, three days in all, each a little longer by lot.
//!
//! Source: the operational considerations of the Standard Webhooks specification (retry schedule, `Retry-After`, status 410).

use crate::time::{Millis, Timestamp};

/// Waits after the first, second... delivery in vain.
pub const WAITS: [Millis; 9] = [
    Millis::from_s(5),
    Millis::from_s(5 * 60),
    Millis::from_s(30 * 60),
    Millis::from_s(2 * 3600),
    Millis::from_s(5 * 3600),
    Millis::from_s(10 * 3600),
    Millis::from_s(14 * 3600),
    Millis::from_s(20 * 3600),
    Millis::from_s(24 * 3600),
];
/// An endpoint at which nothing has arrived for so long is disabled.
pub const DISABLED_AFTER: Millis = Millis::from_s(72 * 3600);
/// What a wait may be longer, in basis points of it.
const JITTER_BPS: u64 = 1_000;

/// When to send again what was sent so often in vain; `None` if it was sent as often as it may be. A server that asks for more time gets it.
/// `random` is any random number.
pub fn again(attempts: u32, now: Timestamp, retry_after: Option<Millis>, random: u64) -> Option<Timestamp> {
    let place = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let wait = WAITS.get(place)?;
    let spread = wait
        .0
        .saturating_mul(JITTER_BPS)
        .div_euclid(10_000)
        .saturating_add(1);
    let wait = wait.0.saturating_add(random.rem_euclid(spread));
    let wait = wait.max(retry_after.map_or(0, |wait| wait.0));
    Some(now.plus(Millis(wait)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_000_000);

    #[test]
    fn waits_follow_the_table_and_end_after_the_tenth_delivery() {
        let waits: Vec<Option<u64>> = (1..=10)
            .map(|attempts| again(attempts, NOW, None, 0).map(|due| due.since(NOW).0 / 1000))
            .collect();
        let table = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400].map(Some);
        assert_eq!(waits[..9], table);
        assert_eq!(waits[9], None);
        assert!(table.iter().flatten().sum::<u64>() >= DISABLED_AFTER.0 / 1000);
    }

    #[test]
    fn a_wait_is_longer_by_a_tenth_at_most_and_never_shorter() {
        for random in [0, 1, 499, 500, 501, u64::MAX] {
            let wait = again(1, NOW, None, random).map(|due| due.since(NOW).0);
            assert!(wait.is_some_and(|wait| (5000..=5500).contains(&wait)), "{wait:?}");
        }
    }

    #[test]
    fn a_server_that_asks_for_more_time_gets_it_and_one_that_asks_for_less_does_not() {
        let wait = |asked| again(1, NOW, Some(Millis(asked)), 0).map(|due| due.since(NOW).0);
        assert_eq!((wait(60_000), wait(10)), (Some(60_000), Some(5000)));
    }
}
