//! Owns looking at a journal's tables without owning the journal: beside the node that runs on them, or on a server that follows theirs.

use crate::journal::PAGE_BYTES_MAX;
use crate::journal::chain::{GENESIS, Hash, Verifier, damaged};
use crate::journal::walk::{Page, RawPage, RawRecord, StoredJournal, Walk};
use crate::postgres::{Database, DatabaseError, DatabaseOptions, ReadLink, Server, Unread};
use florin_domain::ids::{Epoch, Seq, ShardId};
use florin_domain::ports::{Head, ReadError};
use tokio_postgres::{Error, Row, Transaction};

/// Records that are read at once, fewer if they are large: each page is a transaction, which must not become long.
const PAGE: usize = 1024;

/// Hashes that are read at once.
const HASHES: usize = 8192;

const HEAD: &str = "SELECT epoch, head, hash FROM florin.shard WHERE id = $1";

const LINK: &str = "SELECT epoch, hash FROM florin.commit_record WHERE shard = $1 AND seq = $2";

const RECORDS: &str = "SELECT seq, epoch, hash, bytes FROM (
         SELECT seq, epoch, hash, bytes, sum(octet_length(bytes)) OVER (ORDER BY seq) - octet_length(bytes) AS before
         FROM florin.commit_record WHERE shard = $1 AND seq > $2 ORDER BY seq LIMIT $3
     ) AS page WHERE before <= $4 ORDER BY seq";

/// A journal's tables, for reading.
#[derive(Debug)]
pub struct JournalTables {
    link: ReadLink,
}

/// A head as it is stored.
type StoredHead = Option<(i64, i64, Vec<u8>)>;

impl JournalTables {
    /// Those of a node's own database.
    pub fn of(database: &Database) -> std::io::Result<Self> {
        Ok(Self {
            link: ReadLink::of(database)?,
        })
    }

    /// Those of a server, which must have some. A standby must be one: a server that takes writes by itself is a copy of nothing.
    pub fn open(options: &DatabaseOptions, server: Server) -> Result<Self, DatabaseError> {
        let tables = Self {
            link: ReadLink::open(options, server)?,
        };
        let refused = |why: String| match server {
            Server::Primary => DatabaseError::Unfit {
                place: tables.link.place().to_owned(),
                why,
            },
            Server::Standby => DatabaseError::ReplicaUnfit {
                place: tables.link.place().to_owned(),
                why,
            },
        };
        let found = tables.link.ask(async |state| {
            let sql = "SELECT to_regclass('florin.commit_record') IS NOT NULL, pg_is_in_recovery()";
            let row = state.query_one(sql, &[]).await?;
            Ok((row.try_get(0)?, row.try_get(1)?))
        });
        let (has_journal, follows): (bool, bool) = found.map_err(|unread| refused(said(unread)))?;
        if !has_journal {
            return Err(refused("it has no journal of Florin's".to_owned()));
        }
        if server == Server::Standby && !follows {
            return Err(refused(
                "it takes writes by itself, so it is no standby of the primary".to_owned(),
            ));
        }
        Ok(tables)
    }

    /// Hosts and ports, without anything secret.
    pub fn place(&self) -> &str {
        self.link.place()
    }

    /// Names the journal that is kept there.
    pub fn journal_id(&self) -> Result<String, ReadError> {
        self.ask(Seq::ZERO, async |state| {
            let row = state
                .query_one("SELECT id::text FROM florin.journal", &[])
                .await?;
            row.try_get(0)
        })
    }

    /// The shards that were ever taken.
    pub fn shards(&self) -> Result<Vec<ShardId>, ReadError> {
        let ids: Vec<i32> = self.ask(Seq::ZERO, async |state| {
            let sql = "SELECT array(SELECT id FROM florin.shard ORDER BY id)";
            state.query_one(sql, &[]).await?.try_get(0)
        })?;
        let number = |id: i32| {
            let why = || ReadError::Store(format!("a row of `florin.shard` is damaged: its id is {id}"));
            u16::try_from(id).map(ShardId).map_err(|_| why())
        };
        ids.into_iter().map(number).collect()
    }

    /// Asks; damage that the server itself reports is said to be behind `after`.
    fn ask<T>(
        &self,
        after: Seq,
        question: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, ReadError> {
        self.link.ask(question).map_err(|unread| match unread {
            Unread::Damaged(why) => damaged(after.next(), format!("the database cannot read it: {why}")),
            Unread::Failed(why) => ReadError::Store(why),
        })
    }

    fn link_at(&self, shard: ShardId, seq: Seq) -> Result<Option<(Epoch, Hash)>, ReadError> {
        let before = Seq(seq.0.saturating_sub(1));
        let found: Option<(i64, Vec<u8>)> = self.ask(before, async |state| {
            let row = state.query_opt(LINK, &[&id(shard), &position(seq)]).await?;
            row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
        })?;
        let Some((epoch, hash)) = found else {
            return Ok(None);
        };
        let hash = hash
            .try_into()
            .map_err(|_| damaged(seq, "the hash has not 32 bytes".to_owned()))?;
        Ok(Some((Epoch(epoch.cast_unsigned()), hash)))
    }

    /// The head and at most so many records after `after`, and whether there are more.
    fn read(&self, shard: ShardId, after: Seq, limit: usize) -> Result<(StoredHead, Vec<RawRecord>), Unread> {
        let (rows_max, bytes_max) = (count(limit), count(PAGE_BYTES_MAX));
        self.link.ask(async |state| {
            let head = stored_head(state, shard).await?;
            let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
                [&id(shard), &position(after), &rows_max, &bytes_max];
            let rows = state.query(RECORDS, &parameters).await?;
            let records: Result<_, Error> = rows.iter().map(record).collect();
            Ok((head, records?))
        })
    }

    /// The same one by one up to the record that the server cannot read.
    fn read_singly(&self, shard: ShardId, after: Seq) -> Result<(StoredHead, RawPage), ReadError> {
        let head = self.ask(after, async |state| stored_head(state, shard).await)?;
        let mut page = RawPage {
            records: Vec::new(),
            broken: None,
            is_last: false,
        };
        let mut last = after;
        while page.records.len() < PAGE {
            match self.read(shard, last, 1) {
                Ok((_, records)) if records.is_empty() => {
                    page.is_last = true;
                    break;
                }
                Ok((_, records)) => {
                    last = records.last().map_or(last, |record| record.seq);
                    page.records.extend(records);
                }
                Err(Unread::Damaged(why)) => {
                    let why = format!("the database cannot read it: {why}");
                    page.broken = Some(damaged(last.next(), why));
                    break;
                }
                Err(Unread::Failed(why)) => return Err(ReadError::Store(why)),
            }
        }
        Ok((head, page))
    }
}

impl StoredJournal for JournalTables {
    fn head(&self, shard: ShardId) -> Result<Head, ReadError> {
        as_head(self.ask(Seq::ZERO, async |state| stored_head(state, shard).await)?)
    }

    fn hash_at(&self, shard: ShardId, seq: Seq) -> Result<Option<[u8; 32]>, ReadError> {
        Ok(self.link_at(shard, seq)?.map(|(_, hash)| hash))
    }

    fn hashes(
        &self,
        shard: ShardId,
        after: Seq,
        until: Seq,
        visit: &mut dyn FnMut(Seq, &[u8; 32]),
    ) -> Result<(), ReadError> {
        let mut last = after;
        while last < until {
            let left = usize::try_from(until.0 - last.0).unwrap_or(HASHES);
            let limit = count(HASHES.min(left));
            let page: Vec<(i64, Vec<u8>)> = self.ask(last, async |state| {
                let sql = "SELECT seq, hash FROM florin.commit_record WHERE shard = $1 AND seq > $2 ORDER BY seq LIMIT $3";
                let rows = state.query(sql, &[&id(shard), &position(last), &limit]).await?;
                rows.iter()
                    .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
                    .collect()
            })?;
            if page.is_empty() {
                return Err(damaged(last.next(), "the record is missing".to_owned()));
            }
            for (seq, hash) in page {
                let (seq, expected) = (Seq(seq.cast_unsigned()), last.next());
                if seq != expected {
                    let why = format!("the record is missing; the next one is {seq}");
                    return Err(damaged(expected, why));
                }
                let hash: Hash = hash
                    .try_into()
                    .map_err(|_| damaged(seq, "the hash has not 32 bytes".to_owned()))?;
                visit(seq, &hash);
                last = seq;
            }
        }
        Ok(())
    }

    fn walk(&self, shard: ShardId, after: Seq) -> Result<Walk<'_>, ReadError> {
        let verifier = if after == Seq::ZERO {
            Verifier::after(shard, after, GENESIS, Epoch::default())
        } else {
            let link = self.link_at(shard, after)?;
            let (epoch, hash) = link.ok_or_else(|| damaged(after, "the record is missing".to_owned()))?;
            Verifier::after(shard, after, hash, epoch)
        };
        let head = self.head(shard)?;
        Ok(Walk::new(self, shard, verifier, head))
    }

    fn page(&self, shard: ShardId, after: Seq) -> Result<Page, ReadError> {
        let (head, raw) = match self.read(shard, after, PAGE) {
            Ok((head, records)) => (head, whole_page(records)),
            Err(Unread::Damaged(_)) => self.read_singly(shard, after)?,
            Err(Unread::Failed(why)) => return Err(ReadError::Store(why)),
        };
        Ok(Page {
            head: as_head(head)?,
            raw,
        })
    }

    fn raw(&self, shard: ShardId, after: Seq) -> RawPage {
        let page = match self.read(shard, after, PAGE) {
            Ok((_, records)) => Ok(whole_page(records)),
            Err(Unread::Damaged(_)) => self.read_singly(shard, after).map(|(_, page)| page),
            Err(Unread::Failed(why)) => Err(ReadError::Store(why)),
        };
        page.unwrap_or_else(|error| RawPage {
            records: Vec::new(),
            broken: Some(error),
            is_last: true,
        })
    }

    fn has_other_shards(&self, _: ShardId) -> Result<bool, ReadError> {
        // One table has the records of all, under their numbers.
        Ok(false)
    }

    fn is_remote(&self) -> bool {
        true
    }
}

/// A page as the server gave it: the last one if it is not full.
fn whole_page(records: Vec<RawRecord>) -> RawPage {
    let bytes: usize = records.iter().map(|record| record.bytes.len()).sum();
    RawPage {
        is_last: records.len() < PAGE && bytes <= PAGE_BYTES_MAX,
        records,
        broken: None,
    }
}

async fn stored_head(state: &Transaction<'_>, shard: ShardId) -> Result<StoredHead, Error> {
    let row = state.query_opt(HEAD, &[&id(shard)]).await?;
    row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
        .transpose()
}

fn as_head(stored: StoredHead) -> Result<Head, ReadError> {
    let Some((epoch, seq, hash)) = stored else {
        return Ok(Head::default());
    };
    let seq = Seq(seq.cast_unsigned());
    let hash = hash
        .try_into()
        .map_err(|_| damaged(seq, "the head's hash has the wrong size".to_owned()))?;
    Ok(Head {
        seq,
        hash,
        epoch: Epoch(epoch.cast_unsigned()),
    })
}

fn record(row: &Row) -> Result<RawRecord, Error> {
    let (seq, epoch): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    Ok(RawRecord {
        seq: Seq(seq.cast_unsigned()),
        epoch: Epoch(epoch.cast_unsigned()),
        hash: row.try_get(2)?,
        bytes: row.try_get(3)?,
    })
}

fn said(unread: Unread) -> String {
    match unread {
        Unread::Damaged(why) | Unread::Failed(why) => why,
    }
}

fn id(shard: ShardId) -> i32 {
    i32::from(shard.0)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Seqs beyond 2^63, which no journal reaches, share the last place.
fn position(seq: Seq) -> i64 {
    i64::try_from(seq.0).unwrap_or(i64::MAX)
}
