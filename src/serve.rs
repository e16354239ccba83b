//! `florin serve`: a node for real work, configured by file and environment.

use crate::{edge, node};
use florin_config::Settings;

/// Runs until a signal.
pub(crate) async fn run(settings: Settings) -> anyhow::Result<()> {
    let stop = edge::StopSignal::catch()?;
    let metrics = node::install_metrics()?;
    let providers = node::providers(&settings, false)?;
    let node = node::start(&settings, providers, metrics).await?;
    if node.platform.context().directory.load().keys.is_empty() {
        tracing::warn!(
            "there are no API keys yet: stop, then use `florin merchant create` and `florin key create`"
        );
    }
    let api = edge::serve(&node, &settings, false)?;
    tracing::info!(address = %api.local_addr(), "taking payments");
    stop.received().await;
    edge::stop(node, api, settings.drain_limit).await
}
