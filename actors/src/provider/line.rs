//! Kinds of operations that fail together.

use florin_domain::payment::OperationKind;

/// What a provider is asked for, as far as one kind may fail while the others work: each has a breaker of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Sales and authorizations.
    Charge,
    /// Captures.
    Capture,
    /// Voids.
    Void,
    /// Refunds.
    Refund,
    /// Increments.
    Increment,
}

impl Line {
    /// All of them, in the order of the variants.
    pub const ALL: [Self; 5] = [
        Self::Charge,
        Self::Capture,
        Self::Void,
        Self::Refund,
        Self::Increment,
    ];

    /// The line of an operation.
    pub const fn of(kind: OperationKind) -> Self {
        match kind {
            OperationKind::Sale | OperationKind::Authorize => Self::Charge,
            OperationKind::Capture => Self::Capture,
            OperationKind::Void => Self::Void,
            OperationKind::Refund => Self::Refund,
            OperationKind::Increment => Self::Increment,
        }
    }

    /// Stable word for metrics and operators.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Capture => "capture",
            Self::Void => "void",
            Self::Refund => "refund",
            Self::Increment => "increment",
        }
    }
}
