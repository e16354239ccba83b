//! Owns what a start refuses of a database, because it would lose what was promised or be no longer understood.

use super::address::Address;
use super::{DatabaseError, described};
use crate::clock::SystemClock;
use florin_domain::ports::Clock as _;
use tokio_postgres::Client;

/// The oldest version that is tested.
const VERSION_MIN: i32 = 150_000;

/// What the clocks of database and process may differ by. Leases do not depend on it, times in records and schedules do.
const CLOCKS_APART_MAX_MS: i64 = 30_000;

/// What is shown of the name that a server gives itself.
const NAME_SHOWN_CHARS: usize = 60;

/// What an acknowledged commit must survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The end of the database's process.
    Local,
    /// The loss of its machine: every commit waits for a copy.
    Replicated,
}

/// What a database says of itself.
#[derive(Clone, Debug)]
struct Found {
    version: i32,
    fsync: String,
    full_page_writes: String,
    synchronous_commit: String,
    client_min_messages: String,
    synchronous_standby_names: String,
    /// Those for which its commits wait and that are up to date, or of which we may not know: only who may read all statistics sees how one stands.
    standbys: i64,
    /// Its clock less ours.
    ahead_ms: i64,
}

/// Refuses a database that is too old, does not keep what it acknowledges, or has another idea of time.
pub(super) async fn check(
    client: &Client,
    address: &Address,
    durability: Durability,
) -> Result<(), DatabaseError> {
    let unfit = |why: String| DatabaseError::Unfit {
        place: address.place().to_owned(),
        why,
    };
    let failed = |error: tokio_postgres::Error| unfit(described(&error));
    // By itself: what is asked next, others than PostgreSQL do not know.
    let version = client.query_one("SELECT version()", &[]).await;
    let version: String = version.and_then(|row| row.try_get(0)).map_err(failed)?;
    judge_product(&version).map_err(unfit)?;
    let found = look(client).await.map_err(failed)?;
    judge(&found, durability).map_err(unfit)
}

async fn look(client: &Client) -> Result<Found, tokio_postgres::Error> {
    let sql = "SELECT current_setting('server_version_num')::integer, current_setting('fsync'),
                      current_setting('full_page_writes'), current_setting('synchronous_commit'),
                      current_setting('client_min_messages'), current_setting('synchronous_standby_names'),
                      (SELECT count(*) FROM pg_stat_replication WHERE sync_state IS NULL OR sync_state IN ('sync', 'quorum')),
                      (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    let row = client.query_one(sql, &[]).await?;
    let now_ms = SystemClock::new().now().unix_ms().cast_signed();
    Ok(Found {
        version: row.try_get(0)?,
        fsync: row.try_get(1)?,
        full_page_writes: row.try_get(2)?,
        synchronous_commit: row.try_get(3)?,
        client_min_messages: row.try_get(4)?,
        synchronous_standby_names: row.try_get(5)?,
        standbys: row.try_get(6)?,
        ahead_ms: row.try_get::<_, i64>(7)?.saturating_sub(now_ms),
    })
}

/// Why it will not do if it is not PostgreSQL but speaks like it. What is believed of the database (that a commit waits for copies and warns if it did
/// not, what a lock holds, whose clock a lease goes by) is tested on PostgreSQL alone.
fn judge_product(version: &str) -> Result<(), String> {
    let is_itself = version.starts_with("PostgreSQL ") && !version.contains("-YB-");
    if is_itself {
        return Ok(());
    }
    let name: String = version.chars().take(NAME_SHOWN_CHARS).collect();
    Err(format!(
        "it calls itself `{name}`, and Florin keeps money in PostgreSQL alone, where it is tested"
    ))
}

/// Why it will not do, if so.
fn judge(found: &Found, durability: Durability) -> Result<(), String> {
    if found.version < VERSION_MIN {
        return Err(format!(
            "it is PostgreSQL {}, and {} is the oldest that will do",
            found.version / 10_000,
            VERSION_MIN / 10_000
        ));
    }
    for (name, value) in [
        ("fsync", &found.fsync),
        ("full_page_writes", &found.full_page_writes),
    ] {
        if value != "on" {
            return Err(format!(
                "its setting `{name}` is {value}: what it acknowledges would be lost with its machine"
            ));
        }
    }
    let acknowledges = &found.synchronous_commit;
    if !["on", "remote_apply"].contains(&acknowledges.as_str()) {
        return Err(format!(
            "it does not let us set `synchronous_commit`, which is {acknowledges} and must be on"
        ));
    }
    let tells = &found.client_min_messages;
    if ["error", "fatal", "panic"].contains(&tells.as_str()) {
        return Err(format!(
            "it does not let us set `client_min_messages`, which is {tells}: its warnings would not be heard"
        ));
    }
    let apart_ms = found.ahead_ms.saturating_abs();
    if apart_ms > CLOCKS_APART_MAX_MS {
        return Err(format!(
            "its clock and ours are {} s apart, and {} s are the most: set the clocks",
            apart_ms / 1000,
            CLOCKS_APART_MAX_MS / 1000
        ));
    }
    if durability == Durability::Local {
        return Ok(());
    }
    let names = found.synchronous_standby_names.trim();
    if names.is_empty() {
        return Err(
            "no standby is synchronous (`synchronous_standby_names` is empty), and `database.synchronous_standby` asks for one".to_owned(),
        );
    }
    // Its first commit would wait, and the start with it, without a word.
    if found.standbys == 0 {
        return Err(format!(
            "no standby is synchronous (`synchronous_standby_names` is `{names}`, and none of those is connected and up to date), \
             and `database.synchronous_standby` asks for one"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit() -> Found {
        let on = || "on".to_owned();
        Found {
            version: 150_018,
            fsync: on(),
            full_page_writes: on(),
            synchronous_commit: on(),
            client_min_messages: "warning".to_owned(),
            synchronous_standby_names: String::new(),
            standbys: 0,
            ahead_ms: 0,
        }
    }

    type Change = fn(&mut Found);

    #[test]
    fn what_would_lose_or_confuse_is_refused_by_name() {
        let cases: [(Change, &str); 11] = [
            (
                |found| found.version = 140_099,
                "it is PostgreSQL 14, and 15 is the oldest",
            ),
            (|found| found.version = 90_624, "it is PostgreSQL 9, and 15"),
            (|found| found.fsync = "off".to_owned(), "`fsync` is off"),
            (
                |found| found.full_page_writes = "off".to_owned(),
                "`full_page_writes` is off",
            ),
            (
                |found| found.synchronous_commit = "off".to_owned(),
                "`synchronous_commit`, which is off",
            ),
            (
                |found| found.synchronous_commit = "local".to_owned(),
                "which is local",
            ),
            (
                |found| found.synchronous_commit = "remote_write".to_owned(),
                "which is remote_write",
            ),
            (
                |found| found.client_min_messages = "error".to_owned(),
                "`client_min_messages`, which is error",
            ),
            (|found| found.ahead_ms = 30_001, "30 s apart"),
            (|found| found.ahead_ms = -3_600_000, "3600 s apart"),
            (|found| found.ahead_ms = i64::MIN, "s apart"),
        ];
        for (change, expected) in cases {
            let mut found = fit();
            change(&mut found);
            let why = judge(&found, Durability::Local).unwrap_err();
            assert!(why.contains(expected), "{expected}: {why}");
        }
    }

    #[test]
    fn what_only_speaks_like_postgresql_is_refused_by_the_name_that_it_gives_itself() {
        for version in [
            "CockroachDB CCL v25.4.1 (x86_64-pc-linux-gnu, built 2025/12/01 00:00:00, go1.25)",
            "PostgreSQL 15.12-YB-2025.2.3.0-b1 on x86_64-pc-linux-gnu, compiled by clang version 17, 64-bit",
            "",
        ] {
            let why = judge_product(version).unwrap_err();
            let named = version.get(..20).unwrap_or_default();
            assert!(why.contains(named) && why.len() < 200, "{why}");
        }
        for version in [
            "PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64-pc-linux-gnu, compiled by gcc",
            "PostgreSQL 18beta1 on aarch64-unknown-linux-gnu",
        ] {
            assert_eq!(judge_product(version), Ok(()));
        }
    }

    #[test]
    fn what_will_do_is_not_refused() {
        let cases: [Change; 7] = [
            |_| {},
            |found| found.version = 150_000,
            |found| found.version = 180_001,
            |found| found.synchronous_commit = "remote_apply".to_owned(),
            |found| found.client_min_messages = "notice".to_owned(),
            |found| found.ahead_ms = 30_000,
            |found| found.ahead_ms = -30_000,
        ];
        for change in cases {
            let mut found = fit();
            change(&mut found);
            assert_eq!(judge(&found, Durability::Local), Ok(()), "{found:?}");
        }
    }

    #[test]
    fn whoever_wants_copies_is_refused_without() {
        for (names, standbys, is_fit) in [
            ("", 1, false),
            (" ", 1, false),
            ("b", 1, true),
            ("ANY 1 (b, c)", 2, true),
            ("b", 0, false),
        ] {
            let found = Found {
                synchronous_standby_names: names.to_owned(),
                standbys,
                ..fit()
            };
            assert_eq!(judge(&found, Durability::Replicated).is_ok(), is_fit, "{names:?}");
        }
    }
}
