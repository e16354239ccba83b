//! `florin bench overload`: what becomes of three times the load that the providers can take. Capacity is set by permits: 100 at a
//! time, 50 ms each, so 2,000 payments a second. First as much as that is measured, then payments are sent on a schedule at three
//! times the rate. What is refused is refused at once and costs nothing; what is accepted must not wait.

use super::http::{cpu_ns, drive, keys, options};
use super::instant_provider::SlowProvider;
use super::setup::{self, Folder};
use super::{BenchArguments, Measured};
use crate::edge;
use crate::node;
use crate::providers::Providers;
use florin_actors::options::ProviderCaps;
use florin_load::payment_source::PaymentSource;
use florin_load::report::BenchReport;
use florin_load::socket_load::{LoadOptions, Pace};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long the provider takes.
const PROVIDER_TIME: Duration = Duration::from_millis(50);
/// How much more is asked than can be done.
const OVERLOAD: u32 = 3;

/// Measures the peak, then the overload.
pub(super) async fn report(
    arguments: &BenchArguments,
    metrics: metrics_exporter_prometheus::PrometheusHandle,
) -> anyhow::Result<BenchReport> {
    let folder = Folder::new(&arguments.data_dir)?;
    let mut settings = setup::settings(&folder)?;
    settings.actors.provider_terms.caps = ProviderCaps {
        permits: 100,
        queue_max: 50,
    };
    settings.listen.set_port(0);
    settings.rates.requests_per_s = 0;
    let node = node::start(
        &settings,
        Providers::of(vec![Arc::new(SlowProvider::new(PROVIDER_TIME)?)]),
        metrics,
    )
    .await?;
    let keys = keys(&node).await?;
    let api = edge::serve(&node, &settings, false)?;
    let (target, seconds) = (api.local_addr(), Duration::from_secs(arguments.seconds));

    let permits = settings.actors.provider_terms.caps.permits;
    // As many callers as permits and a few that are about to get one: nobody is refused.
    let peak = LoadOptions {
        connections: permits + permits / 4,
        ..options(arguments, target, seconds / 2)
    };
    let peak = drive(peak, PaymentSource::new("peak", &keys)?, arguments.seconds / 2).await?;
    let peak_per_s = per_s(peak.statuses.ok, peak.elapsed);

    let capacity = u32::try_from(permits)? * 1000 / u32::try_from(PROVIDER_TIME.as_millis())?;
    let overload = LoadOptions {
        pace: Pace::OpenLoop {
            rate_per_s: OVERLOAD * capacity,
        },
        connections: arguments.connections.max(1024),
        ..options(arguments, target, seconds)
    };
    let commits = || node.platform.context().figures.commits.load(Ordering::Relaxed);
    let commits_before = commits();
    let load = drive(overload, PaymentSource::new("over", &keys)?, arguments.seconds).await?;
    let measured = Measured {
        elapsed: load.elapsed,
        cpu_ns: cpu_ns(&load),
        failed: load.statuses.unanswered + load.statuses.client_error,
        latencies: load.ok_latencies.clone(),
    };
    let mut report = setup::report(&node, "overload", &measured).await?;
    "in-process, 50 ms, 100 at a time".clone_into(&mut report.provider);
    report.commits_per_payment = per(commits().saturating_sub(commits_before), load.statuses.ok);
    report.goodput_ratio = Some(per_s(load.statuses.ok, load.elapsed) / peak_per_s);
    report.refused_per_s = Some(per_s(load.statuses.server_error, load.elapsed));
    let provider_us = u64::try_from(PROVIDER_TIME.as_micros())?;
    report.own_p99_us = Some(load.ok_latencies.p99_us().saturating_sub(provider_us));
    report.server_cpu_us = load.server_cpu_us_per_request;
    report.generator_cpu_us = load.generator_cpu_us_per_request;
    api.stop().await?;
    node.platform.drain(Duration::from_secs(5)).await;
    Ok(report)
}

#[expect(clippy::cast_precision_loss, reason = "a measured figure")]
fn per(count: u64, of: u64) -> f64 {
    count as f64 / of.max(1) as f64
}

#[expect(clippy::cast_precision_loss, reason = "a measured figure")]
fn per_s(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64().max(1e-9)
}
