//! What a provider has taken on and owes a word about for too long: a person is told, once, and it stays as pending as it was.

use super::PaymentState;
use florin_domain::limits::SETTLE_TIME;
use florin_domain::payment::{Attempt, Command};
use florin_domain::time::Millis;
use ractor::ActorProcessingErr;

impl PaymentState {
    /// Tells of what is overdue and was not told of yet. The schedule comes by at least every half hour.
    pub(super) fn check_overdue(&mut self) -> Result<(), ActorProcessingErr> {
        if self.payment.is_none() {
            return Ok(());
        }
        let settle = self.context.providers.iter().map(|seat| {
            let known = seat.port.capabilities().recovery.settles_within;
            let settle: Millis = seat.terms.settles_within.or(known).unwrap_or(SETTLE_TIME);
            (seat.id, settle)
        });
        let settle = settle.collect();
        self.decide(None, Command::CheckOverdue { settle })
    }

    /// Whoever tells by itself is not asked, unless what it owes is overdue and it can be asked by the name of its object.
    pub(super) fn may_be_asked_late(&self, attempt: &Attempt) -> bool {
        let seat = self.context.provider(attempt.provider);
        attempt.overdue_since.is_some()
            && attempt.reference.is_some()
            && seat.is_some_and(|seat| seat.port.capabilities().query_by_reference)
    }
}
