//! Closing a charge at its provider: journaled before it is asked for, asked for again until the provider says how it ended, and given to
//! people when that cannot be found out.

use super::{PaymentState, Report};
use crate::provider::Ask;
use florin_domain::ids::OperationId;
use florin_domain::payment::{Attempt, AttemptState, Command, NextAction, Operation, OperationKind, Status};
use florin_domain::provider::{Outcome, Recovery};
use florin_domain::time::{Millis, Timestamp};
use ractor::ActorProcessingErr;

/// A challenge whose closing was asked for is asked about again every minute so long, and then once an hour.
const OFTEN: Millis = Millis::from_s(10 * 60);
const MINUTE: Millis = Millis::from_s(60);
const HOUR: Millis = Millis::from_s(3600);

/// Whether a challenge is asked about once more. Nobody remembers when that was done last, so it goes by the clock alone.
fn is_due(asked_at: Timestamp, now: Timestamp) -> bool {
    let since_ms = now.unix_ms().saturating_sub(asked_at.unix_ms());
    since_ms < OFTEN.0 || since_ms % HOUR.0 < MINUTE.0
}

impl PaymentState {
    fn recovery(&self, attempt: &Attempt) -> Recovery {
        self.context
            .provider(attempt.provider)
            .map_or_else(Recovery::default, |seat| seat.port.capabilities().recovery)
    }

    /// Whether the provider can close what the attempt made, so that it never charges.
    pub(super) fn can_close(&self, op: &Operation, attempt: &Attempt) -> bool {
        let seat = self.context.provider(attempt.provider);
        matches!(op.kind, OperationKind::Sale | OperationKind::Authorize)
            // It has said that it did not, and says the same again under the same key.
            && !attempt.closing.is_refused
            && seat.is_some_and(|seat| {
                let can = seat.port.capabilities();
                can.cancel_closes && (attempt.reference.is_some() || can.recovery.voids.needs_no_object())
            })
    }

    /// Closes what an attempt may have made. That it is asked for is durable before it is.
    pub(super) fn close(&mut self, op: &Operation, attempt: &Attempt) -> Result<(), ActorProcessingErr> {
        if attempt.is_closing_asked() {
            self.ask(op, attempt, Ask::Cancel);
            return Ok(());
        }
        let (operation, number) = (op.id, attempt.number);
        self.decide(None, Command::AskClosing { operation, number })
    }

    /// It is durable.
    pub(super) fn send_closing(&mut self, operation: OperationId) {
        if let Some((op, attempt)) = self.open_attempt(operation) {
            self.ask(&op, &attempt, Ask::Cancel);
        }
    }

    /// An attempt that was asked about, repeated, and is unknown still: a provider that stored its own error under the key would
    /// answer it for ever. Closing the object is safe at any time: either it can no longer charge, or it turns out that it has.
    pub(super) fn close_instead(
        &mut self,
        operation: OperationId,
        number: u32,
        outcome: &Outcome,
    ) -> Result<bool, ActorProcessingErr> {
        let Some((op, attempt)) = self.open_attempt(operation) else {
            return Ok(false);
        };
        let resumed = self.closes && attempt.state == AttemptState::Unknown && attempt.number == number;
        if !resumed || !matches!(outcome, Outcome::Unknown { .. }) || !self.can_close(&op, &attempt) {
            return Ok(false);
        }
        self.close(&op, &attempt)?;
        Ok(true)
    }

    pub(super) fn is_challenged(&self, operation: OperationId) -> bool {
        self.open_attempt(operation)
            .is_some_and(|(_, attempt)| attempt.state == AttemptState::ActionRequired)
    }

    /// A challenge whose time is over is closed at the provider: either it can no longer charge, or it turns out that it has.
    pub(super) fn close_challenge(
        &mut self,
        operation: OperationId,
        number: u32,
    ) -> Result<bool, ActorProcessingErr> {
        let now = self.context.ports.clock.now();
        let is_over = self.payment.as_ref().is_some_and(
            |payment| matches!(&payment.status, Status::RequiresAction(next) if next.expires_at <= now),
        );
        let Some((op, attempt)) = self.open_attempt(operation) else {
            return Ok(false);
        };
        if !is_over || attempt.number != number || !self.can_close(&op, &attempt) {
            return Ok(false);
        }
        self.close(&op, &attempt)?;
        Ok(true)
    }

    /// The time for a challenge is over. Where its end cannot be asked for, its closing is; and if the provider does not say how that
    /// ended until nobody can pass the challenge any more, people are told.
    pub(super) fn end_challenge(
        &mut self,
        operation: OperationId,
        next: &NextAction,
    ) -> Result<(), ActorProcessingErr> {
        let Some((_, attempt)) = self.open_attempt(operation) else {
            return Ok(());
        };
        if self.is_driving(operation) {
            return Ok(());
        }
        let now = self.context.ports.clock.now();
        if let (Some(lifetime), Some(asked_at)) = (
            self.recovery(&attempt).challenge_lifetime,
            attempt.closing.asked_at,
        ) {
            let number = attempt.number;
            if next.expires_at.plus(lifetime) <= now {
                return self.decide(None, Command::GiveUpChallenge { operation, number });
            }
            if attempt.closing.is_refused || !is_due(asked_at, now) {
                return Ok(());
            }
        }
        if let Some((op, attempt)) = self.open_attempt(operation)
            && attempt.is_closing()
            && self.can_close(&op, &attempt)
        {
            self.ask(&op, &attempt, Ask::Cancel);
            return Ok(());
        }
        self.query(operation);
        Ok(())
    }

    /// How an open attempt is asked about: with what the customer brought back, if that is what charges. Not while it is being closed:
    /// what has been given up is not charged.
    pub(super) fn question(&self, attempt: &Attempt) -> Ask {
        let is_brought = self.details.is_some() && attempt.state == AttemptState::ActionRequired;
        if is_brought && !attempt.is_closing() && self.recovery(attempt).charges_by_details {
            Ask::Complete
        } else {
            Ask::Query
        }
    }

    /// Takes an answer to what was asked before the closing of its attempt was.
    pub(super) fn hear(
        &mut self,
        operation: OperationId,
        number: u32,
        outcome: Outcome,
    ) -> Result<(), ActorProcessingErr> {
        let command = Command::Hear {
            operation,
            number,
            reversal: self.reversal(operation, number, &outcome),
            outcome,
        };
        self.decide(None, command)
    }

    /// The answer is one to something else than the closing, and its attempt is being closed: it may be older than that.
    pub(super) fn may_be_old(&self, operation: OperationId, number: u32, report: &Report) -> bool {
        let is_other = matches!(
            report,
            Report::Outcome {
                ask: Ask::Execute | Ask::Complete | Ask::Query,
                ..
            }
        );
        let open = self.open_attempt(operation).filter(|_| is_other);
        open.is_some_and(|(op, attempt)| {
            let is_closing = attempt.number == number && attempt.is_closing();
            is_closing && self.can_close(&op, &attempt)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_asked_about_every_minute_at_first_and_then_once_an_hour() {
        let asked_at = Timestamp::from_unix_ms(5_000);
        let due = |minutes: u64| is_due(asked_at, asked_at.plus(Millis::from_s(minutes * 60)));
        let asked: Vec<u64> = (0..=150).filter(|minutes| due(*minutes)).collect();
        let expected: Vec<u64> = (0..10).chain([60, 120]).collect();
        assert_eq!(asked, expected);
    }
}
