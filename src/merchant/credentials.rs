//! `florin merchant credentials`: what a merchant has at a provider, on a running node. Secrets come from a file or from the standard
//! input, never from arguments, which everybody on the machine can read.

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use florin_adapters::api_client::{ApiAnswer, ApiClient};
use florin_domain::ids::MerchantId;
use florin_domain::provider::ProviderId;
use serde_json::Value;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// What can be done with credentials.
#[derive(Debug, Subcommand)]
pub(crate) enum CredentialsCommand {
    /// Give the merchant a new version
    Set(SetArguments),
    /// Show every version, without its secrets
    List(Place),
    /// Retire a version; its secrets are destroyed
    Retire(RetireArguments),
}

/// Whose credentials, where, and on which node.
#[derive(Args, Debug)]
pub(crate) struct Place {
    /// The merchant
    #[arg(long)]
    merchant: String,
    /// The provider's name
    #[arg(long)]
    provider: String,
    /// The node
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// A file that holds the API key of an operator, or of the merchant
    #[arg(long)]
    api_key_file: PathBuf,
}

/// A new version.
#[derive(Args, Debug)]
pub(crate) struct SetArguments {
    #[command(flatten)]
    place: Place,
    /// A file with the fields as a JSON object, such as {"secret_key": "..."}; the standard input when it is left out
    #[arg(long)]
    file: Option<PathBuf>,
}

/// Which version to retire.
#[derive(Args, Debug)]
pub(crate) struct RetireArguments {
    #[command(flatten)]
    place: Place,
    /// Which one
    #[arg(long)]
    version: u32,
    /// Also if it is the last one of its mode: new charges go on under what is left, or under the configured key
    #[arg(long)]
    falls_back: bool,
}

impl Place {
    fn client(&self) -> anyhow::Result<ApiClient> {
        let file = self.api_key_file.as_path();
        let key = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        Ok(ApiClient::new(&self.url, key.trim())?)
    }

    fn path(&self) -> anyhow::Result<String> {
        let merchant = MerchantId::parse(&self.merchant).context("--merchant")?;
        let provider = ProviderId::parse(&self.provider).context("--provider")?;
        Ok(format!(
            "/v1/ops/merchants/{merchant}/providers/{provider}/credentials"
        ))
    }
}

/// Carries a command out.
pub(super) async fn run(command: CredentialsCommand) -> anyhow::Result<()> {
    let answer = match command {
        CredentialsCommand::Set(arguments) => {
            let (client, path) = (arguments.place.client()?, arguments.place.path()?);
            client
                .put(&path, fields(arguments.file.as_deref())?.into())
                .await?
        }
        CredentialsCommand::List(place) => place.client()?.get(&place.path()?).await?,
        CredentialsCommand::Retire(arguments) => {
            let (client, path) = (arguments.place.client()?, arguments.place.path()?);
            let falls_back = if arguments.falls_back {
                "&falls_back=true"
            } else {
                ""
            };
            client
                .delete(&format!("{path}?version={}{falls_back}", arguments.version))
                .await?
        }
    };
    report(&answer)
}

/// The bytes as they are: the node says what is wrong with them, and never repeats them.
fn fields(file: Option<&Path>) -> anyhow::Result<Vec<u8>> {
    if let Some(file) = file {
        return fs::read(file).with_context(|| file.display().to_string());
    }
    let mut bytes = Vec::new();
    let read = io::stdin().read_to_end(&mut bytes);
    read.context("the standard input")?;
    Ok(bytes)
}

#[expect(clippy::print_stdout, reason = "what the node says is this command's output")]
fn report(answer: &ApiAnswer) -> anyhow::Result<()> {
    let body: Value = serde_json::from_slice(&answer.body).context("the node's answer is no JSON")?;
    if answer.status != 200 {
        let error = &body["error"];
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        bail!("{}: {}", text("code"), text("message"));
    }
    println!("{body:#}");
    Ok(())
}
