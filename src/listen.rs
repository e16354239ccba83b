//! `florin listen`: the events of a running node in test mode, sent to a developer's own server as a webhook endpoint is sent them.
//!
//! One after the other, in the order of the journal. Where it stands it knows by the id of the last event alone, so whatever happens to the
//! node or to the connection, nothing is left out and nothing comes twice.

use crate::edge::StopSignal;
use crate::test_node::{TestNode, is_takeable, read, refusal};
use anyhow::{Context as _, bail};
use clap::Args;
use florin_adapters::api_client::{ApiAnswer, ApiClient, ApiClientError};
use florin_adapters::clock::SystemClock;
use florin_adapters::webhooks::{ClientSettings, VettedClient, WebhookSecret, sign};
use florin_config::Settings;
use florin_domain::announcement::{AnnouncementKind, AnnouncementKinds};
use florin_domain::ids::{EventId, MerchantId};
use florin_domain::ports::{Clock as _, Delivery, DeliveryEnd, WebhookClient as _};
use florin_domain::vault::Owner;
use florin_domain::webhook::EventShape;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Between two questions while nothing happens.
const PAUSE: Duration = Duration::from_millis(200);
/// Between two questions while the node does not answer, if it does not say how long.
const PAUSE_LOST_S: u64 = 1;
/// Whoever sends it is told in Stripe's shape; what it says does not matter.
const STRIPE_VERSION: (&str, &str) = ("stripe-version", "florin-listen");

/// What is followed, and where it goes.
#[derive(Args, Debug)]
pub(crate) struct ListenArguments {
    /// Where events are sent: http on this machine, or https
    #[arg(long)]
    forward_to: String,
    /// Which ones: names of either shape, beginnings such as `refund.*`, and `*`, with commas between them
    #[arg(long, default_value = "*", value_delimiter = ',')]
    events: Vec<String>,
    /// In Stripe's shape
    #[arg(long)]
    stripe: bool,
    /// Signs with this secret (`whsec_...`) instead of a new one
    #[arg(long)]
    secret: Option<String>,
    /// Begins behind this event instead of now
    #[arg(long)]
    after: Option<String>,
    #[command(flatten)]
    node: TestNode,
}

/// Runs until a signal.
pub(crate) async fn run(arguments: ListenArguments, settings: &Settings) -> anyhow::Result<()> {
    let stop = StopSignal::catch()?;
    let (forwarder, after) = Forwarder::new(&arguments, settings)?;
    tokio::select! {
        ended = forwarder.follow(after) => ended,
        () = stop.received() => Ok(()),
    }
}

#[derive(Deserialize)]
struct Page {
    has_more: bool,
    /// As written, because that is what is signed and sent.
    data: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Head {
    id: String,
    #[serde(rename = "type")]
    name: String,
}

/// An event as the node tells it.
struct Told {
    id: EventId,
    name: String,
    text: Box<RawValue>,
}

impl Told {
    fn of(text: Box<RawValue>) -> anyhow::Result<Self> {
        let Head { id, name } = serde_json::from_str(text.get()).context("an event")?;
        let id = EventId::parse(&id).context("the id of an event")?;
        Ok(Self { id, name, text })
    }
}

struct Forwarder {
    node: ApiClient,
    node_url: String,
    server: VettedClient,
    server_url: Arc<str>,
    secret: WebhookSecret,
    wanted: AnnouncementKinds,
    shape: EventShape,
    clock: SystemClock,
}

impl Forwarder {
    fn new(arguments: &ListenArguments, settings: &Settings) -> anyhow::Result<(Self, Option<EventId>)> {
        if !is_takeable(&arguments.forward_to) {
            bail!(
                "--forward-to: the address begins with https://, or names this machine: http://127.0.0.1:4242/webhook"
            );
        }
        let (node, node_url) = arguments.node.client(settings)?;
        let secret = match &arguments.secret {
            Some(text) => WebhookSecret::parse(text).context("--secret")?,
            None => WebhookSecret::random()?,
        };
        let client = VettedClient::new(ClientSettings {
            allows_local: true,
            ..ClientSettings::default()
        });
        let after = arguments.after.as_deref().map(EventId::parse);
        let forwarder = Self {
            node,
            node_url,
            server: client.context("the client of webhooks")?,
            server_url: arguments.forward_to.as_str().into(),
            secret,
            wanted: wanted(&arguments.events)?,
            shape: if arguments.stripe {
                EventShape::Stripe
            } else {
                EventShape::Native
            },
            clock: SystemClock::new(),
        };
        Ok((forwarder, after.transpose().context("--after")?))
    }

    async fn follow(&self, after: Option<EventId>) -> anyhow::Result<()> {
        let mut last = self.newest().await?;
        if let Some(after) = after {
            let path = format!("/v1/events?limit=1&ending_before={after}");
            self.page(&path).await.context("--after")?;
            last = Some(after);
        }
        // What happens from now on is told, so whoever waits for this line misses nothing.
        let (from, to, secret) = (&self.node_url, &self.server_url, self.secret.reveal());
        say(&format!(
            "Sending the events of {from} to {to}, signed with {secret}"
        ))?;
        loop {
            let told = self.behind(last).await?;
            if told.is_empty() {
                sleep(PAUSE).await;
            }
            for event in told {
                if self.wants(&event) {
                    self.forward(&event).await?;
                }
                last = Some(event.id);
            }
        }
    }

    async fn newest(&self) -> anyhow::Result<Option<EventId>> {
        let page = self.page("/v1/events?limit=1").await?;
        let newest = page.data.into_iter().next().map(Told::of);
        Ok(newest.transpose()?.map(|event| event.id))
    }

    /// What came after an event, the oldest first: as much as fits a page, or all there is if there was none before.
    async fn behind(&self, last: Option<EventId>) -> anyhow::Result<Vec<Told>> {
        const PATH: &str = "/v1/events?limit=100";
        let mut path = last.map_or_else(|| PATH.to_owned(), |last| format!("{PATH}&ending_before={last}"));
        let mut told = Vec::new();
        loop {
            let page = self.page(&path).await?;
            for text in page.data {
                told.push(Told::of(text)?);
            }
            match told.last() {
                Some(oldest) if last.is_none() && page.has_more => {
                    path = format!("{PATH}&starting_after={}", oldest.id);
                }
                _ => break,
            }
        }
        told.reverse();
        Ok(told)
    }

    /// A page as soon as the node answers, however long that takes: it may be stopped and started as one develops.
    async fn page(&self, path: &str) -> anyhow::Result<Page> {
        let mut is_lost = false;
        loop {
            let answer = match self.shape {
                EventShape::Native => self.node.get(path).await,
                EventShape::Stripe => self.node.get_with(path, STRIPE_VERSION).await,
            };
            let (why, pause_s) = match answer {
                Ok(answer) if answer.status == 200 => {
                    if is_lost {
                        tracing::info!("the node answers again");
                    }
                    return read(&answer);
                }
                Ok(answer) if passes(&answer) => (refusal(&answer).to_string(), answer.retry_after_s),
                Ok(answer) => return Err(refusal(&answer)),
                Err(error @ ApiClientError::Unusable(_)) => return Err(error.into()),
                Err(error @ ApiClientError::NoAnswer(_)) => (error.to_string(), None),
            };
            if !is_lost {
                tracing::warn!(why, "the node is asked again until it answers");
            }
            is_lost = true;
            sleep(Duration::from_secs(pause_s.unwrap_or(PAUSE_LOST_S))).await;
        }
    }

    /// Kinds that this build does not know yet are wanted by whoever wants all.
    fn wants(&self, event: &Told) -> bool {
        let mut all = AnnouncementKind::ALL.iter().copied();
        let kind = all.find(|kind| self.shape.name_of(*kind) == event.name);
        kind.map_or(self.wanted == AnnouncementKinds::ALL, |kind| {
            self.wanted.has(kind)
        })
    }

    /// The body that a registered endpoint is sent.
    fn body(&self, event: &Told) -> anyhow::Result<Vec<u8>> {
        let written = event.text.get();
        match self.shape {
            EventShape::Native => Ok(written.into()),
            EventShape::Stripe => {
                let mut event: Value = serde_json::from_str(written).context("an event")?;
                // The list shows the merchant what its customer's browser needs; deliveries do not.
                if let Some(secret) = event.pointer_mut("/data/object/client_secret") {
                    *secret = Value::Null;
                }
                Ok(serde_json::to_vec(&event)?)
            }
        }
    }

    /// Sends an event once, and says what came of it.
    async fn forward(&self, event: &Told) -> anyhow::Result<()> {
        let body = self.body(event)?;
        let (secrets, id) = (std::slice::from_ref(&self.secret), event.id.to_string());
        let delivery = Delivery {
            // Limits of single owners say nothing where there is one.
            owner: Owner {
                merchant: MerchantId::from_bits(0),
                livemode: false,
            },
            url: Arc::clone(&self.server_url),
            headers: sign(secrets, &id, self.clock.now(), &body).into(),
            body,
        };
        let answer = match self.server.post(delivery).await {
            DeliveryEnd::Answered { status, .. } => status.to_string(),
            DeliveryEnd::NotSent { why } | DeliveryEnd::Unanswered { why } => format!("no answer: {why}"),
        };
        say(&format!("{} {id} -> {answer}", event.name))
    }
}

/// Whether it may be another answer soon.
fn passes(answer: &ApiAnswer) -> bool {
    answer.status == 429 || answer.status >= 500
}

/// A line, written at once also where the output is a file.
fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

fn wanted(names: &[String]) -> anyhow::Result<AnnouncementKinds> {
    let mut wanted = AnnouncementKinds::NONE;
    for name in names {
        let Some(more) = wanted.named(name.trim()) else {
            bail!("--events: there is no `{name}`; docs/events.md has the names");
        };
        wanted = more;
    }
    Ok(wanted)
}
