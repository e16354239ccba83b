//! `florin merchant create` and `florin key create`: control data, while the node is stopped.

mod credentials;

use crate::control;
use crate::node::{self, Node};
use crate::providers::Providers;
use anyhow::{Context as _, bail};
use clap::Args;
use florin_config::Settings;
use florin_domain::ids::{MerchantId, ShardId};
use florin_domain::merchant::ApiKeyRole;
use florin_domain::money::FeeSchedule;
use std::time::Duration;

/// What can be done with merchants.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum MerchantCommand {
    /// Register a merchant (while the node is stopped)
    Create(MerchantArguments),
    /// What a merchant has at a provider, on a running node
    #[command(subcommand)]
    Credentials(credentials::CredentialsCommand),
}

/// What can be done with API keys.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum KeyCommand {
    /// Issue an API key (while the node is stopped); its secret is shown once
    Create(KeyArguments),
}

/// A new merchant.
#[derive(Args, Debug)]
pub(crate) struct MerchantArguments {
    /// Name shown to operators
    #[arg(long)]
    name: String,
    /// Percentage of each captured payment, in hundredths of a percent
    #[arg(long, default_value_t = 290)]
    fee_bps: u32,
    /// Fixed part per payment, in major units
    #[arg(long, default_value = "0.30")]
    fee_fixed: String,
    /// The shard that is to have its payments and accounts: the first one, or the one of the name by `journal.ranges`
    #[arg(long)]
    shard: Option<u16>,
}

/// A new key.
#[derive(Args, Debug)]
pub(crate) struct KeyArguments {
    /// The merchant that it acts for; leave out for an operator key
    #[arg(long)]
    merchant: Option<String>,
    /// A live key; test keys are the default
    #[arg(long)]
    live: bool,
}

/// Carries a command out.
pub(crate) async fn run(command: MerchantCommand, settings: Settings) -> anyhow::Result<()> {
    match command {
        MerchantCommand::Create(arguments) => create(settings, arguments).await,
        MerchantCommand::Credentials(command) => credentials::run(command).await,
    }
}

/// Carries a command about keys out.
pub(crate) async fn run_key(command: KeyCommand, settings: Settings) -> anyhow::Result<()> {
    match command {
        KeyCommand::Create(arguments) => create_key(settings, arguments).await,
    }
}

async fn open(settings: &Settings) -> anyhow::Result<Node> {
    let metrics = node::install_metrics()?;
    Box::pin(node::start(settings, Providers::of(Vec::new()), metrics)).await
}

/// Registers a merchant and prints its id.
#[expect(clippy::print_stdout, reason = "the id is this command's output")]
async fn create(settings: Settings, arguments: MerchantArguments) -> anyhow::Result<()> {
    let fee = FeeSchedule::read(arguments.fee_bps, &arguments.fee_fixed)
        .context("--fee-bps and --fee-fixed make no fee")?;
    if arguments.shard.is_some_and(|shard| shard >= settings.shards) {
        bail!("--shard must be below {} (`journal.shards`)", settings.shards);
    }
    let asked = arguments.shard.map(ShardId);
    let shard = match settings.actors.placement.of_merchant(&arguments.name, asked) {
        Ok(shard) => shard,
        Err(misplaced) => bail!("--shard: {misplaced} (`journal.ranges`)"),
    };
    let node = open(&settings).await?;
    let made = control::create_merchant(&node.platform, shard, &arguments.name, fee).await;
    node.stop(Duration::from_secs(10)).await;
    println!("{}", made?);
    Ok(())
}

/// Issues a key and prints its secret, once.
#[expect(clippy::print_stdout, reason = "the secret is this command's output")]
async fn create_key(settings: Settings, arguments: KeyArguments) -> anyhow::Result<()> {
    let merchant = arguments
        .merchant
        .as_deref()
        .map(MerchantId::parse)
        .transpose()
        .context("--merchant")?;
    let node = open(&settings).await?;
    let role = match merchant {
        Some(id) if node.platform.context().directory.load().merchant(id).is_none() => {
            node.stop(Duration::from_secs(10)).await;
            bail!("--merchant: there is no merchant {id}")
        }
        Some(id) => ApiKeyRole::Merchant(id),
        None => ApiKeyRole::Operator,
    };
    let made = match control::new_secret(&node.platform, role, arguments.live) {
        Ok(secret) => control::create_key(&node.platform, role, arguments.live, &secret)
            .await
            .map(|_| secret),
        Err(error) => Err(error),
    };
    node.stop(Duration::from_secs(10)).await;
    println!("{}", made?);
    Ok(())
}
