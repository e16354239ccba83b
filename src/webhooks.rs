//! How merchants are told at their own servers: the store of endpoints in the data folder, the client, and what writes and signs.

use crate::vault;
use anyhow::{Context as _, bail};
use florin_actors::context::Webhooks;
use florin_adapters::mirror::MirrorIn;
use florin_adapters::webhooks::store::{EndpointFile, NoEndpoints, StoreOptions, file_in};
use florin_adapters::webhooks::{ClientSettings, TwoSchemes, VettedClient};
use florin_api::event_bodies::WrittenEvents;
use florin_config::Settings;
use florin_domain::ports::Clock;
use std::sync::Arc;

/// Opens what the data folder has of them. With `allows_local` deliveries may go to this machine and its networks, as in development.
pub(crate) fn open(
    settings: &Settings,
    clock: Arc<dyn Clock>,
    allows_local: bool,
    mirror: Option<&MirrorIn>,
) -> anyhow::Result<Webhooks> {
    let path = file_in(&settings.data_dir);
    let client = VettedClient::new(ClientSettings {
        allows_local,
        ..ClientSettings::default()
    });
    let webhooks = |endpoints, book| -> anyhow::Result<Webhooks> {
        Ok(Webhooks {
            endpoints,
            book,
            client: Arc::new(client.context("the client of webhooks")?),
            signer: Arc::new(TwoSchemes),
            bodies: Arc::new(WrittenEvents),
        })
    };
    let Some((file, keks)) = vault::keks(settings)? else {
        if path.exists() {
            bail!(
                "{} has webhook endpoints, and there is no key to open their secrets: set `secrets.kek_file`",
                path.display()
            );
        }
        return webhooks(Arc::new(NoEndpoints), Arc::new(NoEndpoints));
    };
    let options = StoreOptions {
        mirror: mirror.cloned(),
        ..StoreOptions::default()
    };
    let store = EndpointFile::open(&path, &keks, clock, &options);
    let unusable = || format!("the key-encryption key is that of {}", file.display());
    let store = Arc::new(store.with_context(unusable)?);
    webhooks(Arc::clone(&store) as _, store)
}
