//! A database that an earlier build has made and filled opens with this one.

use super::{PostgresJournal, Server};
use crate::journal::chain::{Record, Sealed};
use crate::journal::tests::{Medium as _, SHARD, batch};
use crate::postgres::tests::schema_of;
use crate::views::PostgresViews;
use florin_domain::ids::{Epoch, Seq};
use florin_domain::ports::{Follower as _, Journal as _};

/// As a build whose last migration was the first one took a shard and appended.
const TAKE: &str = "SELECT * FROM florin.take_shards(ARRAY[3], 'a', 'node', 'http://node', 0, 0)";
const APPEND: &str = "SELECT florin.append_batch(3, 1, 0, $5, $1, $2, $3, $4, false)";

#[tokio::test]
async fn a_database_of_the_first_version_opens_with_all_that_it_has() {
    let server = Server::default();
    schema_of(server.0.url(), 1).await;
    let client = server.client().await;
    client.execute(TAKE, &[]).await.unwrap();
    let first = batch(1, Epoch(1), 0, 40);
    let mut sealed = Sealed::default();
    let hash = sealed.seal(&first, [0; 32]);
    let (hashes, records): (Vec<&[u8]>, Vec<&[u8]>) = sealed
        .records(Seq::ZERO)
        .map(|Record { hash, bytes, .. }| (hash.as_slice(), bytes))
        .unzip();
    let id = 1_u128.to_be_bytes();
    let row = client
        .query_one(
            APPEND,
            &[
                &hash.as_slice(),
                &id.as_slice(),
                &hashes,
                &records,
                &[0_u8; 32].as_slice(),
            ],
        )
        .await;
    assert_eq!(row.unwrap().get::<_, i16>(0), 0);
    let journal = server.open(SHARD).await;
    let head = journal.head(SHARD).await.unwrap();
    assert_eq!((head.seq, head.hash, head.epoch), (Seq(40), hash, Epoch(2)));
    let again = batch(1, Epoch(2), 0, 40);
    assert_eq!(journal.append(again).await, Ok(head), "the last batch is known");
    journal.append(batch(2, Epoch(2), 40, 1)).await.unwrap();
    drop(journal);
    server.assert_has(41).await;
}

#[tokio::test]
async fn a_database_of_the_version_before_views_has_one_made_of_all_that_is_in_its_journal() {
    let server = Server::default();
    schema_of(server.0.url(), 3).await;
    let client = server.client().await;
    client.execute(TAKE, &[]).await.unwrap();
    let database = server.database().await;
    let (_lease, taken) = server.rob(&database, SHARD).await;
    let views = PostgresViews::open(&database, &taken).await.unwrap();
    assert_eq!(views.watermark(), Ok(Seq::ZERO));
    let journal = PostgresJournal::open(&database, &taken).await.unwrap();
    let epoch = taken.head.epoch;
    journal.append(batch(1, epoch, 0, 3)).await.unwrap();
    views.apply(Vec::new(), Vec::new(), Seq(3)).await.unwrap();
    let (_lease, taken) = server.rob(&database, SHARD).await;
    let views = PostgresViews::open(&database, &taken).await.unwrap();
    assert_eq!(views.watermark(), Ok(Seq(3)));
}
