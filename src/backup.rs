//! `florin backup` and `florin restore`: a copy of everything that a node has kept, and a data folder made of one.

use crate::{ownership, shard_folders};
use anyhow::{Context as _, bail};
use clap::Args;
use florin_adapters::audit::key::SigningKey;
use florin_adapters::backup::{self, Source};
use florin_adapters::integrity::unfinished;
use florin_adapters::journal_move::JournalMove;
use florin_adapters::journal_place;
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
    if JournalMove::is_unfinished(folder)? || unfinished::is_noted(folder)? {
        bail!(
            "in {} a move of the journal or a repair has not ended: end that first",
            folder.display()
        );
    }
    let (database, shards) = if settings.database.url.is_some() {
        let database = ownership::database(settings).await?;
        journal_place::compare(folder, Some(&database.journal_id().await?))?;
        if SigningKey::exists(folder)? {
            let key = SigningKey::load(folder).context("the signing key")?.public();
            database
                .compare_secret("audit_key.secret", &key.to_string())
                .await?;
        }
        let shards = database.shards().await?;
        (Some(database), shards)
    } else {
        journal_place::compare(folder, None)?;
        let (heads, replica) = (settings.heads_folder(), settings.replica_dir.as_deref());
        (
            None,
            shard_folders::all(folder, &heads, replica, settings.shards)?,
        )
    };
    let source = Source {
        folder,
        shards: &shards
            .iter()
            .map(|shard| (*shard, place(*shard)))
            .collect::<Vec<_>>(),
        heads: &settings.heads_folder(),
        database: database.as_ref(),
        has_provider_keys: settings.provider_key_secret.is_none(),
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
    let bar = bar("verifying commits {pos} ({per_sec})")?;
    let places = (arguments.from.as_path(), settings.data_dir.as_path());
    let ends = backup::restore(places, place, &|records| bar.inc(records))?;
    bar.finish_and_clear();
    println!("restored into {}: {}", settings.data_dir.display(), told(&ends));
    Ok(())
}

/// Where a shard is within a data folder.
fn place(shard: ShardId) -> PathBuf {
    shard_folders::folder(Path::new(""), shard)
}

fn told(ends: &[(ShardId, Seq)]) -> String {
    let end = |(shard, end): &(ShardId, Seq)| format!("shard {} up to commit {end}", shard.0);
    ends.iter().map(end).collect::<Vec<_>>().join(", ")
}

fn bar(template: &str) -> anyhow::Result<ProgressBar> {
    Ok(ProgressBar::new_spinner().with_style(ProgressStyle::with_template(template)?))
}
