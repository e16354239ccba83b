//! Everything that is refused, in the words that people will read.

use super::{PRODUCTION, variables};
use crate::{Mode, Settings};
use std::fs;
use tempfile::TempDir;

/// What the program says to a file `florin.toml` and these variables. `HERE/` stands for the file's folder in both, and is
/// left out of the answer, so that it does not depend on the machine.
pub(super) fn refusal(text: &str, env: &[(&str, &str)], mode: Mode) -> String {
    let folder = TempDir::new().unwrap();
    let here = format!("{}/", folder.path().display());
    let file = folder.path().join("florin.toml");
    fs::write(&file, text.replace("HERE/", &here)).unwrap();
    fs::write(folder.path().join("empty"), "\n").unwrap();
    fs::write(folder.path().join("short"), "0a0b").unwrap();
    let env = variables(env)
        .into_iter()
        .map(|(name, text)| (name, text.replace("HERE/", &here)))
        .collect::<Vec<_>>();
    let error = Settings::load(Some(&file), &env, mode).expect_err(text);
    error.to_string().replace(&here, "")
}

#[test]
fn unknown_keys_are_named_with_the_nearest_one() {
    let cases = [
        ("listn = \"127.0.0.1:1\"", "listn", "listen"),
        ("in_flight_max = 5", "in_flight_max", "limits.in_flight_max"),
        (
            "[limits]\nin_flight = 5",
            "limits.in_flight",
            "limits.in_flight_max",
        ),
        (
            "[limit]\nin_flight_max = 5",
            "limit.in_flight_max",
            "limits.in_flight_max",
        ),
        (
            "[limits.in_flight]\nmax = 5",
            "limits.in_flight.max",
            "limits.in_flight_max",
        ),
        ("[stage]", "stage", "stages"),
        ("[[refunds.fees]]\na = 1", "refunds.fees", "refunds.fee"),
        (
            "\"limits.in_flight_max\" = 5",
            "\"limits.in_flight_max\"",
            "limits.in_flight_max",
        ),
        (
            "[risk.amount_limits]\nUSDX = \"1.00\"",
            "risk.amount_limits.USDX",
            "risk.amount_limits.USD",
        ),
        (
            "[risk.amount_limits]\nusd = \"1.00\"",
            "risk.amount_limits.usd",
            "risk.amount_limits.USD",
        ),
        (
            "[[provider]]\nid = \"a\"\nsecretkey = \"x\"",
            "provider.a.secretkey",
            "provider.a.secret_key",
        ),
        (
            "[[provider]]\nsecret_keys = 1",
            "provider[1].secret_keys",
            "provider[1].secret_key",
        ),
    ];
    for (text, key, nearest) in cases {
        let expected =
            format!("florin.toml sets `{key}`, which does not exist; the nearest key is `{nearest}`");
        assert_eq!(refusal(text, &[], Mode::Dev), expected);
    }
}

#[test]
fn unknown_variables_are_named_with_the_nearest_one() {
    let cases = [
        ("FLORIN_LISTN", "FLORIN_LISTEN"),
        ("FLORIN_IN_FLIGHT_MAX", "FLORIN_LIMITS_IN_FLIGHT_MAX"),
        ("FLORIN_LIMITS", "FLORIN_LISTEN"),
        ("FLORIN_RISK_AMOUNT_LIMITS_USDX", "FLORIN_RISK_AMOUNT_LIMITS_USD"),
        (
            "FLORIN_PROVIDER_STRIPE_SECRET",
            "FLORIN_PROVIDER_STRIPE_SECRET_KEY",
        ),
        (
            "FLORIN_PROVIDER_STRIPES_SECRET_KEY",
            "FLORIN_PROVIDER_STRIPE_SECRET_KEY",
        ),
        ("FLORIN_PROVIDER_STRIPE_ID", "FLORIN_PROVIDER_STRIPE_KIND"),
    ];
    for (name, nearest) in cases {
        let expected = format!("the environment variable {name} belongs to no key; the nearest is {nearest}");
        assert_eq!(refusal("", &[(name, "1")], Mode::Dev), expected);
    }
}

#[test]
fn wrong_values_are_named_with_what_is_allowed() {
    let address = "an IP address and a port such as \"127.0.0.1:8080\"";
    let waits = "1 to 32 whole numbers of seconds, each from 1 to 86400";
    let ranges = "a list of ranges of capital letters such as [\"A-D\", \"E-H\"], or an empty one";
    let ratio = "a number from 0 to 1 with at most four decimals";
    let cents = "a quoted decimal number above zero with at most 2 decimals, or \"none\"";
    let cases = [
        ("listen", "8080", "8080", address),
        ("listen", "\"localhost\"", "\"localhost\"", address),
        ("data_dir", "\"\"", "\"\"", "a path"),
        (
            "log",
            "\"florin=loud\"",
            "\"florin=loud\"",
            "a log filter such as \"info,ractor=warn\"",
        ),
        ("log_format", "\"xml\"", "\"xml\"", "\"text\" or \"json\""),
        ("worker_threads", "-1", "-1", "a whole number from 0 to 1024"),
        ("worker_threads", "1.0", "1.0", "a whole number from 0 to 1024"),
        (
            "worker_threads",
            "\"2\"",
            "\"2\"",
            "a whole number from 0 to 1024",
        ),
        (
            "http.body_limit_bytes",
            "1023",
            "1023",
            "a whole number from 1024 to 8388608",
        ),
        (
            "limits.in_flight_max",
            "0",
            "0",
            "a whole number from 1 to 1048576",
        ),
        (
            "limits.in_flight_max",
            "1048577",
            "1048577",
            "a whole number from 1 to 1048576",
        ),
        ("actors.guardians", "257", "257", "a whole number from 1 to 256"),
        ("retry.tries_max", "true", "true", "a whole number from 1 to 10"),
        ("risk.profile", "\"lax\"", "\"lax\"", "\"deep-dive\""),
        ("risk.block_above", "1.1", "1.1", ratio),
        ("risk.block_above", "0.12345", "0.12345", ratio),
        ("risk.block_above", "nan", "nan", ratio),
        ("risk.block_above", "80", "80", ratio),
        ("risk.amount_limits.USD", "1000", "1000", cents),
        ("risk.amount_limits.USD", "\"1.005\"", "\"1.005\"", cents),
        ("risk.amount_limits.USD", "\"0.00\"", "\"0.00\"", cents),
        ("risk.amount_limits.USD", "\"-1\"", "\"-1\"", cents),
        (
            "risk.amount_limits.USD",
            "\"10000000000\"",
            "\"10000000000\"",
            cents,
        ),
        ("resolution.waits_s", "[]", "[]", waits),
        ("resolution.waits_s", "[1, 0]", "[1, 0]", waits),
        ("resolution.waits_s", "60", "60", waits),
        ("journal.ranges", "[\"A-d\"]", "[\"A-d\"]", ranges),
        ("journal.ranges", "\"A-D\"", "\"A-D\"", ranges),
        (
            "journal.placement",
            "\"hash\"",
            "\"hash\"",
            "\"tenant\" or \"ranges\"",
        ),
    ];
    for (key, written, shown, allowed) in cases {
        let expected = format!("`{key}` is {shown} in florin.toml, but must be {allowed}");
        assert_eq!(refusal(&format!("{key} = {written}"), &[], Mode::Dev), expected);
    }
}

#[test]
fn wrong_secrets_and_wrong_providers_are_named_without_what_is_secret() {
    let hex = "64 to 128 hexadecimal digits, or empty for none";
    let url = "an http or https URL without user, query or fragment";
    let cases = [
        ("provider_key_secret", "\"abc\"", "***", hex),
        ("provider_key_secret", "5", "***", hex),
        ("limits", "5", "of type integer", "a table"),
        (
            "provider",
            "5",
            "of type integer",
            "a list of tables, each under [[provider]]",
        ),
        (
            "provider",
            "[5]",
            "of type integer",
            "a list of tables, each under [[provider]]",
        ),
        (
            "provider.stripe.base_url",
            "\"example.com\"",
            "\"example.com\"",
            url,
        ),
        (
            "provider.stripe.base_url",
            "\"https://a:b@c.example\"",
            "***",
            url,
        ),
        (
            "provider.stripe.secret_key",
            "\"sk live\"",
            "***",
            "visible ASCII characters without spaces, or empty for none",
        ),
        (
            "provider.stripe.kind",
            "\"acme\"",
            "\"acme\"",
            "\"stripe\" or \"adyen\"",
        ),
        (
            "provider.stripe.request_timeout_ms",
            "0",
            "0",
            "a whole number from 1 to 120000",
        ),
    ];
    for (key, written, shown, allowed) in cases {
        let text = match key.strip_prefix("provider.stripe.") {
            Some(field) => format!("[[provider]]\nid = \"stripe\"\n{field} = {written}"),
            None => format!("{key} = {written}"),
        };
        let key = if written == "[5]" { "provider[1]" } else { key };
        let expected = format!("`{key}` is {shown} in florin.toml, but must be {allowed}");
        assert_eq!(refusal(&text, &[], Mode::Dev), expected);
    }
    let id = refusal("[[provider]]\nid = \"My Bank\"", &[], Mode::Dev);
    assert_eq!(
        id,
        "`provider[1].id` is \"My Bank\" in florin.toml, but must be 1 to 16 characters of a-z, 0-9 and _"
    );
}

#[test]
fn wrong_values_of_variables_name_the_variable() {
    let cases = [
        (
            "FLORIN_LISTEN",
            "",
            "`listen` is \"\" in FLORIN_LISTEN, but must be an IP address and a port such as \"127.0.0.1:8080\"",
        ),
        (
            "FLORIN_HTTP_WORKERS",
            "two",
            "`http.workers` is \"two\" in FLORIN_HTTP_WORKERS, but must be a whole number from 0 to 1024",
        ),
        (
            "FLORIN_HTTP_WORKERS",
            "9999",
            "`http.workers` is 9999 in FLORIN_HTTP_WORKERS, but must be a whole number from 0 to 1024",
        ),
        (
            "FLORIN_RISK_TRANSFERS_HOUR_COUNT_MAX",
            "65536",
            "`risk.transfers.hour_count_max` is 65536 in FLORIN_RISK_TRANSFERS_HOUR_COUNT_MAX, but must be a whole number from 0 to 65535",
        ),
        (
            "FLORIN_RISK_REVIEW_ABOVE",
            "-0.5",
            "`risk.review_above` is -0.5 in FLORIN_RISK_REVIEW_ABOVE, but must be a number from 0 to 1 with at most four decimals",
        ),
        (
            "FLORIN_RESOLUTION_WAITS_S",
            "1,,2",
            "`resolution.waits_s` is \"1,,2\" in FLORIN_RESOLUTION_WAITS_S, but must be 1 to 32 whole numbers of seconds, each from 1 to 86400",
        ),
        (
            "FLORIN_PROVIDER_KEY_SECRET",
            "xyz",
            "`provider_key_secret` is *** in FLORIN_PROVIDER_KEY_SECRET, but must be 64 to 128 hexadecimal digits, or empty for none",
        ),
        (
            "FLORIN_PROVIDER_STRIPE_REQUEST_TIMEOUT_MS",
            "soon",
            "`provider.stripe.request_timeout_ms` is \"soon\" in FLORIN_PROVIDER_STRIPE_REQUEST_TIMEOUT_MS, but must be a whole number from 1 to 120000",
        ),
    ];
    for (name, text, expected) in cases {
        assert_eq!(refusal("", &[(name, text)], Mode::Dev), expected);
    }
}

#[test]
fn what_is_no_toml_is_refused_by_place() {
    let cases = [
        (
            "listen = \"127.0.0.1:1\"\nlog ==",
            "florin.toml is not TOML: line 2, column 6: ",
        ),
        (
            "log = \"a\"\nlog = \"b\"",
            "florin.toml is not TOML: line 2, column 1: duplicate key",
        ),
        ("log = \"é\" x", "florin.toml is not TOML: line 1, column 11: "),
    ];
    for (text, expected) in cases {
        let refused = refusal(text, &[], Mode::Dev);
        assert!(refused.starts_with(expected), "{refused}");
    }
}

#[test]
fn values_that_rule_each_other_out_are_refused() {
    let cases = [
        (
            "limits.answer_budget_ms = 5000",
            "`stages.authorization_ms` is 5000, but it must be shorter than the answer budget",
        ),
        (
            "risk.review_above = 0.9",
            "`risk.review_above` is 0.9, but `risk.block_above` is 0.8, and what is blocked is never reviewed",
        ),
        (
            "limits.requests_per_s = 1001",
            "`limits.burst` is 1000, but `limits.requests_per_s` is 1001, and a burst is at least that",
        ),
        (
            "actors.payment_restart_wait_ms = 6000",
            "`actors.payment_restart_wait_max_ms` is 5000, but it must be at least `actors.payment_restart_wait_ms`, which is 6000",
        ),
        (
            "actors.singleton_restart_wait_max_ms = 9",
            "`actors.singleton_restart_wait_max_ms` is 9, but it must be at least `actors.singleton_restart_wait_ms`, which is 10",
        ),
        (
            "journal.ranges = [\"A-Z\"]",
            "`journal.ranges` is [\"A-Z\"], but `journal.placement` is \"tenant\", which has none",
        ),
        (
            "journal.placement = \"ranges\"",
            "`journal.ranges` is [], but there are 0 for 1 shards, and each needs one",
        ),
        (
            "journal.shards = 2\njournal.placement = \"ranges\"\njournal.ranges = [\"A-M\", \"O-Z\"]",
            "`journal.ranges` is [\"A-M\", \"O-Z\"], but no range has N",
        ),
        (
            "journal.shards = 2\njournal.placement = \"ranges\"\njournal.ranges = [\"A-N\", \"N-Z\"]",
            "`journal.ranges` is [\"A-N\", \"N-Z\"], but two ranges have N",
        ),
        (
            "listen = \"127.0.0.1:9090\"",
            "`sandbox.listen` is 127.0.0.1:9090, but `listen` is the same",
        ),
        (
            "provider_key_secret = \"00000000000000000000000000000000ffffffffffffffffffffffffffffffff\"\nprovider_key_secret_file = \"x\"",
            "florin.toml sets both `provider_key_secret` and `provider_key_secret_file`: give one of them",
        ),
        (
            "[[provider]]\nid = \"a\"\nsecret_key = \"x\"\nsecret_key_file = \"y\"",
            "florin.toml sets both `provider.a.secret_key` and `provider.a.secret_key_file`: give one of them",
        ),
        (
            "[[provider]]\nid = \"a\"\n[[provider]]\nid = \"a\"",
            "`provider.a.id` is \"a\", but two providers need two names",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal(text, &[], Mode::Dev), expected);
    }
    let both = [
        ("FLORIN_PROVIDER_STRIPE_SECRET_KEY", "a"),
        ("FLORIN_PROVIDER_STRIPE_SECRET_KEY_FILE", "b"),
    ];
    let expected = "the environment sets both `provider.stripe.secret_key` and `provider.stripe.secret_key_file`: give one of them";
    assert_eq!(refusal("", &both, Mode::Dev), expected);
}

#[test]
fn a_provider_that_lacks_something_is_refused() {
    let cases = [
        (
            "",
            "`provider` is not set: production needs at least one [[provider]]",
        ),
        (
            "[[provider]]\nkind = \"stripe\"",
            "`provider[1].id` is not set: every provider needs a name",
        ),
        (
            "[[provider]]\nid = \"a\"",
            "`provider.a.kind` is not set: it has no default",
        ),
        (
            "[[provider]]\nid = \"a\"\nkind = \"stripe\"",
            "`provider.a.base_url` is not set: it has no default",
        ),
        (
            "[[provider]]\nid = \"a\"\nkind = \"stripe\"\nbase_url = \"https://a.example\"",
            "`provider.a.secret_key` is not set: a provider needs this or `secret_key_file`",
        ),
        (
            "[[provider]]\nid = \"a\"\nkind = \"stripe\"\nbase_url = \"https://a.example\"\nsecret_key = \"\"",
            "`provider.a.secret_key` is not set: a provider needs this or `secret_key_file`",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal(text, &[], Mode::Serve), expected);
    }
}

#[test]
fn keys_that_are_no_test_keys_stay_out_of_development_and_off_the_open_network() {
    let live = "`provider.stripe.secret_key` is ***, but development has API keys that everybody knows, so it takes no live key";
    assert_eq!(refusal(PRODUCTION, &[], Mode::Dev), live);
    let open = "`provider.stripe.base_url` is \"http://pay.example\", but a key that is no test key goes only over https";
    let file = PRODUCTION.replace("https", "http");
    assert_eq!(refusal(&file, &[], Mode::Serve), open);
    let allowed = [
        ("https://pay.example", "sk_live_abc"),
        ("http://pay.example", "sk_test_abc"),
    ];
    for (url, key) in allowed {
        let file = PRODUCTION
            .replace("https://pay.example", url)
            .replace("sk_live_abc", key);
        assert!(super::load(&file, &[], Mode::Serve).is_ok(), "{url} {key}");
    }
}

#[test]
fn files_that_cannot_be_read_or_hold_no_secret_are_named() {
    let key = "FLORIN_PROVIDER_STRIPE_SECRET_KEY_FILE";
    let hex = "FLORIN_PROVIDER_KEY_SECRET_FILE";
    let cases = [
        (
            key,
            "HERE/none",
            "cannot read none, the file that `provider.stripe.secret_key_file` names",
        ),
        (
            hex,
            "HERE/none",
            "cannot read none, the file that `provider_key_secret_file` names",
        ),
        (
            key,
            "HERE/empty",
            "`provider.stripe.secret_key` is *** in empty, but must be visible ASCII characters without spaces",
        ),
        (
            hex,
            "HERE/short",
            "`provider_key_secret` is *** in short, but must be 64 to 128 hexadecimal digits",
        ),
    ];
    for (name, path, expected) in cases {
        assert_eq!(refusal("", &[(name, path)], Mode::Dev), expected);
    }
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("none.toml");
    let error = Settings::load(Some(&missing), &[], Mode::Dev).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot read the configuration file {}", missing.display())
    );
}
