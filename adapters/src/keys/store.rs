//! The keys on disk: one keyspace per bucket of first use, and the watermark, which is written in the same atomic batch as
//! the keys below it. An older state of the store is therefore a shorter prefix, never one with holes.

use super::overlay::{Entry, Used};
use super::{bucket_of, check_kept, first_kept, oldest_valid, unexpired};
use fjall::config::{
    BloomConstructionPolicy, FilterPolicy, FilterPolicyEntry, PartitioningPolicy, PinningPolicy,
};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use florin_domain::idempotency::{Fingerprint, KeyDigest};
use florin_domain::ids::{PaymentId, Seq};
use florin_domain::ledger::Once;
use florin_domain::ports::{KeyRecord, ReadError};
use florin_domain::time::Timestamp;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{PoisonError, RwLock};
use thiserror::Error;

/// Of the records below; another one is not read but rebuilt.
const FORMAT: u8 = 1;
const META: &str = "meta";
const META_KEY: &[u8] = b"watermark";
const BUCKET_PREFIX: &str = "keys-";
/// The ids of transfers and their reverts, which are used once and for ever.
const TRANSFERS: &str = "transfers";
const RECORD_BYTES: usize = 40;
const META_BYTES: usize = 17;

/// Small enough to look through quickly, and to replay quickly at the next start.
const MEMTABLE_BYTES: u64 = 16 * 1024 * 1024;
const LOG_BYTES_MAX: u64 = 128 * 1024 * 1024;

#[derive(Debug, Error)]
enum OpenError {
    /// What is there cannot be used, and is not worth keeping.
    #[error("damaged: {0}")]
    Damaged(String),
    /// Perhaps nothing is wrong with what is there.
    #[error("{0}")]
    Store(String),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{AlreadyExists, InvalidData, NotFound, UnexpectedEof};
        if matches!(
            error.kind(),
            AlreadyExists | InvalidData | NotFound | UnexpectedEof
        ) {
            Self::Damaged(error.to_string())
        } else {
            Self::Store(error.to_string())
        }
    }
}

impl From<fjall::Error> for OpenError {
    fn from(error: fjall::Error) -> Self {
        use fjall::{Error, LsmError};
        match error {
            Error::Io(error) | Error::Storage(LsmError::Io(error)) => error.into(),
            Error::Locked => Self::Store("another process has the key index open".to_owned()),
            Error::Poisoned => Self::Store(error.to_string()),
            other => Self::Damaged(other.to_string()),
        }
    }
}

pub(super) fn failed(error: &fjall::Error) -> ReadError {
    ReadError::Store(format!("key index: {error}"))
}

/// The kept buckets, newest first.
struct Buckets {
    /// Keys of older buckets may be gone.
    first: u64,
    kept: Vec<(u64, Keyspace)>,
}

/// How far the store has come.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    watermark: Seq,
    newest_used: Timestamp,
}

impl Progress {
    fn encode(self) -> [u8; META_BYTES] {
        let mut bytes = [FORMAT; META_BYTES];
        bytes[1..9].copy_from_slice(&self.watermark.0.to_be_bytes());
        bytes[9..].copy_from_slice(&self.newest_used.unix_ms().to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (format, rest) = bytes.split_first()?;
        let (watermark, newest_used) = rest.split_first_chunk::<8>()?;
        let newest_used = u64::from_be_bytes(newest_used.try_into().ok()?);
        (*format == FORMAT).then_some(Self {
            watermark: Seq(u64::from_be_bytes(*watermark)),
            newest_used: Timestamp::from_unix_ms(newest_used),
        })
    }
}

fn encode(record: &KeyRecord) -> [u8; RECORD_BYTES] {
    let mut bytes = [0; RECORD_BYTES];
    bytes[..16].copy_from_slice(&record.payment.bits().to_be_bytes());
    bytes[16..32].copy_from_slice(&record.fingerprint.0);
    bytes[32..].copy_from_slice(&record.used_at.unix_ms().to_be_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<KeyRecord> {
    let (payment, rest) = bytes.split_first_chunk::<16>()?;
    let (fingerprint, used_at) = rest.split_first_chunk::<16>()?;
    Some(KeyRecord {
        payment: PaymentId::from_bits(u128::from_be_bytes(*payment)),
        fingerprint: Fingerprint(*fingerprint),
        used_at: Timestamp::from_unix_ms(u64::from_be_bytes(used_at.try_into().ok()?)),
    })
}

/// The id of a transfer as it is; its revert, and the id of an alert, under one byte more: no id of a transfer is ever in their place.
#[derive(Debug)]
struct OnceKey {
    bytes: [u8; 17],
    len: usize,
}

impl OnceKey {
    fn of(once: Once) -> Self {
        let (id, kind, len) = match once {
            Once::Transfer(id) => (id.0, 0, 16),
            Once::RevertOf(id) => (id.0, b'r', 17),
            Once::Alert(id) => (id.0, b'a', 17),
        };
        let mut bytes = [kind; 17];
        bytes[..16].copy_from_slice(&id.to_be_bytes());
        Self { bytes, len }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

fn bucket_options() -> KeyspaceCreateOptions {
    // Nearly every look-up is a miss, and a miss must not touch the disk: all filters stay in memory, whole.
    let precise = FilterPolicyEntry::Bloom(BloomConstructionPolicy::FalsePositiveRate(0.0001));
    let compact = FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(10.0));
    KeyspaceCreateOptions::default()
        .max_memtable_size(MEMTABLE_BYTES)
        .filter_policy(FilterPolicy::new([precise, compact]))
        .filter_block_partitioning_policy(PartitioningPolicy::all(false))
        .filter_block_pinning_policy(PinningPolicy::all(true))
}

fn bucket_name(bucket: u64) -> String {
    format!("{BUCKET_PREFIX}{bucket}")
}

/// The keys on disk.
pub(super) struct Store {
    database: Database,
    meta: Keyspace,
    transfers: Keyspace,
    buckets: RwLock<Buckets>,
}

/// What the writing thread remembers between batches.
#[derive(Debug)]
pub(super) struct StoreWriter {
    progress: Progress,
}

impl StoreWriter {
    pub(super) fn watermark(&self) -> Seq {
        self.progress.watermark
    }
}

impl Store {
    /// Opens the store, or starts an empty one in place of what cannot be used.
    pub(super) fn open(dir: &Path, cache_bytes: u64) -> Result<(Self, StoreWriter), ReadError> {
        let opened = Self::open_existing(dir, cache_bytes).or_else(|error| match error {
            OpenError::Damaged(why) => {
                tracing::warn!(dir = %dir.display(), why, "the key index starts anew");
                fs::remove_dir_all(dir)?;
                Self::open_existing(dir, cache_bytes)
            }
            OpenError::Store(_) => Err(error),
        });
        opened.map_err(|error| ReadError::Store(format!("key index: {error}")))
    }

    fn open_existing(dir: &Path, cache_bytes: u64) -> Result<(Self, StoreWriter), OpenError> {
        fs::create_dir_all(dir)?;
        let database = Database::builder(dir)
            .worker_threads(1)
            .cache_size(cache_bytes)
            .max_journaling_size(LOG_BYTES_MAX)
            .open()?;
        let meta = database.keyspace(META, KeyspaceCreateOptions::default)?;
        let transfers = database.keyspace(TRANSFERS, bucket_options)?;
        let progress = match meta.get(META_KEY)? {
            None => Progress::default(),
            Some(bytes) => {
                Progress::decode(&bytes).ok_or_else(|| OpenError::Damaged("watermark".to_owned()))?
            }
        };
        let mut kept = Vec::new();
        for name in database.list_keyspace_names() {
            let bucket = name
                .strip_prefix(BUCKET_PREFIX)
                .and_then(|number| number.parse().ok());
            if let Some(bucket) = bucket {
                kept.push((bucket, database.keyspace(&name, bucket_options)?));
            }
        }
        kept.sort_by_key(|(bucket, _): &(u64, Keyspace)| std::cmp::Reverse(*bucket));
        let store = Self {
            database,
            meta,
            transfers,
            buckets: RwLock::new(Buckets { first: 0, kept }),
        };
        store.expire(progress)?;
        Ok((store, StoreWriter { progress }))
    }

    /// The record of a key, if a bucket has it and it is not expired.
    pub(super) fn lookup(&self, digest: KeyDigest, now: Timestamp) -> Result<Option<KeyRecord>, ReadError> {
        let buckets = self.buckets.read().unwrap_or_else(PoisonError::into_inner);
        check_kept(now, buckets.first)?;
        let oldest = oldest_valid(now);
        for (_, keys) in buckets.kept.iter().take_while(|(bucket, _)| *bucket >= oldest) {
            if let Some(bytes) = keys.get(digest.0).map_err(|error| failed(&error))? {
                let record = decode(&bytes)
                    .ok_or_else(|| ReadError::Store("key index: a record is malformed".to_owned()))?;
                return Ok(unexpired(record, now));
            }
        }
        Ok(None)
    }

    /// The commit that recorded a transfer, or the revert of one.
    pub(super) fn transfer(&self, once: Once) -> Result<Option<Seq>, ReadError> {
        let found = self.transfers.get(OnceKey::of(once).as_bytes());
        let Some(bytes) = found.map_err(|error| failed(&error))? else {
            return Ok(None);
        };
        let seq = bytes.as_ref().try_into().map(u64::from_be_bytes);
        let malformed = |_| ReadError::Store("key index: a transfer is malformed".to_owned());
        seq.map(|seq| Some(Seq(seq))).map_err(malformed)
    }

    /// Writes keys and the watermark that they reach, all or nothing; then lets expired buckets go.
    pub(super) fn write(
        &self,
        writer: &mut StoreWriter,
        entries: &[Entry],
        watermark: Seq,
    ) -> Result<(), fjall::Error> {
        let newest_in_batch = entries
            .iter()
            .filter_map(|entry| match &entry.used {
                Used::Key(_, record) => Some(record.used_at),
                Used::Transfer(_) => None,
            })
            .max()
            .unwrap_or_default();
        let progress = Progress {
            watermark,
            newest_used: writer.progress.newest_used.max(newest_in_batch),
        };
        let mut batch = self.database.batch();
        let mut current: Option<(u64, Keyspace)> = None;
        for entry in entries {
            let (digest, record) = match &entry.used {
                Used::Key(digest, record) => (digest, record),
                Used::Transfer(once) => {
                    let key = OnceKey::of(*once);
                    batch.insert(&self.transfers, key.as_bytes(), entry.seq.0.to_be_bytes());
                    continue;
                }
            };
            let bucket = bucket_of(record.used_at);
            if bucket < first_kept(writer.progress.newest_used) {
                continue;
            }
            let keys = match current.take() {
                Some((number, keys)) if number == bucket => keys,
                _ => self.bucket(bucket)?,
            };
            batch.insert(&keys, digest.0, encode(record));
            current = Some((bucket, keys));
        }
        batch.insert(&self.meta, META_KEY, progress.encode());
        batch.commit()?;
        if first_kept(progress.newest_used) > first_kept(writer.progress.newest_used) {
            // Deleting a bucket is durable at once, so what justifies it must be as well.
            self.persist()?;
            self.expire(progress)?;
        }
        writer.progress = progress;
        Ok(())
    }

    /// The keyspace of a bucket, made when its first key comes.
    fn bucket(&self, bucket: u64) -> Result<Keyspace, fjall::Error> {
        let find = |buckets: &Buckets| {
            buckets
                .kept
                .iter()
                .find(|(number, _)| *number == bucket)
                .map(|(_, keys)| keys.clone())
        };
        if let Some(keys) = find(&self.buckets.read().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(keys);
        }
        let keys = self.database.keyspace(&bucket_name(bucket), bucket_options)?;
        let mut buckets = self.buckets.write().unwrap_or_else(PoisonError::into_inner);
        let place = buckets.kept.partition_point(|(number, _)| *number > bucket);
        buckets.kept.insert(place, (bucket, keys.clone()));
        Ok(keys)
    }

    /// Deletes the buckets in which every key is expired.
    fn expire(&self, progress: Progress) -> Result<(), fjall::Error> {
        let first = first_kept(progress.newest_used);
        let expired = {
            let mut buckets = self.buckets.write().unwrap_or_else(PoisonError::into_inner);
            buckets.first = buckets.first.max(first);
            let place = buckets.kept.partition_point(|(number, _)| *number >= first);
            buckets.kept.split_off(place)
        };
        for (_, keys) in expired {
            self.database.delete_keyspace(keys)?;
        }
        Ok(())
    }

    /// Makes everything written so far durable.
    pub(super) fn persist(&self) -> Result<(), fjall::Error> {
        self.database.persist(PersistMode::SyncAll)
    }

    #[cfg(test)]
    pub(super) fn bucket_numbers(&self) -> Vec<u64> {
        let buckets = self.buckets.read().unwrap_or_else(PoisonError::into_inner);
        buckets.kept.iter().map(|(number, _)| *number).collect()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}
