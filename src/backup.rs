//! `florin backup` and `florin restore`: a copy of everything that a node has kept, and a data folder made of one.

use crate::{ownership, shard_folders};
use anyhow::{Context as _, bail};
use clap::Args;
use florin_adapters::backup::{self, Source};
use florin_config::Settings;
use florin_domain::ids::{Seq, ShardId};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};

/// What is copied where.
#[derive(Args, Debug)]
pub(crate) struct BackupArguments {
    /// The folder of the copy, which is made
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// What a data folder is made of.
#[derive(Args, Debug)]
pub(crate) struct RestoreArguments {
    /// The folder of the copy
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
}

/// Copies everything but the key-encryption key. The node may run.
#[expect(clippy::print_stdout, reason = "what was done is this command's output")]
pub(crate) async fn run(settings: &Settings, arguments: &BackupArguments) -> anyhow::Result<()> {
    let folder = settings.data_dir.as_path();
    if !folder.is_dir() {
        bail!("{} is no data folder", folder.display());
    }
    let (database, shards) = match &settings.database.url {
        Some(_) => {
            let every = (0..settings.shards).map(ShardId).collect();
            (Some(ownership::database(settings).await?), every)
        }
        None => (None, shard_folders::present(folder)?),
    };
    let source = Source {
        folder,
        shards: &relative(&shards),
        heads: &settings.heads_folder(),
        database: database.as_ref(),
    };
    let bar = bar("copying commits {pos} ({per_sec})")?;
    let ends = source.copy(&arguments.out, &|records| bar.inc(records)).await?;
    bar.finish_and_clear();
    println!(
        "copied into {}: {}. The key-encryption key is not in it: keep that elsewhere",
        arguments.out.display(),
        told(&ends)
    );
    Ok(())
}

/// Verifies the copy and makes the data folder, which must not be there or be empty.
#[expect(clippy::print_stdout, reason = "what was done is this command's output")]
pub(crate) fn restore(settings: &Settings, arguments: &RestoreArguments) -> anyhow::Result<()> {
    let from = arguments.from.as_path();
    let shards = relative(&shard_folders::present(from)?);
    if shards.len() > usize::from(settings.shards) {
        bail!(
            "the copy has {} shards: `journal.shards` must be at least that",
            shards.len()
        );
    }
    let bar = bar("verifying commits {pos} ({per_sec})")?;
    let ends = backup::restore(from, &settings.data_dir, &shards, &|records| bar.inc(records))
        .with_context(|| format!("{} is as it was", settings.data_dir.display()))?;
    bar.finish_and_clear();
    println!("restored into {}: {}", settings.data_dir.display(), told(&ends));
    Ok(())
}

fn relative(shards: &[ShardId]) -> Vec<PathBuf> {
    let place = |shard: &ShardId| shard_folders::folder(Path::new(""), *shard);
    shards.iter().map(place).collect()
}

fn told(ends: &[Seq]) -> String {
    let ends = ends.iter().enumerate();
    let ends: Vec<String> = ends
        .map(|(shard, end)| format!("shard {shard} up to commit {end}"))
        .collect();
    ends.join(", ")
}

fn bar(template: &str) -> anyhow::Result<ProgressBar> {
    Ok(ProgressBar::new_spinner().with_style(ProgressStyle::with_template(template)?))
}
