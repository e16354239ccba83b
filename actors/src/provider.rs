//! One provider: at most so many requests under way, the rest wait in order; a circuit breaker before each kind of operation, and
//! what its last minutes were like. The calls themselves run in tasks that report to the payment. What waits is bounded: a payment
//! waits in at most one queue, and beyond as many calls as operations may be in flight a call comes back as not sent. Questions about
//! what is already under way pass no breaker and have a few permits of their own: a provider that is drowned in new charges, or gets
//! none, still says what became of the old ones. Retries within a request live on a budget, a share of the other calls (R9). What a
//! customer brings back from a challenge charges, so it waits among the charges and counts as one; an open breaker lets it pass.

mod call;
mod line;
mod seat;
mod standing;

pub use call::{Ask, Call};
pub use line::Line;
pub use seat::{Promise, ProviderSeat};
pub use standing::{Away, Ended, Standing};

use crate::context::{Context, Step};
use crate::mailbox::Envelope;
use crate::payment::Report;
use crate::ticks::keep_ticking;
use florin_domain::breaker::{BreakerState, Pass};
use florin_domain::health::{CallResult, Charger, KeyPass, KeyVerdict};
use florin_domain::ports::{AttemptRequest, Provider};
use florin_domain::provider::{Hindrance, Outcome, ProviderId};
use florin_domain::time::Millis;
use florin_domain::time::Timestamp;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef};
use standing::Books;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// One permit in so many is set aside for questions about what is already under way.
const RESOLVING_SHARE: usize = 10;

/// Why nothing is known of a call that never ended.
const CALL_GIVEN_UP: &str = "provider_call_given_up";

/// What the provider's actor is told.
#[derive(Debug)]
pub enum ProviderMail {
    /// Make a request when there is a permit.
    Call(Box<Call>),
    /// A permit came back, with what its call says of the provider.
    Finished(Option<Box<Ended>>),
    /// Look at the clock: windows slide and breakers let go while nobody calls.
    Tick,
}

/// The actor's state.
#[derive(Debug)]
pub struct ProviderState {
    context: Arc<Context>,
    /// Which incarnation this is: its books know nothing of calls that an earlier one let through.
    incarnation: ActorId,
    seat: Arc<ProviderSeat>,
    books: Books,
    waiting: VecDeque<Call>,
    /// Questions that wait.
    resolving: VecDeque<Call>,
}

/// A permit; dropping it gives it back, also when the call's task dies.
struct Permit {
    seat: Arc<ProviderSeat>,
    incarnation: ActorId,
    /// The line of a call that does something, and its passes if a breaker let it through; nothing for a question.
    admitted: Option<(Line, Option<Pass>, KeyPass)>,
    result: CallResult,
    key: KeyVerdict,
    charger: Option<Charger>,
    took_ms: u64,
}

impl Permit {
    fn count(&self) -> &AtomicUsize {
        match self.admitted {
            Some(_) => &self.seat.in_flight,
            None => &self.seat.resolving,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.count().fetch_sub(1, Ordering::SeqCst);
        let (result, took_ms) = (self.result, self.took_ms);
        let incarnation = self.incarnation;
        let ended = self.admitted.map(|(line, pass, key_pass)| {
            Box::new(Ended {
                incarnation,
                line,
                pass,
                result,
                took_ms,
                key: (key_pass, self.key),
                charger: self.charger,
            })
        });
        self.seat.mailbox.step(ProviderMail::Finished(ended));
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
        myself: ActorRef<Self::Msg>,
        (context, id): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let seat = Arc::clone(context.provider(id).ok_or("no such provider")?);
        let incarnation = myself.get_id();
        keep_ticking(
            myself,
            seat.mailbox.clone(),
            context.options.ticks.providers,
            || ProviderMail::Tick,
        );
        let books = Books::new(id, seat.terms);
        // Which keys are not taken is found out anew.
        let now = context.ports.clock.now();
        for stop in seat.standing.load().stopped_keys.stops(now) {
            books.show_key(stop, false);
        }
        let mut state = ProviderState {
            books,
            context,
            incarnation,
            seat,
            waiting: VecDeque::new(),
            resolving: VecDeque::new(),
        };
        state.publish();
        Ok(state)
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
                state.queue(*call);
                state.context.ports.probe.reached(Step::ProviderQueued);
            }
            ProviderMail::Finished(ended) => {
                if let Some(ended) = ended.filter(|ended| ended.is_of(state.incarnation)) {
                    let now = state.context.ports.clock.now();
                    state.books.ended(&ended, &state.context.options, now);
                    state.publish();
                }
                state.context.ports.probe.reached(Step::ProviderFinished);
            }
            ProviderMail::Tick => {
                let now = state.context.ports.clock.now();
                state.books.look_at_keys(&state.context.options, now);
                state.publish();
            }
        }
        state.start_waiting();
        Ok(())
    }
}

impl ProviderState {
    fn publish(&mut self) {
        let now = self.context.ports.clock.now();
        let standing = self.books.standing(&self.context.options, now);
        self.seat.standing.store(Arc::new(standing));
    }

    /// Whose key a new charge carries, where that decides whether it may go.
    fn key_of(&self, call: &Call) -> Option<Charger> {
        if call.line != Line::Charge || self.books.takes_all_keys() {
            return None;
        }
        charger(&*self.seat.port, call.request.as_ref()?)
    }

    /// Why a call is not let through now.
    fn bar(&self, call: &Call, now: Timestamp) -> Option<Away> {
        let bar = self.books.bar(call.line, self.key_of(call), now);
        bar.filter(|_| !call.ask.passes_breakers())
    }

    fn queue(&mut self, call: Call) {
        let now = self.context.ports.clock.now();
        let queue = if call.resolves {
            &mut self.resolving
        } else if let Some(away) = self.bar(&call, now) {
            self.turn_away(call, away);
            return;
        } else if !self
            .books
            .affords(call.is_retry, self.context.options.retry.budget, now)
        {
            self.turn_away(call, Away::BudgetUsedUp);
            return;
        } else {
            &mut self.waiting
        };
        // A caller that was answered at its budget leaves its call behind, so admission alone does not bound this queue. At the
        // bound the call is dropped, which reports that it was not sent.
        if queue.len() < self.context.options.admission.in_flight_max {
            queue.push_back(call);
        } else {
            drop(call);
        }
    }

    /// Fails fast.
    fn turn_away(&self, call: Call, away: Away) {
        let (provider, operation) = (self.seat.id.to_string(), call.line.as_str());
        let name = match away {
            Away::BreakerOpen | Away::KeyRefused | Away::KeyLimited => "florin_provider_turned_away_total",
            Away::BudgetUsedUp => "florin_provider_retries_refused_total",
        };
        metrics::counter!(name, "provider" => provider, "operation" => operation).increment(1);
        self.context.ports.probe.reached(Step::ProviderTurnedAway);
        let ask = call.ask;
        call.report(Report::TurnedAway { ask, away });
    }

    fn start_waiting(&mut self) {
        let permits = self.seat.terms.caps.permits;
        self.seat.waiting.store(self.waiting.len(), Ordering::SeqCst);
        while self.seat.in_flight.load(Ordering::SeqCst) < permits {
            let Some(call) = self.waiting.pop_front() else {
                break;
            };
            self.seat.waiting.store(self.waiting.len(), Ordering::SeqCst);
            let now = self.context.ports.clock.now();
            let is_probe = matches!(self.books.state(call.line, now), BreakerState::HalfOpen { .. });
            let passes = match self.books.admit(call.line, self.key_of(&call), now) {
                Ok((pass, key_pass)) => (Some(pass), key_pass),
                Err(_) if call.ask.passes_breakers() => (None, KeyPass::FREE),
                Err(away) => {
                    self.turn_away(call, away);
                    continue;
                }
            };
            if is_probe && passes.0.is_some() || passes.1 != KeyPass::FREE {
                // Routing must know at once that no second one goes.
                self.publish();
                self.context.ports.probe.reached(Step::ProviderProbing);
            }
            self.start(call, Some(passes));
        }
        while self.seat.resolving.load(Ordering::SeqCst) < (permits / RESOLVING_SHARE).max(1) {
            let Some(call) = self.resolving.pop_front() else {
                break;
            };
            self.start(call, None);
        }
    }

    fn start(&self, call: Call, passes: Option<(Option<Pass>, KeyPass)>) {
        // Noted now: whoever asks when it has ended may find another key in force, or miss what was said of this one meanwhile.
        let is_let_through = call.line == Line::Charge && passes.is_some();
        let request = call.request.as_ref().filter(|_| is_let_through);
        let charger = request.and_then(|request| charger(&*self.seat.port, request));
        let permit = Permit {
            seat: Arc::clone(&self.seat),
            incarnation: self.incarnation,
            admitted: passes.map(|(pass, key_pass)| (call.line, pass, key_pass)),
            result: CallResult::NotCounted,
            key: KeyVerdict::Silent,
            charger,
            took_ms: 0,
        };
        permit.count().fetch_add(1, Ordering::SeqCst);
        tokio::spawn(run(Arc::clone(&self.context), call, permit));
    }
}

/// Whose charge it is, and under whose key, if that is settled.
fn charger(port: &dyn Provider, request: &AttemptRequest) -> Option<Charger> {
    let merchant = request.merchant;
    let key = port.key_owner(merchant, request.made_at)?;
    Some(Charger { merchant, key })
}

async fn run(context: Arc<Context>, mut call: Call, mut permit: Permit) {
    let port = Arc::clone(&permit.seat.port);
    let Some(request) = call.request.take() else {
        return;
    };
    call.started = true;
    let began = Instant::now();
    let asked = ask(&*port, call.ask, &request);
    let limit = Duration::from_millis(port.capabilities().given_up_after().0);
    let report = match tokio::time::timeout(limit, asked).await {
        Ok(report) => report,
        Err(_) => give_up(permit.seat.id, call.ask, &request),
    };
    let took = began.elapsed();
    context.figures.provider_seconds.record(took.as_secs_f64());
    permit.took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let time_limit = port.capabilities().time_limit;
    (permit.result, permit.key) = match &report {
        // Making the object is no charge: were it counted, it would hide that none is confirmed. Its key is taken, though.
        Report::Prepared(Ok(_)) => (CallResult::NotCounted, KeyVerdict::TakenToPrepare),
        Report::TurnedAway { .. } => (CallResult::NotCounted, KeyVerdict::Silent),
        Report::Prepared(Err(outcome)) | Report::Outcome { outcome, .. } => {
            tell_of_unusable(permit.seat.id, &request, outcome);
            let result = CallResult::of(outcome, Millis(permit.took_ms), time_limit);
            let is_asked_for = matches!(outcome, Outcome::RateLimited { .. } | Outcome::Rejected { .. })
                || !permit.seat.standing.load().stopped_keys.is_empty();
            if is_asked_for && permit.charger.is_none() {
                permit.charger = charger(&*port, &request);
            }
            match KeyVerdict::of(outcome, permit.charger.map(|charger| charger.key)) {
                // How much one merchant may ask for says nothing of how the provider is for all others.
                limited @ KeyVerdict::Limited(_) => (CallResult::NotCounted, limited),
                verdict => (result, verdict),
            }
        }
    };
    call.report(report);
    drop(permit);
}

async fn ask(port: &dyn Provider, ask: Ask, request: &AttemptRequest) -> Report {
    let outcome = match ask {
        Ask::Prepare => return Report::Prepared(port.prepare(request).await),
        Ask::Execute => port.execute(request).await,
        Ask::Query | Ask::Complete => port.query(request).await,
        Ask::Cancel => port.cancel(request).await,
    };
    Report::Outcome { ask, outcome }
}

/// What is reported of a call that does not end. It may have been made, so nothing is known; and the permit is not lost with it.
fn give_up(provider: ProviderId, ask: Ask, request: &AttemptRequest) -> Report {
    metrics::counter!("florin_provider_calls_given_up_total", "provider" => provider.to_string())
        .increment(1);
    let (payment, operation) = (request.payment, request.kind.as_str());
    tracing::error!(%provider, %payment, operation, ?ask, "a call of a provider did not end, long after its time limit, and was given up");
    let outcome = Outcome::Unknown {
        reason: Arc::from(CALL_GIVEN_UP),
        reference: None,
    };
    match ask {
        Ask::Prepare => Report::Prepared(Err(outcome)),
        Ask::Execute | Ask::Query | Ask::Cancel | Ask::Complete => Report::Outcome { ask, outcome },
    }
}

/// What belongs to a payment whose merchant has no credentials for it any more is sent nowhere else: somebody must see to it.
fn tell_of_unusable(provider: ProviderId, request: &AttemptRequest, outcome: &Outcome) {
    if let Outcome::NotSent {
        reason,
        hindrance: Hindrance::Credentials,
    } = outcome
    {
        metrics::counter!("florin_alerts_total", "alert" => "credentials_unusable").increment(1);
        let (merchant, payment, operation) = (request.merchant, request.payment, request.kind.as_str());
        tracing::error!(%provider, %merchant, %payment, operation, %reason, "a request could not be sent under its merchant's credentials, and is sent under no others");
    }
}
