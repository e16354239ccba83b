//! What a provider says by itself: recorded like an answer to a question that was never asked.

use super::PaymentState;
use florin_domain::ids::OperationId;
use florin_domain::payment::{Command, OperationKind};
use florin_domain::provider::{Notice, Outcome};
use ractor::ActorProcessingErr;
use tokio::sync::oneshot;

/// A notice, and who waits until it is in the journal.
#[derive(Debug)]
pub struct Noticed {
    /// What is said.
    pub notice: Notice,
    /// Told whether an operation of the payment was meant, once what it changes is durable.
    pub taken: oneshot::Sender<bool>,
}

impl PaymentState {
    /// Whoever sent it hears of it only once it is durable: until then it is sent again.
    pub(super) fn take_notice(&mut self, noticed: Noticed) -> Result<(), ActorProcessingErr> {
        let Noticed { notice, taken } = noticed;
        let Notice {
            operation,
            key_end,
            currency,
            outcome,
            ..
        } = notice;
        let found = self.payment.as_ref().and_then(|payment| {
            let op = payment.operation(operation)?;
            let meant = (1..=op.attempts)
                .filter_map(|number| op.attempt_numbered(number))
                .find(|attempt| attempt.key.ends_with(&*key_end))?;
            // What moves nothing may name any currency.
            let moves = matches!(outcome, Outcome::Succeeded { .. }) && op.kind != OperationKind::Void;
            (!moves || payment.spec.currency == currency).then_some((op.amount, meant.number))
        });
        let Some((amount, number)) = found else {
            // Whoever asked may have gone.
            _ = taken.send(false);
            return Ok(());
        };
        let outcome = match (operation, outcome) {
            (
                OperationId::Void(_),
                Outcome::Succeeded {
                    reference,
                    transaction,
                    ..
                },
            ) => Outcome::Succeeded {
                reference,
                transaction,
                amount_minor: amount.minor(),
            },
            (_, outcome) => outcome,
        };
        self.noticed.push(taken);
        let command = Command::Record {
            operation,
            number,
            outcome,
        };
        self.decide(None, command)?;
        self.answer();
        Ok(())
    }

    /// Between commits everything that was noticed is durable, or changed nothing.
    pub(super) fn answer_notices(&mut self) {
        for taken in self.noticed.drain(..) {
            // Whoever asked may have gone.
            _ = taken.send(true);
        }
    }
}
