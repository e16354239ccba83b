//! Secrets at rest: under which key, bound to what, and what happens to a file that cannot be trusted.

use super::*;

/// Whether some of the files of a store hold these bytes.
fn holds(bench: &Bench, wanted: &[u8]) -> bool {
    let files = ["webhooks.db", "webhooks.db-wal"].map(|name| bench.folder.path().join(name));
    files.iter().any(|file| {
        let bytes = fs::read(file).unwrap_or_default();
        bytes.windows(wanted.len()).any(|part| part == wanted)
    })
}

#[tokio::test]
async fn what_a_merchant_says_of_an_endpoint_is_not_readable_in_the_file() {
    let bench = Bench::new();
    bench
        .store()
        .change(owner(1), create(1, 5), Some(once(1, 1)))
        .await
        .unwrap();
    for text in ["whsec_", "shop.example", "checkout"] {
        assert!(!holds(&bench, text.as_bytes()), "{text}");
    }
    assert!(
        holds(&bench, &1_u128.to_be_bytes()),
        "ids are, so these are the files"
    );
}

#[tokio::test]
async fn a_sealed_endpoint_opens_nowhere_else() {
    let bench = Bench::new();
    for id in [1, 2] {
        bench.change(create(id, 5)).await.unwrap();
    }
    let file = Connection::open(bench.path()).unwrap();
    let moved = "UPDATE endpoint SET sealed = (SELECT sealed FROM endpoint WHERE id = ?1) WHERE id = ?2";
    let ids = [1_u128, 2].map(u128::to_be_bytes);
    file.execute(moved, ids).unwrap();
    let second = EndpointId::from_bits(2);
    let opened = bench.store().open(second).await;
    assert!(matches!(opened, Err(EndpointError::Store(_))), "{opened:?}");
    let changed = bench.change(EndpointChange::Disable(second)).await;
    assert!(matches!(changed, Err(EndpointError::Store(_))), "{changed:?}");
    // One record that was changed is no reason to doubt the others.
    assert!(bench.store().open(ID).await.unwrap().is_some());
    bench.change(EndpointChange::Disable(ID)).await.unwrap();
    let other_owner = "UPDATE endpoint SET merchant = ?2 WHERE id = ?1";
    file.execute(other_owner, [1_u128, 77].map(u128::to_be_bytes))
        .unwrap();
    let opened = bench.store().open(ID).await;
    assert!(matches!(opened, Err(EndpointError::Store(_))), "{opened:?}");
}

#[tokio::test]
async fn a_file_under_another_key_or_a_damaged_one_is_refused_and_left_as_it_is() {
    let mut bench = Bench::new();
    bench.change(create(1, 5)).await.unwrap();
    bench.store = None;
    let before = fs::read(bench.path()).unwrap();
    let refused = bench.reopen("another").unwrap_err().to_string();
    assert!(
        refused.contains("webhooks.db") && refused.contains("which is not here"),
        "{refused}"
    );
    assert_eq!(fs::read(bench.path()).unwrap(), before);
    let mut damaged = before.clone();
    damaged[..100].fill(7);
    fs::write(bench.path(), &damaged).unwrap();
    assert!(bench.reopen("kek").is_err());
    assert_eq!(fs::read(bench.path()).unwrap(), damaged);
    let page = 4096;
    let mut damaged = before.clone();
    damaged[page..3 * page].fill(0xa5);
    fs::write(bench.path(), &damaged).unwrap();
    assert!(bench.reopen("kek").is_err());
    assert_eq!(fs::read(bench.path()).unwrap(), damaged);
    fs::write(bench.path(), &before).unwrap();
    bench.reopen("kek").unwrap();
    assert!(bench.store().open(ID).await.unwrap().is_some());
    bench.store = None;
    let file = Connection::open(bench.path()).unwrap();
    file.pragma_update(None, "user_version", 2).unwrap();
    drop(file);
    let refused = bench.reopen("kek").unwrap_err().to_string();
    assert!(refused.contains("version 2"), "{refused}");
}

#[tokio::test]
async fn a_rotation_wraps_the_data_key_anew_and_the_old_key_opens_nothing_more() {
    let mut bench = Bench::new();
    bench.change(create(1, 5)).await.unwrap();
    bench.store = None;
    let (old, next) = (kek(bench.folder.path(), "kek"), kek(bench.folder.path(), "next"));
    let keks = [Arc::clone(&next), old];
    assert_eq!(rewrap(&bench.path(), &keks), Ok((1, 0)));
    assert_eq!(rewrap(&bench.path(), &keks), Ok((0, 1)));
    assert_eq!(rewrap(&bench.folder.path().join("nothing.db"), &keks), Ok((0, 0)));
    assert!(bench.reopen("kek").is_err());
    bench.reopen("next").unwrap();
    let (kept, _) = bench.store().open(ID).await.unwrap().unwrap();
    assert_eq!(kept.secrets.current, secret(1));
    bench.store = None;
    let strange = [kek(bench.folder.path(), "strange")];
    assert!(rewrap(&bench.path(), &strange).is_err());
    bench.reopen("next").unwrap();
}
