//! Loading as a whole: what is refused and in which words, which source wins, that the reference file is true, and that
//! secrets stay inside.

mod adyen;
mod database;
mod fuzz;
mod ledger;
mod refusals;
mod routing;
mod stripe_webhook;

use crate::layers::Layers;
use crate::raw::Raw;
use crate::{ConfigError, KeySecret, LogFormat, Mode, Settings, keys};
use florin_actors::options::Options;
use florin_domain::ids::ShardId;
use florin_domain::money::Currency;
use florin_domain::provider::ProviderId;
use florin_domain::time::Millis;
use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use toml::Table;

const REFERENCE: &str = include_str!("../../florin.toml");
const PRODUCTION: &str = "[[provider]]\nkind = \"stripe\"\nid = \"stripe\"\nbase_url = \"https://pay.example\"\nsecret_key = \"sk_live_abc\"\n";
const QUOTED_HEX: &str = "\"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1F\"";
const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1F";

/// Loads `text` as a file, with these variables.
fn load(text: &str, env: &[(&str, &str)], mode: Mode) -> Result<Settings, ConfigError> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("florin.toml");
    fs::write(&file, text).unwrap();
    Settings::load(Some(&file), &variables(env), mode)
}

fn variables(env: &[(&str, &str)]) -> Vec<(String, String)> {
    env.iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

fn dev(text: &str, env: &[(&str, &str)]) -> Settings {
    load(text, env, Mode::Dev).unwrap()
}

fn defaults() -> Settings {
    Settings::load(None, &[], Mode::Dev).unwrap()
}

/// The reference with every commented key in effect.
fn reference_in_effect() -> String {
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(key) if !key.is_empty() && !key.starts_with(' ') => format!("{key}\n"),
        _ => format!("{line}\n"),
    };
    REFERENCE.lines().map(uncomment).collect()
}

#[test]
fn the_reference_file_as_it_stands_sets_nothing() {
    assert_eq!(REFERENCE.parse::<Table>().unwrap(), Table::new());
    assert_eq!(dev(REFERENCE, &[]), defaults());
}

#[test]
fn the_reference_file_without_comment_marks_is_the_defaults() {
    assert_eq!(dev(&reference_in_effect(), &[]), defaults());
}

#[test]
fn the_reference_file_explains_every_key_once_and_in_the_order_of_the_table() {
    let shown: Vec<&str> = REFERENCE
        .lines()
        .filter_map(|line| line.strip_prefix('#')?.split_once(" = "))
        .map(|(name, _)| name)
        .filter(|name| !name.starts_with(' ') && !name.starts_with("risk.amount_limits."))
        .collect();
    let known: Vec<&str> = keys::KEYS
        .iter()
        .chain(keys::PROVIDER_KEYS)
        .map(|key| key.name)
        .collect();
    assert_eq!(shown, known);
}

#[test]
fn the_defaults_are_those_of_the_actors_and_fit_each_other() {
    let settings = defaults();
    let mut expected = Options::default();
    expected.risk.amount_limits.sort();
    let mut actors = settings.actors.clone();
    // The sandbox's own, which is of the kind "stripe".
    let terms = actors
        .terms_of_providers
        .remove(&ProviderId::parse("stripe").unwrap());
    let caps = terms.unwrap().caps;
    assert_eq!((caps.permits, caps.queue_max), (100, 50));
    let kept = settings.providers[0].keeping;
    let five_minutes = Duration::from_mins(5);
    assert_eq!(kept.connections_max, 50);
    assert_eq!(
        (kept.connections_for, kept.addresses_for),
        (five_minutes, five_minutes)
    );
    assert_eq!(actors, expected);
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.data_dir, Path::new("./florin-data"));
    assert_eq!(
        (settings.log.as_str(), settings.log_format),
        ("info,ractor=warn", LogFormat::Text)
    );
    assert_eq!(settings.drain_limit, Duration::from_secs(10));
    assert_eq!(settings.provider_key_secret, None);
    assert_eq!(settings.providers.len(), 1);
    assert_eq!(settings.providers[0].base_url, "http://127.0.0.1:9090");
    assert_eq!(settings.providers[0].secret_key.expose(), "sk_test_sandbox");
}

#[test]
fn every_key_reaches_a_field_and_every_field_has_a_key() {
    let raw = Raw::from(&defaults()).into_table();
    let mut fields = BTreeSet::new();
    collect(&raw, "", &mut fields);
    // Both are shown only through the secret that they hold.
    fields.insert("provider_key_secret_file".to_owned());
    fields.insert("provider.secret_key_file".to_owned());
    // The default provider is no Adyen and sends no events; tests of their own read these.
    for field in ["webhook_secrets", "merchant_account", "api_key", "hmac_key"] {
        fields.insert(format!("provider.{field}"));
    }
    let known = keys::KEYS.iter().map(|key| key.name.to_owned());
    let of_providers = keys::PROVIDER_KEYS
        .iter()
        .map(|key| format!("provider.{}", key.name));
    let limits = ["EUR", "USD"].map(|code| format!("{}.{code}", keys::AMOUNT_LIMITS));
    assert_eq!(fields, known.chain(of_providers).chain(limits).collect());
}

fn collect(table: &Table, prefix: &str, names: &mut BTreeSet<String>) {
    for (segment, value) in table {
        let name = format!("{prefix}{segment}");
        match (
            value.as_table(),
            value.as_array().and_then(|list| list.first()?.as_table()),
        ) {
            (Some(inner), _) | (None, Some(inner)) => collect(inner, &format!("{name}."), names),
            (None, None) => drop(names.insert(name)),
        }
    }
}

/// Sets a key to something else than its default, in a file and in a variable, and sees the same change in both.
#[test]
fn every_key_takes_effect_from_the_file_and_from_its_variable() {
    let before = Raw::from(&defaults()).into_table();
    for key in keys::KEYS {
        let (in_file, in_variable) = match key.name {
            "listen" | "sandbox.listen" => ("\"[::1]:99\"", "[::1]:99"),
            "data_dir" | "audit.heads_dir" | "journal.replica_dir" | "secrets.kek_file" => {
                ("\"/tmp/x\"", "/tmp/x")
            }
            "log" => ("\"debug\"", "debug"),
            "log_format" => ("\"json\"", "json"),
            "provider_key_secret" => (QUOTED_HEX, QUOTED_HEX.trim_matches('"')),
            // A file of its own below; one profile.
            // Or each needs the other, and more shards: below.
            "provider_key_secret_file" | "risk.profile" | "journal.placement" | "journal.ranges"
            // Needs six providers: see the tests of routing; and the database that it is a replica of, or that has the views: those of the database.
            | "routing.profile" | "database.replica_url" | "database.views" => continue,
            "risk.block_above" | "retry.jitter" | "retry.budget_share" => ("0.9", "0.9"),
            "risk.review_above" => ("0", "0"),
            "resolution.waits_s" => ("[5, 6]", "5, 6"),
            "http.body_limit_bytes" | "database.lease_ms" | "database.connect_timeout_ms" | "database.statement_timeout_ms" => ("2048", "2_048"),
            "http.public_url" => ("\"https://pay.example\"", "https://pay.example"),
            "actors.payment_restart_wait_max_ms" | "actors.singleton_restart_wait_max_ms" => ("777", "777"),
            "limits.answer_budget_ms" => ("7777", "7777"),
            "errors.profile" => ("\"seed\"", "seed"),
            "retry.soft_declines" => ("\"next_provider\"", "next_provider"),
            "risk.duplicates.action" | "risk.velocity.action" => ("\"review\"", "review"),
            "refunds.fee" => ("\"returned\"", "returned"),
            "ledger.posting_profile" => ("\"merchant_of_record\"", "merchant_of_record"),
            "ledger.fee_recognition" => ("\"at_settlement\"", "at_settlement"),
            name if name.starts_with("ledger.chart.") => ("\"bank:city\"", "bank:city"),
            "routing.rules" => ("\"a: otherwise -> stripe\"", "a: otherwise -> stripe"),
            "database.url" => ("\"postgres://u:p@h/d\"", "postgres://u:p@h/d"),
            "redis.url" => ("\"rediss://u:p@h/3\"", "rediss://u:p@h/3"),
            "database.node" => ("\"east\"", "east"),
            "database.node_url" => ("\"https://east.example\"", "https://east.example"),
            "database.synchronous_standby" => ("\"required\"", "required"),
            "review.mode" => ("\"auth_and_hold\"", "auth_and_hold"),
            "http.head_limit_bytes" => ("4096", "4096"),
            "limits.burst" => ("2000", "2_000"),
            _ => ("7", "7"),
        };
        let by_file = dev(&format!("{} = {in_file}", key.name), &[]);
        let by_variable = dev("", &[(&keys::variable(key.name), in_variable)]);
        assert_eq!(by_file, by_variable, "{}", key.name);
        let after = Raw::from(&by_file).into_table();
        let changed: Vec<String> = flat(&after)
            .into_iter()
            .zip(flat(&before))
            .filter(|(after, before)| after != before && !after.0.starts_with("provider."))
            .map(|(after, _)| after.0)
            .collect();
        assert_eq!(changed, [key.name], "nothing else changes");
    }
}

#[test]
fn ranges_of_letters_place_what_is_new_from_the_file_and_from_variables() {
    let by_file = dev(
        "journal.shards = 2\njournal.placement = \"ranges\"\njournal.ranges = [\"A-M\", \"N-Z\"]",
        &[],
    );
    let variables = [
        ("FLORIN_JOURNAL_SHARDS", "2"),
        ("FLORIN_JOURNAL_PLACEMENT", "ranges"),
        ("FLORIN_JOURNAL_RANGES", "A-M, N-Z"),
    ];
    assert_eq!(dev("", &variables), by_file);
    let placement = &by_file.actors.placement;
    assert_eq!(placement.of_merchant("Zoe", None), Ok(ShardId(1)));
    assert!(by_file.describe().contains("ranges = [\"A-M\", \"N-Z\"]"));
    assert_eq!(dev("", &[("FLORIN_JOURNAL_RANGES", "")]), defaults());
}

fn flat(table: &Table) -> Vec<(String, String)> {
    let mut names = BTreeSet::new();
    collect(table, "", &mut names);
    let value = |name: &str| {
        let mut segments = name.split('.');
        let first = table.get(segments.next()?)?;
        segments.try_fold(first, |value, segment| {
            value.get(segment).or_else(|| value.get(0)?.get(segment))
        })
    };
    names
        .into_iter()
        .map(|name| (name.clone(), value(&name).unwrap().to_string()))
        .collect()
}

#[test]
fn variables_win_over_the_file_and_the_file_over_the_defaults() {
    let file = "limits.in_flight_max = 5\nlimits.index_lag_max = 6\nworker_threads = 3";
    let settings = dev(
        file,
        &[
            ("FLORIN_LIMITS_IN_FLIGHT_MAX", "9"),
            ("PATH", "/bin"),
            ("FLORINX", "1"),
        ],
    );
    assert_eq!(settings.actors.admission.in_flight_max, 9);
    assert_eq!(settings.actors.admission.index_lag_max, 6);
    assert_eq!(settings.worker_threads, 3);
    assert_eq!(settings.actors.waiters_per_key_max, 1024);
}

#[test]
fn sections_and_dotted_keys_are_the_same() {
    let sections = "[limits]\nin_flight_max = 5\n[risk.amount_limits]\nJPY = \"5000\"";
    assert_eq!(
        dev(sections, &[]),
        dev("limits.in_flight_max = 5\nrisk.amount_limits.JPY = \"5000\"", &[])
    );
}

#[test]
fn amount_limits_are_set_currency_by_currency() {
    let settings = dev(
        "[risk.amount_limits]\nUSD = \"12.5\"\nBHD = \"1.001\"",
        &[
            ("FLORIN_RISK_AMOUNT_LIMITS_EUR", "none"),
            ("FLORIN_RISK_AMOUNT_LIMITS_JPY", "700"),
            ("FLORIN_RISK_VELOCITY_DAY_AMOUNTS_JPY", "9000"),
        ],
    );
    assert_eq!(settings.actors.velocity.day_amounts, [(Currency::JPY, 9000)]);
    let expected = [(Currency::BHD, 1001), (Currency::JPY, 700), (Currency::USD, 1250)];
    assert_eq!(settings.actors.risk.amount_limits, expected);
    assert_eq!(
        dev("[risk.amount_limits]", &[]),
        defaults(),
        "an empty section takes no limit away"
    );
}

#[test]
fn the_default_provider_is_where_the_sandbox_is() {
    let cases = [
        ("127.0.0.1:7000", "http://127.0.0.1:7000"),
        ("0.0.0.0:7000", "http://127.0.0.1:7000"),
        ("[::]:7000", "http://[::1]:7000"),
    ];
    for (listen, url) in cases {
        let env = [("FLORIN_SANDBOX_LISTEN", listen)];
        assert_eq!(
            dev("sandbox.listen = \"127.0.0.1:1\"", &env).providers[0].base_url,
            url
        );
    }
}

#[test]
fn a_sandbox_on_a_free_port_is_found_there_and_other_providers_stay() {
    let other = "http://127.0.0.1:5";
    let file = format!(
        "sandbox.listen = \"127.0.0.1:0\"\n{}\n{}",
        provider("one", "http://127.0.0.1:0/"),
        provider("two", other)
    );
    let mut settings = dev(&file, &[]);
    settings.sandbox_bound("127.0.0.1:4711".parse().unwrap());
    let urls: Vec<&str> = settings
        .providers
        .iter()
        .map(|provider| provider.base_url.as_str())
        .collect();
    assert_eq!(urls, ["http://127.0.0.1:4711", other]);
    assert_eq!(settings.sandbox.listen.port(), 4711);
}

fn provider(id: &str, base_url: &str) -> String {
    format!(
        "[[provider]]\nkind = \"stripe\"\nid = \"{id}\"\nbase_url = \"{base_url}\"\nsecret_key = \"sk_test_a\"\n"
    )
}

#[test]
fn providers_keep_their_order_and_their_variables_win() {
    let file = format!(
        "{}{}",
        provider("stripe", "https://a.example"),
        provider("backup_1", "https://b.example/x/")
    );
    let env = [
        ("FLORIN_PROVIDER_BACKUP_1_SECRET_KEY", "sk_live_b"),
        ("FLORIN_PROVIDER_STRIPE_REQUEST_TIMEOUT_MS", "1234"),
    ];
    let settings = load(&file, &env, Mode::Serve).unwrap();
    let shown: Vec<_> = settings
        .providers
        .iter()
        .map(|p| {
            (
                p.id.as_str(),
                p.base_url.as_str(),
                p.secret_key.expose(),
                p.request_timeout.as_millis(),
            )
        })
        .collect();
    let expected = [
        ("stripe", "https://a.example", "sk_test_a", 1234),
        ("backup_1", "https://b.example/x", "sk_live_b", 5000),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn secrets_are_read_from_files_and_the_upper_layer_says_which_way() {
    let folder = TempDir::new().unwrap();
    let (key, hex) = (folder.path().join("key"), folder.path().join("hex"));
    fs::write(&key, "sk_live_file\n").unwrap();
    fs::write(&hex, format!("{HEX}\r\n")).unwrap();
    let (key, hex) = (key.to_str().unwrap(), hex.to_str().unwrap());
    let by_file = [
        ("FLORIN_PROVIDER_STRIPE_SECRET_KEY_FILE", key),
        ("FLORIN_PROVIDER_KEY_SECRET_FILE", hex),
    ];
    let settings = load(PRODUCTION, &by_file, Mode::Serve).unwrap();
    assert_eq!(settings.providers[0].secret_key.expose(), "sk_live_file");
    let secret = settings.provider_key_secret.unwrap();
    assert_eq!(secret.expose(), (0..32).collect::<Vec<u8>>());

    let file = format!("provider_key_secret_file = \"/nowhere\"\n{PRODUCTION}");
    let file = file.replace("secret_key = \"sk_live_abc\"", "secret_key_file = \"/nowhere\"");
    let by_text = [
        ("FLORIN_PROVIDER_STRIPE_SECRET_KEY", "sk_live_env"),
        ("FLORIN_PROVIDER_KEY_SECRET", HEX),
    ];
    let settings = load(&file, &by_text, Mode::Serve).unwrap();
    assert_eq!(settings.providers[0].secret_key.expose(), "sk_live_env");
    assert_eq!(settings.provider_key_secret, KeySecret::from_hex(HEX));
}

#[test]
fn the_description_is_a_file_with_the_same_effect_apart_from_secrets() {
    let file = format!(
        "risk.block_above = 0.7123\nretry.tries_max = 5\nrisk.amount_limits.EUR = \"none\"\n\
         risk.amount_limits.USD = \"2.50\"\nprovider_key_secret = \"{HEX}\"\n{PRODUCTION}"
    );
    let settings = load(&file, &[], Mode::Serve).unwrap();
    let described = settings.describe();
    assert!(
        described.contains("provider_key_secret = \"***\"\n"),
        "{described}"
    );
    assert!(described.contains("secret_key = \"***\"\n"), "{described}");
    assert!(described.contains("[retry]\ntries_max = 5\n"), "{described}");
    let again = described
        .replace(
            "provider_key_secret = \"***\"",
            &format!("provider_key_secret = \"{HEX}\""),
        )
        .replace("\"***\"", "\"sk_live_abc\"");
    assert_eq!(load(&again, &[], Mode::Serve).unwrap(), settings);
}

#[test]
fn secrets_are_in_no_debug_text_and_in_no_description() {
    let file = format!("provider_key_secret = \"{HEX}\"\n{PRODUCTION}");
    let settings = load(&file, &[], Mode::Serve).unwrap();
    let bytes = format!("{:?}", settings.provider_key_secret.as_ref().unwrap().expose());
    for shown in [
        format!("{settings:?}"),
        format!("{settings:#?}"),
        settings.describe(),
    ] {
        assert!(
            !shown.contains("sk_live_abc") && !shown.contains(HEX) && !shown.contains(&bytes),
            "{shown}"
        );
        assert!(shown.contains("***"), "{shown}");
    }
}

/// Each file is wrong in another way, and each holds the same secret where it goes wrong.
#[test]
fn secrets_are_in_no_error() {
    let files = [
        "provider_key_secret = \"sk_live_abc\"",
        "provider_key_secret = sk_live_abc",
        "provider_key_secret = \"sk_live_abc",
        "provider_secret = \"sk_live_abc\"",
        "provider = \"sk_live_abc\"",
        "provider = [\"sk_live_abc\"]",
        "limits = \"sk_live_abc\"",
        "[[provider]]\nid = \"a\"\nsecret_key = \"sk_live_abc \"",
        "[[provider]]\nid = \"a\"\nsecret_key = [\"sk_live_abc\"]",
        "[[provider]]\nid = \"a\"\nsecret = \"sk_live_abc\"",
        "[[provider]]\nid = \"a\"\nbase_url = \"https://sk_live_abc@a.example\"",
        "[[provider]]\nid = \"a\"\nkind = \"stripe\"\nbase_url = \"http://a.example\"\nsecret_key = \"sk_live_abc\"",
        "[[provider]]\nid = \"a\"\nkind = \"stripe\"\nbase_url = \"https://a.example\"\nsecret_key = \"sk_live_abc\"",
    ];
    for file in files {
        let error = load(file, &[], Mode::Dev).unwrap_err();
        let source = error.source().map(ToString::to_string).unwrap_or_default();
        let shown = format!("{error} {error:?} {source}");
        assert!(!shown.contains("sk_live_abc"), "{file}: {shown}");
    }
    let env = variables(&[("FLORIN_PROVIDER_STRIPE_SECRET_KEY", "sk_live_abc")]);
    let error = Settings::load(None, &env, Mode::Dev).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("sk_live_abc"));
}

#[test]
fn a_unit_that_is_shorter_in_the_file_is_stored_in_full() {
    let settings = dev("resolution.waits_s = [2]", &[]);
    assert_eq!(settings.actors.resolution_waits, [Millis(2000)]);
}

#[test]
fn layers_nest_what_they_flattened() {
    let nested: Table = "a = 1\n[b]\nc = 2\n[b.d]\ne = 3".parse().unwrap();
    let mut expected = nested.clone();
    expected.insert("provider".to_owned(), toml::Value::Array(Vec::new()));
    assert_eq!(Layers::new(nested).into_table(), expected);
}
