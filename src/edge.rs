//! The HTTP edge of a node, and the signals that end it.

use crate::node::Node;
use anyhow::Context as _;
use florin_actors::credentials_handle::CredentialsHandle;
use florin_actors::directory_handle::DirectoryHandle;
use florin_actors::webhooks_handle::WebhooksHandle;
use florin_adapters::audit::key::SigningKey;
use florin_adapters::digests;
use florin_api::server::{Api, ApiOptions, ApiParts, Digests, ErrorProfile, RateLimit, RunningApi};
use florin_config::{RateSettings, Settings};
use std::net::TcpListener;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Serves a node's API.
pub(crate) fn serve(node: &Node, settings: &Settings, development: bool) -> anyhow::Result<RunningApi> {
    let context = node.platform.context();
    let metrics = node.metrics.clone();
    let key = SigningKey::load_or_create(&settings.data_dir).context("the key that signs receipts")?;
    let key = Arc::new(key);
    let parts = ApiParts {
        ownership: node.ownership(),
        payments: node.platform.payments(),
        ledger: node.platform.ledger(),
        consistency: node.platform.consistency(),
        ops: Arc::new(node.platform.ops(Box::new(move || metrics.render()))),
        receipts: Arc::clone(&key) as _,
        client_secrets: key,
        notices: crate::providers::notices(settings, &node.book, Arc::clone(&context.ports.clock))?,
        directory: DirectoryHandle::new(node.platform.shards().clone()),
        credentials: CredentialsHandle::new(
            node.platform.shards().clone(),
            Arc::clone(&node.secrets),
            Handle::current(),
        ),
        cards: Arc::clone(&node.cards) as _,
        shown_cards: Arc::clone(&node.cards) as _,
        links: Arc::clone(&node.links),
        entropy: Arc::clone(&context.ports.entropy),
        public_url: settings.http.public_url.as_deref().map(Arc::from),
        shared_limits: node.shared_limits.clone(),
        webhooks: WebhooksHandle::new(node.platform.shards().clone()),
        digests: Digests {
            key: digests::key_digest,
            fingerprint: digests::fingerprint,
            secret: digests::secret_sha256,
        },
        request_seed: context.ports.entropy.next_u64(),
    };
    let usual = ApiOptions::default();
    let options = ApiOptions {
        // Zero leaves the number to the machine's cores.
        workers: if settings.http.workers == 0 {
            usual.workers
        } else {
            settings.http.workers
        },
        max_connections: settings.http.max_connections,
        body_limit_bytes: settings.http.body_limit_bytes,
        head_limit_bytes: settings.http.head_limit_bytes,
        head_timeout: settings.http.head_timeout,
        body_timeout: settings.http.body_timeout,
        keep_alive: settings.http.keep_alive,
        disconnect_timeout: settings.http.disconnect_timeout,
        accepts_development_keys: development,
        allows_local_webhooks: development,
        rate_limit: rate_limit(settings.rates),
        failed_auth_per_min: NonZeroU32::new(settings.rates.failed_auth_per_min),
        error_profile: match settings.error_profile {
            florin_config::ErrorProfile::Stripe => ErrorProfile::Stripe,
            florin_config::ErrorProfile::Seed => ErrorProfile::Seed,
        },
        ..usual
    };
    let listen = settings.listen;
    let listener = TcpListener::bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
    Ok(Api::serve(listener, parts, options)?)
}

/// Nothing for no limit.
fn rate_limit(rates: RateSettings) -> Option<RateLimit> {
    Some(RateLimit {
        requests_per_s: NonZeroU32::new(rates.requests_per_s)?,
        burst: NonZeroU32::new(rates.burst)?,
    })
}

/// SIGTERM and SIGINT, caught from the moment this exists: before anybody can know that the process runs.
#[derive(Debug)]
pub(crate) struct StopSignal {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignal {
    /// Catches both from now on.
    pub(crate) fn catch() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for one, or finds that it came already.
    pub(crate) async fn received(mut self) {
        self.waited_for().await;
    }

    /// The same, and may be asked again as long as none came.
    pub(crate) async fn waited_for(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Stops accepting, drains the node, and says what was left.
pub(crate) async fn stop(node: Node, api: RunningApi, limit: Duration) -> anyhow::Result<()> {
    tracing::info!("draining");
    node.platform.context().admission.drain();
    api.stop().await?;
    let left = node.stop(limit).await;
    if left > 0 {
        tracing::warn!(
            left,
            "operations were still in flight; the next start takes them up"
        );
    }
    tracing::info!("stopped");
    Ok(())
}
