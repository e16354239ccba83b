//! The effective configuration, typed, and how it is loaded.

use crate::checked;
use crate::database::DatabaseSettings;
use crate::error::ConfigError;
use crate::layers::Layers;
use crate::raw::Raw;
use crate::redis::RedisSettings;
use crate::secret::{KeySecret, Secret};
use florin_actors::options::{Options, ProviderTerms};
use florin_domain::provider::ProviderId;
use serde::{Deserialize, Serialize};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::{Table, Value};

/// What the configuration is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Development: without providers of its own, the sandbox is the only one. Live keys are refused.
    Dev,
    /// Production: providers must be configured.
    Serve,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Which protocol a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// Stripe's payment intents.
    Stripe,
    /// Adyen's Checkout API.
    Adyen,
}

/// By which rules charges are routed until operators put others in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoutingProfile {
    /// By those of `routing.rules`, and by score where none applies.
    Score,
    /// By the seed's table, which needs six providers.
    Seed,
}

/// The HTTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiSettings {
    /// Threads that serve connections; 0 for half the cores, at most 16.
    pub workers: usize,
    /// Open connections of each of these threads.
    pub max_connections: usize,
    /// Largest body of a request.
    pub body_limit_bytes: usize,
    /// Largest path and headers of a request, together.
    pub head_limit_bytes: usize,
    /// How long the head of a request may take to arrive.
    pub head_timeout: Duration,
    /// How long the body may take after it.
    pub body_timeout: Duration,
    /// How long an idle connection stays open.
    pub keep_alive: Duration,
    /// How long a closing connection may take.
    pub disconnect_timeout: Duration,
    /// Where customers reach the server; where it listens if nothing is said.
    pub public_url: Option<String>,
}

/// How refusals are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorProfile {
    /// As Stripe does: a declined card is 402 `card_declined`.
    Stripe,
    /// A declined card is 400 `CARD_DECLINED`.
    Seed,
}

/// How much callers may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateSettings {
    /// Requests per second of each API key, on average; 0 for no limit.
    pub requests_per_s: u32,
    /// Requests at once of each API key; at least those of a second.
    pub burst: u32,
    /// Authentications from one address that may fail in a minute; 0 for no limit.
    pub failed_auth_per_min: u32,
}

/// The simulated providers. Only development starts them by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SandboxSettings {
    /// Where they answer; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// One provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderSettings {
    /// Its protocol.
    pub kind: ProviderKind,
    /// Its name in postings, routing and metrics.
    pub id: ProviderId,
    /// Where it answers, without a slash at the end.
    pub base_url: String,
    /// The key that we send.
    pub secret_key: Secret,
    /// What Stripe signs its events with, each of several while one is replaced; empty for another kind, and where none are sent.
    pub webhook_secrets: Vec<Secret>,
    /// What only Adyen needs; nothing for another kind.
    pub adyen: Option<AdyenSettings>,
    /// How long one request may take; afterwards its outcome is unknown.
    pub request_timeout: Duration,
    /// How much it takes at once, and what it costs.
    pub terms: ProviderTerms,
    /// What is kept between requests.
    pub keeping: KeepingSettings,
}

/// What is kept of a provider between requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepingSettings {
    /// Idle connections to its host; further ones are closed when their request is over.
    pub connections_max: usize,
    /// How long an idle connection stays open.
    pub connections_for: Duration,
    /// How long the addresses of its host are believed.
    pub addresses_for: Duration,
}

/// What a provider that speaks Adyen's protocol needs besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdyenSettings {
    /// The merchant account.
    pub merchant_account: String,
    /// 64 hexadecimal digits under which notifications are signed.
    pub hmac_key: Secret,
}

/// Everything that can be set, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Folder of everything durable.
    pub data_dir: PathBuf,
    /// Shards of the journal, each with a file and a tree of its own.
    pub shards: u16,
    /// Folder of the signed heads, if they are not in the data folder.
    pub heads_dir: Option<PathBuf>,
    /// File of the key under which credentials are sealed, if it is not in the data folder.
    pub kek_file: Option<PathBuf>,
    /// Folder of the journal's replica, if there is to be one.
    pub replica_dir: Option<PathBuf>,
    /// A journal that several nodes share.
    pub database: DatabaseSettings,
    /// Copies of what is read often.
    pub redis: RedisSettings,
    /// Which log lines are written.
    pub log: String,
    /// How they are written.
    pub log_format: LogFormat,
    /// Lines from one place in the code that are written in a second at most; 0 for all. Debug lines are never left out.
    pub log_same_per_s: u32,
    /// How long a shutdown waits for work under way.
    pub drain_limit: Duration,
    /// Threads of the runtime; 0 for one per core.
    pub worker_threads: usize,
    /// Under which secret provider keys are derived. In development the binary makes one when there is none.
    pub provider_key_secret: Option<KeySecret>,
    /// The HTTP server.
    pub http: ApiSettings,
    /// How refusals are written.
    pub error_profile: ErrorProfile,
    /// How much callers may ask.
    pub rates: RateSettings,
    /// The simulated providers.
    pub sandbox: SandboxSettings,
    /// By which rules charges are routed at first.
    pub routing_profile: RoutingProfile,
    /// Routing rules as written; what they say is among the options of the actors.
    pub routing_rules: String,
    /// The actors; [`Options::check`] has passed.
    pub actors: Options,
    /// Providers in order of preference; at least one.
    pub providers: Vec<ProviderSettings>,
}

impl Settings {
    /// Reads and checks everything: the defaults, `file` over them, and of `env` the variables that start with `FLORIN_`
    /// over both. Relative paths start at the working directory.
    ///
    /// # Errors
    /// The first thing found wrong, see [`ConfigError`].
    pub fn load(file: Option<&Path>, env: &[(String, String)], mode: Mode) -> Result<Self, ConfigError> {
        let defaults = Raw::from(&Self::defaults()).into_table();
        let mut layers = Layers::new(defaults);
        if let Some(path) = file {
            let text = fs::read_to_string(path).map_err(|source| ConfigError::File {
                path: path.to_owned(),
                source,
            })?;
            layers.lay_file(&path.display().to_string(), &text)?;
        }
        let leftover = layers.lay_variables(env)?;
        if mode == Mode::Dev && !layers.has_providers() {
            let listen = layers.text("sandbox.listen").and_then(|text| text.parse().ok());
            layers.add_provider(sandbox_provider(
                listen.expect("the value was accepted as an address"),
            ));
        }
        layers.lay_provider_variables(&leftover)?;
        let usual = [
            ("request_timeout_ms", 5000),
            ("connection_idle_ms", 300_000),
            ("dns_cache_ms", 300_000),
        ];
        let provider_defaults = usual
            .map(|(field, ms)| (field.to_owned(), Value::Integer(ms)))
            .into_iter()
            .collect();
        layers.complete_providers(&provider_defaults)?;
        let raw: Raw = Value::Table(layers.into_table())
            .try_into()
            .expect("every value was accepted by the key that the raw field is named after");
        checked::settings(&raw, mode)
    }

    /// The effective configuration as TOML, with `***` in place of every secret.
    pub fn describe(&self) -> String {
        toml::to_string(&Raw::from(self)).expect("whole numbers are bounded and all names are text")
    }

    /// Where the signed heads of the journal are kept.
    pub fn heads_folder(&self) -> PathBuf {
        self.heads_dir
            .clone()
            .unwrap_or_else(|| self.data_dir.join("heads"))
    }

    /// Takes note of where the sandbox really listens, which is known only when port 0 has become a free port: providers
    /// that were to be found at the configured address are found there.
    pub fn sandbox_bound(&mut self, address: SocketAddr) {
        let configured = sandbox_url(self.sandbox.listen);
        for provider in &mut self.providers {
            let rest = provider.base_url.strip_prefix(&configured);
            if let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
                provider.base_url = format!("{}{rest}", sandbox_url(address));
            }
        }
        self.sandbox.listen = address;
    }

    /// Whether a provider is played by the sandbox, once that is bound.
    pub fn is_sandboxed(&self, provider: &ProviderSettings) -> bool {
        provider
            .base_url
            .strip_prefix(&sandbox_url(self.sandbox.listen))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// What holds where nothing is set. Providers have no default outside development.
    fn defaults() -> Self {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            listen: local(8080),
            data_dir: PathBuf::from("./florin-data"),
            shards: 1,
            heads_dir: None,
            kek_file: None,
            replica_dir: None,
            database: DatabaseSettings::defaults(),
            redis: RedisSettings::defaults(),
            log: "info,ractor=warn".to_owned(),
            log_format: LogFormat::Text,
            log_same_per_s: 100,
            drain_limit: Duration::from_secs(10),
            worker_threads: 0,
            provider_key_secret: None,
            http: ApiSettings {
                workers: 0,
                max_connections: 10_000,
                body_limit_bytes: 256 << 10,
                head_limit_bytes: 16 << 10,
                head_timeout: Duration::from_secs(5),
                body_timeout: Duration::from_secs(10),
                keep_alive: Duration::from_secs(75),
                disconnect_timeout: Duration::from_secs(2),
                public_url: None,
            },
            error_profile: ErrorProfile::Stripe,
            rates: RateSettings {
                requests_per_s: 1000,
                burst: 1000,
                failed_auth_per_min: 300,
            },
            sandbox: SandboxSettings { listen: local(9090) },
            routing_profile: RoutingProfile::Score,
            routing_rules: String::new(),
            actors: Options::default(),
            providers: Vec::new(),
        }
    }
}

/// The provider of development.
fn sandbox_provider(listen: SocketAddr) -> Table {
    let url = sandbox_url(listen);
    [
        ("kind", "stripe"),
        ("id", "stripe"),
        ("base_url", url.as_str()),
        ("secret_key", "sk_test_sandbox"),
    ]
    .into_iter()
    .map(|(field, value)| (field.to_owned(), Value::from(value)))
    .collect()
}

/// Where a sandbox that listens there is reached from this machine.
fn sandbox_url(listen: SocketAddr) -> String {
    let mut address = listen;
    if listen.ip().is_unspecified() {
        address.set_ip(match listen.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    format!("http://{address}")
}
