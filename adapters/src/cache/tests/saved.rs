//! Saved cards: what is shown of one is what the vault shows, whichever change was made of it.

use super::lossy::Lossy;
use crate::cache::cards::CachedCards;
use crate::cache::shared::Shared;
use crate::card_vault::{CardStore, StoreOptions};
use crate::clock::SystemClock;
use crate::entropy::OsEntropy;
use crate::secrets::FileKek;
use florin_domain::card_details::CardInput;
use florin_domain::credentials::SecretText;
use florin_domain::ids::{CustomerId, MerchantId, MethodId};
use florin_domain::ports::{CardVault, Kek, ShownCards as _, VaultKey};
use florin_domain::vault::{Owner, Profile, SavedMethod, VaultChange, VaultObject};
use proptest::prelude::*;
use std::sync::Arc;
use tempfile::TempDir;

const OWNER: Owner = Owner {
    merchant: MerchantId::from_bits(7),
    livemode: false,
};
const OTHER: Owner = Owner {
    merchant: MerchantId::from_bits(8),
    livemode: false,
};

struct Bench {
    _folder: TempDir,
    vault: Arc<CardStore>,
    cards: CachedCards,
    store: Arc<Lossy>,
}

fn said(text: &str) -> Profile {
    Profile(std::iter::once(("name".into(), text.into())).collect())
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kek: Arc<dyn Kek> = Arc::new(FileKek::load_or_create(&folder.path().join("kek")).unwrap());
        let world = (Arc::new(SystemClock::new()) as _, Arc::new(OsEntropy::new()) as _);
        let options = StoreOptions::default();
        let vault = Arc::new(CardStore::in_memory(vec![kek], world, &options).unwrap());
        let store = Arc::new(Lossy::default());
        let shared = Shared::start(Arc::clone(&store) as _).unwrap();
        let cards = CachedCards::new(Arc::clone(&vault) as _, Some(shared));
        Self {
            _folder: folder,
            vault,
            cards,
            store,
        }
    }

    async fn change(&self, change: VaultChange) -> VaultObject {
        self.cards.change(OWNER, change, None).await.unwrap().object
    }

    async fn method(&self) -> SavedMethod {
        let card = Box::new(CardInput {
            number: SecretText::new("4242424242424242"),
            exp_month: SecretText::new("12"),
            exp_year: SecretText::new("2034"),
            security_code: None,
            holder: None,
        });
        let said = said("A Cardholder");
        match self.change(VaultChange::CreateMethod { card, said }).await {
            VaultObject::Method(method) => method,
            other => panic!("{other:?}"),
        }
    }

    async fn customer(&self) -> CustomerId {
        let change = VaultChange::CreateCustomer {
            said: said("A Customer"),
            method: None,
        };
        match self.change(change).await {
            VaultObject::Customer(customer) => customer.id,
            other => panic!("{other:?}"),
        }
    }

    /// What is shown of it, with the cache and without.
    async fn both(&self, owner: Owner, id: MethodId) -> [Option<VaultObject>; 2] {
        let key = VaultKey::Method(id);
        let with = self.cards.method_shown(owner, id).await.unwrap();
        [with, self.vault.get(owner, key).await.unwrap()]
    }
}

#[derive(Clone, Debug)]
enum Step {
    Look(usize),
    Update(usize, u8),
    Attach(usize, usize),
    Detach(usize),
    DeleteCustomer(usize),
    Customer(usize),
    ForgetMemory,
    Lose(usize),
    Flush,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_usize).prop_map(Step::Look),
        2 => (0..3_usize, any::<u8>()).prop_map(|(which, name)| Step::Update(which, name)),
        2 => (0..3_usize, 0..2_usize).prop_map(|(which, whose)| Step::Attach(which, whose)),
        1 => (0..3_usize).prop_map(Step::Detach),
        1 => (0..2_usize).prop_map(Step::DeleteCustomer),
        1 => (0..2_usize).prop_map(Step::Customer),
        3 => Just(Step::ForgetMemory),
        1 => (1..4_usize).prop_map(Step::Lose),
        1 => Just(Step::Flush),
    ]
}

/// What a step changes, if it changes anything.
fn change(step: &Step, methods: &[MethodId], customers: &[CustomerId]) -> Option<VaultChange> {
    Some(match step {
        Step::Update(which, name) => VaultChange::UpdateMethod {
            id: methods[*which],
            said: said(&format!("Name {name}")),
            expiry: (None, None),
        },
        Step::Attach(which, whose) => VaultChange::Attach {
            id: methods[*which],
            customer: customers[*whose],
        },
        Step::Detach(which) => VaultChange::Detach { id: methods[*which] },
        Step::DeleteCustomer(whose) => VaultChange::DeleteCustomer {
            id: customers[*whose],
        },
        Step::Look(_) | Step::Customer(_) | Step::ForgetMemory | Step::Lose(_) | Step::Flush => return None,
    })
}

async fn agrees(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let bench = Bench::new();
    let methods = [
        bench.method().await.id,
        bench.method().await.id,
        bench.method().await.id,
    ];
    let mut customers = [bench.customer().await, bench.customer().await];
    for step in steps {
        if let Some(change) = change(&step, &methods, &customers) {
            // Some are refused, such as of a customer who is gone: then nothing changed.
            drop(bench.cards.change(OWNER, change, None).await);
        }
        match step {
            Step::Look(which) => {
                let [with, without] = bench.both(OWNER, methods[which]).await;
                prop_assert_eq!(with, without);
            }
            Step::Customer(whose) => customers[whose] = bench.customer().await,
            Step::ForgetMemory => bench.cards.forget_memory(),
            Step::Lose(writes) => bench.store.lose(writes),
            Step::Flush => bench.store.flush(),
            Step::Update(..) | Step::Attach(..) | Step::Detach(_) | Step::DeleteCustomer(_) => {}
        }
    }
    for id in methods {
        let [with, without] = bench.both(OWNER, id).await;
        prop_assert_eq!(with, without);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_saved_card_is_shown_as_the_vault_has_it(steps in prop::collection::vec(any_step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(agrees(steps))?;
    }
}

#[tokio::test]
async fn a_saved_card_is_read_once_and_is_nobody_elses() {
    let bench = Bench::new();
    let id = bench.method().await.id;
    let [first, _] = bench.both(OWNER, id).await;
    assert!(first.is_some());
    // It is remembered now, for its owner.
    assert_eq!(bench.both(OTHER, id).await, [None, None]);
    drop(
        bench
            .vault
            .change(OWNER, VaultChange::Detach { id }, None)
            .await
            .unwrap(),
    );
    let [remembered, detached] = bench.both(OWNER, id).await;
    assert_eq!(
        remembered, first,
        "it is remembered: a change behind the cache's back is not seen"
    );
    assert_ne!(detached, first);
}

#[tokio::test]
async fn what_is_kept_of_a_card_is_sealed() {
    let bench = Bench::new();
    let id = bench.method().await.id;
    bench.both(OWNER, id).await;
    // Behind it in the order of what is written.
    bench
        .change(VaultChange::UpdateMethod {
            id: bench.method().await.id,
            said: said("B"),
            expiry: (None, None),
        })
        .await;
    let kept = bench.store.kept();
    assert!(
        kept.keys()
            .any(|name| name.ends_with(&format!("payment_method:{}:test:{id}", OWNER.merchant))),
        "{kept:?}"
    );
    for value in kept.values() {
        assert!(
            !value
                .windows(4)
                .any(|digits| digits == b"4242" || digits == b"A Ca")
        );
    }
}
