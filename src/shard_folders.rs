//! Where the shards of a data folder are: the first one in the folder itself, the others in `shards/0001` and so on.

use anyhow::{Context as _, bail};
use florin_domain::ids::ShardId;
use std::io;
use std::path::{Path, PathBuf};

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

/// The shards that have a folder or were signed for, and the first one, by number: one whose folder is gone is still one.
pub(crate) fn known(data_dir: &Path, heads_folder: &Path) -> anyhow::Result<Vec<ShardId>> {
    let mut shards = present(data_dir)?;
    let entries = match std::fs::read_dir(heads_folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(shards),
        Err(error) => return Err(error).with_context(|| heads_folder.display().to_string()),
    };
    for entry in entries {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| {
            let (number, _) = name.strip_prefix("heads-")?.split_once('-')?;
            number.parse().ok()
        });
        shards.extend(number.map(ShardId));
    }
    shards.sort_unstable();
    shards.dedup();
    Ok(shards)
}

/// All shards that a node has to run. Money of a shard that was left out would be out of reach.
pub(crate) fn all(data_dir: &Path, heads_folder: &Path, count: u16) -> anyhow::Result<Vec<ShardId>> {
    let known = known(data_dir, heads_folder)?;
    if let Some(ShardId(last)) = known.last().filter(|last| last.0 >= count) {
        bail!(
            "{} has a shard {last}: `journal.shards` must be at least {}",
            data_dir.display(),
            last.saturating_add(1)
        );
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
            all(path, &heads, 3).unwrap(),
            [ShardId::FIRST, ShardId(1), ShardId(2)]
        );
        let refused = all(path, &heads, 2).unwrap_err().to_string();
        assert!(
            refused.ends_with("`journal.shards` must be at least 3"),
            "{refused}"
        );
    }
}
