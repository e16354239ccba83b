//! Which providers may get a charge, in which order, and why: decided from the payment's facts and how the providers stand.
//!
//! # Layout
//! * `program` rules as data, and how they are written; `token` and `parse` how they are read; `facts` what they ask of a payment
//! * `wishes` what a merchant wants for one payment; `choose` the decision; `score` how good a provider is; `seed` a table to begin with; `version` what operators put in force

mod choose;
mod facts;
mod parse;
mod program;
mod score;
mod seed;
mod token;
mod version;
mod wishes;

pub use choose::{after_decline, draw_bps, route};
pub use facts::{Facts, MethodKind};
pub use parse::{Problem, ProgramError};
pub use program::{
    Among, Comparison, Condition, DEPTH_MAX, NAMES_MAX, Order, PROGRAM_BYTES_MAX, Program,
    RULE_NAME_BYTES_MAX, RULES_MAX, Rule, Target,
};
pub use score::{Measures, Score};
pub use seed::SEED_TABLE;
pub use version::{RoutingVersion, WrittenProgram};
pub use wishes::Wishes;

use crate::health::Health;
use crate::provider::ProviderId;
use std::sync::Arc;

/// Why a provider gets no charge now, however good it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bar {
    /// An operator has taken it out.
    Disabled,
    /// The merchant does not want it for this payment.
    Unwanted,
    /// The rule that applies does not name it, and allows no other.
    NotNamed,
    /// It fails too much to be asked: its circuit breaker is open.
    BreakerOpen,
    /// It has as much to do as it may.
    Busy,
    /// This charge has been there.
    Tried,
    /// It does not take the key that the charge would carry.
    KeyRefused,
    /// It has had more requests under the merchant's own key than it takes.
    KeyLimited,
}

impl Bar {
    /// Stable word for histories.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Unwanted => "unwanted",
            Self::NotNamed => "not_named",
            Self::BreakerOpen => "breaker_open",
            Self::Busy => "busy",
            Self::Tried => "tried",
            Self::KeyRefused => "key_refused",
            Self::KeyLimited => "key_limited",
        }
    }
}

/// What follows a decline for no reason in particular, where a rule says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AfterDecline {
    /// The merchant is told.
    Answer,
    /// The next provider is asked.
    NextProvider,
}

impl AfterDecline {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Answer, Self::NextProvider];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::NextProvider => "next_provider",
        }
    }
}

/// One provider as routing sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entrant {
    /// Its name.
    pub id: ProviderId,
    /// Why it gets nothing now.
    pub bar: Option<Bar>,
    /// How it has been doing.
    pub health: Health,
    /// How good it is.
    pub score: Score,
}

/// A provider that may get the charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its name.
    pub provider: ProviderId,
    /// How it had been doing.
    pub health: Health,
    /// How good it was.
    pub score: Score,
}

/// What was decided, so that it explains itself later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The rule that applied; none if it went by score alone.
    pub rule: Option<Arc<str>>,
    /// Who may get the charge, the best first.
    pub choices: Vec<Choice>,
    /// Who may not, and why.
    pub left_out: Vec<(ProviderId, Bar)>,
    /// What that rule wants after a decline; if it says nothing, that is as configured.
    pub after_decline: Option<AfterDecline>,
}

impl Route {
    /// Who gets the charge; nobody if nobody may.
    pub fn first(&self) -> Option<ProviderId> {
        self.choices.first().map(|choice| choice.provider)
    }
}
