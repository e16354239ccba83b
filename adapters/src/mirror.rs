//! Owns keeping a second copy of a store's rows in the database that nodes share: durable there before they are here, so that another node has
//! them when it takes over.
//!
//! A store goes on reading and writing its own file. Its writer ends each transaction through a `Mirror`, which tells the database what the
//! transaction has changed, row by row, before the file's own commit. Rows are copied as they are, so what is sealed stays sealed; what is deleted is
//! deleted there as well.
//!
//! # Layout
//! * `cells` rows as bytes; `touched` which rows a transaction has changed; `rebuild` a file made anew from the database's rows;
//!   `upload` the database's rows made anew from a file; `download` a copy of them that no node uses
//! * `turn` one process's turn at a store; `blobs` a store that is no file, but opaque bytes by name

pub(crate) mod blobs;
mod cells;
pub(crate) mod download;
pub(crate) mod rebuild;
#[cfg(test)]
pub(crate) mod tests;
mod touched;
mod turn;
pub(crate) mod upload;

use crate::postgres::Database;
use florin_domain::ids::Epoch;
use rusqlite::{Connection, ffi};
use std::fmt;
use std::path::Path;
use tokio::sync::watch;
use touched::Touched;
use turn::{Asked, NotTold, ROWS_MAX, Turn, random};

/// Where a store's rows are kept as well, and under which epoch they are changed.
#[derive(Clone, Debug)]
pub struct MirrorIn {
    /// The database.
    pub database: Database,
    /// That of the first shard, as it was taken.
    pub epoch: Epoch,
    /// Told when nobody knows any more what a store has, or nobody may change it from here: then the process must end, and another one, or
    /// the next start, begins with what the database has.
    pub failed: watch::Sender<Option<String>>,
}

/// Which state of a store: the number of its changes, and the last of them. Of two histories that a failover left behind, numbers may be the same.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    version: i64,
    change: Option<Vec<u8>>,
}

/// A store as the database has it.
struct Claimed {
    state: State,
    /// Where the turn was over in which the file was changed last, if the database knows of that turn.
    left: Option<State>,
    /// `None` for a file that has them already.
    rows: Option<Vec<rebuild::Row>>,
}

impl Claimed {
    /// Whatever the file has came before what the database has: nothing of it is lost.
    fn follows(&self, here: &State) -> bool {
        self.left
            .as_ref()
            .is_some_and(|left| here.version < left.version || here == left)
    }
}

/// Ends the transactions of one store. The one of a store that has no second copy does nothing else.
pub(crate) struct Mirror(Option<Copying>);

/// What a file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Here {
    state: State,
    /// The turn in which it was changed last.
    claim: Option<Vec<u8>>,
}

/// A second copy.
struct Copying {
    turn: Turn,
    touched: Touched,
}

impl fmt::Debug for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.as_ref().map(|copying| copying.turn.name);
        f.debug_tuple("Mirror").field(&name).finish()
    }
}

impl Mirror {
    /// No second copy.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Claims the store of this name, and makes the file what the database has of it. From now on every transaction of this
    /// connection ends through this.
    pub(crate) fn open(
        place: Option<&MirrorIn>,
        name: &'static str,
        file: &mut Connection,
    ) -> Result<Self, String> {
        let Some(place) = place else {
            return Ok(Self::none());
        };
        let mut copying = Copying {
            turn: Turn::new(place, name)?,
            touched: Touched::none(),
        };
        copying.catch_up(file)?;
        rebuild::tell_of_copies(Path::new(file.path().unwrap_or_default()), name);
        copying.touched = Touched::watch(file).map_err(|error| error.to_string())?;
        Ok(Self(Some(copying)))
    }

    /// Ends the transaction: its changes are durable in the database, and then in the file.
    pub(crate) fn commit(&mut self, file: &Connection) -> rusqlite::Result<()> {
        let is_copied = match &mut self.0 {
            Some(copying) => copying.copy(file)?,
            None => false,
        };
        let ended = file.execute_batch("COMMIT");
        match (ended, &self.0) {
            // The database has more than the file now, whatever kept that from it.
            (Err(error), Some(copying)) if is_copied => Err(failed(copying.turn.halt(error.to_string()))),
            (ended, _) => ended,
        }
    }

    /// The store takes no more changes: where another process could take its place, this one must end.
    pub(crate) fn give_up(&self, why: &dyn fmt::Display) {
        if let Some(copying) = &self.0 {
            copying.turn.tell_failed(&why.to_string());
        }
    }
}

impl Copying {
    /// Claims the store, and brings the file to its state.
    fn catch_up(&mut self, file: &mut Connection) -> Result<(), String> {
        let here = rebuild::here(file).map_err(|error| error.to_string())?;
        let claimed = self.turn.begin(Asked {
            here: here.as_ref(),
            form: rebuild::form(file).map_err(|error| error.to_string())?,
            expects_rows: rebuild::expects_rows(file).map_err(|error| error.to_string())?,
            reads_always: false,
        })?;
        let Turn { name, state, id, .. } = &self.turn;
        let Some(rows) = &claimed.rows else {
            return rebuild::note(file, state, id).map_err(|error| error.to_string());
        };
        rebuild::keep_what_would_be_lost(file, name, here.as_ref(), &claimed)?;
        rebuild::from_rows(file, (state, id), rows)
    }

    /// Tells the database what the open transaction has changed, and notes the new state in the file. Whether there was anything to tell.
    fn copy(&mut self, file: &Connection) -> rusqlite::Result<bool> {
        let changed = self.touched.take(file)?;
        if changed.is_empty() {
            return Ok(false);
        }
        let next = self.turn.next();
        rebuild::note(file, &next, &self.turn.id)?;
        // Where there is no room here, nothing is told there.
        file.cache_flush()?;
        self.turn.tell(next, &changed).map_err(failed)?;
        Ok(true)
    }
}

/// What whoever writes a file is told.
fn failed(error: NotTold) -> rusqlite::Error {
    match error {
        NotTold::NoRoom(why) => no_room(why),
        NotTold::Halted(why) => io_error(why),
    }
}

/// Nothing was changed, and it may be tried again.
fn no_room(why: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), Some(why))
}

/// What ends a store's work for good.
fn io_error(why: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR), Some(why))
}
