//! A data folder with signed heads, a replica and an export of it; made once and copied for each test.

use crate::audit::export::ExportWriter;
use crate::audit::heads::HeadsReader;
use crate::audit::key::SigningKey;
use crate::audit::notary::Notary;
use crate::data_dir::{JOURNAL, VIEWS};
use crate::integrity::compare::{Comparison, Corruption, compare};
use crate::integrity::lost::KnownEnd;
use crate::integrity::mend::{BeforeStep, Mended, Repair, Work, finish, mend};
use crate::integrity::plan::{Mending, Plan, plan};
use crate::integrity::{IntegrityError, Places, Source};
use crate::journal::{JournalFile, SqliteJournal, StoredRecord};
use crate::replica::follower::Replica;
use crate::schema::samples::creation;
use crate::views::{SqliteViews, ViewsOptions};
use florin_domain::commit::{Body, Commit};
use florin_domain::ids::{OperationId, RefundId, Seq, ShardId};
use florin_domain::money::Amount;
use florin_domain::payment::{Event, OperationKind, evolve_announcing};
use florin_domain::ports::{AnnouncingCommit, Batch, Follower, Journal, PaymentRow};
use florin_domain::provider::ProviderId;
use rusqlite::Connection;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use tempfile::TempDir;

pub(super) const SHARD: ShardId = ShardId::FIRST;

static TEMPLATE: LazyLock<World> = LazyLock::new(|| {
    let mut world = World {
        folder: tempfile::tempdir().unwrap(),
        grown: 0,
        replica: true,
        export: true,
    };
    fs::create_dir(world.data()).unwrap();
    for _ in 0..3 {
        world.grow(World::COMMITS / 3);
        world.sign();
    }
    world.follow();
    world.make_export();
    world
});

pub(super) struct World {
    folder: TempDir,
    grown: u64,
    replica: bool,
    export: bool,
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

impl World {
    pub(super) const COMMITS: u64 = 12;

    pub(super) fn fresh() -> Self {
        TEMPLATE.copied()
    }

    pub(super) fn copied(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(self.folder.path(), folder.path());
        Self { folder, ..*self }
    }

    pub(super) fn uses(&mut self, replica: bool, export: bool) {
        (self.replica, self.export) = (replica, export);
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(super) fn heads(&self) -> PathBuf {
        self.folder.path().join("heads")
    }

    pub(super) fn replica(&self) -> PathBuf {
        self.folder.path().join("replica")
    }

    pub(super) fn export(&self) -> PathBuf {
        self.folder.path().join("export.jsonl")
    }

    /// Appends so many commits under a new epoch.
    pub(super) fn grow(&mut self, count: u64) {
        self.grow_by(count, unheard);
    }

    /// The same with payments that were charged and given back.
    pub(super) fn grow_by_moved(&mut self, count: u64) {
        self.grow_by(count, given_back);
    }

    fn grow_by(&mut self, count: u64, commit: fn(u64) -> Commit) {
        let after = self.grown;
        self.grown += count;
        let journal = SqliteJournal::open(&self.data(), SHARD).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let head = runtime.block_on(journal.head(SHARD)).unwrap();
        let commits: Vec<Arc<Commit>> = (after + 1..=self.grown)
            .map(|seq| Arc::new(commit(seq)))
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

    pub(super) fn sign(&self) {
        let (mut notary, _) =
            Notary::open(&self.data(), (SHARD, &self.data()), &self.heads(), &|_, _| {}).unwrap();
        notary.sign(self.grown).unwrap().unwrap();
    }

    pub(super) fn follow(&self) {
        let mut replica = Replica::open(&self.data(), &self.replica(), SHARD).unwrap();
        loop {
            let progress = replica.step().unwrap();
            if progress.copied == progress.head {
                return;
            }
        }
    }

    pub(super) fn make_export(&self) {
        let key = SigningKey::load(&self.data()).unwrap().public();
        let mut out = File::create(self.export()).unwrap();
        let mut export = ExportWriter::new(&mut out, &key).unwrap();
        for line in HeadsReader::open(&self.heads(), SHARD, key).unwrap() {
            export.head(&line.unwrap().unwrap().signed).unwrap();
        }
        for record in self.journal() {
            export.record(&record).unwrap();
        }
        assert_eq!(export.finish().unwrap(), self.grown);
    }

    pub(super) fn make_views(&self) {
        let (rows, announced): (Vec<PaymentRow>, Vec<Option<AnnouncingCommit>>) =
            self.journal().iter().filter_map(row).unzip();
        let announced = announced.into_iter().flatten().collect();
        let views = SqliteViews::open(&self.data().join(VIEWS), &ViewsOptions::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime
            .block_on(views.apply(rows, announced, Seq(self.grown)))
            .unwrap();
    }

    pub(super) fn journal(&self) -> Vec<StoredRecord> {
        let journal = JournalFile::open(&self.data()).unwrap();
        let records: Result<_, _> = journal.walk(SHARD, Seq::ZERO).unwrap().collect();
        records.unwrap()
    }

    pub(super) fn sql(&self, sql: &str) {
        let connection = Connection::open(self.data().join(JOURNAL)).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    pub(super) fn views_sql(&self, sql: &str) {
        let connection = Connection::open(self.data().join(VIEWS)).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    /// Cuts off the commits after `end`, so that the rest is a whole journal.
    pub(super) fn cut(&mut self, end: u64) {
        self.grown = end;
        self.sql(&format!(
            "DELETE FROM commit_record WHERE position > {end};
             UPDATE shard_head SET head = {end}, hash = (SELECT hash FROM commit_record WHERE position = {end}), batch_id = NULL"
        ));
    }

    /// Another whole journal as long as this one, which is the same up to `end`.
    pub(super) fn write_anew(&mut self, end: u64) {
        let all = self.grown;
        self.cut(end);
        // Another epoch gives other hashes.
        self.grow(all - end);
    }

    /// The first line of the first file of heads is no head any more.
    pub(super) fn hurt_oldest_head(&self) {
        let mut files: Vec<PathBuf> = fs::read_dir(self.heads())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        let text = fs::read_to_string(&files[0]).unwrap();
        let (_, rest) = text.split_once('\n').unwrap();
        fs::write(&files[0], format!("something else\n{rest}")).unwrap();
    }

    pub(super) fn remove_journal(&self) {
        fs::remove_file(self.data().join(JOURNAL)).unwrap();
    }

    /// Neither folder nor export has signed heads any more.
    pub(super) fn forget_heads(&self) {
        fs::remove_dir_all(self.heads()).unwrap();
        let key = SigningKey::load(&self.data()).unwrap().public();
        let records: Vec<StoredRecord> = crate::audit::export::Export::open(&self.export(), SHARD, None)
            .unwrap()
            .records()
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let mut out = File::create(self.export()).unwrap();
        let mut export = ExportWriter::new(&mut out, &key).unwrap();
        for record in &records {
            export.record(record).unwrap();
        }
        export.finish().unwrap();
    }

    /// Does something with the places.
    pub(super) fn at<T>(&self, work: impl FnOnce(&Places<'_>) -> T) -> T {
        let (data_dir, heads, replica, export) = (self.data(), self.heads(), self.replica(), self.export());
        work(&Places {
            data_dir: &data_dir,
            shard: SHARD,
            heads: &heads,
            key: SigningKey::load(&data_dir).ok().map(|key| key.public()),
            database: None,
            replica: self
                .replica
                .then_some(crate::integrity::Replica::Folder(replica.as_path())),
            export: self.export.then_some(export.as_path()),
        })
    }

    pub(super) fn compare(&self) -> Comparison {
        self.at(|places| compare(places).unwrap())
    }

    pub(super) fn plan(&self, found: &Comparison) -> Plan {
        self.at(|places| plan(places, found, KnownEnd::default()).unwrap())
    }

    pub(super) fn mend(
        &self,
        found: &Comparison,
        mending: &Mending,
        stamp: &str,
    ) -> Result<Mended, IntegrityError> {
        self.mend_until(found, mending, stamp, &mut |_| Ok(()))
    }

    /// The same with somebody who is told before each step, and may end it there.
    pub(super) fn mend_until(
        &self,
        found: &Comparison,
        mending: &Mending,
        stamp: &str,
        before: BeforeStep<'_>,
    ) -> Result<Mended, IntegrityError> {
        let data_dir = self.data();
        let mut renew = |export: &Path| {
            let aside = export.with_extension(stamp);
            fs::rename(export, &aside)?;
            self.make_export();
            Ok(aside)
        };
        self.at(|places| {
            let places = *places;
            let works = [Work {
                places,
                found,
                mending,
            }];
            let repair = Repair {
                data_dir: &data_dir,
                works: &works,
                stamp,
            };
            let mended = mend(&repair, &mut renew, before)?;
            assert!(self.compare().agrees());
            finish(&data_dir, before)?;
            Ok(mended)
        })
    }

    /// Finds one source wrong, repairs it, and finds nothing wrong afterwards.
    #[track_caller]
    pub(super) fn repair(&self, wrong: Source) -> Mended {
        let found = self.compare();
        assert_eq!(found.corruption(), Corruption::One(wrong), "{found:?}");
        let plan = self.plan(&found);
        let Plan::Mend(mending) = &plan else {
            panic!("{plan:?}: {found:?}");
        };
        let mended = self.mend(&found, mending, "2026-11-21").unwrap();
        let after = self.compare();
        assert!(after.is_valid(), "{after:?}");
        mended
    }
}

/// A payment of whose charge nothing was heard, which its merchant is told.
fn unheard(seq: u64) -> Commit {
    let mut commit = creation(SHARD, seq);
    if let Body::Payment(body) = &mut commit.body {
        body.events.push(Event::AttemptUnknown {
            operation: OperationId::Authorize(body.payment),
            number: 1,
            reason: "no answer".into(),
            reference: None,
        });
    }
    commit
}

/// A payment that was charged and given back.
fn given_back(seq: u64) -> Commit {
    let mut commit = unheard(seq);
    if let Body::Payment(body) = &mut commit.body {
        let succeeded = |operation| Event::AttemptSucceeded {
            operation,
            number: 1,
            reference: "pi_1".into(),
            transaction: "ch_1".into(),
            authorization_expires_at: None,
        };
        let refund = OperationId::Refund(RefundId::from_bits(u128::from(seq)));
        body.events.extend([
            succeeded(OperationId::Authorize(body.payment)),
            Event::OperationOpened {
                operation: refund,
                kind: OperationKind::Refund,
                amount: Amount::new(1).unwrap(),
                is_final: false,
                reason: None,
                at: commit.at,
            },
            Event::AttemptPlanned {
                operation: refund,
                number: 1,
                provider: ProviderId::parse("sandbox").unwrap(),
                key: "k".into(),
                deadline: commit.at,
            },
            succeeded(refund),
        ]);
    }
    commit
}

fn row(record: &StoredRecord) -> Option<(PaymentRow, Option<AnnouncingCommit>)> {
    let Body::Payment(body) = &record.commit.body else {
        return None;
    };
    let (payment, said) = evolve_announcing(None, &body.events, record.commit.at).unwrap();
    let payment = payment.unwrap();
    let announced = AnnouncingCommit::of(&record.commit, &payment, &said);
    let row = PaymentRow {
        seq: record.seq,
        payment: Arc::new(payment),
    };
    Some((row, announced))
}
