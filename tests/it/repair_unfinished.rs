//! What is left half done, gone, or does not answer: a repair that was killed, a shard whose folder is missing, a replica whose disk hangs.

use crate::cli::make_payments;
use crate::deployment::{Dev, sale};
use crate::ledger_transfers::open;
use crate::process::{Process, command, run, wait_for};
use crate::repair::{Stopped, flip, said};

use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// A file that nobody can open before somebody else opens it for the opposite: a disk that does not answer.
fn make_pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

#[test]
fn a_node_does_not_start_before_a_repair_that_was_killed_has_ended() {
    let stopped = Stopped::new();
    flip(&stopped.export());
    let note = stopped.data.path().join("repair_unfinished");
    let unfinished = stopped.export().with_extension("jsonl.unfinished");
    let export = stopped.export();
    let arguments = ["repair", "--apply", "--export", export.to_str().unwrap()];
    // An export that cannot be made again stops no node.
    fs::create_dir(&unfinished).unwrap();
    let failed = run(&arguments, stopped.data.path(), &[]);
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    assert!(failed.stderr.contains("a node may start"), "{failed:?}");
    assert!(!note.exists());
    fs::remove_dir(&unfinished).unwrap();

    // The repair waits at its last step but one, and is killed there.
    make_pipe(&unfinished);
    fs::write(stopped.data.path().join("views.db"), "no views").unwrap();
    let repair = Process::start(&mut command(&arguments, stopped.data.path(), &[]));
    wait_for("the note of the repair", || note.exists().then_some(()));
    repair.kill_9();
    fs::remove_file(&unfinished).unwrap();
    for _ in 0..2 {
        let refused = run(&["dev"], stopped.data.path(), &[]);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(
            refused.stderr.contains("was interrupted")
                && refused.stderr.contains("run `florin repair --apply` again"),
            "{refused:?}"
        );
    }
    let (planned, code) = stopped.repair("--dry-run");
    assert_eq!((&planned["interrupted"], code), (&json!(true), 1), "{planned}");
    assert!(note.exists(), "a dry run changes nothing");
    let (result, code) = stopped.repair("--apply");
    assert_eq!((&result["recovered"], code), (&json!(true), 0), "{result}");
    assert!(!note.exists());
    stopped.assert_all_there();
}

#[test]
fn a_repair_that_was_killed_before_its_end_was_noted_only_has_to_be_run_again() {
    let stopped = Stopped::new();
    let note = stopped.data.path().join("repair_unfinished");
    fs::write(&note, "").unwrap();
    let (planned, code) = stopped.repair("--dry-run");
    assert_eq!(
        (&planned["valid"], &planned["interrupted"], code),
        (&json!(true), &json!(true), 1),
        "{planned}"
    );
    let (result, code) = stopped.repair("--apply");
    assert_eq!((&result["recovered"], code), (&json!(true), 0), "{result}");
    assert!(!note.exists());
    stopped.assert_all_there();
}

#[test]
fn a_shard_whose_folder_is_missing_is_named_and_restored_and_the_others_are_compared() {
    let copies = tempfile::tempdir().unwrap();
    let replica = copies.path().join("replica");
    let variables = [
        ("FLORIN_JOURNAL_REPLICA_DIR", replica.to_str().unwrap()),
        ("FLORIN_JOURNAL_SHARDS", "3"),
    ];
    let (folder, dev) = Dev::fresh(&variables);
    make_payments(&dev, 4);
    open(&dev, "far", "liability", &json!({"shard": 1}));
    dev.stop();
    let asked = |arguments: &[&str]| said(&run(arguments, folder.path(), &variables));
    let (whole, code) = asked(&["audit", "compare", "--json"]);
    assert_eq!((&whole["valid"], code), (&json!(true), 0), "{whole}");
    let lost = folder.path().join("shards/0001");
    fs::remove_dir_all(&lost).unwrap();

    let (result, code) = asked(&["audit", "compare", "--json"]);
    assert_eq!((&result["valid"], code), (&json!(false), 1), "{result}");
    let shards = result["shards"].as_array().unwrap();
    let found: Vec<&Value> = shards.iter().map(|shard| &shard["corruption_source"]).collect();
    assert_eq!(found, [&json!("none"), &json!("primary"), &json!("none")]);
    assert_eq!(shards[1]["missing_folder"], lost.to_str().unwrap());
    assert_eq!(shards[0]["missing_folder"], Value::Null);
    let text = run(&["audit", "compare"], folder.path(), &variables).stdout;
    let expected = format!("shard 1: WRONG: its folder {} is missing", lost.display());
    assert!(
        text.contains(&expected) && text.contains("florin repair --apply"),
        "{text}"
    );
    let verified = run(&["audit", "verify"], folder.path(), &variables).stdout;
    assert!(
        verified.contains("shards/0001 of shard 1 is missing"),
        "{verified}"
    );
    assert!(
        verified.contains("shard 2: "),
        "the others are looked at: {verified}"
    );
    // A node makes no empty folder in its place.
    let refused = run(&["dev"], folder.path(), &variables);
    assert!(refused.stderr.contains("of shard 1 is missing"), "{refused:?}");
    assert!(!lost.exists());

    // Without a copy a person must decide, and is told which shard it is about.
    let (stuck, code) = asked(&[
        "repair",
        "--apply",
        "--json",
        "--replica",
        copies.path().to_str().unwrap(),
    ]);
    assert_eq!(code, 3, "{stuck}");
    assert!(
        stuck["decide"][0]
            .as_str()
            .unwrap()
            .starts_with("shard 1: its folder "),
        "{stuck}"
    );
    let (repaired, code) = asked(&["repair", "--apply", "--json"]);
    assert_eq!((&repaired["recovered"], code), (&json!(true), 0), "{repaired}");
    let (after, _) = asked(&["audit", "compare", "--json"]);
    assert_eq!(after["shards"][1]["sources"], whole["shards"][1]["sources"]);
    let dev = Dev::start(folder.path(), &variables);
    dev.pay("after", &sale(500, "USD")).expect(200);
    dev.stop();
}

#[test]
fn a_bad_line_among_older_heads_is_said_and_keeps_no_repair_from_ending() {
    let stopped = Stopped::new().hurt(2);
    let heads = stopped.data.path().join("heads/heads-0-000001.jsonl");
    let text = fs::read_to_string(&heads).unwrap();
    let (_, newer) = text.split_once('\n').unwrap();
    assert!(newer.ends_with('\n'), "there is a newer head: {newer}");
    fs::write(&heads, format!("no head\n{newer}")).unwrap();
    let (result, code) = stopped.repair("--apply");
    assert_eq!((&result["recovered"], code), (&json!(true), 0), "{result}");
    let bad = result["bad_heads"].as_array().unwrap();
    assert_eq!(bad.len(), 1, "{result}");
    assert!(bad[0].as_str().unwrap().contains("line 1"), "{result}");
    assert!(!stopped.data.path().join("repair_unfinished").exists());
    // Nothing is left to repair, and the line is still said.
    let (result, code) = stopped.repair("--dry-run");
    assert_eq!(
        (&result["valid"], &result["actions"], code),
        (&json!(false), &json!([]), 0),
        "{result}"
    );
    let dev = Dev::start(stopped.data.path(), &[]);
    dev.pay("after", &sale(500, "USD")).expect(200);
    dev.stop();
}

#[test]
fn a_shard_that_a_killed_node_has_lost_is_restored_only_if_what_its_copies_lack_is_given_up() {
    let copies = tempfile::tempdir().unwrap();
    let replica = copies.path().join("replica");
    let variables = [
        ("FLORIN_JOURNAL_REPLICA_DIR", replica.to_str().unwrap()),
        ("FLORIN_JOURNAL_SHARDS", "2"),
    ];
    let (folder, dev) = Dev::fresh(&variables);
    open(&dev, "far", "liability", &json!({"shard": 1}));
    dev.stop();
    assert!(folder.path().join("clean_stop-0001").exists());
    let dev = Dev::start(folder.path(), &variables);
    dev.process.kill_9();
    assert!(!folder.path().join("clean_stop-0001").exists());
    let asked = |arguments: &[&str]| said(&run(arguments, folder.path(), &variables));
    let (whole, _) = asked(&["audit", "compare", "--json"]);
    fs::remove_dir_all(folder.path().join("shards")).unwrap();

    let (stuck, code) = asked(&["repair", "--apply", "--json"]);
    assert_eq!(code, 3, "{stuck}");
    assert!(
        stuck["decide"].to_string().contains("`--accept-missing 1`"),
        "{stuck}"
    );
    // Only the replica knows of the shard: a copy of the folder that has left out its folders.
    let files = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, files.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    let refused = run(&["dev"], files.path(), &variables);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("of shard 1 is missing"), "{refused:?}");
    assert!(!files.path().join("shards").exists());

    let (repaired, code) = asked(&["repair", "--apply", "--accept-missing", "1", "--json"]);
    assert_eq!((&repaired["recovered"], code), (&json!(true), 0), "{repaired}");
    let (after, _) = asked(&["audit", "compare", "--json"]);
    assert_eq!(after["shards"][1]["sources"], whole["shards"][1]["sources"]);
    let dev = Dev::start(folder.path(), &variables);
    dev.pay("after", &sale(500, "USD")).expect(200);
    dev.stop();
}

#[test]
fn a_node_stops_though_the_disk_of_its_replica_does_not_answer() {
    let replica = tempfile::tempdir().unwrap();
    make_pipe(&replica.path().join("replica-0-00000000000000000001.seg"));
    let variables = [("FLORIN_JOURNAL_REPLICA_DIR", replica.path().to_str().unwrap())];
    let (folder, dev) = Dev::fresh(&variables);
    let paid = dev.pay("first", &sale(500, "USD")).expect(200).json();
    dev.process.terminate();
    let mut process = dev.process;
    assert_eq!(process.wait().code(), Some(0));
    let (_, log) = process.output();
    assert!(log.contains("the replica is given up"), "{log}");
    let dev = Dev::start(folder.path(), &[]);
    let read = dev.merchant().read("/v1/payments");
    assert_eq!(read["data"][0]["id"], paid["id"]);
    dev.stop();
}
