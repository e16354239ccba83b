//! The guardian of a shard's webhook endpoints: one actor for each, brought back with growing waits when it fails. One that fails again and
//! again is brought back slowly and touches no other.

use crate::ending::EndsChildren;
use crate::restart::{RestartLog, Verdict};
use florin_actors::context::{Context, Step};
use florin_actors::kind::Kind;
use florin_actors::mailbox::{Caps, Envelope, Mailbox};
use florin_actors::reply::tell;
use florin_actors::webhook_endpoint::{
    EndpointArguments, EndpointMail, LiveEndpoint, WebhookEndpoint, WebhookGuardianMail,
};
use florin_domain::ids::EndpointId;
use florin_domain::ports::EndpointError;
use florin_domain::webhook::deliveries::SENT_MAX;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What an endpoint's mailbox takes: a report of each delivery in both lanes, what is read and noted, ticks and changes.
pub(crate) const ENDPOINT_CAPS: Caps = Caps {
    soft: 4 * SENT_MAX,
    hard: 4 * SENT_MAX,
};
/// The list of endpoints is asked for again after this.
const LIST_WAIT: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Child {
    mailbox: Mailbox<EndpointMail>,
    is_up: bool,
    log: RestartLog,
    born: Instant,
}

/// The guardian's state.
#[derive(Debug)]
pub struct WebhookGuardianState {
    context: Arc<Context>,
    /// This incarnation.
    id: ActorId,
    children: BTreeMap<EndpointId, Child>,
    actors: HashMap<ActorId, EndpointId>,
}

/// The guardian of webhook endpoints.
#[derive(Clone, Copy, Debug)]
pub struct WebhookGuardian;

impl Actor for WebhookGuardian {
    type Msg = Envelope<WebhookGuardianMail>;
    type State = WebhookGuardianState;
    type Arguments = Arc<Context>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        context: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let id = myself.get_id();
        // Attached before the list is read: what is made from now on is told of here.
        context.webhooks.attach(myself);
        list(&context, id, Duration::ZERO);
        Ok(WebhookGuardianState {
            context,
            id,
            children: BTreeMap::new(),
            actors: HashMap::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (mail, _slot) = envelope.open();
        let ending = EndsChildren::of(myself.get_cell());
        state.context.ports.probe.reached(Step::WebhookGuarding);
        match mail {
            WebhookGuardianMail::Found(id, Ok(endpoints)) if id == state.id => {
                for endpoint in endpoints {
                    if !state.children.contains_key(&endpoint) {
                        state.bring_up(&myself, endpoint).await;
                    }
                }
            }
            WebhookGuardianMail::Found(id, Err(error)) if id == state.id => {
                tracing::warn!(%error, "the webhook endpoints cannot be read yet");
                list(&state.context, id, LIST_WAIT);
            }
            WebhookGuardianMail::Found(..) => {}
            WebhookGuardianMail::Changed(endpoint) => match state.children.get(&endpoint) {
                Some(child) if child.is_up => child.mailbox.step(EndpointMail::Changed),
                // It reads what it is when it comes back.
                Some(_) => {}
                None => state.bring_up(&myself, endpoint).await,
            },
            WebhookGuardianMail::Respawn(endpoint) => {
                if state.children.get(&endpoint).is_some_and(|child| !child.is_up) {
                    state.bring_up(&myself, endpoint).await;
                }
            }
            WebhookGuardianMail::Live { limit, reply } => tell(reply, state.live(limit)),
            WebhookGuardianMail::Kill { endpoint, reply } => tell(reply, state.kill(endpoint)),
        }
        ending.disarm();
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let ending = EndsChildren::of(myself.get_cell());
        match event {
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
            SupervisionEvent::ActorTerminated(cell, _, reason) => {
                let killed = reason.as_deref() == Some("killed");
                state.ended(cell.get_id(), killed.then_some("killed"));
            }
            SupervisionEvent::ActorFailed(cell, error) => {
                state.ended(cell.get_id(), Some(&error.to_string()));
            }
        }
        ending.disarm();
        Ok(())
    }
}

/// Has the endpoints of the shard listed, after a while.
fn list(context: &Arc<Context>, id: ActorId, wait: Duration) {
    let Some(webhooks) = &context.ports.webhooks else {
        return;
    };
    let (book, context) = (Arc::clone(&webhooks.book), Arc::clone(context));
    tokio::spawn(async move {
        tokio::time::sleep(wait).await;
        let shard = context.shard;
        // In a task of its own, so that a panic of the store is an answer as well.
        let listed = tokio::spawn(async move { book.endpoints(shard).await }).await;
        let listed = listed.unwrap_or_else(|error| Err(EndpointError::Store(error.to_string())));
        context.webhooks.step(WebhookGuardianMail::Found(id, listed));
    });
}

impl WebhookGuardianState {
    async fn bring_up(&mut self, myself: &ActorRef<Envelope<WebhookGuardianMail>>, id: EndpointId) {
        let Some(webhooks) = self.context.ports.webhooks.clone() else {
            return;
        };
        let stats = self.context.figures.kind(Kind::WebhookEndpoint);
        let child = self.children.entry(id).or_insert_with(|| Child {
            mailbox: Mailbox::new(ENDPOINT_CAPS, Arc::clone(stats)),
            is_up: false,
            log: RestartLog::default(),
            born: Instant::now(),
        });
        let arguments = EndpointArguments {
            context: Arc::clone(&self.context),
            webhooks,
            id,
            mailbox: child.mailbox.clone(),
        };
        match Actor::spawn_linked(None, WebhookEndpoint, arguments, myself.get_cell()).await {
            Ok((actor, _)) => {
                (child.is_up, child.born) = (true, Instant::now());
                self.actors.insert(actor.get_id(), id);
            }
            Err(error) => self.failed(id, &error.to_string()),
        }
    }

    fn ended(&mut self, actor: ActorId, failure: Option<&str>) {
        let Some(id) = self.actors.remove(&actor) else {
            return;
        };
        match failure {
            // It was deleted, and its id is never given again.
            None => {
                self.children.remove(&id);
            }
            Some(why) => self.failed(id, why),
        }
    }

    fn failed(&mut self, id: EndpointId, why: &str) {
        self.context.figures.kind(Kind::WebhookEndpoint).count_restart();
        let policy = self.context.options.payment_restarts;
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        child.is_up = false;
        let random = self.context.ports.entropy.next_u64();
        let wait = match child.log.failed(&policy, Instant::now(), random) {
            Verdict::RestartAfter(wait) => wait,
            // Nothing waits for it, and what it has to send is not lost: it is tried again for ever, slowly.
            Verdict::GiveUp => {
                metrics::counter!("florin_alerts_total", "alert" => "webhook_endpoint_fails").increment(1);
                policy.window.max(policy.backoff_max)
            }
        };
        tracing::warn!(endpoint = %id, why, ?wait, "a webhook endpoint's actor failed and is restarted");
        let mailbox = self.context.webhooks.clone();
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            mailbox.step(WebhookGuardianMail::Respawn(id));
        });
    }

    fn kill(&self, id: EndpointId) -> bool {
        let child = self.children.get(&id).filter(|child| child.is_up);
        let actor = child.and_then(|child| child.mailbox.actor());
        if let Some(actor) = &actor {
            actor.kill();
        }
        actor.is_some()
    }

    fn live(&mut self, limit: usize) -> Vec<LiveEndpoint> {
        let (policy, now) = (self.context.options.payment_restarts, Instant::now());
        let live = |(endpoint, child): (&EndpointId, &mut Child)| LiveEndpoint {
            endpoint: *endpoint,
            depth: child.mailbox.gate().depth(),
            failures: child.log.count(&policy, now),
            is_up: child.is_up,
            age_ms: u64::try_from(child.born.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        self.children.iter_mut().take(limit).map(live).collect()
    }
}
