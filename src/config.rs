//! `florin config`: what the configuration comes to.

use clap::Subcommand;
use florin_config::Settings;

/// About the configuration.
#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check the configuration and print what is in effect
    Check,
}

/// Prints what is in effect; settings that cannot be never come so far.
#[expect(clippy::print_stdout, reason = "it is what was asked for")]
pub(crate) fn run(command: &ConfigCommand, settings: &Settings) {
    match command {
        ConfigCommand::Check => println!("{}", settings.describe()),
    }
}
