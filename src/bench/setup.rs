//! What all benchmarks share: a folder of their own, settings, a progress bar, and the report.

use super::Measured;
use crate::node::Node;
use anyhow::Context as _;
use florin_actors::options::ProviderCaps;
use florin_actors::projection::ProjectionMail;
use florin_config::{Mode, Settings};
use florin_load::report::BenchReport;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// A folder that is deleted when the bench ends, however it ends.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Refuses a folder that exists: it might be somebody's journal.
    pub(super) fn new(path: &Path) -> anyhow::Result<Self> {
        anyhow::ensure!(
            !path.exists(),
            "{} exists; choose another --data-dir",
            path.display()
        );
        Ok(Self(path.to_owned()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::debug!(%error, "the bench folder could not be deleted");
        }
    }
}

/// The defaults, in the bench's folder, with a permit for every operation in flight: the port has no latency to bound.
pub(super) fn settings(folder: &Folder) -> anyhow::Result<Settings> {
    settings_with(folder, &[])
}

/// The same with some settings besides, each under the name of its variable.
pub(super) fn settings_with(folder: &Folder, more: &[(String, String)]) -> anyhow::Result<Settings> {
    let mut settings = Settings::load(None, more, Mode::Dev)?;
    folder.path().clone_into(&mut settings.data_dir);
    settings.actors.terms_of_providers.clear();
    settings.actors.provider_terms.caps = ProviderCaps {
        permits: settings.actors.admission.in_flight_max,
        queue_max: 0,
    };
    Ok(settings)
}

/// A bar over the seconds of a run.
pub(super) fn progress_bar(seconds: u64) -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:40} {msg}")?;
    Ok(ProgressBar::new(seconds * 1000).with_style(style))
}

/// Turns what was measured into a report, once the views have caught up.
pub(super) async fn report(node: &Node, bench: &str, measured: &Measured) -> anyhow::Result<BenchReport> {
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
        journal: None,
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
        half_load_p99_us: None,
        server_cpu_us: None,
        generator_cpu_us: None,
        uniform_ratio: None,
        goodput_ratio: None,
        refused_per_s: None,
        own_p99_us: None,
        errors: Some(measured.failed),
        memory: None,
    };
    Ok(report)
}
