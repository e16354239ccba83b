//! How many payments a second of one core's processor time simulates: `cargo bench --profile simulation -p florin-simulator --bench speed`.
//!
//! Each round runs seeds 0 to 11 of `sales` with 3,000 requests, and before and after it hashes a fixed amount of bytes, so that rounds of
//! different hours and machines can be compared: a core that is shared hashes less in a second, too. Words behind `--` are the number of
//! rounds (5) and the number of seeds (12).

use std::hint::black_box;
use std::process::ExitCode;

use florin_simulator::{Scenario, Settings, Wiring, simulate};
use sha2::{Digest, Sha256};
use tracing::subscriber::NoSubscriber;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: u64 = 5;
const SEEDS: u64 = 12;
const OPS: u64 = 3_000;
/// What is hashed beside each round, half before and half after it.
const HASHED_MIB: u32 = 512;

/// What some of a round's runs came to.
#[derive(Default)]
struct Sum {
    payments: u64,
    faults: u64,
    cpu_s: f64,
}

fn main() -> ExitCode {
    // `cargo bench` passes words of its own, which begin with a dash.
    let mut words = std::env::args().skip(1).filter_map(|word| word.parse().ok());
    let (rounds, seeds) = (words.next().unwrap_or(ROUNDS), words.next().unwrap_or(SEEDS));
    println!(
        "round  payments/s with faults  without faults  SHA-256 MiB/s  payments with faults per MiB hashed"
    );
    for round in 1..=rounds {
        let mut hashed_s = hash();
        let Some([with_faults, without]) =
            tracing::subscriber::with_default(NoSubscriber::default(), || run(seeds))
        else {
            return ExitCode::FAILURE;
        };
        hashed_s += hash();
        let hashed_per_s = f64::from(HASHED_MIB) / hashed_s;
        println!(
            "{round:>5}  {:>22.0}  {:>14.0}  {hashed_per_s:>13.0}  {:>35.2}",
            with_faults.per_s(),
            without.per_s(),
            with_faults.per_s() / hashed_per_s
        );
        if round == rounds {
            println!(
                "each round: {} payments and {} faults in runs that have some, {} payments in those that have none",
                with_faults.payments, with_faults.faults, without.payments
            );
        }
    }
    ExitCode::SUCCESS
}

/// All seeds: those in which something fails, and those in which nothing does. Nothing if one of them breaks a promise.
fn run(seeds: u64) -> Option<[Sum; 2]> {
    let mut sums = [Sum::default(), Sum::default()];
    for seed in 0..seeds {
        let settings = Settings {
            seed,
            ops: OPS,
            scenario: Scenario::Sales,
            keeps_trace: false,
            goes_on: false,
        };
        let began_s = cpu_s();
        let report = match simulate(settings, &Wiring::default()) {
            Ok(report) if report.breaches.is_empty() => report,
            Ok(report) => {
                eprintln!("seed {seed}: {:?}", report.breaches);
                return None;
            }
            Err(error) => {
                eprintln!("seed {seed}: {error}");
                return None;
            }
        };
        let faults = report.tally.faults();
        let sum = &mut sums[usize::from(faults == 0)];
        sum.cpu_s += cpu_s() - began_s;
        sum.payments += report.tally.count("event", "created");
        sum.faults += faults;
    }
    Some(sums)
}

impl Sum {
    #[expect(clippy::cast_precision_loss, reason = "a rate that is printed")]
    fn per_s(&self) -> f64 {
        self.payments as f64 / self.cpu_s
    }
}

/// Half of what is hashed beside a round, in seconds of processor time.
fn hash() -> f64 {
    let block = vec![0x5a_u8; 1 << 20];
    let began_s = cpu_s();
    for _ in 0..HASHED_MIB / 2 {
        black_box(Sha256::digest(black_box(&block)));
    }
    cpu_s() - began_s
}

/// What this thread has had of a processor so far, in seconds. The simulated world has one thread, and this is it.
fn cpu_s() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells it");
    let first = text
        .split_whitespace()
        .next()
        .expect("the first number is the time");
    first.parse::<f64>().expect("a number of nanoseconds") / 1e9
}
