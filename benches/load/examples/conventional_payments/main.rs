//! Measures payments as the seed's design makes them: a Redis lock per payment, one serializable PostgreSQL transaction per payment, the
//! answer kept in Redis. `cargo xtask bench-compare --payments` starts both servers and runs this; by hand:
//! `FLORIN_CONVENTIONAL_DATABASE="host=127.0.0.1 user=... dbname=..." FLORIN_CONVENTIONAL_REDIS=redis://:...@127.0.0.1:... cargo run
//! --release -p florin-load --example conventional_payments -- [seconds] [callers] [connections] [connections hot]`. It drops and makes
//! tables in that database and empties that Redis server. The last line it prints is one JSON object.

mod books;
mod load;
mod service;

use std::error::Error;
use std::io::{Write, stdout};
use std::sync::Arc;
use std::time::Duration;

use florin_load::cpu::CpuSnapshot;
use serde_json::{Value, json};

use load::{Load, Measured};
use service::{Locks, Service};

/// What went wrong; only ever shown.
type Fault = Box<dyn Error + Send + Sync>;

// The allocator of the product, so that both sides call from the same ground.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Where the servers are: in the form of libpq, and as a URL.
const DATABASE: &str = "FLORIN_CONVENTIONAL_DATABASE";
const REDIS: &str = "FLORIN_CONVENTIONAL_REDIS";
/// As many as `florin bench engine` spreads its payments over.
const MERCHANTS: u64 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Arguments {
    seconds: u64,
    callers: usize,
    /// Of the pool, and as many requests are worked on at once.
    connections: u32,
    /// The same for the loads on one account.
    hot_connections: u32,
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
            callers: usize::try_from(number("callers", 512)?)?,
            connections: u32::try_from(number("connections", 16)?)?,
            hot_connections: u32::try_from(number("connections hot", 4)?)?,
        };
        match words.next() {
            None => Ok(arguments),
            Some(word) => Err(format!("`{word}` is one argument too many").into()),
        }
    }
}

fn main() -> Result<(), Fault> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let place = |name| std::env::var(name).map_err(|_| format!("{name} does not say where the server is"));
    let (database, redis) = (place(DATABASE)?, place(REDIS)?);
    // One thread for the callers: they only wait, and the servers need the cores.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure_all(&arguments, (&database, &redis)))
}

/// One load: its name, over how many merchants, and what is locked.
const LOADS: [(&str, u64, Locks); 4] = [
    ("uniform_key_lock", MERCHANTS, Locks::Key),
    ("uniform_account_lock", MERCHANTS, Locks::KeyAndAccount),
    ("hot_key_lock", 1, Locks::Key),
    ("hot_account_lock", 1, Locks::KeyAndAccount),
];

async fn measure_all(arguments: &Arguments, (database, redis): (&str, &str)) -> Result<(), Fault> {
    for guard in ["fsync", "synchronous_commit", "full_page_writes"] {
        let value = books::setting(database, guard).await?;
        if value != "on" {
            return Err(format!("{guard} is {value}: what is not durable is not compared").into());
        }
    }
    let mut report = json!({
        "bench": "conventional_payments",
        "accounts": MERCHANTS,
        "callers": arguments.callers,
        "connections": arguments.connections,
        "hot_connections": arguments.hot_connections,
        "server_version": books::setting(database, "server_version").await?,
    });
    for (name, merchants, locks) in LOADS {
        let connections = if merchants == 1 {
            arguments.hot_connections
        } else {
            arguments.connections
        };
        // All that are asked for at once, and then only as many as are worked on.
        for (load, callers) in [
            (name.to_owned(), arguments.callers),
            (format!("{name}_few"), usize::try_from(connections)?),
        ] {
            // On one hot account as well: it is one of many.
            books::make_tables(database, MERCHANTS).await?;
            let service = Arc::new(Service::connect((database, redis), locks, connections).await?);
            service.forget_all().await?;
            report["redis_version"] = service.redis_version().await?.into();
            let before = CpuSnapshot::take()?;
            let running = Load::new(Arc::clone(&service), merchants, usize::try_from(connections)?);
            let measured = running
                .run(callers, Duration::from_secs(arguments.seconds))
                .await?;
            let callers_cpu_ns = CpuSnapshot::take()?.since(&before).total_ns();
            check(database, &service, measured.payments).await?;
            let figures = figures(&measured, &service, (callers, callers_cpu_ns));
            writeln!(stdout().lock(), "{load}: {figures}")?;
            report[load] = figures;
        }
    }
    writeln!(stdout().lock(), "{report}")?;
    Ok(())
}

/// Whether the books are right, every answer is kept, and no lock was left.
async fn check(database: &str, service: &Service, payments: u64) -> Result<(), Fault> {
    books::audit(database, payments).await?;
    let keys = service.keys().await?;
    if keys == payments {
        return Ok(());
    }
    Err(format!("{payments} payments were answered, but Redis has {keys} keys").into())
}

#[expect(clippy::cast_precision_loss, reason = "measured figures")]
fn figures(measured: &Measured, service: &Service, (callers, callers_cpu_ns): (usize, u64)) -> Value {
    let payments = measured.payments as f64;
    let each = |count: u64| count as f64 / payments.max(1.0);
    json!({
        "callers": callers,
        "payments_per_s": payments / measured.elapsed.as_secs_f64(),
        "p50_us": measured.latencies.p50_us(),
        "p99_us": measured.latencies.p99_us(),
        "conflicts_per_payment": each(service.conflicts()),
        "refused_locks_per_payment": each(service.refused_locks()),
        "callers_cpu_us_per_payment": each(callers_cpu_ns) / 1000.0,
    })
}

#[cfg(test)]
mod tests;
