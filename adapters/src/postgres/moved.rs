//! Owns the mark on a database's shards which says that their journal is being moved, or was moved away: no node takes them then.
//!
//! The mark stands where the name of an owner stands, with a time that never ends, so every build that knows leases keeps away from it. Only the
//! schema's owner sets it and takes it off: a node's role can do neither.

use super::lease::epoch_min;
use super::{Database, DatabaseError, Holder, Lease, Link, Outcome, described};
use crate::mirror::upload::Uploaded;
use florin_domain::ids::{Epoch, Seq, ShardId};
use florin_domain::ports::Head;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

/// What the owner of a marked shard begins with; no process may call itself so.
const MOVED: &str = "moved:";

/// What such a shard's owner calls itself.
const NODE: &str = "florin migrate-store";

/// What both statements that end a move begin with: whether the shards are these, all of whom belong to `$1` and end where they must, on a server that
/// has a copy if one is needed.
macro_rules! if_all_fit {
    ($rest:literal) => {
        concat!(
            "WITH locked AS (SELECT id, head, hash, owner FROM florin.shard ORDER BY id FOR UPDATE),
             fits AS (
                 SELECT count(*) = cardinality($2::integer[])
                     AND bool_and(coalesce(locked.owner = $1 AND locked.head = wanted.head AND locked.hash = wanted.hash, false))
                     AND (NOT $5::boolean OR current_setting('synchronous_standby_names') <> '') AS all_fit
                 FROM locked LEFT JOIN unnest($2::integer[], $3::bigint[], $4::bytea[]) AS wanted (id, head, hash) ON wanted.id = locked.id
             ) ",
            $rest
        )
    };
}

/// Puts the mark in the place of a lease.
const REPLACE: &str = if_all_fit!(
    "UPDATE florin.shard AS shard SET owner = $6, node = $7, url = '', lease_until = '9999-01-01' FROM fits WHERE fits.all_fit RETURNING shard.id"
);

/// Takes it off, if the stores are as they were moved as well.
const TAKE_OFF: &str = if_all_fit!(
    "UPDATE florin.shard AS shard SET owner = '', node = '', lease_until = '-infinity' FROM fits WHERE fits.all_fit AND NOT EXISTS (
         SELECT 1 FROM unnest($6::text[], $7::bigint[], $8::bytea[]) AS wanted (name, version, change_id)
         LEFT JOIN florin.store ON store.name = wanted.name AND store.version = wanted.version AND store.change_id = wanted.change_id
         WHERE store.name IS NULL
     ) RETURNING shard.id"
);

/// Writes shards as they are, so that this commit and all before it wait for the copies: those of one owner, or those that no move has.
const CONFIRM: &str = "UPDATE florin.shard SET owner = owner
    WHERE (owner = $1 OR ($1 = '' AND owner NOT LIKE 'moved:%')) AND (NOT $2::boolean OR current_setting('synchronous_standby_names') <> '') RETURNING id";

impl Holder {
    /// Whether this is no node, but the mark of a move.
    pub fn is_move(&self) -> bool {
        self.owner.starts_with(MOVED)
    }
}

/// What stands in the rows of shards whose journal comes by this move.
fn coming(name: &str) -> String {
    format!("{MOVED}in:{name}")
}

/// The same of one that has gone by it.
fn gone(name: &str) -> String {
    format!("{MOVED}out:{name}")
}

/// A mark that is set on a journal that comes.
#[derive(Debug)]
pub(crate) struct Mark {
    database: Database,
    owner: String,
}

/// Whose marks a folder may take for its own: of the move that it has begun, and of the one by which its journal came out of the database.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    pub(crate) begun: &'a str,
    pub(crate) moved_out: Option<&'a str>,
}

/// A shard of the database, and whether it may be marked.
struct Found {
    shard: ShardId,
    head: Head,
    owner: String,
    node: String,
    is_held: bool,
}

impl Database {
    /// Refuses whoever is not the owner of the schema.
    pub async fn check_owner(&self) -> Result<(), DatabaseError> {
        let sql = "SELECT has_table_privilege('florin.shard', 'UPDATE') AND has_table_privilege('florin.commit_record', 'INSERT')
                       AND has_table_privilege('florin.store_row', 'DELETE') AND has_table_privilege('florin.node_secret', 'DELETE')";
        if self.value(sql, &[]).await? {
            Ok(())
        } else {
            Err(self.unfit("this is done by the owner of the schema, which this role is not".to_owned()))
        }
    }

    /// The shards that were ever taken.
    pub async fn shards(&self) -> Result<Vec<ShardId>, DatabaseError> {
        let sql = "SELECT array(SELECT id FROM florin.shard ORDER BY id)";
        let ids: Vec<i32> = self.value(sql, &[]).await?;
        let ids: Option<Vec<u16>> = ids.into_iter().map(|id| u16::try_from(id).ok()).collect();
        let ids = ids.ok_or_else(|| self.unfit("a row of `florin.shard` is damaged".to_owned()))?;
        Ok(ids.into_iter().map(ShardId).collect())
    }

    /// The epoch in which a shard is.
    pub(crate) async fn epoch(&self, shard: ShardId) -> Result<Epoch, DatabaseError> {
        let sql = "SELECT epoch FROM florin.shard WHERE id = $1";
        let epoch: i64 = self.value(sql, &[&i32::from(shard.0)]).await?;
        Ok(Epoch(epoch.cast_unsigned()))
    }

    /// A connection of one's own, for transactions.
    pub(crate) async fn client(&self) -> Result<Client, DatabaseError> {
        self.address.connect().await
    }

    fn failed(&self, error: &tokio_postgres::Error) -> DatabaseError {
        self.unfit(described(error))
    }
}

impl Mark {
    /// What stands in the rows of marked shards.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// Whether shards of the database are marked as those of a journal that comes by this move.
    pub(crate) async fn is_set(database: &Database, name: &str) -> Result<bool, DatabaseError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM florin.shard WHERE owner = $1)";
        database.value(sql, &[&coming(name)]).await
    }

    /// Marks the shards of a journal that is to come from elsewhere and ends at these heads, in a new epoch, and answers where each ends there.
    /// Whatever they have must be the beginning of what comes: `is_ours` says so of a head. Secrets of nodes before are not asked for any more.
    pub(crate) async fn set(
        database: &Database,
        names: Names<'_>,
        heads: &[Head],
        is_ours: &dyn Fn(ShardId, &Head) -> Result<bool, DatabaseError>,
    ) -> Result<(Self, Vec<Head>), DatabaseError> {
        let mark = Self {
            database: database.clone(),
            owner: coming(names.begun),
        };
        let mut client = database.client().await?;
        let failed = |error| database.failed(&error);
        let marking = client.transaction().await.map_err(failed)?;
        let ids: Vec<i32> = (0..heads.len()).filter_map(|id| i32::try_from(id).ok()).collect();
        let make = "INSERT INTO florin.shard (id) SELECT * FROM unnest($1::integer[]) ON CONFLICT DO NOTHING";
        marking.execute(make, &[&ids]).await.map_err(failed)?;
        let look = "SELECT id, epoch, head, hash, owner, node, lease_until > clock_timestamp() FROM florin.shard ORDER BY id FOR UPDATE";
        let rows = marking.query(look, &[]).await.map_err(failed)?;
        let found: Option<Vec<Found>> = rows.iter().map(found).collect();
        let found = found.ok_or_else(|| database.unfit("a row of `florin.shard` is damaged".to_owned()))?;
        mark.check(&found, (heads.len(), names), is_ours)?;
        for (shard, head) in found.iter().zip(heads) {
            let take = "UPDATE florin.shard SET owner = $2, node = $3, url = '', lease_until = '9999-01-01', epoch = greatest(epoch + 1, $4, $5)
                        WHERE id = $1";
            let (id, epoch) = (i32::from(shard.shard.0), head.epoch.0.cast_signed());
            marking
                .execute(take, &[&id, &mark.owner, &NODE, &epoch_min(), &epoch])
                .await
                .map_err(failed)?;
        }
        marking
            .execute("DELETE FROM florin.node_secret", &[])
            .await
            .map_err(failed)?;
        marking.commit().await.map_err(failed)?;
        Ok((mark, found.into_iter().map(|shard| shard.head).collect()))
    }

    fn check(
        &self,
        found: &[Found],
        (count, names): (usize, Names<'_>),
        is_ours: &dyn Fn(ShardId, &Head) -> Result<bool, DatabaseError>,
    ) -> Result<(), DatabaseError> {
        let unfit = |why: String| Err(self.database.unfit(why));
        if found.len() != count {
            return unfit(format!("it has {} shards, and the folder {count}", found.len()));
        }
        let left = names.moved_out.map(gone);
        for shard in found {
            let is_known = shard.owner == self.owner || Some(&shard.owner) == left.as_ref();
            if shard.is_held && shard.owner.starts_with(MOVED) && !is_known {
                return unfit(
                    "its journal is being moved there from another folder, or was moved into another one: see \"Moving a journal\" in docs/postgresql.md"
                        .to_owned(),
                );
            }
            if shard.is_held && !is_known {
                return unfit(format!("the node `{}` has its shards: stop it first", shard.node));
            }
            if shard.head.seq != Seq::ZERO && !is_ours(shard.shard, &shard.head)? {
                return unfit(format!(
                    "its shard {} has {} commits that are not the beginning of the journal in the folder",
                    shard.shard.0, shard.head.seq
                ));
            }
        }
        Ok(())
    }

    /// Puts the mark in the place of a lease, for a journal that goes on elsewhere from these heads, and lets nobody have the shards.
    pub(crate) async fn replace(
        database: &Database,
        name: &str,
        (lease, heads): (&Lease, &[Head]),
    ) -> Result<(), DatabaseError> {
        let types = [
            Type::TEXT,
            Type::INT4_ARRAY,
            Type::INT8_ARRAY,
            Type::BYTEA_ARRAY,
            Type::BOOL,
            Type::TEXT,
            Type::TEXT,
        ];
        let (ids, seqs, hashes) = columns(heads);
        let owner = gone(name);
        let marked = call(
            database,
            REPLACE,
            &types,
            &[
                &lease.owner(),
                &ids,
                &seqs,
                &hashes,
                &database.needs_copy(),
                &owner,
                &NODE,
            ],
        )
        .await?;
        if marked.len() == heads.len() {
            Ok(())
        } else {
            Err(database.unfit(
                "its shards are another process's now, or have changed, or it has no synchronous standby"
                    .to_owned(),
            ))
        }
    }

    /// Where the shards end that are marked as those of a journal that has gone by this move; nothing if they are not, all of them.
    pub(crate) async fn gone(database: &Database, name: &str) -> Result<Option<Vec<Head>>, DatabaseError> {
        let client = database.client().await?;
        let look = "SELECT id, epoch, head, hash, owner, node, lease_until > clock_timestamp() FROM florin.shard ORDER BY id";
        let rows = client
            .query(look, &[])
            .await
            .map_err(|error| database.failed(&error))?;
        let found: Option<Vec<Found>> = rows.iter().map(found).collect();
        let owner = gone(name);
        let marked =
            found.filter(|found| !found.is_empty() && found.iter().all(|shard| shard.owner == owner));
        let Some(marked) = marked else {
            return Ok(None);
        };
        // What is seen may not be on the copies yet, if whoever set it did not hear of the end.
        confirm(database, &owner, marked.len()).await?;
        Ok(Some(marked.into_iter().map(|shard| shard.head).collect()))
    }

    /// Refuses a database whose shards are not so many, or marked by some move, or not on its copies.
    pub(crate) async fn is_off(database: &Database, shards: usize) -> Result<(), DatabaseError> {
        confirm(database, "", shards).await
    }

    /// Takes the mark off, so that nodes may have the shards: if all that was moved is there.
    pub(crate) async fn take_off(self, heads: &[Head], stores: &[Uploaded]) -> Result<(), DatabaseError> {
        let types = [
            Type::TEXT,
            Type::INT4_ARRAY,
            Type::INT8_ARRAY,
            Type::BYTEA_ARRAY,
            Type::BOOL,
            Type::TEXT_ARRAY,
            Type::INT8_ARRAY,
            Type::BYTEA_ARRAY,
        ];
        let (ids, seqs, hashes) = columns(heads);
        let names: Vec<&str> = stores.iter().map(|store| store.name).collect();
        let versions: Vec<i64> = stores.iter().map(|store| store.version).collect();
        let changes: Vec<&[u8]> = stores.iter().map(|store| store.change.as_slice()).collect();
        let taken_off = call(
            &self.database,
            TAKE_OFF,
            &types,
            &[
                &self.owner,
                &ids,
                &seqs,
                &hashes,
                &self.database.needs_copy(),
                &names,
                &versions,
                &changes,
            ],
        )
        .await?;
        if taken_off.len() == heads.len() {
            Ok(())
        } else {
            Err(self.database.unfit(
                "it has not all that was moved there, or no synchronous standby: run the move again"
                    .to_owned(),
            ))
        }
    }
}

async fn confirm(database: &Database, owner: &str, shards: usize) -> Result<(), DatabaseError> {
    let confirmed = call(
        database,
        CONFIRM,
        &[Type::TEXT, Type::BOOL],
        &[&owner, &database.needs_copy()],
    )
    .await?;
    if confirmed.len() == shards {
        Ok(())
    } else {
        Err(database.unfit(
            "its shards are not those of this move, or are marked by another one, or it has no synchronous standby".to_owned(),
        ))
    }
}

fn columns(heads: &[Head]) -> (Vec<i32>, Vec<i64>, Vec<&[u8]>) {
    let ids = (0..heads.len()).filter_map(|id| i32::try_from(id).ok());
    let seqs = heads.iter().map(|head| head.seq.0.cast_signed());
    let hashes = heads.iter().map(|head| head.hash.as_slice());
    (ids.collect(), seqs.collect(), hashes.collect())
}

/// Heard like an append: durable on the copies as well, and everything before it.
async fn call(
    database: &Database,
    sql: &'static str,
    types: &[Type],
    parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<Vec<Row>, DatabaseError> {
    let unfit = |why| database.unfit(why);
    let mut link: Link = database.link().await.map_err(unfit)?;
    let limit = database.options().statement_timeout * 2;
    match tokio::time::timeout(limit, link.call(sql, types, parameters)).await {
        Ok(Outcome::Done(rows)) => Ok(rows),
        Ok(Outcome::Failed(_, why)) => Err(unfit(why)),
        Err(_) => Err(unfit("it does not answer".to_owned())),
    }
}

fn found(row: &Row) -> Option<Found> {
    let (epoch, seq): (i64, i64) = (row.get(1), row.get(2));
    Some(Found {
        shard: ShardId(u16::try_from(row.get::<_, i32>(0)).ok()?),
        head: Head {
            seq: Seq(seq.cast_unsigned()),
            hash: row.get::<_, Vec<u8>>(3).try_into().ok()?,
            epoch: Epoch(epoch.cast_unsigned()),
        },
        owner: row.get(4),
        node: row.get(5),
        is_held: row.get(6),
    })
}
