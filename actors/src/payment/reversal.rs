//! How a charge that arrives after its attempt was closed is given back. It is planned before the word of it is recorded, so that one
//! commit holds both.

use super::PaymentState;
use super::drive::after_earlier_requests;
use florin_domain::ids::{OperationId, ReversalId};
use florin_domain::money::MinorSum;
use florin_domain::payment::{Command, Operation, ReversalPlan};
use florin_domain::ports::ParentCharge;
use florin_domain::provider::Outcome;
use florin_domain::time::Millis;
use ractor::ActorProcessingErr;

/// Of a provider's memory of keys, the part in which a reversal is repeated is one in so many.
const KEY_LIFETIME_PARTS: u64 = 2;

/// The late charge, as its provider names it: the object that a refund or a void is about, and what it holds.
pub(super) fn parent(op: &Operation) -> Option<ParentCharge> {
    let reversed = op.reverses.as_ref()?;
    Some(ParentCharge {
        reference: reversed.reference.clone(),
        authorized: MinorSum::from_minor(op.amount.minor()).ok()?,
    })
}

impl PaymentState {
    /// Records what came back at last, after earlier requests that may have been done (`tainted`) or not. A reversal that is refused then is
    /// not proven undone, but only a person will give that money back.
    pub(super) fn record_at_last(
        &mut self,
        operation: OperationId,
        number: u32,
        tainted: bool,
        outcome: Outcome,
    ) -> Result<(), ActorProcessingErr> {
        match outcome {
            Outcome::Rejected { reason, .. } if tainted && matches!(operation, OperationId::Reversal(_)) => {
                let command = Command::Refuse {
                    operation,
                    number,
                    reason,
                };
                self.decide(None, command)
            }
            outcome => self.record(operation, number, after_earlier_requests(tainted, outcome)),
        }
    }

    /// The plan of giving back what `outcome` says was charged after all. Usually nothing was: that is seen first, and costs nothing.
    ///
    /// Nobody waits for a reversal, and nobody but the schedule sends it again when its provider cannot be reached. So it is repeated
    /// much longer than a charge, but only while the provider is sure to know its key.
    pub(super) fn reversal(
        &self,
        operation: OperationId,
        number: u32,
        outcome: &Outcome,
    ) -> Option<ReversalPlan> {
        if !matches!(outcome, Outcome::Succeeded { .. }) {
            return None;
        }
        let provider = self.payment.as_ref()?.would_reverse(operation, number)?;
        let seat = self.context.provider(provider)?;
        let window = Millis(seat.port.capabilities().key_lifetime.0 / KEY_LIFETIME_PARTS);
        let id = ReversalId::from_bits(self.context.new_id_bits());
        let mut plan = self.plan_at(provider, OperationId::Reversal(id), 1);
        plan.deadline = plan.deadline.max(self.context.ports.clock.now().plus(window));
        Some(ReversalPlan { id, plan })
    }
}
