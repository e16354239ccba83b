//! Owns which process has the shards: taken in a new epoch, renewed by the database's clock, lost when another one has taken them.
//!
//! What keeps two processes apart is the epoch, which every append compares. The lease only says when somebody else may take the shards,
//! and when this process should stop answering from memory that may be old.

use super::{Database, DatabaseError, Link, Outcome};
use crate::clock::SystemClock;
use crate::entropy::OsEntropy;
use florin_domain::ids::{Epoch, Seq, ShardId};
use florin_domain::ports::{Clock as _, Entropy as _, Head, Ownership};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_postgres::types::Type;

/// Renewals that fit into a lease: two may be lost on the way.
const RENEWALS: u32 = 3;

/// After so much of its time a lease counts as over here, though not yet in the database: clocks do not run alike.
const TRUSTED_TENTHS: u32 = 8;

/// How a process presents itself, and for how long it asks.
#[derive(Clone, Debug)]
pub struct LeaseTerms {
    /// What the operators call the node.
    pub node: String,
    /// Where its API answers, for those who ask another node.
    pub url: String,
    /// How long another process must wait after this one was last heard of.
    pub ttl: Duration,
}

/// Another process that has the shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Names the process.
    pub owner: String,
    /// What its operators call the node.
    pub node: String,
    /// Where its API answers.
    pub url: String,
    /// Until it may be robbed, unless it renews.
    pub left: Duration,
    /// When that was heard.
    heard: Instant,
}

/// A shard as it was when it was taken.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Which one.
    pub shard: ShardId,
    /// Where its journal ends, and the epoch that is now ours.
    pub head: Head,
    /// The last batch that was appended.
    pub(crate) last_batch: Option<u128>,
}

/// The shards are ours, as long as this is renewed, which it is until it is dropped.
#[derive(Debug)]
pub struct Lease {
    owner: String,
    database: Database,
    trust: Arc<Trust>,
    lost: watch::Receiver<Option<String>>,
    renewing: JoinHandle<()>,
}

/// Until when this process may believe that nobody else has taken the shards.
#[derive(Debug)]
struct Trust {
    began: Instant,
    until_ms: AtomicU64,
    is_over: AtomicBool,
}

impl Trust {
    fn from(asked: Instant, ttl: Duration) -> Self {
        let trust = Self {
            began: asked,
            until_ms: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        };
        trust.extend(asked, ttl);
        trust
    }

    /// By a renewal that was asked for at that time, and granted later.
    fn extend(&self, asked: Instant, ttl: Duration) {
        let until = asked.duration_since(self.began) + ttl * TRUSTED_TENTHS / 10;
        let until_ms = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        self.until_ms.fetch_max(until_ms, Ordering::AcqRel);
    }

    /// For good, whatever a renewal on its way comes to.
    fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    fn holds(&self) -> bool {
        !self.is_over.load(Ordering::Acquire) && self.now_ms() < self.until_ms.load(Ordering::Acquire)
    }

    /// Whether it has been over for so long: whoever has lived on without an answer must end, since others may have gone on long ago.
    fn is_over_by(&self, more: Duration) -> bool {
        let more_ms = u64::try_from(more.as_millis()).unwrap_or(u64::MAX);
        self.now_ms() >= self.until_ms.load(Ordering::Acquire).saturating_add(more_ms)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Lease {
    /// Takes all the shards in a new epoch, or says who has one of them.
    pub async fn take(
        database: &Database,
        shards: &[ShardId],
        terms: &LeaseTerms,
    ) -> Result<Result<(Self, Vec<Taken>), Holder>, DatabaseError> {
        let last = last_shard(database).await?;
        let count = i32::try_from(shards.len()).unwrap_or(i32::MAX);
        if let Some(last) = last.filter(|last| *last >= count) {
            return Err(database.unfit(format!(
                "it has a shard {last}: `journal.shards` must be at least {}",
                last.saturating_add(1)
            )));
        }
        Self::take_from(database, shards, terms, epoch_min()).await
    }

    /// Some of them, in the epoch after the last.
    #[cfg(test)]
    pub(crate) async fn take_some(
        database: &Database,
        shards: &[ShardId],
        terms: &LeaseTerms,
    ) -> Result<Result<(Self, Vec<Taken>), Holder>, DatabaseError> {
        Self::take_from(database, shards, terms, 0).await
    }

    /// The same in an epoch of at least that number, though there may be other shards.
    async fn take_from(
        database: &Database,
        shards: &[ShardId],
        terms: &LeaseTerms,
        epoch_min: i64,
    ) -> Result<Result<(Self, Vec<Taken>), Holder>, DatabaseError> {
        let ids: Vec<i32> = shards.iter().map(|shard| i32::from(shard.0)).collect();
        // Whoever waits looks often, and must not lock what others append to.
        if let Some(holder) = holder(database, &ids).await? {
            return Ok(Err(holder));
        }
        let owner = format!(
            "{:016x}{:016x}",
            OsEntropy::new().next_u64(),
            OsEntropy::new().next_u64()
        );
        let asked = Instant::now();
        let ttl_ms = millis(terms.ttl);
        let take = "SELECT shard, epoch, head, hash, batch_id FROM florin.take_shards($1, $2, $3, $4, $5, $6) ORDER BY shard";
        let types = [
            Type::INT4_ARRAY,
            Type::TEXT,
            Type::TEXT,
            Type::TEXT,
            Type::INT8,
            Type::INT8,
        ];
        let parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
            &[&ids, &owner, &terms.node, &terms.url, &ttl_ms, &epoch_min];
        let mut link = database.link().await.map_err(|why| unreachable(database, why))?;
        let limit = database.options().statement_timeout * 2;
        // Heard like an append: with the heads that it answers everything before them is acknowledged.
        let rows = match tokio::time::timeout(limit, link.call(take, &types, parameters)).await {
            Ok(Outcome::Done(rows)) => rows,
            Ok(Outcome::Failed(_, why)) => return Err(database.unfit(why)),
            Err(_) => return Err(unreachable(database, "it does not answer".to_owned())),
        };
        drop(link);
        if rows.is_empty() {
            let holder = holder(database, &ids).await?;
            return Ok(Err(holder.unwrap_or_else(Holder::gone)));
        }
        let taken = rows.iter().map(taken).collect::<Option<Vec<_>>>();
        let taken = taken.ok_or_else(|| database.unfit("a row of `florin.shard` is damaged".to_owned()))?;
        Ok(Ok((
            Self::hold(database.clone(), owner, taken.len(), (asked, terms.ttl)),
            taken,
        )))
    }

    fn hold(database: Database, owner: String, shards: usize, (asked, ttl): (Instant, Duration)) -> Self {
        let trust = Arc::new(Trust::from(asked, ttl));
        let (tell, lost) = watch::channel(None);
        let renewing = Renewing {
            database: database.clone(),
            owner: owner.clone(),
            shards,
            ttl,
            trust: Arc::clone(&trust),
        };
        Self {
            owner,
            database,
            trust,
            lost,
            renewing: tokio::spawn(async move {
                let why = renewing.until_lost().await;
                tell.send_replace(Some(why));
            }),
        }
    }

    /// What the database calls this process.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// Whether nobody else can have taken the shards yet, as far as this process can know. Asked before anything is answered from memory.
    pub fn is_held(&self) -> bool {
        self.trust.holds()
    }

    /// The same, for whoever answers.
    pub fn trusted(&self) -> Trusted {
        Trusted(Arc::clone(&self.trust))
    }

    /// Waits until another process has taken them, and says so.
    pub fn lost(&self) -> impl Future<Output = String> + Send + 'static {
        let mut lost = self.lost.clone();
        async move {
            let told = lost.wait_for(Option::is_some).await;
            let told = told.ok().and_then(|told| told.clone());
            match told {
                Some(why) => why,
                // Let go of on purpose: nothing is lost.
                None => std::future::pending().await,
            }
        }
    }

    /// Lets go of them, so that nobody has to wait. Whatever appends must have ended.
    pub async fn release(mut self) {
        self.renewing.abort();
        self.trust.end();
        // Ended, whichever way.
        drop((&mut self.renewing).await);
        let_go(&self.database, &self.owner).await;
    }

    /// The same for a process that must end at once, whatever still goes on in it: nobody believes it any more, and nobody waits for the end of
    /// the lease. What it appends until then is recorded, or fenced off by whoever takes the shards.
    pub fn letting_go(&self) -> impl Future<Output = ()> + Send + 'static {
        let (trust, database, owner) = (Arc::clone(&self.trust), self.database.clone(), self.owner.clone());
        async move {
            trust.end();
            let_go(&database, &owner).await;
        }
    }
}

async fn let_go(database: &Database, owner: &str) {
    let released = async {
        let client = database.lend().await?;
        let release = "SELECT 1 FROM florin.release_shards($1)";
        client.rows(release, &[&owner]).await
    };
    let limit = database.options().statement_timeout;
    let released = match tokio::time::timeout(limit, released).await {
        Ok(released) => released,
        Err(_) => Err("the database does not answer".to_owned()),
    };
    if let Err(error) = released {
        tracing::warn!(error, "the lease could not be let go of, and runs out by itself");
    }
}

/// What the API asks, which outlives the lease.
#[derive(Debug)]
pub struct Trusted(Arc<Trust>);

impl Ownership for Trusted {
    fn is_ours(&self) -> bool {
        self.0.holds()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

impl Holder {
    /// Whether it is the process that had them at that earlier look, and has more time than is left of what it had then, by half of what a renewal
    /// gives: it lives.
    pub fn has_renewed_since(&self, earlier: &Self, ttl: Duration) -> bool {
        let elapsed = self.heard.duration_since(earlier.heard);
        let expected = earlier.left.saturating_sub(elapsed) + ttl / (2 * RENEWALS);
        self.owner == earlier.owner && self.left > expected
    }

    /// Whoever had them when we asked, and has them no longer.
    fn gone() -> Self {
        Self {
            owner: String::new(),
            node: String::new(),
            url: String::new(),
            left: Duration::ZERO,
            heard: Instant::now(),
        }
    }
}

/// What renews.
struct Renewing {
    database: Database,
    owner: String,
    shards: usize,
    ttl: Duration,
    trust: Arc<Trust>,
}

impl Renewing {
    /// Renews until another process is found to have them.
    async fn until_lost(self) -> String {
        let mut ticks = tokio::time::interval(self.ttl / RENEWALS);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        ticks.tick().await;
        let mut link: Option<Link> = None;
        loop {
            ticks.tick().await;
            let asked = Instant::now();
            // No longer than until the next one is due, which has a connection of its own then.
            let renewed = tokio::time::timeout(self.ttl / RENEWALS, self.renew(&mut link)).await;
            match renewed.unwrap_or_else(|_| Err("the database does not answer".to_owned())) {
                Ok(shards) if usize::try_from(shards) == Ok(self.shards) => {
                    self.trust.extend(asked, self.ttl);
                }
                Ok(shards) => {
                    self.trust.end();
                    return format!(
                        "another process has taken the shards: {shards} of {} are still ours",
                        self.shards
                    );
                }
                Err(error) => {
                    link = None;
                    if self.trust.is_over_by(self.ttl) {
                        return format!("nobody has heard of this process for too long: {error}");
                    }
                    tracing::warn!(error, "the lease could not be renewed; it is tried again");
                }
            }
        }
    }

    async fn renew(&self, link: &mut Option<Link>) -> Result<i64, String> {
        let live = match link.take().filter(|link| !link.is_closed()) {
            Some(live) => live,
            None => self.database.link().await?,
        };
        let live = link.insert(live);
        let sql = "SELECT florin.renew_shards($1, $2)";
        let ttl_ms = millis(self.ttl);
        match live
            .call(sql, &[Type::TEXT, Type::INT8], &[&self.owner, &ttl_ms])
            .await
        {
            Outcome::Done(rows) => Ok(rows.first().map_or(0, |row| row.get(0))),
            Outcome::Failed(_, why) => Err(why),
        }
    }
}

fn unreachable(database: &Database, why: String) -> DatabaseError {
    DatabaseError::Unreachable {
        place: database.place().to_owned(),
        why,
    }
}

/// The highest number of a shard that was ever taken.
async fn last_shard(database: &Database) -> Result<Option<i32>, DatabaseError> {
    let client = database.lend().await.map_err(|why| unreachable(database, why))?;
    let last = client.value("SELECT max(id) FROM florin.shard", &[]).await;
    last.map_err(|why| unreachable(database, why))
}

/// Who has one of the shards, if the time of whoever has it is not over.
async fn holder(database: &Database, ids: &[i32]) -> Result<Option<Holder>, DatabaseError> {
    let client = database.lend().await.map_err(|why| unreachable(database, why))?;
    let who = "SELECT owner, node, url, (extract(epoch FROM lease_until - clock_timestamp()) * 1000)::bigint
               FROM florin.shard WHERE id = ANY ($1) AND lease_until > clock_timestamp() ORDER BY lease_until DESC LIMIT 1";
    let row = client
        .row(who, &[&ids])
        .await
        .map_err(|why| unreachable(database, why))?;
    Ok(row.map(|row| Holder {
        owner: row.get(0),
        node: row.get(1),
        url: row.get(2),
        left: Duration::from_millis(row.get::<_, i64>(3).max(0).cast_unsigned()),
        heard: Instant::now(),
    }))
}

/// Milliseconds since 1970: whatever history a failover has lost, no epoch of it is given again.
pub(super) fn epoch_min() -> i64 {
    SystemClock::new().now().unix_ms().cast_signed()
}

fn taken(row: &tokio_postgres::Row) -> Option<Taken> {
    let (epoch, seq): (i64, i64) = (row.get(1), row.get(2));
    let batch: Option<Vec<u8>> = row.get(4);
    let last_batch = batch.map(<[u8; 16]>::try_from).transpose().ok()?;
    Some(Taken {
        shard: ShardId(u16::try_from(row.get::<_, i32>(0)).ok()?),
        head: Head {
            seq: Seq(seq.cast_unsigned()),
            hash: row.get::<_, Vec<u8>>(3).try_into().ok()?,
            epoch: Epoch(epoch.cast_unsigned()),
        },
        last_batch: last_batch.map(u128::from_be_bytes),
    })
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
