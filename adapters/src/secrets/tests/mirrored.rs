//! Sets that are in a database first: every node begins with exactly those, whatever its folder has, and nobody changes them whose turn is over.

use super::*;
use crate::mirror::MirrorIn;
use crate::mirror::tests::{at, connected, database};
use crate::postgres::Database;
use florin_services::TestDatabase;

/// A database, and what the journal in it would say.
struct Shared {
    server: TestDatabase,
    database: Database,
    world: World,
    turns: u64,
}

/// A data folder of a node.
struct Node(TempDir);

impl Node {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        Folder::new(folder_in(self.0.path()), unwatched()).file(SHOP)
    }

    fn sealed(&self) -> Option<Vec<u8>> {
        fs::read(self.file()).ok()
    }

    /// The name and the files of what was kept aside.
    fn aside(&self) -> Option<(String, Vec<u8>)> {
        let mut found = fs::read_dir(self.0.path()).unwrap().filter_map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let is_aside = name.starts_with("credentials.") && path.is_dir();
            is_aside.then(|| {
                let file = Folder::new(&path, unwatched()).file(SHOP);
                (name, fs::read(file).unwrap())
            })
        });
        let first = found.next();
        assert_eq!(found.next(), None, "once at most");
        first
    }
}

/// A node with the shards.
struct Turn {
    store: SecretStore,
    book: Arc<Book>,
    place: MirrorIn,
}

impl Shared {
    async fn new() -> Self {
        let server = TestDatabase::new().unwrap();
        Self {
            database: database(&server).await,
            server,
            world: World::new(),
            turns: 0,
        }
    }

    /// A node takes the shards and opens what there is.
    async fn opened(&mut self, node: &Node) -> Turn {
        self.turns += 1;
        let place = at(&self.server, &self.database, self.turns).await;
        let book = Arc::new(Book::default());
        let clock = Arc::clone(&self.world.clock) as Arc<dyn Clock>;
        let world = (terms(), clock, Arc::clone(&book));
        let folder = folder_in(node.0.path());
        let store = SecretStore::open_mirrored(&folder, self.world.keks(), world, Some(&place)).unwrap();
        Turn { store, book, place }
    }

    /// The same, and the journal agrees.
    async fn turn(&mut self, node: &Node) -> Turn {
        let turn = self.opened(node).await;
        turn.store.compare(&self.world.journaled).unwrap();
        turn
    }

    async fn put(&mut self, turn: &Turn, text: &str) -> u32 {
        self.world.put(&turn.store, (SHOP, stripe()), key(text)).await
    }

    /// The shop's file as the database has it.
    async fn row(&self) -> Option<Vec<u8>> {
        let client = self.database.client().await.unwrap();
        let store = (kept::STORE, kept::FORM_VERSION);
        let all = crate::mirror::download::blobs(&client, store).await.unwrap();
        all?.remove(SHOP.bits().to_be_bytes().as_slice())
    }

    fn present(turn: &Turn) -> Vec<(u32, String)> {
        let present = turn.store.present(SHOP, stripe()).unwrap();
        let set = |set: florin_domain::ports::PresentCredentials| {
            let key = set.credentials.request_key().expose().to_owned();
            (set.about.version, key)
        };
        present.into_iter().map(set).collect()
    }

    async fn runs(&self, sql: &str) {
        connected(&self.server).await.batch_execute(sql).await.unwrap();
    }
}

#[tokio::test]
async fn whoever_takes_over_has_exactly_the_sets_of_the_database_and_the_one_before_changes_nothing() {
    let (mut shared, nodes) = (Shared::new().await, [Node::new(), Node::new()]);
    let first = shared.turn(&nodes[0]).await;
    assert_eq!(shared.put(&first, FIRST_KEY).await, 1);
    assert_eq!(shared.row().await, nodes[0].sealed());
    let second = shared.turn(&nodes[1]).await;
    assert_eq!(Shared::present(&second), [(1, FIRST_KEY.to_owned())]);
    assert_eq!(nodes[1].sealed(), nodes[0].sealed());

    // The one before: refused, nothing of it is anywhere, and it ends.
    let before = shared.row().await;
    assert_eq!(*first.place.failed.borrow(), None);
    let robbed = first.store.put(SHOP, stripe(), key(SECOND_KEY), None).await;
    assert!(matches!(robbed, Err(SecretsError::Store(_))), "{robbed:?}");
    let told = first.place.failed.borrow().clone();
    assert!(told.is_some_and(|told| told.contains("another process has claimed")));
    assert_eq!(shared.row().await, before);
    drop(first);

    assert_eq!(shared.put(&second, SECOND_KEY).await, 2);
    shared.world.retire(&second.store, (SHOP, stripe()), 1).await;
    drop(second);
    // Its folder has what is retired by now.
    let first = shared.turn(&nodes[0]).await;
    assert_eq!(Shared::present(&first), [(2, SECOND_KEY.to_owned())]);
    assert_eq!(nodes[0].sealed(), shared.row().await);
    assert_eq!(nodes[0].aside(), None, "it was only behind");
    let file = SealedFile::open(SHOP, &shared.row().await.unwrap(), &shared.world.keks()).unwrap();
    let has_secret: Vec<bool> = file
        .records
        .iter()
        .map(|record| record.credentials.is_some())
        .collect();
    assert_eq!(has_secret, [false, true], "what is retired is in no row");
    assert_eq!(first.store.list(SHOP, stripe()).unwrap().len(), 2);
}

#[tokio::test]
async fn a_database_without_any_gets_those_of_a_folder_once_its_journal_agrees_and_not_before() {
    let mut shared = Shared::new().await;
    // As an earlier release left it: the journal in the database, sets in one folder, and an older copy in another.
    let (latest, older, empty) = (Node::new(), Node::new(), Node::new());
    let (store, _) = shared.world.open();
    shared.world.put(&store, (SHOP, stripe()), key(FIRST_KEY)).await;
    let own = Node(std::mem::replace(
        &mut shared.world.data,
        tempfile::tempdir().unwrap(),
    ));
    fs::copy(
        development_kek_in(own.0.path()),
        development_kek_in(shared.world.data.path()),
    )
    .unwrap();
    let copy = |to: &Node| {
        fs::create_dir_all(folder_in(to.0.path())).unwrap();
        fs::copy(own.file(), to.file()).unwrap();
    };
    copy(&older);
    shared.world.put(&store, (SHOP, stripe()), key(SECOND_KEY)).await;
    copy(&latest);
    for (node, had) in [(&empty, None), (&older, older.sealed())] {
        let turn = shared.opened(node).await;
        let refused = turn
            .store
            .compare(&shared.world.journaled)
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("the database has no credentials yet"),
            "{refused}"
        );
        assert_eq!(shared.row().await, None);
        assert_eq!(node.sealed(), had);
    }
    let turn = shared.turn(&latest).await;
    assert_eq!(shared.row().await, latest.sealed());
    let both = [(2, SECOND_KEY.to_owned()), (1, FIRST_KEY.to_owned())];
    assert_eq!(Shared::present(&turn), both);
    drop(turn);
    let stale = older.sealed().unwrap();
    for node in [&empty, &older] {
        let turn = shared.turn(node).await;
        assert_eq!(Shared::present(&turn), both);
        assert_eq!(node.sealed(), latest.sealed());
    }
    assert_eq!(empty.aside(), None);
    assert_eq!(older.aside(), Some(("credentials.unused".to_owned(), stale)));
}

#[tokio::test]
async fn what_the_database_has_lost_is_kept_aside_and_the_folder_is_made_anew() {
    let (mut shared, node) = (Shared::new().await, Node::new());
    let turn = shared.turn(&node).await;
    shared.put(&turn, FIRST_KEY).await;
    let journaled = shared.world.journaled.clone();
    let keeps = "CREATE TABLE kept AS SELECT * FROM florin.store; CREATE TABLE kept_row AS SELECT * FROM florin.store_row";
    shared.runs(keeps).await;
    let kept = shared.row().await;
    shared.put(&turn, SECOND_KEY).await;
    drop(turn);
    let had = node.sealed().unwrap();
    // A failover without a synchronous copy: the journal has lost the change as well.
    let loses = "DELETE FROM florin.store_row; INSERT INTO florin.store_row SELECT * FROM kept_row;
        UPDATE florin.store SET version = kept.version, change_id = kept.change_id FROM kept";
    shared.runs(loses).await;
    shared.world.journaled = journaled;
    for _ in 0..2 {
        let turn = shared.turn(&node).await;
        assert_eq!(Shared::present(&turn), [(1, FIRST_KEY.to_owned())]);
        assert_eq!(node.sealed(), kept);
        let (name, aside) = node.aside().unwrap();
        assert!(name.starts_with("credentials.lost-2-") && aside == had, "{name}");
    }
}

/// A row that is in the database and was never answered, as a node leaves it that is killed between the two, is put away by the next one.
#[tokio::test]
async fn what_was_never_journaled_goes_from_the_database_too() {
    let (mut shared, nodes) = (Shared::new().await, [Node::new(), Node::new()]);
    let first = shared.turn(&nodes[0]).await;
    shared.put(&first, FIRST_KEY).await;
    let begun = first.store.put(SHOP, stripe(), key(SECOND_KEY), None).await;
    assert!(matches!(begun, Ok(Begun::New(_))), "{begun:?}");
    drop(first);
    let second = shared.turn(&nodes[1]).await;
    assert_eq!(Shared::present(&second), [(1, FIRST_KEY.to_owned())]);
    let file = SealedFile::open(SHOP, &shared.row().await.unwrap(), &shared.world.keks()).unwrap();
    assert_eq!(file.records.len(), 1);
    let later = now(&shared.world);
    assert_eq!(
        secret(&second.book, (SHOP, stripe()), later).await.as_deref(),
        Some(FIRST_KEY)
    );
}

/// The folder of a node may not be written: the database has what was answered, and the next start mends the folder.
#[tokio::test]
async fn a_folder_that_cannot_follow_stops_nobody_and_is_made_right_by_the_next_start() {
    let (mut shared, node) = (Shared::new().await, Node::new());
    let turn = shared.turn(&node).await;
    shared.put(&turn, FIRST_KEY).await;
    // Where the file is to be renamed to, there is a folder.
    fs::remove_file(node.file()).unwrap();
    fs::create_dir_all(node.file().join("in the way")).unwrap();
    assert_eq!(shared.put(&turn, SECOND_KEY).await, 2);
    assert_eq!(*turn.place.failed.borrow(), None);
    drop(turn);
    fs::remove_dir_all(node.file()).unwrap();
    let turn = shared.turn(&node).await;
    assert_eq!(Shared::present(&turn).len(), 2);
    assert_eq!(node.sealed(), shared.row().await);
}
