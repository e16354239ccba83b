//! `florin bench failover` with tiny numbers: whatever the times, the books must be those of both witnesses.

use crate::process::{run, run_well};
use serde_json::{Value, json};
use tempfile::TempDir;

#[test]
fn three_deaths_of_a_provider_leave_books_that_both_witnesses_confirm() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("bench");
    let data_dir = data.to_str().unwrap();
    let arguments = [
        "bench",
        "failover",
        "--seconds",
        "1",
        "--rate",
        "40",
        "--connections",
        "16",
        "--request-timeout-ms",
        "300",
        "--breaker-open-ms",
        "200",
        "--data-dir",
        data_dir,
        "--json",
    ];
    let said = run_well(&arguments, folder.path(), &[("FLORIN_LOG", "error")]);
    let report: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&report["bench"], &report["breaches"]),
        (&json!("failover"), &json!(0))
    );
    let scenarios = report["scenarios"].as_array().unwrap();
    let deaths: Vec<&str> = scenarios
        .iter()
        .map(|scenario| scenario["death"].as_str().unwrap())
        .collect();
    assert_eq!(deaths, ["refuses", "hangs", "http_503"]);
    for scenario in scenarios {
        let count = |field: &str| scenario[field].as_u64().unwrap();
        assert_eq!(scenario["unresolved"], json!([]), "{scenario}");
        assert_eq!(
            count("payments"),
            count("succeeded") + count("not_charged"),
            "{scenario}"
        );
        assert_eq!(
            count("succeeded"),
            count("charges_preferred") + count("charges_backup"),
            "{scenario}"
        );
        assert!(count("charges_preferred") > 0, "{scenario}");
        let answered: u64 = ["before", "during", "after"]
            .iter()
            .map(|phase| scenario[phase]["succeeded"].as_u64().unwrap())
            .sum();
        assert!(answered <= count("succeeded"), "{scenario}");
        for phase in ["before", "during", "after"] {
            assert_eq!(scenario[phase]["declined"], 0, "{scenario}");
            assert_eq!(scenario[phase]["lost"], 0, "the node itself is well: {scenario}");
        }
    }
    // Nobody listens: the proof is there at once, so charges go on at the backup.
    assert!(scenarios[0]["failovers"].as_u64().unwrap() > 0, "{report}");
    assert!(scenarios[0]["charges_backup"].as_u64().unwrap() > 0, "{report}");
    assert!(!data.exists(), "the folder of a bench is deleted");
}

#[test]
fn what_cannot_be_measured_is_named() {
    let folder = TempDir::new().unwrap();
    for (name, value) in [("--rate", "0"), ("--connections", "0"), ("--seconds", "0")] {
        let data = folder.path().join("bench");
        let arguments = [
            "bench",
            "failover",
            "--data-dir",
            data.to_str().unwrap(),
            name,
            value,
        ];
        let finished = run(&arguments, folder.path(), &[]);
        assert!(!finished.status.success(), "{finished:?}");
        assert!(finished.stderr.contains(name), "{finished:?}");
    }
}
