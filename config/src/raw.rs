//! The serialized shape of the configuration. It is read from the layers, and made from [`Settings`] for the defaults and
//! the description.

use crate::database::RawDatabase;
use crate::kind::NO_LIMIT;
use crate::ledger::RawLedger;
use crate::redis::RawRedis;
use crate::retries::{RawDuplicates, RawRetry};
use crate::secret::HIDDEN;
use crate::settings::{ApiSettings, ErrorProfile, LogFormat, ProviderKind, RoutingProfile, Settings};
use florin_actors::options::Options;
use florin_domain::money::{Currency, decimal_string};
use florin_domain::payment::{FeeReturn, ReviewMode};
use florin_domain::placement::Placement;
use florin_domain::risk::Profile;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use toml::Table;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Raw {
    pub(crate) listen: SocketAddr,
    pub(crate) data_dir: PathBuf,
    pub(crate) log: String,
    pub(crate) log_format: LogFormat,
    pub(crate) log_same_per_s: u32,
    pub(crate) drain_limit_ms: u64,
    pub(crate) worker_threads: usize,
    #[serde(default)]
    pub(crate) provider_key_secret: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) provider_key_secret_file: String,
    pub(crate) http: RawHttp,
    pub(crate) errors: RawErrors,
    pub(crate) sandbox: RawSandbox,
    pub(crate) limits: RawLimits,
    pub(crate) stages: RawStages,
    pub(crate) lifetimes: RawLifetimes,
    pub(crate) refunds: RawRefunds,
    pub(crate) ledger: RawLedger,
    pub(crate) review: RawReview,
    pub(crate) retry: RawRetry,
    pub(crate) breaker: RawBreaker,
    pub(crate) health: RawHealth,
    pub(crate) risk: RawRisk,
    pub(crate) routing: RawRouting,
    pub(crate) journal: RawJournal,
    pub(crate) audit: RawAudit,
    pub(crate) secrets: RawSecrets,
    pub(crate) database: RawDatabase,
    pub(crate) redis: RawRedis,
    pub(crate) resolution: RawResolution,
    pub(crate) actors: RawActors,
    pub(crate) provider: Vec<RawProvider>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawHttp {
    pub(crate) workers: usize,
    pub(crate) max_connections: usize,
    pub(crate) body_limit_bytes: usize,
    pub(crate) head_limit_bytes: usize,
    pub(crate) head_timeout_ms: u64,
    pub(crate) body_timeout_ms: u64,
    pub(crate) keep_alive_ms: u64,
    pub(crate) disconnect_timeout_ms: u64,
    pub(crate) public_url: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawErrors {
    pub(crate) profile: ErrorProfile,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSandbox {
    pub(crate) listen: SocketAddr,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawLimits {
    pub(crate) in_flight_max: usize,
    pub(crate) index_lag_max: u64,
    pub(crate) waiters_per_key_max: usize,
    pub(crate) answer_budget_ms: u64,
    pub(crate) requests_per_s: u32,
    pub(crate) burst: u32,
    pub(crate) failed_auth_per_min: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_field_names,
    reason = "the fields are the keys, and keys carry their unit"
)]
pub(crate) struct RawStages {
    pub(crate) idempotency_ms: u64,
    pub(crate) risk_ms: u64,
    pub(crate) selection_ms: u64,
    pub(crate) challenge_ms: u64,
    pub(crate) authorization_ms: u64,
    pub(crate) ledger_ms: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawLifetimes {
    pub(crate) authorization_s: u64,
    pub(crate) review_s: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRefunds {
    pub(crate) fee: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawReview {
    pub(crate) mode: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawBreaker {
    pub(crate) failures_max: u32,
    pub(crate) open_ms: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawHealth {
    pub(crate) calls_min: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRisk {
    pub(crate) profile: String,
    pub(crate) block_above: f64,
    pub(crate) review_above: f64,
    pub(crate) hour_count_high: u32,
    pub(crate) amount_limits: BTreeMap<String, String>,
    pub(crate) velocity: RawVelocity,
    pub(crate) transfers: RawTransfers,
    pub(crate) duplicates: RawDuplicates,
}

/// Zero is no limit.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawTransfers {
    pub(crate) hour_count_max: u32,
}

/// Zero is no limit.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawVelocity {
    pub(crate) minute_count_max: u32,
    pub(crate) hour_count_max: u32,
    pub(crate) hour_declines_max: u32,
    pub(crate) ip_hour_count_max: u32,
    pub(crate) action: String,
    pub(crate) recall_commits_max: u64,
    #[serde(default)]
    pub(crate) day_amounts: BTreeMap<String, String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRouting {
    pub(crate) profile: RoutingProfile,
    pub(crate) rules: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawJournal {
    pub(crate) shards: u16,
    pub(crate) placement: String,
    pub(crate) ranges: Vec<String>,
    pub(crate) batch_commits_max: usize,
    pub(crate) snapshot_every_commits: u64,
    pub(crate) scrub_commits_per_s: u64,
    pub(crate) scrub_every_s: u64,
    pub(crate) replica_dir: PathBuf,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawAudit {
    pub(crate) heads_dir: PathBuf,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSecrets {
    pub(crate) kek_file: PathBuf,
}

impl From<&Settings> for RawSecrets {
    fn from(settings: &Settings) -> Self {
        let kek_file = settings.kek_file.clone().unwrap_or_default();
        Self { kek_file }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawResolution {
    pub(crate) waits_s: Vec<u64>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawActors {
    pub(crate) guardians: usize,
    pub(crate) idle_payments_max: usize,
    pub(crate) payment_restarts_max: u32,
    pub(crate) payment_restart_window_ms: u64,
    pub(crate) payment_restart_wait_ms: u64,
    pub(crate) payment_restart_wait_max_ms: u64,
    pub(crate) singleton_restarts_max: u32,
    pub(crate) singleton_restart_window_ms: u64,
    pub(crate) singleton_restart_wait_ms: u64,
    pub(crate) singleton_restart_wait_max_ms: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawProvider {
    pub(crate) kind: ProviderKind,
    pub(crate) id: String,
    pub(crate) base_url: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) secret_key: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) secret_key_file: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) webhook_secrets: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) merchant_account: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) api_key: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) hmac_key: String,
    pub(crate) request_timeout_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) permits: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) queue_max: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) connections_kept_max: Option<usize>,
    pub(crate) connection_idle_ms: u64,
    pub(crate) dns_cache_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cost_bps: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) overdue_after_s: Option<u64>,
}

impl Raw {
    /// As nested tables.
    pub(crate) fn into_table(self) -> Table {
        Table::try_from(self).expect("whole numbers are bounded and all names are text")
    }
}

impl From<&ApiSettings> for RawHttp {
    fn from(http: &ApiSettings) -> Self {
        Self {
            workers: http.workers,
            max_connections: http.max_connections,
            body_limit_bytes: http.body_limit_bytes,
            head_limit_bytes: http.head_limit_bytes,
            head_timeout_ms: whole_ms(http.head_timeout),
            body_timeout_ms: whole_ms(http.body_timeout),
            keep_alive_ms: whole_ms(http.keep_alive),
            disconnect_timeout_ms: whole_ms(http.disconnect_timeout),
            public_url: http.public_url.clone().unwrap_or_default(),
        }
    }
}

impl From<&Settings> for Raw {
    fn from(settings: &Settings) -> Self {
        let actors = &settings.actors;
        Self {
            listen: settings.listen,
            data_dir: settings.data_dir.clone(),
            log: settings.log.clone(),
            log_format: settings.log_format,
            log_same_per_s: settings.log_same_per_s,
            drain_limit_ms: whole_ms(settings.drain_limit),
            worker_threads: settings.worker_threads,
            provider_key_secret: settings
                .provider_key_secret
                .as_ref()
                .map_or("", |_| HIDDEN)
                .to_owned(),
            provider_key_secret_file: String::new(),
            http: RawHttp::from(&settings.http),
            errors: RawErrors {
                profile: settings.error_profile,
            },
            sandbox: RawSandbox {
                listen: settings.sandbox.listen,
            },
            limits: RawLimits {
                in_flight_max: actors.admission.in_flight_max,
                index_lag_max: actors.admission.index_lag_max,
                waiters_per_key_max: actors.waiters_per_key_max,
                answer_budget_ms: whole_ms(actors.answer_budget),
                requests_per_s: settings.rates.requests_per_s,
                burst: settings.rates.burst,
                failed_auth_per_min: settings.rates.failed_auth_per_min,
            },
            stages: RawStages {
                idempotency_ms: whole_ms(actors.stages.idempotency),
                risk_ms: whole_ms(actors.stages.risk),
                selection_ms: whole_ms(actors.stages.selection),
                challenge_ms: actors.lifetimes.challenge.0,
                authorization_ms: whole_ms(actors.stages.authorization),
                ledger_ms: whole_ms(actors.stages.ledger),
            },
            lifetimes: RawLifetimes {
                authorization_s: actors.lifetimes.authorization.0 / 1000,
                review_s: actors.lifetimes.review.0 / 1000,
            },
            refunds: RawRefunds {
                fee: match actors.fee_return {
                    FeeReturn::Kept => "kept",
                    FeeReturn::Returned => "returned",
                }
                .to_owned(),
            },
            ledger: RawLedger::from(actors),
            review: RawReview {
                mode: match actors.review_mode {
                    ReviewMode::BeforeAuth => "before_auth",
                    ReviewMode::AuthAndHold => "auth_and_hold",
                }
                .to_owned(),
            },
            retry: RawRetry::from(actors),
            breaker: RawBreaker::from(actors),
            health: RawHealth::from(actors),
            risk: RawRisk::from(actors),
            routing: RawRouting {
                profile: settings.routing_profile,
                rules: settings.routing_rules.clone(),
            },
            journal: RawJournal {
                shards: settings.shards,
                placement: match actors.placement {
                    Placement::Tenant => "tenant",
                    Placement::Ranges(_) => "ranges",
                }
                .to_owned(),
                ranges: ranges(&actors.placement),
                batch_commits_max: actors.batch_commits_max,
                snapshot_every_commits: actors.snapshot_every_commits,
                scrub_commits_per_s: actors.scrub_commits_per_s,
                scrub_every_s: actors.scrub_every.as_secs(),
                replica_dir: settings.replica_dir.clone().unwrap_or_default(),
            },
            audit: RawAudit {
                heads_dir: settings.heads_dir.clone().unwrap_or_default(),
            },
            secrets: RawSecrets::from(settings),
            database: RawDatabase::from(settings),
            redis: RawRedis::from(settings),
            resolution: RawResolution {
                waits_s: actors.resolution_waits.iter().map(|wait| wait.0 / 1000).collect(),
            },
            actors: RawActors::from(actors),
            provider: settings.providers.iter().map(RawProvider::from).collect(),
        }
    }
}

fn ranges(placement: &Placement) -> Vec<String> {
    match placement {
        Placement::Tenant => Vec::new(),
        Placement::Ranges(ranges) => ranges.ranges().iter().map(ToString::to_string).collect(),
    }
}

impl From<&Options> for RawRisk {
    fn from(options: &Options) -> Self {
        let profile = &options.risk;
        // A default that was taken away is said to be, or reading this again would bring it back.
        let away = |(currency, _): &(Currency, i128)| (currency.code().to_owned(), NO_LIMIT.to_owned());
        let mut amount_limits: BTreeMap<String, String> =
            Profile::deep_dive().amount_limits.iter().map(away).collect();
        amount_limits.extend(profile.amount_limits.iter().map(amount_limit));
        Self {
            profile: profile.name.to_owned(),
            block_above: f64::from(profile.block_above_bps) / 10_000.0,
            review_above: f64::from(profile.review_above_bps) / 10_000.0,
            hour_count_high: profile.hour_count_high,
            amount_limits,
            velocity: RawVelocity::from(options),
            transfers: RawTransfers {
                hour_count_max: options.transfer_limits.hour_count_max.unwrap_or(0),
            },
            duplicates: RawDuplicates::from(options),
        }
    }
}

fn amount_limit((currency, minor): &(Currency, i128)) -> (String, String) {
    (currency.code().to_owned(), decimal_string(*minor, *currency))
}

impl From<&Options> for RawVelocity {
    fn from(options: &Options) -> Self {
        let limits = &options.velocity;
        Self {
            minute_count_max: limits.minute_count_max.unwrap_or(0),
            hour_count_max: limits.hour_count_max.unwrap_or(0),
            hour_declines_max: limits.hour_declines_max.unwrap_or(0),
            ip_hour_count_max: limits.ip_hour_count_max.unwrap_or(0),
            action: limits.action.as_str().to_owned(),
            recall_commits_max: options.velocity_recall_commits_max,
            day_amounts: limits.day_amounts.iter().map(amount_limit).collect(),
        }
    }
}

impl From<&Options> for RawBreaker {
    fn from(options: &Options) -> Self {
        Self {
            failures_max: options.breaker.failures_max,
            open_ms: options.breaker.open.0,
        }
    }
}

impl From<&Options> for RawHealth {
    fn from(options: &Options) -> Self {
        Self {
            calls_min: options.health.calls_min,
        }
    }
}

impl From<&Options> for RawActors {
    fn from(options: &Options) -> Self {
        let (payment, singleton) = (options.payment_restarts, options.singleton_restarts);
        Self {
            guardians: options.guardians,
            idle_payments_max: options.idle_payments_max,
            payment_restarts_max: payment.restarts_max,
            payment_restart_window_ms: whole_ms(payment.window),
            payment_restart_wait_ms: whole_ms(payment.backoff),
            payment_restart_wait_max_ms: whole_ms(payment.backoff_max),
            singleton_restarts_max: singleton.restarts_max,
            singleton_restart_window_ms: whole_ms(singleton.window),
            singleton_restart_wait_ms: whole_ms(singleton.backoff),
            singleton_restart_wait_max_ms: whole_ms(singleton.backoff_max),
        }
    }
}

/// Times are configured in whole milliseconds, so nothing is lost.
pub(crate) fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
