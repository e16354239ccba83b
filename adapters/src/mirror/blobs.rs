//! Owns a store of opaque bytes by name that the database keeps row by row, as if each were a row of one table. What is here is nobody's file: whoever
//! has it makes of its rows what it needs.

use super::cells::{Cell, decode, encode};
use super::touched::Changed;
use super::turn::{Asked, Turn};
use super::{Here, MirrorIn, State};
use crate::audit::hex;
use std::collections::BTreeMap;
use std::fmt;

pub(crate) use super::turn::NotTold;

/// What the database calls their table.
pub(crate) const TABLE: &str = "blob";

/// Bytes by name.
pub(crate) type All = BTreeMap<Vec<u8>, Vec<u8>>;

/// The store, from now on changed from here alone.
pub(crate) struct Blobs(Turn);

/// A store, and what it had when it was opened.
pub(crate) struct Opened {
    pub(crate) blobs: Blobs,
    pub(crate) all: All,
    /// Whether anything was ever kept there.
    pub(crate) is_begun: bool,
    /// Whether the copy here, as it was noted, has nothing that the database has lost.
    pub(crate) follows: bool,
}

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Blobs").field(&self.0.name).finish()
    }
}

/// In which state a copy was noted to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Noted(Here);

impl Noted {
    /// Reads what [`Blobs::noted`] has written.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let version = words.next()?.parse().ok()?;
        let change = match words.next()? {
            "-" => None,
            change => Some(hex::bytes::<16>(change)?.to_vec()),
        };
        let claim = Some(hex::bytes::<16>(words.next()?)?.to_vec());
        let state = State { version, change };
        words.next().is_none().then_some(Self(Here { state, claim }))
    }

    /// Names the state, for what is kept aside.
    pub(crate) fn name(&self) -> String {
        let state = &self.0.state;
        let change = state.change.as_deref().and_then(|change| change.first_chunk());
        let change = u32::from_be_bytes(change.copied().unwrap_or_default());
        format!("{}-{change:08x}", state.version)
    }
}

impl Blobs {
    /// Claims the store of this name for the holder of the shards.
    pub(crate) fn open(
        place: &MirrorIn,
        (name, form): (&'static str, i64),
        here: Option<&Noted>,
    ) -> Result<Opened, String> {
        let mut turn = Turn::new(place, name)?;
        let claimed = turn.begin(Asked {
            here: here.map(|Noted(here)| here),
            form,
            expects_rows: false,
            reads_always: true,
        })?;
        let follows =
            here.is_none_or(|Noted(here)| here.state == claimed.state || claimed.follows(&here.state));
        let rows = claimed.rows.unwrap_or_default();
        Ok(Opened {
            all: rows
                .iter()
                .map(|(_, cells)| read(cells))
                .collect::<Result<All, String>>()?,
            is_begun: claimed.state.version > 0,
            follows,
            blobs: Self(turn),
        })
    }

    /// Puts bytes in the place of those of the same name, all or none: durable in the database when it returns.
    pub(crate) fn put<'a>(
        &mut self,
        blobs: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<(), NotTold> {
        let change = |(name, bytes)| {
            let (key, cells) = row(name, bytes);
            Changed {
                table: TABLE.to_owned(),
                key,
                cells: Some(cells),
            }
        };
        let changed: Vec<Changed> = blobs.into_iter().map(change).collect();
        self.0.tell(self.0.next(), &changed)
    }

    /// In which state the store is, and whose turn it is, to be noted beside a copy of it.
    pub(crate) fn noted(&self) -> String {
        noted(&self.0.state, &self.0.id)
    }
}

/// A line that says in which state a copy is.
pub(super) fn noted(state: &State, claim: &[u8]) -> String {
    let change = state
        .change
        .as_deref()
        .map_or_else(|| "-".to_owned(), hex::digits);
    format!("{} {change} {}", state.version, hex::digits(claim))
}

/// The key and the cells of a row.
pub(super) fn row(name: &[u8], bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let name = Cell::Blob(name.to_vec());
    let key = encode(std::slice::from_ref(&name));
    (key, encode(&[name, Cell::Blob(bytes.to_vec())]))
}

/// What is in the cells of a row.
pub(super) fn read(cells: &[u8]) -> Result<(Vec<u8>, Vec<u8>), String> {
    match <[Cell; 2]>::try_from(decode(cells)?) {
        Ok([Cell::Blob(name), Cell::Blob(bytes)]) => Ok((name, bytes)),
        _ => Err("a row is not what this build writes".to_owned()),
    }
}
