//! `florin simulate`: runs seeds of the deterministic world around the platform, and says what came of them.

use anyhow::Context as _;
use clap::Args;
use florin_simulator::{Report, Scenario, Settings, Tally, Wiring, simulate};
use std::io::Write as _;
use tracing::subscriber::NoSubscriber;

/// What to run.
#[derive(Args)]
pub(crate) struct SimulateArguments {
    /// The (first) seed: everything follows from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Purchases and transfers of a run
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    ops: u64,
    /// Seeds to run, one after the other
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    seeds: u64,
    /// What goes wrong: "swarm" is other things in every seed; "sales" is the same more rarely, with many more payments; "failover" is
    /// providers that charge and then say nothing, and refuse connections
    #[arg(long, default_value = "swarm", value_parser = Scenario::ALL.map(Scenario::name))]
    scenario: String,
    /// Print every event of the run
    #[arg(long)]
    trace: bool,
    /// Let the simulated processes write their log to standard error
    #[arg(long)]
    log: bool,
    /// Print how often everything was seen, and what was not
    #[arg(long)]
    table: bool,
}

/// Runs the seeds. Exit code 1 says that something happened that must never happen.
pub(crate) async fn run(arguments: SimulateArguments) -> anyhow::Result<()> {
    // The simulated processes have runtimes of their own.
    let work = move || {
        if arguments.log {
            return run_seeds(&arguments);
        }
        tracing::subscriber::with_default(NoSubscriber::default(), || run_seeds(&arguments))
    };
    let is_whole = tokio::task::spawn_blocking(work).await??;
    if !is_whole {
        std::process::exit(1);
    }
    Ok(())
}

fn run_seeds(arguments: &SimulateArguments) -> anyhow::Result<bool> {
    let (mut all, mut faults, mut breaches) = (Tally::default(), 0_u64, 0);
    let mut hashes = Vec::new();
    let mut out = std::io::stdout().lock();
    for seed in (arguments.seed..).take(usize::try_from(arguments.seeds).unwrap_or(usize::MAX)) {
        let settings = Settings {
            seed,
            ops: arguments.ops,
            scenario: Scenario::parse(&arguments.scenario).context("no such scenario")?,
            keeps_trace: arguments.trace,
            goes_on: false,
        };
        let report = simulate(settings, &Wiring::default()).context("no runtime to simulate on")?;
        for line in &report.trace {
            write!(out, "{line}")?;
        }
        say(&mut out, &report, &arguments.scenario)?;
        faults = faults.saturating_add(report.tally.faults());
        breaches += report.breaches.len();
        all.add(&report.tally);
        hashes.push(report.trace_hash);
    }
    if arguments.table {
        for (group, name, count) in all.rows() {
            writeln!(out, "{count:>10}  {group}: {name}")?;
        }
        for (group, name) in all.missing() {
            writeln!(out, "     never  {group}: {name}")?;
        }
    }
    let ops = arguments.ops.saturating_mul(arguments.seeds);
    let hash = florin_simulator::hash_of(&hashes);
    writeln!(
        out,
        "trace_hash={hash} ops={ops} faults={faults} breaches={breaches}"
    )?;
    Ok(breaches == 0)
}

fn say(out: &mut impl std::io::Write, report: &Report, scenario: &str) -> std::io::Result<()> {
    for breach in &report.breaches {
        writeln!(out, "BREACH seed {}: {breach}", report.seed)?;
    }
    if !report.breaches.is_empty() {
        let (seed, ops) = (report.seed, report.ops);
        writeln!(
            out,
            "replay: florin simulate --scenario {scenario} --seed {seed} --ops {ops} --trace"
        )?;
    }
    Ok(())
}
