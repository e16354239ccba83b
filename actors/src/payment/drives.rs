//! What one incarnation remembers of driving its operations: several may be under way at once, each with requests, retries and
//! doubts of its own. None of it is needed after a restart.

use super::PaymentState;
use florin_domain::ids::OperationId;
use florin_domain::payment::{Attempt, Operation, OperationKind};

/// One operation's.
#[derive(Debug)]
pub(super) struct Drive {
    operation: OperationId,
    /// Requests at the provider.
    pub(super) calls: u32,
    /// Repetitions that wait for their time.
    pub(super) retries: u32,
    /// The next request repeats one of the same request of a caller's.
    pub(super) repeats: bool,
    /// The attempt that the two below are about.
    number: u32,
    /// Requests of that attempt so far.
    pub(super) tries: u32,
    /// A request of that attempt may have reached the provider.
    pub(super) tainted: bool,
    /// The first attempt for whoever waits now: where it and those after it went, the charge does not go again for them.
    pub(super) round_from: u32,
}

impl PaymentState {
    pub(super) fn drive(&mut self, operation: OperationId) -> &mut Drive {
        let found = self.drives.iter().position(|drive| drive.operation == operation);
        let index = found.unwrap_or_else(|| {
            self.drives.push(Drive {
                operation,
                calls: 0,
                retries: 0,
                repeats: false,
                number: 0,
                tries: 0,
                tainted: false,
                round_from: 0,
            });
            self.drives.len() - 1
        });
        &mut self.drives[index]
    }

    /// What is remembered of one attempt. A new attempt starts without the doubts of the last one.
    pub(super) fn doubts(&mut self, operation: OperationId, number: u32) -> &mut Drive {
        let drive = self.drive(operation);
        if drive.number != number {
            drive.number = number;
            drive.tries = 0;
            drive.tainted = false;
        }
        drive
    }

    /// An earlier incarnation, or an earlier process, may have sent every attempt that is open; only what needs the provider's object
    /// first, and has none, was never sent.
    pub(super) fn doubt_everything(&mut self) {
        let Some(payment) = self.payment.clone() else {
            return;
        };
        for op in payment.unresolved() {
            let Some(attempt) = &op.attempt else { continue };
            if !self.is_unsendable(op, attempt) {
                self.doubts(op.id, attempt.number).tainted = true;
            }
        }
    }

    /// The provider makes an object first, and has not made it: nothing that charges was sent.
    pub(super) fn is_unsendable(&self, op: &Operation, attempt: &Attempt) -> bool {
        let seat = self.context.provider(attempt.provider);
        let prepares = seat.is_some_and(|seat| seat.port.capabilities().prepares);
        let charges = matches!(op.kind, OperationKind::Sale | OperationKind::Authorize);
        prepares && charges && attempt.reference.is_none()
    }

    /// Somebody asks for the operation anew: every provider may be tried again.
    pub(super) fn begin_round(&mut self, operation: OperationId) {
        let next = self.next_attempt(operation);
        self.drive(operation).round_from = next;
    }

    /// Something of an operation is on its way or waits for its time.
    pub(super) fn is_driving(&self, operation: OperationId) -> bool {
        self.drives
            .iter()
            .any(|drive| drive.operation == operation && (drive.calls > 0 || drive.retries > 0))
    }

    /// The same of any operation.
    pub(super) fn is_driving_any(&self) -> bool {
        self.drives
            .iter()
            .any(|drive| drive.calls > 0 || drive.retries > 0)
    }
}
