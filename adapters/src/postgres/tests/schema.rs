//! The schema: made once by whoever comes first, and left alone when a later build has it; records that nobody changes by mistake.

use super::{connected, opened};
use crate::postgres::migrations::{TABLE, embedded};
use crate::postgres::{Database, DatabaseOptions, Durability, Lease, tests::terms};
use florin_domain::ids::ShardId;
use florin_services::TestDatabase;

/// Makes a database as a build whose last migration was this one has left it.
pub(crate) async fn schema_of(url: &str, version: i32) {
    let mut client = connected(url).await;
    client.batch_execute("CREATE SCHEMA florin").await.unwrap();
    let mut runner = embedded::migrations::runner().set_target(refinery::Target::Version(version));
    runner.set_migration_table_name(TABLE);
    let report = runner.run_async(&mut client).await.unwrap();
    assert_eq!(
        report.applied_migrations().len(),
        usize::try_from(version).unwrap()
    );
}

async fn versions(server: &TestDatabase) -> Vec<i32> {
    let sql = "SELECT version FROM florin.migration ORDER BY version";
    let rows = connected(server.url()).await.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn whoever_comes_first_makes_the_schema_and_the_others_wait_for_it() {
    let server = TestDatabase::new().unwrap();
    let opening: Vec<_> = (0..5)
        .map(|_| {
            let options = DatabaseOptions::new(server.url());
            tokio::spawn(Database::open(options, Durability::Local))
        })
        .collect();
    for opened in opening {
        opened.await.unwrap().unwrap();
    }
    let made = versions(&server).await;
    assert!(
        made.iter().copied().eq(1..=made.last().copied().unwrap()),
        "{made:?}"
    );
    opened(&server).await;
    assert_eq!(versions(&server).await, made, "once and for all");
}

#[tokio::test]
async fn a_database_that_a_later_build_has_used_is_refused_with_both_versions() {
    let server = TestDatabase::new().unwrap();
    opened(&server).await;
    let known = versions(&server).await.last().copied().unwrap();
    let sql = "INSERT INTO florin.migration VALUES (99, 'later', now()::text, '1')";
    connected(server.url()).await.batch_execute(sql).await.unwrap();
    let options = DatabaseOptions::new(server.url());
    let why = Database::open(options, Durability::Local)
        .await
        .unwrap_err()
        .to_string();
    let expected =
        format!("its schema has version 99, and this build knows {known}: a later build has used it");
    assert!(why.contains(&expected), "{why}");
}

#[tokio::test]
async fn records_are_not_changed_or_deleted_by_mistake_not_even_by_their_owner() {
    let server = TestDatabase::new().unwrap();
    let database = opened(&server).await;
    let taken = Lease::take(&database, &[ShardId(0)], &terms("a")).await.unwrap();
    let (_kept, _) = taken.unwrap();
    let client = connected(server.url()).await;
    let append = "SELECT florin.append_batch(0, epoch, 0, hash, '\\x01', '\\x02', ARRAY['\\x01'::bytea], ARRAY['\\x03'::bytea], false)
                  FROM florin.shard";
    client.execute(append, &[]).await.unwrap();
    for sql in [
        "UPDATE florin.commit_record SET bytes = '\\x04'",
        "DELETE FROM florin.commit_record",
        "DELETE FROM florin.commit_record WHERE seq = 1",
        "TRUNCATE florin.commit_record",
        "INSERT INTO florin.commit_record VALUES (0, 1, 1, '', '') ON CONFLICT (shard, seq) DO UPDATE SET epoch = 9",
    ] {
        let error = client.batch_execute(sql).await.unwrap_err();
        let said = error.as_db_error().unwrap().message();
        assert_eq!(
            said, "records of the journal are never changed or deleted",
            "{sql}"
        );
    }
    let row = client
        .query_one("SELECT bytes FROM florin.commit_record", &[])
        .await;
    assert_eq!(row.unwrap().get::<_, Vec<u8>>(0), [3]);
}
