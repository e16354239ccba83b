//! Where a node keeps what merchants have at providers, and customers with their cards; and `florin secrets rotate-kek`.

use anyhow::{Context as _, bail};
use clap::Subcommand;
use florin_adapters::card_vault::{self, CardStore, StoreOptions};
use florin_adapters::data_dir::DataDir;
use florin_adapters::journal_place;
use florin_adapters::mirror::MirrorIn;
use florin_adapters::secrets::{self, Book, FileKek, NoSecrets, Sealed, SecretStore, Terms};
use florin_adapters::webhooks;
use florin_config::{ProviderKind, Settings};
use florin_domain::credentials::{CredentialKind, JournaledCredentials};
use florin_domain::ports::{Clock, Entropy, Kek, Secrets};
use florin_domain::provider::ProviderId;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// What can be done with the store of secrets.
#[derive(Debug, Subcommand)]
pub(crate) enum SecretsCommand {
    /// Put a new key-encryption key in the place of the present one; run it again if it was interrupted
    RotateKek,
}

/// Opens the store of customers and saved cards. The data folder must be ours. Without a key there is none, and nothing is kept.
pub(crate) fn open_cards(
    settings: &Settings,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    mirror: Option<&MirrorIn>,
) -> anyhow::Result<Option<Arc<CardStore>>> {
    let path = card_vault::file_in(&settings.data_dir);
    let Some((file, keks)) = keks(settings)? else {
        if path.exists() {
            bail!(
                "{} has customers and cards, and there is no key to open them: set `secrets.kek_file`",
                path.display()
            );
        }
        return Ok(None);
    };
    let options = StoreOptions {
        mirror: mirror.cloned(),
        ..StoreOptions::default()
    };
    let store = CardStore::open(&path, keks, (clock, entropy), &options);
    let unusable = || format!("the key-encryption key is that of {}", file.display());
    Ok(Some(Arc::new(store.with_context(unusable)?)))
}

/// A file, and the keys that go with it.
pub(crate) type Keks = (PathBuf, Vec<Arc<dyn Kek>>);

/// The node's key-encryption keys and the file of the first, which wraps what is new; a second one takes over from it.
pub(crate) fn keks(settings: &Settings) -> anyhow::Result<Option<Keks>> {
    let Some(file) = kek_file(settings) else {
        return Ok(None);
    };
    let mut keks: Vec<Arc<dyn Kek>> = vec![Arc::new(FileKek::load(&file)?)];
    if let Some(next) = FileKek::next(&file)? {
        keks.push(Arc::new(next));
    }
    Ok(Some((file, keks)))
}

/// What merchants have at providers, on this node.
pub(crate) enum Vault {
    /// In sealed files, and with a journal in a database there.
    Kept(SecretStore),
    /// Nothing: the node has no key to seal it under.
    None(Arc<Book>),
}

/// The file of the key-encryption key: the configured one, or that of development if it was made.
fn kek_file(settings: &Settings) -> Option<PathBuf> {
    let made = || Some(secrets::development_kek_in(&settings.data_dir)).filter(|file| file.exists());
    settings.kek_file.clone().or_else(made)
}

/// Whether no real money moves at this address. One that does not say so may be a proxy before the real one.
fn is_test_address(base_url: &str) -> bool {
    let host = base_url.split("//").nth(1).unwrap_or_default();
    let host = host.split('/').next().unwrap_or_default();
    base_url.starts_with("http:") || (host.contains("-test") && !host.contains("-live"))
}

/// What the configured providers take.
pub(crate) fn terms(settings: &Settings, development: bool) -> HashMap<ProviderId, Terms> {
    let terms = |provider: &florin_config::ProviderSettings| {
        let kind = match provider.kind {
            ProviderKind::Stripe => CredentialKind::Stripe,
            ProviderKind::Adyen => CredentialKind::Adyen,
        };
        let terms = Terms {
            kind,
            is_clear: provider.base_url.starts_with("http:"),
            is_live: !is_test_address(&provider.base_url),
            refuses_live: development,
        };
        (provider.id, terms)
    };
    settings.providers.iter().map(terms).collect()
}

/// Makes the key that development seals under, unless another one is configured or something was sealed under one that is missing now.
pub(crate) fn make_development_kek(settings: &Settings) -> anyhow::Result<()> {
    let has_sealed = secrets::folder_in(&settings.data_dir).exists();
    if settings.kek_file.is_none() && !has_sealed {
        // Held for a moment: the folder is made, and nobody else is in it.
        let _held = DataDir::open(&settings.data_dir)?;
        FileKek::load_or_create(&secrets::development_kek_in(&settings.data_dir))?;
    }
    Ok(())
}

impl Vault {
    /// Opens what is sealed. The data folder must be ours.
    pub(crate) fn open(
        settings: &Settings,
        terms: HashMap<ProviderId, Terms>,
        (clock, mirror): (Arc<dyn Clock>, Option<&MirrorIn>),
        book: Arc<Book>,
    ) -> anyhow::Result<Self> {
        let folder = secrets::folder_in(&settings.data_dir);
        let Some(file) = kek_file(settings) else {
            if folder.exists() {
                bail!(
                    "{} has credentials of merchants, and there is no key to open them: set `secrets.kek_file`",
                    folder.display()
                );
            }
            return Ok(Self::None(book));
        };
        let mut keks: Vec<Arc<dyn Kek>> = vec![Arc::new(FileKek::load(&file)?)];
        if let Some(next) = FileKek::next(&file)? {
            tracing::warn!(
                "a rotation of the key-encryption key has not ended: run `florin secrets rotate-kek` again"
            );
            keks.push(Arc::new(next));
        }
        let store = SecretStore::open_mirrored(&folder, keks, (terms, clock, book), mirror);
        let unusable = || format!("the key-encryption key is that of {}", file.display());
        Ok(Self::Kept(store.with_context(unusable)?))
    }

    /// Compares it with the journal; only then is anything charged.
    pub(crate) fn compare(&self, journaled: &JournaledCredentials) -> anyhow::Result<()> {
        match self {
            Self::Kept(store) => Ok(store.compare(journaled)?),
            // Retired ones too: what was charged under them must not go to the configured account.
            Self::None(_) if !journaled.is_empty() => {
                bail!(
                    "the journal says that merchants have or had credentials of their own, and they are not here: put the folder `credentials` \
                     back, and set `secrets.kek_file`"
                )
            }
            Self::None(book) => {
                book.open_empty();
                Ok(())
            }
        }
    }

    /// The port.
    pub(crate) fn secrets(&self) -> Arc<dyn Secrets> {
        match self {
            Self::Kept(store) => Arc::new(store.clone()),
            Self::None(_) => Arc::new(NoSecrets::new()),
        }
    }
}

/// Puts a new key-encryption key in the place of the present one.
#[expect(clippy::print_stdout, reason = "what was done is this command's output")]
pub(crate) fn rotate_kek(settings: &Settings) -> anyhow::Result<()> {
    if settings.database.url.is_some() {
        bail!(
            "with `database.url` the key-encryption key cannot be changed, because what it wraps is in the database as well: move the journal into a \
             folder (`florin migrate-store --to embedded`), run this without `database.url`, give the new key to every node, and move the journal back"
        );
    }
    let held = DataDir::open(&settings.data_dir)?;
    // Also where the service has the address of the database and this command has not.
    journal_place::bind(held.path(), None)?;
    let file = kek_file(settings).context("there is no key-encryption key: set `secrets.kek_file`")?;
    let sealed = Sealed {
        credentials: &secrets::folder_in(&settings.data_dir),
        vault: &card_vault::file_in(&settings.data_dir),
        webhooks: &webhooks::store::file_in(&settings.data_dir),
    };
    let rotated = secrets::rotate(&file, sealed)?;
    println!(
        "The key-encryption key in {} is {} now; {} data keys were wrapped anew{}. The old one is kept in {}: copies of the sealed files from before \
         need it. Move it to where they are, and away from here.",
        file.display(),
        rotated.kek,
        rotated.rewrapped,
        match rotated.done_before {
            0 => String::new(),
            done => format!(", and {done} by an earlier run"),
        },
        rotated.kept.display(),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_test_address;

    #[test]
    fn an_address_that_does_not_say_that_it_is_one_for_tests_is_taken_for_one_of_real_money() {
        let table = [
            ("http://127.0.0.1:8090/adyen/v72", true),
            ("https://checkout-test.adyen.com/v72", true),
            (
                "https://1797a841fbb37ca7-Shop-checkout-live.adyenpayments.com/checkout/v72",
                false,
            ),
            (
                "https://a-test-shop-checkout-live.adyenpayments.com/checkout/v72",
                false,
            ),
            ("https://proxy.example/checkout-test/v72", false),
            ("https://proxy.example/v72", false),
        ];
        for (address, expected) in table {
            assert_eq!(is_test_address(address), expected, "{address}");
        }
    }
}
