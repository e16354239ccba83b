//! Calls counted together, and the rates among them. Thresholds are compared without rounding, rates are shown with it.

use super::CallResult;

const WHOLE_BPS: u64 = 10_000;

/// What a window shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measures {
    /// Calls that count.
    pub calls: u64,
    /// Answered ones among them, in basis points, rounded down; all of them if there are none.
    pub success_bps: u32,
    /// The others, in basis points, rounded up.
    pub error_bps: u32,
    /// Those whose time limit passed, in basis points, rounded down.
    pub timeout_bps: u32,
    /// Mean time of a call in milliseconds, rounded down; 0 without calls.
    pub latency_ms: u64,
}

/// Calls by result. 32 bits are more than a quarter of a minute holds; the sums of sixty buckets stay far below 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    answered: u32,
    timed_out: u32,
    failed: u32,
    latency_ms_sum: u64,
}

impl Bucket {
    pub(super) const fn add(&mut self, result: CallResult, latency_ms: u64) {
        let count = match result {
            CallResult::Answered => &mut self.answered,
            CallResult::TimedOut => &mut self.timed_out,
            CallResult::Failed => &mut self.failed,
            CallResult::NotCounted => return,
        };
        *count = count.saturating_add(1);
        self.latency_ms_sum = self.latency_ms_sum.saturating_add(latency_ms);
    }
}

/// The sum of a window's buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    answered: u64,
    timed_out: u64,
    failed: u64,
    latency_ms_sum: u64,
}

impl Counts {
    pub(super) fn add(&mut self, bucket: &Bucket) {
        self.answered = self.answered.saturating_add(u64::from(bucket.answered));
        self.timed_out = self.timed_out.saturating_add(u64::from(bucket.timed_out));
        self.failed = self.failed.saturating_add(u64::from(bucket.failed));
        self.latency_ms_sum = self.latency_ms_sum.saturating_add(bucket.latency_ms_sum);
    }

    pub(super) const fn errors(&self) -> u64 {
        self.timed_out.saturating_add(self.failed)
    }

    pub(super) const fn calls(&self) -> u64 {
        self.answered.saturating_add(self.errors())
    }

    pub(super) fn errors_exceed(&self, bps: u32) -> bool {
        self.exceed(self.errors(), bps)
    }

    pub(super) fn timeouts_exceed(&self, bps: u32) -> bool {
        self.exceed(self.timed_out, bps)
    }

    pub(super) fn successes_exceed(&self, bps: u32) -> bool {
        self.exceed(self.answered, bps)
    }

    pub(super) fn successes_miss(&self, bps: u32) -> bool {
        self.answered.saturating_mul(WHOLE_BPS) < self.calls().saturating_mul(u64::from(bps))
    }

    fn exceed(&self, part: u64, bps: u32) -> bool {
        part.saturating_mul(WHOLE_BPS) > self.calls().saturating_mul(u64::from(bps))
    }

    pub(super) fn measures(&self) -> Measures {
        let calls = self.calls();
        let share_bps = |part: u64, none: u64| {
            let share_bps = part.saturating_mul(WHOLE_BPS).checked_div(calls).unwrap_or(none);
            u32::try_from(share_bps).unwrap_or(u32::MAX)
        };
        let success_bps = share_bps(self.answered, WHOLE_BPS);
        Measures {
            calls,
            success_bps,
            error_bps: share_bps(calls, WHOLE_BPS).saturating_sub(success_bps),
            timeout_bps: share_bps(self.timed_out, 0),
            latency_ms: self.latency_ms_sum.checked_div(calls).unwrap_or(0),
        }
    }
}
