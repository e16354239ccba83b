//! A folder that is an older copy than the journal: it is refused, or comes to the same.

use super::*;
use proptest::prelude::*;

fn sealed(world: &World) -> PathBuf {
    Folder::new(folder_in(world.data.path()), unwatched()).file(SHOP)
}

/// The file as it is, or that there is none.
fn copy(world: &World) -> Option<Vec<u8>> {
    fs::read(sealed(world)).ok()
}

fn restore(world: &World, copy: Option<&Vec<u8>>) {
    match copy {
        Some(bytes) => fs::write(sealed(world), bytes).unwrap(),
        None => drop(fs::remove_file(sealed(world))),
    }
}

fn refusal(world: &World) -> String {
    let (store, book) = world.try_open(unwatched()).unwrap();
    let text = store.compare(&world.journaled).unwrap_err().to_string();
    assert!(
        is_pending(book.find((SHOP, stripe()), Timestamp::from_unix_ms(1))),
        "nothing is charged"
    );
    text
}

fn found(book: &Book, provider: ProviderId, made_at: Timestamp) -> Result<Option<u32>, Unavailable> {
    let looked = pin!(book.find((SHOP, provider), made_at)).poll(&mut Context::from_waker(Waker::noop()));
    match looked {
        Poll::Ready(found) => found.map(|held: Option<Held>| held.map(|held| held.version)),
        Poll::Pending => panic!("nothing is under way"),
    }
}

#[tokio::test]
async fn a_folder_that_lacks_a_retired_version_is_refused_because_what_was_charged_under_it_has_no_account_then()
 {
    let mut world = World::new();
    let (store, _) = world.open();
    let at = (SHOP, stripe());
    world.put(&store, at, key(FIRST_KEY)).await;
    world.retire(&store, at, 1).await;
    let newest = copy(&world);
    restore(&world, None);
    let text = refusal(&world);
    for part in ["had version 1", "retired now", "stripe", "put the latest copy"] {
        assert!(text.contains(part), "{text}");
    }
    restore(&world, newest.as_ref());
    let (_, book) = world.open();
    let first = world.journaled[&at][&1].created_at.unwrap();
    assert_eq!(found(&book, stripe(), first), Err(Unavailable::Retired));
}

#[tokio::test]
async fn a_version_that_was_made_again_with_the_same_number_is_not_taken_for_the_other_one() {
    let mut world = World::new();
    let (store, _) = world.open();
    // It never came to the journal; a copy was made all the same.
    store.put(SHOP, stripe(), key(FIRST_KEY), None).await.unwrap();
    let older = copy(&world);
    let (store, _) = world.open();
    assert_eq!(world.put(&store, (SHOP, stripe()), key(SECOND_KEY)).await, 1);
    restore(&world, older.as_ref());
    let text = refusal(&world);
    assert!(text.contains("was given another version 1"), "{text}");
}

/// What is done to one of the merchant's two sets, between payments.
#[derive(Clone, Copy, Debug)]
enum Step {
    Put { adyen: bool, other_account: bool },
    Retire { adyen: bool, which: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (any::<bool>(), any::<bool>()).prop_map(|(adyen, other_account)| Step::Put { adyen, other_account }),
        (any::<bool>(), 1_u32..4).prop_map(|(adyen, which)| Step::Retire { adyen, which }),
    ]
}

async fn take(world: &mut World, store: &SecretStore, step: Step, number: usize) {
    match step {
        Step::Put {
            adyen: true,
            other_account,
        } => {
            let account = if other_account { "ShopDE" } else { "ShopNL" };
            let fields = named(&[
                (CredentialField::ApiKey, &format!("AQE1canaryDELTA_{number}")),
                (CredentialField::MerchantAccount, account),
                (CredentialField::HmacKeys, HMAC),
            ]);
            world.put(store, (SHOP, adyen()), fields).await;
        }
        Step::Put { adyen: false, .. } => {
            let fields = key(&format!("sk_test_canaryALPHA_{number}"));
            world.put(store, (SHOP, stripe()), fields).await;
        }
        Step::Retire {
            adyen: is_adyen,
            which,
        } => {
            let provider = if is_adyen { adyen() } else { stripe() };
            let present = store.present(SHOP, provider).unwrap();
            if present.iter().any(|present| present.about.version == which) {
                world.retire(store, (SHOP, provider), which).await;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whichever copy of whichever time is put in the place of the latest one: the start is refused, or every payment is under the same
    /// version as before.
    #[test]
    fn an_older_copy_is_refused_or_moves_no_payment_to_another_account(
        steps in proptest::collection::vec(step(), 1..8),
        later in 0_u64..50,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            let (store, book) = world.open();
            let (mut copies, mut made) = (vec![copy(&world)], vec![now(&world)]);
            for (number, step) in steps.iter().enumerate() {
                take(&mut world, &store, *step, number).await;
                copies.push(copy(&world));
                made.push(now(&world));
            }
            let of = |book: &Book| {
                let all = made.iter().flat_map(|at| [stripe(), adyen()].map(|provider| (provider, *at)));
                all.map(|(provider, at)| found(book, provider, at)).collect::<Vec<_>>()
            };
            let expected = of(&book);
            for _ in 0..later {
                now(&world);
            }
            for older in &copies {
                restore(&world, older.as_ref());
                let (store, book) = world.try_open(unwatched()).unwrap();
                match store.compare(&world.journaled) {
                    Ok(()) => assert_eq!(of(&book), expected),
                    Err(_) => assert_ne!(older.as_ref(), copies.last().unwrap().as_ref(), "the latest is never refused"),
                }
            }
        });
    }
}
