//! The running node in test mode that developers' commands speak to, with its merchant's key.

use crate::dev;
use anyhow::{Context as _, anyhow, ensure};
use clap::Args;
use florin_adapters::api_client::{ApiAnswer, ApiClient};
use florin_config::Settings;
use serde::Deserialize;
use serde_json::Value;

/// Which node, and who asks.
#[derive(Args, Debug)]
pub(crate) struct TestNode {
    /// The node; where `florin dev` listens if it is left out
    #[arg(long)]
    url: Option<String>,
    /// A merchant's API key of test mode. Everybody on this machine can read it, so no live key is taken
    #[arg(long, default_value = dev::MERCHANT_KEY)]
    api_key: String,
}

impl TestNode {
    /// A client, and the address that it speaks to. Nothing is connected to yet.
    pub(crate) fn client(&self, settings: &Settings) -> anyhow::Result<(ApiClient, String)> {
        let key = self.api_key.as_str();
        let is_live = key.contains("_live_");
        ensure!(
            !is_live,
            "--api-key: this command is for test mode alone, and takes no live key"
        );
        ensure!(
            key.starts_with("sk_test_"),
            "--api-key: a merchant's key of test mode begins with `sk_test_`"
        );
        let url = self.url.clone();
        let url = url.unwrap_or_else(|| format!("http://{}", settings.listen));
        let client = ApiClient::new(&url, key).context("--url")?;
        Ok((client, url))
    }
}

/// What an answer says.
pub(crate) fn read<T: for<'a> Deserialize<'a>>(answer: &ApiAnswer) -> anyhow::Result<T> {
    serde_json::from_slice(&answer.body).context("the answer is none of a Florin node")
}

/// What an answer says that is a refusal.
pub(crate) fn refusal(answer: &ApiAnswer) -> anyhow::Error {
    let Ok(body) = read::<Value>(answer) else {
        return anyhow!("the node answered with status {}", answer.status);
    };
    let text = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
    anyhow!("{} {}: {}", answer.status, text("code"), text("message"))
}
