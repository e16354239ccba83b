//! What comes back to a payment, and to which incarnation of it. An earlier one's requests and repetitions count for nothing that is under
//! way here: the successor has doubted everything that was open and asks again by itself, so nobody waits for them, and what they do not
//! know they do not prove. Only what a provider says to be there is believed, whoever asked: an object that was made, and money that moved.

use super::PaymentState;
use crate::provider::{Ask, Away};
use florin_domain::ids::OperationId;
use florin_domain::payment::Command;
use florin_domain::provider::{Outcome, ProviderReference};
use ractor::{ActorId, ActorProcessingErr};

/// What came back about an attempt.
#[derive(Debug)]
pub enum Report {
    /// From making the object.
    Prepared(Result<ProviderReference, Outcome>),
    /// From anything else.
    Outcome {
        /// What was asked.
        ask: Ask,
        /// The answer.
        outcome: Outcome,
    },
    /// Nothing was asked.
    TurnedAway {
        /// What would have been asked.
        ask: Ask,
        /// Why not.
        away: Away,
    },
}

/// Counts a message that was meant for an earlier incarnation, and is dropped.
pub(crate) fn count_stale(what: &'static str) {
    metrics::counter!("florin_stale_messages_total", "message" => what).increment(1);
}

impl PaymentState {
    /// A report about an attempt.
    pub(super) fn heard(
        &mut self,
        asked_by: ActorId,
        (operation, number): (OperationId, u32),
        report: Report,
    ) -> Result<(), ActorProcessingErr> {
        if asked_by == self.incarnation {
            return self.reported(operation, number, report);
        }
        let command = match report {
            Report::Prepared(Ok(reference)) => Command::Reference {
                operation,
                number,
                reference,
            },
            Report::Outcome { outcome, .. } if self.is_older_than_end((operation, number), &outcome) => {
                count_stale("report");
                return Ok(());
            }
            Report::Outcome { outcome, .. } if matches!(outcome, Outcome::Succeeded { .. }) => {
                // It may be older than a closing that this incarnation has asked for.
                Command::Hear {
                    operation,
                    number,
                    reversal: self.reversal(operation, number, &outcome),
                    outcome,
                }
            }
            Report::Prepared(Err(_)) | Report::Outcome { .. } | Report::TurnedAway { .. } => {
                count_stale("report");
                return Ok(());
            }
        };
        self.decide(None, command)?;
        self.answer();
        Ok(())
    }

    /// The time of a repetition has come.
    pub(super) fn retry(&mut self, asked_by: ActorId, (operation, number): (OperationId, u32)) {
        if asked_by != self.incarnation {
            count_stale("retry");
            return;
        }
        let drive = self.drive(operation);
        drive.retries = drive.retries.saturating_sub(1);
        self.call_again(operation, number);
    }
}
