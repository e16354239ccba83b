//! What one incarnation remembers of driving its operations: several may be under way at once, each with requests, retries and
//! doubts of its own. None of it is needed after a restart.

use super::PaymentState;
use florin_domain::ids::OperationId;

/// One operation's.
#[derive(Debug)]
pub(super) struct Drive {
    operation: OperationId,
    /// Requests at the provider.
    pub(super) calls: u32,
    /// Repetitions that wait for their time.
    pub(super) retries: u32,
    /// Requests of the open attempt so far.
    pub(super) tries: u32,
    /// A request of the open attempt may have reached the provider.
    pub(super) tainted: bool,
}

impl PaymentState {
    pub(super) fn drive(&mut self, operation: OperationId) -> &mut Drive {
        let found = self.drives.iter().position(|drive| drive.operation == operation);
        let index = found.unwrap_or_else(|| {
            self.drives.push(Drive {
                operation,
                calls: 0,
                retries: 0,
                tries: 0,
                tainted: false,
            });
            self.drives.len() - 1
        });
        &mut self.drives[index]
    }

    /// A new attempt starts without the doubts of the last one.
    pub(super) fn forget_drive(&mut self, operation: OperationId) {
        let drive = self.drive(operation);
        drive.tries = 0;
        drive.tainted = false;
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
