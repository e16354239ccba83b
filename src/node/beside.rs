//! The stores beside the journal: customers and cards, links, webhook endpoints. In files of the data folder, and with a journal in a database there
//! as well.

use crate::ownership::Ownership;
use crate::providers::Providers;
use crate::vault;
use crate::webhooks;
use florin_actors::context::Webhooks;
use florin_adapters::card_vault::NoCards;
use florin_adapters::clock::SystemClock;
use florin_adapters::entropy::OsEntropy;
use florin_adapters::mirror::MirrorIn;
use florin_adapters::payment_links::{self, LinkStore};
use florin_config::Settings;
use florin_domain::ports::{CardVault, Clock, Entropy, PaymentLinks};
use std::path::Path;
use std::sync::Arc;

/// All of them.
pub(crate) struct Beside {
    /// Customers and saved cards.
    pub(crate) cards: Arc<dyn CardVault>,
    /// Links under which customers pay.
    pub(crate) links: Arc<dyn PaymentLinks>,
    /// How merchants are told, if they are.
    pub(crate) webhooks: Option<Webhooks>,
}

impl Beside {
    /// Opens what the data folder has, which must be ours.
    pub(crate) fn open(
        settings: &Settings,
        ownership: &Ownership,
        providers: &Providers,
        (clock, entropy): (&Arc<SystemClock>, &Arc<OsEntropy>),
    ) -> anyhow::Result<Self> {
        let mirror = ownership.mirror();
        let cards: Arc<dyn CardVault> = match vault::open_cards(
            settings,
            Arc::clone(clock) as _,
            Arc::clone(entropy) as _,
            mirror.as_ref(),
        )? {
            Some(store) => {
                providers.cards.are(Arc::clone(&store) as _);
                store
            }
            None => Arc::new(NoCards),
        };
        let links = open_links(
            &settings.data_dir,
            Arc::clone(clock) as _,
            Arc::clone(entropy) as _,
            mirror.as_ref(),
        )?;
        let webhooks = match providers.tells_locally {
            Some(allows_local) => Some(webhooks::open(
                settings,
                Arc::clone(clock) as _,
                allows_local,
                mirror.as_ref(),
            )?),
            None => None,
        };
        Ok(Self {
            cards,
            links,
            webhooks,
        })
    }
}

/// The store of payment links. The data folder must be ours.
fn open_links(
    folder: &Path,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    mirror: Option<&MirrorIn>,
) -> anyhow::Result<Arc<dyn PaymentLinks>> {
    let file = payment_links::file_in(folder);
    Ok(Arc::new(LinkStore::open_mirrored(
        Some(&file),
        (clock, entropy),
        mirror,
    )?))
}
