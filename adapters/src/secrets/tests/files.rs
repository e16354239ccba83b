//! What lies in the folder: nothing readable, and nothing that can be changed unnoticed.

use super::*;

/// A folder with two merchants and three sets, and the bytes of the first merchant's file.
async fn filled() -> (World, Vec<u8>) {
    let mut world = World::new();
    let (store, _) = world.open();
    let both = named(&[
        (CredentialField::SecretKey, FIRST_KEY),
        (CredentialField::WebhookSecret, WEBHOOK),
    ]);
    world.put(&store, (SHOP, stripe()), both).await;
    world.put(&store, (SHOP, adyen()), adyen_set("ShopNL")).await;
    world.put(&store, (OTHER, stripe()), key(SECOND_KEY)).await;
    let bytes = fs::read(file_of(&world, SHOP)).unwrap();
    (world, bytes)
}

fn file_of(world: &World, merchant: MerchantId) -> PathBuf {
    Folder::new(folder_in(world.data.path()), unwatched()).file(merchant)
}

#[tokio::test]
async fn files_and_folder_are_their_owners_alone() {
    let (world, _) = filled().await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder_in(world.data.path())), 0o700);
    assert_eq!(mode(&file_of(&world, SHOP)), 0o600);
    let kek = development_kek_in(world.data.path());
    assert_eq!(mode(&kek), 0o600);
    fs::set_permissions(&kek, fs::Permissions::from_mode(0o644)).unwrap();
    let text = FileKek::load(&kek).unwrap_err().to_string();
    assert!(text.contains("open to everybody"), "{text}");
}

#[tokio::test]
async fn a_change_of_any_byte_and_any_length_is_found() {
    let (world, whole) = filled().await;
    let file = file_of(&world, SHOP);
    for place in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (place % 8);
        fs::write(&file, &bytes).unwrap();
        let error = world.try_open(unwatched()).map(drop).unwrap_err();
        assert!(matches!(error, OpenError::File { .. }), "{place}: {error:?}");
    }
    for length in 0..whole.len() {
        assert!(
            SealedFile::open(SHOP, &whole[..length], &world.keks()).is_err(),
            "{length}"
        );
    }
    let longer = [whole.as_slice(), b"x"].concat();
    assert!(SealedFile::open(SHOP, &longer, &world.keks()).is_err());
    fs::write(&file, &whole).unwrap();
    world.open();
}

#[tokio::test]
async fn a_file_under_another_merchants_name_is_refused() {
    let (world, _) = filled().await;
    fs::copy(file_of(&world, OTHER), file_of(&world, SHOP)).unwrap();
    let text = world.try_open(unwatched()).map(drop).unwrap_err().to_string();
    assert!(
        text.contains("changed or moved") && text.contains(&SHOP.to_string()),
        "{text}"
    );
}

/// Whoever has the data key, and so could renew the last seal, can still not move a record.
#[tokio::test]
async fn a_record_opens_only_for_its_merchant_provider_version_and_kind() {
    let (world, bytes) = filled().await;
    let whole = SealedFile::open(SHOP, &bytes, &world.keks()).unwrap();
    let sealed = whole.sealed(&whole.records[0]).unwrap();
    assert!(whole.opens(SHOP, &sealed, |_| {}));
    assert!(!whole.opens(OTHER, &sealed, |_| {}));
    // Kind, provider, version.
    for place in [0, 1, 17] {
        assert!(!whole.opens(SHOP, &sealed, |head| head[place] ^= 1), "{place}");
    }
}

#[tokio::test]
async fn another_key_encryption_key_is_a_clear_refusal_to_start() {
    let (world, _) = filled().await;
    let kek = development_kek_in(world.data.path());
    let old = FileKek::load(&kek).unwrap().id();
    fs::remove_file(&kek).unwrap();
    FileKek::load_or_create(&kek).unwrap();
    let text = world.try_open(unwatched()).map(drop).unwrap_err().to_string();
    let expected = format!("sealed under the key-encryption key {old}, which is not here");
    assert!(text.contains(&expected), "{text}");
    fs::write(&kek, b"short").unwrap();
    let text = FileKek::load(&kek).unwrap_err().to_string();
    assert!(text.contains("32 bytes"), "{text}");
}

#[tokio::test]
async fn no_secret_is_in_the_files_or_in_what_is_shown_of_anything() {
    let (world, _) = filled().await;
    let (store, book) = world.open();
    let mut seen = Vec::new();
    for merchant in [SHOP, OTHER] {
        seen.push(fs::read(file_of(&world, merchant)).unwrap());
        let file = SealedFile::open(merchant, &seen[seen.len() - 1], &world.keks()).unwrap();
        let records: &Vec<Record> = &file.records;
        seen.push(format!("{file:?} {records:?}").into_bytes());
    }
    let present = store.present(SHOP, stripe()).unwrap();
    let fields = present[0].credentials.fields();
    seen.push(format!("{store:?} {book:?} {present:?} {fields:?} {:?}", world.keks()).into_bytes());
    let kek = fs::read(development_kek_in(world.data.path())).unwrap();
    for bytes in seen {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        for canary in CANARIES {
            assert!(!text.contains(&canary.to_lowercase()), "{canary} in {text}");
        }
        assert!(!bytes.windows(kek.len()).any(|window| window == kek));
    }
}
