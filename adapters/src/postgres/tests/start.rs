//! What a start refuses, in words that help and without the password.

use super::{connected, ended, opened};
use crate::postgres::{Database, DatabaseOptions, Durability};
use florin_services::{Proxy, Replicated, TestDatabase};
use std::time::Duration;

const SECRET: &str = "geheimnis";

async fn refused(options: DatabaseOptions, durability: Durability) -> String {
    let shown = format!("{options:?}");
    let error = ended("a start", Database::open(options, durability))
        .await
        .unwrap_err();
    let why = format!("{error} {error:?} {shown}");
    assert!(!why.contains(SECRET), "{why}");
    error.to_string()
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_without_a_word_of_it() {
    let cases = [
        ("", "names no host"),
        ("localhost:5432", "it must be `postgres://"),
        ("postgres:/me:geheimnis@localhost/db", "it must be `postgres://"),
        (
            "postgresql//me:geheimnis@localhost/db?sslmode=disable",
            "it must be `postgres://",
        ),
        ("mysql://me:geheimnis@localhost/db", "it must be `postgres://"),
        ("host=localhost password=a geheimnis=", "it must be `postgres://"),
        ("host=localhost password='geheimnis", "it must be `postgres://"),
        ("host=localhost geheimnis", "it must be `postgres://"),
        (
            "postgres://me:geheimnis@localhost/db?geheimnis=1",
            "it must be `postgres://",
        ),
        (
            "postgres://me:geheimnis@localhost:port/db",
            "invalid value for option `port`",
        ),
        (
            "postgres://me:geheimnis@localhost/db?sslmode=geheimnis",
            "invalid value for option `sslmode`",
        ),
        ("user=me password=geheimnis", "names no host"),
    ];
    for (url, expected) in cases {
        let why = refused(DatabaseOptions::new(url), Durability::Local).await;
        assert!(
            why.starts_with("`database.url` is not understood: "),
            "{url}: {why}"
        );
        assert!(why.contains(expected), "{url}: {why}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_or_says_nothing_is_named_and_not_waited_for() {
    let server = TestDatabase::new().unwrap();
    let (proxy, url) = server.proxied().unwrap();
    let options = || DatabaseOptions {
        connect_timeout: Duration::from_millis(300),
        ..DatabaseOptions::new(url.clone())
    };
    let place = proxy.address().to_string();
    proxy.black_hole();
    let why = refused(options(), Durability::Local).await;
    assert!(
        why.contains(&place) && why.contains("it does not answer"),
        "{why}"
    );
    proxy.close();
    let why = refused(options(), Durability::Local).await;
    assert!(why.contains(&place) && why.contains("refused"), "{why}");
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_no_password_is_shown() {
    let server = TestDatabase::private(&[]).unwrap();
    let (start, end) = server.url().split_once('@').unwrap();
    let (_, password) = start.rsplit_once(':').unwrap();
    let url = format!("postgres://florin:{SECRET}@{end}");
    let why = refused(DatabaseOptions::new(url), Durability::Local).await;
    assert!(why.contains("password authentication failed"), "{why}");
    let database = opened(&server).await;
    let link = database.link().await.unwrap();
    let shown = format!("{database:?} {link:?} {}", database.place());
    assert!(!shown.contains(password), "{shown}");
    assert!(shown.contains("127.0.0.1"), "{shown}");
}

#[tokio::test]
async fn a_server_that_does_not_keep_what_it_acknowledges_is_refused() {
    for setting in ["fsync", "full_page_writes"] {
        let server = TestDatabase::private(&[&format!("{setting}=off")]).unwrap();
        let why = refused(DatabaseOptions::new(server.url()), Durability::Local).await;
        assert!(why.contains(&format!("its setting `{setting}` is off")), "{why}");
    }
}

#[tokio::test]
async fn a_server_without_a_synchronous_standby_is_refused_where_one_is_asked_for() {
    let server = TestDatabase::new().unwrap();
    let why = refused(DatabaseOptions::new(server.url()), Durability::Replicated).await;
    assert!(why.contains("`synchronous_standby_names` is empty"), "{why}");
    let client = connected(server.url()).await;
    let sql = "SELECT to_regclass('florin.shard') IS NULL";
    let row = client.query_one(sql, &[]).await.unwrap();
    assert!(row.get::<_, bool>(0), "nothing was made there");
}

/// Its first commit would wait for ever.
#[tokio::test]
async fn a_server_whose_standby_is_not_there_is_refused_where_one_is_asked_for() {
    let server = TestDatabase::private(&["synchronous_standby_names=nobody"]).unwrap();
    let why = refused(DatabaseOptions::new(server.url()), Durability::Replicated).await;
    assert!(
        why.contains("`synchronous_standby_names` is `nobody`")
            && why.contains("`database.synchronous_standby`"),
        "{why}"
    );
}

#[tokio::test]
async fn a_server_with_a_synchronous_standby_will_do_for_whoever_asks_for_one() {
    let servers = Replicated::start().unwrap();
    let options = DatabaseOptions::new(servers.url());
    Database::open(options, Durability::Replicated).await.unwrap();
}

#[tokio::test]
async fn what_others_set_for_their_sessions_is_not_for_ours() {
    let server = TestDatabase::new().unwrap();
    let set = "DO $$ BEGIN
                   EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database());
                   EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable', current_database());
                   EXECUTE format('ALTER DATABASE %I SET lock_timeout = 0', current_database());
               END $$";
    connected(server.url()).await.batch_execute(set).await.unwrap();
    let mut options = DatabaseOptions::new(format!("{}?options=-c%20lock_timeout%3D0", server.url()));
    options.statement_timeout = Duration::from_millis(4321);
    let database = Database::open(options, Durability::Local).await.unwrap();
    let lent = database.lend().await.unwrap();
    let asked = [
        ("synchronous_commit", "on"),
        ("default_transaction_isolation", "read committed"),
        ("lock_timeout", "2s"),
        ("statement_timeout", "4321ms"),
        ("idle_in_transaction_session_timeout", "1500ms"),
        ("client_min_messages", "warning"),
        ("application_name", "florin"),
    ];
    for (name, expected) in asked {
        let sql = format!("SHOW {name}");
        let row = lent.ask(async |client| client.query_one(&sql, &[]).await).await;
        assert_eq!(row.unwrap().get::<_, &str>(0), expected, "{name}");
    }
}

#[tokio::test]
async fn of_several_hosts_the_one_that_is_there_is_used() {
    let server = TestDatabase::new().unwrap();
    let gone = Proxy::start(([127, 0, 0, 1], 9).into()).unwrap();
    gone.close();
    let (start, end) = server.url().split_once('@').unwrap();
    let url = format!("{start}@{},{end}", gone.address());
    let database = Database::open(DatabaseOptions::new(url), Durability::Local)
        .await
        .unwrap();
    assert!(
        database.place().contains(&gone.address().to_string()),
        "{}",
        database.place()
    );
    database.lend().await.unwrap();
}
