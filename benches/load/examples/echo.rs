//! Measures the yardstick with this machine's generator: `cargo run --release --example echo -- [seconds]
//! [connections] [threads]`. Closed loop first, then at half of what that reached.

use std::error::Error;
use std::io::{Write, stdout};
use std::sync::Arc;
use std::time::Duration;

use florin_load::echo_server::EchoServer;
use florin_load::echo_source::EchoSource;
use florin_load::load_report::LoadReport;
use florin_load::progress::Progress;
use florin_load::socket_load::{self, Bound, LoadOptions, Pace};

// The allocator of the product, or the yardstick would be another server's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u32| arguments.next().map_or(Ok(default), |text| text.parse());
    let duration = Duration::from_secs(u64::from(number(5)?));
    let server = EchoServer::start(2)?;
    let mut options = LoadOptions::new(server.addr(), Bound::Duration(Duration::from_secs(1)));
    options.connections = usize::try_from(number(256)?)?;
    options.threads = usize::try_from(number(1)?)?;
    let source = EchoSource::new();
    let load =
        |options: &LoadOptions| socket_load::run(options, &Arc::new(Progress::default()), |_| source.clone());

    load(&options)?; // warms up
    options.bound = Bound::Duration(duration);
    let closed = load(&options)?;
    show("closed loop", &closed)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive rate far below 2^32"
    )]
    let rate_per_s = (closed.requests_per_s / 2.0) as u32;
    options.pace = Pace::OpenLoop {
        rate_per_s: rate_per_s.max(1),
    };
    show("half load", &load(&options)?)?;
    server.stop()?;
    Ok(())
}

fn show(name: &str, report: &LoadReport) -> std::io::Result<()> {
    let cpu = |us: Option<f64>| us.map_or("unknown".to_owned(), |us| format!("{us:.2} us"));
    writeln!(
        stdout().lock(),
        "{name}: {:.0} requests/s over {:.2} s; p50 {} us, p99 {} us, p99.9 {} us, max {} us; CPU per request: \
         generator {}, server {}; {:?}, unsent {}, connections lost {}",
        report.requests_per_s,
        report.elapsed.as_secs_f64(),
        report.p50_us,
        report.p99_us,
        report.p999_us,
        report.max_us,
        cpu(report.generator_cpu_us_per_request),
        cpu(report.server_cpu_us_per_request),
        report.statuses,
        report.unsent,
        report.connections_lost,
    )
}
