//! Ends between any two steps, of a change and of a rotation of the key-encryption key.

use super::*;
use crate::card_vault;
use crate::clock::SystemClock;
use crate::webhooks::store::{EndpointFile, StoreOptions};
use std::os::unix::fs::{MetadataExt, chown, symlink};

/// Lets so many steps happen, and then none any more: a process that was killed there.
fn ends_after(steps: usize) -> (Steps, Arc<AtomicUsize>) {
    let counted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&counted);
    let watch = move |_: &'static str| {
        if count.fetch_add(1, Ordering::SeqCst) < steps {
            return Ok(());
        }
        Err(io::Error::other("killed"))
    };
    (Arc::new(watch), counted)
}

/// Who the file belongs to: somebody else, where this user may give it away.
fn given_away(path: &Path) -> (u32, u32) {
    let somebody = (4_321, 4_322);
    if chown(path, Some(somebody.0), Some(somebody.1)).is_ok() {
        return somebody;
    }
    let now = fs::metadata(path).unwrap();
    (now.uid(), now.gid())
}

async fn filled() -> World {
    let mut world = World::new();
    let (store, _) = world.open();
    for merchant in [SHOP, OTHER, MerchantId::from_bits(0x53)] {
        world.put(&store, (merchant, stripe()), key(FIRST_KEY)).await;
        world.put(&store, (merchant, adyen()), adyen_set("ShopNL")).await;
    }
    world
}

async fn reads_everything(world: &World) {
    let (_, book) = world.open();
    let later = Timestamp::from_unix_ms(u64::MAX / 2);
    for merchant in [SHOP, OTHER, MerchantId::from_bits(0x53)] {
        let first = secret(&book, (merchant, stripe()), later).await;
        assert_eq!(first.as_deref(), Some(FIRST_KEY));
        assert!(secret(&book, (merchant, adyen()), later).await.is_some());
    }
}

#[tokio::test]
async fn a_rotation_that_ends_between_any_two_steps_leaves_everything_readable_and_is_taken_up() {
    let mut step = 0;
    loop {
        let world = filled().await;
        let kek = development_kek_in(world.data.path());
        let before = fs::read(Folder::new(folder_in(world.data.path()), unwatched()).file(SHOP)).unwrap();
        fs::set_permissions(&kek, fs::Permissions::from_mode(0o640)).unwrap();
        let owner = given_away(&kek);
        let old = FileKek::load(&kek).unwrap();
        let kept = PathBuf::from(format!("{}.{}.old", kek.display(), old.id()));
        let (steps, counted) = ends_after(step);
        let folder = Folder::new(folder_in(world.data.path()), Arc::clone(&steps));
        let places = Places::of(&world);
        let ended = rotate_watched(&kek, &folder, places.sealed(), &steps);
        reads_everything(&world).await;
        let has_ended = ended.is_ok();
        if !has_ended && FileKek::load(&kek).unwrap().id() == old.id() {
            // What is changed meanwhile is sealed under either key, and the next rotation takes it along.
            let (store, _) = world.open();
            let more = MerchantId::from_bits(0x54);
            store.put(more, stripe(), key(SECOND_KEY), None).await.unwrap();
            let rotated = rotate(&kek, places.sealed()).unwrap();
            assert_eq!(rotated.rewrapped + rotated.done_before, 4, "after {step} steps");
        }
        reads_everything(&world).await;
        let present = FileKek::load(&kek).unwrap();
        assert_ne!(present.id(), old.id());
        assert!(FileKek::next(&kek).unwrap().is_none());
        // The old key is kept for copies from before, and whoever could read the key still can.
        for path in [&kek, &kept] {
            let now = fs::metadata(path).unwrap();
            assert_eq!(
                (now.mode() & 0o7777, now.uid(), now.gid()),
                (0o640, owner.0, owner.1),
                "{path:?} after {step} steps"
            );
        }
        let kept: [Arc<dyn Kek>; 1] = [Arc::new(FileKek::load(&kept).unwrap())];
        SealedFile::open(SHOP, &before, &kept).unwrap();
        let only_old: [Arc<dyn Kek>; 1] = [Arc::new(old)];
        let bytes = fs::read(folder.file(SHOP)).unwrap();
        let refused = SealedFile::open(SHOP, &bytes, &only_old).unwrap_err();
        assert_eq!(refused, FileError::OtherKek(present.id()));
        if has_ended {
            // The next key, three files, the old key and the last renaming.
            assert_eq!(counted.load(Ordering::SeqCst), 5 * 4 + 2);
            return;
        }
        step += 1;
    }
}

#[tokio::test]
async fn a_change_that_ends_between_any_two_steps_leaves_the_old_set_or_the_new_one() {
    let mut step = 0;
    loop {
        let mut world = World::new();
        let (store, _) = world.open();
        world.put(&store, (SHOP, stripe()), key(FIRST_KEY)).await;
        let (steps, _) = ends_after(step);
        let (store, book) = world.try_open(steps).unwrap();
        store.compare(&world.journaled).unwrap();
        let later = Timestamp::from_unix_ms(u64::MAX / 2);
        let put = store.put(SHOP, stripe(), key(SECOND_KEY), None).await;
        if let Ok(Begun::New(about)) = put {
            store.settle(SHOP, stripe(), true).await.unwrap();
            world.journal((SHOP, stripe()), &about);
            let (_, reopened) = world.open();
            let new = secret(&reopened, (SHOP, stripe()), later).await;
            assert_eq!(new.as_deref(), Some(SECOND_KEY));
            assert_eq!(step, 4);
            return;
        }
        // Refused: the old one stays in force, here and after a restart, and the next change goes through.
        assert!(matches!(put, Err(SecretsError::Store(_))), "{put:?}");
        for book in [book, world.open().1] {
            let old = secret(&book, (SHOP, stripe()), later).await;
            assert_eq!(old.as_deref(), Some(FIRST_KEY), "after {step} steps");
        }
        let (store, _) = world.open();
        world.put(&store, (SHOP, stripe()), key(SECOND_KEY)).await;
        step += 1;
    }
}

#[tokio::test]
async fn a_sealed_file_keeps_its_owner_and_a_key_that_is_linked_to_is_exchanged_where_it_is() {
    let world = filled().await;
    let sealed = Folder::new(folder_in(world.data.path()), unwatched()).file(SHOP);
    let owner = given_away(&sealed);
    let (kek, elsewhere) = (
        development_kek_in(world.data.path()),
        tempfile::tempdir().unwrap(),
    );
    let file = elsewhere.path().join("kek");
    fs::rename(&kek, &file).unwrap();
    symlink(&file, &kek).unwrap();
    let old = fs::read(&file).unwrap();
    let places = Places::of(&world);
    let rotated = rotate(&kek, places.sealed()).unwrap();
    assert_eq!(fs::read(&rotated.kept).unwrap(), old);
    assert_eq!(rotated.kept.parent(), Some(elsewhere.path()));
    assert!(fs::symlink_metadata(&kek).unwrap().is_symlink() && fs::read(&file).unwrap() != old);
    let now = fs::metadata(&sealed).unwrap();
    assert_eq!((now.uid(), now.gid()), owner);
    reads_everything(&world).await;
}

#[tokio::test]
async fn a_rotation_takes_webhook_endpoints_along() {
    let world = filled().await;
    let kek = development_kek_in(world.data.path());
    let places = Places::of(&world);
    let open = || {
        let keks: [Arc<dyn Kek>; 1] = [Arc::new(FileKek::load(&kek).unwrap())];
        EndpointFile::open(
            &places.0[2],
            &keks,
            Arc::new(SystemClock::new()),
            &StoreOptions::default(),
        )
    };
    drop(open().unwrap());
    let rotated = rotate(&kek, places.sealed()).unwrap();
    assert_eq!(rotated.rewrapped, 4, "three files of credentials and this one");
    drop(open().unwrap());
    fs::copy(&rotated.kept, &kek).unwrap();
    assert!(open().is_err(), "the old key opens it no more");
}

/// Where everything that is sealed is or would be.
struct Places([PathBuf; 3]);

impl Places {
    fn of(world: &World) -> Self {
        let data = world.data.path();
        let webhooks = crate::webhooks::store::file_in(data);
        Self([folder_in(data), card_vault::file_in(data), webhooks])
    }

    fn sealed(&self) -> Sealed<'_> {
        let [credentials, vault, webhooks] = &self.0;
        Sealed {
            credentials,
            vault,
            webhooks,
        }
    }
}
