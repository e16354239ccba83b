//! The ledger of `florin bench ledger` beside a conventional one on PostgreSQL, one after the other.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use florin_services::{Installation, Postgres};
use serde_json::{Value, json};

use super::{SECONDS_OPTION, SERVER_SETTINGS, number};
use crate::release::{build, florin, last_line, target};

/// Measures both; the table and the figures.
pub(super) fn measure(
    root: &Path,
    installation: &Installation,
    (folder, seconds): (&Path, u64),
) -> Result<(String, Value)> {
    build(root, &["--package", "florin-load", "--example", "conventional"])?;
    println!("bench-compare: the conventional ledger, four loads of {seconds} s");
    let conventional = {
        let server = Postgres::start(installation, &folder.join("postgres"), &SERVER_SETTINGS)?;
        let mut command = Command::new(target(root).join("release/examples/conventional"));
        command
            .arg(seconds.to_string())
            .env("FLORIN_CONVENTIONAL_DATABASE", server.address());
        last_line(&mut command)?
    };
    println!("bench-compare: florin bench ledger, four loads of {seconds} s");
    let mut command = florin(root);
    command
        .args(["bench", "ledger", "--json", SECONDS_OPTION])
        .arg(seconds.to_string())
        .arg("--data-dir")
        .arg(folder.join("florin"));
    let florin = last_line(&mut command)?;
    let table = table(&florin, &conventional, seconds)?;
    Ok((table, json!({"florin": florin, "conventional": conventional})))
}

/// One measured load.
#[derive(Clone, Copy, Debug)]
struct Figures {
    transfers_per_s: f64,
    /// Of requests or transactions, half of them and 99 in 100.
    latency_us: Option<(f64, f64)>,
}

impl Figures {
    fn of_florin(report: &Value, rate: &str, latency: Option<&str>) -> Result<Self> {
        let latency_us = match latency {
            None => None,
            Some(name) => Some((
                number(report, &format!("{name}_p50_us"))?,
                number(report, &format!("{name}_p99_us"))?,
            )),
        };
        Ok(Self {
            transfers_per_s: number(report, rate)?,
            latency_us,
        })
    }

    fn of_conventional(report: &Value, load: &str) -> Result<Self> {
        let load = report
            .get(load)
            .with_context(|| format!("the report has no `{load}`"))?;
        Ok(Self {
            transfers_per_s: number(load, "transfers_per_s")?,
            latency_us: Some((number(load, "p50_us")?, number(load, "p99_us")?)),
        })
    }

    fn row(&self, load: &str, design: &str, ratio: Option<f64>) -> String {
        let latency = |of: fn((f64, f64)) -> f64| {
            self.latency_us
                .map_or("-".to_owned(), |both| format!("{:.1}", of(both) / 1000.0))
        };
        let ratio = ratio.map_or(String::new(), |ratio| format!("{ratio:.1} x"));
        let line = format!(
            "{load:<28}{design:<42}{:>11.0}{:>9}{:>9}{ratio:>11}",
            self.transfers_per_s,
            latency(|both| both.0),
            latency(|both| both.1)
        );
        line.trim_end().to_owned() + "\n"
    }
}

/// Everything measured, in one table; the last column says how many times as many transfers Florin makes as that row.
fn table(florin: &Value, conventional: &Value, seconds: u64) -> Result<String> {
    let accounts = number(florin, "accounts")?;
    let theirs = number(conventional, "accounts")?;
    ensure!(
        accounts.total_cmp(&theirs).is_eq(),
        "{accounts} accounts beside {theirs} are no comparison"
    );
    let errors = number(florin, "unbatched_errors")?;
    ensure!(errors < 1.0, "{errors} transfers over HTTP were not made");
    let of = |report, name| number(report, name);
    let ours = format!("Florin, {} a request", of(florin, "transfers_per_batch")?);
    let over_http = format!("Florin, 1 a request, HTTP, {} conn.", of(florin, "connections")?);
    let batch = of(conventional, "transfers_per_batch")?;
    let batched = format!(
        "PostgreSQL, {batch} a statement, {} conn.",
        of(conventional, "batch_connections")?
    );
    let single = format!(
        "PostgreSQL, 1 a transaction, {} conn.",
        of(conventional, "connections")?
    );
    let rate = |name| Figures::of_conventional(conventional, name);
    let groups = [
        (
            format!("batched, {accounts} accounts"),
            (
                &ours,
                Figures::of_florin(florin, "transfers_per_s", Some("batch"))?,
            ),
            vec![
                (&batched, rate("batched_uniform")?),
                (&single, rate("single_uniform")?),
            ],
        ),
        (
            "hot, all credit one account".to_owned(),
            (&ours, Figures::of_florin(florin, "hot_transfers_per_s", None)?),
            vec![(&batched, rate("batched_hot")?), (&single, rate("single_hot")?)],
        ),
        (
            format!("unbatched, {accounts} accounts"),
            (
                &over_http,
                Figures::of_florin(florin, "unbatched_per_s", Some("unbatched"))?,
            ),
            vec![(&single, rate("single_uniform")?)],
        ),
    ];
    let version = conventional
        .get("server_version")
        .and_then(Value::as_str)
        .and_then(|version| version.split_whitespace().next())
        .unwrap_or("?");
    let mut text = format!(
        "bench-compare, {seconds} s a load, PostgreSQL {version}, every answer after its fsync\n\
         {:<28}{:<42}{:>11}{:>9}{:>9}{:>11}\n",
        "load", "design", "transfers/s", "p50 ms", "p99 ms", "Florin is"
    );
    for (load, (design, own), others) in groups {
        text += &own.row(&load, design, None);
        for (design, other) in others {
            let ratio = own.transfers_per_s / other.transfers_per_s;
            text += &other.row("", design, Some(ratio));
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reports() -> (Value, Value) {
        let load = |rate: f64| json!({"transfers_per_s": rate, "p50_us": 1_500, "p99_us": 20_000});
        let florin = json!({
            "accounts": 10_000, "transfers_per_batch": 8_189, "connections": 64,
            "transfers_per_s": 100_000.4, "batch_p50_us": 400_000, "batch_p99_us": 900_000,
            "hot_transfers_per_s": 90_000.0,
            "unbatched_per_s": 9_000.0, "unbatched_p50_us": 6_000, "unbatched_p99_us": 12_340,
            "unbatched_errors": 0,
        });
        let conventional = json!({
            "accounts": 10_000, "transfers_per_batch": 100, "connections": 32, "batch_connections": 8,
            "server_version": "15.18 (Debian 15.18-0)",
            "single_uniform": load(3_000.0), "single_hot": load(1_000.0),
            "batched_uniform": load(20_000.0), "batched_hot": load(30_000.0),
        });
        (florin, conventional)
    }

    #[test]
    fn the_table_sets_every_load_of_ours_beside_what_it_is_compared_with() {
        let (florin, conventional) = reports();
        let expected = "\
bench-compare, 8 s a load, PostgreSQL 15.18, every answer after its fsync
load                        design                                    transfers/s   p50 ms   p99 ms  Florin is
batched, 10000 accounts     Florin, 8189 a request                         100000    400.0    900.0
                            PostgreSQL, 100 a statement, 8 conn.            20000      1.5     20.0      5.0 x
                            PostgreSQL, 1 a transaction, 32 conn.            3000      1.5     20.0     33.3 x
hot, all credit one account Florin, 8189 a request                          90000        -        -
                            PostgreSQL, 100 a statement, 8 conn.            30000      1.5     20.0      3.0 x
                            PostgreSQL, 1 a transaction, 32 conn.            1000      1.5     20.0     90.0 x
unbatched, 10000 accounts   Florin, 1 a request, HTTP, 64 conn.              9000      6.0     12.3
                            PostgreSQL, 1 a transaction, 32 conn.            3000      1.5     20.0      3.0 x
";
        assert_eq!(table(&florin, &conventional, 8).unwrap(), expected);
    }

    type Change = fn(&mut Value, &mut Value);

    #[test]
    fn what_is_no_comparison_makes_no_table() {
        let refused = |change: Change| {
            let (mut florin, mut conventional) = reports();
            change(&mut florin, &mut conventional);
            table(&florin, &conventional, 8).unwrap_err().to_string()
        };
        let rows: [(Change, &str); 4] = [
            (
                |florin, _| florin["unbatched_errors"] = json!(3),
                "3 transfers over HTTP",
            ),
            (
                |_, other| other["accounts"] = json!(5),
                "10000 accounts beside 5 are no comparison",
            ),
            (|_, other| other["single_hot"] = json!({}), "`transfers_per_s`"),
            (
                |florin, _| florin["hot_transfers_per_s"] = Value::Null,
                "`hot_transfers_per_s`",
            ),
        ];
        for (change, part) in rows {
            let error = refused(change);
            assert!(error.contains(part), "{error}");
        }
    }
}
