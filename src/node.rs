//! One running node: the data folder, the adapters behind the ports, and the supervised platform on top.

use crate::notary::{self, Signing};
use crate::replica::Replicas;
use crate::shard_folders;
use crate::vault::{self, Vault};
use crate::webhooks;
use anyhow::{Context as _, bail};
use florin_actors::context::{Fatal, NoProbe, Ports};
use florin_actors::offload::BlockingThreads;
use florin_actors::options::Options;
use florin_adapters::card_vault::{CardsLater, NoCards};
use florin_adapters::clock::SystemClock;
use florin_adapters::data_dir::DataDir;
use florin_adapters::entropy::OsEntropy;
use florin_adapters::integrity::{lost, unfinished};
use florin_adapters::journal::SqliteJournal;
use florin_adapters::keys::{FjallKeyIndex, KeyIndexOptions};
use florin_adapters::payment_links::{self, LinkStore};
use florin_adapters::provider_keys::HmacProviderKeys;
use florin_adapters::providers::adyen::{AdyenConfig, AdyenNotices, AdyenProvider, ApiKey, HmacKey};
use florin_adapters::providers::stripe::{
    SecretKey, StripeConfig, StripeNotices, StripeProvider, WebhookSecret,
};
use florin_adapters::providers::{Keeping, Readers};
use florin_adapters::secret_file;
use florin_adapters::secrets::{Book, Terms};
use florin_adapters::snapshots::FileSnapshots;
use florin_adapters::views::{SqliteViews, ViewsOptions};
use florin_config::{ProviderKind, Settings};
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::{
    CardVault, Clock, Entropy, Journal as _, NoticeReader, PaymentLinks, Provider, Secrets,
};
use florin_domain::provider::ProviderId;
use florin_supervisors::platform::Platform;
use indicatif::{ProgressBar, ProgressStyle};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::collections::HashMap;
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
    pub(crate) cards: Arc<dyn CardVault>,
    /// Links under which customers pay.
    pub(crate) links: Arc<dyn PaymentLinks>,
    /// Before those that sign, which let the journals go: each copies what is left, if its disk answers.
    _replicating: Replicas,
    /// Before the folders: each signs a last time, and then its folder is let go.
    _signing: Vec<Signing>,
    /// One for each shard.
    _data: Vec<DataDir>,
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

/// The configured providers, in order of preference. Development takes no credentials of real money.
pub(crate) fn providers(settings: &Settings, development: bool) -> anyhow::Result<Providers> {
    let (book, cards) = (Arc::new(Book::default()), Arc::new(CardsLater::default()));
    let provider = |configured: &florin_config::ProviderSettings| -> anyhow::Result<Arc<dyn Provider>> {
        // The stage's limit holds for every provider; a provider may be given less.
        let request_timeout = configured
            .request_timeout
            .min(settings.actors.stages.authorization);
        let keeping = Keeping {
            connections_max: configured.keeping.connections_max,
            connections_for: configured.keeping.connections_for,
            addresses_for: configured.keeping.addresses_for,
        };
        match configured.kind {
            ProviderKind::Adyen => {
                let adyen = configured.adyen.as_ref().context("the merchant account")?;
                let key = ApiKey::new(configured.secret_key.expose());
                let account = adyen.merchant_account.as_str();
                let mut config = AdyenConfig::new(configured.base_url.clone(), account, key);
                config.request_timeout = request_timeout;
                config.keeping = keeping;
                let provider = AdyenProvider::new(configured.id, config)?;
                let provider = provider.with_credentials(Arc::clone(&book));
                Ok(Arc::new(provider.with_cards(Arc::clone(&cards) as _)))
            }
            ProviderKind::Stripe => {
                let key = SecretKey::new(configured.secret_key.expose());
                let mut config = StripeConfig::new(configured.base_url.clone(), key);
                config.request_timeout = request_timeout;
                config.keeping = keeping;
                let provider = StripeProvider::new(configured.id, config)?;
                let provider = provider.with_credentials(Arc::clone(&book));
                Ok(Arc::new(provider.with_cards(Arc::clone(&cards) as _)))
            }
        }
    };
    Ok(Providers {
        ports: settings
            .providers
            .iter()
            .map(provider)
            .collect::<anyhow::Result<_>>()?,
        book,
        cards,
        terms: vault::terms(settings, development),
        tells_locally: Some(development),
    })
}

/// Whom payments may be charged at, and under what.
pub(crate) struct Providers {
    ports: Vec<Arc<dyn Provider>>,
    book: Arc<Book>,
    /// Opened when the node starts.
    cards: Arc<CardsLater>,
    terms: HashMap<ProviderId, Terms>,
    /// Merchants are told by webhooks, in development also on this machine. Without it nobody is.
    tells_locally: Option<bool>,
}

impl Providers {
    /// Some that take no credentials of merchants, on a node that tells nobody.
    pub(crate) fn of(ports: Vec<Arc<dyn Provider>>) -> Self {
        Self {
            ports,
            book: Arc::default(),
            cards: Arc::default(),
            terms: HashMap::new(),
            tells_locally: None,
        }
    }
}

/// Who reads what the configured providers send by themselves, to the platform and to merchants.
pub(crate) fn notices(
    settings: &Settings,
    book: &Arc<Book>,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Arc<dyn NoticeReader>> {
    let mut adyen = AdyenNotices::default().with_credentials(Arc::clone(book));
    let mut stripe = StripeNotices::new(clock).with_credentials(Arc::clone(book));
    for configured in &settings.providers {
        match (configured.kind, &configured.adyen) {
            (ProviderKind::Adyen, Some(account)) => {
                let key = HmacKey::from_hex(account.hmac_key.expose()).context("the HMAC key")?;
                adyen = adyen.with(configured.id, &account.merchant_account, key);
            }
            (ProviderKind::Stripe, _) => {
                let secrets = configured.webhook_secrets.iter();
                let secrets = secrets.map(|secret| WebhookSecret::new(secret.expose()));
                stripe = stripe.with(configured.id, configured.secret_key.expose(), secrets.collect());
            }
            (ProviderKind::Adyen, None) => {}
        }
    }
    let readers: Vec<Arc<dyn NoticeReader>> = vec![Arc::new(stripe), Arc::new(adyen)];
    Ok(Arc::new(Readers::new(readers)))
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

/// Opens the folder, recovers and starts the tree.
pub(crate) async fn start(
    settings: &Settings,
    providers: Providers,
    metrics: PrometheusHandle,
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
    let vault = Vault::open(settings, providers.terms, Arc::clone(&clock) as _, providers.book)?;
    let cards: Arc<dyn CardVault> =
        match vault::open_cards(settings, Arc::clone(&clock) as _, Arc::clone(&entropy) as _)? {
            Some(store) => {
                providers.cards.are(Arc::clone(&store) as _);
                store
            }
            None => Arc::new(NoCards),
        };
    let links = open_links(folder, Arc::clone(&clock) as _, Arc::clone(&entropy) as _)?;
    let webhooks = match providers.tells_locally {
        Some(allows_local) => Some(webhooks::open(settings, Arc::clone(&clock) as _, allows_local)?),
        None => None,
    };
    let (mut folders, mut notaries, mut shards) = (vec![data], Vec::new(), Vec::new());
    let mut replicating = Replicas::none();
    let all = shard_folders::all(
        folder,
        &settings.heads_folder(),
        settings.replica_dir.as_deref(),
        settings.shards,
    )?;
    for shard in all {
        // Before its journal is opened to be written.
        lost::forget_stop(folder, shard).context("the note of the last stop")?;
        if shard != ShardId::FIRST {
            folders.push(DataDir::open(shard_folders::folder(folder, shard))?);
        }
        let data = folders.last().context("the folder of the shard")?;
        let stores = Stores::open(data, shard, &options)?;
        never_before(&clock, &stores.journal, shard).await;
        notaries.push((
            notary::compare(settings, shard).await?,
            Arc::clone(&stores.journal),
        ));
        if let Some(replica) = &settings.replica_dir {
            replicating.start(replica, data.path(), shard, &stores.journal)?;
        }
        shards.push(Ports {
            journal: stores.journal,
            transfers: Arc::clone(&stores.keys) as _,
            keys: stores.keys,
            views: Arc::new(stores.views),
            snapshots: Arc::new(FileSnapshots::new(data.snapshots())),
            clock: Arc::clone(&clock) as _,
            entropy: Arc::clone(&entropy) as _,
            provider_keys: Arc::clone(&provider_keys) as _,
            providers: providers.ports.clone(),
            probe: Arc::new(NoProbe),
            fatal: Arc::new(EndProcess),
            offload: Arc::new(BlockingThreads),
            webhooks: webhooks.clone(),
        });
    }
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
        cards,
        links,
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

/// The store of payment links. The data folder must be ours.
fn open_links(
    folder: &Path,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> anyhow::Result<Arc<dyn PaymentLinks>> {
    let file = payment_links::file_in(folder);
    Ok(Arc::new(LinkStore::open(Some(&file), (clock, entropy))?))
}

/// Time goes on from the last commit, also where the system's clock was set back: what was put in force or retired then stays before
/// what happens now.
async fn never_before(clock: &SystemClock, journal: &SqliteJournal, shard: ShardId) {
    // What cannot be read here is told of by the recovery.
    let Ok(head) = journal.head(shard).await else {
        return;
    };
    let last = journal.read(shard, head.seq, 1).await.unwrap_or_default();
    if let Some(commit) = last.first().filter(|_| head.seq != Seq::ZERO) {
        let behind_ms = clock.not_before(commit.at);
        if behind_ms > CLOCK_SLACK_MS {
            tracing::warn!(
                behind_ms,
                "the system's clock is behind the journal: time goes on from the last commit until the clock has caught up"
            );
        }
    }
}

/// What clocks are off that nobody need look at.
const CLOCK_SLACK_MS: u64 = 1_000;

/// What a shard keeps in its folder.
struct Stores {
    journal: Arc<SqliteJournal>,
    keys: Arc<FjallKeyIndex>,
    views: SqliteViews,
}

impl Stores {
    fn open(data: &DataDir, shard: ShardId, options: &Options) -> anyhow::Result<Self> {
        // The index stops the journal only far beyond the lag at which admission stops new work.
        let keys = KeyIndexOptions {
            lag_commits_max: options.admission.index_lag_max + 2 * options.internal_capacity() as u64,
            ..KeyIndexOptions::default()
        };
        let keys = Arc::new(FjallKeyIndex::open(&data.keys(), keys)?);
        Ok(Self {
            keys,
            journal: Arc::new(SqliteJournal::open(data.path(), shard)?),
            views: SqliteViews::open(&data.views(), &ViewsOptions::default())?,
        })
    }
}
