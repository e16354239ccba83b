//! Nodes whose clocks are wrong: at a start they are refused, and later they do no harm. Who has the shards is a matter of the database's clock alone.

use super::{ANSWERS, Nodes, RECORDS, answers, verdict};
use crate::preload;
use crate::process::wait_for;
use crate::recovery::Load;
use florin_services::TestDatabase;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use tempfile::TempDir;

const HOUR_S: i64 = 3_600;

/// A wall clock of a node's own.
struct Clock {
    _folder: TempDir,
    file: PathBuf,
}

impl Clock {
    /// Given to a node before it starts.
    fn of(nodes: &mut Nodes, node: usize, library: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ahead");
        nodes.own[node] = vec![
            ("LD_PRELOAD", library.to_owned()),
            ("CLOCK_AHEAD", file.to_str().unwrap().to_owned()),
        ];
        fs::write(&file, 0_i64.to_ne_bytes()).unwrap();
        Self {
            _folder: folder,
            file,
        }
    }

    /// In place: the node has the file before its eyes, and must not see it empty.
    fn is_ahead(&self, seconds: i64) {
        let file = OpenOptions::new().write(true).open(&self.file).unwrap();
        file.write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
    }
}

fn library() -> String {
    preload::build("store_test/clock.c").to_str().unwrap().to_owned()
}

#[test]
fn a_node_whose_clock_is_an_hour_off_is_refused_at_its_start() {
    let database = TestDatabase::new().unwrap();
    let mut nodes = Nodes::new(database.url());
    let clock = Clock::of(&mut nodes, 0, &library());
    for ahead_s in [HOUR_S, -HOUR_S] {
        clock.is_ahead(ahead_s);
        nodes.start(0);
        let mut node = nodes.processes[0].take().unwrap();
        let status = node.wait();
        let (_, log) = node.output();
        assert!(!status.success(), "{log}");
        // Not to the second: they are read one after the other.
        let seconds = ["3599", "3600", "3601"].map(|seconds| format!("clock and ours are {seconds} s apart"));
        assert!(seconds.iter().any(|apart| log.contains(apart)), "{log}");
        assert!(log.contains("30 s are the most: set the clocks"), "{log}");
    }
    let epochs = "SELECT count(*) FROM florin.shard WHERE lease_until > '-infinity'";
    assert_eq!(database.query(epochs).unwrap().trim(), "0", "nothing was taken");
    clock.is_ahead(0);
    nodes.start(0);
    assert_eq!(nodes.owner(), 0);
    nodes.stop();
}

#[test]
fn nothing_is_lost_or_doubled_while_the_clocks_of_nodes_run_away() {
    let database = TestDatabase::new().unwrap();
    let mut nodes = Nodes::new(database.url());
    let library = library();
    let clocks = [0, 1].map(|node| Clock::of(&mut nodes, node, &library));
    nodes.start(0);
    assert_eq!(nodes.owner(), 0);
    nodes.start(1);
    let taken = || database.query("SELECT epoch, node FROM florin.shard").unwrap();
    let first = taken();
    let load = Load::start(nodes.addresses[0], &nodes.key);
    // Neither who has the shards nor who waits for them is led astray.
    for ahead_s in [
        [HOUR_S, 0],
        [-HOUR_S, 0],
        [0, HOUR_S],
        [0, -HOUR_S],
        [HOUR_S, -HOUR_S],
    ] {
        for (clock, ahead_s) in clocks.iter().zip(ahead_s) {
            clock.is_ahead(ahead_s);
        }
        // Each of them asks the database by then.
        let renewed = "SELECT lease_until FROM florin.shard";
        let before = database.query(renewed).unwrap();
        load.wait_for_more(ANSWERS);
        wait_for("a renewal", || {
            (database.query(renewed).unwrap() != before).then_some(())
        });
        assert!(!nodes.node(0).has_ended() && !nodes.node(1).has_ended());
        assert_eq!(taken(), first, "{ahead_s:?}");
    }
    // The one that waits is two hours behind whoever wrote the last commit.
    nodes.processes[0].take().unwrap().kill_9();
    load.move_to(nodes.addresses[1]);
    wait_for("the other node to take payments", || nodes.ready(1).then_some(()));
    load.wait_for_more(2 * ANSWERS);
    let acknowledged = load.finish();
    let records = database.query(RECORDS).unwrap();
    let verdict = verdict("clocks", &answers(&acknowledged), (&nodes, 1), &records);
    assert!(verdict.is_clean(), "{:#?}", verdict.findings);
    assert!(verdict.acknowledged > 7 * ANSWERS);
    nodes.stop();
}
