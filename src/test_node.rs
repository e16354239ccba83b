//! The running node in test mode that developers' commands speak to, with its merchant's key.

use crate::dev;
use anyhow::{Context as _, anyhow, ensure};
use clap::Args;
use florin_adapters::api_client::{ApiAnswer, ApiClient};
use florin_config::Settings;
use serde::Deserialize;
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};

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
        self.client_of((self.url.as_deref(), "--url"), settings.listen)
    }

    /// A client of what belongs to the node, under the address that was given with an option, or else where it usually is.
    pub(crate) fn client_of(
        &self,
        (given, option): (Option<&str>, &'static str),
        usual: SocketAddr,
    ) -> anyhow::Result<(ApiClient, String)> {
        let url = match given {
            // The key would be read by everybody on the way.
            Some(url) => {
                ensure!(
                    is_takeable(url),
                    "{option}: https, or http to this machine; a user or a password has no place in it"
                );
                url.to_owned()
            }
            None => format!("http://{usual}"),
        };
        let client = ApiClient::new(&url, &self.api_key).context(option)?;
        Ok((client, url))
    }
}

/// Whether keys and events may be sent there: without TLS they do not leave this machine.
pub(crate) fn is_takeable(url: &str) -> bool {
    let (is_sealed, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return false,
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if is_sealed {
        return !authority.contains('@');
    }
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => authority,
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let address = bare.unwrap_or(host).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_tls_nothing_leaves_this_machine() {
        for url in [
            "http://127.0.0.1:4242/webhook",
            "http://127.8.9.1",
            "http://localhost:4242?a=b",
            "http://[::1]:4242/",
            "https://shop.example/hooks",
        ] {
            assert!(is_takeable(url), "{url}");
        }
        for url in [
            "",
            "127.0.0.1:4242",
            "http://",
            "ftp://127.0.0.1/",
            "http://10.0.0.1/",
            "http://ada:secret@127.0.0.1/",
            "https://ada:secret@shop.example/",
            "http://shop.example/127.0.0.1",
            "http://127.0.0.1.shop.example/",
            "http://127.0.0.1:80@shop.example/",
            "http://[2606:4700::1111]/",
        ] {
            assert!(!is_takeable(url), "{url}");
        }
    }
}
