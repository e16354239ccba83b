//! Owns restoring a journal's records in a database: in one transaction over all shards, which ends only once everything in them was read back and
//! follows. So there is nothing to note and nothing to go on with: what was interrupted has not been.
//!
//! What is replaced is kept in a table of its own, under the time of the repair. The caller has the shards, by a lease, and is the owner of the schema.

use super::compare::Comparison;
use super::lanes::Sources;
use super::plan::{Restoration, whole_copies};
use super::splice::{SpliceError, splice};
use super::{IntegrityError, Places};
use crate::journal::{GENESIS, RawRecord, Verifier};
use crate::postgres::{Lease, WriteLink};
use florin_domain::ids::{Epoch, Seq, ShardId};
use florin_domain::ports::ReadError;
use tokio_postgres::types::ToSql;

/// Records that are written or read back at once.
const PAGE: usize = 512;

/// Where what was replaced is kept.
pub const KEPT_IN: &str = "florin.damaged_record";

const BEGIN: &str = "ALTER TABLE florin.commit_record DISABLE TRIGGER commit_record_is_append_only;
    CREATE TABLE IF NOT EXISTS florin.damaged_record (
        repair text NOT NULL, shard integer NOT NULL, seq bigint NOT NULL, epoch bigint NOT NULL, hash bytea NOT NULL, bytes bytea NOT NULL,
        PRIMARY KEY (repair, shard, seq)
    )";

const END: &str = "ALTER TABLE florin.commit_record ENABLE TRIGGER commit_record_is_append_only";

/// The shards that are ours, and nobody else's until the end.
const LOCK: &str = "SELECT id FROM florin.shard WHERE owner = $1 ORDER BY id FOR UPDATE";

const REPLACE: &str = "WITH removed AS (
        DELETE FROM florin.commit_record WHERE shard = $2 AND seq = ANY ($3) RETURNING shard, seq, epoch, hash, bytes
    )
    INSERT INTO florin.damaged_record (repair, shard, seq, epoch, hash, bytes) SELECT $1, removed.* FROM removed";

const REMOVE_BEHIND: &str = "WITH removed AS (
        DELETE FROM florin.commit_record WHERE shard = $2 AND (seq > $3 OR seq < 1) RETURNING shard, seq, epoch, hash, bytes
    )
    INSERT INTO florin.damaged_record (repair, shard, seq, epoch, hash, bytes) SELECT $1, removed.* FROM removed";

const INSERT: &str = "INSERT INTO florin.commit_record (shard, seq, epoch, hash, bytes)
    SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[])";

const HEAD: &str =
    "UPDATE florin.shard SET head = $2, hash = $3, batch_id = NULL WHERE id = $1 RETURNING epoch";

const READ: &str = "SELECT seq, epoch, hash, bytes FROM florin.commit_record WHERE shard = $1 AND seq > $2 ORDER BY seq LIMIT $3";

/// What is to be restored in one shard.
#[derive(Clone, Copy, Debug)]
pub struct Shard<'a> {
    /// Where its copies are.
    pub places: Places<'a>,
    /// What was found about them.
    pub found: &'a Comparison,
    /// What was planned.
    pub planned: &'a Restoration,
}

/// A repair of a database.
#[derive(Clone, Copy, Debug)]
pub struct Restoring<'a> {
    /// What makes the shards ours.
    pub lease: &'a Lease,
    /// Under which name what is replaced is kept.
    pub stamp: &'a str,
    /// What is restored.
    pub shards: &'a [Shard<'a>],
}

impl Restoring<'_> {
    /// Restores all of them, or nothing. How many records were replaced, and are kept.
    pub fn restore(&self, link: &mut WriteLink) -> Result<u64, IntegrityError> {
        link.call("BEGIN")?;
        let restored = self.within(link);
        match restored {
            Ok(kept) => {
                link.call("COMMIT")?;
                Ok(kept)
            }
            Err(error) => {
                // Whatever is left of it ends with the connection.
                if let Err(ended) = link.call("ROLLBACK") {
                    tracing::debug!(error = %ended, "the repair was not rolled back by itself");
                }
                Err(error)
            }
        }
    }

    fn within(&self, link: &mut WriteLink) -> Result<u64, IntegrityError> {
        let ours = link.rows(LOCK, &[&self.lease.owner()])?;
        let ours: Vec<i32> = ours.iter().map(|row| row.get(0)).collect();
        for shard in self.shards {
            if !ours.contains(&id(shard.places.shard)) {
                let why = "another process has taken the shards meanwhile".to_owned();
                return Err(IntegrityError::NotRestored(why));
            }
        }
        link.call(BEGIN)?;
        let mut kept = 0;
        for shard in self.shards {
            kept += self.one(link, shard)?;
            read_back(link, shard.places.shard, shard.planned)?;
        }
        link.call(END)?;
        Ok(kept)
    }

    /// Writes what the splice has mended.
    fn one(&self, link: &mut WriteLink, shard: &Shard<'_>) -> Result<u64, IntegrityError> {
        let (places, number) = (&shard.places, id(shard.places.shard));
        let sources = Sources::open(places)?;
        let (mut page, mut kept) = (Vec::new(), 0);
        let spliced = splice(
            places,
            &sources,
            &whole_copies(shard.found),
            &mut |record, is_mended| {
                if is_mended {
                    page.push(record.clone());
                }
                if page.len() >= PAGE {
                    kept += self.replace(link, number, &page)?;
                    page.clear();
                }
                Ok(())
            },
        );
        match spliced {
            Ok(_) => {}
            Err(SpliceError::Failed(error)) => return Err(error),
            Err(SpliceError::Refused(why)) => return Err(IntegrityError::NotRestored(why)),
        }
        kept += self.replace(link, number, &page)?;
        let end = shard.planned.end.0.cast_signed();
        kept += link.execute(REMOVE_BEHIND, &[&self.stamp, &number, &end])?;
        Ok(kept)
    }

    /// Puts records into the place of those that are there, which are kept. How many were there.
    fn replace(&self, link: &mut WriteLink, shard: i32, page: &[RawRecord]) -> Result<u64, ReadError> {
        let seqs: Vec<i64> = page.iter().map(|record| record.seq.0.cast_signed()).collect();
        let epochs: Vec<i64> = page.iter().map(|record| record.epoch.0.cast_signed()).collect();
        let hashes: Vec<&[u8]> = page.iter().map(|record| record.hash.as_slice()).collect();
        let bytes: Vec<&[u8]> = page.iter().map(|record| record.bytes.as_slice()).collect();
        let kept = link.execute(REPLACE, &[&self.stamp, &shard, &seqs])?;
        let records: [&(dyn ToSql + Sync); 5] = [&shard, &seqs, &epochs, &hashes, &bytes];
        link.execute(INSERT, &records)?;
        Ok(kept)
    }
}

/// Sets the shard's end, and reads all of it from the first record on: it must be what was planned.
fn read_back(link: &mut WriteLink, shard: ShardId, planned: &Restoration) -> Result<(), IntegrityError> {
    let (number, end) = (id(shard), planned.end.0.cast_signed());
    let row = link.rows(HEAD, &[&number, &end, &planned.hash.as_slice()])?;
    let epoch: i64 = row.first().map(|row| row.get(0)).unwrap_or_default();
    let mut verifier = Verifier::after(shard, Seq::ZERO, GENESIS, Epoch::default());
    let not_restored = |error: ReadError| IntegrityError::NotRestored(error.to_string());
    loop {
        let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let rows = link.rows(READ, &[&number, &verifier.last().0.cast_signed(), &limit])?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let (seq, epoch): (i64, i64) = (row.get(0), row.get(1));
            let (seq, epoch) = (Seq(seq.cast_unsigned()), Epoch(epoch.cast_unsigned()));
            verifier
                .follow(seq, epoch, row.get(2), row.get(3))
                .map_err(not_restored)?;
        }
    }
    verifier
        .finish(planned.end, &planned.hash, Epoch(epoch.cast_unsigned()))
        .map_err(not_restored)
}

fn id(shard: ShardId) -> i32 {
    i32::from(shard.0)
}
