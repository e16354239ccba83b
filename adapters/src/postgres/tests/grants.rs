//! The roles of `docs/postgresql.md`: what is written there is what is run here.

use super::connected;
use crate::journal::PostgresJournal;
use crate::postgres::tests::terms;
use crate::postgres::{Database, DatabaseOptions, Durability, Lease};
use crate::schema::samples::creation;
use crate::views::PostgresViews;
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::{Batch, Follower as _, Journal as _};
use florin_services::TestDatabase;
use std::sync::Arc;

const DOCUMENT: &str = include_str!("../../../../docs/postgresql.md");
/// An empty batch of the payments view.
const APPLY_VIEW: &str = "SELECT florin.apply_view(0, 1, 1, 0, 0, true, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}',
    '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')";
const PASSWORD: &str = "not-a-real-one";

/// The blocks of SQL in the document: roles, and grants.
fn documented() -> (String, String) {
    let mut blocks = DOCUMENT.split("```sql ").skip(1).map(|rest| {
        let (_, sql) = rest.split_once('\n').unwrap();
        let (sql, _) = sql.split_once("```").unwrap();
        sql.to_owned()
    });
    (blocks.next().unwrap(), blocks.next().unwrap())
}

/// The URL of the same database for somebody else.
fn as_role(server: &TestDatabase, role: &str) -> String {
    let (_, place) = server.url().rsplit_once('@').unwrap();
    format!("postgres://{role}:{PASSWORD}@{place}")
}

#[tokio::test]
async fn a_node_with_the_documented_grants_can_append_and_read_and_change_nothing_else() {
    // Roles belong to the whole server.
    let server = TestDatabase::private(&[]).unwrap();
    let admin = connected(server.url()).await;
    let (roles, grants) = documented();
    let roles = roles.replace("'...'", &format!("'{PASSWORD}'"));
    let (made, database) = roles.split_once("CREATE DATABASE").unwrap();
    admin.batch_execute(made).await.unwrap();
    admin
        .batch_execute(&format!("CREATE DATABASE {database}"))
        .await
        .unwrap();
    let at = |role: &str| as_role(&server, role).replace("/postgres", "/florin");
    let open = |url| Database::open(DatabaseOptions::new(url), Durability::Local);

    let early = open(at("florin_node")).await.unwrap_err().to_string();
    assert!(early.contains("as its owner"), "{early}");
    drop(open(at("florin_owner")).await.unwrap());
    connected(&at("florin_owner"))
        .await
        .batch_execute(&grants)
        .await
        .unwrap();

    let node = open(at("florin_node")).await.unwrap();
    // What tells whether a standby is one of this server.
    let sql = "SELECT system_identifier::text FROM pg_control_system()";
    let system: String = node.value(sql, &[]).await.unwrap();
    assert!(!system.is_empty());
    let mover = node.check_owner().await.unwrap_err().to_string();
    assert!(mover.contains("by the owner of the schema"), "{mover}");
    open(at("florin_owner"))
        .await
        .unwrap()
        .check_owner()
        .await
        .unwrap();
    let (lease, taken) = Lease::take(&node, &[ShardId(0)], &terms("a"))
        .await
        .unwrap()
        .unwrap();
    let journal = PostgresJournal::open(&node, &taken[0]).await.unwrap();
    let commit = Arc::new(creation(ShardId(0), 1));
    let batch = Batch {
        id: 1,
        shard: ShardId(0),
        epoch: taken[0].head.epoch,
        expected_head: Seq::ZERO,
        commits: Arc::new([Arc::clone(&commit)]),
    };
    journal.append(batch).await.unwrap();
    assert_eq!(journal.read(ShardId(0), Seq(1), 9).await, Ok(vec![commit]));
    let views = PostgresViews::open(&node, &taken[0]).await.unwrap();
    views.apply(Vec::new(), Vec::new(), Seq(1)).await.unwrap();
    assert_eq!(views.watermark(), Ok(Seq(1)));
    drop(views);
    lease.release().await;

    let client = connected(&at("florin_node")).await;
    for sql in [
        "INSERT INTO florin.commit_record VALUES (0, 2, 1, '', '')",
        "UPDATE florin.commit_record SET bytes = ''",
        "DELETE FROM florin.commit_record",
        "TRUNCATE florin.commit_record",
        "INSERT INTO florin.shard (id) VALUES (9)",
        "UPDATE florin.view_progress SET watermark = 9",
        "DELETE FROM florin.view_payment",
        "UPDATE florin.view_payment SET status = ''",
        "UPDATE florin.shard SET epoch = 9",
        "DELETE FROM florin.shard",
        "DELETE FROM florin.migration",
        "ALTER TABLE florin.commit_record DISABLE TRIGGER ALL",
        "CREATE TABLE florin.mine ()",
        "CREATE OR REPLACE FUNCTION florin.release_shards(text) RETURNS void LANGUAGE sql AS ''",
        "DROP SCHEMA florin CASCADE",
        "SELECT * FROM florin.take_shards(ARRAY[0], 'moved:in:a', 'a', 'a', 1, 0)",
        "SELECT florin.renew_shards('moved:in:a', 1)",
        "SELECT florin.release_shards('moved:in:a')",
    ] {
        let error = client.batch_execute(sql).await.unwrap_err();
        let code = error.as_db_error().unwrap().code().code();
        assert_eq!(code, "42501", "{sql}: {error:?}");
    }
}

#[tokio::test]
async fn whoever_was_granted_nothing_can_call_nothing() {
    let server = TestDatabase::private(&[]).unwrap();
    let admin = connected(server.url()).await;
    drop(super::opened(&server).await);
    let sql =
        format!("CREATE ROLE stranger LOGIN PASSWORD '{PASSWORD}'; GRANT USAGE ON SCHEMA florin TO stranger");
    admin.batch_execute(&sql).await.unwrap();
    let client = connected(&as_role(&server, "stranger")).await;
    for sql in [
        "SELECT * FROM florin.shard",
        "SELECT * FROM florin.commit_record",
        "SELECT * FROM florin.take_shards(ARRAY[0], 'a', 'a', 'a', 1, 0)",
        "SELECT florin.append_batch(0, 1, 0, '', '', '', ARRAY[''::bytea], ARRAY[''::bytea], false)",
        "SELECT florin.renew_shards('', 1)",
        "SELECT florin.release_shards('')",
        "SELECT florin.claim_store('cards', 1, '', 1, NULL, false)",
        "SELECT florin.change_store('cards', 1, 0, '', ARRAY['a'], ARRAY[''::bytea], ARRAY[''::bytea], false)",
        "SELECT florin.tell_secret('a', 'b')",
        "SELECT * FROM florin.view_payment",
        "SELECT * FROM florin.claim_view(0, 1, 1)",
        "SELECT florin.clear_view(0, 1, 1, 1)",
        APPLY_VIEW,
    ] {
        let error = client.batch_execute(sql).await.unwrap_err();
        assert_eq!(error.as_db_error().unwrap().code().code(), "42501", "{sql}");
    }
}
