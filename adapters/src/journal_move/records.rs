//! Owns copying the records of one shard: as they are stored, in pages, each verified against the chain before it counts.

use super::MoveError;
use crate::journal::{GENESIS, JournalBuilder, JournalFile, Stored, StoredRecord, Verifier, stored_records};
use crate::postgres::{Database, DatabaseError, described};
use florin_domain::ids::{Epoch, Seq, ShardId};
use florin_domain::ports::{Head, ReadError};
use std::path::Path;
use tokio_postgres::Client;

/// Records of a page, or fewer if they have so many bytes.
const ROWS_MAX: usize = 1_024;
const BYTES_MAX: usize = 4 << 20;

/// Appends a page behind the head that it follows, and to no other; only as long as the shard is marked for this move.
const APPEND: &str = "WITH moved AS (
        UPDATE florin.shard SET head = $4 + cardinality($7::bytea[]), hash = $6, batch_id = NULL
        WHERE id = $1 AND owner = $2 AND hash = $3 AND head = $4 RETURNING id
    )
    INSERT INTO florin.commit_record (shard, seq, epoch, hash, bytes)
    SELECT moved.id, $4 + place, record_epoch, record_hash, record_bytes
    FROM moved, unnest($5::bigint[], $7::bytea[], $8::bytea[]) WITH ORDINALITY AS record (record_epoch, record_hash, record_bytes, place)";

/// Copies what the database does not have yet of a file's shard, from where its head is.
pub(super) async fn import(
    (database, client, owner): (&Database, &Client, &str),
    file: &JournalFile,
    (shard, begun): (ShardId, &Head),
    step: &dyn Fn(u64),
) -> Result<(), MoveError> {
    let (mut seq, mut hash) = (begun.seq, begun.hash);
    let (mut page, mut bytes) = (Vec::new(), 0);
    let mut walk = file.walk(shard, begun.seq)?;
    loop {
        let record = walk.next().transpose()?;
        let is_last = record.is_none();
        if let Some(record) = record {
            bytes += record.bytes.len();
            page.push(record);
        }
        if page.is_empty() {
            return Ok(());
        }
        if is_last || page.len() >= ROWS_MAX || bytes >= BYTES_MAX {
            (seq, hash) = append((database, client, owner), shard, (seq, hash), &page).await?;
            step(u64::try_from(page.len()).unwrap_or(0));
            page.clear();
            bytes = 0;
        }
    }
}

/// Appends a page; where the journal ends then.
async fn append(
    (database, client, owner): (&Database, &Client, &str),
    shard: ShardId,
    (seq, hash): (Seq, [u8; 32]),
    page: &[StoredRecord],
) -> Result<(Seq, [u8; 32]), DatabaseError> {
    let epochs: Vec<i64> = page.iter().map(|record| record.epoch.0.cast_signed()).collect();
    let hashes: Vec<&[u8]> = page.iter().map(|record| record.hash.as_slice()).collect();
    let bytes: Vec<&[u8]> = page.iter().map(|record| record.bytes.as_slice()).collect();
    let last = page
        .last()
        .map_or((seq, hash), |record| (record.seq, record.hash));
    let (id, head) = (i32::from(shard.0), seq.0.cast_signed());
    let appended = client
        .execute(
            APPEND,
            &[
                &id,
                &owner,
                &hash.as_slice(),
                &head,
                &epochs,
                &last.1.as_slice(),
                &hashes,
                &bytes,
            ],
        )
        .await
        .map_err(|error| database.unfit(described(&error)))?;
    if usize::try_from(appended) == Ok(page.len()) {
        Ok(last)
    } else {
        Err(database.unfit(format!(
            "shard {} does not end at {seq} any more, or is marked by another move",
            shard.0
        )))
    }
}

/// Has the database count what it has now: without that it would look through all records for each page of them.
pub(super) async fn count(database: &Database, client: &Client) -> Result<(), DatabaseError> {
    let sql = "SET statement_timeout = 0; ANALYZE florin.commit_record";
    let counted = client.batch_execute(sql).await;
    counted.map_err(|error| database.unfit(described(&error)))
}

/// Reads a shard of the database from its first record to its last, which must be this one.
pub(super) async fn read_back(
    database: &Database,
    shard: ShardId,
    head: &Head,
    step: &dyn Fn(u64),
) -> Result<(), MoveError> {
    let mut verifier = Verifier::after(shard, Seq::ZERO, GENESIS, Epoch::default());
    let mut take = |record: &Stored| verifier.follow(record.seq, record.epoch, &record.hash, &record.bytes);
    each(database, shard, Seq(i64::MAX.cast_unsigned()), &mut take, step).await?;
    Ok(verifier.finish(head.seq, &head.hash, head.epoch)?)
}

/// Writes a shard of the database into a new file of a journal, up to this head.
pub(crate) async fn export(
    database: &Database,
    (path, shard): (&Path, ShardId),
    head: &Head,
    step: &dyn Fn(u64),
) -> Result<(), MoveError> {
    let mut builder = JournalBuilder::create(path, shard)?;
    let mut take = |record: &Stored| builder.push(record.seq, record.epoch, &record.hash, &record.bytes);
    each(database, shard, head.seq, &mut take, step).await?;
    builder.reached(head.epoch);
    let (seq, hash) = builder.finish()?;
    if (seq, hash) == (head.seq, head.hash) {
        Ok(())
    } else {
        Err(MoveError::Refused(format!(
            "shard {} ends at {seq}, and its head says {}",
            shard.0, head.seq
        )))
    }
}

/// Shows the records of a shard one after another.
async fn each(
    database: &Database,
    shard: ShardId,
    until: Seq,
    take: &mut dyn FnMut(&Stored) -> Result<(), ReadError>,
    step: &dyn Fn(u64),
) -> Result<(), MoveError> {
    let mut last = Seq::ZERO;
    loop {
        let client = database.lend().await.map_err(ReadError::Store)?;
        let page = stored_records(&client, shard, (last, until), (ROWS_MAX, BYTES_MAX)).await?;
        let Some(end) = page.last() else {
            return Ok(());
        };
        last = end.seq;
        for record in &page {
            take(record)?;
        }
        step(u64::try_from(page.len()).unwrap_or(0));
    }
}
