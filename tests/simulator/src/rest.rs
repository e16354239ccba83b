//! Owns the check that nothing is left over at the end of a run: nothing expected that nobody expects, nothing held or reserved beyond
//! its time, no place taken by anybody.

use crate::clock::lock;
use crate::life::Run;
use crate::verdict::Accounts;
use florin_domain::ledger::AccountKey;
use florin_domain::payment::{OperationKind, Payment, Status};
use florin_domain::ports::Clock;
use florin_domain::time::Timestamp;
use florin_supervisors::platform::Platform;
use std::collections::{BTreeMap, BTreeSet};

/// What is due is done within this time, if nothing goes wrong.
const LATE_MS: u64 = 120_000;

fn is_late(due: Timestamp, now: Timestamp) -> bool {
    due.unix_ms().saturating_add(LATE_MS) < now.unix_ms()
}

/// Since when a payment should not be where it is, if nobody has tried to get it away from there.
fn overdue(payment: &Payment, now: Timestamp) -> Option<&'static str> {
    let (what, due) = match &payment.status {
        Status::Authorized => ("authorized", payment.authorization_expires_at?),
        Status::InReview { deadline } => ("in review", *deadline),
        // A customer may still come back to a challenge that the provider cannot close.
        Status::RequiresAction(_)
        | Status::RequiresPaymentMethod
        | Status::RequiresConfirmation
        | Status::Processing
        | Status::Succeeded
        | Status::Failed
        | Status::Blocked
        | Status::Voided => return None,
    };
    let is_changing = payment.unresolved().next().is_some();
    let is_tried = payment
        .operations
        .iter()
        .any(|operation| operation.kind == OperationKind::Void && operation.opened_at >= due);
    (is_late(due, now) && !is_changing && !is_tried).then_some(what)
}

impl Run {
    /// What waited for a time that is over waits no more.
    pub(crate) fn check_deadlines(&self) {
        let now = self.world.clock.now();
        let mut wrong = Vec::new();
        {
            let journaled = lock(&self.world.journaled);
            let payments = journaled
                .payments
                .values()
                .filter_map(|history| history.states.last());
            for payment in payments {
                if let Some(what) = overdue(payment, now) {
                    wrong.push(format!("{} is {what} although its time is over", payment.id()));
                }
            }
            for id in journaled.standings.overdue(now) {
                wrong.push(format!("{id} is reserved although its time is over"));
            }
        }
        for what in wrong {
            self.world.breach(what);
        }
    }

    /// What is expected on accounts is what is reserved on them and under way.
    pub(crate) fn expected_wrong(&self, accounts: &Accounts) -> Vec<String> {
        let own = lock(&self.world.journaled).standings.sums();
        let said: BTreeMap<AccountKey, (i128, i128)> = accounts
            .iter()
            .map(|(key, state)| (*key, (state.pending_debit_minor, state.pending_credit_minor)))
            .collect();
        let keys: BTreeSet<AccountKey> = own.keys().chain(said.keys()).copied().collect();
        let mut wrong = Vec::new();
        for key in keys {
            let own = own.get(&key).copied().unwrap_or_default();
            let said = said.get(&key).copied().unwrap_or_default();
            if said != (own.debit_minor, own.credit_minor) {
                wrong.push(format!("{key} expects {said:?} and {own:?} is under way"));
            }
        }
        wrong
    }

    /// Whoever was answered has left.
    pub(crate) fn check_idle(&self, platform: &Platform) {
        let in_flight = platform.context().admission.in_flight();
        if in_flight > 0 {
            self.world.breach(format!(
                "{in_flight} requests take places at rest, and nobody asks"
            ));
        }
    }
}
