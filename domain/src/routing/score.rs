//! How good a provider is at the moment, as one number: half for success, three tenths for speed, two tenths for price (RTE-7).

use crate::health;
use std::fmt;

/// What is known of a provider when it is scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measures {
    /// Requests that came to an answer of their own, of all, in basis points. A decline is an answer.
    pub success_bps: u32,
    /// Mean time of a request in milliseconds.
    pub latency_ms: u64,
    /// What it takes of an amount, in basis points.
    pub cost_bps: u32,
}

impl Measures {
    /// From what a provider's windows show. Fewer calls than `calls_min` say nothing: then it counts as one that succeeds and
    /// takes `latency_prior_ms`.
    pub fn of(seen: &health::Measures, calls_min: u32, latency_prior_ms: u64, cost_bps: u32) -> Self {
        let is_telling = seen.calls > 0 && seen.calls >= u64::from(calls_min);
        let (success_bps, latency_ms) = if is_telling {
            (seen.success_bps, seen.latency_ms)
        } else {
            (10_000, latency_prior_ms)
        };
        Self {
            success_bps,
            latency_ms,
            cost_bps,
        }
    }
}

/// Points from 0 to 100, in hundredths of a point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Score(u16);

const WHOLE: u64 = 10_000;

impl Score {
    /// 50 % of the success rate, 30 % of `100 - ms / 10`, 20 % of `100 - cost % x 10`; no part is less than nothing.
    pub fn of(measures: Measures) -> Self {
        let success = u64::from(measures.success_bps).min(WHOLE);
        let speed = WHOLE.saturating_sub(measures.latency_ms.saturating_mul(10));
        let price = WHOLE.saturating_sub(u64::from(measures.cost_bps).saturating_mul(10));
        let weighed = [(success, 50), (speed, 30), (price, 20)];
        let points = weighed
            .iter()
            .map(|(part, weight)| part.saturating_mul(*weight))
            .sum::<u64>()
            / 100;
        Self(u16::try_from(points).unwrap_or(u16::MAX))
    }

    /// From hundredths of a point; more than 100 points count as 100.
    pub const fn from_hundredths(hundredths: u16) -> Self {
        Self(if hundredths > 10_000 { 10_000 } else { hundredths })
    }

    /// In hundredths of a point.
    pub const fn hundredths(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{CallResult, Windows};
    use crate::time::{Millis, Timestamp};

    #[test]
    fn success_counts_half_speed_three_tenths_and_price_two_tenths() {
        let cases = [
            // The worked example: 98.5, 80 and 71 points.
            (9_850, 200, 290, "87.45"),
            (10_000, 0, 0, "100.00"),
            (0, 0, 0, "50.00"),
            (10_000, 1_000, 1_000, "50.00"),
            // Slower than a second and dearer than a tenth: nothing for it, but nothing taken away either.
            (10_000, 60_000, 9_999, "50.00"),
            (0, u64::MAX, u32::MAX, "0.00"),
            (u32::MAX, 1_000, 1_000, "50.00"),
        ];
        for (success_bps, latency_ms, cost_bps, points) in cases {
            let measures = Measures {
                success_bps,
                latency_ms,
                cost_bps,
            };
            assert_eq!(Score::of(measures).to_string(), points, "{measures:?}");
        }
    }
    #[test]
    fn too_few_calls_count_as_none_and_a_provider_without_calls_succeeds_at_the_prior_latency() {
        let now = Timestamp::from_unix_ms(1_000_000);
        let quarter = Millis::from_s(900);
        let mut windows = Windows::default();
        let prior = Measures {
            success_bps: 10_000,
            latency_ms: 300,
            cost_bps: 290,
        };
        for calls in 0..20 {
            let seen = windows.measures(quarter, now);
            assert_eq!(Measures::of(&seen, 20, 300, 290), prior, "{calls}");
            let result = if calls < 3 {
                CallResult::Failed
            } else {
                CallResult::Answered
            };
            windows.record(result, 200, now);
        }
        let seen = windows.measures(quarter, now);
        let measured = Measures {
            success_bps: 8_500,
            latency_ms: 200,
            cost_bps: 290,
        };
        assert_eq!(Measures::of(&seen, 20, 300, 290), measured);
        let nothing = Windows::default().measures(quarter, now);
        assert_eq!(
            Measures::of(&nothing, 0, 300, 290),
            prior,
            "no calls have no mean"
        );
    }
}
