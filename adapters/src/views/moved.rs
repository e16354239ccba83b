//! The index of balance transactions: what captures and refunds moved, for each merchant and mode in the order in which they were booked. It is written
//! in the transaction of the payments that it is about. Entries stay as and where they are.
//!
//! As with the lists, rows go into a small table first, see [`super::writer`].

use florin_domain::ids::{CaptureId, MerchantId, PaymentId, RefundId};
use florin_domain::money::Currency;
use florin_domain::payment::Payment;
use florin_domain::ports::{ListOrder, MovedBy, MovedPage, MovedPlace, MovedQuery, MovedRow, moved_of};
use florin_domain::time::Timestamp;
use rusqlite::{Connection, Row, Transaction, params};

const SALE: u8 = 0;
const CAPTURE: u8 = 1;
const REFUND: u8 = 2;

/// The tables. `payment` is that of a capture or a refund; a sale has the id of its own. Those others are found by their ids as well.
pub(super) const TABLES: &str = "
    CREATE TABLE moved (tenant INTEGER, place BLOB, payment BLOB, by INTEGER NOT NULL, currency INTEGER NOT NULL,
        PRIMARY KEY (tenant, place)) STRICT, WITHOUT ROWID;
    CREATE TABLE moved_recent (tenant INTEGER, place BLOB, payment BLOB, by INTEGER NOT NULL, currency INTEGER NOT NULL,
        PRIMARY KEY (tenant, place)) STRICT, WITHOUT ROWID;
    CREATE INDEX moved_id ON moved (tenant, substr(place, 9)) WHERE by <> 0;
    CREATE INDEX moved_recent_id ON moved_recent (tenant, substr(place, 9)) WHERE by <> 0;";
const ENTER: &str =
    "INSERT OR IGNORE INTO moved_recent (tenant, place, payment, by, currency) VALUES (?1, ?2, ?3, ?4, ?5)";
const MERGE: &str = "INSERT OR IGNORE INTO moved SELECT * FROM moved_recent ORDER BY tenant, place; DELETE FROM moved_recent;";
const OLDEST_FIRST: &str = "SELECT place, payment, by, currency FROM moved_recent WHERE tenant = ?1 AND place BETWEEN ?2 AND ?3
    UNION ALL SELECT place, payment, by, currency FROM moved WHERE tenant = ?1 AND place BETWEEN ?2 AND ?3 ORDER BY place";
const NEWEST_FIRST: &str = "SELECT place, payment, by, currency FROM moved_recent WHERE tenant = ?1 AND place BETWEEN ?2 AND ?3
    UNION ALL SELECT place, payment, by, currency FROM moved WHERE tenant = ?1 AND place BETWEEN ?2 AND ?3 ORDER BY place DESC";
/// Each once: the two tables may have the same.
const NAMED: &str = "SELECT place, payment, by, currency FROM moved_recent WHERE tenant = ?1 AND substr(place, 9) = ?2 AND by <> 0
    UNION SELECT place, payment, by, currency FROM moved WHERE tenant = ?1 AND substr(place, 9) = ?2 AND by <> 0 ORDER BY place";
const ALL: &str = "SELECT place, payment, by, currency, merchant, livemode FROM moved_recent JOIN tenant ON number = tenant
    UNION ALL SELECT place, payment, by, currency, merchant, livemode FROM moved JOIN tenant ON number = tenant";
/// Rows of `moved_recent` that are worth moving.
const RECENT_MAX: u32 = if cfg!(test) { 8 } else { 65_536 };
/// Rows that one read looks at, so that a filter with rare hits does not keep the reads behind it waiting.
const ROWS_MAX: usize = if cfg!(test) { 7 } else { 20_000 };

/// How many rows wait to be moved.
pub(super) fn count_recent(connection: &Connection) -> Result<u32, rusqlite::Error> {
    connection.query_row("SELECT count(*) FROM moved_recent", [], |row| row.get(0))
}

/// Enters what moved a payment's money; says how many rows that are. What is there stays.
pub(super) fn enter(
    transaction: &Transaction<'_>,
    tenant: i64,
    payment: &Payment,
) -> Result<u32, rusqlite::Error> {
    let mut entered = 0_u32;
    for row in moved_of(payment) {
        let by = match row.by {
            MovedBy::Sale => SALE,
            MovedBy::Capture(_) => CAPTURE,
            MovedBy::Refund(_) => REFUND,
        };
        let own = (by != SALE).then(|| row.payment.bits().to_be_bytes());
        transaction.prepare_cached(ENTER)?.execute(params![
            tenant,
            key(row.place),
            own,
            by,
            row.currency.numeric()
        ])?;
        entered = entered.saturating_add(1);
    }
    Ok(entered)
}

/// Moves what has gathered, if that is worth it. `recent` is how much there is, which may be too many; the answer is how much is left.
pub(super) fn merge(transaction: &Transaction<'_>, recent: u32) -> Result<u32, rusqlite::Error> {
    if recent < RECENT_MAX {
        return Ok(recent);
    }
    transaction.execute_batch(MERGE)?;
    Ok(0)
}

/// Reads a stretch of what moved a tenant's money.
pub(super) fn read(
    connection: &Connection,
    (tenant, query): (i64, &MovedQuery),
) -> Result<MovedPage, rusqlite::Error> {
    let mut page = MovedPage::default();
    if query.places.is_empty() || query.limit == 0 {
        return Ok(page);
    }
    if let Some(id) = query.operation {
        let mut statement = connection.prepare_cached(NAMED)?;
        let mut rows = statement.query(params![tenant, id.to_be_bytes()])?;
        while let Some(row) = rows.next()? {
            let row = entry(row)?;
            let is_meant = query.places.contains(&row.place) && query.takes(&row);
            page.rows.extend(is_meant.then_some(row));
        }
        if query.order == ListOrder::NewestFirst {
            page.rows.reverse();
        }
        page.rows.truncate(query.limit);
        return Ok(page);
    }
    let mut statement = connection.prepare_cached(match query.order {
        ListOrder::NewestFirst => NEWEST_FIRST,
        ListOrder::OldestFirst => OLDEST_FIRST,
    })?;
    let range = params![tenant, key(*query.places.start()), key(*query.places.end())];
    let mut rows = statement.query(range)?;
    let mut looked_at = 0_usize;
    let mut latest = None;
    while let Some(row) = rows.next()? {
        let row = entry(row)?;
        // Entered again after it was moved.
        if latest.replace(row.place) == Some(row.place) {
            continue;
        }
        page.rows.extend(query.takes(&row).then_some(row));
        looked_at = looked_at.saturating_add(1);
        if page.rows.len() == query.limit || looked_at == ROWS_MAX {
            page.stopped_at = Some(row.place);
            break;
        }
    }
    Ok(page)
}

/// Looks at every row of the index with its tenant, in no order; at one that was entered again after it was moved, twice.
pub(super) fn each(
    connection: &Connection,
    mut look: impl FnMut((MerchantId, bool), MovedRow),
) -> Result<(), rusqlite::Error> {
    let mut statement = connection.prepare(ALL)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let merchant = MerchantId::from_bits(u128::from_be_bytes(row.get(4)?));
        look((merchant, row.get(5)?), entry(row)?);
    }
    Ok(())
}

/// In the order of places.
fn key(place: MovedPlace) -> [u8; 24] {
    let mut key = [0; 24];
    let (at, id) = key.split_at_mut(8);
    at.copy_from_slice(&place.at.unix_ms().to_be_bytes());
    id.copy_from_slice(&place.id.to_be_bytes());
    key
}

fn entry(row: &Row<'_>) -> Result<MovedRow, rusqlite::Error> {
    let key: [u8; 24] = row.get(0)?;
    let at = key.first_chunk().copied().expect("24 bytes begin with 8");
    let id = key.last_chunk().copied().expect("24 bytes end with 16");
    let (at, id) = (u64::from_be_bytes(at), u128::from_be_bytes(id));
    let payment: Option<[u8; 16]> = row.get(1)?;
    let payment = payment.map_or(id, u128::from_be_bytes);
    let by = match row.get(2)? {
        SALE => MovedBy::Sale,
        CAPTURE => MovedBy::Capture(CaptureId::from_bits(id)),
        REFUND => MovedBy::Refund(RefundId::from_bits(id)),
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(2, i64::from(other))),
    };
    let number: u16 = row.get(3)?;
    let currency = Currency::from_numeric(number);
    let currency = currency.ok_or(rusqlite::Error::IntegralValueOutOfRange(3, i64::from(number)))?;
    Ok(MovedRow {
        place: MovedPlace {
            at: Timestamp::from_unix_ms(at),
            id,
        },
        payment: PaymentId::from_bits(payment),
        by,
        currency,
    })
}
