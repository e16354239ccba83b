//! Owns reading: records are never changed, so those up to a head that was read before are whole.

use crate::journal::PageRoom;
use crate::journal::chain::{GENESIS, Hash, Verifier, damaged};
use crate::postgres::{Database, Lent};
use florin_domain::commit::Commit;
use florin_domain::ids::{Epoch, Seq, ShardId};
use florin_domain::ports::{Head, ReadError};
use std::sync::Arc;
use tokio_postgres::Row;

/// Records that are asked for at once: few enough that a page which is full is not overshot by much.
const ROWS_MAX: usize = 1024;

/// How many of the last records are verified on opening: enough to meet a damaged tail early, little enough not to be felt.
const CHECKED_ON_OPEN: u64 = 16;

/// Reads through the pool.
#[derive(Debug)]
pub(super) struct Reader {
    database: Database,
    /// The shard that is ours, and since which epoch: another epoch there means that it is ours no longer.
    ours: (ShardId, Epoch),
    pub(super) page_bytes_max: usize,
}

/// A record as it is stored.
pub(crate) struct Stored {
    pub(crate) seq: Seq,
    pub(crate) epoch: Epoch,
    pub(crate) hash: Vec<u8>,
    pub(crate) bytes: Vec<u8>,
}

impl Reader {
    pub(super) fn new(database: Database, ours: (ShardId, Epoch), page_bytes_max: usize) -> Self {
        Self {
            database,
            ours,
            page_bytes_max,
        }
    }

    pub(super) async fn head(&self, shard: ShardId) -> Result<Head, ReadError> {
        let client = self.database.lend().await.map_err(ReadError::Store)?;
        self.own_head(&client, shard).await
    }

    pub(super) async fn hash_at(&self, shard: ShardId, seq: Seq) -> Result<Option<Hash>, ReadError> {
        let link = self.link_at(shard, seq).await?;
        if shard == self.ours.0 {
            // Still ours afterwards, so what was read is of our history: a snapshot is tied to it.
            self.head(shard).await?;
        }
        Ok(link.map(|(_, hash)| hash))
    }

    pub(super) async fn read(
        &self,
        shard: ShardId,
        from: Seq,
        limit: usize,
    ) -> Result<Vec<Arc<Commit>>, ReadError> {
        let client = self.database.lend().await.map_err(ReadError::Store)?;
        let head = self.own_head(&client, shard).await?;
        let before = Seq(from.0.saturating_sub(1));
        if limit == 0 || before >= head.seq {
            return Ok(Vec::new());
        }
        let page = page(&client, shard, (before, head.seq), (limit, self.page_bytes_max)).await?;
        if page.is_over {
            page.verifier.finish(head.seq, &head.hash, head.epoch)?;
        }
        Ok(page.commits)
    }

    /// The head; of our shard only as long as it is ours, and from a database that has what was taken.
    async fn own_head(&self, client: &Lent<'_>, shard: ShardId) -> Result<Head, ReadError> {
        let head = head(client, shard).await?;
        if shard == self.ours.0 && head.epoch != self.ours.1 {
            return Err(ReadError::Store("another process has taken the shard".to_owned()));
        }
        Ok(head)
    }

    /// Epoch and hash of a record.
    pub(super) async fn link_at(&self, shard: ShardId, seq: Seq) -> Result<Option<(Epoch, Hash)>, ReadError> {
        let client = self.database.lend().await.map_err(ReadError::Store)?;
        link_at(&client, shard, seq).await
    }

    /// Walks the last records up to the head.
    pub(super) async fn check_tail(&self, shard: ShardId, head: &Head) -> Result<(), ReadError> {
        let client = self.database.lend().await.map_err(ReadError::Store)?;
        let before = Seq(head.seq.0.saturating_sub(CHECKED_ON_OPEN));
        let mut verifier = verifier_after(&client, shard, before).await?;
        // One more than there should be, to see that nothing stands after the head.
        let limit = usize::try_from(CHECKED_ON_OPEN).unwrap_or(0) + 1;
        let end = Seq(i64::MAX.cast_unsigned());
        for record in records(&client, shard, (before, end), (limit, usize::MAX)).await? {
            verifier.accept(record.seq, record.epoch, &record.hash, &record.bytes)?;
        }
        verifier.finish(head.seq, &head.hash, head.epoch)
    }
}

/// Some records, each verified behind the one before.
pub(super) struct Page {
    pub(super) commits: Vec<Arc<Commit>>,
    /// Behind the last of them.
    pub(super) verifier: Verifier,
    /// Nothing was left out for want of room: what is not here is not there.
    pub(super) is_over: bool,
}

/// The records after `after` up to `until`: at most `limit`, and none behind the one with which they have more than so many bytes.
pub(super) async fn page(
    client: &Lent<'_>,
    shard: ShardId,
    (after, until): (Seq, Seq),
    (limit, bytes_max): (usize, usize),
) -> Result<Page, ReadError> {
    let mut verifier = verifier_after(client, shard, after).await?;
    let (mut commits, mut room) = (Vec::new(), PageRoom::of(bytes_max));
    while commits.len() < limit && verifier.last() < until && !room.is_full() {
        let wanted = ROWS_MAX.min(limit - commits.len());
        let page = records(client, shard, (verifier.last(), until), (wanted, bytes_max)).await?;
        if page.is_empty() {
            break;
        }
        for Stored {
            seq,
            epoch,
            hash,
            bytes,
        } in page
        {
            if !room.takes(bytes.len()) {
                break;
            }
            commits.push(Arc::new(verifier.accept(seq, epoch, &hash, &bytes)?));
        }
    }
    let has_ended = commits.len() < limit && !room.is_full();
    let is_over = has_ended || verifier.last() >= until;
    Ok(Page {
        commits,
        verifier,
        is_over,
    })
}

pub(crate) async fn head(client: &Lent<'_>, shard: ShardId) -> Result<Head, ReadError> {
    let sql = "SELECT epoch, head, hash FROM florin.shard WHERE id = $1";
    let row = client
        .row(sql, &[&i32::from(shard.0)])
        .await
        .map_err(ReadError::Store)?;
    let Some(row) = row else {
        return Ok(Head::default());
    };
    let (epoch, seq): (i64, i64) = (row.get(0), row.get(1));
    let seq = Seq(seq.cast_unsigned());
    let hash: Vec<u8> = row.get(2);
    let hash = hash
        .try_into()
        .map_err(|_| damaged(seq, "the head's hash has the wrong size".to_owned()))?;
    Ok(Head {
        seq,
        hash,
        epoch: Epoch(epoch.cast_unsigned()),
    })
}

/// A verifier that expects the record after `seq`.
async fn verifier_after(client: &Lent<'_>, shard: ShardId, seq: Seq) -> Result<Verifier, ReadError> {
    if seq == Seq::ZERO {
        return Ok(Verifier::after(shard, seq, GENESIS, Epoch::default()));
    }
    let link = link_at(client, shard, seq).await?;
    let (epoch, hash) = link.ok_or_else(|| damaged(seq, "the record is missing".to_owned()))?;
    Ok(Verifier::after(shard, seq, hash, epoch))
}

/// Epoch and hash of a record.
pub(crate) async fn link_at(
    client: &Lent<'_>,
    shard: ShardId,
    seq: Seq,
) -> Result<Option<(Epoch, Hash)>, ReadError> {
    let sql = "SELECT epoch, hash FROM florin.commit_record WHERE shard = $1 AND seq = $2";
    let row = client
        .row(sql, &[&i32::from(shard.0), &position(seq)])
        .await
        .map_err(ReadError::Store)?;
    let Some(row) = row else {
        return Ok(None);
    };
    let (epoch, hash): (i64, Vec<u8>) = (row.get(0), row.get(1));
    match hash.try_into() {
        Ok(hash) => Ok(Some((Epoch(epoch.cast_unsigned()), hash))),
        Err(_) => Err(damaged(seq, "the hash has not 32 bytes".to_owned())),
    }
}

/// The records after `after` up to `until`, in order, as they are stored: at most `limit`, and none behind the one with which they have
/// more than so many bytes. A longer answer would have to be held whole.
pub(crate) async fn records(
    client: &Lent<'_>,
    shard: ShardId,
    (after, until): (Seq, Seq),
    (limit, bytes_max): (usize, usize),
) -> Result<Vec<Stored>, ReadError> {
    let sql = "SELECT seq, epoch, hash, bytes FROM (
                   SELECT seq, epoch, hash, bytes, sum(octet_length(bytes)) OVER (ORDER BY seq) - octet_length(bytes) AS before
                   FROM florin.commit_record WHERE shard = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4
               ) AS page WHERE before <= $5 ORDER BY seq";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let bytes_max = i64::try_from(bytes_max).unwrap_or(i64::MAX);
    let (after, until) = (position(after), position(until));
    let rows = client
        .rows(sql, &[&i32::from(shard.0), &after, &until, &limit, &bytes_max])
        .await
        .map_err(ReadError::Store)?;
    Ok(rows.iter().map(stored).collect())
}

fn stored(row: &Row) -> Stored {
    let (seq, epoch): (i64, i64) = (row.get(0), row.get(1));
    Stored {
        seq: Seq(seq.cast_unsigned()),
        epoch: Epoch(epoch.cast_unsigned()),
        hash: row.get(2),
        bytes: row.get(3),
    }
}

/// Seqs beyond 2^63, which no journal reaches, share the last place.
fn position(seq: Seq) -> i64 {
    i64::try_from(seq.0).unwrap_or(i64::MAX)
}
