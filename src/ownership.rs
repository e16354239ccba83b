//! Who has the shards: this process, by the lock of its data folder or by a lease in a database; or another one, which is waited for.

use crate::vault;
use anyhow::{Context as _, bail};
use florin_adapters::audit::key::SigningKey;
use florin_adapters::data_dir::{DataDir, Undisputed};
use florin_adapters::entropy::OsEntropy;
use florin_adapters::journal_place;
use florin_adapters::mirror::MirrorIn;
use florin_adapters::postgres::{
    Database, DatabaseError, DatabaseOptions, Durability, Holder, Lease, LeaseTerms, Replica, Taken,
};
use florin_api::server::ApiOptions;
use florin_api::standby::{self, Owner};
use florin_config::Settings;
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::{Entropy as _, Ownership as OwnershipPort};
use std::net::TcpListener;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often a process that waits looks, at least: a lease may be let go of at any time.
const LOOK_EVERY_MAX: Duration = Duration::from_millis(500);

/// Why nobody takes the shards of a journal that is not the database's now.
const MOVED: &str = "the database's journal is being moved, or was moved into a data folder: end the move with `florin migrate-store` where it was begun, \
                     or move the journal back; see docs/postgresql.md";

/// What makes the shards ours.
pub(crate) enum Ownership {
    /// The journal is in the data folder.
    Folder,
    /// The journal is in a database.
    Lease(Box<Held>),
}

/// A database, and a standby of it.
type Servers = (Database, Option<Replica>);

/// Shards that were taken in a database.
pub(crate) struct Held {
    pub(crate) database: Database,
    /// What is asked for what decides nothing.
    pub(crate) replica: Option<Replica>,
    pub(crate) lease: Lease,
    pub(crate) taken: Vec<Taken>,
    /// Told by a store that must not go on.
    pub(crate) failed: watch::Sender<Option<String>>,
}

impl Held {
    fn new((database, replica): Servers, lease: Lease, taken: Vec<Taken>) -> Self {
        let (failed, _) = watch::channel(None);
        Self {
            database,
            replica,
            lease,
            taken,
            failed,
        }
    }
}

/// What came of asking for the shards.
enum Asked {
    Ours(Ownership),
    HeldBy(Box<Servers>, Holder),
}

impl Ownership {
    /// Takes the shards, or fails if another process has them.
    pub(crate) async fn now(settings: &Settings) -> anyhow::Result<Self> {
        match ask(settings).await? {
            Asked::Ours(ownership) => Ok(ownership),
            Asked::HeldBy(_, holder) => bail!(
                "the node `{}` has the shards, at {}, and is heard of: stop it first",
                holder.node,
                holder.url
            ),
        }
    }

    /// Takes the shards once nobody else has them. Until then whoever asks is told where the other process is. Nothing if `stopped` ends first.
    pub(crate) async fn when_free(
        settings: &Settings,
        stopped: impl Future<Output = ()>,
    ) -> anyhow::Result<Option<Self>> {
        let (servers, holder) = match ask(settings).await? {
            Asked::Ours(ownership) => return Ok(Some(ownership)),
            Asked::HeldBy(servers, holder) => (servers, holder),
        };
        let listen = settings.listen;
        let listener = TcpListener::bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
        let owner = Owner::default();
        owner.is_at(Some(&holder.url));
        let api = standby::serve(
            listener,
            owner.clone(),
            ApiOptions::default(),
            OsEntropy::new().next_u64(),
        )?;
        tracing::info!(
            address = %api.local_addr(), node = holder.node, url = holder.url,
            "another node has the shards; this one waits for them"
        );
        let ended = wait(settings, &servers, (&owner, holder), pin!(stopped)).await;
        let stopped = api.stop().await;
        let ended = match (ended, stopped) {
            (Ok(Some(held)), Err(error)) => {
                held.lease.release().await;
                return Err(error.into());
            }
            (ended, _) => ended,
        };
        ended.map(|held| held.map(|held| Self::Lease(Box::new(held))))
    }

    /// Whether a database has records of some shard.
    pub(crate) fn has_history(&self) -> bool {
        match self {
            Self::Folder => false,
            Self::Lease(held) => held.taken.iter().any(|taken| taken.head.seq != Seq::ZERO),
        }
    }

    /// Where the stores beside the journal are kept as well.
    pub(crate) fn mirror(&self) -> Option<MirrorIn> {
        match self {
            Self::Folder => None,
            Self::Lease(held) => {
                let first = held.taken.iter().find(|taken| taken.shard == ShardId::FIRST)?;
                Some(MirrorIn {
                    database: held.database.clone(),
                    epoch: first.head.epoch,
                    failed: held.failed.clone(),
                })
            }
        }
    }

    /// Waits until another process has taken the shards, or a store must not go on, and says so.
    pub(crate) fn lost(&self) -> impl Future<Output = String> + Send + 'static {
        let watched = match self {
            Self::Folder => None,
            Self::Lease(held) => Some((
                held.lease.lost(),
                held.failed.subscribe(),
                Box::pin(held.lease.letting_go()),
            )),
        };
        async move {
            let Some((lost, mut failed, letting_go)) = watched else {
                return std::future::pending().await;
            };
            let failed = async move {
                let told = failed.wait_for(Option::is_some).await;
                match told.ok().and_then(|told| told.clone()) {
                    // The shards are ours still, and another process may have them at once.
                    Some(why) => {
                        letting_go.await;
                        why
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                why = lost => why,
                why = failed => why,
            }
        }
    }

    /// What is let go of in the end.
    pub(crate) fn into_lease(self) -> Option<Lease> {
        match self {
            Self::Folder => None,
            Self::Lease(held) => Some(held.lease),
        }
    }

    /// What the API asks.
    pub(crate) fn port(&self) -> Arc<dyn OwnershipPort> {
        match self {
            Self::Folder => Arc::new(Undisputed),
            Self::Lease(held) => Arc::new(held.lease.trusted()),
        }
    }
}

fn terms(settings: &Settings) -> LeaseTerms {
    LeaseTerms {
        node: settings.database.node.clone(),
        url: settings.database.reached_at(settings.listen),
        ttl: settings.database.lease,
    }
}

fn shards(settings: &Settings) -> Vec<ShardId> {
    (0..settings.shards).map(ShardId).collect()
}

/// How a database is used as it is configured.
pub(crate) fn database_options(settings: &Settings, url: &str) -> DatabaseOptions {
    DatabaseOptions {
        connections_max: settings.database.connections_max,
        connect_timeout: settings.database.connect_timeout,
        statement_timeout: settings.database.statement_timeout,
        append_patience: settings.database.append_patience,
        ..DatabaseOptions::new(url)
    }
}

/// The configured database, which must fit.
pub(crate) async fn database(settings: &Settings) -> anyhow::Result<Database> {
    let url = settings
        .database
        .url
        .as_ref()
        .context("`database.url` is not set")?;
    let options = database_options(settings, url.expose());
    let durability = if settings.database.needs_synchronous_standby {
        Durability::Replicated
    } else {
        Durability::Local
    };
    Ok(Database::open(options, durability).await?)
}

/// The configured standby of it, which must be one.
async fn replica(settings: &Settings, database: &Database) -> anyhow::Result<Option<Replica>> {
    match &settings.database.replica_url {
        Some(url) => Ok(Some(Replica::open(url.expose(), database).await?)),
        None => Ok(None),
    }
}

/// Refuses a folder that could not open what other nodes of this database have sealed or signed.
pub(crate) async fn compare_secrets(
    settings: &Settings,
    database: &Database,
    folder: &Path,
) -> anyhow::Result<()> {
    let key = SigningKey::load_or_create(folder).context("the key that signs receipts")?;
    database
        .compare_secret("audit_key.secret", &key.public().to_string())
        .await?;
    let keks = vault::keks(settings)?;
    if let Some(error) = sealed(database, keks.is_some()).await? {
        return Err(error);
    }
    if let Some((_, keks)) = keks
        && let Some(kek) = keks.first()
    {
        let id = format!("{:016x}", u64::from_be_bytes(kek.id().0));
        database
            .compare_secret("key-encryption key (`secrets.kek_file`)", &id)
            .await?;
    }
    Ok(())
}

/// Takes the shards if nobody else has them. The folder is not locked here, but must not be another process's.
async fn ask(settings: &Settings) -> anyhow::Result<Asked> {
    let folder = DataDir::open(&settings.data_dir)?;
    if settings.database.url.is_none() {
        journal_place::bind(folder.path(), None)?;
        return Ok(Asked::Ours(Ownership::Folder));
    }
    let database = database(settings).await?;
    journal_place::bind(folder.path(), Some(&database.journal_id().await?))?;
    // Before the shards are taken: a node that could not open what the others have sealed must not take their place.
    compare_secrets(settings, &database, folder.path()).await?;
    drop(folder);
    let replica = replica(settings, &database).await?;
    Ok(
        match Lease::take(&database, &shards(settings), &terms(settings)).await? {
            Ok((lease, taken)) => {
                let held = Held::new((database, replica), lease, taken);
                Asked::Ours(Ownership::Lease(Box::new(held)))
            }
            Err(holder) if holder.is_move() => bail!(MOVED),
            Err(holder) => Asked::HeldBy(Box::new((database, replica)), holder),
        },
    )
}

/// What the database has that is sealed, for a node that has no key to open it.
async fn sealed(database: &Database, has_key: bool) -> Result<Option<anyhow::Error>, DatabaseError> {
    for (store, what) in [
        ("cards", "customers and cards"),
        ("webhooks", "webhook endpoints"),
        ("credentials", "credentials of merchants"),
    ] {
        if !has_key && database.has_rows(store).await? {
            let why = "there is no key to open them: set `secrets.kek_file`";
            return Ok(Some(anyhow::anyhow!("the database has {what}, and {why}")));
        }
    }
    Ok(None)
}

/// Asks again and again. A process of the same name that goes on renewing is a mistake of whoever configured both.
async fn wait(
    settings: &Settings,
    servers: &Servers,
    (owner, first): (&Owner, Holder),
    mut stopped: Pin<&mut impl Future<Output = ()>>,
) -> anyhow::Result<Option<Held>> {
    let (terms, shards) = (terms(settings), shards(settings));
    let database = &servers.0;
    let has_key = vault::keks(settings)?.is_some();
    let (mut last, mut renewals) = (first, 0_u32);
    loop {
        // Nowhere else: shards that are asked for must not be given to somebody who is gone.
        tokio::select! {
            () = tokio::time::sleep(last.left.clamp(Duration::from_millis(10), LOOK_EVERY_MAX)) => {}
            () = &mut stopped => return Ok(None),
        }
        // What is there now may have been sealed since this process began to wait.
        let asked = match sealed(database, has_key).await {
            Ok(Some(error)) => return Err(error),
            Ok(None) => Lease::take(database, &shards, &terms).await,
            Err(error) => Err(error),
        };
        let holder = match asked {
            Ok(Ok((lease, taken))) => {
                // Once more: until now others could.
                let error = match sealed(database, has_key).await {
                    Ok(error) => error,
                    Err(error) => Some(error.into()),
                };
                if let Some(error) = error {
                    lease.release().await;
                    return Err(error);
                }
                tracing::info!(node = last.node, "the shards are ours now");
                return Ok(Some(Held::new(servers.clone(), lease, taken)));
            }
            Ok(Err(holder)) if holder.is_move() => bail!(MOVED),
            Ok(Err(holder)) => holder,
            Err(error) => {
                tracing::warn!(%error, "the database cannot be asked for the shards; it is asked again");
                owner.is_at(None);
                continue;
            }
        };
        if holder.has_renewed_since(&last, terms.ttl) {
            renewals = renewals.saturating_add(1);
        }
        if holder.node == terms.node && !holder.node.is_empty() && renewals > 1 {
            bail!(
                "another process that calls itself `{}` has the shards, at {}, and lives: give each node a name of its own (`database.node`)",
                holder.node,
                holder.url
            );
        }
        owner.is_at(Some(holder.url.as_str()).filter(|url| !url.is_empty()));
        last = holder;
    }
}
