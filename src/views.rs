//! `florin views rebuild`: throws the views away and reads them back from the journal.

use crate::node;
use crate::ownership::Ownership;
use crate::providers::Providers;
use anyhow::Context as _;
use florin_actors::projection::ProjectionMail;
use florin_actors::shards::Shards;
use florin_adapters::views::PostgresViews;
use florin_config::Settings;
use florin_domain::ids::ShardId;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// What can be done with the views.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ViewsCommand {
    /// Throw the views away and read them back from the journal (while the node is stopped)
    Rebuild,
}

/// How often the bar is moved.
const LOOK: Duration = Duration::from_millis(100);

/// Commits that were read so far, of all shards.
fn read(shards: &Shards) -> u64 {
    shards.iter().map(|context| context.lag.views_read().0).sum()
}

/// Throws away those that a database has, which are ours now.
async fn discard_kept(settings: &Settings, ownership: &Ownership) -> anyhow::Result<()> {
    let Ownership::Lease(held) = ownership else {
        return Ok(());
    };
    if settings.database.has_views {
        for taken in &held.taken {
            PostgresViews::discard(&held.database, taken).await?;
        }
    }
    Ok(())
}

/// Rebuilds. The node must not be running: the folder is locked by whoever runs it.
#[expect(clippy::print_stdout, reason = "the result is this command's output")]
pub(crate) async fn rebuild(settings: Settings) -> anyhow::Result<()> {
    node::discard_views(&settings.data_dir)?;
    let metrics = node::install_metrics()?;
    let ownership = Ownership::now(&settings).await?;
    discard_kept(&settings, &ownership).await?;
    let begun = (ownership, std::future::pending());
    let node = node::start_with(&settings, Providers::of(Vec::new()), metrics, begun);
    let node = node.await?.context("nobody stops it")?;
    let mut commits = 0;
    for context in node.platform.shards().iter() {
        commits += context.ports.journal.head(context.shard).await?.seq.0;
    }
    let style = ProgressStyle::with_template(
        "reading the journal into the views {bar:40} {pos}/{len} commits ({eta})",
    )?;
    let bar = ProgressBar::new(commits).with_style(style);
    let mut ticks = tokio::time::interval(LOOK);
    for context in node.platform.shards().iter() {
        let (reply, mut settled) = tokio::sync::oneshot::channel();
        context.projection.step(ProjectionMail::Settle(reply));
        loop {
            tokio::select! {
                settled = &mut settled => break settled.context("the views could not be rebuilt")?,
                _ = ticks.tick() => bar.set_position(read(node.platform.shards())),
            }
        }
    }
    bar.finish_and_clear();
    for context in node.platform.shards().iter() {
        let watermark = context.ports.views.watermark()?;
        match context.shard {
            ShardId::FIRST => println!("views rebuilt up to commit {watermark}"),
            ShardId(shard) => println!("views of shard {shard} rebuilt up to commit {watermark}"),
        }
    }
    node.stop(Duration::from_secs(10)).await;
    Ok(())
}
