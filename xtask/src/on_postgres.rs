//! The API and recovery suites once more, with journals in PostgreSQL: every test of a started node and of the API in one process, but for those that
//! are about the embedded journal itself, which are listed here with the reason.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::counts::{Counts, Runner};
use crate::gate;

/// What has nodes keep their journal in a database of their own.
const STORE: (&str, &str) = ("FLORIN_TEST_STORE", "postgres");

/// Tests of a started node, by how their names begin, that say nothing about a journal in a database, and why.
const LEFT_OUT: [(&str, &str); 32] = [
    ("audit::a_flipped_bit_", "damages `journal.db`"),
    ("audit::a_journal_that_was_put_back", "the same"),
    ("audit_ledger::led_5_", "the same"),
    ("repair::", "the same, and the replica in files"),
    ("repair_unfinished::", "the same"),
    ("audit_shared::", "has databases of its own, in every run"),
    ("integrity_shared::", "the same"),
    (
        "lost_stores::",
        "looks at what is lost with a folder; a database has it",
    ),
    ("crash_points::", "fails the disk under an embedded journal"),
    ("cli::a_flipped_bit_", "damages `journal.db`"),
    ("cli::a_torn_tail_of_the_journal", "the same"),
    ("cli::indexes_that_are_ahead_of_a_journal", "the same"),
    ("consistency::recon_15_a_check_that_cannot_be_run", "the same"),
    ("recovery::damage_in_an_old_record", "the same"),
    (
        "cli::merchants_and_keys_are_made_while",
        "searches the bytes of `journal.db`",
    ),
    (
        "canaries::no_file_no_line",
        "finds in the folder what is in the database",
    ),
    (
        "credentials::a_node_starts_only_with_its_key",
        "expects what a folder alone is refused with",
    ),
    (
        "refused_keys::a_copy_from_before_a_retirement",
        "takes credentials out of a folder, where a database puts them back",
    ),
    (
        "card_vault::a_saved_card_pays_at_adyen",
        "changes the key-encryption key, which is refused with a database",
    ),
    ("backup::", "has databases of its own, in every run"),
    ("migrate_store::", "the same"),
    ("store_test::", "the same"),
    ("takeover::", "the same"),
    ("takeover_credentials::", "the same"),
    ("takeover_control::", "the same"),
    ("takeover_reads::", "the same"),
    ("takeover_stores::", "the same"),
    ("takeover_views::", "the same"),
    ("bench_failover::", "measures what brings its own store"),
    ("benches::", "the same"),
    ("readme::", "starts no node"),
    ("simulate::", "the same"),
];

/// The same for those that run at night: they take long, and say more about providers, rules and actors than about what a store answers.
const AT_NIGHT: [(&str, &str); 15] = [
    ("acceptance_axioms::", "rules"),
    ("acceptance_pools::", "providers"),
    ("acceptance_providers::", "providers"),
    ("acceptance_stages::", "rules"),
    ("adyen::", "providers"),
    ("credentials::", "providers"),
    ("failover::", "providers"),
    ("faults::", "providers"),
    (
        "kill_under_load::",
        "actors that are killed in a process that lives on",
    ),
    ("retries::", "providers"),
    ("reviews::", "rules"),
    ("risk::", "rules"),
    ("stripe_notices::", "providers"),
    (
        "time_travel::a_long_history",
        "two thousand payments, one after the other",
    ),
    ("webhooks::x_06_", "ten thousand events"),
];

/// Which tests are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What every change is worth.
    Everyday,
    /// All that can be run.
    Nightly,
}

/// Runs the tests with the server that is given, or one of their own.
pub(crate) fn run(root: &Path, runner: Runner, extent: Extent, counts: &mut Counts) -> Result<()> {
    let skipped = skipped(&names(root)?, extent)?;
    let server = florin_services::shared()?;
    let mut outcome = Ok(());
    for (binary, skipped) in [
        ("-p florin --test it", skipped.as_slice()),
        ("-p florin-api --test http", &[]),
    ] {
        let mut command = gate::cargo_command(root, &arguments(runner, binary));
        command.env(STORE.0, STORE.1);
        if let Some(server) = &server {
            command.env(florin_services::GIVEN, server.server_url());
        }
        if !skipped.is_empty() {
            command.arg("--");
        }
        for name in skipped {
            command.args(["--skip", name]);
        }
        // One failure hides no other.
        outcome = outcome.and(gate::run_counted(&mut command, runner, counts));
    }
    outcome
}

/// The same by itself: everything that can be run so with `--all`.
pub(crate) fn by_hand(root: &Path, words: &[&str]) -> Result<()> {
    match words {
        [] => alone(root, Extent::Everyday),
        ["--all"] => alone(root, Extent::Nightly),
        words => bail!("`on-postgres` knows only --all, not `{}`", words.join(" ")),
    }
}

/// The same with nobody who adds up.
pub(crate) fn alone(root: &Path, extent: Extent) -> Result<()> {
    run(root, gate::installed_runner(root), extent, &mut Counts::default())
}

fn arguments(runner: Runner, binary: &str) -> String {
    match runner {
        Runner::Nextest => format!("nextest run --locked --color never {binary}"),
        Runner::Harness => format!("test --locked --no-fail-fast --color never {binary}"),
    }
}

/// All tests of a started node.
fn names(root: &Path) -> Result<Vec<String>> {
    let list = "test --locked --color never -p florin --test it -- --list --format terse";
    let output = gate::cargo_command(root, list)
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be started")?;
    if !output.status.success() {
        bail!("`cargo {list}` ended with {}", output.status);
    }
    let listed = String::from_utf8(output.stdout).context("a test whose name is no text")?;
    let names = listed.lines().filter_map(|line| line.strip_suffix(": test"));
    Ok(names.map(str::to_owned).collect())
}

/// What a runner is told to skip. A line that names no test is refused, and so is one that would take others along: runners look for a text anywhere in
/// a name. So a new test is run unless somebody lists it.
fn skipped(names: &[String], extent: Extent) -> Result<Vec<&'static str>> {
    let at_night: &[_] = match extent {
        Extent::Everyday => &AT_NIGHT,
        Extent::Nightly => &[],
    };
    for (listed, _) in LEFT_OUT.iter().chain(&AT_NIGHT) {
        if !names.iter().any(|name| name.starts_with(listed)) {
            bail!("`{listed}` is left out of the runs on PostgreSQL, and no test is called so");
        }
    }
    let skipped: Vec<&str> = LEFT_OUT
        .iter()
        .chain(at_night)
        .map(|(listed, _)| *listed)
        .collect();
    none_along(names, &skipped)?;
    let left = names
        .iter()
        .filter(|name| skipped.iter().any(|listed| name.starts_with(listed)));
    println!(
        "{} of {} tests of a started node are left out: xtask/src/on_postgres.rs says why",
        left.count(),
        names.len()
    );
    Ok(skipped)
}

/// Runners look for a text anywhere in a name.
fn none_along(names: &[String], skipped: &[&str]) -> Result<()> {
    for name in names {
        let is_listed = skipped.iter().any(|listed| name.starts_with(listed));
        if let Some(listed) = skipped
            .iter()
            .find(|listed| name.contains(**listed) && !is_listed)
        {
            bail!("`{listed}` is left out of the runs on PostgreSQL, and would take `{name}` along");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_line_that_names_no_test_or_takes_others_along_is_refused() {
        let stale = skipped(&names(&["new::test"]), Extent::Nightly).unwrap_err();
        assert!(stale.to_string().contains("no test is called so"), "{stale}");
        let all = names(&["audit::is_whole", "cli::an_audit", "ledger_audit::adds_up"]);
        none_along(&all[..2], &["audit::"]).unwrap();
        none_along(&all, &["audit::", "ledger_audit::"]).unwrap();
        let along = none_along(&all, &["audit::"]).unwrap_err().to_string();
        assert!(along.contains("`ledger_audit::adds_up`"), "{along}");
    }

    #[test]
    fn at_night_more_is_run_and_a_new_test_is_run_anyway() {
        let listed = LEFT_OUT.iter().chain(&AT_NIGHT);
        let mut all: Vec<String> = listed.map(|(name, _)| format!("{name}x")).collect();
        all.push("new::test".to_owned());
        let [everyday, nightly] =
            [Extent::Everyday, Extent::Nightly].map(|extent| skipped(&all, extent).unwrap());
        assert_eq!(everyday.len(), LEFT_OUT.len() + AT_NIGHT.len());
        assert_eq!(nightly.len(), LEFT_OUT.len());
        assert!(everyday.iter().all(|skip| !"new::test".contains(skip)));
    }

    #[test]
    fn every_line_has_a_reason() {
        for (name, why) in LEFT_OUT.iter().chain(&AT_NIGHT) {
            assert!(!name.is_empty() && !why.is_empty(), "{name}: {why}");
        }
    }
}
