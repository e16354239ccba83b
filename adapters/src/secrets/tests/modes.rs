//! Test and live sets: who may bring in which.

use super::*;
use florin_domain::credentials::PRESENT_FOR_OWN_KEY_MAX;

/// Both providers over https, of which Adyen's address is one of real money or not.
fn opened(world: &World, is_live: bool) -> SecretStore {
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

const LIVE_KEY: &str = "sk_live_canaryBRAVO0123456789";

#[tokio::test]
async fn the_last_set_of_a_mode_is_retired_only_by_somebody_who_says_that_charges_may_fall_back() {
    let mut world = World::new();
    let (at, store) = ((SHOP, stripe()), opened(&world, false));
    world.put(&store, at, key(FIRST_KEY)).await;
    world.put(&store, at, key(LIVE_KEY)).await;
    // Each is the only one of its mode: live charges would go on under the test set, and the other way round.
    for (version, livemode) in [(1, false), (2, true)] {
        let refused = store.retire(SHOP, stripe(), version, LastSet::Kept).await;
        assert_eq!(refused, Err(SecretsError::LastOfMode { livemode }));
    }
    assert_eq!(
        store.present(SHOP, stripe()).unwrap().len(),
        2,
        "nothing has changed"
    );
    world.put(&store, at, key(SECOND_KEY)).await;
    let retired = store.retire(SHOP, stripe(), 1, LastSet::Kept).await.unwrap();
    assert_eq!((retired.version, retired.retired_at.is_some()), (1, true));
    world.journal(at, &retired);
    store.settle(SHOP, stripe(), true).await.unwrap();
    for (version, livemode) in [(3, false), (2, true)] {
        let refused = store.retire(SHOP, stripe(), version, LastSet::Kept).await;
        assert_eq!(refused, Err(SecretsError::LastOfMode { livemode }));
        world.retire(&store, at, version).await;
    }
    assert!(store.present(SHOP, stripe()).unwrap().is_empty());
}

#[tokio::test]
async fn the_set_in_force_is_not_retired_silently_where_one_of_another_mode_follows() {
    let mut world = World::new();
    let (at, store) = ((SHOP, stripe()), opened(&world, false));
    for fields in [
        key(LIVE_KEY),
        key(FIRST_KEY),
        key("sk_live_canaryDELTA0123456789"),
    ] {
        world.put(&store, at, fields).await;
    }
    // Version 1 is live as well, and is not what follows.
    let refused = store.retire(SHOP, stripe(), 3, LastSet::Kept).await;
    assert_eq!(refused, Err(SecretsError::LastOfMode { livemode: true }));
    let old = store.retire(SHOP, stripe(), 1, LastSet::Kept).await;
    assert!(old.is_ok(), "what is not in force moves nothing: {old:?}");
}

#[tokio::test]
async fn sets_of_one_mode_take_no_room_from_the_other_and_used_up_ones_from_nobody() {
    let mut world = World::new();
    let (at, store) = ((SHOP, stripe()), opened(&world, false));
    let test_key = |number: u32| key(&format!("sk_test_canaryALPHA_{number:06}"));
    for number in 0..PRESENT_FOR_OWN_KEY_MAX {
        world
            .put(&store, at, test_key(u32::try_from(number).unwrap()))
            .await;
    }
    let own = |fields, livemode| store.put(SHOP, stripe(), fields, Some(livemode));
    assert_eq!(own(test_key(99), false).await, Err(SecretsError::TooMany));
    let live = own(key(LIVE_KEY), true).await;
    assert!(
        matches!(&live, Ok(Begun::New(about)) if about.version == 5),
        "{live:?}"
    );
    store.settle(SHOP, stripe(), false).await.unwrap();
    // Whoever puts and retires all day locks neither operators nor the merchant out, nor the node after a start.
    for number in 100..140 {
        world.retire(&store, at, number - 99).await;
        assert_eq!(world.put(&store, at, test_key(number)).await, number - 95);
    }
    world.retire(&store, at, 41).await;
    let store = opened(&world, false);
    for only in [None, Some(false)] {
        let put = store.put(SHOP, stripe(), test_key(140), only).await;
        assert!(
            matches!(&put, Ok(Begun::New(about)) if about.version == 45),
            "{put:?}"
        );
        store.settle(SHOP, stripe(), false).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_of_one_mode_brings_in_no_set_of_the_other_and_the_refusal_names_the_field() {
    // Whether Adyen's address is live, the provider, the set, the mode of the caller's key, and what is wrong.
    let table = [
        (false, stripe(), key(FIRST_KEY), Some(false), None),
        (false, stripe(), key(LIVE_KEY), Some(true), None),
        (
            false,
            stripe(),
            key(LIVE_KEY),
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
        (false, stripe(), key(LIVE_KEY), None, None),
    ];
    for (is_live, provider, fields, only, expected) in table {
        let world = World::new();
        let put = opened(&world, is_live).put(SHOP, provider, fields, only).await;
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
