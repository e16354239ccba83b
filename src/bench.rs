//! `florin bench`: how fast this machine is, and what each payment costs.

mod engine;
mod instant_provider;

use crate::node::{self, Node};
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use engine::EngineLoad;
use florin_actors::options::ProviderCaps;
use florin_actors::projection::ProjectionMail;
use florin_config::{Mode, Settings};
use florin_domain::ids::{MerchantId, ShardId, compose};
use florin_load::histogram::Histogram;
use florin_load::report::BenchReport;
use indicatif::{ProgressBar, ProgressStyle};
use instant_provider::InstantProvider;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Which part is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bench {
    /// Payments without HTTP, over many merchants.
    Engine,
    /// One merchant's account against many.
    HotKey,
}

/// How it is measured.
#[derive(Args, Clone, Debug)]
pub(crate) struct BenchArguments {
    /// Which part
    #[arg(value_enum)]
    bench: Bench,
    /// Seconds of load
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Callers at the same time
    #[arg(long, default_value_t = 1024)]
    clients: usize,
    /// Merchants that payments are spread over
    #[arg(long, default_value_t = 1000)]
    merchants: usize,
    /// Folder for the journal; deleted afterwards. Must be on the disk to be measured
    #[arg(long, default_value = "florin-bench-data")]
    data_dir: PathBuf,
    /// Commits in one journal batch
    #[arg(long)]
    batch_commits_max: Option<usize>,
    /// Ends with one line of JSON
    #[arg(long)]
    json: bool,
}

/// What a run gave.
#[derive(Debug)]
struct Measured {
    latencies: Histogram,
    elapsed: Duration,
    cpu_ns: u64,
    failed: u64,
}

/// Runs a benchmark and prints its table.
pub(crate) async fn run(arguments: BenchArguments) -> anyhow::Result<()> {
    let metrics = node::install_metrics()?;
    let report = match arguments.bench {
        Bench::Engine => engine_report(&arguments, arguments.merchants, metrics).await?,
        Bench::HotKey => {
            let uniform = engine_report(&arguments, arguments.merchants, metrics.clone()).await?;
            let mut hot = engine_report(&arguments, 1, metrics).await?;
            hot.bench = "hot-key".to_owned();
            hot.uniform_ratio = Some(hot.payments_per_s / uniform.payments_per_s);
            hot
        }
    };
    let mut out = std::io::stdout().lock();
    report.write_table(&mut out)?;
    if arguments.json {
        use std::io::Write;
        writeln!(out, "{}", report.to_json_line()?)?;
    }
    Ok(())
}

/// A folder that is deleted when the bench ends, however it ends.
struct BenchFolder<'a>(&'a Path);

impl Drop for BenchFolder<'_> {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(self.0) {
            tracing::debug!(%error, "the bench folder could not be deleted");
        }
    }
}

async fn engine_report(
    arguments: &BenchArguments,
    merchants: usize,
    metrics: metrics_exporter_prometheus::PrometheusHandle,
) -> anyhow::Result<BenchReport> {
    if arguments.data_dir.exists() {
        anyhow::bail!("{} exists; choose another --data-dir", arguments.data_dir.display());
    }
    let folder = BenchFolder(&arguments.data_dir);
    let mut settings = Settings::load(None, &[], Mode::Dev)?;
    settings.data_dir.clone_from(&arguments.data_dir);
    settings.actors.provider_caps = ProviderCaps { permits: settings.actors.admission.in_flight_max };
    if let Some(max) = arguments.batch_commits_max {
        settings.actors.batch_commits_max = max;
    }
    let provider = Arc::new(InstantProvider::new()?);
    let node = node::start(&settings, vec![provider], metrics).await?;
    let ids = (0..merchants.max(1) as u64)
        .map(|n| MerchantId::from_bits(compose(node.platform.context().ports.clock.now(), ShardId::FIRST, n)));
    let load = EngineLoad::new(node.platform.payments(), ids.collect(), &format!("m{merchants}"))?;
    let bar = ProgressBar::new(arguments.seconds * 1000)
        .with_style(ProgressStyle::with_template("{bar:40} {msg}")?);
    let measured = engine::run(&load, arguments, &bar).await?;
    bar.finish_and_clear();
    let report = report(&node, "engine", &measured).await?;
    node.platform.drain(Duration::from_secs(5)).await;
    drop(folder);
    Ok(report)
}

async fn report(node: &Node, bench: &str, measured: &Measured) -> anyhow::Result<BenchReport> {
    let context = node.platform.context();
    let figures = &context.figures;
    let lag_commits = context.lag.views();
    let began = Instant::now();
    let (reply, settled) = tokio::sync::oneshot::channel();
    context.projection.step(ProjectionMail::Settle(reply));
    settled.await.context("the projection ended")?;
    let catch_up = began.elapsed();
    let payments = measured.latencies.count().max(1);
    let commits = figures.commits.load(Ordering::Relaxed);
    #[expect(clippy::cast_precision_loss, reason = "measured figures")]
    let report = BenchReport {
        bench: bench.to_owned(),
        provider: "in-process, no latency".to_owned(),
        payments_per_s: payments as f64 / measured.elapsed.as_secs_f64(),
        p50_us: measured.latencies.p50_us(),
        p99_us: measured.latencies.p99_us(),
        p999_us: measured.latencies.p999_us(),
        cpu_us_per_payment: measured.cpu_ns as f64 / 1000.0 / payments as f64,
        commits_per_payment: commits as f64 / payments as f64,
        fsyncs: figures.batches.load(Ordering::Relaxed),
        views_lag_ms: u64::try_from(
            measured.elapsed.as_millis() * u128::from(lag_commits) / u128::from(commits.max(1)),
        )?,
        catch_up_s: catch_up.as_secs_f64(),
        echo_ratio: None,
        server_cpu_us: None,
        generator_cpu_us: None,
        uniform_ratio: None,
        errors: Some(measured.failed),
    };
    Ok(report)
}
