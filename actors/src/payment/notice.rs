//! What a provider says by itself: recorded like an answer to a question that was never asked.

use super::PaymentState;
use florin_domain::ids::OperationId;
use florin_domain::money::{Amount, Currency};
use florin_domain::payment::{
    Attempt, AttemptState, Command, Decision, Effect, Event, Matter, MatterKind, Operation, OperationKind,
    Undoing, decide,
};
use florin_domain::provider::{Named, Notice, Outcome, ProviderId, Said, Signer};
use ractor::ActorProcessingErr;
use std::sync::Arc;
use tokio::sync::oneshot;

/// The end of a key is believed to be that of an attempt if it is so long, or the whole key.
const KEY_END_BYTES_MIN: usize = 12;

/// A notice, and who waits until it is in the journal.
#[derive(Debug)]
pub struct Noticed {
    /// What is said.
    pub notice: Notice,
    /// Told whether an operation of the payment was meant, once what it changes is durable.
    pub taken: oneshot::Sender<bool>,
}

impl Noticed {
    /// It names an object, and says how that stood.
    pub(super) const fn is_of_object(&self) -> bool {
        match self.notice.attempt {
            Named::KeyEnd(_) => false,
            Named::Charge(_) | Named::Refund { .. } => true,
        }
    }
}

/// What becomes of a notice.
#[derive(Debug)]
pub(super) enum Heard {
    /// It is about no attempt of this payment.
    NotOurs,
    /// What it undoes was not heard of yet.
    TooEarly,
    /// It changes nothing.
    Nothing,
    /// It is decided upon.
    Word(Box<Command>),
}

impl PaymentState {
    /// Whoever sent it hears of it only once it is durable: until then it is sent again.
    pub(super) fn take_notice(&mut self, noticed: Noticed) -> Result<(), ActorProcessingErr> {
        let Noticed { notice, taken } = noticed;
        let key_end = match &notice.attempt {
            Named::KeyEnd(key_end) => Some(Arc::clone(key_end)),
            Named::Charge(_) | Named::Refund { .. } => None,
        };
        let signer = notice.signer.clone();
        let heard = match key_end {
            Some(key_end) => self.told_by_key(notice, &key_end),
            None => self.told_of_object(&notice),
        };
        match heard {
            Heard::NotOurs => {
                // Whoever asked may have gone.
                _ = taken.send(false);
                return Ok(());
            }
            // Not taken, so that it comes again after what it undoes.
            Heard::TooEarly => return Ok(()),
            Heard::Nothing => self.noticed.push(taken),
            // Not taken, so that it comes again on another day: it may be true.
            Heard::Word(command) if self.is_too_much(&signer, &command) => return Ok(()),
            Heard::Word(command) => {
                self.noticed.push(taken);
                self.decide(None, *command)?;
            }
        }
        self.answer();
        Ok(())
    }

    /// What is said of the attempt whose key ends so.
    fn told_by_key(&self, notice: Notice, key_end: &str) -> Heard {
        let Notice {
            provider,
            operation,
            currency,
            said,
            ..
        } = notice;
        let payment = self.payment.clone();
        let found = payment.as_ref().and_then(|payment| {
            let op = payment.operation(operation)?;
            Some((payment, op, meant(op, provider, key_end)?))
        });
        let Some((payment, op, attempt)) = found else {
            return Heard::NotOurs;
        };
        let raise = |kind, said, amount_minor| {
            let target = (operation, attempt.number);
            self.raise(target, kind, said, (amount_minor, currency))
        };
        let is_foreign = currency != payment.spec.currency;
        let authorized_minor = payment.authorized.minor();
        let command = match said {
            Said::Became(Outcome::Declined {
                decline_code,
                reference,
                network: _,
            }) if attempt.state == AttemptState::Succeeded => {
                let said = reference.unwrap_or(decline_code);
                raise(MatterKind::DeclinedAfterSuccess, said, op.amount.minor())
            }
            // Of an attempt that waits for a word it is another sum than was asked for; of one that is over, nothing that can be booked.
            Said::Became(Outcome::Succeeded {
                transaction,
                amount_minor,
                ..
            }) if is_foreign && !attempt.state.is_unresolved() && op.asked_kind() != OperationKind::Void => {
                raise(MatterKind::DoneInOtherCurrency, transaction, amount_minor)
            }
            // Notices come in any order, so each may be older than a closing. And a provider that closed it was asked to by somebody;
            // who, the notice does not say, so it goes nowhere else.
            Said::Became(outcome) => {
                let outcome = in_our_terms(op, outcome, (!is_foreign).then_some(authorized_minor));
                Command::Hear {
                    operation,
                    number: attempt.number,
                    reversal: self.reversal(operation, attempt.number, &outcome),
                    outcome,
                }
            }
            Said::NotClosed => Command::ClosingRefused {
                operation,
                number: attempt.number,
            },
            Said::TakenBack { unheard: None, .. } if attempt.state.is_unresolved() => {
                return Heard::TooEarly;
            }
            // Those are said of objects.
            Said::Reserved { .. } | Said::Released { .. } | Said::Changed => return Heard::NotOurs,
            Said::TakenBack {
                reference,
                amount_minor,
                ..
            } if is_foreign => raise(MatterKind::UndoneInOtherCurrency, reference, amount_minor),
            Said::TakenBack {
                unheard,
                reference,
                amount_minor,
            } => Command::TakeBack(Undoing {
                operation,
                number: attempt.number,
                amount: Amount::new(amount_minor).unwrap_or(op.amount),
                reference,
                unheard,
            }),
        };
        Heard::Word(Box::new(command))
    }

    /// What fits no booking is for a person.
    pub(super) fn raise(
        &self,
        (operation, number): (OperationId, u32),
        kind: MatterKind,
        said: Arc<str>,
        (amount_minor, currency): (i128, Currency),
    ) -> Command {
        tracing::error!(payment = %self.id, %operation, what = kind.as_str(), "a provider says what fits no booking");
        let at = self.context.ports.clock.now();
        let matter = Matter {
            number,
            kind,
            said,
            amount_minor,
            currency,
            at,
        };
        Command::Raise { operation, matter }
    }

    /// By its own key a merchant's provider, or whoever has that key, may have people look at so many things a day.
    fn is_too_much(&self, signer: &Signer, command: &Command) -> bool {
        let Some(payment) = self.payment.as_ref().filter(|_| *signer != Signer::Platform) else {
            return false;
        };
        let (options, now) = (&self.context.options, self.context.ports.clock.now());
        let decided = decide(Some(payment), command.clone(), &options.lifetimes, now);
        let records = |event: &Event| {
            matches!(
                event,
                Event::MatterRaised { .. }
                    | Event::LateSuccess { .. }
                    | Event::LateReversal { .. }
                    | Event::TransactionClosed { .. }
            )
        };
        let alerts = |effect: &Effect| matches!(effect, Effect::Alert(_));
        let costs =
            |decision: Decision| decision.events.iter().any(records) || decision.effects.iter().any(alerts);
        if !decided.is_ok_and(costs) {
            return false;
        }
        let merchant = payment.spec.merchant;
        let has_room = self
            .context
            .own_matters
            .take(merchant, options.own_matters_day_max, now);
        if !has_room {
            metrics::counter!("florin_alerts_total", "alert" => "own_notices_limited").increment(1);
            tracing::error!(payment = %self.id, %merchant, "notices signed with a merchant's own key have raised as many matters today as they may: this one is not taken");
        }
        !has_room
    }

    /// Between commits everything that was noticed is durable, or changed nothing.
    pub(super) fn answer_notices(&mut self) {
        for taken in self.noticed.drain(..) {
            // Whoever asked may have gone.
            _ = taken.send(true);
        }
    }
}

/// The attempt at this provider whose key ends so.
fn meant<'a>(op: &'a Operation, provider: ProviderId, key_end: &str) -> Option<&'a Attempt> {
    (1..=op.attempts)
        .filter_map(|number| op.attempt_numbered(number))
        .find(|attempt| {
            let is_long = key_end.len() >= KEY_END_BYTES_MIN.min(attempt.key.len());
            attempt.provider == provider && is_long && attempt.key.ends_with(key_end)
        })
}

/// A void released whatever was left, and an increment is told as all that is reserved now, where `authorized_minor` was before. Any sum in
/// another currency is another sum than was asked for, which the core holds for a person.
pub(super) fn in_our_terms(op: &Operation, outcome: Outcome, authorized_minor: Option<i128>) -> Outcome {
    let Outcome::Succeeded {
        reference,
        transaction,
        amount_minor,
    } = outcome
    else {
        return outcome;
    };
    let amount_minor = match (op.asked_kind(), authorized_minor) {
        (OperationKind::Void, _) => op.amount.minor(),
        (_, None) => NO_AMOUNT_MINOR,
        (OperationKind::Increment, Some(before_minor)) if op.is_unresolved() => {
            amount_minor.saturating_sub(before_minor)
        }
        (OperationKind::Increment, Some(_)) => op.amount.minor(),
        (
            OperationKind::Sale
            | OperationKind::Authorize
            | OperationKind::Capture
            | OperationKind::Refund
            | OperationKind::Reversal,
            Some(_),
        ) => amount_minor,
    };
    Outcome::Succeeded {
        reference,
        transaction,
        amount_minor,
    }
}

/// Never what was asked for: amounts are positive.
const NO_AMOUNT_MINOR: i128 = 0;
