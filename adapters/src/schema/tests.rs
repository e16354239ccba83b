//! Golden files pin every stored form; properties show that nothing is lost on the way.

use super::samples::{
    commit_of, commit_of_event, commit_of_ledger_event, commit_with_entry, commit_with_later_accounts,
    control_events, creation, decline_rules, events, fraud_checks, last_reason, late_reasons, ledger_events,
    network_decline, reverts, unattended_creation, wished_creation,
};
use super::{DecodeError, VERSION, decode, encode, strategies, to_json};
use florin_domain::commit::{Body, Commit};
use florin_domain::ids::{Seq, ShardId};
use florin_domain::routing::AfterDecline;
use proptest::prelude::*;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

pub(super) fn encoded(commit: &Commit) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(commit, &mut bytes);
    bytes
}

fn decoded(commit: &Commit, bytes: &[u8]) -> Result<Commit, DecodeError> {
    decode(commit.shard, commit.seq, bytes)
}

/// The commits of the golden files, by name.
fn golden() -> Vec<(String, Commit)> {
    let events = events()
        .into_iter()
        .map(|event| (event.name().to_owned(), commit_of_event(event)));
    let controls = control_events();
    let controls = controls
        .into_iter()
        .map(|(name, event)| (name.to_owned(), commit_of(Body::Control(event))));
    let wished = (
        "payment.created_as_wished".to_owned(),
        commit_of_event(wished_creation()),
    );
    let unattended = (
        "payment.created_off_session".to_owned(),
        commit_of_event(unattended_creation()),
    );
    let barred = (
        "attempt.routed_past_a_refused_key".to_owned(),
        commit_of_event(late_reasons()),
    );
    let limited = (
        "attempt.routed_past_a_limited_key".to_owned(),
        commit_of_event(last_reason()),
    );
    let ruled = AfterDecline::ALL.into_iter().zip(decline_rules());
    let ruled = ruled.map(|(after, event)| {
        let name = format!("attempt.routed_by_decline_rule_{}", after.as_str());
        (name, commit_of_event(event))
    });
    let networked = (
        "attempt.declined_by_network".to_owned(),
        commit_of_event(network_decline()),
    );
    let entry = ("entry".to_owned(), commit_with_entry());
    let later = ("entry_later_accounts".to_owned(), commit_with_later_accounts());
    let ledger = ledger_events()
        .into_iter()
        .map(|event| (event.name().to_owned(), commit_of_ledger_event(event)));
    let reverts = ("ledger.reverted".to_owned(), commit_of_ledger_event(reverts()));
    let fraud = (
        "ledger.crossed_fraud_check".to_owned(),
        commit_of_ledger_event(fraud_checks()),
    );
    events
        .chain(controls)
        .chain([entry, later, wished, unattended, barred, limited, networked])
        .chain(ruled)
        .chain(ledger)
        .chain([reverts, fraud])
        .collect()
}

fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/journal/v1")
}

/// Hexadecimal digits, 32 bytes a line.
fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(32) {
        for byte in line {
            write!(text, "{byte:02x}").unwrap();
        }
        text.push('\n');
    }
    text
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// What the golden files hold.
pub(super) fn golden_bytes() -> Vec<Vec<u8>> {
    let files = fs::read_dir(golden_folder()).unwrap();
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "hex"));
    let read = |path: PathBuf| from_hex(&fs::read_to_string(path).unwrap());
    paths.into_iter().map(read).collect()
}

/// The golden text; missing files are written when `FLORIN_BLESS=1`, existing ones never.
fn golden_text(name: &str, current: impl FnOnce() -> String) -> String {
    let path = golden_folder().join(name);
    if env::var_os("FLORIN_BLESS").is_some_and(|value| value == "1") && !path.exists() {
        fs::create_dir_all(golden_folder()).unwrap();
        fs::write(&path, current()).unwrap();
    }
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}; FLORIN_BLESS=1 writes it"))
}

#[test]
fn every_event_is_written_as_its_golden_bytes_and_read_back_from_them() {
    for (name, commit) in golden() {
        let bytes = from_hex(&golden_text(&format!("{name}.hex"), || to_hex(&encoded(&commit))));
        assert_eq!(to_hex(&encoded(&commit)), to_hex(&bytes), "{name}");
        assert_eq!(decoded(&commit, &bytes), Ok(commit), "{name}");
    }
}

#[test]
fn every_event_is_shown_as_its_golden_json() {
    for (name, commit) in golden() {
        let shown = to_json(&commit);
        let golden = golden_text(&format!("{name}.json"), || format!("{shown:#}\n"));
        let golden: serde_json::Value = serde_json::from_str(&golden).unwrap();
        assert_eq!(shown, golden, "{name}");
    }
}

#[test]
fn no_golden_file_is_left_without_its_event() {
    let names: Vec<String> = golden().into_iter().map(|(name, _)| name).collect();
    for file in fs::read_dir(golden_folder()).unwrap() {
        let file = file.unwrap().path();
        let stem = file
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap()
            .to_owned();
        assert!(names.contains(&stem), "{stem} has no sample");
    }
}

#[test]
fn people_see_the_names_of_histories() {
    for event in events() {
        let name = event.name();
        let json = to_json(&commit_of_event(event));
        assert!(json["body"]["payment"]["events"][0][name].is_object(), "{json}");
    }
}

#[test]
fn people_see_the_names_of_the_ledgers_events() {
    for event in ledger_events() {
        let name = event.name();
        let json = to_json(&commit_of_ledger_event(event));
        assert!(!json["body"]["ledger"]["event"][name].is_null(), "{json}");
    }
}

#[test]
fn a_later_version_is_named_in_the_refusal() {
    let commit = creation(ShardId::FIRST, 1);
    let mut bytes = encoded(&commit);
    assert_eq!(bytes[0], VERSION);
    bytes[0] = 9;
    let error = decoded(&commit, &bytes).unwrap_err();
    assert_eq!(error, DecodeError::Version { found: 9 });
    assert_eq!(
        error.to_string(),
        "the record has version 9, and this build reads version 1"
    );
}

#[test]
fn records_that_are_cut_short_or_too_long_are_refused() {
    let commit = commit_with_entry();
    let mut bytes = encoded(&commit);
    for end in 0..bytes.len() {
        assert!(decoded(&commit, &bytes[..end]).is_err(), "cut at {end}");
    }
    bytes.push(0);
    assert_eq!(decoded(&commit, &bytes), Err(DecodeError::Trailing(1)));
    assert_eq!(decoded(&commit, &[]), Err(DecodeError::Empty));
}

#[test]
fn no_flipped_bit_of_a_ledger_commit_makes_the_same_commit() {
    for commit in ledger_events()
        .into_iter()
        .chain([reverts(), fraud_checks()])
        .map(commit_of_ledger_event)
    {
        let whole = encoded(&commit);
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(decoded(&commit, &bytes).as_ref(), Ok(&commit), "bit {bit}");
        }
    }
}

#[test]
fn what_the_domain_forbids_is_not_read() {
    let (entry, created) = (commit_with_entry(), commit_of_event(events().remove(0)));
    // Variable-length 9000 and 9001; currencies 392 (JPY) and 393 (none); one line of the entry in test mode; amounts 10000 and 0
    // with a longer zero.
    let cases: [(&Commit, &[u8], &[u8], &str); 4] = [
        (&entry, &[0xa8, 0x46], &[0xa9, 0x46], "entry"),
        (&entry, &[0x88, 0x03], &[0x89, 0x03], "currency"),
        (&entry, &[0x88, 0x03, 0x01], &[0x88, 0x03, 0x00], "entry"),
        (&created, &[0x90, 0x4e], &[0x80, 0x00], "amount"),
    ];
    for (commit, from, to, expected) in cases {
        let mut bytes = encoded(commit);
        let at = bytes
            .windows(from.len())
            .position(|window| window == from)
            .unwrap();
        bytes[at..at + to.len()].copy_from_slice(to);
        let error = decoded(commit, &bytes).unwrap_err();
        assert!(
            matches!(error, DecodeError::Impossible { what, .. } if what == expected),
            "{expected}: {error}"
        );
    }
}

#[test]
fn an_ordinary_creation_stays_small() {
    let size = encoded(&creation(ShardId::FIRST, 1)).len();
    assert!(size < 400, "{size} bytes");
}

proptest! {
    #[test]
    fn every_commit_reads_back_as_it_was(commit in strategies::commit()) {
        let bytes = encoded(&commit);
        prop_assert_eq!(decoded(&commit, &bytes), Ok(commit));
    }

    #[test]
    fn no_damage_makes_the_same_commit_or_a_panic(
        commit in strategies::commit(),
        index: prop::sample::Index,
        flips in 1_u8..,
    ) {
        let mut bytes = encoded(&commit);
        *index.get_mut(&mut bytes) ^= flips;
        prop_assert_ne!(decoded(&commit, &bytes), Ok(commit));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut record = vec![VERSION];
        record.extend(bytes);
        if let Ok(commit) = decode(ShardId::FIRST, Seq(1), &record) {
            prop_assert_eq!(commit.seq, Seq(1));
        }
    }

    #[test]
    fn every_commit_can_be_shown(commit in strategies::commit()) {
        let json = to_json(&commit);
        prop_assert_eq!(&json["seq"], &serde_json::json!(commit.seq.0));
        prop_assert!(json["body"].is_object());
    }
}
