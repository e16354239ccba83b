//! `florin dev`: everything in one process, with a sandbox for providers and published keys. Not for real money.

use crate::{control, edge, node, vault};
use anyhow::Context as _;
use florin_adapters::data_dir::DataDir;
use florin_adapters::digests;
use florin_config::{ProviderSettings, Settings};
use florin_domain::merchant::ApiKeyRole;
use florin_sandbox::{Options as SandboxOptions, Sandbox};
use florin_supervisors::platform::Platform;

/// The development merchant's key.
pub(crate) const MERCHANT_KEY: &str = "sk_test_florin_dev";
/// The development operator's key.
const OPERATOR_KEY: &str = "ok_test_florin_dev";
/// The development merchant's name.
const MERCHANT_NAME: &str = "Development merchant";

/// Runs until a signal.
pub(crate) async fn run(mut settings: Settings) -> anyhow::Result<()> {
    let stop = edge::StopSignal::catch()?;
    let metrics = node::install_metrics()?;
    // The sandbox would only say that its own file is in use. Who really owns the folder is decided when the node starts.
    drop(DataDir::open(&settings.data_dir)?);
    let sandbox_dir = settings.data_dir.join("sandbox");
    let sandbox = Sandbox::start(SandboxOptions::new(settings.sandbox.listen, Some(sandbox_dir)))
        .await
        .with_context(|| format!("cannot start the sandbox on {}", settings.sandbox.listen))?;
    settings.sandbox_bound(sandbox.local_addr());
    vault::make_development_kek(&settings)?;
    let providers = crate::providers::providers(&settings, true)?;
    let node = node::start(&settings, providers, metrics).await?;
    let served = match seed(&node.platform).await {
        Ok(()) => edge::serve(&node, &settings, true),
        Err(error) => Err(error),
    };
    let api = match served {
        Ok(api) => api,
        Err(error) => {
            node.stop(settings.drain_limit).await;
            return Err(error);
        }
    };
    let sandboxed = |provider: &&ProviderSettings| settings.is_sandboxed(provider);
    for provider in settings.providers.iter().filter(sandboxed) {
        let url = format!("http://{}/v1/providers/{}/notices", api.local_addr(), provider.id);
        let told = match (&provider.adyen, provider.webhook_secrets.first()) {
            (Some(adyen), _) => sandbox.notify_adyen(&url, adyen.hmac_key.expose()).await,
            (None, Some(secret)) => sandbox.notify_stripe(&url, secret.expose()).await,
            (None, None) => Ok(()),
        };
        told.with_context(|| format!("the sandbox cannot send the notifications of {}", provider.id))?;
    }
    print_welcome(api.local_addr(), sandbox.local_addr());
    stop.received().await;
    edge::stop(node, api, settings.drain_limit).await?;
    sandbox.stop().await?;
    Ok(())
}

/// The development merchant and both keys, each unless it is there: the last start may have ended between any two of them.
async fn seed(platform: &Platform) -> anyhow::Result<()> {
    let control = platform.context().directory.load_full();
    let has_key = |secret| {
        let digest = digests::secret_sha256(secret);
        control.keys.iter().any(|key| key.secret_sha256 == digest)
    };
    if !has_key(MERCHANT_KEY) {
        let made = control
            .merchants
            .iter()
            .find(|merchant| merchant.name == MERCHANT_NAME);
        let merchant = if let Some(merchant) = made {
            merchant.id
        } else {
            let placement = &platform.context().options.placement;
            let shard = placement.of_merchant(MERCHANT_NAME, None)?;
            control::create_merchant(platform, shard, MERCHANT_NAME, control::standard_fee()?).await?
        };
        control::create_key(platform, ApiKeyRole::Merchant(merchant), false, MERCHANT_KEY).await?;
    }
    if !has_key(OPERATOR_KEY) {
        control::create_key(platform, ApiKeyRole::Operator, false, OPERATOR_KEY).await?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the welcome is this command's output")]
fn print_welcome(api: std::net::SocketAddr, sandbox: std::net::SocketAddr) {
    println!(
        r#"Florin is ready.

  API        http://{api}
  sandbox    http://{sandbox}/charges
  merchant   {MERCHANT_KEY}
  operator   {OPERATOR_KEY}

A first payment:

  curl -s http://{api}/v1/payments \
    -H 'Authorization: Bearer {MERCHANT_KEY}' -H 'Content-Type: application/json' \
    -H 'Idempotency-Key: first-payment' \
    -d '{{"amount": 10000, "currency": "USD", "payment_method_id": "pm_card_visa"}}'
"#
    );
}
