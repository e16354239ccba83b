//! Owns the form of a commit.

use super::control::ControlEventDto;
use super::ledger::LedgerCommitDto;
use super::scalar::{IdDto, List, Stored};
use crate::schema::DecodeError;
use florin_domain::commit::{Body, Commit, PaymentCommit};
use florin_domain::ids::{PaymentId, Seq, ShardId};
use florin_domain::ledger::{HoldChange, Line};
use florin_domain::payment::Event;
use serde::{Deserialize, Serialize};

/// A commit without its place.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CommitDto<'a> {
    at_ms: u64,
    #[serde(borrow)]
    body: BodyDto<'a>,
}

/// What a commit says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BodyDto<'a> {
    #[serde(borrow)]
    Payment(PaymentCommitDto<'a>),
    Control(ControlEventDto<'a>),
    Ledger(LedgerCommitDto<'a>),
}

/// Events of a payment and what they did to the books.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PaymentCommitDto<'a> {
    payment: IdDto<PaymentId>,
    prev: u64,
    #[serde(borrow)]
    events: List<'a, Event>,
    holds: List<'a, HoldChange>,
    entry: Option<List<'a, Line>>,
}

impl<'a> CommitDto<'a> {
    /// The form of a commit.
    pub(crate) fn of(commit: &'a Commit) -> Self {
        let body = match &commit.body {
            Body::Payment(payment) => BodyDto::Payment(payment.store()),
            Body::Control(event) => BodyDto::Control(event.store()),
            Body::Ledger(ledger) => BodyDto::Ledger(ledger.store()),
        };
        Self {
            at_ms: commit.at.store(),
            body,
        }
    }

    /// The commit of a form that stands at this place.
    pub(crate) fn into_commit(self, shard: ShardId, seq: Seq) -> Result<Commit, DecodeError> {
        let body = match self.body {
            BodyDto::Payment(payment) => Body::Payment(Stored::load(payment)?),
            BodyDto::Control(event) => Body::Control(Stored::load(event)?),
            BodyDto::Ledger(ledger) => Body::Ledger(Stored::load(ledger)?),
        };
        Ok(Commit {
            shard,
            seq,
            at: Stored::load(self.at_ms)?,
            body,
        })
    }
}

impl<'a> Stored<'a> for PaymentCommit {
    type Dto = PaymentCommitDto<'a>;

    fn store(&'a self) -> PaymentCommitDto<'a> {
        PaymentCommitDto {
            payment: self.payment.store(),
            prev: self.prev.store(),
            events: List::Values(&self.events),
            holds: List::Values(&self.holds),
            entry: self.entry.store(),
        }
    }

    fn load(dto: PaymentCommitDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            payment: Stored::load(dto.payment)?,
            prev: Stored::load(dto.prev)?,
            events: dto.events.load()?,
            holds: dto.holds.load()?,
            entry: Stored::load(dto.entry)?,
        })
    }
}
