//! `florin bench`: how fast this machine is, and what each payment costs.

mod engine;
mod failover;
mod http;
mod instant_provider;
mod keys;
mod ledger;
mod overload;
mod setup;
mod start;
mod tenths;
mod webhooks;

use crate::node;
use clap::{Args, ValueEnum};
use florin_load::histogram::Histogram;
use std::path::PathBuf;
use std::time::Duration;

/// Which part is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bench {
    /// Payments without HTTP, over many merchants.
    Engine,
    /// Payments over HTTP, against a bare JSON echo in the same run.
    Http,
    /// One merchant's account against many.
    HotKey,
    /// Payments over HTTP, charged at the sandbox over real sockets.
    Full,
    /// Transfers between accounts: in batches, onto one hot account, and one by one over HTTP.
    Ledger,
    /// Three times the load that the providers can take, over HTTP.
    Overload,
    /// A steady load over HTTP while the preferred of two providers dies and comes back.
    Failover,
    /// From the start of `florin dev` on a fresh folder to its first answered payment.
    Start,
    /// Signed deliveries to a merchant's server, against bare exchanges of the same bytes.
    Webhooks,
    /// Whether the time of a refusal tells how near a wrong API key is to a right one.
    Keys,
}

/// How it is measured.
#[derive(Args, Clone, Debug)]
pub(crate) struct BenchArguments {
    /// Which part
    #[arg(value_enum)]
    bench: Bench,
    /// Seconds of load
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Payments to make in place of the seconds, of `engine` only; memory is looked at after each tenth
    #[arg(long, value_parser = clap::value_parser!(u64).range(10..))]
    payments: Option<u64>,
    /// Callers at the same time
    #[arg(long, default_value_t = 512)]
    clients: usize,
    /// Merchants that payments are spread over
    #[arg(long, default_value_t = 1000)]
    merchants: usize,
    /// Folder for the journal; deleted afterwards. Must be on the disk to be measured
    #[arg(long, default_value = "florin-bench-data")]
    data_dir: PathBuf,
    /// A PostgreSQL database for the journal, empty and of no other use, in place of a file in the folder; of `engine` only
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Connections of the HTTP load
    #[arg(long, default_value_t = 256)]
    connections: usize,
    /// Worker threads of the HTTP server, and of the echo; 0 leaves it to the cores
    #[arg(long, default_value_t = 0)]
    http_workers: usize,
    /// Payments per second, of `failover` only
    #[arg(long, default_value_t = 500)]
    rate: u32,
    /// How long a provider has for one request, of `failover` only
    #[arg(long, default_value_t = 5000)]
    request_timeout_ms: u64,
    /// How long a circuit breaker stays open, of `failover` only
    #[arg(long, default_value_t = 1000)]
    breaker_open_ms: u64,
    /// How often the process is started, of `start` only
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Ends with one line of JSON
    #[arg(long)]
    json: bool,
}

/// What a run of callers gave.
#[derive(Debug)]
struct Measured {
    latencies: Histogram,
    elapsed: Duration,
    cpu_ns: u64,
    failed: u64,
}

/// Runs a benchmark and prints its table.
pub(crate) async fn run(arguments: BenchArguments) -> anyhow::Result<()> {
    anyhow::ensure!(
        arguments.payments.is_none() || arguments.bench == Bench::Engine,
        "--payments is for `bench engine` alone"
    );
    anyhow::ensure!(
        arguments.database.is_none() || arguments.bench == Bench::Engine,
        "--database is for `bench engine` alone"
    );
    let metrics = node::install_metrics()?;
    let report = match arguments.bench {
        Bench::Engine => engine::report(&arguments, arguments.merchants, metrics).await?,
        Bench::HotKey => {
            let uniform = engine::report(&arguments, arguments.merchants, metrics.clone()).await?;
            let mut hot = engine::report(&arguments, 1, metrics).await?;
            "hot-key".clone_into(&mut hot.bench);
            hot.uniform_ratio = Some(hot.payments_per_s / uniform.payments_per_s);
            hot
        }
        Bench::Ledger => {
            let report = ledger::report(&arguments, metrics).await?;
            return report.write(&mut std::io::stdout().lock(), arguments.json);
        }
        Bench::Failover => return failover::run(&arguments, metrics).await,
        Bench::Start => return start::run(&arguments).await,
        Bench::Keys => return keys::run(&arguments, metrics).await,
        Bench::Webhooks => return webhooks::run(&arguments).await,
        Bench::Http => http::report(&arguments, http::World::Instant, metrics).await?,
        Bench::Overload => overload::report(&arguments, metrics).await?,
        Bench::Full => http::report(&arguments, http::World::Sandbox, metrics).await?,
    };
    let mut out = std::io::stdout().lock();
    report.write_table(&mut out)?;
    if arguments.json {
        use std::io::Write;
        writeln!(out, "{}", report.to_json_line()?)?;
    }
    Ok(())
}
