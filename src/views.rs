//! `florin views rebuild`: throws the views away and reads them back from the journal.

use crate::node::{self, Providers};
use anyhow::Context as _;
use florin_actors::projection::ProjectionMail;
use florin_config::Settings;
use florin_domain::ids::ShardId;
use indicatif::ProgressBar;
use std::time::Duration;

/// What can be done with the views.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ViewsCommand {
    /// Throw the views away and read them back from the journal (while the node is stopped)
    Rebuild,
}

/// Rebuilds. The node must not be running: the folder is locked by whoever runs it.
#[expect(clippy::print_stdout, reason = "the result is this command's output")]
pub(crate) async fn rebuild(settings: Settings) -> anyhow::Result<()> {
    node::discard_views(&settings.data_dir)?;
    let metrics = node::install_metrics()?;
    let node = node::start(&settings, Providers::of(Vec::new()), metrics).await?;
    let spinner = ProgressBar::new_spinner().with_message("reading the journal into the views");
    spinner.enable_steady_tick(Duration::from_millis(100));
    for context in node.platform.shards().iter() {
        let (reply, settled) = tokio::sync::oneshot::channel();
        context.projection.step(ProjectionMail::Settle(reply));
        settled.await.context("the views could not be rebuilt")?;
    }
    spinner.finish_and_clear();
    for context in node.platform.shards().iter() {
        let watermark = context.ports.views.watermark()?;
        match context.shard {
            ShardId::FIRST => println!("views rebuilt up to commit {watermark}"),
            ShardId(shard) => println!("views of shard {shard} rebuilt up to commit {watermark}"),
        }
    }
    node.platform.drain(Duration::from_secs(10)).await;
    Ok(())
}
