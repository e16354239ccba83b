//! From where on a provider counts as degraded, reduced, excluded or recovered (RTE-18 to RTE-21).

use crate::time::Millis;

/// Thresholds in basis points and the time that each looks back, at most fifteen minutes. Rates are of all calls that count;
/// errors are failures and passed time limits together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthPolicy {
    /// More errors than this: degraded.
    pub error_bps_max: u32,
    /// Over this time.
    pub error_window: Millis,
    /// More passed time limits than this: reduced.
    pub timeout_bps_max: u32,
    /// Over this time.
    pub timeout_window: Millis,
    /// Less success than this: excluded.
    pub success_bps_min: u32,
    /// Over this time.
    pub success_window: Millis,
    /// More success than this: no longer reduced or excluded.
    pub recovery_bps: u32,
    /// Over this time; also how long an excluded provider must be quiet to get another trial.
    pub recovery_window: Millis,
    /// Fewer calls than this in a window say nothing.
    pub calls_min: u32,
}

impl Default for HealthPolicy {
    fn default() -> Self {
        Self {
            error_bps_max: 500,
            error_window: Millis::from_s(300),
            timeout_bps_max: 1_000,
            timeout_window: Millis::from_s(300),
            success_bps_min: 9_500,
            success_window: Millis::from_s(900),
            recovery_bps: 9_900,
            recovery_window: Millis::from_s(600),
            calls_min: 20,
        }
    }
}
