//! Test and live sets: who may bring in which.

use super::*;

/// Both providers over https, of which Adyen's address is one of real money or not.
fn store(world: &World, is_live: bool) -> SecretStore {
    let terms = terms().into_iter().map(|(provider, terms)| {
        let open = Terms {
            is_clear: false,
            is_live,
            refuses_live: false,
            ..terms
        };
        (provider, open)
    });
    let (clock, book) = (Arc::clone(&world.clock) as _, Arc::new(Book::default()));
    let folder = Folder::new(folder_in(world.data.path()), unwatched());
    let store = SecretStore::open_watched(folder, world.keks(), terms.collect(), clock, book).unwrap();
    store.compare(&world.journaled).unwrap();
    store
}

#[tokio::test]
async fn a_key_of_one_mode_brings_in_no_set_of_the_other_and_the_refusal_names_the_field() {
    const LIVE: &str = "sk_live_canaryBRAVO0123456789";
    // Whether Adyen's address is live, the provider, the set, the mode of the caller's key, and what is wrong.
    let table = [
        (false, stripe(), key(FIRST_KEY), Some(false), None),
        (false, stripe(), key(LIVE), Some(true), None),
        (
            false,
            stripe(),
            key(LIVE),
            Some(false),
            Some("`secret_key` must be a test key"),
        ),
        (
            false,
            stripe(),
            key(FIRST_KEY),
            Some(true),
            Some("`secret_key` must be a live key"),
        ),
        (true, adyen(), adyen_set("ShopNL"), Some(true), None),
        (false, adyen(), adyen_set("ShopNL"), Some(false), None),
        (
            true,
            adyen(),
            adyen_set("ShopNL"),
            Some(false),
            Some("`api_key` is one of real money"),
        ),
        (
            false,
            adyen(),
            adyen_set("ShopNL"),
            Some(true),
            Some("`api_key` moves no real money"),
        ),
        // Operators decide for themselves.
        (true, adyen(), adyen_set("ShopNL"), None, None),
        (false, stripe(), key(LIVE), None, None),
    ];
    for (is_live, provider, fields, only, expected) in table {
        let world = World::new();
        let put = store(&world, is_live).put(SHOP, provider, fields, only).await;
        match (put, expected) {
            (Ok(Begun::New(_)), None) => {}
            (Err(error), Some(expected)) => {
                let text = error.to_string();
                assert!(text.contains(expected) && !text.contains("canary"), "{text}");
                assert!(!folder_in(world.data.path()).exists(), "nothing was kept");
            }
            (got, _) => panic!("{provider} {only:?}: {got:?}"),
        }
    }
}
