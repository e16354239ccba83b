//! That a journal can be moved from one store to another without a new hash.

use super::{Folder, Medium, SHARD, batch};
use crate::journal::postgres::Server;
use florin_domain::ids::Epoch;
use florin_domain::ports::Journal;

/// Epoch, hash and bytes of a record.
type Record = (i64, Vec<u8>, Vec<u8>);

/// Epoch, seq, hash and last batch of a shard.
type Head = (i64, i64, Vec<u8>, Vec<u8>);

async fn filled(medium: &impl Medium) {
    let mut after = 0;
    for epoch in [1, 2, 3] {
        let journal = medium.open(SHARD).await;
        for count in [1, 33, 2] {
            let id = u128::from(epoch * 100 + count);
            let batch = batch(id, Epoch(epoch), after, count);
            after = journal.append(batch).await.unwrap().seq.0;
        }
    }
}

#[tokio::test]
async fn postgres_and_sqlite_keep_the_same_bytes_under_the_same_hashes() {
    let (server, folder) = (Server::default(), Folder::default());
    filled(&server).await;
    filled(&folder).await;
    let sql = "SELECT epoch, hash, bytes FROM commit_record ORDER BY position";
    let connection = folder.connect();
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let in_sqlite: Vec<Record> = rows.unwrap().map(Result::unwrap).collect();
    let sql = "SELECT epoch, hash, bytes FROM florin.commit_record ORDER BY shard, seq";
    let rows = server.client().await.query(sql, &[]).await.unwrap();
    let in_postgres: Vec<Record> = rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    assert_eq!(in_postgres.len(), 3 * 36);
    assert!(in_postgres == in_sqlite, "not the same records");
    let sql = "SELECT epoch, head, hash, batch_id FROM shard_head";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let head: Head = connection.query_row(sql, [], read).unwrap();
    let sql = "SELECT epoch, head, hash, batch_id FROM florin.shard";
    let row = server.client().await.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get(0), row.get(1), row.get(2), row.get(3)), head);
}
