//! Transfers between accounts of two shards. The shard of the debited account leads: it reserves the amount (prepared), the other one
//! reserves its side or refuses at once (reserved), the first one decides and posts its half against the clearing account, the other
//! one posts its half. Over all shards the clearing accounts come to zero but for what is decided and not yet applied.
//!
//! Until the decision either side may be let go and nothing has moved; after it both halves land. A shard that is asked about what
//! it never reserved records that it is over, so that a late reservation is refused.

use super::account::{AccountKey, AccountName};
use super::entry::Line;
use super::transfer::{
    EffectiveDate, Legs, Notes, PostedTransfer, Transfer, TransferId, TransferLegs, TransferRefusal,
    TransferStep,
};
use crate::ids::ShardId;
use crate::money::Amount;
use crate::time::Timestamp;

/// A transfer between two shards.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossTransfer {
    /// Its name.
    pub id: TransferId,
    /// The account debited, in the shard that leads.
    pub debit: AccountKey,
    /// The account credited, in the other one.
    pub credit: AccountKey,
    /// How much.
    pub amount: Amount,
    /// The day on which it counts, in both.
    pub effective: EffectiveDate,
    /// What else it says.
    pub notes: Option<Box<Notes>>,
}

/// Why a transfer was given up after it was prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbortReason {
    /// The credited account would fall below its limit.
    InsufficientFunds,
    /// The credited account would rise above its limit.
    ExceedsLimit,
    /// There is no such credited account.
    UnknownAccount,
    /// The day is closed in its shard.
    PeriodClosed,
    /// A balance would leave its bounds.
    Overflow,
    /// Its shard knows the id as that of another transfer.
    IdReused,
    /// Whoever carried it on was lost before the decision.
    GivenUp,
    /// The fraud check did not agree.
    FraudCheck,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrossOutcome {
    /// The money moves.
    Decided,
    /// Nothing moves.
    Aborted(AbortReason),
}

/// How far a transfer has come in one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrossPhase {
    /// The leading shard has reserved its side.
    Prepared,
    /// The other shard has.
    Reserved,
    /// The leading shard has decided; the other one has not confirmed yet.
    Over(CrossOutcome),
}

/// A transfer that one shard still has to do with.
#[derive(Clone, Debug, PartialEq)]
pub struct Crossing {
    /// Which.
    pub transfer: CrossTransfer,
    /// How far it has come here.
    pub phase: CrossPhase,
    /// Since when.
    pub since: Timestamp,
}

/// One step of a transfer in one shard.
#[derive(Clone, Debug, PartialEq)]
pub enum CrossingStep {
    /// The leading shard reserved its side.
    Prepared(CrossTransfer),
    /// The other shard reserved its side.
    Reserved(CrossTransfer),
    /// The leading shard decided, and posted its half.
    Decided {
        /// Its half: debit of the account, credit of clearing.
        posted: PostedTransfer,
        /// The account credited in the other shard.
        credit: AccountKey,
    },
    /// The other shard posted its half.
    Applied {
        /// Its half: debit of clearing, credit of the account.
        posted: PostedTransfer,
        /// The account debited in the leading shard.
        debit: AccountKey,
    },
    /// What was reserved here, if anything was, is free again.
    Aborted {
        /// Which.
        transfer: CrossTransfer,
        /// Why.
        why: AbortReason,
    },
    /// Both shards are done.
    Settled(TransferId),
}

impl AbortReason {
    pub(super) fn of(refusal: &TransferRefusal) -> Self {
        match refusal {
            TransferRefusal::InsufficientFunds(_) => Self::InsufficientFunds,
            TransferRefusal::ExceedsLimit(_) => Self::ExceedsLimit,
            TransferRefusal::UnknownAccount(_) => Self::UnknownAccount,
            TransferRefusal::PeriodClosed => Self::PeriodClosed,
            TransferRefusal::Overflow => Self::Overflow,
            TransferRefusal::IdReused => Self::IdReused,
            TransferRefusal::FraudCheckRefused => Self::FraudCheck,
            // The leading shard has looked at all that a transfer says by itself.
            TransferRefusal::Unbalanced(_)
            | TransferRefusal::TooFewPostings
            | TransferRefusal::MixedCurrencies
            | TransferRefusal::MixedModes
            | TransferRefusal::SameAccount
            | TransferRefusal::PendingNotFound
            | TransferRefusal::PendingExpired
            | TransferRefusal::ExceedsPending
            | TransferRefusal::EffectiveInFuture
            | TransferRefusal::LinkedFailed
            | TransferRefusal::LinkedOpen
            | TransferRefusal::RevertedNotFound
            | TransferRefusal::NothingToRevert
            | TransferRefusal::AlreadyReverted
            | TransferRefusal::CrossesShards
            | TransferRefusal::ExceedsOwed(_)
            | TransferRefusal::GivenUp => Self::GivenUp,
        }
    }

    /// As the caller is told.
    pub const fn refusal(self, transfer: &CrossTransfer) -> TransferRefusal {
        match self {
            Self::InsufficientFunds => TransferRefusal::InsufficientFunds(transfer.credit),
            Self::ExceedsLimit => TransferRefusal::ExceedsLimit(transfer.credit),
            Self::UnknownAccount => TransferRefusal::UnknownAccount(transfer.credit),
            Self::PeriodClosed => TransferRefusal::PeriodClosed,
            Self::Overflow => TransferRefusal::Overflow,
            Self::IdReused => TransferRefusal::IdReused,
            Self::GivenUp => TransferRefusal::GivenUp,
            Self::FraudCheck => TransferRefusal::FraudCheckRefused,
        }
    }
}

impl CrossTransfer {
    /// The account on which both halves meet.
    pub(super) const fn clearing(&self) -> AccountKey {
        AccountKey {
            name: AccountName::ShardClearing,
            ..self.debit
        }
    }

    /// The other shard, if the credited account says one.
    pub const fn target(&self) -> Option<ShardId> {
        self.credit.home()
    }

    /// The leading shard's half.
    pub(super) const fn source_half(&self) -> TransferLegs {
        TransferLegs::Pair {
            debit: self.debit,
            credit: self.clearing(),
            amount: self.amount,
        }
    }

    /// The other shard's half.
    pub(super) const fn target_half(&self) -> TransferLegs {
        TransferLegs::Pair {
            debit: self.clearing(),
            credit: self.credit,
            amount: self.amount,
        }
    }

    /// Whether this is what is asked for: the same id asked again, not used for something else.
    pub fn is_of(&self, asked: &Transfer) -> bool {
        let legs = TransferLegs::Pair {
            debit: self.debit,
            credit: self.credit,
            amount: self.amount,
        };
        let same_day = asked.effective.is_none_or(|day| day == self.effective);
        let same_step = asked.step == TransferStep::Single && asked.legs == legs;
        self.id == asked.id && same_step && same_day && self.notes == asked.notes
    }
}

impl CrossingStep {
    /// Which transfer.
    pub const fn id(&self) -> TransferId {
        match self {
            Self::Prepared(transfer) | Self::Reserved(transfer) | Self::Aborted { transfer, .. } => {
                transfer.id
            }
            Self::Decided { posted, .. } | Self::Applied { posted, .. } => posted.id,
            Self::Settled(id) => *id,
        }
    }

    /// The half that it posted.
    pub const fn posted(&self) -> Option<&PostedTransfer> {
        match self {
            Self::Decided { posted, .. } | Self::Applied { posted, .. } => Some(posted),
            Self::Prepared(_) | Self::Reserved(_) | Self::Aborted { .. } | Self::Settled(_) => None,
        }
    }

    /// The whole transfer; nothing for a step that says only that it is over.
    pub fn transfer(&self) -> Option<CrossTransfer> {
        let (posted, debit, credit) = match self {
            Self::Prepared(transfer) | Self::Reserved(transfer) | Self::Aborted { transfer, .. } => {
                return Some(transfer.clone());
            }
            Self::Decided { posted, credit } => (posted, None, Some(*credit)),
            Self::Applied { posted, debit } => (posted, Some(*debit), None),
            Self::Settled(_) => return None,
        };
        let Legs::Pair(pair) = &posted.legs else {
            return None;
        };
        Some(CrossTransfer {
            id: posted.id,
            debit: debit.unwrap_or(pair.debit),
            credit: credit.unwrap_or(pair.credit),
            amount: pair.amount,
            effective: posted.effective,
            notes: posted.notes.clone(),
        })
    }

    /// What it says of the transfer as a whole, if it says how that ended or must end.
    pub const fn outcome(&self) -> Option<CrossOutcome> {
        match self {
            Self::Decided { .. } | Self::Applied { .. } => Some(CrossOutcome::Decided),
            Self::Aborted { why, .. } => Some(CrossOutcome::Aborted(*why)),
            Self::Prepared(_) | Self::Reserved(_) | Self::Settled(_) => None,
        }
    }

    /// The lines that it posted.
    pub fn lines(&self) -> Vec<Line> {
        self.posted().map(PostedTransfer::lines).unwrap_or_default()
    }
}

/// Steps to be recorded together, and what is said of each transfer that was asked about.
#[derive(Clone, Debug, PartialEq)]
pub struct Crossed<T> {
    /// To be recorded, in order.
    pub steps: Vec<CrossingStep>,
    /// One for each that was asked about, in order.
    pub said: Vec<T>,
}
