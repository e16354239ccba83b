//! Owns merchants' own servers and what is kept of what they were sent. They fail now and then, and what they have taken may be answered too
//! late to be heard. Each payment's announcements arrive for the first time in their order, never before they are durable, and in the end all
//! of them do, but for those that wait for another try.

use crate::clock::lock;
use crate::dice::Dice;
use crate::fault::{Fault, Scenario};
use crate::life::Run;
use crate::shop::{MERCHANTS, merchant};
use crate::world::World;
use florin_actors::context::Webhooks;
use florin_actors::webhooks_handle::WebhooksHandle;
use florin_adapters::webhooks::MemoryEndpoints;
use florin_domain::announcement::EventPlace;
use florin_domain::ids::{EndpointId, EventId, MerchantId, PaymentId, ShardId};
use florin_domain::ports::{
    BoxFuture, Clock, Delivery, DeliveryBook, DeliveryEnd, EndpointError, EventBodies, ShownEvent,
    WebhookClient, WebhookSigner,
};
use florin_domain::time::Timestamp;
use florin_domain::vault::Owner;
use florin_domain::webhook::{
    Endpoint, EndpointChange, EndpointStatus, EventShape, KeptEndpoint, Noted, Parked, Progress,
    SigningSecret, WantedEvents, schedule,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// In so many seeds of 10,000 merchants have servers of their own.
const TOLD: u64 = 2_500;

/// What arrived of one payment: the id of each announcement, by its number, and how often each was sent.
#[derive(Debug, Default)]
struct Arrived {
    ids: Vec<String>,
    sent: BTreeMap<u64, usize>,
}

/// Merchants' servers, and the store of what they were sent; both outlive the processes.
#[derive(Debug)]
pub(crate) struct Receivers {
    world: Arc<World>,
    store: Arc<MemoryEndpoints>,
    arrived: Mutex<BTreeMap<PaymentId, Arrived>>,
}

impl Receivers {
    /// Those of a seed, if merchants have any in it.
    pub(crate) fn of(world: &Arc<World>) -> Option<Arc<Self>> {
        let is_told = Dice::new(world.seed, "webhook").hits(TOLD) && world.scenario != Scenario::Failover;
        let receivers = || Self {
            world: Arc::clone(world),
            store: Arc::new(MemoryEndpoints::new(Arc::clone(&world.clock) as _)),
            arrived: Mutex::default(),
        };
        is_told.then(|| Arc::new(receivers()))
    }

    pub(crate) fn ports(self: &Arc<Self>) -> Webhooks {
        Webhooks {
            endpoints: Arc::clone(&self.store) as _,
            book: Arc::clone(self) as _,
            client: Arc::clone(self) as _,
            signer: Arc::new(Unsigned),
            bodies: Arc::new(Short),
        }
    }

    /// Something of a payment arrives: its number and id.
    fn arrives(&self, payment: PaymentId, number: u64, id: &str) {
        let durable = {
            let journaled = lock(&self.world.journaled);
            let latest = journaled
                .payments
                .get(&payment)
                .and_then(|history| history.states.last());
            latest.map_or(0, |payment| payment.announced)
        };
        if number > durable {
            let told = format!("{id} tells number {number} of {payment}, of which {durable} are durable");
            self.world.breach(told);
        }
        let mut all = lock(&self.arrived);
        let arrived = all.entry(payment).or_default();
        let place = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        match arrived.ids.get(place) {
            Some(before) if before == id => {}
            Some(before) => self
                .world
                .breach(format!("number {number} of {payment} is {before}, and then {id}")),
            None if place == arrived.ids.len() => arrived.ids.push(id.to_owned()),
            None => self.world.breach(format!(
                "{id}, number {number} of {payment}, arrives before others of it"
            )),
        }
    }
}

/// An announcement as its payment, its number and its id.
#[derive(Debug)]
struct Short;

impl EventBodies for Short {
    fn body(&self, event: &ShownEvent, _: EventShape) -> Option<Vec<u8>> {
        let row = &event.row;
        Some(format!("{} {} {}", row.payment, row.number, event.id).into_bytes())
    }
}

#[derive(Debug)]
struct Unsigned;

impl WebhookSigner for Unsigned {
    fn new_secret(&self) -> Option<SigningSecret> {
        None
    }

    fn sign(&self, _: &[&SigningSecret], _: EventId, _: Timestamp, _: &[u8]) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

fn read(body: &[u8]) -> Option<(PaymentId, u64, &str)> {
    let mut words = str::from_utf8(body).ok()?.split(' ');
    let payment = PaymentId::parse(words.next()?).ok()?;
    Some((payment, words.next()?.parse().ok()?, words.next()?))
}

const SILENCE: Duration = Duration::from_secs(20);

fn unanswered() -> DeliveryEnd {
    DeliveryEnd::Unanswered {
        why: Arc::from("no answer in time"),
    }
}

impl WebhookClient for Receivers {
    fn post(&self, delivery: Delivery) -> BoxFuture<'_, DeliveryEnd> {
        Box::pin(async move {
            let world = &self.world;
            let way_ms = world.chance(Fault::WebhookLost, |dice| dice.within(1, 200));
            tokio::time::sleep(Duration::from_millis(way_ms)).await;
            world.alive().await;
            let Some((payment, number, id)) = read(&delivery.body) else {
                world.breach("a webhook cannot be read".to_owned());
                return unanswered();
            };
            let sent = {
                let mut all = lock(&self.arrived);
                let sent = all.entry(payment).or_default().sent.entry(number).or_default();
                *sent += 1;
                *sent
            };
            world.note(format_args!("webhook {id}, {sent}."));
            if world.hits(Fault::WebhookLost) {
                tokio::time::sleep(SILENCE).await;
                return unanswered();
            }
            self.arrives(payment, number, id);
            if world.hits(Fault::WebhookUnheard) {
                tokio::time::sleep(SILENCE).await;
                return unanswered();
            }
            let status = if world.hits(Fault::WebhookRefused) {
                503
            } else {
                200
            };
            DeliveryEnd::Answered {
                status,
                retry_after: None,
            }
        })
    }
}

/// The store, which fails now and then, and hears nothing of a process that has ended.
impl DeliveryBook for Receivers {
    fn endpoints(&self, shard: ShardId) -> BoxFuture<'_, Result<Vec<EndpointId>, EndpointError>> {
        Box::pin(async move {
            self.fails().await?;
            self.store.endpoints(shard).await
        })
    }

    fn open(&self, id: EndpointId) -> BoxFuture<'_, Result<Option<(KeptEndpoint, Progress)>, EndpointError>> {
        Box::pin(async move {
            self.fails().await?;
            self.store.open(id).await
        })
    }

    fn note(&self, noted: Noted) -> BoxFuture<'_, Result<(), EndpointError>> {
        Box::pin(async move {
            self.fails().await?;
            self.store.note(noted).await
        })
    }
}

impl Receivers {
    async fn fails(&self) -> Result<(), EndpointError> {
        self.world.alive().await;
        let ms = self.world.chance(Fault::BookFails, |dice| dice.below(20));
        tokio::time::sleep(Duration::from_millis(ms)).await;
        self.world.alive().await;
        if self.world.hits(Fault::BookFails) {
            return Err(EndpointError::Store("an input/output error".to_owned()));
        }
        Ok(())
    }

    fn owner(&self, number: u64) -> Owner {
        Owner {
            merchant: merchant(number, self.world.shards),
            livemode: false,
        }
    }

    /// Every merchant names its server, unless an earlier process has taken it.
    pub(crate) async fn register(&self, webhooks: &WebhooksHandle) {
        for number in 0..MERCHANTS {
            let owner = self.owner(number);
            let id = endpoint_of(owner.merchant);
            if let Ok(None) = webhooks.get(owner, id).await {
                let endpoint = Endpoint {
                    id,
                    owner,
                    created_at: self.world.clock.now(),
                    url: Arc::from("https://merchant.example"),
                    wanted: WantedEvents::read(vec![Arc::from("*")]).expect("all there is"),
                    shape: EventShape::Native,
                    status: EndpointStatus::Enabled,
                    description: None,
                    metadata: Vec::new(),
                };
                let change = EndpointChange::Create {
                    endpoint,
                    secret: SigningSecret("whsec_simulated".to_owned().into()),
                    behind: EventPlace::START,
                };
                if let Err(error) = webhooks.change(owner, change, None).await {
                    self.world
                        .breach(format!("a webhook endpoint cannot be made: {error}"));
                }
            }
        }
    }
}

/// The same in all lives.
fn endpoint_of(merchant: MerchantId) -> EndpointId {
    EndpointId::from_bits(merchant.bits())
}

/// What has just happened is on its way for so long.
const ON_ITS_WAY: Duration = Duration::from_mins(2);

impl Run {
    /// Every merchant was sent all of its announcements, but for those that wait for another try.
    pub(crate) async fn check_receivers(&self) {
        let Some(receivers) = &self.receivers else { return };
        let until = Instant::now() + ON_ITS_WAY;
        let mut missing = self.not_arrived(receivers).await;
        while !missing.is_empty() && Instant::now() < until {
            tokio::time::sleep(Duration::from_secs(1)).await;
            missing = self.not_arrived(receivers).await;
        }
        for what in missing {
            self.world.breach(what);
        }
    }

    async fn not_arrived(&self, receivers: &Receivers) -> Vec<String> {
        let mut missing = Vec::new();
        for number in 0..MERCHANTS {
            let owner = receivers.owner(number);
            match receivers.store.open(endpoint_of(owner.merchant)).await {
                Ok(Some((kept, progress))) if kept.endpoint.status == EndpointStatus::Enabled => {
                    let parked = progress.parked.into_iter().collect();
                    missing.extend(self.not_arrived_at(receivers, owner.merchant, &parked));
                }
                // Nothing has arrived for three days, which is what it is disabled for.
                Ok(Some(_)) => {}
                other => missing.push(format!("the webhook endpoint of {} is {other:?}", owner.merchant)),
            }
        }
        missing
    }

    fn not_arrived_at(
        &self,
        receivers: &Receivers,
        merchant: MerchantId,
        parked: &BTreeMap<PaymentId, Parked>,
    ) -> Vec<String> {
        let arrived = lock(&receivers.arrived);
        let mut missing = Vec::new();
        for (id, history) in &lock(&self.world.journaled).payments {
            let latest = history.states.last();
            let Some(latest) = latest.filter(|latest| latest.spec.merchant == merchant) else {
                continue;
            };
            let parked = parked.get(id);
            let due = parked.map_or(latest.announced, |parked| parked.next.saturating_sub(1));
            let own = arrived.get(id);
            let has = own.map_or(0, |own| own.ids.len() as u64);
            // What was sent as often as it may be is given up.
            let next = own.and_then(|own| own.sent.get(&has.saturating_add(1)));
            let is_given_up = next.is_some_and(|sent| *sent > schedule::WAITS.len());
            if has < due && !is_given_up {
                missing.push(format!("of {id} {has} of {due} announcements have arrived"));
            }
        }
        missing
    }
}
