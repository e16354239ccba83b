//! How a provider has been doing lately.

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
}
