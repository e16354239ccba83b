//! From the serialized shape to [`Settings`]: reads the files that hold secrets and checks the values against each other.

use crate::error::ConfigError;
use crate::kind::{self, API_KEY, KEY_SECRET, Kind, NO_LIMIT};
use crate::provider_terms;
use crate::raw::{Raw, RawActors, RawJournal, RawLimits, RawProvider, RawRisk, RawRouting};
use crate::secret::{HIDDEN, KeySecret, Secret};
use crate::settings::{
    AdyenSettings, ApiSettings, Mode, ProviderKind, ProviderSettings, RateSettings, RoutingProfile,
    SandboxSettings, Settings,
};
use florin_actors::admission::AdmissionCaps;
use florin_actors::options::{Options, RestartPolicy, StageTimeouts};
use florin_domain::breaker::BreakerPolicy;
use florin_domain::health::HealthPolicy;
use florin_domain::limits::Lifetimes;
use florin_domain::money::Currency;
use florin_domain::payment::{FeeReturn, ReviewMode};
use florin_domain::placement::{LetterRange, LetterRanges, Placement};
use florin_domain::provider::ProviderId;
use florin_domain::risk::{Action, Profile, TransferLimits, VelocityLimits};
use florin_domain::routing::{Program, ProgramError, SEED_TABLE};
use florin_domain::time::Millis;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use toml::{Table, Value};

/// What a live key of a provider has in it.
const LIVE_KEY: &str = "_live_";
/// What Adyen shows as an HMAC key.
const HMAC_KEY_DIGITS: usize = 64;
/// What a test key begins with.
const TEST_KEYS: [&str; 2] = ["sk_test_", "rk_test_"];

/// The settings, or the first thing that does not fit.
pub(crate) fn settings(raw: &Raw, mode: Mode) -> Result<Settings, ConfigError> {
    if mode == Mode::Dev && raw.listen == raw.sandbox.listen && raw.listen.port() != 0 {
        return Err(conflict(
            "sandbox.listen",
            &raw.sandbox.listen,
            "`listen` is the same",
        ));
    }
    let providers: Vec<ProviderSettings> = raw
        .provider
        .iter()
        .map(|entry| provider(entry, mode))
        .collect::<Result<_, _>>()?;
    if providers.is_empty() {
        let why = "production needs at least one [[provider]]".to_owned();
        return Err(ConfigError::Missing {
            key: "provider".to_owned(),
            why,
        });
    }
    Ok(Settings {
        listen: raw.listen,
        data_dir: raw.data_dir.clone(),
        log: raw.log.clone(),
        log_format: raw.log_format,
        log_same_per_s: raw.log_same_per_s,
        shards: raw.journal.shards,
        heads_dir: optional(&raw.audit.heads_dir),
        kek_file: optional(&raw.secrets.kek_file),
        replica_dir: optional(&raw.journal.replica_dir),
        database: raw.database.checked(&raw.journal.replica_dir)?,
        redis: raw.redis.checked(),
        drain_limit: Duration::from_millis(raw.drain_limit_ms),
        worker_threads: raw.worker_threads,
        provider_key_secret: key_secret(raw)?,
        http: ApiSettings {
            workers: raw.http.workers,
            max_connections: raw.http.max_connections,
            body_limit_bytes: raw.http.body_limit_bytes,
            head_limit_bytes: raw.http.head_limit_bytes,
            head_timeout: Duration::from_millis(raw.http.head_timeout_ms),
            body_timeout: Duration::from_millis(raw.http.body_timeout_ms),
            keep_alive: Duration::from_millis(raw.http.keep_alive_ms),
            disconnect_timeout: Duration::from_millis(raw.http.disconnect_timeout_ms),
            public_url: Some(raw.http.public_url.clone()).filter(|url| !url.is_empty()),
        },
        error_profile: raw.errors.profile,
        rates: rates(&raw.limits)?,
        sandbox: SandboxSettings {
            listen: raw.sandbox.listen,
        },
        routing_profile: raw.routing.profile,
        routing_rules: raw.routing.rules.clone(),
        actors: Options {
            routing: Arc::new(routing(&raw.routing, &providers)?),
            terms_of_providers: providers
                .iter()
                .map(|provider| (provider.id, provider.terms))
                .collect(),
            ..options(raw)?
        },
        providers,
    })
}

/// The rules to begin with. They may name only providers that are there.
fn routing(raw: &RawRouting, providers: &[ProviderSettings]) -> Result<Program, ConfigError> {
    let configured: Vec<ProviderId> = providers.iter().map(|provider| provider.id).collect();
    let read = |text: &str| -> Result<Program, ProgramError> {
        let program = Program::parse(text)?;
        program.check(&configured)?;
        Ok(program)
    };
    match raw.profile {
        RoutingProfile::Score => read(&raw.rules).map_err(|error| ConfigError::Rules {
            key: "routing.rules".to_owned(),
            error,
        }),
        RoutingProfile::Seed if !raw.rules.is_empty() => {
            let why = "`routing.profile` is \"seed\", which has rules of its own";
            Err(conflict("routing.rules", &"set", why))
        }
        RoutingProfile::Seed => read(SEED_TABLE)
            .map_err(|error| conflict("routing.profile", &"\"seed\"", &error.problem.to_string())),
    }
}

/// A path that may be left empty.
fn optional(path: &Path) -> Option<PathBuf> {
    (!path.as_os_str().is_empty()).then(|| path.to_owned())
}

/// A burst below the rate would be told to callers as less than they have.
fn rates(raw: &RawLimits) -> Result<RateSettings, ConfigError> {
    if raw.requests_per_s > 0 && raw.burst < raw.requests_per_s {
        let why = format!(
            "`limits.requests_per_s` is {}, and a burst is at least that",
            raw.requests_per_s
        );
        return Err(conflict("limits.burst", &raw.burst, &why));
    }
    Ok(RateSettings {
        requests_per_s: raw.requests_per_s,
        burst: raw.burst,
        failed_auth_per_min: raw.failed_auth_per_min,
    })
}

fn options(raw: &Raw) -> Result<Options, ConfigError> {
    let ms = Duration::from_millis;
    let (limits, stages) = (&raw.limits, &raw.stages);
    let options = Options {
        admission: AdmissionCaps {
            in_flight_max: limits.in_flight_max,
            index_lag_max: limits.index_lag_max,
        },
        waiters_per_key_max: limits.waiters_per_key_max,
        answer_budget: ms(limits.answer_budget_ms),
        stages: StageTimeouts {
            idempotency: ms(stages.idempotency_ms),
            risk: ms(stages.risk_ms),
            selection: ms(stages.selection_ms),
            authorization: ms(stages.authorization_ms),
            ledger: ms(stages.ledger_ms),
        },
        lifetimes: Lifetimes {
            authorization: Millis::from_s(raw.lifetimes.authorization_s),
            challenge: Millis(stages.challenge_ms),
            review: Millis::from_s(raw.lifetimes.review_s),
        },
        review_mode: if raw.review.mode == "auth_and_hold" {
            ReviewMode::AuthAndHold
        } else {
            ReviewMode::BeforeAuth
        },
        fee_return: if raw.refunds.fee == "returned" {
            FeeReturn::Returned
        } else {
            FeeReturn::Kept
        },
        ledger: Arc::new(raw.ledger.checked()?),
        placement: placement(&raw.journal)?,
        retry: raw.retry.policy(),
        soft_declines_go_on: raw.retry.soft_declines_go_on(),
        card_limits: raw.retry.cards.limits(),
        card_recall_commits_max: raw.retry.cards.recall_commits_max,
        breaker: BreakerPolicy {
            failures_max: raw.breaker.failures_max,
            open: Millis(raw.breaker.open_ms),
        },
        health: HealthPolicy {
            calls_min: raw.health.calls_min,
            ..HealthPolicy::default()
        },
        risk: profile(&raw.risk)?,
        velocity: velocity(&raw.risk),
        transfer_limits: TransferLimits {
            hour_count_max: limited(raw.risk.transfers.hour_count_max),
        },
        velocity_recall_commits_max: raw.risk.velocity.recall_commits_max,
        batch_commits_max: raw.journal.batch_commits_max,
        snapshot_every_commits: raw.journal.snapshot_every_commits,
        scrub_commits_per_s: raw.journal.scrub_commits_per_s,
        scrub_every: Duration::from_secs(raw.journal.scrub_every_s),
        monitor_every: Duration::from_secs(raw.ledger.monitor_every_s),
        monitor_window: Duration::from_secs(raw.ledger.monitor_window_s),
        resolution_waits: raw
            .resolution
            .waits_s
            .iter()
            .map(|wait_s| Millis::from_s(*wait_s))
            .collect(),
        guardians: raw.actors.guardians,
        idle_payments_max: raw.actors.idle_payments_max,
        payment_restarts: payment_restarts(&raw.actors)?,
        singleton_restarts: singleton_restarts(&raw.actors)?,
        ..Options::default()
    };
    options.check().map_err(|error| ConfigError::Conflict {
        key: error.key.to_owned(),
        value: current(raw, error.key),
        why: format!("it {}", error.why),
    })?;
    Ok(options)
}

/// Ranges that nobody goes by would leave everything in the first shard, unnoticed.
fn placement(raw: &RawJournal) -> Result<Placement, ConfigError> {
    let refused = |why: &str| Err(conflict("journal.ranges", &format!("{:?}", raw.ranges), why));
    if raw.placement != "ranges" {
        if raw.ranges.is_empty() {
            return Ok(Placement::Tenant);
        }
        return refused("`journal.placement` is \"tenant\", which has none");
    }
    let ranges = raw.ranges.iter().map(|text| LetterRange::parse(text));
    let ranges: Option<Vec<LetterRange>> = ranges.collect();
    let ranges = ranges.expect("accepted as ranges");
    match LetterRanges::new(ranges, raw.shards) {
        Ok(ranges) => Ok(Placement::Ranges(ranges)),
        Err(error) => refused(&error.to_string()),
    }
}

fn profile(raw: &RawRisk) -> Result<Profile, ConfigError> {
    let base = Profile::deep_dive();
    let bps = |share| kind::ratio_bps(share).expect("accepted as a ratio");
    let (block_above_bps, review_above_bps) = (bps(raw.block_above), bps(raw.review_above));
    if review_above_bps > block_above_bps {
        let why = format!(
            "`risk.block_above` is {}, and what is blocked is never reviewed",
            raw.block_above
        );
        return Err(conflict("risk.review_above", &raw.review_above, &why));
    }
    Ok(Profile {
        block_above_bps,
        review_above_bps,
        hour_count_high: raw.hour_count_high,
        amount_limits: raw.amount_limits.iter().filter_map(limit).collect(),
        ..base
    })
}

fn limit((code, text): (&String, &String)) -> Option<(Currency, i128)> {
    let currency = Currency::parse(code).expect("accepted as a currency");
    let minor = || kind::amount_limit(text, currency).expect("accepted as an amount");
    (text != NO_LIMIT).then(|| (currency, minor()))
}

/// Zero is no limit.
fn limited(count: u32) -> Option<u32> {
    (count > 0).then_some(count)
}

fn velocity(risk: &RawRisk) -> VelocityLimits {
    let (raw, max) = (&risk.velocity, limited);
    VelocityLimits {
        minute_count_max: max(raw.minute_count_max),
        hour_count_max: max(raw.hour_count_max),
        hour_declines_max: max(raw.hour_declines_max),
        ip_hour_count_max: max(raw.ip_hour_count_max),
        day_amounts: raw.day_amounts.iter().filter_map(limit).collect(),
        action: if raw.action == "review" {
            Action::Review
        } else {
            Action::Block
        },
        duplicates: risk.duplicates.rule(),
    }
}

fn payment_restarts(raw: &RawActors) -> Result<RestartPolicy, ConfigError> {
    let policy = RestartPolicy {
        restarts_max: raw.payment_restarts_max,
        window: Duration::from_millis(raw.payment_restart_window_ms),
        backoff: Duration::from_millis(raw.payment_restart_wait_ms),
        backoff_max: Duration::from_millis(raw.payment_restart_wait_max_ms),
    };
    check_waits(
        &policy,
        "actors.payment_restart_wait_max_ms",
        "actors.payment_restart_wait_ms",
    )?;
    Ok(policy)
}

fn singleton_restarts(raw: &RawActors) -> Result<RestartPolicy, ConfigError> {
    let policy = RestartPolicy {
        restarts_max: raw.singleton_restarts_max,
        window: Duration::from_millis(raw.singleton_restart_window_ms),
        backoff: Duration::from_millis(raw.singleton_restart_wait_ms),
        backoff_max: Duration::from_millis(raw.singleton_restart_wait_max_ms),
    };
    check_waits(
        &policy,
        "actors.singleton_restart_wait_max_ms",
        "actors.singleton_restart_wait_ms",
    )?;
    Ok(policy)
}

fn check_waits(policy: &RestartPolicy, longest: &str, first: &str) -> Result<(), ConfigError> {
    if policy.backoff_max < policy.backoff {
        let why = format!(
            "it must be at least `{first}`, which is {}",
            policy.backoff.as_millis()
        );
        return Err(conflict(longest, &policy.backoff_max.as_millis(), &why));
    }
    Ok(())
}

fn key_secret(raw: &Raw) -> Result<Option<KeySecret>, ConfigError> {
    let key = "provider_key_secret";
    if !raw.provider_key_secret_file.is_empty() {
        let path = Path::new(&raw.provider_key_secret_file);
        let text = secret_file("provider_key_secret_file", path)?;
        let secret = KeySecret::from_hex(&text).ok_or_else(|| bad_file(key, path, KEY_SECRET))?;
        return Ok(Some(secret));
    }
    if raw.provider_key_secret.is_empty() {
        return Ok(None);
    }
    Ok(Some(
        KeySecret::from_hex(&raw.provider_key_secret).expect("accepted as a secret"),
    ))
}

fn provider(raw: &RawProvider, mode: Mode) -> Result<ProviderSettings, ConfigError> {
    let (secret_key, adyen) = match raw.kind {
        ProviderKind::Stripe => (stripe_key(raw, mode)?, None),
        ProviderKind::Adyen => {
            let (api_key, adyen) = adyen(raw, mode)?;
            (api_key, Some(adyen))
        }
    };
    Ok(ProviderSettings {
        kind: raw.kind,
        id: ProviderId::parse(&raw.id).expect("accepted as a provider's name"),
        base_url: raw.base_url.trim_end_matches('/').to_owned(),
        secret_key: Secret::new(secret_key),
        webhook_secrets: provider_terms::webhook_secrets(raw)?,
        adyen,
        request_timeout: Duration::from_millis(raw.request_timeout_ms),
        terms: raw.terms(),
        keeping: raw.keeping(),
    })
}

/// What is given, and that a provider of this kind has no use for it.
fn check_unused(raw: &RawProvider, fields: &[(&str, &str)], kind: &str) -> Result<(), ConfigError> {
    match fields.iter().find(|(_, value)| !value.is_empty()) {
        None => Ok(()),
        Some((field, _)) => {
            let why = format!("only a provider of the kind \"{kind}\" has it");
            Err(conflict(&format!("provider.{}.{field}", raw.id), &HIDDEN, &why))
        }
    }
}

fn adyen(raw: &RawProvider, mode: Mode) -> Result<(String, AdyenSettings), ConfigError> {
    let name = |field: &str| format!("provider.{}.{field}", raw.id);
    let unused = [
        ("secret_key", raw.secret_key.as_str()),
        ("secret_key_file", raw.secret_key_file.as_str()),
        ("webhook_secrets", raw.webhook_secrets.as_str()),
    ];
    check_unused(raw, &unused, "stripe")?;
    for (field, value) in [
        ("merchant_account", &raw.merchant_account),
        ("api_key", &raw.api_key),
        ("hmac_key", &raw.hmac_key),
    ] {
        if value.is_empty() {
            let why = "a provider of the kind \"adyen\" needs it".to_owned();
            return Err(ConfigError::Missing {
                key: name(field),
                why,
            });
        }
    }
    if raw.hmac_key.len() != HMAC_KEY_DIGITS {
        let why = "Adyen's HMAC keys have 64 hexadecimal digits";
        return Err(conflict(&name("hmac_key"), &HIDDEN, why));
    }
    let url = Value::from(raw.base_url.as_str());
    let host = raw.base_url.split("//").nth(1).unwrap_or_default();
    let is_here = ["127.0.0.1", "[::1]", "localhost"].iter().any(|here| {
        host == *here || host.starts_with(&format!("{here}:")) || host.starts_with(&format!("{here}/"))
    });
    if !raw.base_url.starts_with("https:") && !is_here {
        let why = "an API key goes only over https, except to this machine";
        return Err(conflict(&name("base_url"), &url, why));
    }
    if mode == Mode::Dev && host.contains("-live") {
        let why = "development has API keys that everybody knows, so it takes no live account";
        return Err(conflict(&name("base_url"), &url, why));
    }
    let settings = AdyenSettings {
        merchant_account: raw.merchant_account.clone(),
        hmac_key: Secret::new(raw.hmac_key.clone()),
    };
    Ok((raw.api_key.clone(), settings))
}

fn stripe_key(raw: &RawProvider, mode: Mode) -> Result<String, ConfigError> {
    let name = |field: &str| format!("provider.{}.{field}", raw.id);
    let unused = [
        ("merchant_account", raw.merchant_account.as_str()),
        ("api_key", raw.api_key.as_str()),
        ("hmac_key", raw.hmac_key.as_str()),
    ];
    check_unused(raw, &unused, "adyen")?;
    let secret_key = if raw.secret_key_file.is_empty() {
        raw.secret_key.clone()
    } else {
        let path = Path::new(&raw.secret_key_file);
        let text = secret_file(&name("secret_key_file"), path)?;
        if text.is_empty() || Kind::ApiKey.accept(&Value::from(text.as_str())).is_none() {
            return Err(bad_file(&name("secret_key"), path, API_KEY));
        }
        text
    };
    if secret_key.is_empty() {
        let why = "a provider needs this or `secret_key_file`".to_owned();
        return Err(ConfigError::Missing {
            key: name("secret_key"),
            why,
        });
    }
    if mode == Mode::Dev && secret_key.contains(LIVE_KEY) {
        let why = "development has API keys that everybody knows, so it takes no live key";
        return Err(conflict(&name("secret_key"), &HIDDEN, why));
    }
    let is_test_key = TEST_KEYS.iter().any(|prefix| secret_key.starts_with(prefix));
    if !is_test_key && !raw.base_url.starts_with("https:") {
        let why = "a key that is no test key goes only over https";
        return Err(conflict(
            &name("base_url"),
            &Value::from(raw.base_url.as_str()),
            why,
        ));
    }
    Ok(secret_key)
}

fn secret_file(key: &str, path: &Path) -> Result<String, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::SecretFile {
        key: key.to_owned(),
        path: path.to_owned(),
        source,
    })?;
    // Editors end a file with a line break.
    Ok(text.trim().to_owned())
}

fn bad_file(key: &str, path: &Path, allowed: &str) -> ConfigError {
    ConfigError::Invalid {
        key: key.to_owned(),
        origin: path.display().to_string(),
        value: HIDDEN.to_owned(),
        allowed: allowed.to_owned(),
    }
}

pub(crate) fn conflict(key: &str, value: &dyn std::fmt::Display, why: &str) -> ConfigError {
    ConfigError::Conflict {
        key: key.to_owned(),
        value: value.to_string(),
        why: why.to_owned(),
    }
}

/// The value of a key that the actors' own check names. None of them is secret.
fn current(raw: &Raw, key: &str) -> String {
    let table = Table::try_from(raw).unwrap_or_default();
    let (section, field) = key.split_once('.').unwrap_or((key, ""));
    let value = table.get(section).and_then(|section| section.get(field));
    value.map_or_else(|| "as it is".to_owned(), Value::to_string)
}
