//! Owns the mark on a database's shards which says that their journal is being moved, or was moved away: no node takes them then.
//!
//! The mark stands where the name of an owner stands, with a time that never ends, so every build that knows leases keeps away from it. Only the
//! schema's owner sets it and takes it off: a node's role can do neither.

use super::lease::epoch_min;
use super::{Database, DatabaseError, Holder, Lease, Link, Outcome, described};
use florin_domain::ids::{Epoch, Seq, ShardId};
use florin_domain::ports::Head;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

/// What the owner of a marked shard begins with; the name of the move follows.
const MOVED: &str = "moved:";

/// What such a shard's owner calls itself.
const NODE: &str = "florin migrate-store";

impl Holder {
    /// Whether this is no node, but the mark of a move.
    pub fn is_move(&self) -> bool {
        self.owner.starts_with(MOVED)
    }

    /// Whether this is the mark of this very move.
    pub fn is_move_of(&self, name: &str) -> bool {
        self.owner.strip_prefix(MOVED) == Some(name)
    }
}

/// A mark that is set.
#[derive(Debug)]
pub(crate) struct Mark {
    database: Database,
    owner: String,
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
                       AND has_table_privilege('florin.store_row', 'DELETE')";
        if self.value(sql, &[]).await? {
            Ok(())
        } else {
            Err(self
                .unfit("a journal is moved by the owner of the schema, which this role is not".to_owned()))
        }
    }

    /// Who has the shards, or the mark of a move: nothing if they are free.
    pub async fn holder(&self) -> Result<Option<Holder>, DatabaseError> {
        super::lease::holder_of_any(self).await
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
    /// The mark of that name, which was set before.
    pub(crate) fn known(database: &Database, name: &str) -> Self {
        Self {
            database: database.clone(),
            owner: format!("{MOVED}{name}"),
        }
    }

    /// What stands in the rows of marked shards.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// Marks the shards of a journal that is to come from elsewhere, in a new epoch, and answers where each ends. Whatever they have must be the
    /// beginning of what comes: `is_ours` says so of a head.
    pub(crate) async fn set(
        database: &Database,
        name: &str,
        shards: &[Head],
        is_ours: &dyn Fn(ShardId, &Head) -> Result<bool, DatabaseError>,
    ) -> Result<(Self, Vec<Head>), DatabaseError> {
        let mark = Self::known(database, name);
        let mut client = database.client().await?;
        let failed = |error| database.failed(&error);
        let marking = client.transaction().await.map_err(failed)?;
        let ids: Vec<i32> = (0..shards.len())
            .filter_map(|id| i32::try_from(id).ok())
            .collect();
        let make = "INSERT INTO florin.shard (id) SELECT * FROM unnest($1::integer[]) ON CONFLICT DO NOTHING";
        marking.execute(make, &[&ids]).await.map_err(failed)?;
        let look = "SELECT id, epoch, head, hash, owner, node, lease_until > clock_timestamp() FROM florin.shard ORDER BY id FOR UPDATE";
        let rows = marking.query(look, &[]).await.map_err(failed)?;
        let found: Option<Vec<Found>> = rows.iter().map(found).collect();
        let found = found.ok_or_else(|| database.unfit("a row of `florin.shard` is damaged".to_owned()))?;
        mark.check(&found, shards.len(), is_ours)?;
        for (shard, head) in found.iter().zip(shards) {
            let take = "UPDATE florin.shard SET owner = $2, node = $3, url = '', lease_until = '9999-01-01', epoch = greatest(epoch + 1, $4, $5)
                        WHERE id = $1";
            let (id, epoch) = (i32::from(shard.shard.0), head.epoch.0.cast_signed());
            marking
                .execute(take, &[&id, &mark.owner, &NODE, &epoch_min(), &epoch])
                .await
                .map_err(failed)?;
        }
        marking.commit().await.map_err(failed)?;
        Ok((mark, found.into_iter().map(|shard| shard.head).collect()))
    }

    fn check(
        &self,
        found: &[Found],
        count: usize,
        is_ours: &dyn Fn(ShardId, &Head) -> Result<bool, DatabaseError>,
    ) -> Result<(), DatabaseError> {
        let unfit = |why: String| Err(self.database.unfit(why));
        if found.len() != count {
            return unfit(format!("it has {} shards, and the folder {count}", found.len()));
        }
        for shard in found {
            let is_begun = shard.head.seq != Seq::ZERO;
            if is_begun && !is_ours(shard.shard, &shard.head)? {
                return unfit(format!(
                    "its shard {} has {} commits that are not the beginning of the journal in the folder",
                    shard.shard.0, shard.head.seq
                ));
            }
            if shard.is_held && !shard.owner.starts_with(MOVED) {
                return unfit(format!("the node `{}` has its shards: stop it first", shard.node));
            }
        }
        // An unfinished move of another folder has an end elsewhere, which may be anything if it has not begun.
        let is_elsewhere = |shard: &Found| shard.is_held && shard.owner != self.owner;
        if found.iter().any(is_elsewhere) && found.iter().all(|shard| shard.head.seq == Seq::ZERO) {
            return unfit(
                "a journal is being moved there from another folder: end that, or drop the schema `florin`"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Puts the mark in the place of a lease, for a journal that goes on elsewhere from these heads, and lets nobody have the shards.
    pub(crate) async fn replace(
        database: &Database,
        name: &str,
        (lease, heads): (&Lease, &[Head]),
    ) -> Result<Self, DatabaseError> {
        let mark = Self::known(database, name);
        let sql = "UPDATE florin.shard SET owner = $1, node = $2, url = '', lease_until = '9999-01-01'
                   WHERE owner = $3 AND NOT EXISTS (SELECT 1 FROM florin.shard AS other WHERE other.owner <> $3)
                   RETURNING id, head, hash";
        let rows = mark
            .call(
                sql,
                &[Type::TEXT, Type::TEXT, Type::TEXT],
                &[&mark.owner, &NODE, &lease.owner()],
            )
            .await?;
        let is_same = |row: &Row| {
            let (id, head): (i32, i64) = (row.get(0), row.get(1));
            let hash: Vec<u8> = row.get(2);
            let expected = usize::try_from(id).ok().and_then(|id| heads.get(id));
            expected.is_some_and(|expected| expected.seq.0 == head.cast_unsigned() && hash == expected.hash)
        };
        if rows.len() == heads.len() && rows.iter().all(is_same) {
            Ok(mark)
        } else {
            Err(database.unfit("its journal has changed while it was copied".to_owned()))
        }
    }

    /// Takes the mark off: nodes may have the shards.
    pub(crate) async fn take_off(self) -> Result<(), DatabaseError> {
        let sql = "UPDATE florin.shard SET owner = '', node = '', lease_until = '-infinity' WHERE owner = $1";
        self.call(sql, &[Type::TEXT], &[&self.owner]).await.map(drop)
    }

    /// Heard like an append: durable on the copies as well, and everything before it.
    async fn call(
        &self,
        sql: &'static str,
        types: &[Type],
        parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Vec<Row>, DatabaseError> {
        let unfit = |why| self.database.unfit(why);
        let mut link: Link = self.database.link().await.map_err(unfit)?;
        let limit = self.database.options().statement_timeout * 2;
        match tokio::time::timeout(limit, link.call(sql, types, parameters)).await {
            Ok(Outcome::Done(rows)) => Ok(rows),
            Ok(Outcome::Failed(_, why)) => Err(unfit(why)),
            Err(_) => Err(unfit("it does not answer".to_owned())),
        }
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
