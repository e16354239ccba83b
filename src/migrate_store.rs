//! `florin migrate-store`: moves the journal and what stands beside it between the data folder and the database, while no node runs.

use crate::node::beside::Beside;
use crate::node::{notary, shards, shards::derived};
use crate::ownership::{self, Ownership};
use crate::providers::Providers;
use crate::shard_folders;
use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use florin_adapters::clock::SystemClock;
use florin_adapters::data_dir::DataDir;
use florin_adapters::entropy::OsEntropy;
use florin_adapters::integrity::unfinished;
use florin_adapters::journal::JournalFile;
use florin_adapters::journal_move::{Direction, JournalMove, Moved};
use florin_adapters::journal_place;
use florin_adapters::secrets;
use florin_config::Settings;
use florin_domain::ids::ShardId;
use florin_domain::ports::Head;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;
use std::sync::Arc;

/// Where the journal is to be.
#[derive(Args, Debug)]
pub(crate) struct MigrateArguments {
    /// Where to
    #[arg(long, value_enum)]
    to: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Place {
    /// The database of `database.url`
    Postgres,
    /// The data folder
    Embedded,
}

/// Moves it, or goes on with a move that was interrupted.
#[expect(clippy::print_stdout, reason = "what was done is this command's output")]
pub(crate) async fn run(settings: Settings, arguments: MigrateArguments) -> anyhow::Result<()> {
    if settings.database.url.is_none() {
        bail!(
            "`database.url` is not set: it names the database on one side of the move, whichever way it goes"
        );
    }
    let (moved, then) = match arguments.to {
        Place::Postgres => (
            to_postgres(&settings).await?,
            "start nodes with `database.url`, as docs/postgresql.md says",
        ),
        Place::Embedded => (
            to_embedded(&settings).await?,
            "start the node without `database.url`",
        ),
    };
    println!(
        "moved: {} commits of {} shards{}, under the same numbers and hashes; {then}",
        moved.commits(),
        moved.heads.len(),
        match moved.rows {
            0 => String::new(),
            rows => format!(", and {rows} rows of the stores beside them"),
        }
    );
    Ok(())
}

async fn to_postgres(settings: &Settings) -> anyhow::Result<Moved> {
    let data = open_folder(settings)?;
    let shards = shard_folders::all(data.path(), &settings.heads_folder(), None, settings.shards)?;
    let places = places(settings, &shards);
    let is_here = match journal_place::bind(data.path(), None) {
        Ok(()) => true,
        // All but the end of the move was done.
        Err(_) if JournalMove::is_unfinished(data.path())? => false,
        Err(error) => return Err(error.into()),
    };
    let database = ownership::database(settings).await?;
    database.check_owner().await?;
    if is_here {
        for (shard, place) in shards.iter().zip(&places) {
            // An older copy of the journal would be moved as if it were all.
            drop(notary::compare(settings, *shard).await?);
            if JournalFile::is_in(place) {
                // What the folder has made from it stays good.
                derived::note(place, &JournalFile::open(place)?.head(*shard)?)?;
            }
        }
    }
    let moving = JournalMove::begin((data.path(), &places), &database, Direction::ToDatabase)?;
    let bar = bar("moving commits into the database, and reading them back")?;
    let marked = moving.mark().await?;
    // Only now: another folder's secrets stay what they are if this one is refused.
    ownership::compare_secrets(settings, &database, data.path()).await?;
    let moved = marked.move_in(&shown(&bar)).await?;
    bar.finish_and_clear();
    Ok(moved)
}

async fn to_embedded(settings: &Settings) -> anyhow::Result<Moved> {
    let database = ownership::database(settings).await?;
    database.check_owner().await?;
    let shards: Vec<ShardId> = (0..settings.shards).map(ShardId).collect();
    let places = places(settings, &shards);
    if JournalMove::is_unfinished(&settings.data_dir)? {
        let data = open_folder(settings)?;
        let moving = JournalMove::begin((data.path(), &places), &database, Direction::ToFolder)?;
        if let Some(moved) = moving.end_in_folder().await? {
            return Ok(moved);
        }
    }
    let ownership = Ownership::now(settings).await?;
    let ready = bring_up_to_date(settings, &ownership).await;
    let lease = ownership.into_lease().context("the shards were not taken")?;
    let (folders, heads) = match ready {
        Ok(ready) => ready,
        Err(error) => {
            lease.release().await;
            return Err(error);
        }
    };
    let bar = bar("moving commits into the folder")?;
    let moving = JournalMove::begin((&settings.data_dir, &places), &database, Direction::ToFolder)?;
    let moved = moving.to_folder((lease, heads), &shown(&bar)).await?;
    bar.finish_and_clear();
    drop(folders);
    Ok(moved)
}

/// Makes the files beside the journal, and what the folder keeps of it, what the database has. The folders, locked, and where each shard ends.
async fn bring_up_to_date(
    settings: &Settings,
    ownership: &Ownership,
) -> anyhow::Result<(Vec<DataDir>, Vec<Head>)> {
    let data = open_folder(settings)?;
    let (clock, entropy) = (Arc::new(SystemClock::new()), Arc::new(OsEntropy::new()));
    let providers = Providers {
        // Merchants' endpoints are opened, though nobody is told.
        tells_locally: Some(false),
        ..Providers::of(Vec::new())
    };
    drop(Beside::open(settings, ownership, &providers, (&clock, &entropy))?);
    if let Some(mirror) = ownership.mirror() {
        secrets::bring_up_to_date(&secrets::folder_in(&settings.data_dir), &mirror)?;
    }
    let opened = shards::Opened::open(settings, ownership, data, &clock).await?;
    let mut heads = Vec::new();
    for (number, shard) in opened.shards.iter().enumerate() {
        heads.push(shard.journal.head(ShardId(u16::try_from(number)?)).await?);
    }
    Ok((opened.folders, heads))
}

/// The folder, ours alone, unless something in it must be repaired first.
fn open_folder(settings: &Settings) -> anyhow::Result<DataDir> {
    let data = DataDir::open(&settings.data_dir)?;
    if unfinished::is_noted(data.path())? {
        bail!(
            "a repair of {} was interrupted: end it first; see docs/repair.md",
            data.path().display()
        );
    }
    Ok(data)
}

fn places(settings: &Settings, shards: &[ShardId]) -> Vec<PathBuf> {
    let place = |shard: &ShardId| shard_folders::folder(&settings.data_dir, *shard);
    shards.iter().map(place).collect()
}

fn bar(doing: &str) -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template(&format!("{doing} {{bar:40}} {{pos}}/{{len}} ({{eta}})"))?;
    Ok(ProgressBar::new(0).with_style(style))
}

fn shown(bar: &ProgressBar) -> impl Fn(u64, u64) {
    |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    }
}
