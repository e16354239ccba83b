//! Latency histogram in microseconds: log-linear buckets, O(1) to record, mergeable.
//!
//! Values below 256 us have a bucket each. Above, every power of two is cut into 128 equal buckets, so the
//! upper edge that a quantile reports is less than 1/128 above the recorded value.

use std::fmt;

/// Buckets per power of two.
const SUB_BUCKET_BITS: u32 = 7;
const SUB_BUCKETS: usize = 1 << SUB_BUCKET_BITS;
/// Below this value (two rows of sub-buckets) every value has its own bucket.
const EXACT_BELOW: u64 = 2 * (1 << SUB_BUCKET_BITS);
/// Exact buckets, then one row of sub-buckets for each power of two from 2^8 to 2^63.
const BUCKETS: usize = 2 * SUB_BUCKETS + (63 - SUB_BUCKET_BITS as usize) * SUB_BUCKETS;

/// Counts of latencies; covers every `u64`, so nothing is clipped.
#[derive(Clone)]
pub struct Histogram {
    counts: Box<[u64]>,
    count: u64,
    max_us: u64,
}

impl Histogram {
    /// An empty histogram; allocates all its buckets (58 KiB) at once.
    pub fn new() -> Self {
        Self {
            counts: vec![0; BUCKETS].into_boxed_slice(),
            count: 0,
            max_us: 0,
        }
    }

    /// Counts one latency.
    pub fn record(&mut self, value_us: u64) {
        self.counts[bucket_of(value_us)] += 1;
        self.count += 1;
        self.max_us = self.max_us.max(value_us);
    }

    /// Adds everything `other` counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.count += other.count;
        self.max_us = self.max_us.max(other.max_us);
    }

    /// How many latencies were recorded.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The median; 0 when empty, like every quantile.
    pub fn p50_us(&self) -> u64 {
        self.quantile_us(500)
    }

    /// 99 of 100 were at most this.
    pub fn p99_us(&self) -> u64 {
        self.quantile_us(990)
    }

    /// 999 of 1000 were at most this.
    pub fn p999_us(&self) -> u64 {
        self.quantile_us(999)
    }

    /// The largest recorded value, exactly.
    pub fn max_us(&self) -> u64 {
        self.max_us
    }

    /// The smallest bucket edge that at least `per_mille` thousandths of the values do not exceed.
    pub fn quantile_us(&self, per_mille: u32) -> u64 {
        let rank = (u128::from(self.count) * u128::from(per_mille.min(1000))).div_ceil(1000);
        let mut seen = 0_u128;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += u128::from(*count);
            if *count > 0 && seen >= rank {
                return upper_edge_us(bucket).min(self.max_us);
            }
        }
        self.max_us
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

/// Thousands of bucket counts help nobody: shows the summary.
impl fmt::Debug for Histogram {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Histogram")
            .field("count", &self.count)
            .field("p50_us", &self.p50_us())
            .field("p99_us", &self.p99_us())
            .field("p999_us", &self.p999_us())
            .field("max_us", &self.max_us)
            .finish_non_exhaustive()
    }
}

fn bucket_of(value_us: u64) -> usize {
    let (row, position) = if value_us < EXACT_BELOW {
        (0, value_us)
    } else {
        let shift = value_us.ilog2() - SUB_BUCKET_BITS;
        // The shifted value lies in 128..256: the row's own 128 are added back by the position.
        (shift, value_us >> shift)
    };
    row as usize * SUB_BUCKETS + usize::try_from(position).expect("a position is below 256")
}

fn upper_edge_us(bucket: usize) -> u64 {
    if bucket < 2 * SUB_BUCKETS {
        return bucket as u64;
    }
    let shift = bucket / SUB_BUCKETS - 1;
    let position = (bucket % SUB_BUCKETS + SUB_BUCKETS) as u64;
    // The next bucket's lower edge less one; written so that the last bucket ends at u64::MAX.
    (position << shift) + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::new();
        for value in values {
            histogram.record(value);
        }
        histogram
    }

    #[test]
    fn an_empty_histogram_answers_zero() {
        let empty = Histogram::new();
        assert_eq!(
            (empty.count(), empty.p50_us(), empty.p999_us(), empty.max_us()),
            (0, 0, 0, 0)
        );
    }

    #[test]
    fn small_values_are_exact() {
        let histogram = of(1..=200);
        assert_eq!(histogram.count(), 200);
        assert_eq!(histogram.p50_us(), 100);
        assert_eq!(histogram.p99_us(), 198);
        assert_eq!(histogram.p999_us(), 200);
        assert_eq!(histogram.max_us(), 200);
    }

    #[test]
    fn large_values_answer_the_upper_edge_of_their_bucket() {
        // 1..=1000: rank 500 falls in 256..512 (width 2: 500..=501), rank 990 in 512..1024 (width 4: 988..=991).
        let histogram = of(1..=1000);
        assert_eq!(histogram.p50_us(), 501);
        assert_eq!(histogram.p99_us(), 991);
        assert_eq!(histogram.p999_us(), 999);
        assert_eq!(histogram.quantile_us(1000), 1000);
    }

    #[test]
    fn one_slow_answer_in_a_thousand_shows_in_the_maximum_and_not_in_p999() {
        let histogram = of(std::iter::repeat_n(10, 999).chain([5_000_000]));
        assert_eq!(
            (histogram.p99_us(), histogram.p999_us(), histogram.max_us()),
            (10, 10, 5_000_000)
        );
        let two_slow = of(std::iter::repeat_n(10, 998).chain([5_000_000; 2]));
        assert_eq!(two_slow.p999_us(), 5_000_000);
    }

    #[test]
    fn buckets_are_contiguous_and_end_at_the_largest_value() {
        let mut lower = 0_u64;
        for bucket in 0..BUCKETS {
            let upper = upper_edge_us(bucket);
            assert!(upper >= lower, "bucket {bucket}");
            assert_eq!(bucket_of(lower), bucket);
            assert_eq!(bucket_of(upper), bucket);
            assert!(
                u128::from(upper - lower) * 100 <= u128::from(lower),
                "bucket {bucket} is wider than 1 %"
            );
            lower = upper.wrapping_add(1);
        }
        assert_eq!(lower, 0, "the last bucket ends at u64::MAX");
    }

    #[test]
    fn merging_equals_recording_together() {
        let values: Vec<u64> = (0..5_000).map(|n: u64| n * n % 70_001).collect();
        let (left, right) = values.split_at(1_234);
        let mut merged = of(left.iter().copied());
        merged.merge(&of(right.iter().copied()));
        let together = of(values.iter().copied());
        assert_eq!(merged.counts, together.counts);
        assert_eq!((merged.count, merged.max_us), (together.count, together.max_us));
    }
}
