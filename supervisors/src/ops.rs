//! What operators see: the live tree, metrics, readiness.

use crate::root::{RootMail, Seat, SeatReport};
use crate::webhook_guardian::ENDPOINT_CAPS;
use florin_actors::admission::Shed;
use florin_actors::context::Context;
use florin_actors::guardian::{GuardianMail, LivePayment};
use florin_actors::kind::Kind;
use florin_actors::ledger_handle::LedgerHandle;
use florin_actors::mailbox::Gate;
use florin_actors::provider::Line;
use florin_actors::shards::Shards;
use florin_actors::webhook_endpoint::{LiveEndpoint, WebhookGuardianMail};
use florin_domain::health::KeyStop;
use florin_domain::ids::{EndpointId, PaymentId, Seq, ShardId};
use florin_domain::merchant::{ControlEvent, OperatorAction};
use florin_domain::ports::{BoxFuture, KillRefusal, OpsView, ProviderStanding, TreeNode};
use florin_domain::time::Timestamp;
use ractor::ActorRef;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;

/// An actor that an operator named.
#[derive(Clone, Copy, Debug)]
enum Named {
    Seat(ShardId, Seat),
    Payment(PaymentId),
    Endpoint(EndpointId),
}

/// The ops view of a running platform.
pub struct Ops {
    shards: Shards,
    /// One for each shard, in the same order.
    roots: Vec<ActorRef<RootMail>>,
    /// The home's.
    context: Arc<Context>,
    render: Box<dyn Fn() -> String + Send + Sync>,
    started_at: Timestamp,
}

impl fmt::Debug for Ops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ops").finish_non_exhaustive()
    }
}

/// How the provider of a seat stands.
fn standing(context: &Context, seat: Seat) -> Option<ProviderStanding> {
    if seat.kind != Kind::Provider {
        return None;
    }
    let provider = context.providers.get(seat.index)?;
    let (now, standing) = (context.ports.clock.now(), provider.standing.load());
    let breaker = |line: Line| (line.as_str(), standing.breaker(line).state(now).as_str());
    let stopped = |is_meant: fn(&KeyStop) -> bool| {
        let stops = standing.stopped_keys.stops(now).filter(is_meant);
        stops.map(|stop| stop.to_string()).collect()
    };
    Some(ProviderStanding {
        health: standing.health,
        score: standing.score,
        measures: standing.measures,
        breakers: Line::ALL.map(breaker).to_vec(),
        in_flight: provider.in_flight.load(Ordering::Relaxed),
        permits: provider.terms.caps.permits,
        waiting: provider.waiting.load(Ordering::Relaxed),
        refused_keys: stopped(|stop| matches!(stop, KeyStop::Refused(_) | KeyStop::Forbidden(..))),
        limited_keys: stopped(|stop| matches!(stop, KeyStop::Limited(_))),
        queue_max: provider.terms.caps.queue_max,
        resolving: provider.resolving.load(Ordering::Relaxed),
    })
}

/// Kind and key of the root.
const ROOT: (&str, &str) = ("root", "florin");

impl Ops {
    pub(crate) fn new(
        shards: Shards,
        roots: Vec<ActorRef<RootMail>>,
        render: Box<dyn Fn() -> String + Send + Sync>,
    ) -> Self {
        let context = Arc::clone(shards.home());
        Self {
            started_at: context.ports.clock.now(),
            shards,
            roots,
            context,
            render,
        }
    }

    fn gate(context: &Context, seat: Seat) -> Arc<Gate> {
        let gate = match seat.kind {
            Kind::JournalWriter => context.writer.gate(),
            Kind::AccountShard => context.account_shard.gate(),
            Kind::Projection => context.projection.gate(),
            Kind::Provider => context.providers[seat.index].mailbox.gate(),
            Kind::Risk => context.risk[seat.index].gate(),
            Kind::Resolution => context.resolution.gate(),
            Kind::Scrub => context.scrub.gate(),
            Kind::Deadlines => context.deadlines.gate(),
            Kind::Crossings => context.crossings.gate(),
            Kind::Monitor => context.monitor.gate(),
            Kind::PaymentGuardian => context.guardians[seat.index].gate(),
            Kind::WebhookGuardian | Kind::WebhookEndpoint => context.webhooks.gate(),
            Kind::Idempotency | Kind::Payment => context.idempotency.gate(),
        };
        Arc::clone(gate)
    }

    /// The home's actors are called by their number alone.
    fn key(context: &Context, seat: Seat) -> String {
        match seat.kind {
            Kind::Provider => context.providers[seat.index].id.to_string(),
            Kind::JournalWriter
            | Kind::AccountShard
            | Kind::Projection
            | Kind::Risk
            | Kind::Resolution
            | Kind::PaymentGuardian
            | Kind::Payment
            | Kind::Idempotency
            | Kind::Scrub
            | Kind::Crossings
            | Kind::Monitor
            | Kind::WebhookGuardian
            | Kind::WebhookEndpoint
            | Kind::Deadlines => match context.shard {
                ShardId::FIRST => seat.index.to_string(),
                ShardId(shard) => format!("{shard}-{}", seat.index),
            },
        }
    }

    async fn node(&self, context: &Context, report: SeatReport, payments_max: usize) -> TreeNode {
        let seat = report.seat;
        let gate = Self::gate(context, seat);
        let children = match seat.kind {
            Kind::PaymentGuardian => payments(context, seat.index, payments_max).await,
            Kind::WebhookGuardian => endpoints(context, payments_max).await,
            Kind::JournalWriter
            | Kind::AccountShard
            | Kind::Projection
            | Kind::Provider
            | Kind::Risk
            | Kind::Resolution
            | Kind::Payment
            | Kind::Idempotency
            | Kind::Scrub
            | Kind::Deadlines
            | Kind::Crossings
            | Kind::Monitor
            | Kind::WebhookEndpoint => Vec::new(),
        };
        TreeNode {
            kind: seat.kind.as_str(),
            key: Self::key(context, seat),
            mailbox_depth: gate.depth(),
            mailbox_soft_cap: gate.caps().soft,
            mailbox_hard_cap: gate.caps().hard,
            restarts: report.restarts,
            restart_budget_left: report.budget_left,
            age_ms: report.age_ms,
            standing: standing(context, seat),
            children_live: children.len(),
            children,
        }
    }

    async fn reports(&self) -> Vec<(&Arc<Context>, SeatReport)> {
        let mut reports = Vec::new();
        for (context, root) in self.shards.iter().zip(&self.roots) {
            let (reply, waits) = oneshot::channel();
            drop(root.send_message(RootMail::Inspect(reply)));
            let of_shard = waits.await.unwrap_or_default();
            reports.extend(of_shard.into_iter().map(|report| (context, report)));
        }
        reports
    }

    /// The shard that a payment would be in.
    fn of(&self, payment: PaymentId) -> &Arc<Context> {
        self.shards.get(payment.shard()).unwrap_or(&self.context)
    }

    fn of_endpoint(&self, endpoint: EndpointId) -> &Arc<Context> {
        self.shards.get(endpoint.shard()).unwrap_or(&self.context)
    }

    /// The actor with this name, if it comes back when it is killed.
    async fn killable(&self, name: &str) -> Result<Named, KillRefusal> {
        let (kind, key) = match name.split_once(':') {
            Some((kind, key)) => (kind, Some(key)),
            None => (name, None),
        };
        if kind == ROOT.0 && key.is_none_or(|key| key == ROOT.1) {
            return Err(KillRefusal::NotRestartable);
        }
        if kind == Kind::Payment.as_str() {
            let payment = key.and_then(|key| PaymentId::parse(key).ok());
            let payment = payment.ok_or(KillRefusal::NoSuchActor)?;
            let context = self.of(payment);
            let siblings = live(context, context.guardian_index(payment), usize::MAX).await;
            let is_it = |live: &LivePayment| live.payment == payment && !live.quarantined;
            let found = siblings.iter().any(is_it);
            return found
                .then_some(Named::Payment(payment))
                .ok_or(KillRefusal::NoSuchActor);
        }
        if kind == Kind::WebhookEndpoint.as_str() {
            let endpoint = key.and_then(|key| EndpointId::parse(key).ok());
            let endpoint = endpoint.ok_or(KillRefusal::NoSuchActor)?;
            let siblings = live_endpoints(self.of_endpoint(endpoint), usize::MAX).await;
            let found = siblings
                .iter()
                .find(|live| live.endpoint == endpoint && live.is_up);
            let found = found.ok_or(KillRefusal::NoSuchActor)?;
            if found.failures >= self.context.options.payment_restarts.restarts_max {
                return Err(KillRefusal::NotRestartable);
            }
            return Ok(Named::Endpoint(endpoint));
        }
        let reports = self.reports().await;
        let mut found = reports.into_iter().filter(|(context, report)| {
            report.seat.kind.as_str() == kind && key.is_none_or(|key| key == Self::key(context, report.seat))
        });
        // A kind alone names nobody where there are several.
        let (Some((context, report)), None) = (found.next(), found.next()) else {
            return Err(KillRefusal::NoSuchActor);
        };
        match report.budget_left {
            None | Some(0) => Err(KillRefusal::NotRestartable),
            Some(_) => Ok(Named::Seat(context.shard, report.seat)),
        }
    }

    async fn strike(&self, actor: Named) -> Result<(), KillRefusal> {
        let (reply, waits) = oneshot::channel();
        match actor {
            Named::Seat(shard, seat) => {
                let root = self.roots.get(usize::from(shard.0));
                let root = root.ok_or(KillRefusal::NoSuchActor)?;
                drop(root.send_message(RootMail::Kill(seat, reply)));
                let is_down = waits.await.unwrap_or(false);
                is_down.then_some(()).ok_or(KillRefusal::NotRestartable)
            }
            Named::Payment(payment) => {
                let guardian = self.of(payment).guardian(payment);
                guardian.step(GuardianMail::Kill { payment, reply });
                let is_down = waits.await.unwrap_or(false);
                is_down.then_some(()).ok_or(KillRefusal::NoSuchActor)
            }
            Named::Endpoint(endpoint) => {
                let guardian = &self.of_endpoint(endpoint).webhooks;
                guardian.step(WebhookGuardianMail::Kill { endpoint, reply });
                let is_down = waits.await.unwrap_or(false);
                is_down.then_some(()).ok_or(KillRefusal::NoSuchActor)
            }
        }
    }
}

async fn live(context: &Context, guardian: usize, limit: usize) -> Vec<LivePayment> {
    let (reply, waits) = oneshot::channel();
    context.guardians[guardian].step(GuardianMail::Live { limit, reply });
    waits.await.unwrap_or_default()
}

async fn payments(context: &Context, guardian: usize, limit: usize) -> Vec<TreeNode> {
    let live = live(context, guardian, limit).await;
    let caps = context.options.payment_caps;
    let restarts_max = context.options.payment_restarts.restarts_max;
    let node = |payment: LivePayment| TreeNode {
        standing: None,
        kind: if payment.quarantined {
            "payment_set_aside"
        } else {
            Kind::Payment.as_str()
        },
        key: payment.payment.to_string(),
        mailbox_depth: payment.depth,
        mailbox_soft_cap: caps.soft,
        mailbox_hard_cap: caps.hard,
        restarts: u64::from(payment.failures),
        restart_budget_left: Some(restarts_max.saturating_sub(payment.failures)),
        age_ms: payment.age_ms,
        children_live: 0,
        children: Vec::new(),
    };
    live.into_iter().map(node).collect()
}

async fn live_endpoints(context: &Context, limit: usize) -> Vec<LiveEndpoint> {
    let (reply, waits) = oneshot::channel();
    context.webhooks.step(WebhookGuardianMail::Live { limit, reply });
    waits.await.unwrap_or_default()
}

async fn endpoints(context: &Context, limit: usize) -> Vec<TreeNode> {
    let restarts_max = context.options.payment_restarts.restarts_max;
    let node = |live: LiveEndpoint| TreeNode {
        standing: None,
        kind: Kind::WebhookEndpoint.as_str(),
        key: live.endpoint.to_string(),
        mailbox_depth: live.depth,
        mailbox_soft_cap: ENDPOINT_CAPS.soft,
        mailbox_hard_cap: ENDPOINT_CAPS.hard,
        restarts: u64::from(live.failures),
        restart_budget_left: Some(restarts_max.saturating_sub(live.failures)),
        age_ms: live.age_ms,
        children_live: 0,
        children: Vec::new(),
    };
    let live = live_endpoints(context, limit).await;
    live.into_iter().map(node).collect()
}

impl OpsView for Ops {
    fn tree(&self, payments_max: usize) -> BoxFuture<'_, TreeNode> {
        Box::pin(async move {
            let reports = self.reports().await;
            let mut children = Vec::with_capacity(reports.len());
            for (context, report) in reports {
                children.push(self.node(context, report, payments_max).await);
            }
            let payments = self
                .context
                .figures
                .kind(Kind::Payment)
                .live
                .load(Ordering::Relaxed);
            TreeNode {
                kind: ROOT.0,
                key: ROOT.1.to_owned(),
                mailbox_depth: self.context.admission.in_flight(),
                mailbox_soft_cap: self.context.admission.caps().in_flight_max,
                mailbox_hard_cap: self.context.admission.caps().in_flight_max,
                restarts: self
                    .context
                    .figures
                    .kinds()
                    .iter()
                    .map(|k| k.restarts.load(Ordering::Relaxed))
                    .sum(),
                restart_budget_left: None,
                age_ms: children.iter().map(|child| child.age_ms).max().unwrap_or(0),
                standing: None,
                children_live: children.len() + usize::try_from(payments).unwrap_or(0),
                children,
            }
        })
    }

    fn metrics(&self) -> String {
        for stats in self.context.figures.kinds() {
            stats.publish();
        }
        for seat in crate::root::seats(&self.context) {
            let caps = Self::gate(&self.context, seat).caps();
            #[expect(clippy::cast_precision_loss, reason = "a gauge")]
            metrics::gauge!("florin_mailbox_cap", "kind" => seat.kind.as_str()).set(caps.soft as f64);
        }
        let payment_caps = self.context.options.payment_caps;
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::gauge!("florin_mailbox_cap", "kind" => Kind::Payment.as_str()).set(payment_caps.soft as f64);
        let control = self.context.directory.load();
        for seat in &self.context.providers {
            let is_disabled = control.stops.providers.contains_key(&seat.id);
            metrics::gauge!("florin_provider_disabled", "provider" => seat.id.to_string())
                .set(f64::from(u8::from(is_disabled)));
        }
        let is_read_only = u8::from(control.stops.read_only.is_some());
        metrics::gauge!("florin_read_only").set(f64::from(is_read_only));
        #[expect(clippy::cast_precision_loss, reason = "gauges")]
        {
            metrics::gauge!("florin_merchants_frozen").set(control.stops.merchants.len() as f64);
            metrics::gauge!("florin_process_start_time_seconds").set(self.started_at.unix_ms() as f64 / 1e3);
            let held = self
                .shards
                .iter()
                .map(|context| context.keys_held.load(Ordering::Relaxed));
            let held: u64 = held.sum();
            metrics::gauge!("florin_idempotency_keys_held").set(held as f64);
            metrics::gauge!("florin_in_flight").set(self.context.admission.in_flight() as f64);
            let views = self.shards.iter().map(|context| context.lag.views()).max();
            let keys = self.shards.iter().map(|context| context.ports.keys.lag()).max();
            metrics::gauge!("florin_index_lag_commits", "index" => "views").set(views.unwrap_or(0) as f64);
            metrics::gauge!("florin_index_lag_commits", "index" => "keys").set(keys.unwrap_or(0) as f64);
        }
        (self.render)()
    }

    fn not_ready(&self) -> Option<&'static str> {
        match self.context.admission.shut()? {
            Shed::Draining => Some("draining"),
            Shed::NoRoom => Some("journal_full"),
            Shed::IndexLag => Some("indexes_behind"),
            // Busy is not unready: the next moment there is room.
            Shed::InFlight => None,
        }
    }

    fn kill(&self, actor: Arc<str>, action: OperatorAction) -> BoxFuture<'_, Result<Seq, KillRefusal>> {
        Box::pin(async move {
            let named = self.killable(&actor).await?;
            let order = ControlEvent::ActorKillOrdered(actor, action);
            let ledger = LedgerHandle::new(self.shards.clone());
            let recorded = ledger.record_control(order).await;
            let seq = recorded.map_err(|_| KillRefusal::NotRecorded)?;
            self.strike(named).await?;
            Ok(seq)
        })
    }
}
