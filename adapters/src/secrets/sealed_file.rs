//! One merchant's file: a data key of its own, wrapped, and under it a sealed record for each version, and a seal over the whole.
//!
//! ```text
//! "florin credentials 1\n"  key id (8)  length (2)  wrapped data key
//! count (4)  then each: kind (1)  provider (16)  version (4)  length (4)  sealed record
//! sealed nothing, bound to the digest of all of the above
//! ```
//! A record is bound to its merchant, provider, version and kind; the data key to its merchant. The last seal finds what was added, taken away or
//! put into another order.

use super::record::Record;
use super::sealing;
use aws_lc_rs::digest::{SHA256, digest};
use florin_domain::ids::MerchantId;
use florin_domain::ports::{DataKey, Kek, KekId};
use florin_domain::provider::ProviderId;
use std::io;
use std::sync::Arc;
use thiserror::Error;

const MARK: &[u8] = b"florin credentials 1\n";
/// More than any merchant has; a larger number is damage.
const RECORDS_MAX: usize = 1 << 20;

/// Why a file is not believed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum FileError {
    /// It is sealed under a key that is not here.
    #[error("it is sealed under the key-encryption key {0}, which is not here")]
    OtherKek(KekId),
    /// Something of it was changed, or it is another merchant's.
    #[error("it was changed or moved: {0}")]
    Changed(&'static str),
}

/// A merchant's file, opened.
#[derive(Debug)]
pub(super) struct SealedFile {
    pub(super) merchant: MerchantId,
    key: DataKey,
    /// Under which key-encryption key the data key is wrapped, and how it looks.
    pub(super) kek: KekId,
    wrapped: Vec<u8>,
    /// In the order of their making.
    pub(super) records: Vec<Record>,
}

impl SealedFile {
    /// One without records.
    pub(super) fn new(merchant: MerchantId, kek: &dyn Kek) -> io::Result<Self> {
        let key = sealing::new_key()?;
        let wrapped = wrap(merchant, kek, &key)?;
        Ok(Self {
            merchant,
            key,
            kek: kek.id(),
            wrapped,
            records: Vec::new(),
        })
    }

    /// Wraps the data key under another key. The records stay as they are.
    pub(super) fn rewrap(&mut self, kek: &dyn Kek) -> io::Result<()> {
        self.wrapped = wrap(self.merchant, kek, &self.key)?;
        self.kek = kek.id();
        Ok(())
    }

    /// The bytes of the file with these records.
    pub(super) fn bytes(&self, records: &[Record]) -> io::Result<Vec<u8>> {
        let too_large = || io::Error::other("too large");
        let mut out = MARK.to_vec();
        out.extend_from_slice(&self.kek.0);
        let length = u16::try_from(self.wrapped.len()).map_err(|_| too_large())?;
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&self.wrapped);
        let count = u32::try_from(records.len()).map_err(|_| too_large())?;
        out.extend_from_slice(&count.to_le_bytes());
        for record in records {
            out.extend_from_slice(&self.sealed(record)?);
        }
        let about = whole_about(&out);
        sealing::seal(&self.key, &about, &[], &mut out)?;
        Ok(out)
    }

    /// A record's bytes in the file.
    pub(super) fn sealed(&self, record: &Record) -> io::Result<Vec<u8>> {
        let (kind, name, version) = (record.kind(), packed(record.provider), record.about.version);
        let mut sealed = Vec::new();
        let about = record_about(self.merchant, kind, &name, version);
        sealing::seal(&self.key, &about, &record.plain(), &mut sealed)?;
        let length = u32::try_from(sealed.len()).map_err(|_| io::Error::other("too large"))?;
        let head = [&[kind][..], &name, &version.to_le_bytes(), &length.to_le_bytes()];
        Ok([head.concat(), sealed].concat())
    }

    /// Whether this record opens under this file's key for a merchant, with its head changed.
    #[cfg(test)]
    pub(super) fn opens(&self, merchant: MerchantId, sealed: &[u8], change: impl FnOnce(&mut [u8])) -> bool {
        let mut bytes = [&1_u32.to_le_bytes()[..], sealed].concat();
        change(&mut bytes[4..]);
        read_records(merchant, &self.key, &bytes).is_some()
    }

    /// Opens the file of a merchant with whichever of the keys it needs.
    pub(super) fn open(merchant: MerchantId, bytes: &[u8], keks: &[Arc<dyn Kek>]) -> Result<Self, FileError> {
        let short = FileError::Changed("it ends early");
        let rest = bytes
            .strip_prefix(MARK)
            .ok_or(FileError::Changed("it does not begin as such a file does"))?;
        let (id, rest) = rest.split_first_chunk::<8>().ok_or_else(|| short.clone())?;
        let id = KekId(*id);
        let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(|| short.clone())?;
        let (wrapped, rest) = rest
            .split_at_checked(usize::from(u16::from_le_bytes(*length)))
            .ok_or_else(|| short.clone())?;
        let kek = keks.iter().find(|kek| kek.id() == id);
        let kek = kek.ok_or(FileError::OtherKek(id))?;
        let key = kek
            .unwrap(wrapped, &key_about(merchant))
            .map_err(|_| FileError::Changed("its data key does not open"))?;
        let seal = sealing::NONCE_BYTES + sealing::TAG_BYTES;
        let body = bytes.len().checked_sub(seal).ok_or_else(|| short.clone())?;
        let (whole, last) = bytes.split_at(body);
        sealing::open(&key, &whole_about(whole), last)
            .ok_or(FileError::Changed("its last seal does not fit"))?;
        let records = rest
            .len()
            .checked_sub(seal)
            .and_then(|length| rest.get(..length))
            .and_then(|records| read_records(merchant, &key, records))
            .ok_or(FileError::Changed("a record does not open"))?;
        Ok(Self {
            merchant,
            key,
            kek: id,
            wrapped: wrapped.to_vec(),
            records,
        })
    }
}

fn read_records(merchant: MerchantId, key: &DataKey, bytes: &[u8]) -> Option<Vec<Record>> {
    let (count, mut rest) = bytes.split_first_chunk::<4>()?;
    let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
    if count > RECORDS_MAX {
        return None;
    }
    let mut records = Vec::new();
    for _ in 0..count {
        let (kind, after) = rest.split_first()?;
        let (name, after) = after.split_first_chunk::<16>()?;
        let (version, after) = after.split_first_chunk::<4>()?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let (sealed, after) = after.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        let version = u32::from_le_bytes(*version);
        let plain = sealing::open(key, &record_about(merchant, *kind, name, version), sealed)?;
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        let provider = ProviderId::parse(str::from_utf8(&name[..end]).ok()?).ok()?;
        records.push(Record::read(provider, version, *kind, &plain)?);
        rest = after;
    }
    rest.is_empty().then_some(records)
}

fn wrap(merchant: MerchantId, kek: &dyn Kek, key: &DataKey) -> io::Result<Vec<u8>> {
    kek.wrap(key, &key_about(merchant)).map_err(io::Error::other)
}

fn packed(provider: ProviderId) -> [u8; 16] {
    let mut name = [0; 16];
    for (slot, byte) in name.iter_mut().zip(provider.as_str().bytes()) {
        *slot = byte;
    }
    name
}

fn key_about(merchant: MerchantId) -> Vec<u8> {
    [b"florin data key\0".as_slice(), &merchant.bits().to_be_bytes()].concat()
}

fn record_about(merchant: MerchantId, kind: u8, provider: &[u8; 16], version: u32) -> Vec<u8> {
    [
        b"florin credential\0".as_slice(),
        &merchant.bits().to_be_bytes(),
        provider,
        &version.to_be_bytes(),
        &[kind],
    ]
    .concat()
}

fn whole_about(bytes: &[u8]) -> Vec<u8> {
    [b"florin file\0".as_slice(), digest(&SHA256, bytes).as_ref()].concat()
}
