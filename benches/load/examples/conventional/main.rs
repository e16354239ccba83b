//! Measures the conventional ledger on PostgreSQL: rows with balances, locked in a transaction. `cargo xtask bench-compare` starts
//! a server and runs this; by hand: `FLORIN_CONVENTIONAL_DATABASE="host=127.0.0.1 user=... dbname=..." cargo run --release -p
//! florin-load --example conventional -- [seconds] [connections one by one] [connections batched]`. It drops and makes the tables
//! `account`, `transfer` and `entry` of that database. The last line it prints is one JSON object.

mod ledger;
mod load;

use std::error::Error;
use std::io::{Write, stdout};
use std::time::Duration;

use florin_load::cpu::CpuSnapshot;
use serde_json::{Value, json};

use ledger::Ledger;
use load::{Load, Measured, Pattern, Shape};

/// What went wrong; only ever shown.
type Fault = Box<dyn Error + Send + Sync>;

// The allocator of the product, so that both sides call from the same ground.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Where the server is, in the form of libpq.
const DATABASE: &str = "FLORIN_CONVENTIONAL_DATABASE";
/// As many as the load of `florin bench ledger` touches.
const ACCOUNTS: u64 = 10_000;
/// Transfers in one transaction of the batched design.
const BATCH: usize = 100;

#[derive(Debug, PartialEq, Eq)]
struct Arguments {
    seconds: u64,
    /// For the loads of one transfer per transaction.
    connections: usize,
    /// For the batched loads; of 4, 8, 16 and 32, 16 were fastest.
    batch_connections: usize,
}

impl Arguments {
    fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, Fault> {
        let mut words = words.into_iter();
        let mut number = |what: &str, default: u64| match words.next() {
            None => Ok(default),
            Some(word) => match word.parse() {
                Ok(0) | Err(_) => Err(format!("{what} must be a whole number from 1, not `{word}`")),
                Ok(number) => Ok(number),
            },
        };
        let arguments = Self {
            seconds: number("seconds", 8)?,
            connections: usize::try_from(number("connections one by one", 32)?)?,
            batch_connections: usize::try_from(number("connections batched", 16)?)?,
        };
        match words.next() {
            None => Ok(arguments),
            Some(word) => Err(format!("`{word}` is one argument too many").into()),
        }
    }
}

fn main() -> Result<(), Fault> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let database =
        std::env::var(DATABASE).map_err(|_| format!("{DATABASE} does not say where the server is"))?;
    // One thread for the callers: they only wait, and the server needs the cores.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure_all(&arguments, &database))
}

async fn measure_all(arguments: &Arguments, database: &str) -> Result<(), Fault> {
    let loads = [
        ("single_uniform", Shape::Single, Pattern::Uniform),
        ("single_hot", Shape::Single, Pattern::Hot),
        ("batched_uniform", Shape::Batched(BATCH), Pattern::Uniform),
        ("batched_hot", Shape::Batched(BATCH), Pattern::Hot),
    ];
    let mut report = json!({
        "bench": "conventional",
        "accounts": ACCOUNTS,
        "transfers_per_batch": BATCH,
        "connections": arguments.connections,
        "batch_connections": arguments.batch_connections,
        "server_version": ledger::setting(database, "server_version").await?,
    });
    for guard in ["fsync", "synchronous_commit"] {
        let value = ledger::setting(database, guard).await?;
        if value != "on" {
            return Err(format!("{guard} is {value}: what is not durable is not compared").into());
        }
    }
    for (name, shape, pattern) in loads {
        let connections = match shape {
            Shape::Single => arguments.connections,
            Shape::Batched(_) => arguments.batch_connections,
        };
        ledger::make_tables(database, ACCOUNTS).await?;
        let mut ledgers = Vec::with_capacity(connections);
        for _ in 0..connections {
            ledgers.push(Ledger::connect(database).await?);
        }
        let before = CpuSnapshot::take()?;
        let load = Load::new(shape, pattern, ACCOUNTS);
        let measured = load.run(ledgers, Duration::from_secs(arguments.seconds)).await?;
        let callers_cpu_ns = CpuSnapshot::take()?.since(&before).total_ns();
        ledger::audit(database, measured.transfers).await?;
        let figures = figures(&measured, callers_cpu_ns);
        writeln!(stdout().lock(), "{name}: {figures}")?;
        report[name] = figures;
    }
    writeln!(stdout().lock(), "{report}")?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "measured figures")]
fn figures(measured: &Measured, callers_cpu_ns: u64) -> Value {
    let transfers = measured.transfers as f64;
    json!({
        "transfers_per_s": transfers / measured.elapsed.as_secs_f64(),
        "p50_us": measured.latencies.p50_us(),
        "p99_us": measured.latencies.p99_us(),
        "callers_cpu_us_per_transfer": callers_cpu_ns as f64 / 1000.0 / transfers.max(1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Arguments, String> {
        Arguments::parse(words.iter().map(|&word| word.to_owned())).map_err(|fault| fault.to_string())
    }

    #[test]
    fn arguments_have_defaults_and_refuse_what_is_no_number() {
        let of = |seconds, connections, batch_connections| {
            Ok(Arguments {
                seconds,
                connections,
                batch_connections,
            })
        };
        assert_eq!(parse(&[]), of(8, 32, 16));
        assert_eq!(parse(&["2"]), of(2, 32, 16));
        assert_eq!(parse(&["2", "16", "4"]), of(2, 16, 4));
        for (words, part) in [
            (vec!["0"], "seconds must be"),
            (vec!["2", "many"], "connections one by one must be"),
            (vec!["2", "3", "-4"], "connections batched must be"),
            (vec!["2", "3", "4", "5"], "`5` is one argument too many"),
        ] {
            let error = parse(&words).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
