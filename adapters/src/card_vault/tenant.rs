//! Owns the keys of one merchant in one mode: a data key of its own, wrapped under the key-encryption key, and what is derived from it.

use super::tables::Kind;
use crate::secrets::sealing;
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use florin_domain::ports::{DataKey, Kek, KekId};
use florin_domain::vault::Owner;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Why nothing can be sealed or opened, or the file not be read or written.
#[derive(Debug)]
pub(super) enum Trouble {
    Store(rusqlite::Error),
    Sealing(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Sealing(why) => f.write_str(why),
        }
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error)
    }
}

/// The keys of an owner.
pub(super) struct Tenant {
    owner: Owner,
    data: DataKey,
    /// For the fingerprints of cards.
    cards: hmac::Key,
    /// For digests of what was asked under an idempotency key.
    asked: hmac::Key,
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenant")
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

/// Which part of what a seal is about. The last is an answer, which has its key as its id.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Said(Kind),
    Number,
    Answer,
}

impl Tenant {
    fn new(owner: Owner, data: DataKey) -> Self {
        let derived = |label: &[u8]| {
            let key = hmac::sign(&hmac::Key::new(HMAC_SHA256, data.as_slice()), label);
            hmac::Key::new(HMAC_SHA256, key.as_ref())
        };
        let (cards, asked) = (derived(b"florin card fingerprint"), derived(b"florin asked"));
        Self {
            owner,
            data,
            cards,
            asked,
        }
    }

    /// What a seal is bound to: it opens nowhere else.
    fn about(&self, part: Part, id: &[u8]) -> Vec<u8> {
        let part = match part {
            Part::Said(kind) => kind as u8,
            Part::Number => 128,
            Part::Answer => 129,
        };
        let merchant = self.owner.merchant.bits().to_be_bytes();
        let head = [u8::from(self.owner.livemode), part];
        [b"florin vault\0", &merchant[..], &head, id].concat()
    }

    pub(super) fn seal(&self, part: Part, id: &[u8], plain: &[u8]) -> Result<Vec<u8>, Trouble> {
        let mut sealed = Vec::with_capacity(sealing::NONCE_BYTES + plain.len() + sealing::TAG_BYTES);
        sealing::seal(&self.data, &self.about(part, id), plain, &mut sealed)
            .map_err(|error| Trouble::Sealing(error.to_string()))?;
        Ok(sealed)
    }

    pub(super) fn open(&self, part: Part, id: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Trouble> {
        let opened = sealing::open(&self.data, &self.about(part, id), sealed);
        opened.ok_or_else(|| Trouble::Sealing("a record of the vault was changed or moved".to_owned()))
    }

    pub(super) fn fingerprint(&self, number: &str) -> [u8; 16] {
        half(&hmac::sign(&self.cards, number.as_bytes()))
    }

    pub(super) fn digest(&self, asked: &[u8]) -> [u8; 16] {
        half(&hmac::sign(&self.asked, asked))
    }
}

fn half(tag: &hmac::Tag) -> [u8; 16] {
    tag.as_ref().first_chunk().copied().unwrap_or_default()
}

/// The keys of those who were asked about, opened once.
#[derive(Debug)]
pub(super) struct KeyRing {
    keks: Vec<Arc<dyn Kek>>,
    tenants: HashMap<Owner, Arc<Tenant>>,
}

impl KeyRing {
    /// The first key-encryption key wraps what is new; all of them open.
    pub(super) fn new(keks: Vec<Arc<dyn Kek>>) -> Self {
        let tenants = HashMap::new();
        Self { keks, tenants }
    }

    /// Nothing is believed that a transaction did not bring to its end.
    pub(super) fn forget(&mut self) {
        self.tenants.clear();
    }

    /// The keys of an owner, if anything was ever kept for it.
    pub(super) fn known(&mut self, file: &Connection, owner: Owner) -> Result<Option<Arc<Tenant>>, Trouble> {
        if let Some(tenant) = self.tenants.get(&owner) {
            return Ok(Some(Arc::clone(tenant)));
        }
        let row: Option<([u8; 8], Vec<u8>)> = file
            .prepare_cached("SELECT kek, wrapped FROM data_key WHERE merchant = ?1 AND livemode = ?2")?
            .query_row(params![merchant(owner), owner.livemode], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let Some((kek, wrapped)) = row else {
            return Ok(None);
        };
        let data = unwrap(&self.keks, owner, KekId(kek), &wrapped).map_err(Trouble::Sealing)?;
        Ok(Some(self.keep(owner, data)))
    }

    /// The keys of an owner; made now if there are none.
    pub(super) fn made(&mut self, file: &Connection, owner: Owner) -> Result<Arc<Tenant>, Trouble> {
        if let Some(tenant) = self.known(file, owner)? {
            return Ok(tenant);
        }
        let failed = |why: &dyn fmt::Display| Trouble::Sealing(why.to_string());
        let data = sealing::new_key().map_err(|error| failed(&error))?;
        let kek = self
            .keks
            .first()
            .ok_or_else(|| failed(&"there is no key-encryption key"))?;
        let wrapped = kek
            .wrap(&data, &key_about(owner))
            .map_err(|error| failed(&error))?;
        file.prepare_cached(
            "INSERT INTO data_key (merchant, livemode, kek, wrapped) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![merchant(owner), owner.livemode, kek.id().0, wrapped])?;
        Ok(self.keep(owner, data))
    }

    fn keep(&mut self, owner: Owner, data: DataKey) -> Arc<Tenant> {
        let tenant = Arc::new(Tenant::new(owner, data));
        self.tenants.insert(owner, Arc::clone(&tenant));
        tenant
    }
}

/// Opens a wrapped data key with whichever key-encryption key it needs.
pub(super) fn unwrap(
    keks: &[Arc<dyn Kek>],
    owner: Owner,
    id: KekId,
    wrapped: &[u8],
) -> Result<DataKey, String> {
    let kek = keks.iter().find(|kek| kek.id() == id);
    let kek =
        kek.ok_or_else(|| format!("it is sealed under the key-encryption key {id}, which is not here"))?;
    kek.unwrap(wrapped, &key_about(owner))
        .map_err(|_| "a data key was changed or moved: it does not open".to_owned())
}

/// What a data key is bound to.
pub(super) fn key_about(owner: Owner) -> Vec<u8> {
    let mode = [u8::from(owner.livemode)];
    [b"florin vault key\0", &merchant(owner)[..], &mode].concat()
}

/// As rows name a merchant.
pub(super) fn merchant(owner: Owner) -> [u8; 16] {
    owner.merchant.bits().to_be_bytes()
}
