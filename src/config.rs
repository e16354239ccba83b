//! `florin config`: what the configuration comes to.

use clap::Subcommand;
use florin_config::Settings;
use std::io::Write as _;

/// About the configuration.
#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check the configuration and print what is in effect
    Check,
}

/// Prints what is in effect; settings that cannot be never come so far.
pub(crate) fn run(command: &ConfigCommand, settings: &Settings) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Check => writeln!(std::io::stdout(), "{}", settings.describe())?,
    }
    Ok(())
}
