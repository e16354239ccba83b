//! What merchants' servers are sent: everything, each object's own in its order, whatever fails on the way or crashes; and nobody waits for
//! somebody else's server.

use crate::ports::lock;
use crate::provider::Scripted;
use crate::world::{World, answers, merchant, options, submit_all, until};
use florin_actors::context::{Step, Webhooks};
use florin_actors::kind::Kind;
use florin_actors::webhooks_handle::WebhooksHandle;
use florin_adapters::webhooks::MemoryEndpoints;
use florin_domain::announcement::EventPlace;
use florin_domain::ids::{EndpointId, EventId};
use florin_domain::ports::{
    BoxFuture, Clock, Delivery, DeliveryEnd, EventBodies, ShownEvent, WebhookClient, WebhookSigner,
};
use florin_domain::time::{Millis, Timestamp};
use florin_domain::vault::Owner;
use florin_domain::webhook::{
    Endpoint, EndpointChange, EndpointStatus, EventShape, Replay, SigningSecret, Then, WantedEvents,
    WhyDisabled,
};
use florin_supervisors::platform::Platform;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

const PAYMENTS: usize = 12;

/// Writes an announcement as its payment and number.
#[derive(Debug)]
struct Plain;

impl EventBodies for Plain {
    fn body(&self, event: &ShownEvent, shape: EventShape) -> Option<Vec<u8>> {
        let name = shape.name_of(event.row.kind);
        Some(format!("{} {} {name}", event.row.payment, event.row.number).into_bytes())
    }
}

/// Signs with the secret itself, so that a test sees which one it was.
#[derive(Debug)]
struct Shown;

impl WebhookSigner for Shown {
    fn new_secret(&self) -> Option<SigningSecret> {
        None
    }

    fn sign(
        &self,
        secrets: &[&SigningSecret],
        id: EventId,
        _at: Timestamp,
        _body: &[u8],
    ) -> Vec<(&'static str, String)> {
        let secrets: Vec<&str> = secrets.iter().map(|secret| secret.0.as_str()).collect();
        vec![
            ("webhook-id", id.to_string()),
            ("webhook-signature", secrets.join(" ")),
        ]
    }
}

type Answers = Arc<dyn Fn(&str, usize) -> Option<DeliveryEnd> + Send + Sync>;

/// Merchants' servers: what arrived, in order, and what they answer to the n-th delivery to an address. Nothing is no answer, ever.
struct Servers {
    answers: Answers,
    got: Mutex<Vec<Arrived>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Arrived {
    url: Arc<str>,
    id: String,
    signature: String,
    payment: String,
    number: u64,
    name: String,
    is_taken: bool,
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Servers").finish_non_exhaustive()
    }
}

pub(crate) fn answered(status: u16) -> DeliveryEnd {
    DeliveryEnd::Answered {
        status,
        retry_after: None,
    }
}

impl WebhookClient for Servers {
    fn post(&self, delivery: Delivery) -> BoxFuture<'_, DeliveryEnd> {
        let nth = lock(&self.got)
            .iter()
            .filter(|one| one.url == delivery.url)
            .count();
        let end = (self.answers)(&delivery.url, nth);
        let text = String::from_utf8(delivery.body).unwrap();
        let mut words = text.split(' ').map(str::to_owned);
        let header = |name| {
            delivery
                .headers
                .iter()
                .find(|one| one.0 == name)
                .unwrap()
                .1
                .clone()
        };
        lock(&self.got).push(Arrived {
            url: Arc::clone(&delivery.url),
            id: header("webhook-id"),
            signature: header("webhook-signature"),
            payment: words.next().unwrap(),
            number: words.next().unwrap().parse().unwrap(),
            name: words.next().unwrap(),
            is_taken: end == Some(answered(200)),
        });
        Box::pin(async move {
            match end {
                Some(end) => end,
                None => std::future::pending().await,
            }
        })
    }
}

pub(crate) struct Merchants {
    servers: Arc<Servers>,
    store: Arc<MemoryEndpoints>,
}

pub(crate) fn world(
    seed: u64,
    answers: impl Fn(&str, usize) -> Option<DeliveryEnd> + Send + Sync + 'static,
) -> (World, Merchants) {
    let mut world = World::with(seed, options(), Scripted::new(false, true));
    let servers = Arc::new(Servers {
        answers: Arc::new(answers),
        got: Mutex::default(),
    });
    let store = Arc::new(MemoryEndpoints::new(Arc::clone(&world.clock) as _));
    world.webhooks = Some(Webhooks {
        endpoints: Arc::clone(&store) as _,
        book: Arc::clone(&store) as _,
        client: Arc::clone(&servers) as _,
        signer: Arc::new(Shown),
        bodies: Arc::new(Plain),
    });
    (world, Merchants { servers, store })
}

fn owner() -> Owner {
    Owner {
        merchant: merchant(),
        livemode: false,
    }
}

pub(crate) async fn make(webhooks: &WebhooksHandle, url: &str, wanted: &str) -> EndpointId {
    let id = webhooks.new_id(merchant());
    let endpoint = Endpoint {
        id,
        owner: owner(),
        created_at: id.drawn_at(),
        url: Arc::from(url),
        wanted: WantedEvents::read(vec![Arc::from(wanted)]).unwrap(),
        shape: EventShape::Native,
        status: EndpointStatus::Enabled,
        description: None,
        metadata: Vec::new(),
    };
    let change = EndpointChange::Create {
        endpoint,
        secret: secret("whsec_first"),
        behind: webhooks.end(merchant()).await.unwrap(),
    };
    webhooks.change(owner(), change, None).await.unwrap();
    id
}

fn secret(text: &str) -> SigningSecret {
    SigningSecret(text.to_owned().into())
}

impl Merchants {
    /// What a server has taken or seen, by its address.
    fn got(&self, url: &str) -> Vec<Arrived> {
        let got = lock(&self.servers.got);
        got.iter().filter(|one| &*one.url == url).cloned().collect()
    }

    pub(crate) fn taken(&self, url: &str) -> usize {
        let mut ids: Vec<String> = self
            .got(url)
            .into_iter()
            .filter(|one| one.is_taken)
            .map(|one| one.id)
            .collect();
        ids.sort();
        ids.dedup();
        ids.len()
    }

    /// Each payment's announcements came for the first time in their order, all of them, and always under the same id.
    #[track_caller]
    pub(crate) fn check_order(&self, url: &str) {
        let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for one in self.got(url) {
            let ids = seen.entry(one.payment.clone()).or_default();
            let place = usize::try_from(one.number).unwrap() - 1;
            assert!(place <= ids.len(), "{one:?} came before those before it");
            match ids.get(place) {
                Some(id) => assert_eq!(*id, one.id),
                None => ids.push(one.id),
            }
        }
    }
}

async fn pay(platform: &Platform, requests: std::ops::Range<usize>) {
    for (n, answer) in answers(submit_all(&platform.payments(), requests)).await {
        answer.unwrap_or_else(|error| panic!("{n}: {error}"));
    }
}

/// Waits while the world's clock goes on with the timers.
pub(crate) async fn passes(world: &World, what: &str, holds: impl Fn() -> bool) {
    for _ in 0..20_000 {
        if holds() {
            return;
        }
        world.clock.advance_s(60);
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    panic!("still waiting: {what}");
}

#[test]
fn everything_arrives_in_each_payments_order_though_servers_fail_and_actors_crash() {
    for (seed, step, nth) in [
        (1, Step::WebhookTold, 3),
        (2, Step::WebhookTold, 17),
        (3, Step::WebhookGuarding, 1),
        (4, Step::WebhookGuarding, 2),
        (5, Step::ProjectionFollowed, 4),
    ] {
        let (world, merchants) = world(seed, |_, nth| match nth % 5 {
            1 => Some(answered(500)),
            3 => Some(DeliveryEnd::Unanswered {
                why: Arc::from("nobody"),
            }),
            _ => Some(answered(200)),
        });
        world.life(async |world, platform| {
            world.probe.arm(step, nth);
            make(&platform.webhooks(), "https://a.example", "*").await;
            pay(&platform, 0..PAYMENTS).await;
            passes(world, "everything arrives", || {
                merchants.taken("https://a.example") == 2 * PAYMENTS
            })
            .await;
            assert_eq!(world.probe.fired(), 1, "{step:?}");
        });
        merchants.check_order("https://a.example");
        // Another life, after everything in memory is gone.
        let before = merchants.taken("https://a.example");
        world.life(async |world, platform| {
            pay(&platform, PAYMENTS..2 * PAYMENTS).await;
            let all = before + 2 * PAYMENTS;
            passes(world, "everything arrives again", || {
                merchants.taken("https://a.example") == all
            })
            .await;
        });
        merchants.check_order("https://a.example");
    }
}

#[test]
fn a_server_that_never_answers_delays_no_other_and_holds_only_so_many() {
    let (world, merchants) = world(6, |url, _| {
        if url.contains("dead") {
            None
        } else {
            Some(answered(200))
        }
    });
    world.life(async |world, platform| {
        make(&platform.webhooks(), "https://dead.example", "*").await;
        make(&platform.webhooks(), "https://b.example", "payment.succeeded").await;
        pay(&platform, 0..40).await;
        passes(world, "the living one has everything", || {
            merchants.taken("https://b.example") == 40
        })
        .await;
    });
    let names = merchants.got("https://b.example").into_iter().map(|one| one.name);
    assert!(names.into_iter().all(|name| name == "payment.succeeded"));
    assert_eq!(
        merchants.got("https://dead.example").len(),
        florin_domain::webhook::deliveries::SENT_MAX
    );
}

#[test]
fn a_server_that_is_gone_is_disabled_and_one_that_is_enabled_again_hears_of_what_comes_then() {
    let (world, merchants) = world(7, |_, nth| Some(answered(if nth < 3 { 410 } else { 200 })));
    world.life(async |world, platform| {
        let webhooks = platform.webhooks();
        let id = make(&webhooks, "https://a.example", "payment.succeeded").await;
        pay(&platform, 0..3).await;
        let status = async || webhooks.get(owner(), id).await.unwrap().unwrap().status;
        let gone = EndpointStatus::Disabled(WhyDisabled::Gone);
        for _ in 0..100 {
            world.clock.advance_s(1);
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
        assert_eq!(status().await, gone);
        let (rows, _) = webhooks
            .deliveries(owner(), id, (10, None))
            .await
            .unwrap()
            .unwrap();
        assert!(
            rows.iter()
                .any(|(_, row)| row.then == Then::Disabled(WhyDisabled::Gone))
        );
        pay(&platform, 3..6).await;
        let seen = merchants.got("https://a.example").len();
        let end = webhooks.end(merchant()).await.unwrap();
        webhooks
            .change(owner(), EndpointChange::Enable(id, end), None)
            .await
            .unwrap();
        pay(&platform, 6..8).await;
        passes(world, "the new ones arrive", || {
            merchants.taken("https://a.example") == 2
        })
        .await;
        assert_eq!(merchants.got("https://a.example").len(), seen + 2);
        // What it missed is sent when it is asked for.
        let replay = Replay {
            asked_at: world.clock.now(),
            from: EventPlace::START,
            to: end,
        };
        webhooks
            .change(owner(), EndpointChange::Replay(id, replay), None)
            .await
            .unwrap();
        passes(world, "what was missed arrives", || {
            merchants.taken("https://a.example") == 8
        })
        .await;
    });
}

#[test]
fn an_endpoint_that_is_changed_goes_by_the_change_and_one_that_is_deleted_ends() {
    let (world, merchants) = world(8, |_, _| Some(answered(200)));
    world.life(async |world, platform| {
        let webhooks = platform.webhooks();
        let id = make(&webhooks, "https://a.example", "payment.succeeded").await;
        pay(&platform, 0..2).await;
        passes(world, "they arrive", || merchants.taken("https://a.example") == 2).await;
        let rotate = EndpointChange::Rotate {
            id,
            secret: secret("whsec_second"),
            old_until: world.clock.now().plus(Millis::from_s(100_000)),
        };
        webhooks.change(owner(), rotate, None).await.unwrap();
        pay(&platform, 2..3).await;
        passes(world, "it arrives", || merchants.taken("https://a.example") == 3).await;
        assert_eq!(
            merchants.got("https://a.example")[2].signature,
            "whsec_second whsec_first"
        );
        world.clock.advance_s(100_001);
        pay(&platform, 3..4).await;
        passes(world, "it arrives", || merchants.taken("https://a.example") == 4).await;
        assert_eq!(merchants.got("https://a.example")[3].signature, "whsec_second");
        webhooks
            .change(owner(), EndpointChange::Delete(id), None)
            .await
            .unwrap();
        let live = || {
            let figures = platform.context().figures.kind(Kind::WebhookEndpoint);
            figures.live.load(std::sync::atomic::Ordering::Relaxed)
        };
        until("its actor ends", || live() == 0).await;
        pay(&platform, 4..6).await;
        passes(world, "time passes", {
            let end = world.clock.now().plus(Millis::from_s(60));
            move || world.clock.now() > end
        })
        .await;
        assert_eq!(merchants.got("https://a.example").len(), 4);
        assert!(merchants.store_is_empty(&platform).await);
    });
}

impl Merchants {
    async fn store_is_empty(&self, platform: &Platform) -> bool {
        use florin_domain::ports::DeliveryBook;
        let shard = platform.context().shard;
        self.store.endpoints(shard).await.unwrap().is_empty()
    }
}
