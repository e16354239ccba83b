//! Payments of `florin bench engine` beside those of the seed's design, in turn: a Redis lock and a serializable PostgreSQL transaction for
//! each. Every step has servers of its own, and none that it does not use.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use florin_services::{Installation, Postgres, Redis, RedisProgram};
use serde_json::Value;

use super::payments_table::{Account, Callers, Comparison, Design, Figures};
use super::{SECONDS_OPTION, SERVER_SETTINGS, Wanted};
use crate::release::{build, florin, last_line, target};

/// Callers at the same time where there are many.
const CALLERS_MANY: u64 = 512;
/// Of the conventional design, and how many of its payments are under way at once: over 1,000 accounts, and on one. Of 8, 16, 32 and 64, and of 2, 4 and 8, these gave
/// the most payments a second.
const CONNECTIONS: u64 = 16;
const CONNECTIONS_HOT: u64 = 4;
/// Of a hundred payments of ours, how many may be refused in a comparison: on a busy machine a stage may take longer than it has.
const REFUSED_MAX_PERCENT: f64 = 5.0;

/// Measures all designs; the table and the figures.
pub(super) fn measure(
    root: &Path,
    installation: &Installation,
    folder: &Path,
    wanted: Wanted,
) -> Result<(String, Value)> {
    let redis = RedisProgram::find()?;
    build(
        root,
        &["--package", "florin-load", "--example", "conventional_payments"],
    )?;
    let mut comparison = Comparison::default();
    for round in 1..=wanted.rounds {
        let place = folder.join(format!("payments-{round}"));
        std::fs::create_dir_all(&place)?;
        let step = Step {
            root,
            installation,
            redis: &redis,
            place: &place,
            seconds: wanted.seconds,
        };
        println!(
            "bench-compare: payments, round {round} of {}: the conventional design",
            wanted.rounds
        );
        step.conventional(&mut comparison)?;
        println!("bench-compare: payments, round {round}: florin, embedded journal");
        step.embedded(&mut comparison)?;
        println!("bench-compare: payments, round {round}: florin, journal in PostgreSQL");
        step.shared(&mut comparison)?;
    }
    Ok((comparison.table(wanted.seconds)?, comparison.to_json()?))
}

/// Where and for how long something is measured.
struct Step<'a> {
    root: &'a Path,
    installation: &'a Installation,
    redis: &'a RedisProgram,
    place: &'a Path,
    seconds: u64,
}

/// All loads of ours, and how many callers each has.
const LOADS: [(Account, Callers, u64); 4] = [
    (Account::Uniform, Callers::Many, CALLERS_MANY),
    (Account::Hot, Callers::Many, CALLERS_MANY),
    (Account::Uniform, Callers::Few, CONNECTIONS),
    (Account::Hot, Callers::Few, CONNECTIONS_HOT),
];

impl Step<'_> {
    fn conventional(&self, comparison: &mut Comparison) -> Result<()> {
        let database = self.database("postgres")?;
        let redis = Redis::start(self.redis, &self.place.join("redis"), &[])?;
        let mut command = Command::new(target(self.root).join("release/examples/conventional_payments"));
        for number in [self.seconds, CALLERS_MANY, CONNECTIONS, CONNECTIONS_HOT] {
            command.arg(number.to_string());
        }
        command
            .env("FLORIN_CONVENTIONAL_DATABASE", database.address())
            .env("FLORIN_CONVENTIONAL_REDIS", redis.url());
        let report = last_line(&mut command)?;
        comparison.servers(&report);
        for (account, callers, _) in LOADS {
            for design in [Design::KeyLock, Design::AccountLock] {
                let name = format!("{}_{}{}", account.name(), design.name(), callers.suffix());
                let load = report.get(&name).unwrap_or(&Value::Null);
                comparison.add((account, callers, design), Figures::read(load, &name)?);
            }
        }
        Ok(())
    }

    fn embedded(&self, comparison: &mut Comparison) -> Result<()> {
        for (account, callers, count) in LOADS {
            let figures = self.engine((account, count), None)?;
            comparison.add((account, callers, Design::Embedded), figures);
        }
        Ok(())
    }

    fn shared(&self, comparison: &mut Comparison) -> Result<()> {
        let server = self.database("florin-postgres")?;
        for (place, (account, callers, count)) in LOADS.into_iter().enumerate() {
            let name = format!("florin_{place}");
            server.query(&format!("CREATE DATABASE {name}"))?;
            let url = format!("{}/{name}", server.server_url());
            let figures = self.engine((account, count), Some(&url))?;
            comparison.add((account, callers, Design::InPostgres), figures);
        }
        Ok(())
    }

    fn database(&self, name: &str) -> Result<Postgres> {
        Postgres::start(self.installation, &self.place.join(name), &SERVER_SETTINGS)
    }

    fn engine(&self, (account, callers): (Account, u64), database: Option<&str>) -> Result<Figures> {
        let mut command = florin(self.root);
        command
            .args(["bench", "engine", "--json", SECONDS_OPTION])
            .arg(self.seconds.to_string())
            .args(["--clients", &callers.to_string()])
            .args(["--merchants", &account.merchants().to_string()])
            .arg("--data-dir")
            .arg(self.place.join("florin"));
        if let Some(url) = database {
            command.args(["--database", url]);
        }
        let report = last_line(&mut command)?;
        let figures = Figures::read(&report, "bench engine")?;
        #[expect(clippy::cast_precision_loss, reason = "a number of seconds")]
        let made = figures.payments_per_s * self.seconds as f64;
        anyhow::ensure!(
            figures.refused * 100.0 <= made * REFUSED_MAX_PERCENT,
            "{} payments were refused beside some {made:.0} that were made",
            figures.refused
        );
        Ok(figures)
    }
}
