//! One provider's permits: at most so many requests under way, the rest wait in order. The calls themselves run in tasks that
//! report to the payment. What waits is bounded: a payment waits in at most one queue,
//! and beyond as many calls as operations may be in flight a call comes back as not sent.

use crate::context::{Context, ProviderSeat, Step};
use crate::mailbox::{Envelope, Mailbox};
use crate::payment::{PaymentMail, Report};
use florin_domain::ids::OperationId;
use florin_domain::ports::AttemptRequest;
use florin_domain::provider::{Outcome, ProviderId};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::Instant;

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
}

/// A request with the payment that waits for it. Dropped unanswered (an actor or its task died), it reports an unknown outcome.
#[derive(Debug)]
pub struct Call {
    ask: Ask,
    operation: OperationId,
    number: u32,
    request: Option<AttemptRequest>,
    payment: Option<Mailbox<PaymentMail>>,
    started: bool,
}

impl Call {
    /// Asks `ask` about an attempt for a payment.
    pub fn new(
        ask: Ask,
        (operation, number): (OperationId, u32),
        request: AttemptRequest,
        payment: Mailbox<PaymentMail>,
    ) -> Self {
        Self {
            ask,
            operation,
            number,
            request: Some(request),
            payment: Some(payment),
            started: false,
        }
    }

    fn report(mut self, report: Report) {
        self.send(report);
    }

    fn send(&mut self, report: Report) {
        if let Some(payment) = self.payment.take() {
            let (operation, number) = (self.operation, self.number);
            payment.step(PaymentMail::Reported {
                operation,
                number,
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
                (false, _) | (true, Ask::Prepare) => Outcome::NotSent { reason },
                (true, Ask::Execute | Ask::Query | Ask::Cancel) => Outcome::Unknown {
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

/// What the provider's actor is told.
#[derive(Debug)]
pub enum ProviderMail {
    /// Make a request when there is a permit.
    Call(Box<Call>),
    /// A permit came back.
    Finished,
}

/// The actor's state.
#[derive(Debug)]
pub struct ProviderState {
    context: Arc<Context>,
    seat: Arc<ProviderSeat>,
    waiting: VecDeque<Call>,
}

/// A permit; dropping it gives it back, also when the call's task dies.
struct Permit(Arc<ProviderSeat>);

impl Drop for Permit {
    fn drop(&mut self) {
        // Sequentially consistent, like the actor's side: either this sees the call that waits, or the actor sees the permit.
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
        if self.0.waiting.load(Ordering::SeqCst) > 0 {
            self.0.mailbox.step(ProviderMail::Finished);
        }
    }
}

/// The actor of one provider.
#[derive(Clone, Copy, Debug)]
pub struct ProviderActor;

impl Actor for ProviderActor {
    type Msg = Envelope<ProviderMail>;
    type State = ProviderState;
    type Arguments = (Arc<Context>, ProviderId);

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        (context, id): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let seat = Arc::clone(context.provider(id).ok_or("no such provider")?);
        Ok(ProviderState {
            context,
            seat,
            waiting: VecDeque::new(),
        })
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (mail, _slot) = envelope.open();
        match mail {
            ProviderMail::Call(call) => {
                // A caller that was answered at its budget leaves its call behind, so admission alone does not bound this queue. At the
                // bound the call is dropped, which reports that it was not sent.
                if state.waiting.len() < state.context.options.admission.in_flight_max {
                    state.waiting.push_back(*call);
                } else {
                    drop(call);
                }
                state.context.ports.probe.reached(Step::ProviderQueued);
            }
            ProviderMail::Finished => state.context.ports.probe.reached(Step::ProviderFinished),
        }
        state.start_waiting();
        Ok(())
    }
}

impl ProviderState {
    fn start_waiting(&mut self) {
        let permits = self.context.options.provider_caps.permits;
        self.seat.waiting.store(self.waiting.len(), Ordering::SeqCst);
        while self.seat.in_flight.load(Ordering::SeqCst) < permits {
            let Some(call) = self.waiting.pop_front() else {
                return;
            };
            self.seat.in_flight.fetch_add(1, Ordering::SeqCst);
            self.seat.waiting.store(self.waiting.len(), Ordering::SeqCst);
            let permit = Permit(Arc::clone(&self.seat));
            tokio::spawn(run(Arc::clone(&self.context), call, permit));
        }
    }
}

async fn run(context: Arc<Context>, mut call: Call, permit: Permit) {
    let port = &permit.0.port;
    let Some(request) = call.request.take() else {
        return;
    };
    call.started = true;
    let began = Instant::now();
    let report = match call.ask {
        Ask::Prepare => Report::Prepared(port.prepare(&request).await),
        Ask::Execute => Report::Outcome {
            ask: call.ask,
            outcome: port.execute(&request).await,
        },
        Ask::Query => Report::Outcome {
            ask: call.ask,
            outcome: port.query(&request).await,
        },
        Ask::Cancel => Report::Outcome {
            ask: call.ask,
            outcome: port.cancel(&request).await,
        },
    };
    context
        .figures
        .provider_seconds
        .record(began.elapsed().as_secs_f64());
    call.report(report);
    drop(permit);
}
