//! Balance alerts: what an operator wants to be told about an account. An alert is raised when its condition becomes true, and
//! armed again when it becomes false; nothing else changes it, so that whoever folds the journal finds the same edges.

use super::account::{AccountKey, Side};
use super::books::AccountState;
use super::transfer::TransferId;
use crate::ids::Seq;
use crate::time::Timestamp;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// Edges that an alert remembers; older ones are only counted.
pub const ALERT_HISTORY_MAX: usize = 32;
/// Alerts of a shard.
pub const ALERTS_OF_SHARD_MAX: usize = 1_000;
/// Alerts on one account.
pub const ALERTS_OF_ACCOUNT_MAX: usize = 16;

/// The name of an alert, unique for ever; written as a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertId(pub u128);

impl AlertId {
    /// Reads a UUID, with hyphens in their places or without any.
    pub fn parse(text: &str) -> Option<Self> {
        TransferId::parse(text).map(|id| Self(id.0))
    }

    /// The random UUID (version 4) made of these bits, six of which give way to the version.
    #[must_use]
    pub const fn random(bits: u128) -> Self {
        let cleared = bits & !(0xf << 76) & !(0b11 << 62);
        Self(cleared | (0x4 << 76) | (0b10 << 62))
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        TransferId(self.0).fmt(f)
    }
}

/// What of an account is looked at, in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertField {
    /// The posted balance, positive on the account's normal side.
    Balance,
    /// The balance less what is expected to leave.
    Available,
    /// Expected debits.
    PendingDebits,
    /// Expected credits.
    PendingCredits,
}

impl AlertField {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Balance,
        Self::Available,
        Self::PendingDebits,
        Self::PendingCredits,
    ];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Balance => "balance",
            Self::Available => "available",
            Self::PendingDebits => "pending_debits",
            Self::PendingCredits => "pending_credits",
        }
    }

    /// What it comes to on an account, in minor units.
    pub fn value_minor(self, account: &AccountKey, state: &AccountState) -> i128 {
        match self {
            Self::Balance => state.posted.minor(),
            Self::Available => {
                let leaving = match account.name.account_type().normal_side() {
                    Side::Credit => state.pending_debit_minor,
                    Side::Debit => state.pending_credit_minor,
                };
                state.posted.minor().saturating_sub(leaving)
            }
            Self::PendingDebits => state.pending_debit_minor,
            Self::PendingCredits => state.pending_credit_minor,
        }
    }
}

/// When an alert is raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertCondition {
    /// The value is less than the amount.
    Below,
    /// The value is more than the amount.
    Above,
    /// The value is the amount or less.
    AtOrBelow,
    /// The value is the amount or more.
    AtOrAbove,
}

impl AlertCondition {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Below, Self::Above, Self::AtOrBelow, Self::AtOrAbove];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Below => "below",
            Self::Above => "above",
            Self::AtOrBelow => "at_or_below",
            Self::AtOrAbove => "at_or_above",
        }
    }

    /// Whether it holds.
    pub const fn holds(self, value_minor: i128, amount_minor: i128) -> bool {
        match self {
            Self::Below => value_minor < amount_minor,
            Self::Above => value_minor > amount_minor,
            Self::AtOrBelow => value_minor <= amount_minor,
            Self::AtOrAbove => value_minor >= amount_minor,
        }
    }
}

/// What an alert is about; it never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertTerms {
    /// Its name.
    pub id: AlertId,
    /// The account; of one that every shard has a part of, the part of the shard that has the alert.
    pub account: AccountKey,
    /// What of it.
    pub field: AlertField,
    /// When it is raised.
    pub condition: AlertCondition,
    /// Compared with what, in minor units.
    pub amount_minor: i128,
    /// What its owner says of it.
    pub description: Option<Arc<str>>,
    /// The owner's own pairs.
    pub metadata: Vec<(Arc<str>, Arc<str>)>,
}

/// A moment at which an alert was raised or armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertEdge {
    /// Raised, or armed.
    pub is_raised: bool,
    /// The commit after which it was so.
    pub seq: Seq,
    /// When that was recorded.
    pub at: Timestamp,
    /// What the field came to then, in minor units.
    pub value_minor: i128,
}

/// An alert as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalanceAlert {
    /// What it is about.
    pub terms: AlertTerms,
    /// The commit that made it.
    pub created_seq: Seq,
    /// When that was.
    pub created_at: Timestamp,
    /// How often it was raised.
    pub times_raised: u64,
    /// The last edge: how it stands, and since when.
    pub last: AlertEdge,
    /// The edges before that one, the oldest first; with it, at most [`ALERT_HISTORY_MAX`]. The first one of all is the creation.
    pub earlier: VecDeque<AlertEdge>,
}

impl BalanceAlert {
    /// Made by commit `seq`, with the account as that commit left it.
    pub(super) fn new(terms: AlertTerms, state: &AccountState, (at, seq): (Timestamp, Seq)) -> Self {
        let value_minor = terms.field.value_minor(&terms.account, state);
        let last = AlertEdge {
            is_raised: terms.condition.holds(value_minor, terms.amount_minor),
            seq,
            at,
            value_minor,
        };
        Self {
            terms,
            created_seq: seq,
            created_at: at,
            times_raised: u64::from(last.is_raised),
            last,
            earlier: VecDeque::new(),
        }
    }

    /// Looks at the account as a commit left it. An edge, if there is one.
    pub(super) fn look(&mut self, state: &AccountState, (at, seq): (Timestamp, Seq)) -> Option<AlertEdge> {
        let value_minor = self.terms.field.value_minor(&self.terms.account, state);
        let is_raised = self.terms.condition.holds(value_minor, self.terms.amount_minor);
        if is_raised == self.last.is_raised {
            return None;
        }
        let edge = AlertEdge {
            is_raised,
            seq,
            at,
            value_minor,
        };
        self.earlier.push_back(std::mem::replace(&mut self.last, edge));
        while self.earlier.len() >= ALERT_HISTORY_MAX {
            self.earlier.pop_front();
        }
        self.times_raised = self.times_raised.saturating_add(u64::from(is_raised));
        Some(edge)
    }

    /// What it remembers, the newest first.
    pub fn history(&self) -> impl Iterator<Item = &AlertEdge> {
        std::iter::once(&self.last).chain(self.earlier.iter().rev())
    }
}

/// Why an alert is not made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AlertRefusal {
    /// There is no such account.
    #[error("there is no account {0}")]
    UnknownAccount(AccountKey),
    /// The id is that of another alert, or of one that is deleted.
    #[error("this id was used for another alert")]
    IdReused,
    /// The account has as many as it may.
    #[error("an account has at most {ALERTS_OF_ACCOUNT_MAX} alerts")]
    AccountFull,
    /// The shard has as many as it may.
    #[error("a shard has at most {ALERTS_OF_SHARD_MAX} alerts")]
    ShardFull,
}

/// An edge, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertChange {
    /// The alert.
    pub id: AlertId,
    /// Its account.
    pub account: AccountKey,
    /// What happened.
    pub edge: AlertEdge,
}
