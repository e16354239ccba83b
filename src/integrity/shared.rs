//! Repairing a journal in a database: by the owner of the schema, while this process has the shards and so no node does.

use super::{Check, Shard, renew_export, stamp};
use crate::node::shards::derived;
use crate::ownership::{self, Held, Ownership};
use anyhow::{Context as _, bail};
use florin_adapters::data_dir::DataDir;
use florin_adapters::integrity::mend::Work;
use florin_adapters::integrity::restore::{self, KEPT_IN, Restoring};
use florin_adapters::postgres::WriteLink;
use florin_config::Settings;
use florin_domain::ids::ShardId;

/// Takes the shards, once it is known that they may be repaired by whom the database takes us for.
pub(super) async fn take(settings: &Settings) -> anyhow::Result<Held> {
    ownership::database(settings).await?.check_owner().await?;
    match Ownership::now(settings).await? {
        Ownership::Lease(held) => Ok(*held),
        Ownership::Folder => bail!("`database.url` is not set"),
    }
}

/// Does what was planned; answers where what was replaced is kept. `locked` is the data folder.
pub(super) fn mend(
    (held, locked): (&Held, &DataDir),
    check: &Check<'_>,
    (shards, works): (&[Shard], &[Work<'_>]),
) -> anyhow::Result<Vec<String>> {
    let stamp = stamp();
    let mut kept = Vec::new();
    let planned = works.iter().filter_map(|work| {
        Some(restore::Shard {
            places: work.places,
            found: work.found,
            planned: work.mending.primary.as_ref()?,
        })
    });
    let planned: Vec<restore::Shard<'_>> = planned.collect();
    if !planned.is_empty() {
        let restoring = Restoring {
            lease: &held.lease,
            stamp: &stamp,
            shards: &planned,
        };
        let replaced = restoring.restore(&mut WriteLink::open(&held.database)?)?;
        kept.push(format!("{replaced} records in {KEPT_IN}, as repair `{stamp}`"));
    }
    for work in works
        .iter()
        .filter(|work| work.mending.primary.is_some() || work.mending.views)
    {
        discard_derived(locked, shards, work.places.shard)?;
    }
    let mut exports = works.iter().filter(|work| work.mending.audit);
    // One file has the records of all shards.
    if let Some(export) = exports.find_map(|work| work.places.export) {
        let aside = renew_export(check.settings, export, &stamp)?;
        kept.push(aside.display().to_string());
    }
    Ok(kept)
}

/// Has this folder make anew what it has made of a shard. Other nodes compare theirs with the journal when they take the shards.
fn discard_derived(locked: &DataDir, shards: &[Shard], id: ShardId) -> anyhow::Result<()> {
    if id == ShardId::FIRST {
        return derived::discard(locked);
    }
    let shard = shards.iter().find(|shard| shard.id == id);
    let folder = &shard.context("a shard that was not compared")?.data_dir;
    derived::discard(&DataDir::open(folder)?)
}
