//! A journal that goes into a database and back, interrupted wherever it may be, and what is refused.

use super::{Direction, JournalMove, MoveError, places, records};
use crate::data_dir::JOURNAL;
use crate::journal::{PostgresJournal, SqliteJournal};
use crate::journal_place;
use crate::postgres::tests::terms;
use crate::postgres::{Database, DatabaseOptions, Durability, Holder, Lease, Mark, Names, Taken};
use crate::schema::samples::creation;
use florin_domain::ids::{Epoch, Seq, ShardId};
use florin_domain::ports::{Batch, Head, Journal};
use florin_services::TestDatabase;
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

mod credentials;

const SHARDS: [ShardId; 2] = [ShardId(0), ShardId(1)];

/// A folder with two shards, and a database.
struct World {
    _folder: TempDir,
    places: Vec<PathBuf>,
    server: TestDatabase,
}

/// More than a page of records of the first shard, and fewer of the second, under two epochs.
const COUNTS: [u64; 2] = [1_500, 7];

impl World {
    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let places = vec![folder.path().to_owned(), folder.path().join("shards/0001")];
        fs::create_dir_all(&places[1]).unwrap();
        Self {
            _folder: folder,
            places,
            server: TestDatabase::new().unwrap(),
        }
    }

    async fn with_journal() -> Self {
        let world = Self::empty();
        for (shard, count) in SHARDS.into_iter().zip(COUNTS) {
            for (after, count) in [(0, 3), (3, count - 3)] {
                let journal = SqliteJournal::open(world.place(shard), shard).unwrap();
                append(&journal, shard, (after, count)).await;
            }
        }
        world
    }

    fn folder(&self) -> &Path {
        &self.places[0]
    }

    fn place(&self, shard: ShardId) -> &Path {
        &self.places[usize::from(shard.0)]
    }

    async fn database(&self) -> Database {
        let options = DatabaseOptions::new(self.server.url());
        Database::open(options, Durability::Local).await.unwrap()
    }

    async fn take(&self) -> Result<(Lease, Vec<Taken>), Holder> {
        Lease::take(&self.database().await, &SHARDS, &terms("a"))
            .await
            .unwrap()
    }

    async fn to_database(&self, progress: &dyn Fn(u64, u64)) -> Result<super::Moved, MoveError> {
        let database = self.database().await;
        let place = (self.folder(), self.places.as_slice());
        let moving = JournalMove::begin(place, &database, Direction::ToDatabase)?;
        moving.mark().await?.move_in(progress).await
    }

    async fn to_folder(&self, progress: &dyn Fn(u64, u64)) -> Result<super::Moved, MoveError> {
        let database = self.database().await;
        let place = (self.folder(), self.places.as_slice());
        if JournalMove::is_unfinished(self.folder())? {
            let moving = JournalMove::begin(place, &database, Direction::ToFolder)?;
            if let Some(moved) = moving.end_in_folder().await? {
                return Ok(moved);
            }
        }
        let id = database.journal_id().await?;
        journal_place::bind(self.folder(), Some(&id))?;
        let (lease, taken) = loop {
            // The lease of a process that has ended runs out.
            match self.take().await {
                Ok(ours) => break ours,
                Err(holder) => tokio::time::sleep(holder.left).await,
            }
        };
        let moving = JournalMove::begin(place, &database, Direction::ToFolder)?;
        let heads = taken.iter().map(|taken| taken.head).collect();
        moving.to_folder((lease, heads), progress).await
    }

    /// What the folder's own journal has, by a node that opens it.
    async fn in_folder(&self) -> Vec<(Vec<u64>, Head)> {
        journal_place::bind(self.folder(), None).unwrap();
        let mut found = Vec::new();
        for shard in SHARDS {
            let journal = SqliteJournal::open(self.place(shard), shard).unwrap();
            found.push(all(&journal, shard).await);
        }
        found
    }

    /// What the database's journal has, by a node that takes its shards.
    async fn in_database(&self) -> Vec<(Vec<u64>, Head)> {
        let database = self.database().await;
        let id = database.journal_id().await.unwrap();
        journal_place::bind(self.folder(), Some(&id)).unwrap();
        let (lease, taken) = self.take().await.unwrap();
        let mut found = Vec::new();
        for taken in &taken {
            let journal = PostgresJournal::open(&database, taken).await.unwrap();
            found.push(all(&journal, taken.shard).await);
        }
        lease.release().await;
        found
    }
}

fn nothing(_: u64, _: u64) {}

async fn append(journal: &impl Journal, shard: ShardId, (after, count): (u64, u64)) {
    let commits: Vec<_> = (after + 1..=after + count)
        .map(|seq| Arc::new(creation(shard, seq)))
        .collect();
    let batch = Batch {
        id: u128::from(after) + 1,
        shard,
        epoch: journal.head(shard).await.unwrap().epoch,
        expected_head: Seq(after),
        commits: commits.into(),
    };
    journal.append(batch).await.unwrap();
}

/// The numbers of all commits, each of which must be what was appended, and the head without its epoch.
async fn all(journal: &impl Journal, shard: ShardId) -> (Vec<u64>, Head) {
    let head = journal.head(shard).await.unwrap();
    let mut seqs = Vec::new();
    loop {
        let after = seqs.last().copied().unwrap_or(0);
        let page = journal.read(shard, Seq(after + 1), 1_000).await.unwrap();
        if page.is_empty() {
            let epoch = Epoch::default();
            return (seqs, Head { epoch, ..head });
        }
        for commit in page {
            assert_eq!(*commit, creation(shard, commit.seq.0));
            seqs.push(commit.seq.0);
        }
    }
}

fn seqs(found: &[(Vec<u64>, Head)]) -> Vec<u64> {
    for (seqs, _) in found {
        assert!(seqs.iter().copied().eq(1..=seqs.len() as u64));
    }
    found.iter().map(|(seqs, _)| seqs.len() as u64).collect()
}

#[tokio::test]
async fn a_journal_goes_into_a_database_and_back_with_the_same_numbers_and_hashes() {
    let world = World::with_journal().await;
    let before = world.in_folder().await;
    let moved = world.to_database(&nothing).await.unwrap();
    assert_eq!(moved.commits(), COUNTS.iter().sum::<u64>());
    assert!(!world.folder().join(JOURNAL).exists());
    assert_eq!(world.in_database().await, before);
    // It goes on there.
    let database = world.database().await;
    let (lease, taken) = world.take().await.unwrap();
    let journal = PostgresJournal::open(&database, &taken[1]).await.unwrap();
    append(&journal, SHARDS[1], (7, 5)).await;
    drop(journal);
    lease.release().await;
    let before = world.in_database().await;

    world.to_folder(&nothing).await.unwrap();
    assert_eq!(world.in_folder().await, before);
    assert_eq!(seqs(&before), [1_500, 12]);
    let holder = world.take().await.unwrap_err();
    assert!(holder.is_move(), "{holder:?}");
    // And here, and there again: what the database still has is the beginning.
    let journal = SqliteJournal::open(world.place(SHARDS[0]), SHARDS[0]).unwrap();
    append(&journal, SHARDS[0], (1_500, 2_000)).await;
    drop(journal);
    let before = world.in_folder().await;
    world.to_database(&nothing).await.unwrap();
    assert_eq!(world.in_database().await, before);
    assert_eq!(seqs(&before), [3_500, 12]);
}

impl World {
    /// Everything of a move into the database up to the note, or up to so many retired files.
    async fn imported_and_noted(&self, retired: Option<usize>) {
        let database = self.database().await;
        let place = (self.folder(), self.places.as_slice());
        let moving = JournalMove::begin(place, &database, Direction::ToDatabase).unwrap();
        let marked = moving.mark().await.unwrap();
        let client = database.client().await.unwrap();
        let (mark, begun) = marked.mark.unwrap();
        for ((shard, file), begun) in marked.files.iter().zip(&begun) {
            let place = (&database, &client, mark.owner());
            records::import(place, file, (*shard, begun), &|_| ())
                .await
                .unwrap();
        }
        journal_place::note(self.folder(), &database.journal_id().await.unwrap()).unwrap();
        let Some(retired) = retired else {
            return;
        };
        mark.take_off(&marked.heads, &[]).await.unwrap();
        drop(marked.files);
        for place in &self.places[..retired] {
            places::retire(place).unwrap();
        }
    }

    /// What a failover to a copy that is behind leaves.
    fn loses(&self, sql: &str) {
        let sql = format!("SET session_replication_role = replica; {sql}");
        self.server.query(&sql).unwrap();
    }
}

#[tokio::test]
async fn what_the_database_loses_before_the_end_is_moved_again_and_after_it_nothing_is_believed() {
    let tail = "DELETE FROM florin.commit_record WHERE shard = 0 AND seq > 10;
                UPDATE florin.shard SET head = 10, hash = (SELECT hash FROM florin.commit_record WHERE shard = 0 AND seq = 10) WHERE id = 0";
    // Its mark is still there.
    let world = World::with_journal().await;
    let before = world.in_folder().await;
    world.imported_and_noted(None).await;
    world.loses(tail);
    world.to_database(&nothing).await.unwrap();
    assert_eq!(world.in_database().await, before);

    // It is not: nobody goes on with a part, and the folder keeps all.
    let world = World::with_journal().await;
    world.imported_and_noted(Some(2)).await;
    world.loses(tail);
    let lost = world.to_database(&nothing).await.unwrap_err().to_string();
    assert!(lost.contains("has lost commits of shard 0"), "{lost}");
    assert!(JournalMove::is_unfinished(world.folder()).unwrap());
    // As the document says.
    for place in &world.places {
        fs::rename(place.join("journal.db.moved"), place.join(JOURNAL)).unwrap();
    }
    fs::remove_file(world.folder().join("journal.postgres")).unwrap();
    fs::remove_file(world.folder().join("journal.moving")).unwrap();
    assert_eq!(seqs(&world.in_folder().await), COUNTS);
    world.to_database(&nothing).await.unwrap();
    assert_eq!(seqs(&world.in_database().await), COUNTS);
}

#[tokio::test]
async fn the_mark_is_not_taken_off_a_database_that_lacks_something() {
    let world = World::with_journal().await;
    let database = world.database().await;
    let place = (world.folder(), world.places.as_slice());
    let moving = JournalMove::begin(place, &database, Direction::ToDatabase).unwrap();
    let marked = moving.mark().await.unwrap();
    let (mark, _) = marked.mark.unwrap();
    let error = mark.take_off(&marked.heads, &[]).await.unwrap_err().to_string();
    assert!(error.contains("has not all that was moved there"), "{error}");
    assert!(world.take().await.unwrap_err().is_move());
}

#[tokio::test]
async fn stores_go_along_and_a_file_that_is_none_is_refused() {
    let world = World::with_journal().await;
    let path = crate::payment_links::file_in(world.folder());
    let put = |count: u32| {
        let file = crate::payment_links::new_file(&path).unwrap();
        for number in 0..count {
            let sql =
                "INSERT OR REPLACE INTO answer (key, asked, at_ms, id, body) VALUES (?1, x'', ?1, x'', '')";
            file.execute(&sql.replace("(?1, x", "(CAST(?1 AS BLOB), x"), [number])
                .unwrap();
        }
    };
    let there = || {
        let sql = "SELECT count(*) FROM florin.store_row WHERE store = 'links'";
        world.server.query(sql).unwrap().trim().to_owned()
    };
    put(2_500);
    let moved = world.to_database(&nothing).await.unwrap();
    assert_eq!((moved.rows, there().as_str()), (2_500, "2500"));
    world.to_folder(&nothing).await.unwrap();
    // What was erased meanwhile is not there again.
    let file = crate::payment_links::new_file(&path).unwrap();
    assert_eq!(
        file.execute("DELETE FROM answer WHERE at_ms >= 7", []).unwrap(),
        2_493
    );
    drop(file);
    fs::write(crate::card_vault::file_in(world.folder()), "").unwrap();
    let empty = world.to_database(&nothing).await.unwrap_err().to_string();
    assert!(empty.contains("it has version 0"), "{empty}");
    fs::remove_file(crate::card_vault::file_in(world.folder())).unwrap();
    let moved = world.to_database(&nothing).await.unwrap();
    assert_eq!((moved.rows, there().as_str()), (7, "7"));
}

/// Begins a move on a thread that panics when it tells of its progress for this time, as if the process had ended there. Whether it came so far.
fn ends_at(world: &World, time: u64, direction: Direction) -> bool {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let times = Cell::new(0);
        let progress = |_, _| {
            times.set(times.get() + 1);
            assert!(times.get() < time, "the process ends here");
        };
        runtime.block_on(async {
            match direction {
                Direction::ToDatabase => world.to_database(&progress).await.unwrap(),
                Direction::ToFolder => world.to_folder(&progress).await.unwrap(),
            }
        });
    };
    std::thread::scope(|scope| scope.spawn(run).join()).is_err()
}

#[tokio::test]
async fn a_move_that_was_interrupted_is_gone_on_with_and_no_node_uses_half_of_it() {
    let world = World::with_journal().await;
    let before = world.in_folder().await;
    let mut times = 0;
    while ends_at(&world, times + 1, Direction::ToDatabase) {
        times += 1;
        let holder = world.take().await.unwrap_err();
        assert!(holder.is_move(), "{times}: {holder:?}");
        // The folder is whole as well: a node may go on with it, and move it later.
        assert_eq!(world.in_folder().await, before, "{times}");
        let other = world.to_folder(&nothing).await.unwrap_err().to_string();
        assert!(
            other.contains("run `florin migrate-store --to postgres`"),
            "{other}"
        );
    }
    // What was there, two pages and one, and the same when it is read back.
    assert!(times >= 3, "{times}");
    assert_eq!(world.in_database().await, before);

    let mut times = 0;
    while ends_at(&world, times + 1, Direction::ToFolder) {
        times += 1;
        assert_eq!(world.in_database_later().await, before, "{times}");
    }
    assert!(times >= 3, "{times}");
    assert_eq!(world.in_folder().await, before);
}

impl World {
    /// The same once the lease of a process that has ended has run out.
    async fn in_database_later(&self) -> Vec<(Vec<u64>, Head)> {
        let sql = "UPDATE florin.shard SET lease_until = '-infinity'";
        self.server.query(sql).unwrap();
        self.in_database().await
    }
}

#[tokio::test]
async fn a_move_that_was_interrupted_at_its_end_ends() {
    // Into the database: noted, perhaps with the mark taken off, and then perhaps with some files retired.
    for retired in [None, Some(0), Some(1), Some(2)] {
        let world = World::with_journal().await;
        let before = world.in_folder().await;
        world.imported_and_noted(retired).await;
        // Not here any more.
        journal_place::bind(world.folder(), None).unwrap_err();
        let moved = world.to_database(&nothing).await.unwrap();
        assert_eq!(moved.commits(), COUNTS.iter().sum::<u64>());
        assert_eq!(world.in_database().await, before);
        assert!(!JournalMove::is_unfinished(world.folder()).unwrap());
    }
    // Into the folder: marked, and perhaps some files installed.
    for installed in 0..=2 {
        let world = World::with_journal().await;
        let before = world.in_folder().await;
        world.to_database(&nothing).await.unwrap();
        let database = world.database().await;
        let (lease, taken) = world.take().await.unwrap();
        let place = (world.folder(), world.places.as_slice());
        let moving = JournalMove::begin(place, &database, Direction::ToFolder).unwrap();
        let heads: Vec<Head> = taken.iter().map(|taken| taken.head).collect();
        for (shard, head) in SHARDS.into_iter().zip(&heads) {
            records::export(
                &database,
                (&places::coming(world.place(shard)), shard),
                head,
                &|_| (),
            )
            .await
            .unwrap();
        }
        Mark::replace(&database, &moving.name, (&lease, &heads))
            .await
            .unwrap();
        drop(lease);
        for place in &world.places[..installed] {
            places::install(place).unwrap();
        }
        journal_place::bind(world.folder(), None).unwrap_err();
        assert!(world.take().await.unwrap_err().is_move());
        if installed == 0 {
            // What is to come is not there: nothing is begun anew in its place.
            let (coming, kept) = (places::coming(world.folder()), world.folder().join("kept"));
            fs::rename(&coming, &kept).unwrap();
            let error = world.to_folder(&nothing).await.unwrap_err().to_string();
            assert!(error.contains("there is neither"), "{error}");
            fs::copy(places::coming(world.place(SHARDS[1])), &coming).unwrap();
            let error = world.to_folder(&nothing).await.unwrap_err().to_string();
            assert!(error.contains("put that file back"), "{error}");
            journal_place::bind(world.folder(), None).unwrap_err();
            fs::rename(&kept, &coming).unwrap();
        }
        let moved = world.to_folder(&nothing).await.unwrap();
        assert_eq!(moved.commits(), COUNTS.iter().sum::<u64>());
        assert_eq!(world.in_folder().await, before);
        assert!(!JournalMove::is_unfinished(world.folder()).unwrap());
    }
}

#[tokio::test]
async fn another_journal_a_living_node_and_another_move_are_left_alone() {
    let world = World::with_journal().await;
    let other = World::with_journal().await;
    let refused = async |world: &World| world.to_database(&nothing).await.unwrap_err().to_string();

    // A node.
    let (lease, _) = world.take().await.unwrap();
    let error = refused(&world).await;
    assert!(error.contains("the node `a` has its shards"), "{error}");
    lease.release().await;
    // A move of another folder, also of the same journal.
    let database = world.database().await;
    let names = Names {
        begun: "another",
        moved_out: None,
    };
    let heads = [Head::default(); 2];
    let (mark, _) = Mark::set(&database, names, &heads, &|_, _| Ok(true))
        .await
        .unwrap();
    let error = refused(&world).await;
    assert!(error.contains("from another folder"), "{error}");
    mark.take_off(&heads, &[]).await.unwrap();
    // Another journal: of the same numbers, and of other hashes.
    let url = |world: &World| world.server.url().to_owned();
    assert_ne!(url(&world), url(&other));
    let (lease, taken) = world.take().await.unwrap();
    let journal = PostgresJournal::open(&database, &taken[0]).await.unwrap();
    append(&journal, SHARDS[0], (0, 1)).await;
    drop(journal);
    lease.release().await;
    let error = refused(&world).await;
    assert!(error.contains("are not the beginning of the journal"), "{error}");
    // Nothing of it is marked, and the folder goes on.
    let (lease, _) = world.take().await.unwrap();
    lease.release().await;
    assert_eq!(seqs(&world.in_folder().await), COUNTS);
}
