//! `florin serve`: a node for real work, configured by file and environment.

use crate::ownership::Ownership;
use crate::{edge, node};
use florin_config::Settings;

/// Runs until a signal.
pub(crate) async fn run(settings: Settings) -> anyhow::Result<()> {
    let stop = edge::StopSignal::catch()?;
    let metrics = node::install_metrics()?;
    let providers = crate::providers::providers(&settings, false)?;
    let mut stop = stop;
    let Some(ownership) = Ownership::when_free(&settings, stop.waited_for()).await? else {
        tracing::info!("stopped while waiting");
        return Ok(());
    };
    let starting = node::start_with(&settings, providers, metrics, (ownership, stop.waited_for()));
    let Some(node) = starting.await? else {
        tracing::info!("stopped while starting");
        // At once: what it had begun, which may read and ask on, is not waited for.
        std::process::exit(0);
    };
    if node.platform.context().directory.load().keys.is_empty() {
        tracing::warn!(
            "there are no API keys yet: stop, then use `florin merchant create` and `florin key create`"
        );
    }
    let api = match edge::serve(&node, &settings, false) {
        Ok(api) => api,
        Err(error) => {
            node.stop(settings.drain_limit).await;
            return Err(error);
        }
    };
    tracing::info!(address = %api.local_addr(), "taking payments");
    stop.received().await;
    edge::stop(node, api, settings.drain_limit).await
}
