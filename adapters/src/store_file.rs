//! Owns what the stores beside the journal have in common: how a SQLite file of tables and a version is opened, and that one which was there is missed
//! when it is gone.
//!
//! A store that is lost would begin anew and empty: cards that nobody finds, links of single use that may be paid again, endpoints that are told of
//! nothing. So the folder notes which stores it has begun, and one that is noted and not there is not made again. A store is noted after it was made and
//! both are durable, so that neither a new folder nor one of an earlier release, which noted nothing, is ever taken for one that lost something. A store
//! that a database has as well is made anew from there.

use crate::data_dir::BEGUN;
use crate::mirror::rebuild;
use rusqlite::{Connection, OpenFlags, params};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

/// How long a change waits for somebody else who holds the file.
pub(crate) const BUSY_WAIT: Duration = Duration::from_millis(if cfg!(test) { 10 } else { 5_000 });

/// Rows that one transaction erases because of their age: one that is copied to a database stays small, also after a long rest. What is left is
/// erased by the next ones, at once.
pub(crate) const SWEPT_MAX: usize = 1_000;

/// What a sweep has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Swept {
    pub(crate) rows: usize,
    /// Another one is to follow.
    pub(crate) is_unfinished: bool,
}

/// Erases within the open transaction what has outlived its time. Each statement is given a time and how many rows it may erase.
pub(crate) fn sweep(file: &Connection, statements: &[(&str, i64)]) -> rusqlite::Result<Swept> {
    let mut rows = 0;
    for (sql, until_ms) in statements {
        let left = i64::try_from(SWEPT_MAX.saturating_sub(rows)).unwrap_or(0);
        rows += file.prepare_cached(sql)?.execute(params![until_ms, left])?;
    }
    Ok(Swept {
        rows,
        is_unfinished: rows >= SWEPT_MAX,
    })
}

/// The next letter, waited for unless there is something else to do meanwhile. The end once there are no more senders.
pub(crate) fn next_letter<T>(
    inbox: &mut mpsc::Receiver<T>,
    is_unfinished: bool,
) -> ControlFlow<(), Option<T>> {
    let next = if is_unfinished {
        inbox.try_recv()
    } else {
        inbox.blocking_recv().ok_or(TryRecvError::Disconnected)
    };
    match next {
        Ok(letter) => ControlFlow::Continue(Some(letter)),
        Err(TryRecvError::Empty) => ControlFlow::Continue(None),
        Err(TryRecvError::Disconnected) => ControlFlow::Break(()),
    }
}

/// What a store's file is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// Makes the tables of a new file.
    pub(crate) tables: &'static str,
    /// Which form that is; no other is opened.
    pub(crate) version: i64,
}

/// Where a store is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// In its file alone.
    Here,
    /// In a database as well, from which whoever opens it brings the file up to date: one that is gone is made anew.
    ElsewhereToo,
}

impl Kept {
    /// With a second copy, or without.
    pub(crate) fn of<T>(mirror: Option<&T>) -> Self {
        if mirror.is_some() {
            Self::ElsewhereToo
        } else {
            Self::Here
        }
    }
}

/// Opens the file to change it, or a new one; memory without a path.
///
/// # Errors
/// If the file is damaged, of another version, or was here alone and is gone. It is left as it is then.
pub(crate) fn open_for_writing(path: Option<&Path>, form: Form, kept: Kept) -> Result<Connection, String> {
    let Some(path) = path else {
        let memory = Connection::open_in_memory().map_err(|error| error.to_string())?;
        return opened(memory, form, (true, false)).map(|(file, _)| file);
    };
    let begun =
        Begun::look(path).map_err(|error| format!("what its folder has begun is not known: {error}"))?;
    let may_begin = !begun.has_it || kept == Kept::ElsewhereToo;
    if begun.has_it && !path.exists() {
        if !may_begin {
            return Err(begun.lost("is gone"));
        }
        tracing::warn!(path = %path.display(), "the file of a store is gone; it is made anew from the database");
    }
    let file = Connection::open(path).map_err(|error| error.to_string())?;
    file.busy_timeout(BUSY_WAIT).map_err(|error| error.to_string())?;
    let mode: String = file
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(|error| error.to_string())?;
    if mode != "wal" {
        return Err("it has no write-ahead log".to_owned());
    }
    let (file, is_whole) = opened(file, form, (may_begin, begun.has_it))?;
    if !is_whole {
        return Err(begun.lost("is empty"));
    }
    if !begun.has_it {
        begun
            .note()
            .map_err(|error| format!("it cannot be noted in its folder: {error}"))?;
    }
    Ok(file)
}

/// The file with its tables, which are made if it has none and that `may_begin`; whether it has any. One that `was_here` already is to have its rows from elsewhere.
fn opened(
    mut file: Connection,
    form: Form,
    (may_begin, was_here): (bool, bool),
) -> Result<(Connection, bool), String> {
    let failed = |error: rusqlite::Error| error.to_string();
    // What is erased is overwritten.
    file.pragma_update(None, "secure_delete", "ON").map_err(failed)?;
    file.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    let is_new: bool = file
        .query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| {
            row.get(0)
        })
        .map_err(failed)?;
    if is_new && !may_begin {
        return Ok((file, false));
    }
    if is_new {
        let create = file.transaction().map_err(failed)?;
        create.execute_batch(form.tables).map_err(failed)?;
        if was_here {
            rebuild::expect_rows(&create).map_err(failed)?;
        }
        create
            .pragma_update(None, "user_version", form.version)
            .map_err(failed)?;
        create.commit().map_err(failed)?;
    }
    let version: i64 = file
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(failed)?;
    if version != form.version {
        return Err(format!(
            "it has version {version}, and this build knows version {}",
            form.version
        ));
    }
    // Small enough to be read as a whole: what cannot be trusted is found before anything is done because of it.
    let check: String = file
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(failed)?;
    if check == "ok" {
        Ok((file, true))
    } else {
        Err(check)
    }
}

/// Opens a file that is open for writing already, for looking things up.
pub(crate) fn open_for_reading(path: &Path) -> Result<Connection, String> {
    let failed = |error: rusqlite::Error| error.to_string();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let file = Connection::open_with_flags(path, flags).map_err(failed)?;
    file.busy_timeout(BUSY_WAIT).map_err(failed)?;
    Ok(file)
}

/// Whether a store's file is there.
///
/// # Errors
/// Why it must not be done without, if it was there and is gone.
pub(crate) fn is_there(path: &Path) -> Result<bool, String> {
    let begun = Begun::look(path).map_err(|error| error.to_string())?;
    match path.exists() {
        false if begun.has_it => Err(begun.lost("is gone")),
        is_there => Ok(is_there),
    }
}

/// Checks a file that nobody has open.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(path: &Path) -> Result<(), String> {
    let file = open_for_reading(path)?;
    let check = file.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match check.as_deref() {
        Ok("ok") => Ok(()),
        Ok(wrong) => Err(wrong.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// What a folder has noted, as far as one store goes.
struct Begun<'a> {
    folder: &'a Path,
    name: String,
    /// One name in a line.
    text: String,
    has_it: bool,
}

impl<'a> Begun<'a> {
    fn look(store: &'a Path) -> io::Result<Self> {
        let folder = store.parent().unwrap_or(Path::new("."));
        let name = store
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text = match fs::read_to_string(folder.join(BEGUN)) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            read => read?,
        };
        let has_it = text.lines().any(|line| line == name);
        Ok(Self {
            folder,
            name,
            text,
            has_it,
        })
    }

    fn lost(&self, how: &str) -> String {
        format!(
            "it was here and {how}: put its latest copy back. To go on without what it held, take the line `{}` out of {}",
            self.name,
            self.folder.join(BEGUN).display()
        )
    }

    /// Notes the store. Its own name in the folder is durable first.
    fn note(&self) -> io::Result<()> {
        let folder = File::open(self.folder)?;
        folder.sync_all()?;
        let beside = self.folder.join(format!("{BEGUN}.new"));
        let mut file = File::create(&beside)?;
        file.write_all(format!("{}{}\n", self.text, self.name).as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, self.folder.join(BEGUN))?;
        folder.sync_all()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Puts more aged answers into a store than two transactions may erase. Its table of answers has these columns besides those of all.
    pub(crate) fn put_aged(file: &Connection, (columns, values): (&str, &str)) {
        let sql = format!(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2500)
             INSERT INTO answer (key, asked, at_ms, {columns}) SELECT CAST('aged ' || n AS BLOB), x'', -n, {values} FROM n"
        );
        assert_eq!(file.execute(&sql, []).unwrap(), 2500);
    }

    /// Looks until the store's own thread has erased them all.
    pub(crate) fn until_none_is_aged(file: &Connection) {
        let aged = || -> bool {
            let sql = "SELECT EXISTS (SELECT 1 FROM answer WHERE at_ms < 0)";
            file.query_row(sql, [], |row| row.get(0)).unwrap()
        };
        while aged() {
            std::thread::yield_now();
        }
    }

    const FORM: Form = Form {
        tables: "CREATE TABLE one (a INTEGER) STRICT;",
        version: 1,
    };

    fn open(folder: &Path, name: &str) -> Result<Connection, String> {
        open_for_writing(Some(&folder.join(name)), FORM, Kept::Here)
    }

    fn remove(folder: &Path, name: &str) {
        for end in ["", "-wal", "-shm"] {
            drop(fs::remove_file(folder.join(format!("{name}{end}"))));
        }
    }

    #[test]
    fn a_store_that_was_there_is_missed_until_it_is_back_or_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        drop((open(folder, "a.db").unwrap(), open(folder, "b.db").unwrap()));
        let copy = fs::read(folder.join("a.db")).unwrap();
        remove(folder, "a.db");
        for _ in 0..2 {
            let refused = open(folder, "a.db").unwrap_err();
            assert!(
                refused.contains("it was here and is gone") && refused.contains("`a.db`"),
                "{refused}"
            );
            assert!(!folder.join("a.db").exists());
        }
        fs::write(folder.join("a.db"), "").unwrap();
        assert!(
            open(folder, "a.db")
                .unwrap_err()
                .contains("it was here and is empty")
        );
        remove(folder, "a.db");
        fs::write(folder.join("a.db"), copy).unwrap();
        drop(open(folder, "a.db").unwrap());
        remove(folder, "a.db");
        fs::write(folder.join(BEGUN), "b.db\n").unwrap();
        drop(open(folder, "a.db").unwrap());
        assert_eq!(fs::read_to_string(folder.join(BEGUN)).unwrap(), "b.db\na.db\n");
    }

    #[test]
    fn a_sweep_erases_so_many_rows_of_all_tables_and_says_whether_there_are_more() {
        let file = Connection::open_in_memory().unwrap();
        file.execute_batch(
            "CREATE TABLE one (at_ms INTEGER); CREATE TABLE two (at_ms INTEGER);
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1200) INSERT INTO one SELECT n FROM n;
             INSERT INTO two SELECT at_ms FROM one;",
        )
        .unwrap();
        let one = "DELETE FROM one WHERE rowid IN (SELECT rowid FROM one WHERE at_ms <= ?1 LIMIT ?2)";
        let two = "DELETE FROM two WHERE rowid IN (SELECT rowid FROM two WHERE at_ms <= ?1 LIMIT ?2)";
        let rows = [SWEPT_MAX, SWEPT_MAX, 300, 0];
        for (round, rows) in rows.into_iter().enumerate() {
            let expected = Swept {
                rows,
                is_unfinished: rows == SWEPT_MAX,
            };
            // The last hundred of the second table are not due.
            assert_eq!(
                sweep(&file, &[(one, 1200), (two, 1100)]).unwrap(),
                expected,
                "{round}"
            );
        }
    }

    #[test]
    fn a_store_that_is_kept_elsewhere_too_is_begun_anew_when_its_file_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        drop(open(folder, "a.db").unwrap());
        let path = folder.join("a.db");
        for lost in ["gone", "empty"] {
            remove(folder, "a.db");
            if lost == "empty" {
                fs::write(&path, "").unwrap();
            }
            let file = open_for_writing(Some(&path), FORM, Kept::ElsewhereToo).unwrap();
            let rows: i64 = file
                .query_row("SELECT count(*) FROM one", [], |row| row.get(0))
                .unwrap();
            assert_eq!(rows, 0, "{lost}");
        }
        assert_eq!(fs::read_to_string(folder.join(BEGUN)).unwrap(), "a.db\n");
        // It is there again.
        drop(open(folder, "a.db").unwrap());
    }

    #[test]
    fn a_folder_of_an_earlier_release_goes_on_and_is_noted() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let file = open(folder, "a.db").unwrap();
        file.execute("INSERT INTO one VALUES (7)", []).unwrap();
        drop(file);
        fs::remove_file(folder.join(BEGUN)).unwrap();
        let file = open(folder, "a.db").unwrap();
        let kept: i64 = file.query_row("SELECT a FROM one", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, 7);
        drop(file);
        remove(folder, "a.db");
        open(folder, "a.db").unwrap_err();
    }

    #[test]
    fn what_ended_before_it_was_noted_begins_again() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        // The file was made, and nothing else was.
        drop(Connection::open(folder.join("a.db")).unwrap());
        fs::write(folder.join("a.db"), "").unwrap();
        fs::write(folder.join(format!("{BEGUN}.new")), "half").unwrap();
        drop(open(folder, "a.db").unwrap());
        assert_eq!(fs::read_to_string(folder.join(BEGUN)).unwrap(), "a.db\n");
    }
}
