//! How a provider has been doing lately: what each call says of it, counts of the last fifteen minutes, and the verdict that
//! routing goes by.

mod counts;
mod keys;
mod policy;
mod windows;

#[cfg(test)]
mod tests;

pub use counts::Measures;
pub use keys::{Charger, KeyChange, KeyPass, KeyStop, KeyVerdict, StoppedKeys};
pub use policy::HealthPolicy;
pub use windows::Windows;

use crate::provider::{Hindrance, Outcome};
use crate::time::Millis;

/// What routing makes of a provider's last minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// Nothing against it.
    #[default]
    Healthy,
    /// Too many errors: others come first.
    Degraded,
    /// Too many time limits passed: it gets part of its traffic.
    Reduced,
    /// Too little succeeded: only as much traffic as it takes to see that it has recovered.
    Excluded,
}

impl Health {
    /// Stable word for metrics, trees and histories.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Reduced => "reduced",
            Self::Excluded => "excluded",
        }
    }

    /// How much of its traffic a provider keeps, in basis points. An excluded one keeps a trickle: without calls nobody would
    /// see that it has recovered.
    pub const fn share_bps(self) -> u32 {
        match self {
            Self::Healthy | Self::Degraded => 10_000,
            Self::Reduced => 5_000,
            Self::Excluded => 100,
        }
    }
}

/// What one call says of the provider, whatever it says of the payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallResult {
    /// It answered; a decline is an answer.
    Answered,
    /// Nothing usable came within the time limit.
    TimedOut,
    /// It could not be reached, or could not be used.
    Failed,
    /// Nothing: the call was lost inside this process.
    NotCounted,
}

impl CallResult {
    /// Stable word for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::TimedOut => "timed_out",
            Self::Failed => "failed",
            Self::NotCounted => "not_counted",
        }
    }

    /// Reads it off the outcome of a call that took this long and had this long. Calls that this process dropped itself look
    /// like unknown ones here: whoever drops them knows that they are [`CallResult::NotCounted`].
    pub fn of(outcome: &Outcome, took: Millis, time_limit: Millis) -> Self {
        match outcome {
            Outcome::Succeeded { .. }
            | Outcome::Declined { .. }
            | Outcome::ActionRequired { .. }
            | Outcome::Pending { .. }
            | Outcome::Cancelled { .. }
            // It read the request and said no. Were that a failure, one merchant's bad parameters or bad key would open the breaker
            // for all merchants; its charges go on elsewhere as it is. What a refused key says is in `StoppedKeys`.
            | Outcome::Rejected { .. } => Self::Answered,
            // The provider was not even tried.
            Outcome::NotSent {
                hindrance: Hindrance::Credentials,
                ..
            } => Self::NotCounted,
            Outcome::NotSent {
                hindrance: Hindrance::Provider,
                ..
            }
            | Outcome::RateLimited { .. } => Self::Failed,
            Outcome::Unknown { .. } => {
                if took >= time_limit {
                    Self::TimedOut
                } else {
                    Self::Failed
                }
            }
        }
    }
}
