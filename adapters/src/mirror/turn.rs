//! Owns one process's turn at a store: claiming it, telling the database what is changed until that is known to be durable, and giving up where it
//! cannot be known.

use super::touched::Changed;
use super::{Claimed, Here, MirrorIn, State, rebuild};
use crate::entropy::OsEntropy;
use crate::postgres::{Link, Outcome, Trouble};
use florin_domain::ports::Entropy as _;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::{Handle, Runtime};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql, Type};

const CHANGE: &str = "SELECT florin.change_store($1, $2, $3, $4, $5, $6, $7, $8)";

/// What `florin.change_store` answers when somebody else has claimed the store.
const FENCED: i16 = 2;

/// Rows of the database that are read at once.
pub(super) const ROWS_MAX: i64 = 4096;

/// Between two tries.
const WAIT: Duration = Duration::from_millis(100);

/// Why the database does not have a change.
#[derive(Debug)]
pub(crate) enum NotTold {
    /// Nothing was changed, and it may be tried again.
    NoRoom(String),
    /// Nobody knows, or nobody may change it from here: the process ends.
    Halted(String),
}

impl NotTold {
    /// Why.
    pub(crate) fn why(self) -> String {
        match self {
            Self::NoRoom(why) | Self::Halted(why) => why,
        }
    }
}

/// What whoever begins a turn says of the copy here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// In which state it is, if it ever had a second copy.
    pub(super) here: Option<&'a Here>,
    /// That of its tables.
    pub(super) form: i64,
    /// It was made anew, because the one before it is gone.
    pub(super) expects_rows: bool,
    /// The rows are read also where the copy is in the database's state.
    pub(super) reads_always: bool,
}

/// The turn.
pub(super) struct Turn {
    pub(super) name: &'static str,
    pub(super) state: State,
    /// Names this turn.
    pub(super) id: [u8; 16],
    place: MirrorIn,
    link: Option<Link>,
    /// Taken when this is dropped, which may happen where a runtime must not end by itself.
    runtime: Option<Runtime>,
}

impl Drop for Turn {
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

impl Turn {
    /// One that has not begun.
    pub(super) fn new(place: &MirrorIn, name: &'static str) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            name,
            state: State {
                version: 0,
                change: None,
            },
            id: random(),
            place: place.clone(),
            link: None,
            runtime: Some(runtime),
        })
    }

    /// Claims the store: nobody else changes it until another one claims it.
    pub(super) fn begin(&mut self, asked: Asked<'_>) -> Result<Claimed, String> {
        let claim = |turn: &mut Self, runtime: &Runtime| {
            let claim = Claim {
                place: &turn.place,
                name: turn.name,
                id: &turn.id,
                asked,
            };
            runtime.block_on(claim.take())
        };
        let claimed = self.drive(claim)??;
        self.state = claimed.state.clone();
        Ok(claimed)
    }

    /// Has a change durable in the database. From then on the store is in the state that [`Turn::next`] named.
    pub(super) fn tell(&mut self, next: State, changed: &[Changed]) -> Result<(), NotTold> {
        let change = next.change.clone().unwrap_or_default();
        let told = self.drive(|turn, runtime| runtime.block_on(turn.ask_until_known(&change, changed)));
        // Nobody knows how far it came.
        told.unwrap_or_else(|why| Err(self.halt(why)))?;
        self.state = next;
        Ok(())
    }

    /// The state after the next change.
    pub(super) fn next(&self) -> State {
        State {
            version: self.state.version + 1,
            change: Some(random().to_vec()),
        }
    }

    /// Waits for the database on a runtime of its own. Whoever opens a store is driven by one, in which no other may be waited for; its writer is
    /// not.
    fn drive<T: Send>(&mut self, work: impl FnOnce(&mut Self, &Runtime) -> T + Send) -> Result<T, String> {
        let runtime = self.runtime.take().ok_or("it has ended")?;
        let done = if Handle::try_current().is_ok() {
            std::thread::scope(|scope| ScopedJoinHandle::join(scope.spawn(|| work(self, &runtime))))
                .map_err(|_| "talking to the database panicked".to_owned())
        } else {
            Ok(work(self, &runtime))
        };
        self.runtime = Some(runtime);
        done
    }

    /// Nobody knows what the store has, or nobody may change it from here.
    pub(super) fn halt(&self, why: String) -> NotTold {
        self.tell_failed(&why);
        NotTold::Halted(why)
    }

    pub(super) fn tell_failed(&self, why: &str) {
        let told = format!("the store `{}` and its copy in the database: {why}", self.name);
        self.place.failed.send_replace(Some(told));
    }

    /// Asks until the database has answered, or nothing more can be known.
    async fn ask_until_known(&mut self, change: &[u8], changed: &[Changed]) -> Result<(), NotTold> {
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
                        return Err(NotTold::NoRoom(why));
                    }
                    tokio::time::sleep(WAIT).await;
                    continue;
                }
                Err(why) => (Trouble::Again, why),
            };
            self.link = None;
            match trouble {
                Trouble::NoRoom if !is_uncertain => return Err(NotTold::NoRoom(why)),
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
    async fn ask(&mut self, change: &[u8], changed: &[Changed]) -> Result<Outcome<i16>, String> {
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
            &change,
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
    asked: Asked<'a>,
}

impl Claim<'_> {
    /// Claims the store: the state in which it is, and stays until it is changed from here; its rows, unless the file is in that state already.
    async fn take(&self) -> Result<Claimed, String> {
        let (place, name) = (self.place, self.name);
        // Not one that others use: they are driven by the runtime that waits for this one.
        let mut link = place.database.link().await?;
        let mut claimed = self.claim(&mut link).await?;
        let has_them = self.asked.here.is_some_and(|here| here.state == claimed.state);
        if has_them && !self.asked.reads_always {
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
    async fn claim(&self, link: &mut Link) -> Result<Claimed, String> {
        let name = self.name;
        let Asked {
            here,
            form: known,
            expects_rows,
            ..
        } = self.asked;
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
        let asked: &[&(dyn ToSql + Sync)] = &[&name, &epoch, &id, &known, &last, &expects_rows];
        let found = read(self.place, link, sql, &types, asked).await?;
        let robbed = || format!("another process has claimed the store `{name}`");
        let row = found.first().ok_or_else(robbed)?;
        if cell(row, 5)? {
            return Err("its file was here and is gone, and the database knows nothing of it".to_owned());
        }
        let form: i64 = cell(row, 4)?;
        if form != known {
            return Err(format!(
                "the database has the rows of the store `{name}` in form {form}, and this build knows form {known}"
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

pub(super) fn random() -> [u8; 16] {
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
