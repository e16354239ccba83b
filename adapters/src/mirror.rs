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

mod cells;
pub(crate) mod download;
pub(crate) mod rebuild;
#[cfg(test)]
mod tests;
mod touched;
pub(crate) mod upload;

use crate::entropy::OsEntropy;
use crate::postgres::{Database, Link, Outcome, Trouble};
use florin_domain::ids::Epoch;
use florin_domain::ports::Entropy as _;
use rusqlite::{Connection, ffi};
use std::fmt;
use std::time::{Duration, Instant};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql, Type};
use touched::{Changed, Touched};

const CHANGE: &str = "SELECT florin.change_store($1, $2, $3, $4, $5, $6, $7, $8)";

/// What `florin.change_store` answers when somebody else has claimed the store.
const FENCED: i16 = 2;

/// Rows of the database that are read at once.
const ROWS_MAX: i64 = 4096;

/// Between two tries.
const WAIT: Duration = Duration::from_millis(100);

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
    name: &'static str,
    place: MirrorIn,
    state: State,
    /// Names this turn.
    claim: [u8; 16],
    touched: Touched,
    link: Option<Link>,
    /// Taken when this is dropped, which may happen where a runtime must not end by itself.
    runtime: Option<Runtime>,
}

impl fmt::Debug for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.as_ref().map(|copying| copying.name);
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
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let mut copying = Copying {
            name,
            place: place.clone(),
            state: State {
                version: 0,
                change: None,
            },
            claim: random(),
            touched: Touched::none(),
            link: None,
            runtime: Some(runtime),
        };
        // Whoever opens a store may be driven by a runtime, in which no other may be waited for.
        std::thread::scope(|scope| {
            let opening = scope.spawn(|| copying.catch_up(file));
            opening.join().unwrap_or_else(|_| Err("it panicked".to_owned()))
        })?;
        rebuild::tell_of_copies(file, name);
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
            (Err(error), Some(copying)) if is_copied => Err(copying.halt(error.to_string())),
            (ended, _) => ended,
        }
    }

    /// The store takes no more changes: where another process could take its place, this one must end.
    pub(crate) fn give_up(&self, why: &dyn fmt::Display) {
        if let Some(copying) = &self.0 {
            copying.tell_failed(&why.to_string());
        }
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell_failed("its writer panicked");
        }
        self.link = None;
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Copying {
    /// Claims the store, and brings the file to its state.
    fn catch_up(&mut self, file: &mut Connection) -> Result<(), String> {
        let here = rebuild::here(file).map_err(|error| error.to_string())?;
        let form = rebuild::form(file).map_err(|error| error.to_string())?;
        let runtime = self.runtime.as_ref().ok_or("it has ended")?;
        let claim = Claim {
            place: &self.place,
            name: self.name,
            id: &self.claim,
            form,
            expects_rows: rebuild::expects_rows(file).map_err(|error| error.to_string())?,
        };
        let claimed = runtime.block_on(claim.take(here.as_ref()))?;
        self.state = claimed.state.clone();
        let Some(rows) = &claimed.rows else {
            return rebuild::note(file, &self.state, &self.claim).map_err(|error| error.to_string());
        };
        rebuild::keep_what_would_be_lost(file, self.name, here.as_ref(), &claimed)?;
        rebuild::from_rows(file, (&self.state, &self.claim), rows)
    }

    /// Tells the database what the open transaction has changed, and notes the new state in the file. Whether there was anything to tell.
    fn copy(&mut self, file: &Connection) -> rusqlite::Result<bool> {
        let changed = self.touched.take(file)?;
        if changed.is_empty() {
            return Ok(false);
        }
        let change = random();
        let next = State {
            version: self.state.version + 1,
            change: Some(change.to_vec()),
        };
        rebuild::note(file, &next, &self.claim)?;
        // Where there is no room here, nothing is told there.
        file.cache_flush()?;
        let Some(runtime) = self.runtime.take() else {
            return Err(self.halt("it has ended".to_owned()));
        };
        // Whoever opens a store is driven by a runtime, in which no other may be waited for; its writer is not.
        let told = if Handle::try_current().is_ok() {
            std::thread::scope(|scope| {
                let telling = scope.spawn(|| runtime.block_on(self.tell(&change, &changed)));
                telling
                    .join()
                    .unwrap_or_else(|_| Err(io_error("telling the database panicked".to_owned())))
            })
        } else {
            runtime.block_on(self.tell(&change, &changed))
        };
        self.runtime = Some(runtime);
        told?;
        self.state = next;
        Ok(true)
    }

    /// Nobody knows what the store has, or nobody may change it from here.
    fn halt(&self, why: String) -> rusqlite::Error {
        self.tell_failed(&why);
        io_error(why)
    }

    fn tell_failed(&self, why: &str) {
        let told = format!("the store `{}` and its copy in the database: {why}", self.name);
        self.place.failed.send_replace(Some(told));
    }

    /// Asks until the database has answered, or nothing more can be known.
    async fn tell(&mut self, change: &[u8; 16], changed: &[Changed]) -> rusqlite::Result<()> {
        let options = self.place.database.options().clone();
        let (began, mut is_uncertain) = (Instant::now(), false);
        loop {
            let (trouble, why) = match self.ask(change, changed).await {
                Ok(Outcome::Done(FENCED)) => {
                    return Err(self.halt("another process has claimed the store".to_owned()));
                }
                Ok(Outcome::Done(_)) => return Ok(()),
                Ok(Outcome::Failed(trouble, why)) => (trouble, why),
                // Nothing was sent.
                Err(why) if !is_uncertain => {
                    if began.elapsed() >= options.connect_timeout {
                        return Err(no_room(why));
                    }
                    tokio::time::sleep(WAIT).await;
                    continue;
                }
                Err(why) => (Trouble::Again, why),
            };
            self.link = None;
            match trouble {
                Trouble::NoRoom if !is_uncertain => return Err(no_room(why)),
                Trouble::NoRoom | Trouble::Halt => return Err(self.halt(why)),
                Trouble::Again if began.elapsed() >= options.append_patience => return Err(self.halt(why)),
                Trouble::Again => {
                    is_uncertain = true;
                    tokio::time::sleep(WAIT).await;
                }
            }
        }
    }

    /// Asks once; an error if there is no connection to ask over.
    async fn ask(&mut self, change: &[u8; 16], changed: &[Changed]) -> Result<Outcome<i16>, String> {
        let live = match self.link.take().filter(|link| !link.is_closed()) {
            Some(live) => live,
            None => self.place.database.link().await?,
        };
        let live = self.link.insert(live);
        let tables: Vec<&str> = changed.iter().map(|row| row.table.as_str()).collect();
        let keys: Vec<&[u8]> = changed.iter().map(|row| row.key.as_slice()).collect();
        let cells: Vec<Option<&[u8]>> = changed.iter().map(|row| row.cells.as_deref()).collect();
        let epoch = self.place.epoch.0.cast_signed();
        let types = [
            Type::TEXT,
            Type::INT8,
            Type::INT8,
            Type::BYTEA,
            Type::TEXT_ARRAY,
            Type::BYTEA_ARRAY,
            Type::BYTEA_ARRAY,
            Type::BOOL,
        ];
        let needs_copy = self.place.database.needs_copy();
        let parameters: &[&(dyn ToSql + Sync)] = &[
            &self.name,
            &epoch,
            &self.state.version,
            &change.as_slice(),
            &tables,
            &keys,
            &cells,
            &needs_copy,
        ];
        let limit = self.place.database.options().statement_timeout * 2;
        let called = tokio::time::timeout(limit, live.call(CHANGE, &types, parameters)).await;
        Ok(match called {
            Err(_) => Outcome::Failed(Trouble::Again, "the database does not answer".to_owned()),
            Ok(Outcome::Failed(trouble, why)) => Outcome::Failed(trouble, why),
            Ok(Outcome::Done(rows)) => match rows.first().map(|row| row.try_get(0)) {
                Some(Ok(answer)) => Outcome::Done(answer),
                Some(Err(_)) | None => {
                    Outcome::Failed(Trouble::Halt, "the database answers something else".to_owned())
                }
            },
        })
    }
}

/// Whose turn it is from now on.
struct Claim<'a> {
    place: &'a MirrorIn,
    name: &'static str,
    id: &'a [u8; 16],
    /// That of the file's tables.
    form: i64,
    /// The file was made anew, because the one before it is gone.
    expects_rows: bool,
}

impl Claim<'_> {
    /// Claims the store: the state in which it is, and stays until it is changed from here; its rows, unless the file is in that state already.
    async fn take(&self, here: Option<&Here>) -> Result<Claimed, String> {
        let (place, name) = (self.place, self.name);
        // Not one that others use: they are driven by the runtime that waits for this one.
        let mut link = place.database.link().await?;
        let mut claimed = self.claim(&mut link, here).await?;
        if here.is_some_and(|here| here.state == claimed.state) {
            return Ok(claimed);
        }
        claimed.rows = Some(rows(place, &mut link, name).await?);
        // A failover between two pages may have led to another history.
        let sql = "SELECT version, change_id FROM florin.store WHERE name = $1";
        let found = read(place, &mut link, sql, &[Type::TEXT], &[&name]).await?;
        let now = found.first().map(|row| state_in(row, 0)).transpose()?;
        if now.flatten().as_ref() == Some(&claimed.state) {
            Ok(claimed)
        } else {
            Err(format!("the store `{name}` changed while it was read"))
        }
    }

    /// The same without the rows.
    async fn claim(&self, link: &mut Link, here: Option<&Here>) -> Result<Claimed, String> {
        let name = self.name;
        let sql = "SELECT version, change_id, left_version, left_change, form, is_unknown FROM florin.claim_store($1, $2, $3, $4, $5, $6)";
        let types = [
            Type::TEXT,
            Type::INT8,
            Type::BYTEA,
            Type::INT8,
            Type::BYTEA,
            Type::BOOL,
        ];
        let epoch = self.place.epoch.0.cast_signed();
        let (id, last) = (self.id.as_slice(), here.and_then(|here| here.claim.as_deref()));
        let asked: &[&(dyn ToSql + Sync)] = &[&name, &epoch, &id, &self.form, &last, &self.expects_rows];
        let found = read(self.place, link, sql, &types, asked).await?;
        let robbed = || format!("another process has claimed the store `{name}`");
        let row = found.first().ok_or_else(robbed)?;
        if cell(row, 5)? {
            return Err("its file was here and is gone, and the database knows nothing of it".to_owned());
        }
        let form: i64 = cell(row, 4)?;
        if form != self.form {
            return Err(format!(
                "the database has the rows of the store `{name}` in form {form}, and this build knows form {}",
                self.form
            ));
        }
        Ok(Claimed {
            state: state_in(row, 0)?.ok_or_else(robbed)?,
            left: state_in(row, 2)?,
            rows: None,
        })
    }
}

/// All rows of a store, page by page.
async fn rows(place: &MirrorIn, link: &mut Link, name: &str) -> Result<Vec<rebuild::Row>, String> {
    let page = "SELECT table_name, key, cells FROM florin.store_row
                WHERE store = $1 AND (table_name, key) > ($2, $3) ORDER BY table_name, key LIMIT $4";
    let types = [Type::TEXT, Type::TEXT, Type::BYTEA, Type::INT8];
    let (mut all, mut table, mut key) = (Vec::new(), String::new(), Vec::<u8>::new());
    loop {
        let after: &[&(dyn ToSql + Sync)] = &[&name, &table, &key, &ROWS_MAX];
        let found = read(place, link, page, &types, after).await?;
        let Some(last) = found.last() else {
            return Ok(all);
        };
        (table, key) = (cell(last, 0)?, cell(last, 1)?);
        for row in &found {
            all.push((cell(row, 0)?, cell(row, 2)?));
        }
    }
}

/// The state in these columns of a row, if one is there.
fn state_in(row: &Row, place: usize) -> Result<Option<State>, String> {
    let version: Option<i64> = cell(row, place)?;
    let change = cell(row, place + 1)?;
    Ok(version.map(|version| State { version, change }))
}

fn random() -> [u8; 16] {
    std::array::from_fn(|_| OsEntropy::new().next_u64().to_le_bytes()[0])
}

fn cell<'a, T: FromSql<'a>>(row: &'a Row, place: usize) -> Result<T, String> {
    row.try_get(place).map_err(|error| error.to_string())
}

/// What a statement finds, within the time that one may take.
async fn read(
    place: &MirrorIn,
    link: &mut Link,
    sql: &'static str,
    types: &[Type],
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, String> {
    let limit = place.database.options().statement_timeout * 2;
    match tokio::time::timeout(limit, link.call(sql, types, parameters)).await {
        Err(_) => Err("the database does not answer".to_owned()),
        Ok(Outcome::Failed(_, why)) => Err(why),
        Ok(Outcome::Done(found)) => Ok(found),
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
