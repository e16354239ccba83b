//! What programs read of `florin bench`: the last line is one object with the promised figures, each of its kind. How large they are is the
//! machine's business and is not looked at.

use crate::process::{run, run_well};
use florin_services::TestDatabase;
use serde_json::Value;
use tempfile::TempDir;

/// What each figure is.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Whole,
    Number,
}

impl Kind {
    fn is_of(self, value: &Value) -> bool {
        match self {
            Self::Text => value.as_str().is_some_and(|text| !text.is_empty()),
            Self::Whole => value.is_u64(),
            Self::Number => value
                .as_f64()
                .is_some_and(|number| number.is_finite() && number >= 0.0),
        }
    }
}

const ALL: [(&str, Kind); 11] = [
    ("bench", Kind::Text),
    ("provider", Kind::Text),
    ("payments_per_s", Kind::Number),
    ("p50_us", Kind::Whole),
    ("p99_us", Kind::Whole),
    ("p999_us", Kind::Whole),
    ("cpu_us_per_payment", Kind::Number),
    ("commits_per_payment", Kind::Number),
    ("fsyncs", Kind::Whole),
    ("views_lag_ms", Kind::Whole),
    ("catch_up_s", Kind::Number),
];
const OVER_HTTP: [(&str, Kind); 3] = [
    ("echo_ratio", Kind::Number),
    ("server_cpu_us", Kind::Number),
    ("generator_cpu_us", Kind::Number),
];

/// Runs a benchmark for a moment; the object on its last line.
#[track_caller]
fn measured(bench: &str, arguments: &[&str]) -> Value {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("bench");
    let words = ["bench", bench, "--json", "--data-dir", data.to_str().unwrap()];
    let words: Vec<&str> = words.into_iter().chain(arguments.iter().copied()).collect();
    let said = run_well(&words, folder.path(), &[("FLORIN_LOG", "error")]);
    assert!(!data.exists(), "{bench} leaves its folder behind");
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

#[track_caller]
fn assert_has(report: &Value, figures: &[(&str, Kind)]) {
    for (name, kind) in figures {
        assert!(kind.is_of(&report[*name]), "`{name}` is no {kind:?}: {report}");
    }
}

#[test]
fn the_benchmarks_tell_the_promised_figures() {
    let short = [
        "--seconds",
        "1",
        "--clients",
        "8",
        "--connections",
        "8",
        "--merchants",
        "10",
    ];
    let hot: [(&str, Kind); 1] = [("uniform_ratio", Kind::Number)];
    let cases: [(&str, &[(&str, Kind)]); 4] = [
        ("engine", &[]),
        ("http", &OVER_HTTP),
        ("hot-key", &hot),
        ("full", &OVER_HTTP),
    ];
    for (bench, more) in cases {
        let report = measured(bench, &short);
        assert_eq!(report["bench"], bench);
        assert_has(&report, &ALL);
        assert_has(&report, more);
    }
}

#[test]
fn a_number_of_payments_is_made_and_memory_told_after_each_tenth() {
    let report = measured(
        "engine",
        &["--payments", "100", "--clients", "2", "--merchants", "3"],
    );
    assert_has(&report, &ALL);
    assert_eq!(report["payments"], 100);
    for name in ["rss_kib_at_tenths", "live_at_tenths"] {
        let tenths = report[name]
            .as_array()
            .unwrap_or_else(|| panic!("no `{name}`: {report}"));
        assert!(tenths.iter().all(Value::is_u64), "{report}");
    }
    let folder = TempDir::new().unwrap();
    let refused = run(&["bench", "http", "--payments", "100"], folder.path(), &[]);
    assert!(
        !refused.status.success() && refused.stderr.contains("--payments"),
        "{refused:?}"
    );
}

#[test]
fn the_journal_of_a_bench_may_be_in_an_empty_database_and_in_no_other() {
    let database = TestDatabase::new().unwrap();
    let short = ["--payments", "50", "--clients", "2", "--database", database.url()];
    let report = measured("engine", &short);
    assert_has(&report, &ALL);
    assert_eq!(
        (&report["journal"], &report["errors"]),
        (&"PostgreSQL".into(), &0.into())
    );
    let records = database
        .query("SELECT count(*) >= 100 FROM florin.commit_record")
        .unwrap();
    assert_eq!(records.trim(), "t", "two commits for each payment");
    let refused = |bench: &str| {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("bench");
        let words = [
            "bench",
            bench,
            "--payments",
            "50",
            "--data-dir",
            data.to_str().unwrap(),
        ];
        let words: Vec<&str> = words.into_iter().chain(["--database", database.url()]).collect();
        let ended = run(&words, folder.path(), &[]);
        assert!(!ended.status.success(), "{ended:?}");
        assert!(!data.exists(), "{bench} leaves its folder behind");
    };
    refused("engine");
    let folder = TempDir::new().unwrap();
    let other = run(
        &["bench", "http", "--database", database.url()],
        folder.path(),
        &[],
    );
    assert!(
        !other.status.success() && other.stderr.contains("--database"),
        "{other:?}"
    );
}

#[test]
fn the_first_payment_after_a_start_is_timed() {
    let report = measured("start", &["--rounds", "1"]);
    assert_eq!(
        (&report["bench"], &report["rounds"]),
        (&"start".into(), &1.into())
    );
    let figures = [
        "first_payment_ms_p50",
        "first_payment_ms_max",
        "ready_ms_p50",
        "version_ms_p50",
        "fsync_ms_p50",
        "version_ratio",
        "fsync_ratio",
    ];
    assert_has(&report, &figures.map(|name| (name, Kind::Number)));
}

#[test]
fn webhooks_are_signed_sent_and_compared_with_bare_exchanges() {
    let report = measured("webhooks", &["--seconds", "1"]);
    assert_eq!(report["bench"], "webhooks");
    let whole = ["deliveries", "p50_us", "p99_us", "p999_us"];
    assert_has(&report, &whole.map(|name| (name, Kind::Whole)));
    let numbers = [
        "deliveries_per_s",
        "cpu_us_per_delivery",
        "sign_us",
        "bare_per_s",
        "bare_ratio",
    ];
    assert_has(&report, &numbers.map(|name| (name, Kind::Number)));
}

#[test]
fn wrong_keys_are_timed_and_compared() {
    let report = measured("keys", &[]);
    assert_eq!(
        (&report["bench"], &report["tries_of_each"]),
        (&"keys".into(), &10_000.into())
    );
    let figures = [
        "unknown_p50_us",
        "first_changed_p50_us",
        "last_changed_p50_us",
        "t_max",
    ];
    assert_has(&report, &figures.map(|name| (name, Kind::Number)));
    assert!(report["found"].is_boolean());
}
