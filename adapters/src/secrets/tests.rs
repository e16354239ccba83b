//! The store as its port shows it: what is in force when, over restarts and around the journal.

use super::book::{Book, Held, Unavailable};
use super::folder::{Folder, Steps, unwatched};
use super::record::Record;
use super::rotation::rotate_watched;
use super::sealed_file::{FileError, SealedFile};
use super::*;
use florin_domain::credentials::{
    CredentialField, CredentialFields, CredentialKind, CredentialVersion, JournaledCredentials,
    JournaledVersion, LastSet, SecretText,
};
use florin_domain::ids::MerchantId;
use florin_domain::ports::{Begun, Clock, Kek, Secrets, SecretsError};
use florin_domain::provider::ProviderId;
use florin_domain::time::Timestamp;
use std::collections::HashMap;
use std::fs;
use std::future::Future;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use tempfile::TempDir;

mod copies;
mod files;
mod mirrored;
mod modes;
mod rotations;

const SHOP: MerchantId = MerchantId::from_bits(0x51);
const OTHER: MerchantId = MerchantId::from_bits(0x52);
const FIRST_KEY: &str = "sk_test_canaryALPHA0123456789";
const SECOND_KEY: &str = "sk_test_canaryBRAVO0123456789";
const WEBHOOK: &str = "whsec_canaryCHARLIE";
const HMAC: &str = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";
/// None of these may be anywhere but in a sealed record.
const CANARIES: [&str; 5] = [
    "canaryALPHA",
    "canaryBRAVO",
    "canaryCHARLIE",
    "canaryDELTA",
    "44782DEF547A",
];

/// A clock that goes on by a millisecond whenever it is read.
#[derive(Debug, Default)]
struct Ticking(AtomicU64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(1_000 + self.0.fetch_add(1, Ordering::SeqCst))
    }
}

fn stripe() -> ProviderId {
    ProviderId::parse("stripe").unwrap()
}

fn adyen() -> ProviderId {
    ProviderId::parse("adyen").unwrap()
}

fn terms() -> HashMap<ProviderId, Terms> {
    let terms = |kind| Terms {
        kind,
        is_clear: true,
        is_live: false,
        refuses_live: true,
    };
    [
        (stripe(), terms(CredentialKind::Stripe)),
        (adyen(), terms(CredentialKind::Adyen)),
    ]
    .into()
}

fn named(fields: &[(CredentialField, &str)]) -> CredentialFields {
    let field = |(field, text): &(CredentialField, &str)| (*field, SecretText::new(text));
    fields.iter().map(field).collect()
}

fn key(text: &str) -> CredentialFields {
    named(&[(CredentialField::SecretKey, text)])
}

fn adyen_set(account: &str) -> CredentialFields {
    named(&[
        (CredentialField::ApiKey, "AQE1canaryDELTA0123456789"),
        (CredentialField::MerchantAccount, account),
        (CredentialField::HmacKeys, HMAC),
    ])
}

/// A data folder, its key, and what the journal would say.
struct World {
    data: TempDir,
    clock: Arc<Ticking>,
    journaled: JournaledCredentials,
}

impl World {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        FileKek::load_or_create(&development_kek_in(data.path())).unwrap();
        Self {
            data,
            clock: Arc::new(Ticking::default()),
            journaled: JournaledCredentials::new(),
        }
    }

    fn keks(&self) -> Vec<Arc<dyn Kek>> {
        let path = development_kek_in(self.data.path());
        let next = FileKek::next(&path).unwrap().map(|kek| Arc::new(kek) as _);
        std::iter::once(Arc::new(FileKek::load(&path).unwrap()) as _)
            .chain(next)
            .collect()
    }

    fn try_open(&self, steps: Steps) -> Result<(SecretStore, Arc<Book>), OpenError> {
        let book = Arc::new(Book::default());
        let folder = Folder::new(folder_in(self.data.path()), steps);
        let clock = Arc::clone(&self.clock) as _;
        let store = SecretStore::open_watched(folder, self.keks(), terms(), clock, Arc::clone(&book))?;
        Ok((store, book))
    }

    fn open(&self) -> (SecretStore, Arc<Book>) {
        let (store, book) = self.try_open(unwatched()).unwrap();
        store.compare(&self.journaled).unwrap();
        (store, book)
    }

    fn journal(&mut self, at: (MerchantId, ProviderId), about: &CredentialVersion) {
        let journaled = JournaledVersion {
            created_at: Some(about.created_at),
            retired_at: about.retired_at,
        };
        let versions = self.journaled.entry(at).or_default();
        versions.insert(about.version, journaled);
    }

    /// Retires a version, if it was the last one or not, and has the journal say so.
    async fn retire(&mut self, store: &SecretStore, at: (MerchantId, ProviderId), version: u32) {
        let about = store
            .retire(at.0, at.1, version, LastSet::FallsBack)
            .await
            .unwrap();
        self.journal(at, &about);
        store.settle(at.0, at.1, true).await.unwrap();
    }

    /// Puts a set and has the journal say so.
    async fn put(
        &mut self,
        store: &SecretStore,
        at: (MerchantId, ProviderId),
        fields: CredentialFields,
    ) -> u32 {
        let Begun::New(about) = store.put(at.0, at.1, fields, None).await.unwrap() else {
            panic!("a set that is known already")
        };
        self.journal(at, &about);
        store.settle(at.0, at.1, true).await.unwrap();
        about.version
    }
}

fn now(world: &World) -> Timestamp {
    world.clock.now()
}

async fn secret(book: &Book, at: (MerchantId, ProviderId), made_at: Timestamp) -> Option<String> {
    let held = book.find(at, made_at).await.unwrap()?;
    Some(held.credentials.request_key().expose().to_owned())
}

fn is_pending(future: impl Future) -> bool {
    matches!(
        pin!(future).poll(&mut Context::from_waker(Waker::noop())),
        Poll::Pending
    )
}

#[tokio::test]
async fn a_set_is_there_after_a_restart_and_each_payment_keeps_the_one_that_it_was_made_under() {
    let mut world = World::new();
    let at = (SHOP, stripe());
    let (store, book) = world.open();
    let before = now(&world);
    assert_eq!(world.put(&store, at, key(FIRST_KEY)).await, 1);
    for _ in 0..10 {
        now(&world);
    }
    let between = now(&world);
    let both = named(&[
        (CredentialField::SecretKey, SECOND_KEY),
        (CredentialField::WebhookSecret, WEBHOOK),
    ]);
    assert_eq!(world.put(&store, at, both).await, 2);
    for _ in 0..10 {
        now(&world);
    }
    let after = now(&world);
    let reopened = world.open().1;
    for book in [book, reopened] {
        assert_eq!(
            secret(&book, at, before).await,
            None,
            "made under the configured key"
        );
        assert_eq!(secret(&book, at, between).await.as_deref(), Some(FIRST_KEY));
        assert_eq!(secret(&book, at, after).await.as_deref(), Some(SECOND_KEY));
        assert_eq!(secret(&book, (OTHER, stripe()), after).await, None);
        let versions: Vec<u32> = book
            .everybodys(stripe())
            .iter()
            .map(|(_, held)| held.version)
            .collect();
        assert_eq!(versions, [1, 2]);
    }
    let present = store.present(SHOP, stripe()).unwrap();
    assert_eq!((present[0].about.version, present[1].about.version), (2, 1));
    let listed = store.list(SHOP, stripe()).unwrap();
    assert_eq!(
        listed[0].fields,
        [CredentialField::SecretKey, CredentialField::WebhookSecret]
    );
    assert_eq!(listed[0].hint.as_deref(), Some("6789"));
}

#[tokio::test]
async fn a_call_that_a_change_decides_waits_for_its_end_and_no_other_call_does() {
    let mut world = World::new();
    let at = (SHOP, stripe());
    let (store, book) = world.open();
    world.put(&store, at, key(FIRST_KEY)).await;
    for _ in 0..10 {
        now(&world);
    }
    let before = now(&world);
    for is_journaled in [false, true] {
        let Begun::New(about) = store.put(SHOP, stripe(), key(SECOND_KEY), None).await.unwrap() else {
            panic!("a set that is known already")
        };
        let later = about.created_at;
        assert_eq!(secret(&book, at, before).await.as_deref(), Some(FIRST_KEY));
        assert_eq!(secret(&book, (OTHER, stripe()), later).await, None);
        let mut waits = pin!(book.find(at, later));
        assert!(is_pending(waits.as_mut()));
        let busy = store.put(SHOP, stripe(), key(FIRST_KEY), None).await;
        assert_eq!(busy, Err(SecretsError::Busy));
        let busy = store.retire(SHOP, stripe(), 1, LastSet::Kept).await;
        assert_eq!(busy, Err(SecretsError::Busy));
        store.settle(SHOP, stripe(), is_journaled).await.unwrap();
        let held = waits.await.unwrap().unwrap();
        let expected = if is_journaled { SECOND_KEY } else { FIRST_KEY };
        assert_eq!(held.credentials.request_key().expose(), expected);
    }
}

#[tokio::test]
async fn nothing_is_believed_before_the_journal_was_compared() {
    let world = World::new();
    let (store, book) = world.try_open(unwatched()).unwrap();
    let mut waits = pin!(book.find((SHOP, stripe()), Timestamp::from_unix_ms(1)));
    assert!(is_pending(waits.as_mut()));
    store.compare(&world.journaled).unwrap();
    assert!(waits.await.unwrap().is_none());
}

#[tokio::test]
async fn a_retired_version_is_destroyed_and_the_newest_of_its_account_stands_in() {
    let mut world = World::new();
    let (store, book) = world.open();
    for (provider, set) in [(stripe(), key(FIRST_KEY)), (adyen(), adyen_set("ShopNL"))] {
        world.put(&store, (SHOP, provider), set).await;
    }
    for _ in 0..10 {
        now(&world);
    }
    let made_at = now(&world);
    world.put(&store, (SHOP, stripe()), key(SECOND_KEY)).await;
    world.put(&store, (SHOP, adyen()), adyen_set("ShopDE")).await;
    for provider in [stripe(), adyen()] {
        world.retire(&store, (SHOP, provider), 1).await;
    }
    for version in [1, 9] {
        let again = store.retire(SHOP, stripe(), version, LastSet::Kept).await;
        assert_eq!(again, Err(SecretsError::NoSuchVersion));
    }
    for book in [book, world.open().1] {
        let standing_in = secret(&book, (SHOP, stripe()), made_at).await;
        assert_eq!(standing_in.as_deref(), Some(SECOND_KEY));
        let gone = book.find((SHOP, adyen()), made_at).await.unwrap_err();
        assert_eq!(
            gone,
            Unavailable::Retired,
            "the same request at another account is another request"
        );
    }
    let listed = store.list(SHOP, stripe()).unwrap();
    let retired: Vec<_> = listed
        .iter()
        .map(|about| (about.version, about.retired_at.is_some()))
        .collect();
    assert_eq!(retired, [(2, false), (1, true)]);
}

#[tokio::test]
async fn what_the_journal_does_not_have_is_forgotten_and_what_it_retired_is_destroyed() {
    let mut world = World::new();
    let at = (SHOP, stripe());
    let (store, _) = world.open();
    world.put(&store, at, key(FIRST_KEY)).await;
    // The process ends between the file and the journal.
    store.put(SHOP, stripe(), key(SECOND_KEY), None).await.unwrap();
    let (store, book) = world.open();
    let later = Timestamp::from_unix_ms(u64::MAX / 2);
    assert_eq!(secret(&book, at, later).await.as_deref(), Some(FIRST_KEY));
    assert_eq!(store.list(SHOP, stripe()).unwrap().len(), 1);
    // The process ends between the journal and the file.
    let retired = store.retire(SHOP, stripe(), 1, LastSet::FallsBack).await.unwrap();
    world.journal(at, &retired);
    for _ in 0..2 {
        let (store, book) = world.open();
        assert_eq!(secret(&book, at, later).await, None);
        assert!(store.present(SHOP, stripe()).unwrap().is_empty());
        let listed = store.list(SHOP, stripe()).unwrap();
        assert_eq!(
            listed[0].retired_at, retired.retired_at,
            "as of the journal's time, not of the start"
        );
    }
    // No number comes twice.
    assert_eq!(world.put(&world.open().0, at, key(SECOND_KEY)).await, 2);
}

#[tokio::test]
async fn a_store_that_is_older_than_the_journal_is_refused_by_what_it_lacks() {
    let mut world = World::new();
    let (store, _) = world.open();
    world.put(&store, (SHOP, stripe()), key(FIRST_KEY)).await;
    let file = Folder::new(folder_in(world.data.path()), unwatched()).file(SHOP);
    let older = fs::read(&file).unwrap();
    world.put(&store, (SHOP, stripe()), key(SECOND_KEY)).await;
    for older in [Some(older), None] {
        match older {
            Some(bytes) => fs::write(&file, bytes).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let (store, book) = world.try_open(unwatched()).unwrap();
        let text = store.compare(&world.journaled).unwrap_err().to_string();
        let version = if file.exists() { "version 2" } else { "version 1" };
        for part in [version, "stripe", &SHOP.to_string(), "put the latest copy"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(is_pending(
            book.find((SHOP, stripe()), Timestamp::from_unix_ms(1))
        ));
    }
}

#[tokio::test]
async fn sets_that_are_unfit_or_too_many_are_refused_and_the_same_set_again_changes_nothing() {
    let mut world = World::new();
    let (store, _) = world.open();
    let unfit = [
        (
            stripe(),
            key("sk_live_canaryDELTA"),
            "`secret_key` must be a test key",
        ),
        (stripe(), key("rk_prod_canaryDELTA"), "not reached over https"),
        (
            stripe(),
            adyen_set("ShopNL"),
            "`api_key` is no field of this provider",
        ),
        (
            adyen(),
            key(FIRST_KEY),
            "`secret_key` is no field of this provider",
        ),
    ];
    for (provider, fields, expected) in unfit {
        let text = store
            .put(SHOP, provider, fields, None)
            .await
            .unwrap_err()
            .to_string();
        assert!(text.contains(expected) && !text.contains("canary"), "{text}");
    }
    let nobody = ProviderId::parse("nobody").unwrap();
    assert_eq!(
        store.put(SHOP, nobody, key(FIRST_KEY), None).await,
        Err(SecretsError::NoSuchProvider)
    );
    for number in 0..8 {
        let text = format!("sk_test_canaryALPHA{number}");
        world.put(&store, (SHOP, stripe()), key(&text)).await;
        let again = store.put(SHOP, stripe(), key(&text), None).await;
        if number < 7 {
            assert!(matches!(again, Ok(Begun::Known(about)) if about.version == number + 1));
        }
    }
    assert_eq!(
        store.put(SHOP, stripe(), key(SECOND_KEY), None).await,
        Err(SecretsError::TooMany)
    );
    let none = NoSecrets::new();
    assert_eq!(
        none.put(SHOP, stripe(), key(FIRST_KEY), None).await,
        Err(SecretsError::NotConfigured)
    );
}

#[tokio::test]
async fn a_merchants_own_key_leaves_room_for_what_operators_put() {
    let mut world = World::new();
    let (at, (store, _book)) = ((SHOP, stripe()), world.open());
    let text = |number: u32| key(&format!("sk_test_canaryALPHA{number}"));
    for number in 1..=4 {
        let begun = store.put(at.0, at.1, text(number), Some(false)).await;
        let Ok(Begun::New(about)) = begun else {
            panic!("{begun:?}")
        };
        world.journal(at, &about);
        store.settle(at.0, at.1, true).await.unwrap();
    }
    assert_eq!(
        store.put(at.0, at.1, text(5), Some(false)).await,
        Err(SecretsError::TooMany)
    );
    for number in 5..=8 {
        assert_eq!(world.put(&store, at, text(number)).await, number);
    }
    assert_eq!(
        store.put(at.0, at.1, text(9), None).await,
        Err(SecretsError::TooMany)
    );
}
