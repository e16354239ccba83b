//! `florin bench http` and `full`: payments over real sockets, beside a bare JSON echo with the same generator, connections and
//! workers in the same run.

use super::instant_provider::InstantProvider;
use super::setup::{self, Folder};
use super::{BenchArguments, Measured};
use crate::node::Node;
use crate::providers::Providers;
use crate::{control, edge, node};
use anyhow::Context as _;
use florin_api::server::ApiOptions;
use florin_config::Settings;
use florin_domain::ids::ShardId;
use florin_domain::merchant::ApiKeyRole;
use florin_load::echo_server::EchoServer;
use florin_load::echo_source::EchoSource;
use florin_load::load_report::LoadReport;
use florin_load::payment_source::PaymentSource;
use florin_load::progress::Progress;
use florin_load::report::BenchReport;
use florin_load::request_source::RequestSource;
use florin_load::socket_load::{self, Bound, LoadOptions, Pace};
use florin_sandbox::{Options as SandboxOptions, Sandbox, SandboxHandle};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What stands behind the provider port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum World {
    /// Nothing: the port answers at once.
    Instant,
    /// The sandbox, over real sockets.
    Sandbox,
}

/// Merchants, each with a key of its own.
const MERCHANTS: usize = 64;

/// Measures the echo, then payments at full speed, then their latency at half of it.
pub(super) async fn report(
    arguments: &BenchArguments,
    world: World,
    metrics: metrics_exporter_prometheus::PrometheusHandle,
) -> anyhow::Result<BenchReport> {
    let workers = match arguments.http_workers {
        0 => ApiOptions::default().workers,
        workers => workers,
    };
    let seconds = Duration::from_secs(arguments.seconds);
    let echo = echo(arguments, workers, seconds / 3).await?;

    let folder = Folder::new(&arguments.data_dir)?;
    let mut settings = setup::settings(&folder)?;
    settings.http.workers = workers;
    settings.listen.set_port(0);
    // What is measured is the platform, and a few keys ask more than any caller would.
    settings.rates.requests_per_s = 0;
    let sandbox = sandbox(world, &mut settings).await?;
    let providers = match world {
        World::Instant => Providers::of(vec![Arc::new(InstantProvider::new()?)]),
        World::Sandbox => crate::providers::providers(&settings, true)?,
    };
    let node = node::start(&settings, providers, metrics).await?;
    let keys = keys(&node).await?;
    let api = edge::serve(&node, &settings, false)?;
    let target = api.local_addr();

    let closed = options(arguments, target, seconds);
    let load = drive(closed, PaymentSource::new("full", &keys)?, arguments.seconds).await?;
    let measured = Measured {
        elapsed: load.elapsed,
        cpu_ns: cpu_ns(&load),
        failed: load.statuses.errors(),
        latencies: load.latencies.clone(),
    };
    let mut report = setup::report(&node, "http", &measured).await?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate far below 2^32"
    )]
    let rate_per_s = (load.requests_per_s / 2.0).max(1.0) as u32;
    let half = LoadOptions {
        pace: Pace::OpenLoop { rate_per_s },
        ..options(arguments, target, seconds / 2)
    };
    let half = drive(half, PaymentSource::new("half", &keys)?, arguments.seconds / 2).await?;
    report.half_load_p99_us = Some(half.p99_us);
    report.echo_ratio = Some(load.requests_per_s / echo.requests_per_s);
    report.server_cpu_us = load.server_cpu_us_per_request;
    report.generator_cpu_us = load.generator_cpu_us_per_request;
    if world == World::Sandbox {
        "full".clone_into(&mut report.bench);
        "sandbox over sockets".clone_into(&mut report.provider);
    }

    api.stop().await?;
    node.platform.drain(Duration::from_secs(5)).await;
    if let Some(sandbox) = sandbox {
        sandbox.stop().await?;
    }
    Ok(report)
}

async fn sandbox(world: World, settings: &mut Settings) -> anyhow::Result<Option<SandboxHandle>> {
    if world == World::Instant {
        return Ok(None);
    }
    // The usual permits; all connections may wait for them, since throughput is measured and not how load is refused.
    settings.actors.provider_terms.caps = florin_actors::options::ProviderCaps {
        permits: 100,
        queue_max: settings.actors.admission.in_flight_max,
    };
    std::fs::create_dir_all(&settings.data_dir)?;
    let folder = settings.data_dir.join("sandbox");
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let sandbox = Sandbox::start(SandboxOptions::new(anywhere, Some(folder))).await?;
    settings.sandbox_bound(sandbox.local_addr());
    Ok(Some(sandbox))
}

pub(super) async fn keys(node: &Node) -> anyhow::Result<Vec<String>> {
    let mut keys = Vec::with_capacity(MERCHANTS);
    for number in 0..MERCHANTS {
        let platform = &node.platform;
        let merchant = control::create_merchant(
            platform,
            ShardId::FIRST,
            &format!("Merchant {number}"),
            control::standard_fee()?,
        )
        .await?;
        let role = ApiKeyRole::Merchant(merchant);
        let secret = control::new_secret(platform, role, false)?;
        control::create_key(platform, role, false, &secret).await?;
        keys.push(secret);
    }
    Ok(keys)
}

async fn echo(arguments: &BenchArguments, workers: usize, time: Duration) -> anyhow::Result<LoadReport> {
    let server = EchoServer::start(workers)?;
    let report = drive(
        options(arguments, server.addr(), time),
        EchoSource::new(),
        time.as_secs(),
    )
    .await?;
    tokio::task::spawn_blocking(move || server.stop()).await??;
    anyhow::ensure!(report.statuses.errors() == 0, "the echo refused requests");
    Ok(report)
}

pub(super) fn options(arguments: &BenchArguments, target: SocketAddr, time: Duration) -> LoadOptions {
    LoadOptions {
        connections: arguments.connections,
        ..LoadOptions::new(target, Bound::Duration(time))
    }
}

pub(super) async fn drive<S: RequestSource + Clone + 'static>(
    options: LoadOptions,
    source: S,
    seconds: u64,
) -> anyhow::Result<LoadReport> {
    let progress = Arc::new(Progress::default());
    let watched = Arc::clone(&progress);
    let bar = setup::progress_bar(seconds)?;
    let load = tokio::task::spawn_blocking(move || socket_load::run(&options, &progress, |_| source.clone()));
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    while !load.is_finished() {
        ticks.tick().await;
        bar.set_position(u64::try_from(bar.elapsed().as_millis())?);
        bar.set_message(format!(
            "{} answered, {} refused",
            watched.answered(),
            watched.failed()
        ));
    }
    bar.finish_and_clear();
    load.await
        .context("the generator ended early")?
        .context("the load could not be made")
}

/// CPU of everything in this process during a run, the generator included.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a figure"
)]
pub(super) fn cpu_ns(load: &LoadReport) -> u64 {
    let per_request =
        load.server_cpu_us_per_request.unwrap_or(0.0) + load.generator_cpu_us_per_request.unwrap_or(0.0);
    (per_request * 1000.0 * load.requests as f64) as u64
}
