//! A payment as the seed's code makes it: look for the key in Redis, then in the database; lock the key; look again; charge; write
//! everything in one serializable transaction; put the answer into Redis; unlock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fred::interfaces::ServerInterface;
use fred::prelude::{Builder, Client, ClientLike, Config, Expiration, KeysInterface, SetOptions, TcpConfig};
use tokio::sync::Mutex;

use crate::Fault;
use crate::books::{Connector, Found, Payment, Unwritten};

/// How long a lock is kept from others if whoever has it is gone.
const LOCK_S: i64 = 5;
/// How long an answer is kept beside the books.
const ANSWER_S: i64 = 24 * 3600;
/// How long a second request for the same key waits before it looks again.
const KEY_WAIT: Duration = Duration::from_millis(100);
/// The same for an account that another process has, and after a conflict: from the first to the longest. The seed would wait as long as
/// for a key.
const BACKOFF_FIRST: Duration = Duration::from_millis(1);
const BACKOFF_MAX: Duration = Duration::from_millis(16);

/// Enough that merchants seldom share one.
const QUEUES: usize = 1_024;

/// What is locked while a payment is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Locks {
    /// Its idempotency key; who meets at an account finds out from the database.
    Key,
    /// The same, and the merchant's account around the transaction.
    KeyAndAccount,
}

/// What the merchant is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) id: i64,
    pub(crate) amount_minor: i64,
    pub(crate) fee_minor: i64,
    pub(crate) status: String,
}

impl Answer {
    fn text(&self) -> String {
        let Self {
            id,
            amount_minor,
            fee_minor,
            status,
        } = self;
        let net = amount_minor - fee_minor;
        format!(
            r#"{{"object":"payment","id":{id},"status":"{status}","amount":{amount_minor},"fee":{fee_minor},"net":{net},"currency":"USD","provider":"instant"}}"#
        )
    }

    fn read(text: &str) -> Result<Self, Fault> {
        let read: serde_json::Value = serde_json::from_str(text)?;
        let number = |name: &str| {
            read[name]
                .as_i64()
                .ok_or_else(|| format!("the answer has no `{name}`"))
        };
        Ok(Self {
            id: number("id")?,
            amount_minor: number("amount")?,
            fee_minor: number("fee")?,
            status: read["status"].as_str().unwrap_or_default().to_owned(),
        })
    }
}

impl From<Found> for Answer {
    fn from(found: Found) -> Self {
        Self {
            id: found.id,
            amount_minor: found.amount_minor,
            fee_minor: found.fee_minor,
            status: found.status,
        }
    }
}

impl From<&Payment> for Answer {
    fn from(payment: &Payment) -> Self {
        Self {
            id: payment.id,
            amount_minor: payment.amount_minor,
            fee_minor: payment.fee_minor,
            status: "succeeded".to_owned(),
        }
    }
}

/// The service with its pools.
pub(crate) struct Service {
    redis: Client,
    books: bb8::Pool<Connector>,
    locks: Locks,
    /// In front of the locks of accounts.
    queues: Vec<Mutex<()>>,
    /// Transactions that were made again because another one was in the way.
    conflicts: AtomicU64,
    /// How often a lock was somebody else's.
    refused_locks: AtomicU64,
    turn: AtomicU64,
}

impl Service {
    /// With so many connections to the database, all open, and one to Redis, which takes commands of everybody without waiting for answers.
    pub(crate) async fn connect(
        (database, redis): (&str, &str),
        locks: Locks,
        connections: u32,
    ) -> Result<Self, Fault> {
        let client = Builder::from_config(Config::from_url(redis)?)
            .with_connection_config(|config| {
                config.tcp = TcpConfig {
                    nodelay: Some(true),
                    ..TcpConfig::default()
                };
            })
            .build()?;
        client.init().await?;
        let books = bb8::Pool::builder()
            .max_size(connections)
            .min_idle(Some(connections))
            // No round trip more for a question that a failed statement answers.
            .test_on_check_out(false)
            .connection_timeout(Duration::from_mins(1))
            .build(Connector(database.to_owned()))
            .await?;
        Ok(Self {
            redis: client,
            books,
            locks,
            queues: (0..QUEUES).map(|_| Mutex::new(())).collect(),
            conflicts: AtomicU64::new(0),
            refused_locks: AtomicU64::new(0),
            turn: AtomicU64::new(0),
        })
    }

    /// Makes the payment, or answers what was answered to its key before.
    pub(crate) async fn pay(&self, payment: &Payment) -> Result<Answer, Fault> {
        let answered = format!("idempotency:{}", payment.key);
        let lock = format!("lock:idempotency:{}", payment.key);
        loop {
            if let Some(text) = self.redis.get::<Option<String>, _>(&answered).await? {
                return Answer::read(&text);
            }
            let found = self
                .books
                .get()
                .await
                .map_err(|error| error.to_string())?
                .find(&payment.key)
                .await?;
            if let Some(found) = found {
                let answer = Answer::from(found);
                self.remember(&answered, &answer).await?;
                return Ok(answer);
            }
            if !self.lock(&lock).await? {
                tokio::time::sleep(KEY_WAIT).await;
                continue;
            }
            let made = self.make(payment, &answered).await;
            if made.is_err() {
                self.redis.del::<(), _>(&lock).await?;
                return made;
            }
            // The answer is kept and the lock let go of in one round trip.
            let answer = made?;
            let both = self.redis.pipeline();
            let kept = Some(Expiration::EX(ANSWER_S));
            both.set::<(), _, _>(&answered, answer.text(), kept, None, false)
                .await?;
            both.del::<(), _>(&lock).await?;
            both.all::<fred::types::Value>().await?;
            return Ok(answer);
        }
    }

    async fn make(&self, payment: &Payment, answered: &str) -> Result<Answer, Fault> {
        if let Some(text) = self.redis.get::<Option<String>, _>(answered).await? {
            return Answer::read(&text);
        }
        charge(payment);
        if self.locks == Locks::Key {
            return self.write(payment).await;
        }
        let account = format!("lock:account:{}", payment.merchant);
        // Those of this process queue, so that none of them asks Redis for what another one has.
        let queue = &self.queues[usize::try_from(payment.merchant)? % QUEUES];
        let _first = queue.lock().await;
        let mut backoff = Backoff::new(&self.turn);
        while !self.lock(&account).await? {
            self.refused_locks.fetch_add(1, Ordering::Relaxed);
            backoff.wait().await;
        }
        let written = self.write(payment).await;
        self.redis.del::<(), _>(&account).await?;
        written
    }

    async fn write(&self, payment: &Payment) -> Result<Answer, Fault> {
        let mut backoff = Backoff::new(&self.turn);
        loop {
            let written = {
                let mut books = self.books.get().await.map_err(|error| error.to_string())?;
                books.write(payment).await
            };
            match written {
                Ok(()) => return Ok(Answer::from(payment)),
                Err(Unwritten::Failed(fault)) => return Err(fault),
                Err(Unwritten::Conflict) => {
                    self.conflicts.fetch_add(1, Ordering::Relaxed);
                    backoff.wait().await;
                }
            }
        }
    }

    /// Whether the lock is ours now.
    async fn lock(&self, name: &str) -> Result<bool, Fault> {
        let token = self.turn.fetch_add(1, Ordering::Relaxed).to_string();
        let kept = Some(Expiration::EX(LOCK_S));
        let answer: Option<String> = self
            .redis
            .set(name, token, kept, Some(SetOptions::NX), false)
            .await?;
        Ok(answer.is_some())
    }

    async fn remember(&self, answered: &str, answer: &Answer) -> Result<(), Fault> {
        let kept = Some(Expiration::EX(ANSWER_S));
        Ok(self
            .redis
            .set::<(), _, _>(answered, answer.text(), kept, None, false)
            .await?)
    }

    /// Nothing of what was before.
    pub(crate) async fn forget_all(&self) -> Result<(), Fault> {
        Ok(self.redis.flushall::<()>(false).await?)
    }

    /// How many keys Redis has: answers, and locks that were left.
    pub(crate) async fn keys(&self) -> Result<u64, Fault> {
        Ok(self.redis.dbsize().await?)
    }

    /// What the server is.
    pub(crate) async fn redis_version(&self) -> Result<String, Fault> {
        let all: String = self.redis.info(None).await?;
        let line = all.lines().find_map(|line| line.strip_prefix("redis_version:"));
        Ok(line.unwrap_or("?").trim().to_owned())
    }

    pub(crate) fn conflicts(&self) -> u64 {
        self.conflicts.load(Ordering::Relaxed)
    }

    pub(crate) fn refused_locks(&self) -> u64 {
        self.refused_locks.load(Ordering::Relaxed)
    }
}

/// The provider of `florin bench engine`: approves everything at once, inside the process.
fn charge(payment: &Payment) {
    std::hint::black_box(&payment.reference);
}

/// Waits longer each time, and not as long as others.
struct Backoff<'a> {
    longest: Duration,
    turn: &'a AtomicU64,
}

impl<'a> Backoff<'a> {
    fn new(turn: &'a AtomicU64) -> Self {
        Self {
            longest: BACKOFF_FIRST,
            turn,
        }
    }

    /// Between a half and the whole of the longest.
    async fn wait(&mut self) {
        let part = scattered(self.turn.fetch_add(1, Ordering::Relaxed)) % 512;
        let half = self.longest / 2;
        tokio::time::sleep(half + half * u32::try_from(part).unwrap_or(0) / 512).await;
        self.longest = (self.longest * 2).min(BACKOFF_MAX);
    }
}

/// Neighbours go far apart, and no two become the same (a round of SplitMix64).
pub(crate) const fn scattered(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
