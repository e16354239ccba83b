//! Signing, comparing and verifying on real files; damage of every kind is found, and found where it is.

mod fuzz;
pub(crate) mod shared;

use super::heads::{self, HeadsReader};
use super::key::SigningKey;
use super::notary::{Notary, NotaryError, Notice};
use super::proof::{ProofError, Subject, heads_for, prove, records_of};
use super::verify::{Finding, Verified, verify};
use crate::data_dir::JOURNAL;
use crate::journal::{JournalFile, SqliteJournal};
use crate::schema::samples::creation;
use florin_domain::commit::Commit;
use florin_domain::ids::{Epoch, Seq, ShardId};
use florin_domain::ports::{Batch, Journal, ReadError};
use proptest::prelude::*;
use rusqlite::{Connection, params};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

const SHARD: ShardId = ShardId::FIRST;

/// A data folder and a second place for its signed heads.
pub(crate) struct World {
    pub(crate) data: TempDir,
    pub(crate) second: TempDir,
    grown: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            data: tempfile::tempdir().unwrap(),
            second: tempfile::tempdir().unwrap(),
            grown: 0,
        }
    }

    /// Appends so many commits under a new epoch.
    fn grow(&mut self, count: u64) {
        let after = self.grown;
        self.grown += count;
        let journal = SqliteJournal::open(self.data.path(), SHARD).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let head = runtime.block_on(journal.head(SHARD)).unwrap();
        let commits: Vec<Arc<Commit>> = (after + 1..=self.grown)
            .map(|seq| Arc::new(creation(SHARD, seq)))
            .collect();
        let batch = Batch {
            id: u128::from(self.grown),
            shard: SHARD,
            epoch: head.epoch,
            expected_head: Seq(after),
            commits: commits.into(),
        };
        runtime.block_on(journal.append(batch)).unwrap();
    }

    fn notary(&self) -> Result<(Notary, Vec<Notice>), NotaryError> {
        let journal = self.data.path();
        Notary::open(journal, (SHARD, journal), self.second.path(), &|_, _| {})
    }

    /// Grows and signs.
    fn grow_signed(&mut self, count: u64) {
        self.grow(count);
        let (mut notary, _) = self.notary().unwrap();
        notary.sign(1_000 * self.grown).unwrap().unwrap();
    }

    pub(crate) fn key(&self) -> SigningKey {
        SigningKey::load(self.data.path()).unwrap()
    }

    fn heads(&self) -> HeadsReader {
        HeadsReader::open(self.second.path(), SHARD, self.key().public()).unwrap()
    }

    fn verified_from(&self, trusted: u64) -> Verified {
        let journal = JournalFile::open(self.data.path()).unwrap();
        verify(&journal, SHARD, Seq(trusted), self.heads(), &|_, _| {}).unwrap()
    }

    fn findings(&self) -> Vec<Finding> {
        self.verified_from(0).findings
    }

    fn sql(&self, sql: &str) {
        Connection::open(self.data.path().join(JOURNAL))
            .unwrap()
            .execute_batch(sql)
            .unwrap();
    }

    /// Cuts off the commits after `end`, so that the rest is a whole journal.
    fn cut(&mut self, end: u64) {
        self.grown = end;
        self.sql(&format!(
            "DELETE FROM commit_record WHERE position > {end};
             UPDATE shard_head SET head = {end}, hash = (SELECT hash FROM commit_record WHERE position = {end}), batch_id = NULL"
        ));
    }

    /// The only file of heads.
    fn heads_file(&self) -> PathBuf {
        let mut files = fs::read_dir(self.second.path()).unwrap();
        let file = files.next().unwrap().unwrap().path();
        assert!(files.next().is_none());
        file
    }
}

fn refusal(world: &World) -> (Seq, String) {
    match world.notary() {
        Err(NotaryError::Journal(ReadError::Damaged { seq, why })) => (seq, why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_appended_is_signed_once_and_verifies() {
    let mut world = World::new();
    world.grow(5);
    let (mut notary, notices) = world.notary().unwrap();
    assert_eq!(notices, []);
    let first = notary.sign(7).unwrap().unwrap();
    assert_eq!((first.head.size, first.head.signed_at_ms), (Seq(5), 7));
    assert!(first.is_signed_by(&world.key().public()));
    assert_eq!(notary.sign(8).unwrap(), None, "nothing new");
    world.grow(3);
    assert_eq!(notary.sign(9).unwrap().unwrap().head.size, Seq(8));
    drop(notary);
    world.grow_signed(2000);
    let verified = world.verified_from(0);
    assert_eq!(verified.findings, []);
    assert_eq!(
        (verified.end, verified.heads, verified.newest_head),
        (Seq(2008), 3, Some(Seq(2008)))
    );
    for trusted in [1, 7, 8, 2000, 2008] {
        assert_eq!(world.verified_from(trusted), verified, "from {trusted}");
    }
    let newest = heads::newest(world.second.path(), SHARD, world.key().public()).unwrap();
    assert_eq!(newest.head.unwrap().head.root, verified.root);
}

#[test]
fn an_empty_journal_has_nothing_to_sign_and_nothing_wrong() {
    let world = World::new();
    drop(SqliteJournal::open(world.data.path(), SHARD).unwrap());
    let (mut notary, notices) = world.notary().unwrap();
    assert_eq!((notary.sign(1).unwrap(), notices), (None, Vec::new()));
    let verified = world.verified_from(0);
    assert_eq!((verified.end, verified.findings), (Seq::ZERO, Vec::new()));
}

#[test]
fn any_flipped_byte_of_any_record_is_found_where_it_is() {
    let mut world = World::new();
    world.grow(4);
    world.grow_signed(4);
    let connection = Connection::open(world.data.path().join(JOURNAL)).unwrap();
    for seq in 1..=8_i64 {
        for column in ["bytes", "hash"] {
            let read = format!("SELECT {column} FROM commit_record WHERE position = ?1");
            let write = format!("UPDATE commit_record SET {column} = ?2 WHERE position = ?1");
            let whole: Vec<u8> = connection.query_row(&read, [seq], |row| row.get(0)).unwrap();
            for index in 0..whole.len() {
                let mut bytes = whole.clone();
                bytes[index] ^= 1 << (index % 8);
                connection.execute(&write, params![seq, bytes]).unwrap();
                let findings = world.findings();
                let is_there = matches!(&findings[..], [Finding::Damaged { seq: found, .. }] if found.0 == seq.cast_unsigned());
                assert!(is_there, "byte {index} of {column} of {seq}: {findings:?}");
            }
            connection.execute(&write, params![seq, whole]).unwrap();
        }
        for epoch in [0, 1, 2, 3, 259_i64] {
            let sql = "SELECT epoch FROM commit_record WHERE position = ?1";
            let was: i64 = connection.query_row(sql, [seq], |row| row.get(0)).unwrap();
            let write = "UPDATE commit_record SET epoch = ?2 WHERE position = ?1";
            connection.execute(write, params![seq, epoch]).unwrap();
            let findings = world.findings();
            let is_there = matches!(&findings[..], [Finding::Damaged { seq: found, .. }] if found.0 == seq.cast_unsigned());
            assert_eq!(is_there, epoch != was, "epoch {epoch} of {seq}: {findings:?}");
            connection.execute(write, params![seq, was]).unwrap();
        }
    }
    assert_eq!(world.findings(), []);
}

#[test]
fn a_missing_moved_or_surplus_record_is_found_where_it_is() {
    let cases = [
        ("DELETE FROM commit_record WHERE position = 3", 3),
        ("UPDATE commit_record SET position = 9 WHERE position = 2", 2),
        ("UPDATE shard_head SET head = 5", 6),
        ("UPDATE shard_head SET hash = zeroblob(32)", 6),
        ("DELETE FROM shard_head", 6),
        (
            "INSERT INTO commit_record SELECT 7, epoch, hash, bytes FROM commit_record WHERE position = 6",
            7,
        ),
    ];
    for (sql, expected) in cases {
        let mut world = World::new();
        world.grow_signed(6);
        world.sql(sql);
        let findings = world.findings();
        let is_there = matches!(&findings[..], [Finding::Damaged { seq, .. }] if seq.0 == expected);
        assert!(is_there, "{sql}: {findings:?}");
    }
}

#[test]
fn a_cut_tail_is_refused_and_named_though_the_chain_is_whole() {
    for end in [1, 5, 9] {
        let mut world = World::new();
        world.grow_signed(4);
        world.grow_signed(6);
        world.cut(end);
        let (seq, why) = refusal(&world);
        assert_eq!(seq, Seq(end + 1));
        assert!(why.contains("a signed head of commit 10 exists"), "{why}");
        let (missing, signed) = (Seq(end + 1), Seq(10));
        assert_eq!(world.findings(), [Finding::Cut { missing, signed }]);
    }
}

#[test]
fn a_tail_that_was_cut_off_and_written_anew_is_refused_and_named() {
    let mut world = World::new();
    world.grow_signed(4);
    world.grow_signed(6);
    world.cut(6);
    // The same commits, under another epoch: another history.
    world.grow(8);
    let (seq, why) = refusal(&world);
    assert_eq!(seq, Seq(10), "{why}");
    let (from, signed) = (Seq(5), Seq(10));
    assert_eq!(world.findings(), [Finding::Rewritten { from, signed }]);
}

#[test]
fn heads_that_are_gone_are_noticed_and_those_of_another_key_are_refused() {
    let mut world = World::new();
    world.grow_signed(4);
    let file = world.heads_file();
    let kept = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let (_, notices) = world.notary().unwrap();
    assert_eq!(notices, [Notice::HeadsMissing]);

    let mut other = World::new();
    other.grow_signed(4);
    fs::copy(other.heads_file(), &file).unwrap();
    let refused = world.notary();
    assert!(
        matches!(&refused, Err(NotaryError::Hidden(bad)) if bad.line == 1 && bad.why.contains("signature")),
        "{refused:?}"
    );
    assert!(matches!(&world.findings()[..], [Finding::BadHead(_)]));
    fs::write(&file, kept).unwrap();
    assert_eq!(world.notary().unwrap().1, []);
}

#[test]
fn a_bad_line_is_refused_where_it_may_hide_the_newest_head_and_noticed_elsewhere() {
    let mut world = World::new();
    world.grow_signed(2);
    world.grow_signed(2);
    world.grow_signed(2);
    let file = world.heads_file();
    let whole = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    for bad in 0..3 {
        let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        changed[bad] = changed[bad].replacen("\"signed_at_ms\":", "\"signed_at_ms\":1", 1);
        fs::write(&file, changed.join("\n") + "\n").unwrap();
        let opened = world.notary();
        if bad == 2 {
            assert!(
                matches!(&opened, Err(NotaryError::Hidden(found)) if found.line == 3),
                "{opened:?}"
            );
        } else {
            let (_, notices) = opened.unwrap();
            assert!(
                matches!(&notices[..], [Notice::BadHead(found)] if found.line == bad + 1),
                "{notices:?}"
            );
        }
        assert!(matches!(&world.findings()[..], [Finding::BadHead(found)] if found.line == bad + 1));
    }
    // An older head, signed by the right key, put behind the newest one.
    fs::write(&file, format!("{whole}{}\n", lines[0])).unwrap();
    assert!(matches!(world.notary(), Err(NotaryError::Hidden(bad)) if bad.line == 4));
    // A line that was never finished promised nothing, and is cut off.
    fs::write(&file, format!("{whole}{}", &lines[2][..40])).unwrap();
    assert_eq!(world.notary().unwrap().1, []);
    assert_eq!(fs::read_to_string(&file).unwrap(), whole);
}

#[test]
fn a_start_reads_only_what_follows_the_kept_frontier_and_any_frontier_gives_the_same() {
    let mut world = World::new();
    world.grow_signed(100);
    world.grow_signed(11);
    let text = fs::read_to_string(world.heads_file()).unwrap();
    assert!(
        text.lines().all(|line| line.contains("\"frontier\"")),
        "each start keeps one: {text}"
    );
    let (mut notary, _) = world.notary().unwrap();
    for _ in 0..2 {
        world.grow(1);
        notary.sign(1).unwrap().unwrap();
    }
    let text = fs::read_to_string(world.heads_file()).unwrap();
    assert_eq!(
        text.lines().filter(|line| line.contains("\"frontier\"")).count(),
        3,
        "{text}"
    );
    assert_eq!(world.verified_from(0).findings, []);
    // A frontier that does not give the signed root is no part of a head.
    let peak = text
        .lines()
        .next()
        .unwrap()
        .split("\"frontier\":[\"")
        .nth(1)
        .unwrap()[..64]
        .to_owned();
    fs::write(world.heads_file(), text.replacen(&peak, &"0".repeat(64), 1)).unwrap();
    let (_, notices) = world.notary().unwrap();
    assert!(
        matches!(&notices[..], [Notice::BadHead(bad)] if bad.why.contains("frontier")),
        "{notices:?}"
    );
}

#[test]
fn a_full_file_is_followed_by_one_that_needs_none_before_it() {
    let mut world = World::new();
    world.grow_signed(7);
    let first = world.heads_file();
    let line = fs::read_to_string(&first).unwrap();
    let lines = usize::try_from(heads::FILE_BYTES_MAX - 1).unwrap() / line.len();
    fs::write(&first, line.repeat(lines)).unwrap();
    let (mut notary, notices) = world.notary().unwrap();
    assert_eq!(notices, []);
    // The first of them fills the file.
    for count in [3, 2, 1] {
        world.grow(count);
        notary.sign(1).unwrap().unwrap();
    }
    drop(notary);
    let second = first.with_file_name("heads-0-000002.jsonl");
    let text = fs::read_to_string(&second).unwrap();
    let with_frontier: Vec<bool> = text.lines().map(|line| line.contains("\"frontier\"")).collect();
    assert_eq!(with_frontier, [true, false], "{text}");
    let verified = world.verified_from(0);
    assert_eq!(
        (verified.findings, verified.heads),
        (Vec::new(), lines as u64 + 3)
    );
    // The newest file is enough, and an end that is cut off is seen with it alone.
    fs::remove_file(&first).unwrap();
    assert_eq!(world.notary().unwrap().1, []);
    world.cut(12);
    assert_eq!(refusal(&world).0, Seq(13));
    // Without a head in the newest file, the one before it counts.
    fs::write(&first, &line).unwrap();
    fs::write(&second, "").unwrap();
    assert_eq!(world.notary().unwrap().1, []);
    world.cut(6);
    assert_eq!(refusal(&world).0, Seq(7));
}

#[test]
fn proofs_are_given_of_what_is_signed_and_of_nothing_else() {
    let mut world = World::new();
    world.grow_signed(3);
    world.grow_signed(3);
    world.grow(1);
    let journal = JournalFile::open(world.data.path()).unwrap();
    let heads = heads_for(world.heads(), Some(Seq(3))).unwrap();
    let of = |subject| records_of(&journal, SHARD, subject, &heads.head);
    assert_eq!(of(Subject::Commit(Seq(6))).unwrap()[0].seq, Seq(6));
    assert!(matches!(
        of(Subject::Commit(Seq(7))),
        Err(ProofError::NotSigned(Seq(7)))
    ));
    assert!(matches!(
        of(Subject::Commit(Seq(8))),
        Err(ProofError::NoCommit(_))
    ));
    assert!(matches!(
        of(Subject::Commit(Seq::ZERO)),
        Err(ProofError::NoCommit(_))
    ));
    let nobody = florin_domain::ids::PaymentId::from_bits(7);
    assert!(matches!(
        of(Subject::Payment(nobody)),
        Err(ProofError::NoPayment(_))
    ));
    let between = heads_for(world.heads(), Some(Seq(4)));
    assert!(matches!(
        between,
        Err(ProofError::NoHead {
            size: Seq(4),
            before: Seq(3),
            after: Seq(6)
        })
    ));
    let records = of(Subject::Commit(Seq(2))).unwrap();
    let proof =
        serde_json::to_value(prove(&journal, &records, &heads, &world.key().public()).unwrap()).unwrap();
    assert_eq!(proof["records"][0]["path"].as_array().unwrap().len(), 3);
    assert_eq!(proof["consistency"]["head"]["size"], 3);
    // A record that is damaged is not proved.
    world.sql("UPDATE commit_record SET bytes = zeroblob(9) WHERE position = 2");
    assert!(matches!(
        of(Subject::Commit(Seq(2))),
        Err(ProofError::Journal(ReadError::Damaged { seq: Seq(2), .. }))
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn however_a_journal_grew_and_wherever_it_is_cut_the_first_missing_commit_is_named(
        parts in prop::collection::vec(1..30_u64, 1..5),
        cut: prop::sample::Index,
    ) {
        let mut world = World::new();
        for part in parts {
            world.grow_signed(part);
        }
        let whole = world.grown;
        prop_assert_eq!(world.findings(), []);
        let end = cut.index(usize::try_from(whole).unwrap()) as u64;
        if end > 0 {
            world.cut(end);
            let (missing, signed) = (Seq(end + 1), Seq(whole));
            prop_assert_eq!(world.findings(), [Finding::Cut { missing, signed }]);
            prop_assert_eq!(refusal(&world).0, Seq(end + 1));
        }
    }
}

#[test]
fn epochs_differ_between_owners() {
    let mut world = World::new();
    world.grow(1);
    world.grow(1);
    let journal = JournalFile::open(world.data.path()).unwrap();
    let epochs: Vec<Epoch> = journal
        .walk(SHARD, Seq::ZERO)
        .unwrap()
        .map(|record| record.unwrap().epoch)
        .collect();
    assert_eq!(epochs, [Epoch(1), Epoch(2)]);
    assert_eq!(journal.shards().unwrap(), [SHARD]);
}

#[test]
fn a_hash_that_has_rotted_is_never_signed_for_the_first_time() {
    let mut world = World::new();
    world.grow(40);
    world.sql("UPDATE commit_record SET hash = zeroblob(32) WHERE position = 5");
    assert_eq!(refusal(&world).0, Seq(5));
}
