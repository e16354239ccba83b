//! `florin bench failover`: what becomes of a steady load when the preferred one of two providers dies, and when it comes back.
//!
//! Both providers are sandboxes behind sockets, each with a witness of its own. Before each is a gate, which dies in the provider's
//! place: it refuses connections, it hangs, or it answers 503. Each death is measured by itself, on a node of its own. Times decide
//! nothing; money does: what both witnesses saw must be what the node says, or the command fails.
//!
//! Verdicts on health are kept out, since they look back for a quarter of an hour; what takes the load away and brings it back is the
//! circuit breaker, with a shorter time open than usual.

mod books;
mod figures;
mod gate;
mod load;
mod outcome;
mod wire;

use super::BenchArguments;
use super::http::keys;
use super::setup::{self, Folder};
use crate::node::Node;
use crate::{edge, node};
use anyhow::Context as _;
use books::Reader;
use figures::{Phase, median, recovered_after};
use florin_actors::options::{ProviderCaps, ProviderTerms};
use florin_actors::projection::ProjectionMail;
use florin_actors::provider::Line;
use florin_api::server::RunningApi;
use florin_config::Settings;
use florin_domain::breaker::BreakerState;
use florin_domain::provider::ProviderId;
use florin_domain::time::Millis;
use florin_sandbox::{Options as SandboxOptions, Sandbox, SandboxHandle};
use gate::{Gate, Mode};
use load::{Load, Sample};
use metrics_exporter_prometheus::PrometheusHandle;
use outcome::{FailoverReport, Scenario};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep};

/// In order of preference.
const PROVIDERS: [&str; 2] = ["preferred", "backup"];
/// What each takes of an amount: the cheaper one is preferred.
const COSTS_BPS: [u32; 2] = [100, 290];
/// What Stripe usually gets.
const CAPS: ProviderCaps = ProviderCaps {
    permits: 100,
    queue_max: 50,
};
/// The load before it counts.
const WARM_UP: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// How long what is unknown may take to become known when the load is over.
const PATIENCE: Duration = Duration::from_mins(1);
const RESOLUTION_WAIT: Millis = Millis(1000);

/// Measures the three deaths, one after the other; an error if money is not where it should be.
pub(super) async fn run(arguments: &BenchArguments, metrics: PrometheusHandle) -> anyhow::Result<()> {
    anyhow::ensure!(arguments.seconds > 0, "--seconds must be at least 1");
    anyhow::ensure!(arguments.rate > 0, "--rate must be at least 1");
    anyhow::ensure!(arguments.connections > 0, "--connections must be at least 1");
    let folder = Folder::new(&arguments.data_dir)?;
    let mut report = FailoverReport {
        rate_per_s: arguments.rate,
        connections: u32::try_from(arguments.connections)?,
        request_timeout: Duration::from_millis(arguments.request_timeout_ms),
        breaker_open: Duration::from_millis(arguments.breaker_open_ms),
        scenarios: Vec::new(),
    };
    for (number, death) in [Mode::Refuses, Mode::Hangs, Mode::Unavailable]
        .into_iter()
        .enumerate()
    {
        let mut settings = setup::settings(&folder)?;
        settings.data_dir = folder.path().join(number.to_string());
        let world = World::start(settings, &report, metrics.clone()).await?;
        let scenario = world.measure(death, &report, arguments.seconds).await?;
        report.scenarios.push(scenario);
    }
    report.write(&mut std::io::stdout().lock(), arguments.json)?;
    anyhow::ensure!(
        report.breaches() == 0,
        "money is not where it should be, in {} cases",
        report.breaches()
    );
    Ok(())
}

/// A node with two providers on sockets.
struct World {
    node: Node,
    api: RunningApi,
    sandboxes: [SandboxHandle; 2],
    gates: [Gate; 2],
    key: String,
    preferred: ProviderId,
}

/// The moments of a run.
struct Moments {
    began: Instant,
    died: Instant,
    back: Instant,
    /// The breaker was closed again, or nobody waited any longer.
    settled: Instant,
    ended: Instant,
    closed: Option<Duration>,
    traffic: Option<Duration>,
    /// Requests that the preferred one had got at each of the above.
    forwarded: [u64; 5],
}

async fn sandbox(folder: &Path) -> anyhow::Result<SandboxHandle> {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let options = SandboxOptions::new(anywhere, Some(folder.to_owned()));
    Ok(Sandbox::start(options).await?)
}

impl World {
    async fn start(
        mut settings: Settings,
        report: &FailoverReport,
        metrics: PrometheusHandle,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&settings.data_dir)?;
        settings.listen.set_port(0);
        // One merchant asks for everything.
        settings.rates.requests_per_s = 0;
        let actors = &mut settings.actors;
        actors.breaker.open = Millis(u64::try_from(report.breaker_open.as_millis())?);
        actors.health.calls_min = u32::MAX;
        actors.resolution_waits = vec![RESOLUTION_WAIT];
        let sandboxes = [
            sandbox(&settings.data_dir.join(PROVIDERS[0])).await?,
            sandbox(&settings.data_dir.join(PROVIDERS[1])).await?,
        ];
        let gates = [
            Gate::open(sandboxes[0].local_addr()).await?,
            Gate::open(sandboxes[1].local_addr()).await?,
        ];
        let usual = settings.providers.first().context("a provider")?.clone();
        settings.providers.clear();
        for ((name, cost_bps), gate) in PROVIDERS.into_iter().zip(COSTS_BPS).zip(&gates) {
            let mut provider = usual.clone();
            provider.id = ProviderId::parse(name)?;
            provider.base_url = format!("http://{}", gate.address());
            provider.request_timeout = report.request_timeout;
            provider.terms = ProviderTerms {
                caps: CAPS,
                cost_bps,
                settles_within: None,
            };
            settings
                .actors
                .terms_of_providers
                .insert(provider.id, provider.terms);
            settings.providers.push(provider);
        }
        let providers = crate::providers::providers(&settings, true)?;
        let node = Box::pin(node::start(&settings, providers, metrics)).await?;
        let key = keys(&node).await?.swap_remove(0);
        let api = edge::serve(&node, &settings, false)?;
        Ok(Self {
            node,
            api,
            sandboxes,
            gates,
            key,
            preferred: ProviderId::parse(PROVIDERS[0])?,
        })
    }

    async fn measure(self, death: Mode, report: &FailoverReport, seconds: u64) -> anyhow::Result<Scenario> {
        let failovers_before = self.failovers();
        let load = Load {
            target: self.api.local_addr(),
            key: self.key.clone(),
            connections: report.connections,
            rate_per_s: report.rate_per_s,
        };
        let (stop, stopped) = watch::channel(false);
        let load = tokio::spawn(load.run(stopped));
        let moments = self
            .live_through(death, Duration::from_secs(seconds), report)
            .await?;
        stop.send_replace(true);
        let (samples, missed) = load.await??;
        let reader = Reader {
            api: self.api.local_addr(),
            key: self.key.clone(),
        };
        self.views_settled().await?;
        reader.settle(PATIENCE).await?;
        let told: BTreeSet<String> = samples
            .iter()
            .filter_map(|sample| sample.payment.clone())
            .collect();
        let witnesses = [self.sandboxes[0].local_addr(), self.sandboxes[1].local_addr()];
        let books = reader.compare(&told, witnesses).await?;
        let before = Phase::of(&samples, moments.began, moments.died);
        let during = Phase::of(&samples, moments.died, moments.back);
        let scenario = Scenario {
            death,
            missed,
            recovered: recovered_after(&during.slots, median(&before.slots)),
            after: Phase::of(&samples, moments.settled, moments.ended),
            failovers: self.failovers() - failovers_before,
            closed: moments.closed,
            traffic: moments.traffic,
            traffic_ratio: moments.traffic_ratio(&samples),
            before,
            during,
            books,
        };
        self.stop().await?;
        Ok(scenario)
    }

    /// Lets the preferred provider be well, dead and well again.
    async fn live_through(
        &self,
        death: Mode,
        time: Duration,
        report: &FailoverReport,
    ) -> anyhow::Result<Moments> {
        let gate = &self.gates[0];
        sleep(WARM_UP).await;
        let (began, at_began) = (Instant::now(), gate.forwarded());
        sleep(time).await;
        let (died, at_died) = (Instant::now(), gate.forwarded());
        gate.set(death);
        sleep(time).await;
        let (back, at_back) = (Instant::now(), gate.forwarded());
        gate.set(Mode::Well);
        let limit = back + time + 3 * (report.breaker_open + report.request_timeout);
        while !self.is_closed()? && Instant::now() < limit {
            sleep(LOOK_AGAIN).await;
        }
        let (settled, at_settled) = (Instant::now(), gate.forwarded());
        let closed = self.is_closed()?.then(|| settled.duration_since(back));
        let ends = settled + time;
        while closed.is_some() && gate.forwarded() == at_settled && Instant::now() < ends {
            sleep(LOOK_AGAIN).await;
        }
        let has_traffic = gate.forwarded() > at_settled;
        let traffic = has_traffic.then(|| settled.elapsed());
        tokio::time::sleep_until(ends).await;
        Ok(Moments {
            began,
            died,
            back,
            settled,
            ended: Instant::now(),
            closed,
            traffic,
            forwarded: [at_began, at_died, at_back, at_settled, gate.forwarded()],
        })
    }

    fn is_closed(&self) -> anyhow::Result<bool> {
        let context = self.node.platform.context();
        let seat = context.provider(self.preferred).context("the provider's seat")?;
        let state = seat
            .standing
            .load()
            .breaker(Line::Charge)
            .state(context.ports.clock.now());
        Ok(matches!(state, BreakerState::Closed { .. }))
    }

    /// Charges that went on elsewhere, by the metrics of this process.
    fn failovers(&self) -> u64 {
        let metrics = self.node.metrics.render();
        metrics
            .lines()
            .filter(|line| line.starts_with("florin_payment_failovers_total{"))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
            .sum()
    }

    async fn views_settled(&self) -> anyhow::Result<()> {
        let (reply, settled) = oneshot::channel();
        self.node
            .platform
            .context()
            .projection
            .step(ProjectionMail::Settle(reply));
        settled.await.context("the projection ended")
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.api.stop().await?;
        self.node.platform.drain(Duration::from_secs(5)).await;
        for sandbox in self.sandboxes {
            sandbox.stop().await?;
        }
        Ok(())
    }
}

impl Moments {
    /// Requests to the preferred one for each payment that was asked for, at the end in parts of the beginning.
    #[expect(clippy::cast_precision_loss, reason = "measured figures")]
    fn traffic_ratio(&self, samples: &[Sample]) -> f64 {
        let per_payment = |from: Instant, to: Instant, requests: u64| {
            let asked = samples
                .iter()
                .filter(|sample| sample.sent >= from && sample.sent < to)
                .count();
            requests as f64 / asked.max(1) as f64
        };
        let [began, died, _, settled, ended] = self.forwarded;
        let before = per_payment(self.began, self.died, died - began);
        let after = per_payment(self.settled, self.ended, ended - settled);
        after / before.max(1e-9)
    }
}
