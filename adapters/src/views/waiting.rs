//! Payments that wait for somebody's move, by deadline. The table is small: a payment that was simply charged never enters it, and one
//! that waits no longer leaves it.

use florin_domain::payment::{Payment, WaitKind};
use florin_domain::time::Timestamp;
use rusqlite::{Connection, Transaction, params};

/// The table and the order in which it is read.
pub(super) const TABLES: &str = "
    CREATE TABLE waiting (id BLOB PRIMARY KEY, kind INTEGER NOT NULL, due_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX waiting_due ON waiting (kind, due_ms, id);";
const SET: &str = "INSERT INTO waiting (id, kind, due_ms) VALUES (?1, ?2, ?3)
    ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, due_ms = excluded.due_ms";
const CLEAR: &str = "DELETE FROM waiting WHERE id = ?1";
/// Stored, so numbers are never given anew.
pub(super) const fn number(kind: WaitKind) -> i64 {
    match kind {
        WaitKind::Challenge => 1,
        WaitKind::Review => 2,
        WaitKind::Capture => 3,
        WaitKind::Resend => 4,
    }
}

/// Milliseconds as a column holds them.
pub(super) fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.unix_ms()).unwrap_or(i64::MAX)
}

/// How many payments wait.
pub(super) fn count(connection: &Connection) -> Result<u64, rusqlite::Error> {
    let count: i64 = connection.query_row("SELECT count(*) FROM waiting", [], |row| row.get(0))?;
    Ok(count.cast_unsigned())
}

/// Enters a payment's new state, and counts. While nobody waits, as under a load of plain sales, nothing is looked for.
pub(super) fn enter(
    transaction: &Transaction<'_>,
    waiting: &mut u64,
    (id, payment): ([u8; 16], &Payment),
    is_new: bool,
) -> Result<(), rusqlite::Error> {
    if let Some((kind, due)) = payment.waits_for() {
        transaction
            .prepare_cached(SET)?
            .execute(params![id, number(kind), millis(due)])?;
        // At least so many: an entry that was changed counts again, which only costs a look.
        *waiting = waiting.saturating_add(1);
    } else if !is_new && *waiting > 0 {
        let cleared = transaction.prepare_cached(CLEAR)?.execute(params![id])?;
        *waiting = waiting.saturating_sub(cleared as u64);
    }
    Ok(())
}
