//! What the samples of a run come to: successes by tenths of a second, how long it took until they came as before, and latencies.

use super::load::{Said, Sample};
use florin_load::histogram::Histogram;
use std::time::Duration;
use tokio::time::Instant;

/// The time in which successes are counted together.
pub(super) const SLOT: Duration = Duration::from_millis(100);
/// Slots that must reach the rate together: what one lacks another one may have.
const SLOTS_TOGETHER: usize = 5;
/// The part of the rate before that counts as recovered.
const RECOVERED_PERCENT: u64 = 95;

/// What was asked in one phase, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Phase {
    pub(super) seconds: f64,
    pub(super) succeeded: u64,
    pub(super) declined: u64,
    pub(super) processing: u64,
    pub(super) refused: u64,
    pub(super) lost: u64,
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
    /// Successes by the slot in which they were answered.
    pub(super) slots: Vec<u64>,
}

impl Phase {
    /// Answers count where they came, but for those that came to nothing before the end: latencies are of all that were sent in it.
    pub(super) fn of(samples: &[Sample], from: Instant, to: Instant) -> Self {
        let mut phase = Self {
            seconds: to.duration_since(from).as_secs_f64(),
            slots: slots(samples, from, to),
            ..Self::default()
        };
        let mut latencies = Histogram::new();
        for sample in samples
            .iter()
            .filter(|sample| sample.sent >= from && sample.sent < to)
        {
            let took = sample.ended.duration_since(sample.sent);
            latencies.record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
            *match sample.said {
                Said::Succeeded => &mut phase.succeeded,
                Said::Declined => &mut phase.declined,
                Said::Processing => &mut phase.processing,
                Said::Refused => &mut phase.refused,
                Said::Lost => &mut phase.lost,
            } += 1;
        }
        (phase.p50_us, phase.p99_us) = (latencies.p50_us(), latencies.p99_us());
        phase
    }

    /// Of all that were sent.
    #[expect(clippy::cast_precision_loss, reason = "a measured figure")]
    pub(super) fn succeeded_per_s(&self) -> f64 {
        self.succeeded as f64 / self.seconds.max(1e-9)
    }
}

/// Successes in each whole slot of a time.
fn slots(samples: &[Sample], from: Instant, to: Instant) -> Vec<u64> {
    let slot_of = |time: Duration| usize::try_from(time.as_millis() / SLOT.as_millis()).unwrap_or(usize::MAX);
    let mut slots = vec![0; slot_of(to.duration_since(from))];
    for sample in samples.iter().filter(|sample| sample.said == Said::Succeeded) {
        let Some(since) = sample.ended.checked_duration_since(from) else {
            continue;
        };
        if let Some(count) = slots.get_mut(slot_of(since)) {
            *count += 1;
        }
    }
    slots
}

/// The middle one; of an even number the lower one.
pub(super) fn median(slots: &[u64]) -> u64 {
    let mut sorted = slots.to_vec();
    sorted.sort_unstable();
    sorted
        .get(sorted.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(0)
}

/// From the beginning to the first slot that, with those behind it, comes to 95 % of `usual` again; nothing if none does.
pub(super) fn recovered_after(slots: &[u64], usual: u64) -> Option<Duration> {
    let wanted = usual * SLOTS_TOGETHER as u64 * RECOVERED_PERCENT;
    let index = slots
        .windows(SLOTS_TOGETHER)
        .position(|together| together.iter().sum::<u64>() * 100 >= wanted)?;
    Some(SLOT * u32::try_from(index).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_recovered_where_half_a_second_comes_to_95_percent() {
        let cases: [(&[u64], u64, Option<u64>); 6] = [
            (&[10, 10, 10, 10, 10], 10, Some(0)),
            // What was lost is not made up for, and one slot is no rate.
            (&[0, 0, 10, 0, 10, 10, 10, 10, 8, 10], 10, Some(400)),
            (&[9, 9, 9, 9, 9, 9], 10, None),
            (&[0, 0, 20, 10, 10, 8, 10], 10, Some(100)),
            (&[10, 10], 10, None),
            (&[0, 0, 0, 0, 0], 0, Some(0)),
        ];
        for (slots, usual, expected) in cases {
            assert_eq!(
                recovered_after(slots, usual),
                expected.map(Duration::from_millis),
                "{slots:?}"
            );
        }
    }

    #[test]
    fn the_median_is_the_middle_one() {
        for (slots, expected) in [
            (vec![], 0),
            (vec![3], 3),
            (vec![9, 1, 2], 2),
            (vec![4, 1, 3, 2], 2),
        ] {
            assert_eq!(median(&slots), expected, "{slots:?}");
        }
    }

    #[test]
    fn successes_count_in_the_slot_that_answered_them() {
        let from = Instant::now();
        let at = |sent_ms, ended_ms, said| Sample {
            sent: from + Duration::from_millis(sent_ms),
            ended: from + Duration::from_millis(ended_ms),
            said,
            payment: None,
        };
        let samples = [
            at(0, 99, Said::Succeeded),
            at(0, 100, Said::Succeeded),
            at(10, 250, Said::Processing),
            at(20, 299, Said::Succeeded),
            at(30, 300, Said::Succeeded),
            at(310, 320, Said::Lost),
        ];
        let phase = Phase::of(&samples, from, from + Duration::from_millis(300));
        assert_eq!(phase.slots, [1, 1, 1]);
        assert_eq!((phase.succeeded, phase.processing, phase.lost), (4, 1, 0));
    }
}
