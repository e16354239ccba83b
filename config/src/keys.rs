//! Every key there is: its name and what it may be. Names in the file, variables and error texts all come from here.

use crate::database::{STANDBYS, VIEWS};
use crate::kind::Kind;
use crate::templates::TEMPLATES;
use florin_domain::money::Currency;

const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;
const YEAR_S: i64 = 365 * 86_400;

/// A key outside the provider list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

const fn key(name: &'static str, kind: Kind) -> Key {
    Key { name, kind }
}

/// Every key but the limits on amounts, which are one per currency, and the provider list.
pub(crate) const KEYS: &[Key] = &[
    key("listen", Kind::Address),
    key("data_dir", Kind::Path),
    key("log", Kind::LogFilter),
    key("log_format", Kind::Choice(&["text", "json"])),
    key("log_same_per_s", Kind::Whole(0, 1_000_000)),
    key("drain_limit_ms", Kind::Whole(0, 10 * MINUTE_MS)),
    key("worker_threads", Kind::Whole(0, 1024)),
    key("provider_key_secret", Kind::KeySecret),
    key("provider_key_secret_file", Kind::OptionalPath),
    key("http.workers", Kind::Whole(0, 1024)),
    key("http.max_connections", Kind::Whole(1, 1_000_000)),
    key("http.body_limit_bytes", Kind::Whole(1024, 8 << 20)),
    key("http.head_limit_bytes", Kind::Whole(1024, 128 << 10)),
    key("http.head_timeout_ms", Kind::Whole(1, 10 * MINUTE_MS)),
    key("http.body_timeout_ms", Kind::Whole(1, 10 * MINUTE_MS)),
    key("http.keep_alive_ms", Kind::Whole(1, HOUR_MS)),
    key("http.disconnect_timeout_ms", Kind::Whole(1, 10 * MINUTE_MS)),
    key("http.public_url", Kind::PublicUrl),
    key("errors.profile", Kind::Choice(&["stripe", "seed"])),
    key("sandbox.listen", Kind::Address),
    key("limits.in_flight_max", Kind::Whole(1, 1 << 20)),
    key("limits.index_lag_max", Kind::Whole(1, 100_000_000)),
    key("limits.waiters_per_key_max", Kind::Whole(1, 65_536)),
    key("limits.answer_budget_ms", Kind::Whole(100, 2 * MINUTE_MS)),
    key("limits.requests_per_s", Kind::Whole(0, 1_000_000)),
    key("limits.burst", Kind::Whole(1, 1_000_000)),
    key("limits.failed_auth_per_min", Kind::Whole(0, 1_000_000)),
    key("stages.idempotency_ms", Kind::Whole(1, MINUTE_MS)),
    key("stages.risk_ms", Kind::Whole(1, MINUTE_MS)),
    key("stages.selection_ms", Kind::Whole(1, MINUTE_MS)),
    key("stages.challenge_ms", Kind::Whole(1, 24 * 60 * MINUTE_MS)),
    key("stages.authorization_ms", Kind::Whole(1, 2 * MINUTE_MS)),
    key("stages.ledger_ms", Kind::Whole(1, MINUTE_MS)),
    key("lifetimes.authorization_s", Kind::Whole(1, 31 * 24 * 3600)),
    key("lifetimes.review_s", Kind::Whole(1, 31 * 24 * 3600)),
    key("refunds.fee", Kind::Choice(&["kept", "returned"])),
    key(
        "ledger.posting_profile",
        Kind::Choice(&["marketplace", "merchant_of_record"]),
    ),
    key(
        "ledger.fee_recognition",
        Kind::Choice(&["at_payment", "at_settlement"]),
    ),
    key("ledger.chart.customer", Kind::ChartAccount),
    key("ledger.chart.merchant_receivable", Kind::ChartAccount),
    key("ledger.chart.merchant_payable", Kind::ChartAccount),
    key("ledger.chart.platform_fee", Kind::ChartAccount),
    key("ledger.chart.payment_revenue", Kind::ChartAccount),
    key("ledger.chart.processing_fees", Kind::ChartAccount),
    key("ledger.chart.refunds_payable", Kind::ChartAccount),
    key("ledger.chart.chargebacks", Kind::ChartAccount),
    key("ledger.chart.equity", Kind::ChartAccount),
    key("ledger.chart.bank", Kind::ChartAccount),
    key("ledger.chart.suspense", Kind::ChartAccount),
    key("ledger.chart.rounding", Kind::ChartAccount),
    key("ledger.monitor_every_s", Kind::Whole(0, YEAR_S)),
    key("ledger.monitor_window_s", Kind::Whole(1, YEAR_S)),
    key("review.mode", Kind::Choice(&["before_auth", "auth_and_hold"])),
    key("retry.tries_max", Kind::Whole(1, 10)),
    key("retry.network_error_wait_ms", Kind::Whole(0, MINUTE_MS)),
    key("retry.timeout_wait_ms", Kind::Whole(0, MINUTE_MS)),
    key("retry.jitter", Kind::Ratio),
    key("retry.budget_share", Kind::Ratio),
    key("retry.budget_min", Kind::Whole(0, 1_000_000)),
    key("retry.soft_declines", Kind::Choice(&["answer", "next_provider"])),
    key("retry.cards.month_max", Kind::Whole(0, 1000)),
    key("retry.cards.mastercard_day_max", Kind::Whole(0, 1000)),
    key("retry.cards.mastercard_month_max", Kind::Whole(0, 1000)),
    key("retry.cards.recall_commits_max", Kind::Whole(0, 100_000_000)),
    key("breaker.failures_max", Kind::Whole(1, 1000)),
    key("breaker.open_ms", Kind::Whole(1, HOUR_MS)),
    key("health.calls_min", Kind::Whole(1, 1_000_000)),
    key("risk.profile", Kind::Choice(&["deep-dive"])),
    key("risk.block_above", Kind::Ratio),
    key("risk.review_above", Kind::Ratio),
    key("risk.hour_count_high", Kind::Whole(1, 1_000_000)),
    key("risk.velocity.minute_count_max", Kind::Whole(0, 1_000_000)),
    key("risk.velocity.hour_count_max", Kind::Whole(0, 1_000_000)),
    key("risk.velocity.hour_declines_max", Kind::Whole(0, 1_000_000)),
    key("risk.velocity.ip_hour_count_max", Kind::Whole(0, 1_000_000)),
    key("risk.velocity.action", Kind::Choice(&["review", "block"])),
    key("risk.velocity.recall_commits_max", Kind::Whole(0, 10_000_000)),
    key("risk.transfers.hour_count_max", Kind::Whole(0, 65_535)),
    key("risk.duplicates.window_s", Kind::Whole(0, 24 * 3600)),
    key(
        "risk.duplicates.action",
        Kind::Choice(&["tell", "review", "block"]),
    ),
    key("routing.profile", Kind::Choice(&["score", "seed"])),
    key("routing.rules", Kind::Rules),
    key("journal.shards", Kind::Whole(1, 64)),
    key("journal.placement", Kind::Choice(&["tenant", "ranges"])),
    key("journal.ranges", Kind::LetterRanges),
    key("journal.batch_commits_max", Kind::Whole(1, 65_536)),
    key("journal.snapshot_every_commits", Kind::Whole(1, 100_000_000)),
    key("journal.scrub_commits_per_s", Kind::Whole(0, 10_000_000)),
    key("journal.scrub_every_s", Kind::Whole(1, YEAR_S)),
    key("journal.replica_dir", Kind::OptionalPath),
    key("audit.heads_dir", Kind::OptionalPath),
    key("secrets.kek_file", Kind::OptionalPath),
    key("database.url", Kind::DatabaseUrl),
    key("database.replica_url", Kind::DatabaseUrl),
    key("database.node", Kind::ProviderName),
    key("database.node_url", Kind::PublicUrl),
    key("database.lease_ms", Kind::Whole(300, HOUR_MS)),
    key("database.connections_max", Kind::Whole(1, 1000)),
    key("database.connect_timeout_ms", Kind::Whole(10, MINUTE_MS)),
    key("database.statement_timeout_ms", Kind::Whole(10, MINUTE_MS)),
    key("database.append_patience_ms", Kind::Whole(0, 10 * MINUTE_MS)),
    key("database.synchronous_standby", Kind::Choice(STANDBYS)),
    key("database.views", Kind::Choice(VIEWS)),
    key("redis.url", Kind::RedisUrl),
    key("redis.timeout_ms", Kind::Whole(1, MINUTE_MS)),
    key("resolution.waits_s", Kind::Waits),
    key("actors.guardians", Kind::Whole(1, 256)),
    key("actors.idle_payments_max", Kind::Whole(0, 10_000_000)),
    key("actors.payment_restarts_max", Kind::Whole(0, 1000)),
    key("actors.payment_restart_window_ms", Kind::Whole(1, HOUR_MS)),
    key("actors.payment_restart_wait_ms", Kind::Whole(1, MINUTE_MS)),
    key("actors.payment_restart_wait_max_ms", Kind::Whole(1, HOUR_MS)),
    key("actors.singleton_restarts_max", Kind::Whole(0, 1000)),
    key("actors.singleton_restart_window_ms", Kind::Whole(1, HOUR_MS)),
    key("actors.singleton_restart_wait_ms", Kind::Whole(1, MINUTE_MS)),
    key("actors.singleton_restart_wait_max_ms", Kind::Whole(1, HOUR_MS)),
];

/// The sections with one key per currency.
pub(crate) const AMOUNT_SECTIONS: [&str; 2] = [AMOUNT_LIMITS, "risk.velocity.day_amounts"];

/// The one of the rule on amounts.
pub(crate) const AMOUNT_LIMITS: &str = "risk.amount_limits";

/// The list of providers.
pub(crate) const PROVIDERS: &str = "provider";

/// The keys of one provider.
pub(crate) const PROVIDER_KEYS: &[Key] = &[
    key("kind", Kind::Choice(&["stripe", "adyen"])),
    key("id", Kind::ProviderName),
    key("base_url", Kind::Url),
    key("secret_key", Kind::ApiKey),
    key("secret_key_file", Kind::OptionalPath),
    key("webhook_secrets", Kind::ApiKey),
    key("merchant_account", Kind::MerchantAccount),
    key("api_key", Kind::ApiKey),
    key("hmac_key", Kind::KeySecret),
    key("request_timeout_ms", Kind::Whole(1, 2 * MINUTE_MS)),
    key("permits", Kind::Whole(1, 10_000)),
    key("queue_max", Kind::Whole(0, 1_000_000)),
    key("connections_kept_max", Kind::Whole(1, 10_000)),
    key("connection_idle_ms", Kind::Whole(1, HOUR_MS)),
    key("dns_cache_ms", Kind::Whole(0, HOUR_MS)),
    key("cost_bps", Kind::Whole(0, 10_000)),
    key("overdue_after_s", Kind::Whole(60 * 60, 90 * 24 * 60 * 60)),
];

/// What a key outside the provider list may be.
pub(crate) fn kind_of(name: &str) -> Option<Kind> {
    let code = AMOUNT_SECTIONS
        .iter()
        .find_map(|section| name.strip_prefix(section)?.strip_prefix('.'));
    if let Some(code) = code {
        // Upper case only, so that no currency can be named twice.
        let currency = Currency::parse(code)
            .ok()
            .filter(|currency| currency.code() == code)?;
        return Some(Kind::AmountLimit(currency));
    }
    find(KEYS, name)
}

/// What a provider's key may be.
pub(crate) fn provider_kind_of(field: &str) -> Option<Kind> {
    find(PROVIDER_KEYS, field)
}

fn find(keys: &[Key], name: &str) -> Option<Kind> {
    keys.iter().find(|key| key.name == name).map(|key| key.kind)
}

/// Keys may stand below this name.
pub(crate) fn is_section(name: &str) -> bool {
    AMOUNT_SECTIONS.contains(&name)
        || KEYS.iter().any(|key| {
            key.name
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('.'))
        })
}

/// The variable that sets a key.
pub(crate) fn variable(name: &str) -> String {
    format!("FLORIN_{}", name.replace('.', "_").to_ascii_uppercase())
}

/// All names that may stand in a file, the sections and every currency's limit included.
pub(crate) fn all_names() -> Vec<String> {
    let mut names: Vec<String> = KEYS.iter().map(|key| key.name.to_owned()).collect();
    let mut sections: Vec<String> = names
        .iter()
        .filter_map(|name| name.split_once('.').map(|(section, _)| section.to_owned()))
        .collect();
    sections.dedup();
    names.append(&mut sections);
    for section in AMOUNT_SECTIONS {
        names.extend(Currency::all().map(|currency| format!("{section}.{currency}")));
        names.push(section.to_owned());
    }
    names.push(TEMPLATES.to_owned());
    names.push(PROVIDERS.to_owned());
    names
}

/// The candidate that differs from `name` in the fewest characters; the first of several.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    candidates
        .into_iter()
        .min_by_key(|candidate| distance(name, candidate))
        .unwrap_or_default()
        .to_owned()
}

/// Characters to insert, delete or replace to get from one text to the other, in whatever case.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(!a.eq_ignore_ascii_case(b));
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_keys_share_a_variable() {
        let names = all_names();
        let variables: HashSet<String> = names.iter().map(|name| variable(name)).collect();
        assert_eq!(variables.len(), names.len());
        assert_eq!(variable("limits.in_flight_max"), "FLORIN_LIMITS_IN_FLIGHT_MAX");
    }

    #[test]
    fn distance_counts_single_changes() {
        let cases = [
            ("", "", 0),
            ("", "abc", 3),
            ("listen", "lisen", 1),
            ("kitten", "sitting", 3),
            ("ab", "ba", 2),
            ("usd", "USD", 0),
        ];
        for (from, to, expected) in cases {
            assert_eq!(distance(from, to), expected, "{from} {to}");
            assert_eq!(distance(to, from), expected, "{to} {from}");
        }
    }
}
