//! A second copy has what the first has, after every transaction, and another node begins with exactly that.

use super::cells::{Cell, decode};
use super::{Mirror, MirrorIn};
use crate::clock::SystemClock;
use crate::entropy::OsEntropy;
use crate::payment_links::LinkStore;
use crate::payment_links::tests::terms;
use crate::postgres::{Database, DatabaseOptions, Durability};
use florin_domain::ids::Epoch;
use florin_domain::payment_link::LinkChange;
use florin_services::TestDatabase;
use rusqlite::{Connection, params};
use std::path::Path;
use std::sync::Arc;

const TABLES: &str = "
    CREATE TABLE thing (id BLOB PRIMARY KEY, number INTEGER, text TEXT, share REAL) STRICT, WITHOUT ROWID;
    CREATE TABLE pair (a INTEGER NOT NULL, b TEXT NOT NULL, body BLOB, PRIMARY KEY (a, b)) STRICT, WITHOUT ROWID;
    CREATE TABLE one (one INTEGER PRIMARY KEY, body BLOB) STRICT;
    CREATE TABLE late (id INTEGER PRIMARY KEY, other INTEGER REFERENCES late (id) DEFERRABLE INITIALLY DEFERRED) STRICT;";

pub(crate) async fn database(server: &TestDatabase) -> Database {
    Database::open(DatabaseOptions::new(server.url()), Durability::Local)
        .await
        .unwrap()
}

pub(crate) async fn connected(server: &TestDatabase) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(server.url(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

/// A process that has taken the first shard in this epoch.
pub(crate) async fn at(server: &TestDatabase, database: &Database, epoch: u64) -> MirrorIn {
    let client = connected(server).await;
    let sql = "INSERT INTO florin.shard (id, epoch) VALUES (0, $1) ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch";
    client.execute(sql, &[&epoch.cast_signed()]).await.unwrap();
    earlier(database, epoch)
}

/// A process that had taken it in this epoch.
fn earlier(database: &Database, epoch: u64) -> MirrorIn {
    MirrorIn {
        database: database.clone(),
        epoch: Epoch(epoch),
        failed: tokio::sync::watch::channel(None).0,
    }
}

fn file(path: &Path) -> Connection {
    let file = Connection::open(path).unwrap();
    let is_new: bool = file
        .query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| {
            row.get(0)
        })
        .unwrap();
    if is_new {
        file.execute_batch(TABLES).unwrap();
    }
    file
}

/// Everything in the three tables.
fn content(file: &Connection) -> Vec<(String, Vec<Cell>)> {
    let mut all = Vec::new();
    for table in ["thing", "pair", "one"] {
        let mut statement = file
            .prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2"))
            .unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let cells = (0..columns).map(|place| Cell::of(row.get_ref(place).unwrap()).unwrap());
            all.push((table.to_owned(), cells.collect()));
        }
    }
    all
}

/// What was kept aside in a folder.
fn aside(folder: &Path) -> Connection {
    let mut found = std::fs::read_dir(folder).unwrap().filter_map(|entry| {
        let path = entry.unwrap().path();
        path.to_str().unwrap().contains(".lost-").then_some(path)
    });
    let path = found.next().expect("something was kept");
    assert_eq!(found.next(), None, "and once");
    file(&path)
}

/// A transaction, on a thread that no runtime drives, as a writer's is.
fn change(file: &mut Connection, mirror: &mut Mirror, sql: &str) -> rusqlite::Result<()> {
    let work = move || {
        file.execute_batch("BEGIN IMMEDIATE").unwrap();
        file.execute_batch(sql).unwrap();
        let ended = mirror.commit(file);
        if !file.is_autocommit() {
            file.execute_batch("ROLLBACK").unwrap();
        }
        ended
    };
    std::thread::scope(|scope| scope.spawn(work).join().unwrap())
}

#[tokio::test]
async fn another_node_begins_with_what_the_first_has_made_durable() {
    let (server, folder) = (TestDatabase::new().unwrap(), tempfile::tempdir().unwrap());
    let database = database(&server).await;
    let mut first = file(&folder.path().join("first"));
    let mut mirror = Mirror::open(Some(&at(&server, &database, 1).await), "things", &mut first).unwrap();
    let steps = [
        "INSERT INTO thing VALUES (x'01', 1, 'one', 0.5), (x'02', NULL, NULL, NULL);
         INSERT INTO pair VALUES (1, 'a', x'00ff'), (1, 'b', NULL); INSERT INTO one VALUES (1, x'aa');",
        "UPDATE thing SET number = number + 1, id = x'03' WHERE id = x'01'; DELETE FROM pair WHERE b = 'b';",
        "INSERT INTO pair VALUES (1, 'a', x'11') ON CONFLICT (a, b) DO UPDATE SET body = excluded.body;
         INSERT OR REPLACE INTO thing VALUES (x'02', 7, 'two', 1.0);",
        // Taken back within the transaction.
        "SAVEPOINT one; INSERT INTO thing VALUES (x'09', 9, 'nine', 9.0); ROLLBACK TO one; RELEASE one;",
        "INSERT INTO thing VALUES (x'0a', 1, 'a', 0); DELETE FROM thing WHERE id = x'0a'; DELETE FROM one;",
    ];
    for (number, step) in steps.iter().enumerate() {
        change(&mut first, &mut mirror, step).unwrap();
        let epoch = number as u64 + 2;
        let mut other = file(&folder.path().join(format!("other-{number}")));
        drop(Mirror::open(Some(&at(&server, &database, epoch).await), "things", &mut other).unwrap());
        assert_eq!(content(&other), content(&first), "after {step}");
        // The first node takes the store back, without reading all of it.
        drop(mirror);
        first = file(&folder.path().join("first"));
        mirror = Mirror::open(Some(&at(&server, &database, epoch).await), "things", &mut first).unwrap();
    }
    assert_eq!(content(&first).len(), 3);
}

#[tokio::test]
async fn a_node_whose_store_was_claimed_changes_nothing_any_more() {
    let (server, folder) = (TestDatabase::new().unwrap(), tempfile::tempdir().unwrap());
    let database = database(&server).await;
    let (mut zombie, mut heir) = (
        file(&folder.path().join("zombie")),
        file(&folder.path().join("heir")),
    );
    let place = at(&server, &database, 1).await;
    let failed = place.failed.subscribe();
    let mut of_zombie = Mirror::open(Some(&place), "things", &mut zombie).unwrap();
    change(&mut zombie, &mut of_zombie, "INSERT INTO one VALUES (1, x'aa')").unwrap();
    let mut of_heir = Mirror::open(Some(&at(&server, &database, 2).await), "things", &mut heir).unwrap();
    let before = content(&zombie);
    assert_eq!(*failed.borrow(), None);
    let refused = change(&mut zombie, &mut of_zombie, "UPDATE one SET body = x'bb'").unwrap_err();
    assert!(refused.to_string().contains("claimed"), "{refused}");
    assert_eq!(content(&zombie), before, "neither here");
    let why = failed.borrow().clone().unwrap_or_default();
    assert!(why.contains("`things`") && why.contains("claimed"), "{why}");
    change(&mut heir, &mut of_heir, "UPDATE one SET body = x'cc'").unwrap();
    let mut third = file(&folder.path().join("third"));
    drop(Mirror::open(Some(&at(&server, &database, 3).await), "things", &mut third).unwrap());
    assert_eq!(content(&third), content(&heir), "nor there");
    // Nor may it claim the store again.
    drop(of_zombie);
    let refused = Mirror::open(Some(&earlier(&database, 1)), "things", &mut zombie).unwrap_err();
    assert!(refused.contains("another process has claimed"), "{refused}");
}

/// A node that ended between the database's commit and its own has less than the database.
#[tokio::test]
async fn a_file_that_missed_its_last_commit_is_brought_up_to_date() {
    let (server, folder) = (TestDatabase::new().unwrap(), tempfile::tempdir().unwrap());
    let database = database(&server).await;
    let path = folder.path().join("file");
    let mut first = file(&path);
    let mut mirror = Mirror::open(Some(&at(&server, &database, 1).await), "things", &mut first).unwrap();
    change(&mut first, &mut mirror, "INSERT INTO one VALUES (1, x'aa')").unwrap();
    let kept = folder.path().join("kept");
    first
        .execute("VACUUM INTO ?1", params![kept.to_str().unwrap()])
        .unwrap();
    change(&mut first, &mut mirror, "INSERT INTO one VALUES (2, x'bb')").unwrap();
    let mut old = file(&kept);
    assert_eq!(content(&old).len(), 1);
    drop(Mirror::open(Some(&at(&server, &database, 2).await), "things", &mut old).unwrap());
    assert_eq!(content(&old), content(&first));
}

fn creation() -> LinkChange {
    LinkChange::Create(Box::new(terms(false)))
}

/// Of two histories the database's counts, and the other one is kept aside, whichever of them is longer.
#[tokio::test]
async fn a_file_of_another_history_is_kept_aside_and_made_anew() {
    // How many changes each has that the other one has not, and whether the database has forgotten the turn as well.
    for (ours, theirs, forgets_turn) in [
        (1, 1, false),
        (2, 1, false),
        (1, 3, false),
        (1, 3, true),
        (1, 0, false),
    ] {
        let (server, folder) = (TestDatabase::new().unwrap(), tempfile::tempdir().unwrap());
        let database = database(&server).await;
        let path = folder.path().join("lost");
        let mut lost = file(&path);
        let mut mirror = Mirror::open(Some(&at(&server, &database, 1).await), "things", &mut lost).unwrap();
        change(&mut lost, &mut mirror, "INSERT INTO one VALUES (1, x'00')").unwrap();
        let client = connected(&server).await;
        let forgets = "CREATE TABLE kept AS SELECT * FROM florin.store; CREATE TABLE kept_row AS SELECT * FROM florin.store_row;
            CREATE TABLE kept_claim AS SELECT * FROM florin.store_claim";
        client.batch_execute(forgets).await.unwrap();
        for n in 0..ours {
            let sql = format!("INSERT INTO one VALUES ({}, x'aa')", 10 + n);
            change(&mut lost, &mut mirror, &sql).unwrap();
        }
        // The database forgets those, as a failover without a synchronous copy does.
        let forgotten = "DELETE FROM florin.store_row; INSERT INTO florin.store_row SELECT * FROM kept_row;
            UPDATE florin.store SET version = kept.version, change_id = kept.change_id FROM kept";
        client.batch_execute(forgotten).await.unwrap();
        if forgets_turn {
            client
                .batch_execute("DELETE FROM florin.store_claim")
                .await
                .unwrap();
        }
        let mut other = file(&folder.path().join("other"));
        let mut of_other =
            Mirror::open(Some(&at(&server, &database, 2).await), "things", &mut other).unwrap();
        for n in 0..theirs {
            let sql = format!("INSERT INTO one VALUES ({}, x'bb')", 20 + n);
            change(&mut other, &mut of_other, &sql).unwrap();
        }
        let had = content(&lost);
        drop((mirror, lost));
        for epoch in 3..5 {
            let mut lost = file(&path);
            drop(Mirror::open(Some(&at(&server, &database, epoch).await), "things", &mut lost).unwrap());
            assert_eq!(content(&lost), content(&other));
        }
        assert_eq!(
            content(&aside(folder.path())),
            had,
            "it is still there for a person"
        );
    }
}

/// A file that only missed what others did in their turns has lost nothing.
#[tokio::test]
async fn a_file_that_is_behind_is_not_kept_aside() {
    let (server, folder) = (TestDatabase::new().unwrap(), tempfile::tempdir().unwrap());
    let database = database(&server).await;
    let nodes = ["a", "b"].map(|name| folder.path().join(name));
    for (turn, node) in (0..6_u64).zip(nodes.iter().cycle()) {
        let mut own = file(node);
        let mut mirror =
            Mirror::open(Some(&at(&server, &database, turn + 1).await), "things", &mut own).unwrap();
        // Some turns change nothing.
        for n in 0..turn % 3 {
            let sql = format!("INSERT INTO one VALUES ({}, x'aa')", 10 * turn + n);
            change(&mut own, &mut mirror, &sql).unwrap();
        }
    }
    let kept = std::fs::read_dir(folder.path()).unwrap();
    let kept = kept.filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .path()
            .to_str()
            .unwrap()
            .contains(".lost-")
    });
    assert_eq!(kept.count(), 0);
}

/// The file's own commit fails after the database's: nobody may go on as if the change had not been made.
#[tokio::test]
async fn a_file_that_cannot_follow_the_database_ends_the_process() {
    let (server, folder) = (TestDatabase::new().unwrap(), tempfile::tempdir().unwrap());
    let database = database(&server).await;
    let mut own = file(&folder.path().join("own"));
    let place = at(&server, &database, 1).await;
    let failed = place.failed.subscribe();
    let mut mirror = Mirror::open(Some(&place), "things", &mut own).unwrap();
    change(&mut own, &mut mirror, "INSERT INTO late VALUES (1, 1)").unwrap();
    assert_eq!(*failed.borrow(), None);
    change(&mut own, &mut mirror, "INSERT INTO late VALUES (2, 9)").unwrap_err();
    assert!(failed.borrow().is_some());
}

#[tokio::test]
async fn a_writer_that_panics_or_gives_up_ends_the_process() {
    let (server, folder) = (TestDatabase::new().unwrap(), tempfile::tempdir().unwrap());
    let database = database(&server).await;
    for (epoch, panics) in [(1, true), (2, false)] {
        let mut own = file(&folder.path().join("own"));
        let place = at(&server, &database, epoch).await;
        let failed = place.failed.subscribe();
        let mirror = Mirror::open(Some(&place), "things", &mut own).unwrap();
        if panics {
            let writer = std::thread::spawn(move || {
                let _mirror = mirror;
                panic!("as a writer may");
            });
            writer.join().unwrap_err();
        } else {
            mirror.give_up(&"its disk is broken");
            drop(mirror);
        }
        assert!(failed.borrow().is_some(), "panics: {panics}");
    }
}

/// Each fence by itself: whoever has the shard's epoch and not the store, and whoever has claimed the store and lost the shard.
#[tokio::test]
async fn the_functions_of_the_database_hold_by_themselves() {
    let (server, _database) = {
        let server = TestDatabase::new().unwrap();
        let database = database(&server).await;
        (server, database)
    };
    let client = connected(&server).await;
    let change = async |epoch: i64, version: i64, id: &str| -> i16 {
        let sql = "SELECT florin.change_store('things', $1, $2, $3, ARRAY['one'], ARRAY[''::bytea], ARRAY[''::bytea], false)";
        let row = client.query_one(sql, &[&epoch, &version, &id.as_bytes()]).await;
        row.unwrap().get(0)
    };
    let claim = async |epoch: i64, id: &str| -> usize {
        let sql = "SELECT * FROM florin.claim_store('things', $1, $2, 1, NULL, false)";
        client.query(sql, &[&epoch, &id.as_bytes()]).await.unwrap().len()
    };
    let takes = "INSERT INTO florin.shard (id, epoch) VALUES (0, 1) ON CONFLICT (id) DO UPDATE SET epoch = shard.epoch + 1";
    client.batch_execute(takes).await.unwrap();
    assert_eq!(change(1, 0, "unclaimed").await, 2);
    assert_eq!(
        (
            claim(0, "too early").await,
            claim(1, "first").await,
            claim(2, "too late").await
        ),
        (0, 1, 0)
    );
    assert_eq!(change(1, 0, "a").await, 0);
    assert_eq!(change(1, 0, "a").await, 1, "the same once more");
    assert_eq!(change(1, 0, "b").await, 2, "another one in its place");
    assert_eq!(change(1, 2, "c").await, 2, "one that is ahead");
    // Taken, and not claimed yet: whoever claims it will read this.
    client.batch_execute(takes).await.unwrap();
    assert_eq!(change(1, 1, "d").await, 0);
    assert_eq!((claim(1, "robbed").await, claim(2, "second").await), (0, 1));
    assert_eq!(change(1, 2, "e").await, 2);
    assert_eq!(change(2, 2, "f").await, 0);
}

/// Rows of tables that another build has made otherwise are not taken for ours.
#[tokio::test]
async fn rows_of_another_form_are_refused() {
    let (server, folder) = (TestDatabase::new().unwrap(), tempfile::tempdir().unwrap());
    let database = database(&server).await;
    let mut old = file(&folder.path().join("old"));
    drop(Mirror::open(Some(&at(&server, &database, 1).await), "things", &mut old).unwrap());
    let mut new = file(&folder.path().join("new"));
    new.pragma_update(None, "user_version", 7).unwrap();
    let refused = Mirror::open(Some(&at(&server, &database, 2).await), "things", &mut new).unwrap_err();
    assert!(
        refused.contains("in form 0") && refused.contains("form 7"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_file_with_rows_of_which_the_database_never_heard_is_not_emptied() {
    let (server, folder) = (TestDatabase::new().unwrap(), tempfile::tempdir().unwrap());
    let database = database(&server).await;
    let mut own = file(&folder.path().join("own"));
    own.execute_batch("INSERT INTO one VALUES (1, x'aa')").unwrap();
    let refused = Mirror::open(Some(&at(&server, &database, 1).await), "things", &mut own).unwrap_err();
    assert!(refused.contains("never in the database"), "{refused}");
    assert_eq!(content(&own).len(), 1);
}

/// A file that is gone is made anew from the database, which must have it for that.
#[tokio::test]
async fn a_lost_file_of_which_the_database_knows_nothing_is_not_begun_anew() {
    let (server, folder) = (TestDatabase::new().unwrap(), tempfile::tempdir().unwrap());
    let database = database(&server).await;
    let path = folder.path().join("links.db");
    let open = async |epoch| {
        let world = (Arc::new(SystemClock::new()) as _, Arc::new(OsEntropy::new()) as _);
        LinkStore::open_mirrored(Some(&path), world, Some(&at(&server, &database, epoch).await))
    };
    let remove = || {
        for end in ["", "-wal", "-shm"] {
            drop(std::fs::remove_file(folder.path().join(format!("links.db{end}"))));
        }
    };
    drop(open(1).await.unwrap());
    remove();
    // Restored to before anybody had it.
    let forgets = "DELETE FROM florin.store; DELETE FROM florin.store_claim";
    connected(&server).await.batch_execute(forgets).await.unwrap();
    for epoch in 2..4 {
        let refused = open(epoch).await.unwrap_err().to_string();
        assert!(refused.contains("the database knows nothing of it"), "{refused}");
    }
    // Known there, if without a row.
    let knows =
        "INSERT INTO florin.store_claim (store, claim_id, epoch, version) VALUES ('links', 'a', 1, 0)";
    connected(&server).await.batch_execute(knows).await.unwrap();
    drop(open(4).await.unwrap());
    remove();
    drop(open(5).await.unwrap());
}

/// Whoever opens a store may write its first row at once, driven by a runtime.
#[tokio::test]
async fn a_transaction_may_end_where_a_runtime_is_driven() {
    let (server, folder) = (TestDatabase::new().unwrap(), tempfile::tempdir().unwrap());
    let database = database(&server).await;
    let mut own = file(&folder.path().join("own"));
    let mut mirror = Mirror::open(Some(&at(&server, &database, 1).await), "things", &mut own).unwrap();
    own.execute_batch("BEGIN IMMEDIATE; INSERT INTO one VALUES (1, x'aa')")
        .unwrap();
    mirror.commit(&own).unwrap();
    let mut other = file(&folder.path().join("other"));
    drop(Mirror::open(Some(&at(&server, &database, 2).await), "things", &mut other).unwrap());
    assert_eq!(content(&other), content(&own));
}

#[tokio::test]
async fn a_real_store_is_there_on_another_node_and_its_deleted_rows_are_nowhere() {
    use florin_domain::ports::PaymentLinks as _;
    let (server, folder) = (TestDatabase::new().unwrap(), tempfile::tempdir().unwrap());
    let database = database(&server).await;
    let open = async |name: &str, epoch| {
        let world = (Arc::new(SystemClock::new()) as _, Arc::new(OsEntropy::new()) as _);
        LinkStore::open_mirrored(
            Some(&folder.path().join(name)),
            world,
            Some(&at(&server, &database, epoch).await),
        )
        .unwrap()
    };
    let owner = florin_domain::vault::Owner {
        merchant: florin_domain::ids::MerchantId::from_bits(7),
        livemode: false,
    };
    let first = open("first", 1).await;
    let made = first.change(owner, creation(), None).await.unwrap();
    let second = open("second", 2).await;
    let found = second.find(made.link.id).await.unwrap();
    assert_eq!(found, Some(made.link.clone()));
    let refused = first.change(owner, creation(), None).await;
    assert!(refused.is_err(), "{refused:?}");

    let client = connected(&server).await;
    let rows = client
        .query("SELECT cells FROM florin.store_row WHERE store = 'links'", &[])
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
    assert!(decode(rows[0].get(0)).unwrap().len() > 3);
}
