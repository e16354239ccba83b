//! A journal in a database proves itself: whoever has the shards signs for it, and nobody serves one that is not what was signed.

use crate::deployment::sale;
use crate::process::wait_for;
use crate::takeover::{Pair, keys};

impl Pair {
    /// Changes the database behind everybody's back.
    pub(crate) fn tampers(&self, sql: &str) {
        let sql = format!("SET session_replication_role = replica; {sql}");
        self.database.query(&sql).unwrap();
    }

    /// The end of the journal.
    pub(crate) fn end(&self) -> u64 {
        let end = self.database.query("SELECT head FROM florin.shard").unwrap();
        end.trim().parse().unwrap()
    }

    /// What a node says of the journal once it has signed for all of it.
    pub(crate) fn signed(&self, node: usize) -> String {
        wait_for("a signed head of the journal's end", || {
            let finished = self.finished(node, &["audit", "verify"]);
            assert!(finished.status.success(), "{finished:?}");
            let is_signed = !finished.stdout.contains("not signed for yet");
            is_signed.then_some(finished.stdout)
        })
    }
}

/// Takes the journal's end away, as a failover to a copy that was behind does.
const LOSE_THE_END: &str = "DELETE FROM florin.commit_record WHERE seq > (SELECT head - 2 FROM florin.shard);
    UPDATE florin.shard SET (head, hash) = (SELECT seq, hash FROM florin.commit_record ORDER BY seq DESC LIMIT 1)";

#[test]
fn whoever_has_the_shards_signs_and_goes_on_after_a_takeover_and_a_way_back() {
    let pair = Pair::new();
    let (key, _) = keys(&pair);
    let first = pair.start_first(0);
    pair.caller(0, &key).pay("a", &sale(500, "USD")).expect(200);
    let verified = pair.signed(0);
    let expected = format!("shard 0: {} commits are whole", pair.end());
    assert!(verified.contains(&expected), "{expected}: {verified}");
    // The second one has signed nothing yet, and reads the same.
    let none = pair.run(1, &["audit", "verify"]);
    assert!(none.contains("0 signed heads fit"), "{none}");
    first.kill_9();

    let second = pair.start_first(1);
    pair.caller(1, &key).pay("b", &sale(700, "USD")).expect(200);
    pair.signed(1);
    second.stop();
    // A node that stops by itself has signed for everything.
    let verified = pair.run(1, &["audit", "verify"]);
    assert!(!verified.contains("not signed for yet"), "{verified}");
    // The first one's heads are older than the other's: that is no attack.
    let older = pair.run(0, &["audit", "verify"]);
    assert!(older.contains("are not signed for yet"), "{older}");
    let first = pair.start_first(0);
    let metrics = pair.caller(0, &key).get("/metrics").text();
    assert!(!metrics.contains("heads_missing"), "{metrics}");
    pair.caller(0, &key).pay("c", &sale(900, "USD")).expect(200);
    let verified = pair.signed(0);
    assert!(
        verified.contains(&format!("the newest of commit {}", pair.end())),
        "{verified}"
    );
    first.stop();
    let heads = |node: usize| {
        let out = pair.elsewhere.path().join(format!("export-{node}"));
        pair.run(node, &["audit", "export", "--out", out.to_str().unwrap()]);
        let text = std::fs::read_to_string(out).unwrap();
        let of = |object: &str| text.lines().filter(|line| line.contains(object)).count();
        (
            of(r#""object":"florin.record""#) as u64,
            of(r#""object":"florin.head""#),
        )
    };
    for node in [0, 1] {
        let (records, heads) = heads(node);
        assert_eq!(records, pair.end());
        assert!(heads > 0);
    }
    pair.provider.stop();
}

#[test]
fn a_database_that_is_behind_or_another_than_what_was_signed_is_served_by_nobody_who_signed_it() {
    let pair = Pair::new();
    let (key, _) = keys(&pair);
    let first = pair.start_first(0);
    pair.caller(0, &key).pay("a", &sale(500, "USD")).expect(200);
    first.stop();
    let signed = pair.end();
    pair.tampers(LOSE_THE_END);
    let end = pair.end();
    assert_eq!(end, signed - 2);
    let missing = format!(
        "later commits are missing: a signed head of commit {signed} exists, and the journal ends at commit {end}"
    );
    for command in [&["key", "create"][..], &["views", "rebuild"]] {
        let refused = pair.finished(0, command);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(refused.stderr.contains(&missing), "{missing}: {refused:?}");
    }
    let found = pair.finished(0, &["audit", "verify"]);
    assert_eq!(found.status.code(), Some(1), "{found:?}");
    let expected = format!("WRONG: commit {} is missing", end + 1);
    assert!(found.stdout.contains(&expected), "{expected}: {found:?}");
    assert!(found.stderr.contains("wrong in the database at"), "{found:?}");

    // The other one has never signed for it, so nothing tells it, and it goes on to other commits under the same numbers.
    let second = pair.start_first(1);
    for number in 0..3 {
        let caller = pair.caller(1, &key);
        caller.pay(&format!("b-{number}"), &sale(700, "USD")).expect(200);
    }
    second.stop();
    assert!(pair.end() > signed);
    let refused = pair.finished(0, &["key", "create"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let other = format!("another commit {signed} was signed");
    assert!(refused.stderr.contains(&other), "{other}: {refused:?}");
    // It has let the shards go, and the other one is not kept waiting.
    pair.run(1, &["key", "create"]);
    pair.provider.stop();
}

#[test]
fn heads_that_are_gone_are_missed_by_the_node_that_signed_them() {
    let pair = Pair::new();
    let (key, _) = keys(&pair);
    let first = pair.start_first(0);
    pair.caller(0, &key).pay("a", &sale(500, "USD")).expect(200);
    first.stop();
    std::fs::remove_dir_all(pair.folders[0].path().join("heads")).unwrap();
    let mut first = pair.start(0);
    first.says("that heads are missing", |line| {
        line.contains("there are no signed heads to compare the journal with")
            .then_some(())
    });
    first.says("that it takes payments", crate::takeover::taking_payments);
    pair.caller(0, &key).pay("b", &sale(500, "USD")).expect(200);
    pair.signed(0);
    first.stop();
    pair.provider.stop();
}
