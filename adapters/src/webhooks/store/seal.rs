//! Owns the data key of the file, wrapped under the key-encryption key, and what is derived from it.

use crate::mirror::Mirror;
use crate::secrets::sealing;
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use florin_domain::idempotency::KeyDigest;
use florin_domain::ids::EndpointId;
use florin_domain::ports::{DataKey, EndpointError, Kek, KekId};
use florin_domain::vault::Owner;
use rusqlite::{Connection, OptionalExtension, params};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What the data key is bound to.
pub(super) const KEY_ABOUT: &[u8] = b"florin webhooks key";

/// Why the file cannot be read or written, or a record of it not be used.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The file.
    Store(rusqlite::Error),
    /// One record; the others are as good as before.
    Record(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Record(why) => f.write_str(why),
        }
    }
}

impl From<rusqlite::Error> for Trouble {
    /// A value that is not of the form that its column has is the trouble of its row: the file itself was read well.
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => Self::Record(error.to_string()),
            error => Self::Store(error),
        }
    }
}

impl From<Trouble> for EndpointError {
    fn from(trouble: Trouble) -> Self {
        Self::Store(trouble.to_string())
    }
}

/// What a seal is about: it opens nowhere else.
#[derive(Clone, Copy, Debug)]
pub(super) enum About {
    Endpoint(Owner, EndpointId),
    Answer(Owner, KeyDigest),
}

impl About {
    fn bytes(self) -> Vec<u8> {
        let (label, owner, what) = match self {
            Self::Endpoint(owner, id) => (&b"florin webhook endpoint\0"[..], owner, id.bits().to_be_bytes()),
            Self::Answer(owner, key) => (&b"florin webhook answer\0"[..], owner, key.0),
        };
        let (merchant, mode) = (owner.merchant.bits().to_be_bytes(), [u8::from(owner.livemode)]);
        [label, &merchant, &mode, &what].concat()
    }
}

/// The data key of the file.
pub(super) struct FileKey {
    data: DataKey,
    /// For digests of what was asked under an idempotency key.
    asked: hmac::Key,
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKey(***)")
    }
}

impl FileKey {
    fn new(data: DataKey) -> Self {
        let derived = hmac::sign(&hmac::Key::new(HMAC_SHA256, data.as_slice()), b"florin asked");
        let asked = hmac::Key::new(HMAC_SHA256, derived.as_ref());
        Self { data, asked }
    }

    /// The key of a file; made now, under the first key-encryption key, if it is a new one.
    pub(super) fn of(file: &Connection, mirror: &mut Mirror, keks: &[Arc<dyn Kek>]) -> Result<Self, String> {
        let failed = |why: &dyn fmt::Display| why.to_string();
        if let Some((kek, wrapped)) = wrapped(file).map_err(|error| failed(&error))? {
            return unwrap(keks, kek, &wrapped).map(Self::new);
        }
        let data = sealing::new_key().map_err(|error| failed(&error))?;
        let kek = keks
            .first()
            .ok_or_else(|| failed(&"there is no key-encryption key"))?;
        let wrapped = kek.wrap(&data, KEY_ABOUT).map_err(|error| failed(&error))?;
        let sql = "INSERT INTO data_key (one, kek, wrapped) VALUES (1, ?1, ?2)";
        let mut insert = || {
            file.execute_batch("BEGIN IMMEDIATE")?;
            file.execute(sql, params![kek.id().0, wrapped])?;
            mirror.commit(file)
        };
        insert().map_err(|error: rusqlite::Error| failed(&error))?;
        Ok(Self::new(data))
    }

    pub(super) fn seal(&self, about: About, plain: &[u8]) -> Result<Vec<u8>, Trouble> {
        let mut sealed = Vec::with_capacity(sealing::NONCE_BYTES + plain.len() + sealing::TAG_BYTES);
        sealing::seal(&self.data, &about.bytes(), plain, &mut sealed)
            .map_err(|error| Trouble::Record(error.to_string()))?;
        Ok(sealed)
    }

    pub(super) fn open(&self, about: About, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Trouble> {
        let opened = sealing::open(&self.data, &about.bytes(), sealed);
        opened
            .ok_or_else(|| Trouble::Record("a webhook endpoint was changed or moved in the file".to_owned()))
    }

    pub(super) fn digest(&self, asked: &[u8]) -> [u8; 16] {
        let tag = hmac::sign(&self.asked, asked);
        tag.as_ref().first_chunk().copied().unwrap_or_default()
    }
}

/// The key of a file as it is wrapped.
pub(super) fn wrapped(file: &Connection) -> rusqlite::Result<Option<(KekId, Vec<u8>)>> {
    file.query_row("SELECT kek, wrapped FROM data_key", [], |row| {
        Ok((KekId(row.get(0)?), row.get(1)?))
    })
    .optional()
}

/// Opens a wrapped data key with whichever key-encryption key it needs.
pub(super) fn unwrap(keks: &[Arc<dyn Kek>], id: KekId, wrapped: &[u8]) -> Result<DataKey, String> {
    let kek = keks.iter().find(|kek| kek.id() == id);
    let kek =
        kek.ok_or_else(|| format!("it is sealed under the key-encryption key {id}, which is not here"))?;
    kek.unwrap(wrapped, KEY_ABOUT)
        .map_err(|_| "its data key was changed: it does not open".to_owned())
}
