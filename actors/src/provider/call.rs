//! What is asked of a provider, with the payment that waits for the answer.

use super::line::Line;
use crate::mailbox::Mailbox;
use crate::payment::{PaymentMail, Report};
use florin_domain::ids::OperationId;
use florin_domain::ports::AttemptRequest;
use florin_domain::provider::Outcome;
use ractor::ActorId;
use std::sync::Arc;

/// What to ask of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Make the object that will be confirmed.
    Prepare,
    /// Do it.
    Execute,
    /// What became of it?
    Query,
    /// Close it.
    Cancel,
    /// Charge, with what the customer brought back from a challenge.
    Complete,
}

impl Ask {
    /// It finds out or closes what is already under way: nothing new comes of it.
    const fn resolves(self) -> bool {
        match self {
            Self::Prepare | Self::Execute | Self::Complete => false,
            Self::Query | Self::Cancel => true,
        }
    }

    /// No breaker turns it away. A customer who has passed a challenge cannot pass it again, and one that the provider does not answer
    /// stays open: nothing is lost by trying.
    pub(super) const fn passes_breakers(self) -> bool {
        match self {
            Self::Prepare | Self::Execute => false,
            Self::Query | Self::Cancel | Self::Complete => true,
        }
    }
}

/// A request with the payment that waits for it. Dropped unanswered (an actor or its task died), it reports an unknown outcome.
#[derive(Debug)]
pub struct Call {
    pub(super) ask: Ask,
    operation: OperationId,
    number: u32,
    pub(super) line: Line,
    pub(super) request: Option<AttemptRequest>,
    payment: Option<Mailbox<PaymentMail>>,
    /// Which incarnation of the payment asks.
    asked_by: ActorId,
    pub(super) started: bool,
    /// It finds out or closes what is already under way. No breaker stands before that: it is what ends doubts.
    pub(super) resolves: bool,
    /// It repeats, within the same request, what came back without an answer.
    pub(super) is_retry: bool,
}

impl Call {
    /// Asks `ask` about an attempt for an incarnation of a payment.
    pub fn new(
        ask: Ask,
        (operation, number): (OperationId, u32),
        request: AttemptRequest,
        (payment, asked_by): (Mailbox<PaymentMail>, ActorId),
    ) -> Self {
        Self {
            ask,
            operation,
            number,
            line: Line::of(request.kind),
            request: Some(request),
            payment: Some(payment),
            asked_by,
            started: false,
            resolves: ask.resolves(),
            is_retry: false,
        }
    }

    /// Repeats an attempt whose outcome is unknown, to learn it.
    #[must_use]
    pub const fn to_resolve(mut self) -> Self {
        self.resolves = true;
        self
    }

    /// Repeats what was asked within the same request, so that it lives on the budget of retries.
    #[must_use]
    pub const fn again(mut self) -> Self {
        self.is_retry = true;
        self
    }

    pub(super) fn report(mut self, report: Report) {
        self.send(report);
    }

    fn send(&mut self, report: Report) {
        if let Some(payment) = self.payment.take() {
            let (operation, number) = (self.operation, self.number);
            payment.step(PaymentMail::Reported {
                operation,
                number,
                asked_by: self.asked_by,
                report,
            });
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.payment.is_some() {
            let reason: Arc<str> = Arc::from("the call was lost inside this process");
            let outcome = match (self.started, self.ask) {
                (false, _) | (true, Ask::Prepare) => Outcome::not_sent(reason),
                (true, Ask::Execute | Ask::Query | Ask::Cancel | Ask::Complete) => Outcome::Unknown {
                    reason,
                    reference: None,
                },
            };
            self.send(Report::Outcome {
                ask: self.ask,
                outcome,
            });
        }
    }
}
