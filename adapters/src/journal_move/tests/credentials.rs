//! Merchants' sealed files beside a journal that is moved; nothing here opens them.

use super::*;
use crate::mirror::MirrorIn;
use crate::secrets;
use florin_domain::ids::MerchantId;
use tokio::sync::watch;

#[tokio::test]
async fn sealed_files_go_along_and_come_back_as_the_database_has_them() {
    let world = World::with_journal().await;
    let folder = secrets::folder_in(world.folder());
    fs::create_dir(&folder).unwrap();
    let file = |number: u32| folder.join(format!("{}.sealed", MerchantId::from_bits(number.into())));
    let bytes = |number: u32| vec![7; usize::try_from(number).unwrap()];
    for number in 1..=2_500 {
        fs::write(file(number), bytes(number)).unwrap();
    }
    let there = || {
        let sql = "SELECT count(*) FROM florin.store_row WHERE store = 'credentials'";
        world.server.query(sql).unwrap().trim().to_owned()
    };
    let moved = world.to_database(&nothing).await.unwrap();
    assert_eq!((moved.rows, there().as_str()), (2_500, "2500"));
    let noted = world.folder().join("credentials.mirror");
    assert!(noted.exists());
    // The node whose folder this is brings it up to date before it is moved back.
    let (lease, taken) = world.take().await.unwrap();
    fs::write(file(1), "another").unwrap();
    fs::remove_file(file(2)).unwrap();
    fs::write(file(2_501), "nobody's").unwrap();
    let place = MirrorIn {
        database: world.database().await,
        epoch: taken[0].head.epoch,
        failed: watch::channel(None).0,
    };
    secrets::bring_up_to_date(&folder, &place).unwrap();
    lease.release().await;
    for number in 1..=2_500 {
        assert_eq!(fs::read(file(number)).unwrap(), bytes(number), "{number}");
    }
    assert!(!file(2_501).exists());
    world.to_folder(&nothing).await.unwrap();
    assert!(!noted.exists());
    // What is gone from the folder meanwhile is gone from the database, and all of it is missed.
    for number in 8..=2_500 {
        fs::remove_file(file(number)).unwrap();
    }
    let moved = world.to_database(&nothing).await.unwrap();
    assert_eq!((moved.rows, there().as_str()), (7, "7"));
    world.to_folder(&nothing).await.unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let refused = world.to_database(&nothing).await.unwrap_err().to_string();
    assert!(refused.contains("the folder has none"), "{refused}");
}
