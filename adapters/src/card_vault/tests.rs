//! What the vault promises: what was answered is there, what was erased is not, and nobody else can read it.

use super::codes::CODES_MAX;
use super::*;
use crate::entropy::OsEntropy;
use crate::secrets::FileKek;
use crate::store_file::tests::{put_aged, until_none_is_aged};
use florin_domain::card_details::CardInput;
use florin_domain::credentials::SecretText;
use florin_domain::idempotency::KeyDigest;
use florin_domain::ids::{CustomerId, MerchantId, MethodId};
use florin_domain::ports::{CardVault, ChargedCards, Clock, Kek, VaultError, VaultKey};
use florin_domain::time::Timestamp;
use florin_domain::vault::{
    Changed, Customer, Listed, Once, Owner, Profile, SavedMethod, SavedToken, VaultChange, VaultObject,
    VaultPage, VaultRefusal,
};
use rusqlite::Connection;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use tempfile::TempDir;
use zeroize::Zeroizing;

mod changes;

const NUMBER: &str = "4000056655665556";
const START_MS: u64 = 1_795_348_800_000;
const HOUR_MS: u64 = 3_600_000;

/// Time that a test moves, and may hold still.
#[derive(Debug)]
struct Moved {
    ms: AtomicU64,
    gate: Mutex<()>,
}

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        drop(self.gate.lock().unwrap());
        Timestamp::from_unix_ms(self.ms.load(Ordering::Relaxed))
    }
}

struct Bench {
    folder: TempDir,
    clock: Arc<Moved>,
    store: Option<CardStore>,
}

fn kek(folder: &Path, name: &str) -> Arc<dyn Kek> {
    Arc::new(FileKek::load_or_create(&folder.join(name)).unwrap())
}

impl Bench {
    fn new() -> Self {
        let clock = Arc::new(Moved {
            ms: AtomicU64::new(START_MS),
            gate: Mutex::default(),
        });
        let mut bench = Self {
            folder: tempfile::tempdir().unwrap(),
            clock,
            store: None,
        };
        bench.reopen("kek").unwrap();
        bench
    }

    fn file(&self) -> PathBuf {
        file_in(self.folder.path())
    }

    fn reopen(&mut self, key: &str) -> Result<(), OpenError> {
        self.store = None;
        let keks = vec![kek(self.folder.path(), key)];
        self.store = Some(self.open(&self.file(), keks, &StoreOptions::default())?);
        Ok(())
    }

    fn open(
        &self,
        file: &Path,
        keks: Vec<Arc<dyn Kek>>,
        options: &StoreOptions,
    ) -> Result<CardStore, OpenError> {
        let world = (Arc::clone(&self.clock) as _, Arc::new(OsEntropy::new()) as _);
        CardStore::open(file, keks, world, options)
    }

    fn store(&self) -> &CardStore {
        self.store.as_ref().unwrap()
    }

    async fn change(&self, owner: Owner, change: VaultChange) -> Result<VaultObject, VaultError> {
        self.store()
            .change(owner, change, None)
            .await
            .map(|changed| changed.object)
    }

    async fn method(&self, owner: Owner, number: &str, code: Option<&str>) -> SavedMethod {
        let change = VaultChange::CreateMethod {
            card: typed(number, code),
            said: Profile::default(),
        };
        match self.change(owner, change).await.unwrap() {
            VaultObject::Method(method) => method,
            other => panic!("{other:?}"),
        }
    }

    async fn customer(&self, owner: Owner, name: &str) -> Customer {
        let change = VaultChange::CreateCustomer {
            said: said(&[("name", name)]),
            method: None,
        };
        match self.change(owner, change).await.unwrap() {
            VaultObject::Customer(customer) => customer,
            other => panic!("{other:?}"),
        }
    }

    async fn token(&self, owner: Owner) -> SavedToken {
        let change = VaultChange::CreateToken {
            card: typed(NUMBER, Some("123")),
            said: Profile::default(),
        };
        match self.change(owner, change).await.unwrap() {
            VaultObject::Token(token) => token,
            other => panic!("{other:?}"),
        }
    }

    async fn number(&self, merchant: MerchantId, method: MethodId) -> Option<String> {
        let card = self.store().open(merchant, method).await.unwrap();
        card.map(|charged| charged.card.number().to_owned())
    }
}

fn owner(bits: u128) -> Owner {
    Owner {
        merchant: MerchantId::from_bits(bits),
        livemode: false,
    }
}

#[expect(clippy::unnecessary_box_returns, reason = "changes take a boxed card")]
fn typed(number: &str, code: Option<&str>) -> Box<CardInput> {
    Box::new(CardInput {
        number: SecretText::new(number),
        exp_month: SecretText::new("12"),
        exp_year: SecretText::new("2034"),
        security_code: code.map(SecretText::new),
        holder: Some(SecretText::new("Jane Distinctive")),
    })
}

fn said(pairs: &[(&str, &str)]) -> Profile {
    Profile(
        pairs
            .iter()
            .map(|(place, text)| ((*place).into(), (*text).into()))
            .collect(),
    )
}

#[expect(clippy::unnecessary_wraps, reason = "changes take an optional key")]
fn once(key: u8, asked: &[u8]) -> Option<Once> {
    Some(Once {
        key: KeyDigest([key; 16]),
        asked: Zeroizing::new(asked.to_vec()),
    })
}

fn holds(file: &Path, wanted: &[u8]) -> bool {
    ["", "-wal"].iter().any(|end| {
        let mut name = file.as_os_str().to_owned();
        name.push(end);
        let bytes = fs::read(name).unwrap_or_default();
        bytes.windows(wanted.len()).any(|window| window == wanted)
    })
}

#[tokio::test]
async fn what_was_answered_is_there_after_the_process_died_and_after_a_proper_end() {
    let mut bench = Bench::new();
    let customer = bench.customer(owner(1), "Jane").await;
    let method = bench.method(owner(1), NUMBER, Some("123")).await;
    let attach = VaultChange::Attach {
        id: method.id,
        customer: customer.id,
    };
    let attached = bench.change(owner(1), attach).await.unwrap();
    // The files as a process leaves them that is killed here.
    let other = tempfile::tempdir().unwrap();
    for name in ["vault.db", "vault.db-wal"] {
        fs::copy(bench.folder.path().join(name), other.path().join(name)).unwrap();
    }
    let killed = bench.open(
        &file_in(other.path()),
        vec![kek(bench.folder.path(), "kek")],
        &StoreOptions::default(),
    );
    let found = killed
        .unwrap()
        .get(owner(1), VaultKey::Method(method.id))
        .await
        .unwrap();
    assert_eq!(found.as_ref(), Some(&attached));
    bench.reopen("kek").unwrap();
    let found = bench
        .store()
        .get(owner(1), VaultKey::Customer(customer.id))
        .await
        .unwrap();
    assert_eq!(found, Some(VaultObject::Customer(customer.clone())));
    assert_eq!(
        bench.number(owner(1).merchant, method.id).await.as_deref(),
        Some(NUMBER)
    );
    let page = VaultPage {
        listed: Listed::MethodsOf(customer.id),
        limit: 10,
        starting_after: None,
        ending_before: None,
    };
    assert_eq!(
        bench.store().list(owner(1), page).await.unwrap(),
        Some((vec![attached], false))
    );
    let charged = bench
        .store()
        .open(owner(1).merchant, method.id)
        .await
        .unwrap()
        .unwrap();
    assert!(charged.code.is_none(), "no security code survives the process");
}

#[tokio::test]
async fn nothing_of_a_person_or_a_card_can_be_read_from_the_files() {
    let bench = Bench::new();
    bench.customer(owner(1), "Jane Distinctive").await;
    bench.method(owner(1), NUMBER, Some("917")).await;
    bench.token(owner(1)).await;
    for text in [NUMBER, "Distinctive", "917\"", "40000566", "2034"] {
        assert!(!holds(&bench.file(), text.as_bytes()), "{text}");
    }
}

#[tokio::test]
async fn another_key_or_a_damaged_file_is_refused_when_it_is_opened() {
    let mut bench = Bench::new();
    bench.method(owner(1), NUMBER, None).await;
    let refused = bench.reopen("other").unwrap_err().to_string();
    assert!(
        refused.contains("sealed under the key-encryption key"),
        "{refused}"
    );
    let mut bytes = fs::read(bench.file()).unwrap();
    for byte in &mut bytes[100..3000] {
        *byte ^= 0x5a;
    }
    fs::write(bench.file(), bytes).unwrap();
    assert!(bench.reopen("kek").is_err());
}

#[tokio::test]
async fn a_record_that_was_changed_or_moved_does_not_open() {
    let mut bench = Bench::new();
    let first = bench.method(owner(1), NUMBER, None).await;
    bench.method(owner(1), "5555555555554444", None).await;
    bench.store = None;
    let file = Connection::open(bench.file()).unwrap();
    // The sealed number of the other card in the place of the first one's. Of this row only: a statement that changes both reads for the
    // second what it wrote for the first, and which one is the second is up to their ids.
    let sql = "UPDATE object SET card = (SELECT card FROM object AS other WHERE other.id <> object.id) WHERE id = ?1";
    assert_eq!(file.execute(sql, [first.id.bits().to_be_bytes()]).unwrap(), 1);
    drop(file);
    bench.reopen("kek").unwrap();
    let opened = bench.store().open(owner(1).merchant, first.id).await;
    assert!(matches!(opened, Err(VaultError::Store(_))), "{opened:?}");
}

#[tokio::test]
async fn what_is_erased_is_overwritten_in_the_file_and_its_log() {
    let bench = Bench::new();
    let customer = bench.customer(owner(1), "Jane").await;
    let method = bench.method(owner(1), NUMBER, Some("123")).await;
    let spare = bench.method(owner(1), "5555555555554444", Some("123")).await;
    let attach = VaultChange::Attach {
        id: method.id,
        customer: customer.id,
    };
    bench
        .store()
        .change(owner(1), attach, once(1, b"attach"))
        .await
        .unwrap();
    let read = |id: u128| -> Vec<Vec<u8>> {
        let file = Connection::open(bench.file()).unwrap();
        let sql = "SELECT sealed FROM object WHERE id = ?1 UNION SELECT card FROM object WHERE id = ?1 AND card IS NOT NULL
                   UNION SELECT sealed FROM answer WHERE about = ?1";
        let mut statement = file.prepare(sql).unwrap();
        let rows = statement.query_map([id.to_be_bytes()], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    let (of_customer, of_method, of_spare) = (
        read(customer.id.bits()),
        read(method.id.bits()),
        read(spare.id.bits()),
    );
    assert_eq!((of_customer.len(), of_method.len(), of_spare.len()), (1, 3, 2));
    bench
        .change(owner(1), VaultChange::DeleteCustomer { id: customer.id })
        .await
        .unwrap();
    bench
        .change(owner(1), VaultChange::Detach { id: spare.id })
        .await
        .unwrap();
    // The next answer comes after the log was emptied.
    bench.customer(owner(1), "Another").await;
    for sealed in of_customer.iter().chain(&of_method).chain(&of_spare) {
        assert!(!holds(&bench.file(), sealed));
    }
    assert_eq!(bench.number(owner(1).merchant, method.id).await, None);
    assert_eq!(bench.number(owner(1).merchant, spare.id).await, None);
    assert_eq!(bench.store().codes_kept(), 0);
    let gone = bench
        .store()
        .get(owner(1), VaultKey::Method(method.id))
        .await
        .unwrap();
    assert_eq!(gone, None);
    let attach = VaultChange::Attach {
        id: spare.id,
        customer: customer.id,
    };
    assert_eq!(
        bench.change(owner(1), attach).await,
        Err(VaultRefusal::NoSuchCustomer.into())
    );
}
