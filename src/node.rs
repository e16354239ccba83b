//! One running node: the data folder, the adapters behind the ports, and the supervised platform on top.

pub(crate) mod beside;
mod caches;
pub(crate) mod notary;
pub(crate) mod shards;

use crate::ownership;
use crate::providers::Providers;
use crate::replica::Replicas;
use crate::shard_folders;
use crate::vault::Vault;
use anyhow::{Context as _, bail};
use beside::Beside;
use caches::Caches;
use florin_actors::context::{Fatal, NoProbe, Ports};
use florin_actors::offload::BlockingThreads;
use florin_adapters::cache::CachedCards;
use florin_adapters::clock::SystemClock;
use florin_adapters::data_dir::DataDir;
use florin_adapters::entropy::OsEntropy;
use florin_adapters::integrity::unfinished;
use florin_adapters::postgres::Lease;
use florin_adapters::provider_keys::HmacProviderKeys;
use florin_adapters::secret_file;
use florin_adapters::secrets::Book;
use florin_adapters::snapshots::FileSnapshots;
use florin_config::Settings;
use florin_domain::ports::{Ownership, PaymentLinks, Secrets, SharedLimits};
use florin_supervisors::platform::Platform;
use indicatif::{ProgressBar, ProgressStyle};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use notary::Signing;
use shards::Shard;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A running node. The folder stays locked as long as it lives.
pub(crate) struct Node {
    pub(crate) platform: Platform,
    pub(crate) metrics: PrometheusHandle,
    /// What merchants have at providers.
    pub(crate) secrets: Arc<dyn Secrets>,
    pub(crate) book: Arc<Book>,
    /// Customers and saved cards.
    pub(crate) cards: Arc<CachedCards>,
    /// Links under which customers pay.
    pub(crate) links: Arc<dyn PaymentLinks>,
    /// Where limits are shared with the node that had the shards before, and with the next one.
    pub(crate) shared_limits: Option<Arc<dyn SharedLimits>>,
    /// What makes the shards ours; let go of when the node stops.
    ownership: Arc<dyn Ownership>,
    lease: Option<Lease>,
    /// Before those that sign, which let the journals go: each copies what is left, if its disk answers.
    _replicating: Replicas,
    /// Before the folders: each signs a last time, and then its folder is let go.
    _signing: Vec<Signing>,
    /// One for each shard.
    _data: Vec<DataDir>,
}

impl Node {
    /// Whether what it has in memory is still the truth.
    pub(crate) fn ownership(&self) -> Arc<dyn Ownership> {
        Arc::clone(&self.ownership)
    }

    /// Lets running work end for at most so long, and then lets another process have the shards at once. How many operations were left.
    pub(crate) async fn stop(self, limit: Duration) -> usize {
        let Self {
            platform,
            lease,
            cards,
            links,
            _replicating: replicating,
            _signing: signing,
            _data: folders,
            ..
        } = self;
        let left = platform.drain(limit).await;
        drop((replicating, signing, folders, cards, links));
        if let Some(lease) = lease {
            lease.release().await;
        }
        left
    }
}

/// Ends the process: what failed must not go on, and the journal has everything that was promised.
#[derive(Debug)]
struct EndProcess;

/// The exit code of a failure that recovery mends (EX_SOFTWARE).
const EXIT_FATAL: i32 = 70;

impl Fatal for EndProcess {
    fn fail(&self, why: &str) {
        tracing::error!(
            why,
            "going on would be wrong; the process ends and the next start recovers"
        );
        std::process::exit(EXIT_FATAL);
    }
}

/// Seconds: from a tenth of a millisecond to the answer budget. Our own part of a payment has 0.2 at most as its goal, so that
/// is a line of its own.
const LATENCY_BUCKETS: [f64; 17] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0,
];
const BATCH_BUCKETS: [f64; 12] = [
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0,
];

/// Installs the process's metrics; the text is rendered by `/metrics`.
pub(crate) fn install_metrics() -> anyhow::Result<PrometheusHandle> {
    let metrics = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &LATENCY_BUCKETS)?
        .set_buckets_for_metric(Matcher::Suffix("_batch_commits".to_owned()), &BATCH_BUCKETS)?
        .install_recorder()?;
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        loop {
            ticks.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(metrics)
}

/// Deletes the views of a folder; the next start reads them back from the journal.
pub(crate) fn discard_views(folder: &Path) -> anyhow::Result<()> {
    let _held = DataDir::open(folder)?;
    for shard in shard_folders::present(folder)? {
        let views = DataDir::views_in(&shard_folders::folder(folder, shard));
        for suffix in ["", "-wal", "-shm"] {
            let mut file = views.clone().into_os_string();
            file.push(suffix);
            match std::fs::remove_file(&file) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).context("the views cannot be deleted"),
            }
        }
    }
    Ok(())
}

/// Opens the folder, recovers and starts the tree. Fails if another process has the shards.
pub(crate) async fn start(
    settings: &Settings,
    providers: Providers,
    metrics: PrometheusHandle,
) -> anyhow::Result<Node> {
    let ownership = ownership::Ownership::now(settings).await?;
    let started = start_with(settings, providers, metrics, (ownership, std::future::pending()));
    started.await?.context("nobody stops it")
}

/// The same with shards that are ours already. They are let go of if it fails, or if `stopped` ends first: then there is no node.
pub(crate) async fn start_with(
    settings: &Settings,
    providers: Providers,
    metrics: PrometheusHandle,
    (ownership, stopped): (ownership::Ownership, impl Future<Output = ()>),
) -> anyhow::Result<Option<Node>> {
    let started = tokio::select! {
        started = build(settings, providers, metrics, &ownership) => started.map(Some),
        why = ownership.lost() => Err(anyhow::anyhow!(why)),
        // What was begun by then is taken up by the next one, whoever that is.
        () = stopped => Ok(None),
    };
    let lost = ownership.lost();
    let lease = ownership.into_lease();
    match started {
        Ok(Some(node)) => {
            tokio::spawn(async move { EndProcess.fail(&lost.await) });
            Ok(Some(Node { lease, ..node }))
        }
        ended @ (Ok(None) | Err(_)) => {
            if let Some(lease) = lease {
                lease.release().await;
            }
            ended
        }
    }
}

/// Everything but the lease.
async fn build(
    settings: &Settings,
    providers: Providers,
    metrics: PrometheusHandle,
    ownership: &ownership::Ownership,
) -> anyhow::Result<Node> {
    let (folder, options) = (settings.data_dir.as_path(), settings.actors.clone());
    let data = DataDir::open(folder)?;
    if unfinished::is_noted(folder)? {
        bail!(
            "a repair of {} was interrupted, and some of it may be repaired and some not: run `florin repair --apply` again, until it says that \
             everything agrees; see docs/repair.md",
            folder.display()
        );
    }
    let (provider_keys, clock, entropy) = (
        Arc::new(provider_keys(settings)?),
        Arc::new(SystemClock::new()),
        Arc::new(OsEntropy::new()),
    );
    let book = Arc::clone(&providers.book);
    let terms = providers.terms.clone();
    let mirror = ownership.mirror();
    let vault = Vault::open(
        settings,
        terms,
        (Arc::clone(&clock) as _, mirror.as_ref()),
        Arc::clone(&book),
    )?;
    let Beside {
        cards,
        links,
        webhooks,
    } = Beside::open(settings, ownership, &providers, (&clock, &entropy))?;
    let caches = Caches::start(settings)?;
    let shards::Opened {
        shards,
        notaries,
        replicating,
        folders,
    } = shards::Opened::open(settings, ownership, data, &clock).await?;
    let ports = |Shard {
                     journal,
                     past,
                     stores,
                     snapshots,
                 }: Shard| {
        let (views, shown) = caches.views(stores.views);
        Ports {
            journal,
            past,
            transfers: Arc::clone(&stores.keys) as _,
            keys: stores.keys,
            shown,
            views,
            velocity: Arc::clone(&caches.velocity),
            snapshots: Arc::new(FileSnapshots::new(snapshots)),
            clock: Arc::clone(&clock) as _,
            entropy: Arc::clone(&entropy) as _,
            provider_keys: Arc::clone(&provider_keys) as _,
            providers: providers.ports.clone(),
            probe: Arc::new(NoProbe),
            fatal: Arc::new(EndProcess),
            offload: Arc::new(BlockingThreads),
            webhooks: webhooks.clone(),
        }
    };
    let mut shards: Vec<Ports> = shards.into_iter().map(ports).collect();
    let home = shards.remove(0);
    let bar = ProgressBar::hidden();
    bar.set_style(ProgressStyle::with_template(
        "recovering {bar:40} {pos}/{len} commits ({eta})",
    )?);
    let shown = bar.clone();
    let progress = move |done: u64, total: u64| {
        if total > 50_000 && shown.is_hidden() {
            shown.set_draw_target(indicatif::ProgressDrawTarget::stderr());
        }
        shown.set_length(total);
        shown.set_position(done);
    };
    let platform = Platform::start_shards(home, shards, options, &progress).await?;
    bar.finish_and_clear();
    vault.compare(&platform.context().directory.load().credentials)?;
    Ok(Node {
        platform,
        metrics,
        secrets: vault.secrets(),
        book,
        cards: caches.cards(cards),
        links,
        shared_limits: caches.limits,
        ownership: ownership.port(),
        lease: None,
        _replicating: replicating,
        _signing: notaries
            .into_iter()
            .map(|(notary, journal)| Signing::start(notary, journal, folder))
            .collect::<anyhow::Result<_>>()?,
        _data: folders,
    })
}

/// The keys under which providers are asked: of the configured secret, or of one in the data folder.
fn provider_keys(settings: &Settings) -> anyhow::Result<HmacProviderKeys> {
    if let Some(secret) = &settings.provider_key_secret {
        return Ok(HmacProviderKeys::new(secret.expose()));
    }
    let secret = secret_file::load_or_create(&settings.data_dir.join("provider_keys.secret"));
    Ok(HmacProviderKeys::new(
        &secret.context("the secret of the provider keys")?,
    ))
}
