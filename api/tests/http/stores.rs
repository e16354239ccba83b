//! Where a world keeps what is beside its journal: in memory, behind the caches that a node has.

use florin_adapters::cache::{CachedCards, CachedViews, PaymentCache};
use florin_adapters::card_vault::{CardStore, StoreOptions};
use florin_adapters::clock::SystemClock;
use florin_adapters::entropy::OsEntropy;
use florin_adapters::secrets::{FileKek, development_kek_in};
use florin_adapters::views::MemoryViews;
use florin_domain::ports::Kek;
use std::path::Path;
use std::sync::Arc;

/// A view in memory, behind copies of it.
pub(crate) fn views() -> Arc<CachedViews<MemoryViews>> {
    let payments = Arc::new(PaymentCache::new(None));
    Arc::new(CachedViews::new(MemoryViews::default(), payments))
}

/// A card vault in memory, under the key of this folder.
pub(crate) fn cards(folder: &Path) -> Arc<CachedCards> {
    let keks: Vec<Arc<dyn Kek>> = vec![Arc::new(
        FileKek::load_or_create(&development_kek_in(folder)).unwrap(),
    )];
    let world = (Arc::new(SystemClock::new()) as _, Arc::new(OsEntropy::new()) as _);
    let store = CardStore::in_memory(keks, world, &StoreOptions::default()).unwrap();
    Arc::new(CachedCards::new(Arc::new(store), None))
}
