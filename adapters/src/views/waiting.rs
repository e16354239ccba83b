//! Payments that wait for somebody's move, by deadline. The table is small: a payment that was simply charged never enters it. An
//! entry whose payment waits no longer does no harm, since readers look at the payment; such entries are swept out now and then.

use crate::schema::v1;
use florin_domain::payment::{CaptureMethod, Payment, Status, WaitKind};
use florin_domain::time::Timestamp;
use rusqlite::{Connection, Transaction, params};

/// The table and the order in which it is read.
pub(super) const TABLES: &str = "
    CREATE TABLE waiting (id BLOB PRIMARY KEY, kind INTEGER NOT NULL, due_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX waiting_due ON waiting (kind, due_ms, id);";
const SET: &str = "INSERT INTO waiting (id, kind, due_ms) VALUES (?1, ?2, ?3)
    ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, due_ms = excluded.due_ms";
const CLEAR: &str = "DELETE FROM waiting WHERE id = ?1";
const OLDEST: &str =
    "SELECT payment.id, state FROM waiting JOIN payment ON payment.id = waiting.id ORDER BY due_ms LIMIT ?1";

/// Entries that one sweep looks at.
const SWEEP_MAX: u32 = 1000;

/// Stored, so numbers are never given anew.
pub(super) const fn number(kind: WaitKind) -> i64 {
    match kind {
        WaitKind::Challenge => 1,
        WaitKind::Review => 2,
        WaitKind::Capture => 3,
    }
}

/// Milliseconds as a column holds them.
pub(super) fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.unix_ms()).unwrap_or(i64::MAX)
}

/// Enters a payment's new state. Most payments are charged at once and were never in the table, so they are not looked for.
pub(super) fn enter(
    transaction: &Transaction<'_>,
    id: [u8; 16],
    payment: &Payment,
    is_new: bool,
) -> Result<(), rusqlite::Error> {
    if let Some((kind, due)) = payment.waits_for() {
        transaction
            .prepare_cached(SET)?
            .execute(params![id, number(kind), millis(due)])?;
    } else if !is_new && !was_charged_at_once(payment) {
        transaction.prepare_cached(CLEAR)?.execute(params![id])?;
    }
    Ok(())
}

fn was_charged_at_once(payment: &Payment) -> bool {
    payment.spec.capture_method == CaptureMethod::Automatic
        && payment.status == Status::Succeeded
        && payment.operations.len() == 1
        && payment.requests.is_empty()
}

/// Takes out the earliest entries whose payments wait no longer.
pub(super) fn sweep(connection: &Connection) -> Result<(), rusqlite::Error> {
    let mut oldest = connection.prepare_cached(OLDEST)?;
    let mut rows = oldest.query([SWEEP_MAX])?;
    let mut ended: Vec<[u8; 16]> = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, state): ([u8; 16], Vec<u8>) = (row.get(0)?, row.get(1)?);
        if v1::payment::decode(&state).is_ok_and(|payment| payment.waits_for().is_none()) {
            ended.push(id);
        }
    }
    drop(rows);
    for id in ended {
        connection.prepare_cached(CLEAR)?.execute(params![id])?;
    }
    Ok(())
}
