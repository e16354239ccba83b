//! Owns the store that a started node has: the journal of its data folder, or, where `FLORIN_TEST_STORE` is `postgres`, a database of that folder's own
//! on the server that `FLORIN_TEST_POSTGRES` names. The databases are left to whoever started the server.

use crate::process::wait_for;
use florin_services::TestDatabase;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

/// The store of every node of this run that does not say where its journal is.
const STORE: &str = "FLORIN_TEST_STORE";

const URL: &str = "FLORIN_DATABASE_URL";
const LEASE: &str = "FLORIN_DATABASE_LEASE_MS";

/// Whoever is killed keeps others waiting for so long; a machine that is slower than a part of it would fence its own nodes.
const LEASE_MS: &str = "3000";

/// Commands that have no store.
const STORELESS: [&str; 4] = ["listen", "sandbox", "simulate", "trigger"];

/// The one command that waits by itself for shards that another process has.
const PATIENT_COMMAND: &str = "serve";

/// A folder's database.
#[derive(Debug)]
struct Kept {
    database: TestDatabase,
    /// A process ended without letting go of the shards.
    was_killed: bool,
}

static DATABASES: LazyLock<Mutex<HashMap<PathBuf, Kept>>> = LazyLock::new(Mutex::default);

/// Whether nodes have their journal in PostgreSQL.
fn is_postgres() -> bool {
    match std::env::var(STORE).ok().as_deref() {
        None | Some("embedded") => false,
        Some("postgres") => {
            let given = std::env::var_os(florin_services::GIVEN);
            assert!(
                given.is_some(),
                "{STORE}=postgres needs a server in {}: `cargo xtask on-postgres` starts one",
                florin_services::GIVEN
            );
            true
        }
        Some(other) => panic!("{STORE} is `embedded` or `postgres`, not `{other}`"),
    }
}

/// Where a command finds the journal of this folder, if that is not the folder itself.
pub(crate) fn variables(
    arguments: &[&str],
    data_dir: &Path,
    own: &[(&str, &str)],
) -> Vec<(&'static str, String)> {
    let has_none = arguments
        .first()
        .is_none_or(|command| STORELESS.contains(command));
    if has_none || own.iter().any(|(name, _)| *name == URL) || !is_postgres() {
        return Vec::new();
    }
    let mut databases = DATABASES.lock().unwrap();
    let kept = databases.entry(data_dir.to_owned()).or_insert_with(|| Kept {
        database: TestDatabase::new().unwrap(),
        was_killed: false,
    });
    vec![
        (URL, kept.database.url().to_owned()),
        (LEASE, LEASE_MS.to_owned()),
    ]
}

/// A process on this folder has ended, and nobody else shall wait for its shards longer than the lease.
pub(crate) fn was_killed(data_dir: &Path) {
    if let Some(kept) = DATABASES.lock().unwrap().get_mut(data_dir) {
        kept.was_killed = true;
    }
}

/// Waits until the shards of a process that was killed may be taken: only `serve` does so by itself.
pub(crate) fn wait_for_the_killed(command: Option<&str>, data_dir: &Path) {
    if command == Some(PATIENT_COMMAND) {
        return;
    }
    let mut databases = DATABASES.lock().unwrap();
    let Some(kept) = databases.get_mut(data_dir).filter(|kept| kept.was_killed) else {
        return;
    };
    wait_for("the end of a killed node's lease", || {
        let held = "SELECT count(*) FROM florin.shard WHERE lease_until > clock_timestamp()";
        let there = kept.database.query("SELECT to_regclass('florin.shard')").unwrap();
        let is_free = there.trim().is_empty() || kept.database.query(held).unwrap().trim() == "0";
        is_free.then_some(())
    });
    kept.was_killed = false;
}
