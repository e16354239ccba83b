//! Where the shards of a data folder are: the first one in the folder itself, the others in `shards/0001` and so on.

use anyhow::{Context as _, bail};
use florin_domain::ids::ShardId;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// The folder of a shard's journal, indexes and snapshots.
pub(crate) fn folder(data_dir: &Path, shard: ShardId) -> PathBuf {
    match shard {
        ShardId::FIRST => data_dir.to_owned(),
        ShardId(number) => data_dir.join("shards").join(format!("{number:04}")),
    }
}

/// The shards that have a folder, and the first one, by number.
pub(crate) fn present(data_dir: &Path) -> anyhow::Result<Vec<ShardId>> {
    let mut shards = vec![ShardId::FIRST];
    let folder = data_dir.join("shards");
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(shards),
        Err(error) => return Err(error).with_context(|| folder.display().to_string()),
    };
    for entry in entries {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.parse().ok());
        shards.extend(number.filter(|number| *number > 0).map(ShardId));
    }
    shards.sort_unstable();
    Ok(shards)
}

/// The shards that have a folder, were signed for, or have a replica, and the first one, by number: one whose folder is gone is still one.
pub(crate) fn known(
    data_dir: &Path,
    heads_folder: &Path,
    replica_folder: Option<&Path>,
) -> anyhow::Result<Vec<ShardId>> {
    let mut shards = present(data_dir)?;
    shards.extend(named(heads_folder, "heads-")?);
    if let Some(folder) = replica_folder {
        shards.extend(named(folder, "replica-")?);
    }
    shards.sort_unstable();
    shards.dedup();
    Ok(shards)
}

/// The shards that were signed for.
pub(crate) fn signed_for(heads_folder: &Path) -> anyhow::Result<Vec<ShardId>> {
    named(heads_folder, "heads-")
}

/// The shards that files in a folder are named after: `<prefix><number>-...`.
fn named(folder: &Path, prefix: &str) -> anyhow::Result<Vec<ShardId>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| folder.display().to_string()),
    };
    let mut shards = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| {
            let (number, _) = name.strip_prefix(prefix)?.split_once('-')?;
            number.parse().ok()
        });
        shards.extend(number.map(ShardId));
    }
    Ok(shards)
}

/// Why a node must not start without a folder of a shard that has had commits.
pub(crate) fn missing(shard: ShardId, folder: &Path) -> String {
    format!(
        "the folder {} of shard {} is missing, though the shard was signed for or has a replica: bring it back (is a disk not mounted? is \
         `journal.replica_dir` another node's?), or have its journal restored from a copy with `florin repair`; see docs/repair.md",
        folder.display(),
        shard.0
    )
}

/// How long a start waits for the list of a replica's files: a disk that does not answer must not keep a node from starting.
const PATIENCE: Duration = Duration::from_secs(5);

/// The shards that have a replica. One that cannot be looked at stops no node, as it stops no payment later.
fn replicated(folder: &Path) -> Vec<ShardId> {
    let (tell, told) = sync_channel(1);
    let looked_at = folder.to_owned();
    let looking = std::thread::Builder::new()
        .name("florin-replica-list".to_owned())
        .spawn(move || {
            // Nobody listens any longer if it took too long.
            drop(tell.send(named(&looked_at, "replica-")));
        });
    let found = match looking {
        Ok(_) => told.recv_timeout(PATIENCE).map_err(anyhow::Error::from).flatten(),
        Err(error) => Err(error.into()),
    };
    found.unwrap_or_else(|error| {
        tracing::warn!(
            folder = %folder.display(),
            error = format!("{error:#}"),
            "the replica cannot be looked at: a shard of which only it knows would not be missed"
        );
        Vec::new()
    })
}

/// All shards that a node has to run. Money of a shard that was left out would be out of reach. A replica says which folders must be there; how many
/// shards there are at least is said by the folders themselves and by what was signed.
pub(crate) fn all(
    data_dir: &Path,
    heads_folder: &Path,
    replica_folder: Option<&Path>,
    count: u16,
) -> anyhow::Result<Vec<ShardId>> {
    let mut known = known(data_dir, heads_folder, None)?;
    if let Some(ShardId(last)) = known.last().filter(|last| last.0 >= count) {
        bail!(
            "{} has a shard {last}: `journal.shards` must be at least {}",
            data_dir.display(),
            last.saturating_add(1)
        );
    }
    known.extend(replica_folder.map(replicated).unwrap_or_default());
    known.sort_unstable();
    // An empty folder would be made in its place, and taken for the shard's.
    let lost = known.iter().find(|shard| !folder(data_dir, **shard).is_dir());
    if let Some(shard) = lost.filter(|shard| **shard != ShardId::FIRST) {
        bail!(missing(*shard, &folder(data_dir, *shard)));
    }
    Ok((0..count).map(ShardId).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_shard_that_is_there_may_be_left_out() {
        let data_dir = tempfile::tempdir().unwrap();
        let path = data_dir.path();
        assert_eq!(present(path).unwrap(), [ShardId::FIRST]);
        std::fs::create_dir_all(folder(path, ShardId(2))).unwrap();
        assert_eq!(present(path).unwrap(), [ShardId::FIRST, ShardId(2)]);
        let heads = path.join("heads");
        assert_eq!(
            all(path, &heads, None, 3).unwrap(),
            [ShardId::FIRST, ShardId(1), ShardId(2)]
        );
        let refused = all(path, &heads, None, 2).unwrap_err().to_string();
        assert!(
            refused.ends_with("`journal.shards` must be at least 3"),
            "{refused}"
        );
    }

    #[test]
    fn a_shard_that_was_signed_for_is_not_begun_anew_where_its_folder_is_gone() {
        let data_dir = tempfile::tempdir().unwrap();
        let (path, heads, replica) = (
            data_dir.path(),
            data_dir.path().join("heads"),
            data_dir.path().join("replica"),
        );
        for (folder, name) in [(&heads, "heads-1-1.txt"), (&replica, "replica-2-1.seg")] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join(name), "").unwrap();
        }
        let all_known = [ShardId::FIRST, ShardId(1), ShardId(2)];
        assert_eq!(known(path, &heads, Some(&replica)).unwrap(), all_known);
        let refused = all(path, &heads, None, 2).unwrap_err().to_string();
        assert!(
            refused.contains("shards/0001 of shard 1 is missing") && refused.contains("`florin repair`"),
            "{refused}"
        );
        std::fs::create_dir_all(folder(path, ShardId(1))).unwrap();
        assert_eq!(all(path, &heads, None, 2).unwrap(), [ShardId::FIRST, ShardId(1)]);
        // Of shard 2 only the replica knows.
        for count in [2, 3] {
            let refused = all(path, &heads, Some(&replica), count).unwrap_err().to_string();
            assert!(refused.contains("shards/0002 of shard 2 is missing"), "{refused}");
        }
        std::fs::create_dir_all(folder(path, ShardId(2))).unwrap();
        assert_eq!(all(path, &heads, Some(&replica), 3).unwrap(), all_known);
    }

    #[test]
    fn a_replica_that_cannot_be_looked_at_stops_no_start() {
        let data_dir = tempfile::tempdir().unwrap();
        let path = data_dir.path();
        let (heads, replica) = (path.join("heads"), path.join("replica"));
        for _ in 0..2 {
            assert_eq!(all(path, &heads, Some(&replica), 1).unwrap(), [ShardId::FIRST]);
            std::fs::write(&replica, "no folder").unwrap();
        }
    }
}
