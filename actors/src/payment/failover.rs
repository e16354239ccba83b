//! Where a charge goes next. It is planned in the commit that proves the last attempt not made, so that no crash comes between.

use super::PaymentState;
use super::drive::after_earlier_requests;
use crate::provider::Line;
use florin_domain::ids::OperationId;
use florin_domain::payment::{AttemptPlan, Command};
use florin_domain::provider::{Outcome, ProviderId};
use ractor::ActorProcessingErr;
use std::sync::Arc;

impl PaymentState {
    /// Records what came back about an attempt, and goes on elsewhere if that proves that it charged nothing.
    pub(super) fn record(
        &mut self,
        operation: OperationId,
        number: u32,
        outcome: Outcome,
    ) -> Result<(), ActorProcessingErr> {
        let next = self.elsewhere(operation, number, &outcome);
        self.record_and_go_on(operation, number, outcome, next)
    }

    pub(super) fn record_and_go_on(
        &mut self,
        operation: OperationId,
        number: u32,
        outcome: Outcome,
        next: Option<AttemptPlan>,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(next) = &next {
            self.tell_failover(operation, next.provider);
        }
        let command = Command::Record {
            operation,
            number,
            outcome,
            next,
        };
        self.decide(None, command)
    }

    fn tell_failover(&self, operation: OperationId, to: ProviderId) {
        let Some((_, attempt)) = self.open_attempt(operation) else {
            return;
        };
        let from = attempt.provider;
        metrics::counter!("florin_failovers_total", "from" => from.to_string(), "to" => to.to_string())
            .increment(1);
        let seat = self.context.provider(from);
        let is_broken = seat.is_some_and(|seat| {
            let (now, standing) = (self.context.ports.clock.now(), seat.standing.load());
            !standing.breaker(Line::Charge).takes(now)
        });
        if is_broken {
            tracing::warn!(payment = %self.id, "{from} circuit breaker open, failing over to {to}");
        } else {
            tracing::warn!(payment = %self.id, "{from} did not take the charge, failing over to {to}");
        }
    }

    /// The provider's breaker is open: nothing was asked now, and it is not asked again for this request. What an earlier request of
    /// the attempt did stays as doubtful as it was.
    pub(super) fn turned_away(
        &mut self,
        operation: OperationId,
        number: u32,
    ) -> Result<(), ActorProcessingErr> {
        let is_tainted = self
            .open_attempt(operation)
            .is_some_and(|(_, attempt)| attempt.number == number)
            && self.doubts(operation, number).tainted;
        let reason = Arc::from("the provider's circuit breaker is open");
        let outcome = after_earlier_requests(is_tainted, Outcome::NotSent { reason });
        if self.close_instead(operation, number, &outcome) {
            return Ok(());
        }
        self.record(operation, number, outcome)
    }

    /// The plan of the next attempt at a provider that was not asked yet, if `outcome` closes this one without a charge.
    pub(super) fn elsewhere(
        &mut self,
        operation: OperationId,
        number: u32,
        outcome: &Outcome,
    ) -> Option<AttemptPlan> {
        let payment = self.payment.clone()?;
        let now = self.context.ports.clock.now();
        if !payment.may_go_elsewhere(operation, number, outcome, now) {
            return None;
        }
        let round_from = self.drive(operation).round_from;
        let op = payment.operation(operation)?;
        let in_round = op
            .earlier
            .iter()
            .chain(&op.attempt)
            .filter(|attempt| attempt.number >= round_from);
        let tried: Vec<ProviderId> = in_round.map(|attempt| attempt.provider).collect();
        let charge = (payment.spec.as_ref(), &payment.method);
        self.plan(charge, operation, number.saturating_add(1), &tried)
            .ok()
    }
}
