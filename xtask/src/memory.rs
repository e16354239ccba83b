//! `cargo xtask memory`: memory stays flat however many payments are made. `florin bench engine --payments N` says what it held after
//! each tenth of them.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::release::{Folder, build, florin, last_line, target};

/// Payments unless asked otherwise: the platform's promise.
const PAYMENTS: u64 = 10_000_000;
/// Fewer say nothing: each tenth would be over before it is looked at.
const PAYMENTS_MIN: u64 = 100_000;
const PAYMENTS_OPTION: &str = "--payments";

/// As many payments fill all that is bounded (caches, what velocity remembers, the allocator's pools): until then memory may grow.
const FILLED_AFTER: u64 = 1_000_000;
/// The most that may be held later, in parts of what was held then. What grows are the filters of the key index, two bytes for each key of
/// the last day: a fifth to a third over nine million payments. Sixteen bytes for each payment would be beyond this.
const GROWTH_MAX: f64 = 1.5;
/// A settled payment leaves memory at once: what is left are those of the callers, and some that are just leaving.
const LIVE_MAX: u64 = 5_000;

/// Measures, and fails when memory grows.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<()> {
    let payments = payments(words)?;
    println!("memory: building florin, in the release profile");
    build(root, &["--package", "florin", "--bin", "florin"])?;
    let folder = Folder::new(target(root).join(format!("memory/{}", std::process::id())))?;
    println!("memory: {payments} payments");
    let mut command = florin(root);
    command
        .args([
            "bench",
            "engine",
            "--json",
            PAYMENTS_OPTION,
            &payments.to_string(),
        ])
        .arg("--data-dir")
        .arg(folder.path().join("florin"));
    let held = Held::of(&last_line(&mut command)?)?;
    print!("{}", held.table());
    println!("{}", held.judge()?);
    Ok(())
}

fn payments(words: &[&str]) -> Result<u64> {
    let word = match words {
        [] => return Ok(PAYMENTS),
        [PAYMENTS_OPTION, word] => *word,
        words => bail!(
            "`memory` knows only {PAYMENTS_OPTION} N, not `{}`",
            words.join(" ")
        ),
    };
    match word.parse() {
        Ok(payments) if payments >= PAYMENTS_MIN => Ok(payments),
        _ => bail!("{PAYMENTS_OPTION} must be a whole number from {PAYMENTS_MIN} on, not `{word}`"),
    }
}

/// What was held after each tenth.
#[derive(Debug)]
struct Held {
    payments: u64,
    rss_kib: Vec<u64>,
    live: Vec<u64>,
}

impl Held {
    fn of(report: &Value) -> Result<Self> {
        let tenths = |name: &str| -> Result<Vec<u64>> {
            let all = report.get(name).and_then(Value::as_array);
            let all: Option<Vec<u64>> = all.and_then(|all| all.iter().map(Value::as_u64).collect());
            let all = all.with_context(|| format!("the report has no `{name}`"))?;
            ensure!(all.len() == 10, "`{name}` has {} tenths", all.len());
            Ok(all)
        };
        Ok(Self {
            payments: report
                .get("payments")
                .and_then(Value::as_u64)
                .context("the report has no `payments`")?,
            rss_kib: tenths("rss_kib_at_tenths")?,
            live: tenths("live_at_tenths")?,
        })
    }

    fn table(&self) -> String {
        let mut table = format!("{:>12}{:>14}{:>16}\n", "payments", "memory", "live payments");
        for (tenth, (kib, live)) in (1..).zip(self.rss_kib.iter().zip(&self.live)) {
            let made = self.payments / 10 * tenth;
            writeln!(table, "{made:>12}{:>10} MiB{live:>16}", kib / 1024)
                .expect("writing to a string cannot fail");
        }
        table
    }

    /// The tenth that all later ones are compared with: the first one after which nothing bounded is still being filled. A run that is too
    /// short for that is compared with its half.
    fn base(&self) -> usize {
        let tenth = self.payments / 10;
        let full = (0..5_u64).find(|before| tenth * (before + 1) >= FILLED_AFTER);
        full.and_then(|before| usize::try_from(before).ok()).unwrap_or(4)
    }

    #[expect(clippy::cast_precision_loss, reason = "kibibytes of one machine")]
    fn judge(&self) -> Result<String> {
        let base = self.base();
        let then = self.rss_kib[base];
        let most = self.rss_kib[base..].iter().copied().max().unwrap_or(then);
        let growth = most as f64 / then.max(1) as f64;
        let after = base + 1;
        ensure!(
            growth <= GROWTH_MAX,
            "memory grows: {growth:.2} of what it was after {after}/10, and {GROWTH_MAX} are allowed"
        );
        let live = self.live.iter().copied().max().unwrap_or(0);
        ensure!(
            live <= LIVE_MAX,
            "{live} payments were in memory at once, and {LIVE_MAX} are allowed"
        );
        Ok(format!(
            "memory: flat, at most {growth:.2} of what it was after {after}/10"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(payments: u64, rss_kib: [u64; 10], live: u64) -> Held {
        Held {
            payments,
            rss_kib: rss_kib.into(),
            live: vec![live; 10],
        }
    }

    #[test]
    fn memory_that_grows_after_all_is_filled_is_refused() {
        let flat = [100, 110, 105, 120, 110, 100, 125, 130, 150, 140];
        let said = held(10_000_000, flat, 600).judge().unwrap();
        assert!(said.contains("1.50 of what it was after 1/10"), "{said}");
        let grows = [100, 110, 120, 130, 140, 145, 150, 151, 155, 160];
        let refused = held(10_000_000, grows, 600).judge().unwrap_err().to_string();
        assert!(refused.contains("memory grows: 1.60"), "{refused}");
        // It fills first, and stays.
        let fills = [10, 30, 60, 80, 100, 105, 110, 110, 110, 110];
        held(200_000, fills, 600).judge().unwrap();
        held(10_000_000, fills, 600).judge().unwrap_err();
        held(2_000_000, fills, 600).judge().unwrap();
    }

    #[test]
    fn payments_that_stay_in_memory_are_refused() {
        let refused = held(10_000_000, [100; 10], 5_001)
            .judge()
            .unwrap_err()
            .to_string();
        assert!(refused.contains("5001 payments"), "{refused}");
    }

    #[test]
    fn the_report_must_have_ten_tenths() {
        let report = |tenths: usize| {
            serde_json::json!({
                "payments": 1_000_000, "rss_kib_at_tenths": vec![2048; tenths], "live_at_tenths": vec![3; tenths],
            })
        };
        let held = Held::of(&report(10)).unwrap();
        assert!(
            held.table()
                .contains("     1000000         2 MiB               3\n"),
            "{}",
            held.table()
        );
        for wrong in [report(9), serde_json::json!({"payments": 1})] {
            Held::of(&wrong).unwrap_err();
        }
    }

    #[test]
    fn a_number_of_payments_is_one_that_says_something() {
        assert_eq!(payments(&[]).unwrap(), PAYMENTS);
        assert_eq!(payments(&[PAYMENTS_OPTION, "200000"]).unwrap(), 200_000);
        for wrong in [
            &[PAYMENTS_OPTION, "99999"][..],
            &[PAYMENTS_OPTION, "x"],
            &[PAYMENTS_OPTION],
            &["5"],
        ] {
            let error = payments(wrong).unwrap_err().to_string();
            assert!(error.contains(PAYMENTS_OPTION), "{wrong:?}: {error}");
        }
    }
}
