//! Where a charge goes next. It is planned in the commit that proves the last attempt not made, so that no crash comes between.

use super::PaymentState;
use super::drive::after_earlier_requests;
use crate::provider::Away;
use florin_domain::ids::OperationId;
use florin_domain::payment::{AttemptPlan, Command};
use florin_domain::provider::{Outcome, ProviderId};
use florin_domain::routing::{Bar, Route};
use ractor::ActorProcessingErr;

impl PaymentState {
    /// Records what came back about an attempt, and goes on elsewhere if that proves that it charged nothing.
    pub(super) fn record(
        &mut self,
        operation: OperationId,
        number: u32,
        outcome: Outcome,
    ) -> Result<(), ActorProcessingErr> {
        if self.asks_to_go_on(operation, number, &outcome) {
            return Ok(());
        }
        let next = match &outcome {
            // Only with the card's leave, which is asked for above.
            Outcome::Declined { .. } => return self.record_and_go_on(operation, number, outcome, None),
            Outcome::Succeeded { .. }
            | Outcome::ActionRequired { .. }
            | Outcome::Pending { .. }
            | Outcome::Cancelled { .. }
            | Outcome::NotSent { .. }
            | Outcome::RateLimited { .. }
            | Outcome::Rejected { .. }
            | Outcome::Unknown { .. } => self.elsewhere(operation, number, &outcome),
        };
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
            self.tell_where_next(operation, &outcome, next.provider);
        }
        let command = Command::Record {
            operation,
            number,
            reversal: self.reversal(operation, number, &outcome),
            outcome,
            next,
        };
        self.decide(None, command)
    }

    /// Says in the log and in the metrics which provider the charge leaves, why, and for which one.
    fn tell_where_next(&self, operation: OperationId, outcome: &Outcome, to: ProviderId) {
        let here = self.payment.as_ref().and_then(|payment| {
            let attempt = payment.operation(operation)?.attempt.as_ref()?;
            Some(attempt.provider)
        });
        let Some(from) = here else { return };
        let why = match outcome {
            Outcome::NotSent { reason, .. }
            | Outcome::Rejected { reason, .. }
            | Outcome::Unknown { reason, .. } => reason,
            Outcome::RateLimited { .. } => "rate limited",
            Outcome::Cancelled { .. } => "closed at the provider",
            Outcome::Declined { decline_code, .. } => decline_code,
            Outcome::Succeeded { .. } | Outcome::ActionRequired { .. } | Outcome::Pending { .. } => {
                "answered"
            }
        };
        metrics::counter!("florin_payment_failovers_total", "from" => from.to_string(), "to" => to.to_string())
            .increment(1);
        tracing::warn!(payment = %self.id, %from, %to, why, "nothing was charged at a provider: failing over to the next one");
    }

    /// Says once for each opening of a breaker that charges go elsewhere because of it.
    pub(super) fn tell_of_open_breakers(&self, route: &Route, to: ProviderId) {
        let now = self.context.ports.clock.now();
        for (from, bar) in &route.left_out {
            let is_news = *bar == Bar::BreakerOpen
                && self
                    .context
                    .provider(*from)
                    .is_some_and(|seat| seat.opening_is_news(now));
            if is_news {
                tracing::warn!(%from, %to, "the circuit breaker of a provider is open: failing over to the next one");
            }
        }
    }

    /// The provider was not to be asked: nothing was asked now, and it is not asked again for this request.
    /// What an earlier request of the attempt did stays as doubtful as it was.
    pub(super) fn turned_away(
        &mut self,
        operation: OperationId,
        number: u32,
        away: Away,
    ) -> Result<(), ActorProcessingErr> {
        let is_tainted = self.is_open(operation, number) && self.doubts(operation, number).tainted;
        let outcome = after_earlier_requests(is_tainted, Outcome::not_sent(away.why()));
        if self.close_instead(operation, number, &outcome)? {
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
        // An operator has stopped new charges of this merchant meanwhile.
        if self
            .context
            .directory
            .load()
            .stops
            .merchants
            .contains_key(&payment.spec.merchant)
        {
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
        let charge = (payment.spec.as_ref(), payment.method.as_ref()?);
        self.plan(charge, operation, number.saturating_add(1), &tried)
            .ok()
    }
}
