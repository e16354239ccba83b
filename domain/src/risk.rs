//! What risk thinks of a payment: rules over features give a score, bands turn the score into an action. Scores are basis
//! points (0 to 10,000), so events store and replay them exactly. Models come behind the same [`Assessment`].

mod card_retries;
mod chunks;
mod lists;
mod rules;
mod screening;
mod target;
mod transfers;
mod velocity;
mod what_if;

pub use card_retries::{CardBar, CardLimits, CardRecord, CardStanding, MONTH_MS};
pub use lists::{
    ENTRIES_MAX, ListEntry, ListMatch, ListName, ListOwner, MERCHANT_ENTRIES_MAX, REASON_BYTES_MAX, RiskLists,
};
pub use rules::{Features, Profile, RuleWeights, assess};
pub use screening::screen;
pub use target::{ListKind, Network, Target, TargetError};
pub use transfers::{FraudVote, TransferLimits};
pub use velocity::{DUPLICATE, DuplicateRule, VelocityCounts, VelocityLimits};
pub use what_if::{
    AssumedVelocity, ProfileChange, ProfileError, ProfileVersion, Reassessment, Recorded, reassess,
};

use std::sync::Arc;

/// What to do with the payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Charge it.
    Allow,
    /// Let a person decide.
    Review,
    /// Deny it before any provider is called.
    Block,
}

impl Action {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Review => "review",
            Self::Block => "block",
        }
    }
}

/// The outcome of the risk stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// 0 (no sign of fraud) to 10,000.
    pub score_bps: u32,
    /// What follows.
    pub action: Action,
    /// Stable names of the rules that raised the score.
    pub reasons: Vec<Arc<str>>,
    /// The entry of a list that decided; the payment's history tells it in an event of its own.
    pub listed: Option<ListMatch>,
}
