//! Owns what the checker knows of one payment, by its own counting: its states, its operations, its sums, and who said what.

use florin_domain::ids::{OperationId, Seq};
use florin_domain::ledger::PostingModel;
use florin_domain::money::{Amount, Fee};
use florin_domain::payment::{Event, FeeReturn, OperationKind, Payment, Resolution};
use florin_domain::provider::ProviderReference;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A payment as its durable events tell it.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The state after each of its commits.
    pub(crate) states: Vec<Arc<Payment>>,
    pub(crate) last: Seq,
    operations: BTreeMap<OperationId, Told>,
    authorized_minor: i128,
    captured_minor: i128,
    refunded_minor: i128,
    fee_minor: i128,
    /// Attempts that were done late, and whether that is given back.
    late: BTreeMap<(OperationId, u32), bool>,
    /// What somebody says became of an operation: who, and the transaction.
    said: BTreeMap<OperationId, (Arc<str>, Option<ProviderReference>)>,
}

/// An operation by its events.
#[derive(Debug)]
struct Told {
    kind: OperationKind,
    amount: Amount,
    /// The attempt that is under way or has succeeded.
    taken: Option<u32>,
    succeeded: bool,
}

/// Whether both are the same in all. What changes most often is looked at first: what was asked for is long, and always the same.
pub(crate) fn are_same(one: &Payment, other: &Payment) -> bool {
    one.announced == other.announced
        && one.status == other.status
        && one.operations.len() == other.operations.len()
        && one.operations == other.operations
        && one == other
}

impl History {
    /// The last commit after which the payment was this.
    pub(crate) fn place_of(&self, payment: &Payment) -> Option<usize> {
        self.states.iter().rposition(|state| are_same(state, payment))
    }

    fn ended(&mut self, operation: OperationId, number: u32) -> Result<(), String> {
        let told = self.operation(operation)?;
        if told.taken == Some(number) && !told.succeeded {
            told.taken = None;
        }
        Ok(())
    }

    fn confirmed(&mut self, operation: OperationId, resolution: &Resolution) -> Result<(), String> {
        match self.said.remove(&operation) {
            Some((operator, transaction))
                if operator != resolution.operator && transaction == resolution.transaction =>
            {
                Ok(())
            }
            Some(_) | None => Err(format!("{operation} is resolved on the word of one person")),
        }
    }

    /// One more event: of an operation, one attempt is under way or has succeeded, or none.
    pub(crate) fn tell(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::OperationOpened {
                operation,
                kind,
                amount,
                ..
            } => self.opened(*operation, *kind, *amount),
            Event::LateSuccess {
                operation, number, ..
            } => {
                self.late.entry((*operation, *number)).or_default();
                Ok(())
            }
            Event::ReversalOpened {
                operation,
                of,
                number,
                amount,
                ..
            } => {
                if self.late.insert((*of, *number), true) != Some(false) {
                    return Err(format!(
                        "{operation} reverses what is not late, or is reversed already"
                    ));
                }
                self.opened(*operation, OperationKind::Reversal, *amount)
            }
            Event::AttemptPlanned {
                operation, number, ..
            } => self.planned(*operation, *number),
            Event::AttemptSucceeded {
                operation, number, ..
            } => self.succeeded(*operation, *number),
            Event::AttemptDeclined {
                operation, number, ..
            }
            | Event::AttemptNotSent {
                operation, number, ..
            }
            | Event::AttemptRejected {
                operation, number, ..
            }
            | Event::AttemptCancelled {
                operation, number, ..
            } => self.ended(*operation, *number),
            Event::ResolutionProposed {
                operation,
                resolution,
                ..
            } => {
                let said = (Arc::clone(&resolution.operator), resolution.transaction.clone());
                self.said.insert(*operation, said);
                Ok(())
            }
            Event::ResolutionConfirmed {
                operation,
                resolution,
                ..
            } => self.confirmed(*operation, resolution),
            Event::Created { .. }
            | Event::Drafted { .. }
            | Event::Amended { .. }
            | Event::Confirmed { .. }
            | Event::RiskAssessed(_)
            | Event::Blocked
            | Event::ReviewOpened { .. }
            | Event::ReviewApproved
            | Event::ReviewRejected
            | Event::ReviewExpired
            | Event::MethodReplaced { .. }
            | Event::AttemptReferenced { .. }
            | Event::AttemptActionRequired { .. }
            | Event::AttemptPending { .. }
            | Event::AttemptUnknown { .. }
            | Event::LateReversal { .. }
            | Event::AttemptClosingAsked { .. }
            | Event::AttemptClosingRefused { .. }
            | Event::AttemptToldMade { .. }
            | Event::TransactionClosed { .. }
            | Event::AttemptOverdue { .. }
            | Event::MatterRaised { .. }
            | Event::MattersNoted { .. }
            | Event::AttemptsExhausted
            | Event::OperationGivenUp { .. }
            | Event::Abandoned
            | Event::AuthorizationExpired
            | Event::Requested { .. }
            | Event::ListMatched { .. }
            | Event::HeldForReview
            | Event::PostingProfileChosen { .. }
            | Event::Routed { .. }
            | Event::RetryRefused { .. }
            | Event::DeclineRetried { .. } => Ok(()),
        }
    }

    fn opened(&mut self, operation: OperationId, kind: OperationKind, amount: Amount) -> Result<(), String> {
        let told = Told {
            kind,
            amount,
            taken: None,
            succeeded: false,
        };
        match self.operations.insert(operation, told) {
            None => Ok(()),
            Some(_) => Err(format!("{operation} is opened twice")),
        }
    }

    fn planned(&mut self, operation: OperationId, number: u32) -> Result<(), String> {
        self.said.remove(&operation);
        match self.operation(operation)?.taken.replace(number) {
            None => Ok(()),
            Some(other) => Err(format!("{operation} attempt {number} beside attempt {other}")),
        }
    }

    fn succeeded(&mut self, operation: OperationId, number: u32) -> Result<(), String> {
        let told = self.operation(operation)?;
        if told.taken != Some(number) || told.succeeded {
            return Err(format!("{operation} attempt {number} succeeds out of turn"));
        }
        told.succeeded = true;
        let (kind, amount) = (told.kind, told.amount);
        self.earn(kind, amount);
        self.add(kind, amount.minor());
        Ok(())
    }

    fn operation(&mut self, id: OperationId) -> Result<&mut Told, String> {
        self.operations
            .get_mut(&id)
            .ok_or_else(|| format!("{id} was never opened"))
    }

    fn add(&mut self, kind: OperationKind, minor: i128) {
        match kind {
            OperationKind::Sale => {
                self.authorized_minor += minor;
                self.captured_minor += minor;
            }
            OperationKind::Authorize | OperationKind::Increment => self.authorized_minor += minor,
            OperationKind::Capture => self.captured_minor += minor,
            OperationKind::Refund => self.refunded_minor += minor,
            OperationKind::Void | OperationKind::Reversal => {}
        }
    }

    /// The fee: the fixed part once, the percentage of every capture, and of a refund what the terms give back.
    fn earn(&mut self, kind: OperationKind, amount: Amount) {
        let Some(payment) = self.states.last() else { return };
        if payment.posting_profile.posting == PostingModel::MerchantOfRecord {
            return;
        }
        let spec = &payment.spec;
        match kind {
            OperationKind::Sale | OperationKind::Capture => {
                let fee = if self.captured_minor == 0 {
                    spec.fee.fee(amount, spec.currency)
                } else {
                    spec.fee.percent_fee(amount)
                };
                self.fee_minor += fee.map_or(0, Fee::minor);
            }
            OperationKind::Refund if spec.fee_return == FeeReturn::Returned => {
                let left = self.captured_minor - self.refunded_minor;
                let back = self.fee_minor * amount.minor().min(left);
                self.fee_minor -= back.checked_div(left).unwrap_or(0);
            }
            OperationKind::Refund
            | OperationKind::Authorize
            | OperationKind::Increment
            | OperationKind::Void
            | OperationKind::Reversal => {}
        }
    }

    /// Refunded is at most captured, captured at most authorized, and the payment says the same sums.
    pub(crate) fn sums(&self) -> Result<(), String> {
        let sums = (self.authorized_minor, self.captured_minor, self.refunded_minor);
        if self.refunded_minor > self.captured_minor || self.captured_minor > self.authorized_minor {
            return Err(format!("authorized, captured, refunded: {sums:?}"));
        }
        let fee = self.states.last().map_or(0, |state| state.fee_minor);
        if fee != self.fee_minor {
            return Err(format!("owes a fee of {} and says {fee}", self.fee_minor));
        }
        let said = self.states.last().map(|state| {
            (
                state.authorized.minor(),
                state.captured.minor(),
                state.refunded.minor(),
            )
        });
        if said.is_some_and(|said| said != sums) {
            return Err(format!("says {said:?} and its operations come to {sums:?}"));
        }
        Ok(())
    }
}
