//! Florin's binary: parses the command line, builds the runtime, and hands over to one file per command.

mod audit;
mod backup;
mod bench;
mod config;
mod control;
mod dev;
mod edge;
mod integrity;
mod ledger;
mod listen;
mod log;
mod merchant;
mod migrate_store;
mod node;
mod ownership;
mod providers;
mod replica;
mod sandbox;
mod serve;
mod shard_folders;
mod simulate;
mod test_node;
mod trigger;
mod vault;
mod views;
mod webhooks;

use clap::{Parser, Subcommand};
use florin_config::{Mode, Settings};
use std::path::PathBuf;

// Tests count what is allocated.
#[cfg(not(test))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(
    name = "florin",
    version,
    about = "A self-hosted payment platform in one binary"
)]
struct Cli {
    /// Configuration file; FLORIN_* environment variables override it
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything in one process, with simulated providers and published test keys
    Dev,
    /// A node for real work
    Serve,
    /// The simulated providers alone
    Sandbox,
    /// Send the events of a running node in test mode to a server of one's own, signed as webhooks are
    Listen(listen::ListenArguments),
    /// Make an event happen at a running node in test mode
    Trigger(trigger::TriggerArguments),
    /// Measure this machine
    Bench(bench::BenchArguments),
    /// The read models behind the journal
    #[command(subcommand)]
    Views(views::ViewsCommand),
    /// What proves the journal
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// The general ledger of a running node
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// Restore what is damaged from whole copies (while the node is stopped)
    Repair(integrity::RepairArguments),
    /// Copy everything that the node has kept, also while it runs
    Backup(backup::BackupArguments),
    /// Make a data folder of such a copy
    Restore(backup::RestoreArguments),
    /// Move the journal between the data folder and the database (while no node runs)
    MigrateStore(migrate_store::MigrateArguments),
    /// Merchants
    #[command(subcommand)]
    Merchant(merchant::MerchantCommand),
    /// The store of secrets (while the node is stopped)
    #[command(subcommand)]
    Secrets(vault::SecretsCommand),
    /// API keys
    #[command(subcommand)]
    Key(merchant::KeyCommand),
    /// The configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Run the platform in a simulated world in which much goes wrong, and check that nothing is lost or doubled
    Simulate(simulate::SimulateArguments),
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    // All but these need no provider and so none of the configuration.
    let mode = if matches!(cli.command, Command::Serve | Command::Config(_)) {
        Mode::Serve
    } else {
        Mode::Dev
    };
    let environment: Vec<(String, String)> = integrity::configuring(std::env::vars()).collect();
    let settings = Settings::load(cli.config.as_deref(), &environment, mode)?;
    log::start(&settings);
    // Several crates bring a TLS provider; which one is used is decided here, once.
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        tracing::debug!("a TLS provider was installed already");
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if settings.worker_threads > 0 {
        runtime.worker_threads(settings.worker_threads);
    }
    runtime
        .thread_name("florin-core")
        .enable_all()
        .build()?
        .block_on(run(cli.command, settings))
}

async fn run(command: Command, settings: Settings) -> anyhow::Result<()> {
    match command {
        Command::Dev => dev::run(settings).await,
        Command::Serve => serve::run(settings).await,
        Command::Sandbox => sandbox::run(settings).await,
        Command::Listen(arguments) => listen::run(arguments, &settings).await,
        Command::Trigger(arguments) => trigger::run(arguments, &settings).await,
        Command::Bench(arguments) => bench::run(arguments).await,
        Command::Views(views::ViewsCommand::Rebuild) => views::rebuild(settings).await,
        Command::Audit(command) => audit::run(command, settings).await,
        Command::Ledger(command) => ledger::run(command).await,
        Command::Repair(arguments) => integrity::repair(settings, arguments).await,
        Command::Backup(arguments) => backup::run(&settings, &arguments).await,
        Command::Restore(arguments) => backup::restore(&settings, &arguments),
        Command::MigrateStore(arguments) => migrate_store::run(settings, arguments).await,
        Command::Merchant(command) => merchant::run(command, settings).await,
        Command::Secrets(vault::SecretsCommand::RotateKek) => vault::rotate_kek(&settings),
        Command::Key(command) => merchant::run_key(command, settings).await,
        Command::Simulate(arguments) => simulate::run(arguments).await,
        Command::Config(command) => config::run(&command, &settings),
    }
}
